package call

import (
	"context"
	"strings"

	"bugle/internal/media"
)

// PlayOptions say how Play plays.
type PlayOptions struct {
	Terminators string // keys that end it; others are kept for Collect. "": none
	Loop        bool   // again and again, until a terminator or the end of the call
}

// AnyKey are the Terminators that every key is one of.
const AnyKey = "0123456789*#ABCD"

// Play plays clips to the caller and waits until they have been played. An unanswered caller hears them as early media.
// It returns the terminator that ended it, 0 when none did. Keys that were typed ahead do not end it: they are Collect's.
func (c *Call) Play(ctx context.Context, clips []*media.Clip, options PlayOptions) (key byte, err error) {
	op := &playing{clips: clips, options: options}
	err = c.ask(ctx, op)
	return op.key, err
}

type playing struct {
	outcome
	clips   []*media.Clip
	options PlayOptions
	token   int
	key     byte
}

func (o *playing) begin(c *Call) {
	if len(o.clips) == 0 {
		c.complete(nil)
		return
	}
	c.settleReferral(200)
	if o.options.Terminators != "" {
		c.detect(true)
	}
	o.token = c.play(o.clips, o.options.Loop)
}

func (o *playing) onEvent(c *Call, p *party, e Event) {
	switch e := e.(type) {
	case PlayEnded:
		if p == c.caller && e.Token == o.token {
			o.token = 0
			c.complete(nil)
		}
	case Digit:
		if p == c.caller && strings.IndexByte(o.options.Terminators, e.Key) >= 0 {
			o.key = e.Key
			c.typed = c.typed[:max(len(c.typed)-1, 0)] // it has done its work
			c.complete(nil)
		}
	}
}

func (o *playing) release(c *Call) {
	if o.token != 0 && !c.ended {
		c.caller.leg.StopPlay()
	}
}

func (o *playing) cut(c *Call) bool {
	c.complete(nil)
	return true
}

// play starts to play to the caller and returns the token.
func (c *Call) play(clips []*media.Clip, loop bool) int {
	c.hear()
	c.token++
	c.caller.leg.Play(c.token, clips, loop)
	return c.token
}
