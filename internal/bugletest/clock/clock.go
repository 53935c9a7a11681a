// Package clock is a clock for tests: it stands still until it is told how much time passes.
package clock

import (
	"slices"
	"sync"
	"time"
)

// Clock stands still until Advance. It is safe for concurrent use.
type Clock struct {
	mu     sync.Mutex
	now    time.Time
	alarms []*Alarm // in the order in which they were set
}

// New returns a clock that stands at start.
func New(start time.Time) *Clock { return &Clock{now: start} }

// Now is the time that the clock stands at.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Alarm is one call that AfterFunc planned.
type Alarm struct {
	clock *Clock
	at    time.Time
	f     func()
}

// AfterFunc has f called by the Advance that reaches d from now.
func (c *Clock) AfterFunc(d time.Duration, f func()) *Alarm {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := &Alarm{c, c.now.Add(d), f}
	c.alarms = append(c.alarms, a)
	return a
}

// Stop cancels the alarm; it reports whether the alarm had still been pending.
func (a *Alarm) Stop() bool {
	a.clock.mu.Lock()
	defer a.clock.mu.Unlock()
	return a.clock.remove(a)
}

func (c *Clock) remove(a *Alarm) bool {
	i := slices.Index(c.alarms, a)
	if i >= 0 {
		c.alarms = slices.Delete(c.alarms, i, i+1)
	}
	return i >= 0
}

// Advance lets d pass. What falls due is called on this goroutine, in order of its time and, of one time, of its setting; also
// what such a call sets.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for end := c.now.Add(d); ; {
		var next *Alarm
		for _, a := range c.alarms {
			if !a.at.After(end) && (next == nil || a.at.Before(next.at)) {
				next = a
			}
		}
		if next == nil {
			c.now = end
			return
		}
		c.remove(next)
		if next.at.After(c.now) {
			c.now = next.at
		}
		c.ring(next)
	}
}

// ring calls an alarm's function without the lock, which is held again afterwards also when it panics.
func (c *Clock) ring(a *Alarm) {
	c.mu.Unlock()
	defer c.mu.Lock()
	a.f()
}

// Pending lists how long it is until each alarm, in the order in which they were set.
func (c *Clock) Pending() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	waits := make([]time.Duration, len(c.alarms))
	for i, a := range c.alarms {
		waits[i] = a.at.Sub(c.now)
	}
	return waits
}
