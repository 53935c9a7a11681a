package call

import (
	"context"
	"errors"
	"time"

	"bugle"
)

// ErrEnded is what requests return when the call is over, or ends while they wait.
var ErrEnded = errors.New("the call is over")

var errBusy = &bugle.Error{Op: "call.ask", Kind: bugle.KindInternal, Message: "a call takes one request at a time"}

// operation is a request of the flow goroutine that takes time. The loop owns it from begin until it is completed.
type operation interface {
	Event
	begin(c *Call)
	// onEvent is told of every event of the call's legs, after the call itself has taken note of it.
	onEvent(c *Call, p *party, e Event)
	// release lets go of alarms and audio; the operation is about to be completed.
	release(c *Call)
	base() *outcome
}

// outcome is the part of an operation that the flow goroutine reads once it is completed.
type outcome struct{ err error }

func (o *outcome) event()                       {}
func (o *outcome) base() *outcome               { return o }
func (o *outcome) onEvent(*Call, *party, Event) {}
func (o *outcome) release(*Call)                {}

// ask has the loop carry an operation out and waits until it is completed.
func (c *Call) ask(ctx context.Context, op operation) error {
	switch {
	case c.ctx.Err() != nil:
		return ErrEnded
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	if !c.asking.CompareAndSwap(false, true) {
		return errBusy
	}
	defer c.asking.Store(false)
	if !c.post(item{event: op}) {
		return ErrEnded
	}
	if ctx != c.ctx {
		defer context.AfterFunc(ctx, func() {
			c.do(func() {
				if c.op == op {
					c.complete(context.Cause(ctx))
				}
			})
		})()
	}
	c.activity.End()
	<-c.wake
	return op.base().err
}

// begin starts an operation. Runs on the loop, as everything below.
func (c *Call) begin(op operation) {
	c.op = op
	if c.ended {
		c.complete(ErrEnded)
		return
	}
	if c.moved.Load() != nil { // the flow has yet to see it
		c.complete(ErrMoved)
		return
	}
	op.begin(c)
}

// complete ends the current operation and lets the flow go on.
func (c *Call) complete(err error) {
	op := c.op
	if op == nil {
		return
	}
	c.op = nil
	op.base().err = err
	defer func() {
		c.activity.Begin()
		c.wake <- struct{}{}
	}()
	op.release(c)
}

// alarm is a timer of the loop: after stop it does nothing, even when it had already been posted.
type alarm struct {
	timer Timer
	off   bool
}

func (c *Call) after(d time.Duration, f func()) *alarm {
	a := &alarm{}
	ring := func() {
		if !a.off {
			a.off = true
			f()
		}
	}
	a.timer = c.clock.AfterFunc(max(d, 0), func() { c.do(ring) })
	return a
}

func (a *alarm) stop() {
	if a != nil && !a.off {
		a.off = true
		a.timer.Stop()
	}
}
