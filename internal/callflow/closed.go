package callflow

import (
	"context"

	"bugle"
	"bugle/internal/call"
)

// closedGroups is the name beside the classes of numbers under which documents say that their endpoint may call only the
// members of its own groups.
const closedGroups = "closed_groups"

// outsideGroups reports whether closed groups keep the caller from the person whose number was dialled, and notes it. As in
// KAZOO a person's number is one whose flow begins with that user or device; other numbers are not the groups' affair.
// The cause is not "" when nobody can tell.
func (e *Engine) outsideGroups(ctx context.Context, s *Session, route *Route, restrictions []restriction) (bool, call.Cause) {
	whose := denies(restrictions, closedGroups)
	root := route.Callflow.Flow
	if s.DeviceID == "" && s.UserID == "" { // no member of any group
		return false, ""
	}
	if whose == "" || root.Module != "user" && root.Module != "device" {
		return false, ""
	}
	groups, err := e.documents.Groups(ctx, s.Account.ID)
	if err != nil {
		return false, e.failed(s, "closed groups", err)
	}
	caller, err := e.memberIDs(ctx, s.Account.ID, s.DeviceID, s.UserID)
	if err != nil {
		return false, e.failed(s, "closed groups", err)
	}
	device, user := "", root.Data.String("id")
	if root.Module == "device" {
		device, user = user, ""
	}
	callee, err := e.memberIDs(ctx, s.Account.ID, device, user)
	if err != nil {
		return false, e.failed(s, "closed groups", err)
	}
	theirs := bugle.GroupsOf(groups, callee...)
	for id := range bugle.GroupsOf(groups, caller...) {
		if theirs[id] {
			return false, ""
		}
	}
	s.Call.Note("restricted", whose+" allows calls within its groups only: "+route.Number)
	return true, ""
}

// memberIDs are the ids under which groups may name an endpoint: its device's and its user's.
func (e *Engine) memberIDs(ctx context.Context, accountID, deviceID, userID string) ([]string, error) {
	var ids []string
	if deviceID != "" {
		device, err := e.documents.Device(ctx, accountID, deviceID)
		if err != nil && bugle.KindOf(err) != bugle.KindNotFound {
			return nil, err
		}
		ids = append(ids, deviceID)
		if device.OwnerID != "" {
			userID = device.OwnerID
		}
	}
	if userID != "" {
		ids = append(ids, userID)
	}
	return ids, nil
}
