package call

import "time"

// Clock is where calls get the time and their alarms from. The simulator sets it.
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

// Activity is told when there is work to do and when it is done, so that a virtual clock knows when nothing can happen
// any more without time passing. Begin and End are called in pairs, from any goroutine.
type Activity interface {
	Begin()
	End()
}

type noActivity struct{}

func (noActivity) Begin() {}
func (noActivity) End()   {}
