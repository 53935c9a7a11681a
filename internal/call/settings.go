package call

import (
	"log/slog"
	"time"

	"bugle/internal/media"
)

// The limits that hold where Settings say nothing.
const (
	DefaultLimit = 6 * time.Hour // longest call
	DefaultInbox = 256           // events of legs that wait for a call's loop
	maxTypeAhead = 128           // keys that nobody has asked for yet; later ones are dropped
	maxTrail     = 300           // steps that a trail keeps
)

// Settings are what all calls of a process share. They are not changed once a call has been made with them.
type Settings struct {
	Originator Originator    // starts outbound legs
	Loopbacks  Loopbacks     // makes the audio of calls that bugle starts itself; nil: it starts none
	Registry   *Registry     // nil: calls are not listed and not counted
	Clock      Clock         // nil: the system's
	Log        *slog.Logger  // nil: nothing is logged
	Limit      time.Duration // longest call; 0: DefaultLimit
	Inbox      int           // events of legs that may wait for a call's loop; one more ends the call; 0: DefaultInbox
	// Ringback is played in a loop to a caller who cannot be sent 180 any more, because he is already answered.
	Ringback []*media.Clip
	// HoldMusic says what a party hears whom the other one has put on hold; nil: HoldTone. It may take time.
	HoldMusic HoldMusic
	// HoldTone is played in a loop where HoldMusic has nothing to play, so that who is held knows that the call goes on.
	HoldTone []*media.Clip
	// Busy is what a party hears for whom nobody else can be reached, before it is hung up.
	Busy []*media.Clip
	// OnEnd is told of every call when it is over, on the call's last goroutine: it must not block for long.
	OnEnd func(Report)
	// OnStep is told of each step of a call's trail as it happens, on the call's loop or flow: it must not block. nil: nobody.
	OnStep func(callID string, step Step)
	// OnLeg is told of each moment of each leg, on the call's loop: it must not block. nil: nobody.
	OnLeg func(LegReport)
	// OnPanic counts what a loop, a flow or a module panicked with. The call has ended or gone on by then.
	OnPanic  func(any)
	Activity Activity // nil: nobody asks
}

// About says whose call it is. The callflow engine fills it from documents.
type About struct {
	ID        string // Call-ID of the inbound leg; logs name the call by it
	AccountID string
	DeviceID  string // device that calls, "" for none
	UserID    string // its owner, "" for none
	Realm     string
	Dialed    string // as the phone dialled it
	Caller    Party
	// Origin is set for a call that bugle has started itself. It is shared: nobody writes to it.
	Origin *Origin
}

// Origin says on whose behalf bugle has started a call.
type Origin struct {
	ID         string            // of the document that lets it happen
	Type       string            // of that document: "clicktocall", "user", "device"
	Variables  map[string]string // custom application variables
	PresenceID string            // "" for none
}

// Step is one entry of a call's trail, which explains the call to its caller.
type Step struct {
	At     time.Time
	Name   string // "answered", "node", "rings", "bridged", ...
	Detail string
}

// Fault says whose failure a failed call was.
type Fault string

// The faults of a Report.
const (
	NoFault            Fault = ""              // the call did what it was meant to do
	OurFault           Fault = "ours"          // a defect or an overload of this program
	PeerFault          Fault = "peer"          // who was called did not take the call
	CallerFault        Fault = "caller"        // the caller gave up or dialled what cannot be dialled
	ConfigurationFault Fault = "configuration" // no flow, a flow that leads nowhere
)

// Info is what a call looks like from outside. It is a copy: it does not change.
type Info struct {
	About
	Number   string // normalised number, once it is known
	Flow     string // id of the callflow that is being run
	Started  time.Time
	Answered time.Time // zero: the caller was not answered yet
	Bridged  time.Time // zero: not talking to anybody
	Legs     []LegInfo // the caller first, then those that are rung or talked to
}

// LegInfo is one leg of a call.
type LegInfo struct {
	ID       string // Call-ID
	Inbound  bool   // from the party to bugle
	DeviceID string
	UserID   string
	Name     string
	Number   string
	Answered bool
	Held     bool
	Other    string // Call-ID of the leg it is joined with, "" for none
	Started  time.Time
}

// Report is told when a call is over.
type Report struct {
	Info
	Ended  time.Time
	Cause  Cause
	Status int  // SIP status the caller was refused with, 0 when the caller had been answered or had hung up
	Remote bool // a party ended it, not bugle
	Fault  Fault
	Peer   LegInfo // who the caller talked to last; its ID is "" when that was nobody
	Trail  []Step
}
