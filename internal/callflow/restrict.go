package callflow

import (
	"context"

	"bugle"
	"bugle/internal/call"
)

// unauthorized is what a caller hears who may not call a number.
const unauthorized = "prompt://cf-unauthorized_call"

// refusal is the flow of a call that is not allowed: play answers, and then the flow is over.
func refusal() bugle.Flow {
	return bugle.Flow{Module: "play", Data: bugle.Fields{"id": []byte(`"` + unauthorized + `"`)}}
}

// restriction is what one document says about its endpoint's calls.
type restriction struct {
	kind, id string // whose, for the trail
	actions  map[string]string
}

// restricted reports whether the calling endpoint may not call the number that led to route, and notes whose document
// says so. The cause is not "" when nobody can tell, because documents cannot be read. Calls that no endpoint of the
// account makes are not restricted, but those that bugle starts itself for a document of the account are by the account.
//
// Per class the device's action counts, without one (or with "inherit") its owner's, and then the account's. Emergency
// numbers are denied by nothing but an action for "emergency" itself, so documents that cannot be read do not keep
// anybody from calling them. The class "unknown" has every number that no other class has, extensions among them; so that
// colleagues can still be called, denying it denies what no callflow of the account names among its numbers.
func (e *Engine) restricted(ctx context.Context, s *Session, route *Route) (bool, call.Cause) {
	if s.DeviceID == "" && s.UserID == "" && s.Origin == nil {
		return false, ""
	}
	restrictions, unread := e.restrictions(ctx, s)
	if len(restrictions) == 0 && unread == nil {
		return false, ""
	}
	number, class := e.router.judged(&s.Account, s.Dialed, route)
	if unread != nil && class != classEmergency {
		return false, e.failed(s, "call restriction", unread)
	}
	whose := denies(restrictions, class)
	if whose == "" {
		if class == classEmergency {
			return false, ""
		}
		return e.outsideGroups(ctx, s, route, restrictions)
	}
	if class == classUnknown {
		named, err := e.router.named(ctx, &s.Account, number, route)
		if err != nil {
			return false, e.failed(s, "call restriction", err)
		}
		if named {
			return e.outsideGroups(ctx, s, route, restrictions)
		}
	}
	s.Call.Note("restricted", whose+" denies "+class+" calls: "+number)
	return true, ""
}

// restrictions are those of the calling device, its owner and the account, in this order; documents that say nothing or do
// not exist are left out. The error is that of a document that cannot be read.
func (e *Engine) restrictions(ctx context.Context, s *Session) (found []restriction, unread error) {
	add := func(kind, id string, actions map[string]string, err error) {
		switch {
		case err != nil && bugle.KindOf(err) != bugle.KindNotFound:
			unread = err
		case err == nil && len(actions) > 0:
			found = append(found, restriction{kind, id, actions})
		}
	}
	owner := s.UserID
	if s.DeviceID != "" {
		device, err := e.documents.Device(ctx, s.Account.ID, s.DeviceID)
		add("device", s.DeviceID, device.CallRestriction, err)
		if device.OwnerID != "" {
			owner = device.OwnerID
		}
	}
	if owner != "" {
		user, err := e.documents.User(ctx, s.Account.ID, owner)
		add("user", owner, user.CallRestriction, err)
	}
	add("account", s.Account.ID, s.Account.CallRestriction, nil)
	return found, unread
}

// denies returns whose document denies the class, "" when none does.
func denies(restrictions []restriction, class string) string {
	for _, r := range restrictions {
		switch r.actions[class] {
		case "", "inherit":
		case "deny":
			return r.kind + " " + r.id
		default:
			return ""
		}
	}
	return ""
}

// judged returns the number that restrictions are about, and its class: the capture group of the pattern that matched, in
// the form that dialling it would give it, or the number itself without one. It is an emergency number when any of them
// is one, whatever a dial plan or a pattern made of it.
func (r *router) judged(account *bugle.Account, dialed string, route *Route) (number, class string) {
	candidates := []string{dialed, route.Number}
	number = route.Number
	if groups := r.groups(route); groups != nil {
		number = normalise(account, route.Capture, r.patterns.compile)
		for _, group := range groups {
			if len(group) == len(route.Capture) { // of several longest ones any may be meant
				candidates = append(candidates, group)
			}
		}
	}
	for _, c := range candidates {
		if Classify(c) == classEmergency {
			return c, classEmergency
		}
	}
	return number, Classify(number)
}

// groups are the captures of the pattern that matched, nil without one, or when they are empty.
func (r *router) groups(route *Route) []string {
	if route.Pattern == "" || route.Capture == "" {
		return nil
	}
	re := r.patterns.compile(route.Pattern)
	if re == nil || re.NumSubexp() == 0 {
		return nil // the whole match is no capture: ^\+44 would make a stranger's number "+44"
	}
	return re.FindStringSubmatch(route.Number)[1:]
}

// named reports whether a callflow of the account has the judged number of a route among its numbers. Patterns name
// nobody, and neither does no_match.
func (r *router) named(ctx context.Context, account *bugle.Account, number string, route *Route) (bool, error) {
	switch {
	case route.Pattern == "":
		return !route.NoMatch, nil
	case number == route.Number, number == noMatch:
		return false, nil
	}
	_, err := r.documents.CallflowByNumber(ctx, account.ID, number)
	if err != nil && bugle.KindOf(err) == bugle.KindNotFound {
		return false, nil
	}
	return err == nil, err
}
