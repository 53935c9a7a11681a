package sip

import "time"

// Clock is where the stack gets the time and its alarms from. Tests set it.
type Clock interface {
	// Now returns the current time.
	Now() time.Time
	// AfterFunc calls f once, on any goroutine, when d has passed.
	AfterFunc(d time.Duration, f func()) Timer
}

// Timer is one alarm of a Clock.
type Timer interface {
	// Stop cancels the alarm; it reports whether the alarm had still been pending.
	Stop() bool
}

// SystemClock is the machine's clock.
type SystemClock struct{}

// Now returns time.Now.
func (SystemClock) Now() time.Time { return time.Now() }

// AfterFunc is time.AfterFunc.
func (SystemClock) AfterFunc(d time.Duration, f func()) Timer { return time.AfterFunc(d, f) }
