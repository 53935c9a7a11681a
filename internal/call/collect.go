package call

import (
	"context"
	"strings"
	"time"

	"bugle/internal/media"
)

// CollectOptions say which keys to wait for.
type CollectOptions struct {
	// Prompts are played first. The first key cuts them, and a key that was typed ahead keeps them from being played.
	Prompts     []*media.Clip
	Max         int           // keys after which it ends at once; 0: no limit
	Terminators string        // keys that end it and are not among the digits; "": none
	First       time.Duration // wait for the first key after the prompts
	Between     time.Duration // wait for each further key
	Secret      bool          // the digits are a secret: the trail does not have them
}

// Collected is what Collect heard.
type Collected struct {
	Digits     string
	Terminator byte // the terminator that ended it, 0 when it was silence or Max
	Full       bool // Max ended it
}

// Collect waits for keys of the caller. Keys that were typed since the last Collect or Flush count.
func (c *Call) Collect(ctx context.Context, options CollectOptions) (Collected, error) {
	op := &collecting{options: options}
	err := c.ask(ctx, op)
	return op.collected, err
}

// Flush forgets the keys that were typed ahead.
func (c *Call) Flush() { c.do(func() { c.typed = c.typed[:0] }) }

type collecting struct {
	outcome
	options   CollectOptions
	collected Collected
	digits    []byte
	token     int // of the prompts while they play
	alarm     *alarm
}

func (o *collecting) begin(c *Call) {
	c.settleReferral(200)
	c.detect(true)
	switch {
	case len(c.typed) > 0:
		o.take(c)
	case len(o.options.Prompts) > 0:
		o.token = c.play(o.options.Prompts, false)
	default:
		o.wait(c, o.options.First)
	}
}

func (o *collecting) onEvent(c *Call, p *party, e Event) {
	if p != c.caller {
		return
	}
	switch e := e.(type) {
	case PlayEnded:
		if o.token != 0 && e.Token == o.token {
			o.token = 0
			o.wait(c, o.options.First)
		}
	case Digit:
		if o.token != 0 {
			o.token = 0
			c.caller.leg.StopPlay()
		}
		o.take(c)
	}
}

func (o *collecting) cut(c *Call) bool {
	if o.token == 0 {
		return false
	}
	o.token = 0
	c.caller.leg.StopPlay()
	o.wait(c, o.options.First)
	return true
}

// take moves typed keys to the digits until it ends or there are none.
func (o *collecting) take(c *Call) {
	for i, key := range c.typed {
		if strings.IndexByte(o.options.Terminators, key) >= 0 {
			o.collected.Terminator = key
			o.finish(c, i+1)
			return
		}
		o.digits = append(o.digits, key)
		if o.options.Max > 0 && len(o.digits) >= o.options.Max {
			o.collected.Full = true
			o.finish(c, i+1)
			return
		}
	}
	c.typed = c.typed[:0]
	o.wait(c, o.options.Between)
}

func (o *collecting) finish(c *Call, used int) {
	c.typed = append(c.typed[:0], c.typed[used:]...)
	o.done(c)
}

func (o *collecting) wait(c *Call, d time.Duration) {
	o.alarm.stop()
	o.alarm = c.after(d, func() { o.done(c) })
}

func (o *collecting) done(c *Call) {
	o.collected.Digits = string(o.digits)
	said := o.collected.Digits
	if o.options.Secret {
		said = strings.Repeat("•", len(said))
	}
	if o.collected.Terminator != 0 {
		said += string(rune(o.collected.Terminator))
	}
	if said == "" {
		said = "nothing"
	}
	c.note("keys", said)
	c.complete(nil)
}

func (o *collecting) release(c *Call) {
	o.alarm.stop()
	if o.token != 0 && !c.ended {
		c.caller.leg.StopPlay()
	}
}
