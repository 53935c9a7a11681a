package call

import (
	"context"
	"time"
)

// Answer accepts the call and waits until media flows. It returns at once when the caller has been answered before.
func (c *Call) Answer(ctx context.Context) error { return c.ask(ctx, &answering{}) }

type answering struct{ outcome }

func (o *answering) begin(c *Call) {
	c.settleReferral(200)
	if c.caller.answered {
		c.complete(nil)
		return
	}
	c.caller.leg.Answer()
}

func (o *answering) onEvent(c *Call, p *party, e Event) {
	if _, ok := e.(Answered); ok && p == c.caller {
		c.complete(nil)
	}
}

// Progress opens early media to an unanswered caller. Play and Collect do so themselves.
func (c *Call) Progress() {
	c.do(func() {
		if !c.ended {
			c.hear()
		}
	})
}

// Ring tells an unanswered caller that somebody is being rung.
func (c *Call) Ring() {
	c.do(func() {
		if !c.ended && !c.caller.answered {
			c.caller.leg.Ring()
		}
	})
}

// Sleep waits.
func (c *Call) Sleep(ctx context.Context, d time.Duration) error {
	return c.ask(ctx, &sleeping{duration: d})
}

type sleeping struct {
	outcome
	duration time.Duration
	alarm    *alarm
}

func (o *sleeping) begin(c *Call)   { o.alarm = c.after(o.duration, func() { c.complete(nil) }) }
func (o *sleeping) release(c *Call) { o.alarm.stop() }

// WaitForHangup waits until the call is over, and then returns ErrEnded.
func (c *Call) WaitForHangup(ctx context.Context) error { return c.ask(ctx, &waiting{}) }

type waiting struct{ outcome }

func (o *waiting) begin(*Call) {}

// Hangup ends the call, from outside the flow: the API, a limit. "" is NORMAL_CLEARING.
func (c *Call) Hangup(cause Cause) {
	if cause == "" {
		cause = NormalClearing
	}
	c.do(func() { c.end(cause, NoFault) })
}

// Reject ends the call. An unanswered caller is told a final SIP status of 300 or above and a reason phrase, "" for the
// status's own.
func (c *Call) Reject(ctx context.Context, status int, reason string) {
	_ = c.ask(ctx, &rejecting{status: status, reason: reason}) // ErrEnded is the outcome
}

type rejecting struct {
	outcome
	status int
	reason string
}

func (o *rejecting) begin(c *Call) {
	cause := CauseOf(o.status)
	if c.caller.answered {
		cause = NormalClearing
	} else {
		c.rejectStatus, c.rejectReason = o.status, o.reason
	}
	c.end(cause, NoFault)
}

// Note adds a step to the call's trail and logs it. detail holds no secret.
func (c *Call) Note(name, detail string) { c.do(func() { c.note(name, detail) }) }

// Describe says which number and callflow the call is for, as its Info shows.
func (c *Call) Describe(number, flow string, caller Party) {
	c.do(func() {
		c.number, c.flow, c.about.Caller = number, flow, caller
		c.tell(c.caller, LegCreated, "")
		c.changed()
	})
}

// Answered reports whether the caller has been answered.
func (c *Call) Answered(ctx context.Context) bool {
	var answered bool
	op := &looking{look: func() { answered = c.caller.answered }}
	return c.ask(ctx, op) == nil && answered
}

type looking struct {
	outcome
	look func()
}

func (o *looking) begin(c *Call) {
	o.look()
	c.complete(nil)
}

// Now is the time on the call's clock.
func (c *Call) Now() time.Time { return c.clock.Now() }
