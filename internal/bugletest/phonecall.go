package bugletest

import (
	"context"
	"fmt"
	"io"
	"time"

	"bugle/internal/media"
)

// StatusError is a SIP request that was refused.
type StatusError struct {
	Method string
	Status int // 408 also when nothing came back at all
	Reason string
}

// Error reads "INVITE: 486 Busy Here".
func (e *StatusError) Error() string { return fmt.Sprintf("%s: %d %s", e.Method, e.Status, e.Reason) }

// PhoneCall is one call of a phone, from either side. Its methods may be called from any goroutine.
type PhoneCall struct{}

// ID is the call's Call-ID.
func (c *PhoneCall) ID() string { return "" }

// Incoming tells whether the other side called.
func (c *PhoneCall) Incoming() bool { return false }

// Remote is the other side as it is shown: display name and user part of its address.
func (c *PhoneCall) Remote() (name, number string) { return "", "" }

// Dialled is the user part of the URI that was called.
func (c *PhoneCall) Dialled() string { return "" }

// Ring sends 180 on an incoming call.
func (c *PhoneCall) Ring() error { return nil }

// Answer accepts an incoming call.
func (c *PhoneCall) Answer(ctx context.Context) error { return nil }

// Reject refuses an incoming call with a final status, 300 to 699.
func (c *PhoneCall) Reject(status int) error { return nil }

// Hangup ends the call by what its state allows: CANCEL, a final response, or BYE. It returns when the call is over.
func (c *PhoneCall) Hangup(ctx context.Context) error { return nil }

// Press presses keys one after the other: 0-9, *, #, A-D. It returns when the last has been sent.
func (c *PhoneCall) Press(ctx context.Context, keys string) error { return nil }

// PressBy is Press by the given means, whatever the phone's own are.
func (c *PhoneCall) PressBy(ctx context.Context, mode KeyMode, keys string) error { return nil }

// Say plays a clip to the other side, over and over with loop, in place of what was being said.
func (c *PhoneCall) Say(clip *media.Clip, loop bool) {}

// SayTone says a tone until Quiet or something else is said.
func (c *PhoneCall) SayTone(hertz float64) {}

// Quiet says nothing more.
func (c *PhoneCall) Quiet() {}

// Hold puts the other side on hold, Resume takes it back.
func (c *PhoneCall) Hold(ctx context.Context) error { return nil }

// Resume takes the other side back after Hold.
func (c *PhoneCall) Resume(ctx context.Context) error { return nil }

// WaitRinging waits until the other side rings or the call is answered; a *StatusError when it is refused first.
func (c *PhoneCall) WaitRinging(ctx context.Context) error { return nil }

// WaitAnswer waits until the call is answered; a *StatusError when it is refused.
func (c *PhoneCall) WaitAnswer(ctx context.Context) error { return nil }

// WaitHear waits until a clip of that name is recognised that no earlier WaitHear or WaitTone has passed. The error tells
// what was heard instead.
func (c *PhoneCall) WaitHear(ctx context.Context, name string) (Hearing, error) {
	return Hearing{}, nil
}

// WaitTone waits like WaitHear for a tone of the given frequency.
func (c *PhoneCall) WaitTone(ctx context.Context, hertz float64) (Hearing, error) {
	return Hearing{}, nil
}

// WaitKeys waits until the other side has pressed exactly these keys since the last WaitKeys, and fails at the first that
// differs.
func (c *PhoneCall) WaitKeys(ctx context.Context, keys string) error { return nil }

// Wait waits for the first event of a kind, from the beginning of the call.
func (c *PhoneCall) Wait(ctx context.Context, kind EventKind) (Event, error) { return Event{}, nil }

// WaitEnd waits until the call is over and returns its last event.
func (c *PhoneCall) WaitEnd(ctx context.Context) (Event, error) { return Event{}, nil }

// Done is closed when the call is over.
func (c *PhoneCall) Done() <-chan struct{} { return nil }

// Events are the events so far, in order.
func (c *PhoneCall) Events() []Event { return nil }

// Heard is the audio that has come in so far, 8 kHz, silence where packets were lost.
func (c *PhoneCall) Heard() []int16 { return nil }

// HeardLength is the length of Heard.
func (c *PhoneCall) HeardLength() time.Duration { return 0 }

// WriteWAV writes Heard as a WAV file.
func (c *PhoneCall) WriteWAV(w io.Writer) error { return nil }
