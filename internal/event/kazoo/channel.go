package kazoo

import (
	"strconv"
	"strings"
	"time"
)

// Channel is a moment in the life of a call's leg: the leg was created, answered, bridged, parked or destroyed. Text that is ""
// is not told.
type Channel struct {
	Event     string // EventCreate, EventAnswer, EventBridge, EventParked and its like, or EventDestroy; sockets are told of EventHold and EventResume too
	AccountID string
	At        time.Time

	CallID, OtherLeg               string
	AuthorizingID, AuthorizingType string
	OwnerID                        string
	Direction                      string // "inbound" or "outbound", as bugle sees it
	CallerName, CallerNumber       string
	CalleeName, CalleeNumber       string
	From, To, Request              string // user@realm
	Variables                      map[string]string
	CallForwarded, Internal        bool
	Created                        time.Time
	OriginalNumber, OtherLegNumber string // of a bridge
	HangupCause, HangupCode        string // of an end, like what follows
	Duration, Ringing, Billing     time.Duration
	ResellerID, LocalResourceID    string
	Slot                           string // of EventParked and its like
}

// gregorian is a time as KAZOO writes it, in seconds of the calendar.
func gregorian(t time.Time) int64 { return t.Unix() + 62167219200 }

// Channel tells the webhooks of an account, and of those above it, of a leg. It never blocks: when more wait than can be
// kept, the event is lost and counted.
func (h *Hooks) Channel(c Channel) {
	h.occur(occurrence{account: c.AccountID, name: c.hook(), id: c.CallID + "/" + c.Event + "/" + strconv.FormatInt(c.At.UnixNano(), 36),
		tells: c.Fields()})
}

// hook is the hook of a webhook that is for the event.
func (c *Channel) hook() string {
	switch c.Event {
	case EventParked, EventRetrieved, EventAbandoned:
		return EventParking
	}
	return c.Event
}

// Fields are what KAZOO tells of a channel; keys without a value are left out. The caller may change what is returned.
func (c *Channel) Fields() map[string]any {
	f := fields{"hook_event": c.hook(), "account_id": c.AccountID, "timestamp": gregorian(c.At), "call_direction": c.Direction,
		"call_id": c.CallID, "call_forwarded": c.CallForwarded, "is_internal_leg": c.Internal,
		"custom_channel_vars": c.channelVariables(), "custom_application_vars": texted(c.Variables), "local_resource_used": false,
		"emergency_resource_used": false}
	for key, value := range map[string]string{"other_leg_call_id": c.OtherLeg, "authorizing_id": c.AuthorizingID,
		"authorizing_type": c.AuthorizingType, "owner_id": c.OwnerID, "caller_id_name": c.CallerName, "caller_id_number": c.CallerNumber,
		"callee_id_name": c.CalleeName, "callee_id_number": c.CalleeNumber, "from": c.From, "to": c.To, "request": c.Request,
		"reseller_id": c.ResellerID, "local_resource_id": c.LocalResourceID} {
		if value != "" {
			f[key] = value
		}
	}
	if !c.Created.IsZero() {
		f["inception"] = strconv.FormatInt(gregorian(c.Created), 10)
	}
	switch c.Event {
	case EventBridge:
		for key, value := range map[string]string{"original_number": c.OriginalNumber, "other_leg_destination_number": c.OtherLegNumber} {
			if value != "" {
				f[key] = value
			}
		}
	case EventParked, EventRetrieved, EventAbandoned:
		f["event_category"], f["event_name"], f["parking_slot"] = "call", strings.ToUpper(c.Event), c.Slot
	case EventDestroy:
		f["hangup_cause"], f["hangup_code"] = c.HangupCause, c.HangupCode
		for key, length := range map[string]time.Duration{"duration_seconds": c.Duration, "ringing_seconds": c.Ringing, "billing_seconds": c.Billing} {
			f[key] = int64(max(0, length) / time.Second)
		}
	}
	return f
}

func (c *Channel) channelVariables() fields {
	f := fields{"account_id": c.AccountID}
	for key, value := range map[string]string{"authorizing_id": c.AuthorizingID, "authorizing_type": c.AuthorizingType, "owner_id": c.OwnerID} {
		if value != "" {
			f[key] = value
		}
	}
	return f
}

func texted(m map[string]string) fields {
	f := make(fields, len(m))
	for key, value := range m {
		f[key] = value
	}
	return f
}

// Attempt is a new state of a call that a click-to-call was asked for.
type Attempt struct {
	ID, AccountID, Endpoint string // of the attempt, its account, and the click-to-call
	Contact, CallID         string
	State                   string // "ringing", "answered", "bridged" or "ended"
	Cause                   string // of the end
	At                      time.Time
}

// Attempt tells the webhooks of hook "clicktocall", of each attempt's states in their order: their times are too close.
func (h *Hooks) Attempt(a Attempt) {
	f := fields{"hook_event": EventClickToCall, "account_id": a.AccountID, "attempt_id": a.ID, "clicktocall_id": a.Endpoint,
		"contact": a.Contact, "state": a.State, "timestamp": gregorian(a.At)}
	for key, value := range map[string]string{"call_id": a.CallID, "cause": a.Cause} {
		if value != "" {
			f[key] = value
		}
	}
	h.occur(occurrence{account: a.AccountID, name: EventClickToCall, id: a.ID + "/" + a.State, order: a.ID, tells: f})
}
