package callflow

import (
	"time"

	"bugle/internal/call"
)

// Origination is a call that bugle starts itself: the first party is called, and when it has answered, the second one is
// called for it.
type Origination struct {
	CallID        string // of the first half, unique; the second half's is CallID + "-b"
	AccountID     string
	By            Authorizing // who lets it happen; it may reach the no_match callflow
	First, Second Destination
	Timeout       time.Duration     // longest ringing of the first party, and again of the second; 0: DefaultOriginateTimeout
	AutoAnswer    bool              // the first party's phones are asked to answer by themselves; only devices of the account are
	EarlyMedia    bool              // the first party hears the second's early media in place of ring-back
	Ringback      string            // media reference that the first party hears while the second rings, "" for the ordinary tone
	HoldMusic     string            // media reference of music on hold, "" for what the documents say
	Headers       map[string]string // of every INVITE; those that the program writes itself are left out
	Variables     map[string]string // custom application variables: in the records of both halves, and shown with their channels
	PresenceID    string            // whose presence the call is, in the records; "" for none
}

// DefaultOriginateTimeout is how long each party of an Origination rings when nobody says.
const DefaultOriginateTimeout = 30 * time.Second

// Authorizing is who lets a call happen that no phone of the account makes.
type Authorizing struct {
	ID   string // of the document
	Type string // "clicktocall", "user", "device"
}

// Destination is a party of an Origination: exactly one of Number, URI, DeviceID and UserID is set.
type Destination struct {
	Number   string     // dialled in the account's dial plan: extension, directory, feature code, outside number
	URI      string     // SIP URI outside the account, reached through egress
	DeviceID string     // rings this device
	UserID   string     // rings this user's devices
	Caller   call.Party // who is calling, as this party sees it
	Callee   call.Party // how this party is shown to the other one
}

// OriginationState is how far an Origination has come.
type OriginationState uint8

// The states of an Origination. Those before OriginationEnded come at most once each, in this order; some may be left out.
const (
	FirstRinging OriginationState = iota + 1
	FirstAnswered
	SecondRinging
	Bridged // the second party has answered, and both talk
	OriginationEnded
)

// String is the state in a word: "first_ringing", "first_answered", "second_ringing", "bridged", "ended".
func (s OriginationState) String() string {
	if s < FirstRinging || s > OriginationEnded {
		return "unknown"
	}
	return [...]string{"first_ringing", "first_answered", "second_ringing", "bridged", "ended"}[s-1]
}

// OriginationEvent is what becomes of an Origination. Events are told in order, and never two of one origination at once.
type OriginationEvent struct {
	State OriginationState
	Cause call.Cause // of OriginationEnded, which is always the last and comes once: the true cause
	At    time.Time
}
