package call

import (
	"net/netip"
	"time"

	"bugle/internal/media"
)

// Leg is one party of a call. SIP legs (sipua) and the simulator's legs implement it.
//
// Its methods are called from the call's own loop only. None blocks, and none returns an outcome: what comes of it
// arrives later as an Event at the leg's Sink, in order. After Ended nothing arrives, and every method does nothing.
type Leg interface {
	// ID is the leg's Call-ID, under which logs name it.
	ID() string

	// Ring tells the caller of an unanswered inbound leg that somebody is being rung (180). Repeating it does nothing.
	Ring()
	// Progress opens early media on an unanswered inbound leg (183 with an answer), so that what is played is heard.
	Progress()
	// Answer accepts an inbound leg (200). Answered follows when media may flow.
	Answer()
	// Hangup ends the leg by what its state allows: a final response with the cause's status, CANCEL, or BYE.
	Hangup(Cause)

	// Play starts to play clips one after the other to this party, in place of what was being played. When the last has
	// been played, PlayEnded with the token follows; with loop it starts again instead. On an unanswered inbound leg it is
	// heard only after Progress.
	Play(token int, clips []*media.Clip, loop bool)
	// StopPlay stops what is being played; no PlayEnded follows.
	StopPlay()
	// SendDigits sends DTMF to this party, each digit as long as each.
	SendDigits(digits string, each time.Duration)
	// DetectDigits says whether digits are wanted, which turns detection in the audio on for a peer without RFC 4733.
	DetectDigits(on bool)

	// Attach gives the leg's events to sink from now on: the first of a leg that has none, or the call that takes the
	// party over from another one. It is told again of what lasts: that the leg is over, or held.
	Attach(sink Sink)

	// Join lets this party and other hear each other until Part or the end of either. Both are legs of one kind, or both
	// are MediaLegs; one that is joined already is parted first.
	Join(other Leg)
	// Part ends Join for both.
	Part()
}

// Rejecter is a Leg that can refuse an unanswered inbound call with any final SIP status and reason phrase; "" is the
// status's own phrase. A leg that is none is hung up with the cause nearest to the status.
type Rejecter interface {
	Reject(status int, reason string)
}

// Event is what happened on a leg: one of the types below.
type Event interface{ event() }

type (
	// Ringing: the party's phone rings. Early is set when the phone itself sends early media.
	Ringing struct{ Early bool }
	// Answered: the party is on the line, media may flow.
	Answered struct{}
	// Ended: the leg is over. Status is the final SIP status of an outbound leg that never answered, 0 otherwise.
	// Remote is set when the party itself ended it.
	Ended struct {
		Cause  Cause
		Status int
		Remote bool
	}
	// Digit: the party pressed a key (0-9, *, #, A-D); one event a key.
	Digit struct{ Key byte }
	// PlayEnded: the clips of Play with this token have all been played.
	PlayEnded struct{ Token int }
	// Held: the party put the call on hold, or took it back.
	Held struct{ On bool }
	// Transfer: the party asks to be replaced by Target, the user part or SIP URI of a REFER's Refer-To. Progress
	// must be called with the SIP status of the new leg as it becomes known (100, 180, 200, ...); the leg turns it
	// into NOTIFY (RFC 3515). Attended is set when it names a call with Replaces: then Target only serves the trail.
	Transfer struct {
		Target   string
		To       Destination // what the API asks for; the zero value for what Target says
		Attended *Dialog
		Progress func(status int)
	}
)

// Dialog is what Replaces names (RFC 3891): a leg, and the call that it is part of. The zero value is no dialog of the
// party's account.
type Dialog struct {
	Leg  Leg
	Call Sink
}

func (Ringing) event()   {}
func (Answered) event()  {}
func (Ended) event()     {}
func (Digit) event()     {}
func (PlayEnded) event() {}
func (Held) event()      {}
func (Transfer) event()  {}

// Sink takes the events of legs. Post never blocks; it may be called from any goroutine.
type Sink interface {
	Post(leg Leg, event Event)
}

// Party is a name and number as they are shown to the other side; either may be empty.
type Party struct{ Name, Number string }

// Target is one place that an outbound leg can ring.
type Target struct {
	AccountID string
	DeviceID  string // device it belongs to, "" for an address outside
	UserID    string // owner of the device, "" for none
	Name      string // for the log: "Ann Lee's phone"
	URI       string // Request-URI
	// Hop is where the packets go: the source of the phone's authenticated REGISTER, or the zero value to resolve
	// Route or URI through egress.
	Hop       netip.AddrPort
	Transport string   // "udp" or "tcp", "" for what URI says
	Route     []string // Route header values: the binding's Path (RFC 3327)
	Codecs    []string // allowed codecs in order of preference, empty for all
	Headers   map[string]string
	Realm     string // host of From
	Caller    Party  // who is calling, as this phone shows it
	Callee    Party
}

// Originator starts outbound legs.
type Originator interface {
	// Originate starts to ring target and returns at once; events go to sink, Ended too when the leg could not even be
	// started. The leg is never nil.
	Originate(callID string, target Target, sink Sink) Leg
}
