package bugletest

import (
	"fmt"
	"strings"
	"time"
)

// EventKind says what happened on a call.
type EventKind string

const (
	EventDialled   EventKind = "dialled"   // the phone sent INVITE; Text is the number
	EventInvited   EventKind = "invited"   // an INVITE came in; Text is who calls
	EventRinging   EventKind = "ringing"   // 180 came, or was sent
	EventProgress  EventKind = "progress"  // 183 with early media
	EventAnswered  EventKind = "answered"  // 200 came, or was sent
	EventPressed   EventKind = "pressed"   // keys were pressed here; Text are the keys
	EventKey       EventKind = "key"       // the other side pressed a key; Text is the key
	EventHeard     EventKind = "heard"     // a clip or a tone was recognised: Hearing
	EventToneOver  EventKind = "tone over" // a tone that was recognised has stopped: Hearing
	EventHeld      EventKind = "held"      // the other side put the call on hold
	EventResumed   EventKind = "resumed"   // the other side took the call back
	EventEnded     EventKind = "ended"     // the call is over: Status, Remote
	EventRefreshed EventKind = "refreshed" // the other side sent a re-INVITE or UPDATE that changed nothing
)

// Event is one thing that happened on a call.
type Event struct {
	At   time.Time
	Kind EventKind
	Text string
	// Status is the SIP status of the event, where there is one; for EventEnded the final status of a call that was
	// never answered, 200 for one that was.
	Status int
	Remote bool // the other side did it
	Heard  Hearing
}

// String is the event in a few words, without its time.
func (e Event) String() string {
	side := "here"
	if e.Remote {
		side = "there"
	}
	switch e.Kind {
	case EventHeard:
		return "heard " + e.Heard.String()
	case EventEnded:
		return strings.TrimSpace(fmt.Sprintf("ended %s: %d %s", side, e.Status, e.Text))
	case EventToneOver:
		return fmt.Sprintf("%s was over after %.1f s", e.Heard, e.Heard.Length.Seconds())
	case EventHeld:
		return "put on hold (" + e.Text + ")"
	case EventResumed:
		return "taken back from hold (" + e.Text + ")"
	case EventKey:
		return "the other side pressed " + e.Text
	case EventInvited:
		return "called by " + e.Text
	case EventRinging, EventProgress, EventAnswered:
		return fmt.Sprintf("%s %s (%d)", e.Kind, side, e.Status)
	}
	if e.Text == "" {
		return string(e.Kind)
	}
	return string(e.Kind) + " " + e.Text
}
