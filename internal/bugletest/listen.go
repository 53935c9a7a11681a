package bugletest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"bugle/internal/media"
)

// longestHeard is how much audio of one call is kept; the rest is still recognised.
const longestHeard = 10 * 60 * media.SampleRate

// ear records and recognises what a call hears.
type ear struct {
	listener *Listener
	done     chan struct{}

	mu  sync.Mutex
	pcm []int16
}

func newEar(c *PhoneCall, r *Recogniser) *ear {
	return &ear{done: make(chan struct{}), listener: r.Listen(func(h Hearing) {
		c.tell(Event{Kind: EventHeard, Heard: h, Remote: true})
	}, func(h Hearing) {
		if h.Hertz > 0 {
			c.tell(Event{Kind: EventToneOver, Heard: h, Remote: true})
		}
	})}
}

// Audio implements media.Recorder.
func (e *ear) Audio(said, _ []int16) {
	e.mu.Lock()
	if len(e.pcm) < longestHeard {
		e.pcm = append(e.pcm, said...)
	}
	e.mu.Unlock()
	e.listener.Write(said)
}

// Ended implements media.Recorder.
func (e *ear) Ended() {
	e.listener.Close()
	close(e.done)
}

// wait waits until everything was heard, for a time at most.
func (e *ear) wait(most time.Duration) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-e.done:
	case <-timer.C:
	}
}

func (e *ear) heard() []int16 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.pcm)
}

// toneClip is one second of a sine wave that can be looped without a seam.
func toneClip(hertz float64) *media.Clip {
	hertz = math.Round(hertz)
	pcm := make([]int16, media.SampleRate)
	for i := range pcm {
		pcm[i] = int16(5000 * math.Sin(2*math.Pi*hertz*float64(i)/media.SampleRate)) // about -13 dBm0
	}
	return media.NewClip(fmt.Sprintf("tone %.0f Hz", hertz), pcm)
}

// silence is what a phone says that says nothing.
var silence = sync.OnceValue(func() *media.Clip { return media.NewClip("silence", media.Silence(time.Second)) })

var errOver = errors.New("the call is over")

// whyOver tells how the call ended.
func (c *PhoneCall) whyOver() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, event := range c.events {
		if event.Kind == EventEnded {
			return fmt.Errorf("%w: %s", errOver, event)
		}
	}
	return errOver
}

// until waits until ready says so, which it may with an error. It is asked with mu held, again after every change.
func (c *PhoneCall) until(ctx context.Context, ready func() (bool, error)) error {
	for {
		c.mu.Lock()
		done, err := ready()
		changed := c.changed
		c.mu.Unlock()
		if done || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// find returns the first event of a kind; with mu held.
func (c *PhoneCall) find(kinds ...EventKind) (Event, bool) {
	i := slices.IndexFunc(c.events, func(e Event) bool { return slices.Contains(kinds, e.Kind) })
	if i < 0 {
		return Event{}, false
	}
	return c.events[i], true
}

// waitEvent waits for the first event of some kinds; a call that ends without is a *StatusError.
func (c *PhoneCall) waitEvent(ctx context.Context, kinds ...EventKind) (event Event, err error) {
	err = c.until(ctx, func() (bool, error) {
		var ok bool
		if event, ok = c.find(kinds...); ok {
			return true, nil
		}
		if ended, ok := c.find(EventEnded); ok {
			return false, &StatusError{Method: "INVITE", Status: ended.Status, Reason: ended.Text}
		}
		return false, nil
	})
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("waiting for %q: %w", kinds, err)
	}
	return event, err
}

// WaitRinging waits until the other side rings or the call is answered; a *StatusError when it is refused first.
func (c *PhoneCall) WaitRinging(ctx context.Context) error {
	_, err := c.waitEvent(ctx, EventRinging, EventProgress, EventAnswered)
	return err
}

// WaitAnswer waits until the call is answered; a *StatusError when it is refused.
func (c *PhoneCall) WaitAnswer(ctx context.Context) error {
	_, err := c.waitEvent(ctx, EventAnswered)
	return err
}

// Wait waits for the first event of a kind, from the beginning of the call; a call that ends without is a *StatusError.
func (c *PhoneCall) Wait(ctx context.Context, kind EventKind) (Event, error) {
	return c.waitEvent(ctx, kind)
}

// WaitEnd waits until the call is over and returns its last event.
func (c *PhoneCall) WaitEnd(ctx context.Context) (Event, error) { return c.waitEvent(ctx, EventEnded) }

// WaitHear waits until a clip of that name is recognised that no earlier WaitHear or WaitTone has passed. The error tells
// what was heard instead.
func (c *PhoneCall) WaitHear(ctx context.Context, name string) (Hearing, error) {
	if !c.phone.o.Recogniser.Knows(name) {
		return Hearing{}, invalid("WaitHear", "no clip is called %q, so it cannot be recognised", name)
	}
	return c.waitHearing(ctx, name, func(h Hearing) bool { return h.Is(name) })
}

// WaitTone waits like WaitHear for a tone of the given frequency.
func (c *PhoneCall) WaitTone(ctx context.Context, hertz float64) (Hearing, error) {
	return c.waitHearing(ctx, fmt.Sprintf("tone %.0f Hz", hertz), func(h Hearing) bool { return h.IsTone(hertz) })
}

// WaitToneOver waits until the newest tone of the given frequency has stopped.
func (c *PhoneCall) WaitToneOver(ctx context.Context, hertz float64) error {
	err := c.until(ctx, func() (bool, error) {
		last, known := EventHeard, false
		for _, e := range c.events {
			if (e.Kind == EventHeard || e.Kind == EventToneOver) && e.Heard.IsTone(hertz) {
				last, known = e.Kind, true
			}
		}
		return known && last == EventToneOver, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for the end of tone %.0f Hz: %w", hertz, err)
	}
	return nil
}

func (c *PhoneCall) waitHearing(ctx context.Context, what string, wanted func(Hearing) bool) (found Hearing, err error) {
	var instead []string
	err = c.until(ctx, func() (bool, error) {
		instead = instead[:0]
		for i, h := range c.hearings[c.passed:] {
			if wanted(h) {
				found = h
				c.passed += i + 1
				return true, nil
			}
			instead = append(instead, h.String())
		}
		if _, ok := c.find(EventEnded); ok {
			return false, errOver
		}
		return false, nil
	})
	if errors.Is(err, errOver) {
		err = c.whyOver()
	}
	if err != nil {
		heard := "nothing"
		if len(instead) > 0 {
			heard = strings.Join(instead, ", ")
		}
		err = fmt.Errorf("waiting to hear %s, heard %s: %w", what, heard, err)
	}
	return found, err
}

// WaitKeys waits until the other side has pressed exactly these keys since the last WaitKeys, and fails at the first that
// differs.
func (c *PhoneCall) WaitKeys(ctx context.Context, keys string) error {
	pressed := ""
	err := c.until(ctx, func() (bool, error) {
		pressed = c.keys[c.keysTaken:]
		if strings.HasPrefix(pressed, keys) {
			c.keysTaken += len(keys)
			return true, nil
		}
		if !strings.HasPrefix(keys, pressed) {
			return false, errors.New("other keys were pressed")
		}
		if _, ok := c.find(EventEnded); ok {
			return false, errOver
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for keys %q, came %q: %w", keys, pressed, err)
	}
	return nil
}
