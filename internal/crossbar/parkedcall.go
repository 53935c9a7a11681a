package crossbar

import (
	"net/http"
	"strings"
	"time"
)

// ParkedCall is a caller who waits in a slot.
type ParkedCall struct {
	Slot         string
	CallID       string // Call-ID of his leg
	Name, Number string // who he is, as phones show him
	Realm        string
	PresenceID   string // "" for the slot and the realm
	RingbackID   string // device that is rung when nobody retrieves him, "" for none
	ParkerCallID string // Call-ID of the leg that has parked him, "" for none
	Since        time.Time
}

// parkedCalls shows who waits in which slot.
func parkedCalls() *resource {
	return &resource{noun: "parked_calls",
		about: "The calls that are parked, by slot. `call_id` is the leg that waits, `ringback_id` the device that is rung when nobody " +
			"retrieves it, `parker_call_id` the leg that has parked it, `timestamp` since when it waits.",
		endpoints: []endpoint{{path: "", ops: map[string]operation{http.MethodGet: {run: (*request).listParked}}}},
		shapes:    map[string]shape{"GET": {summary: "The calls that are parked, by slot", gives: objectOf(map[string]any{"slots": typed("object")}, "slots")}}}
}

func (req *request) listParked() (*reply, error) {
	slots := map[string]any{}
	if req.api.opts.Channels != nil {
		for _, p := range req.api.opts.Channels.Parked(req.account.id) {
			slots[p.Slot] = req.parkedRow(p)
		}
	}
	return &reply{status: http.StatusOK, data: appendTree(nil, map[string]any{"slots": slots})}, nil
}

func (req *request) parkedRow(p ParkedCall) map[string]any {
	row := map[string]any{"call_id": p.CallID, "cid_name": p.Name, "cid_number": p.Number, "cid_uri": at(p.Number, p.Realm),
		"node": req.api.opts.Node, "timestamp": gregorian(p.Since)}
	presence := p.PresenceID
	if presence == "" {
		presence = p.Slot
	}
	if !strings.Contains(presence, "@") {
		presence = at(presence, p.Realm)
	}
	row["presence_id"] = presence
	row["presence_user"], row["presence_realm"], _ = strings.Cut(presence, "@")
	for key, value := range map[string]string{"ringback_id": p.RingbackID, "parker_call_id": p.ParkerCallID} {
		if value != "" {
			row[key] = value
		}
	}
	return row
}

// at is a SIP address without its scheme.
func at(user, realm string) string {
	if realm == "" {
		return user
	}
	return user + "@" + realm
}
