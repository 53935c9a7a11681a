package call

import (
	"time"

	"bugle/internal/media"
)

// Strategy says in which order Dial rings endpoints.
type Strategy uint8

// The strategies of Dial.
const (
	Simultaneous Strategy = iota // all at once, each after its delay
	Single                       // one after the other
)

// Endpoint is one phone, or one address, to ring: all of its targets at once.
type Endpoint struct {
	Name    string // for trail and log: "Ann Lee's phone"
	Targets []Target
	Delay   time.Duration // wait before it is rung
	Timeout time.Duration // longest ringing; 0: DialOptions.Timeout alone counts
}

// DialOptions say how Dial rings.
type DialOptions struct {
	Strategy Strategy
	Timeout  time.Duration // longest ringing of each endpoint that has no Timeout of its own; 0: 20 s
	Ringback []*media.Clip // what the caller hears instead of 180 or the ordinary ring-back tone
	// IgnoreEarlyMedia keeps a ringing phone's own audio from the caller. It is kept from him anyway when more than one
	// phone rings.
	IgnoreEarlyMedia bool
	// FailOnSingleReject ends all ringing when one phone is busy or rejects the call.
	FailOnSingleReject bool
}

// DialResult is what came of Dial.
type DialResult struct {
	Answered bool
	Target   Target // who answered
	Talk     time.Duration
	// Cause and Status are those of the last leg that failed, for a call that nobody answered. Status is 0 when no SIP
	// response came of it: a phone that is not registered, or rang for too long.
	Cause  Cause
	Status int
}
