package webhook

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"bugle/internal/store"
)

// KeepPaused is how long a delivery is kept behind a pause before it is given up; it may be sent again after that.
const KeepPaused = 35 * 24 * time.Hour

// Policy says how the endpoints of one kind are delivered to.
type Policy struct {
	Timeout    time.Duration // of a whole attempt
	Concurrent int           // attempts at once for one endpoint; one whose last attempt failed gets one
	// Plain allows http: to public addresses.
	Plain bool
	// Success reports whether an answer means that the delivery was taken.
	Success func(method string, status int) bool
	// Again is the pause before the attempt that follows so many of this round, or false when there is none.
	Again func(target Target, tries int, a Answer) (time.Duration, bool)
	// Jitter is the part of a pause that it may be longer or shorter by: 0.2.
	Jitter float64
	// GiveUp is how long a delivery is tried, however few attempts there were; 0: for ever.
	GiveUp time.Duration
	// MaxRetryAfter bounds what a receiver asks for with 429 or 503; 0: it is not asked.
	MaxRetryAfter time.Duration
	// BlacklistAfter is how long nothing but failure is borne; 0: for ever. A blacklisted endpoint is probed every ProbeEvery. One
	// that answers 410 Gone is blacklisted at once.
	BlacklistAfter, ProbeEvery time.Duration
	// DisableFailures attempts that fail within DisableWithin tell the owner Disabled; 0: never.
	DisableFailures int
	DisableWithin   time.Duration
}

// Target is how an endpoint is reached at one attempt, beside what is stored with the delivery.
type Target struct {
	Header  [][2]string // such as Verification-Token
	Secrets [][]byte    // each gives a signature; with none there are no headers of Standard Webhooks
	Tries   int         // for policies that let the endpoint say how many
}

// What an Owner answers for an endpoint that nothing is delivered to.
var (
	ErrGone = errors.New("the endpoint is gone") // what waits is dropped
	ErrOff  = errors.New("it is switched off")   // what waits is given up, and may be sent again later
)

// Transition is what an owner is told of an endpoint.
type Transition string

// The transitions.
const (
	Blacklisted Transition = "blacklisted" // nothing but failure for BlacklistAfter, or 410
	Recovered   Transition = "recovered"   // a probe succeeded; what waits is delivered
	Disabled    Transition = "disabled"    // DisableFailures within DisableWithin
	GoneAway    Transition = "gone"        // the receiver answered 410, and the policy blacklists nobody
)

// Owner answers for the endpoints of one kind. Its methods may be called at once, and more than once for the same thing.
type Owner interface {
	// Target is asked before each attempt. ErrGone and ErrOff are final; another error puts the attempt off.
	Target(ctx context.Context, e store.HookEndpoint) (Target, error)
	// Probe asks a blacklisted endpoint whether it is well.
	Probe(ctx context.Context, e store.HookEndpoint) error
	// Tell hears of a transition.
	Tell(ctx context.Context, e store.HookEndpoint, t Transition)
}

// Kind is what an Engine knows of one kind of endpoint.
type Kind struct {
	Policy Policy
	Owner  Owner
}

// ringCentral are when a delivery is attempted, after its first attempt.
var ringCentral = func() []time.Duration {
	at := []time.Duration{0, time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute,
		15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour}
	for next := at[len(at)-1] + 6*time.Hour; next <= 72*time.Hour; next += 6 * time.Hour {
		at = append(at, next)
	}
	return at
}()

// RingCentral is the policy of directory subscriptions: 72 hours of attempts, blacklisting after ten minutes of nothing but
// failure, https only outside of the operator's networks, any 2xx within three seconds.
func RingCentral() Policy {
	return Policy{Timeout: 3 * time.Second, Concurrent: 4, Jitter: 0.2, GiveUp: 72 * time.Hour, MaxRetryAfter: time.Hour,
		BlacklistAfter: 10 * time.Minute, ProbeEvery: 15 * time.Minute,
		Success: func(_ string, status int) bool { return status >= 200 && status < 300 },
		Again: func(_ Target, tries int, _ Answer) (time.Duration, bool) {
			if tries >= len(ringCentral) {
				return 0, false
			}
			return ringCentral[tries] - ringCentral[tries-1], true
		}}
}

// Kazoo is the policy of KAZOO's webhooks: the document says how many tries there are in all; after six failures within a
// minute the owner switches the webhook off.
func Kazoo() Policy {
	return Policy{Timeout: 20 * time.Second, Concurrent: 4, Plain: true, MaxRetryAfter: time.Minute,
		DisableFailures: 6, DisableWithin: time.Minute,
		Success: func(method string, status int) bool {
			return status == http.StatusOK || method == http.MethodPut && status == http.StatusCreated
		},
		Again: func(target Target, tries int, a Answer) (time.Duration, bool) {
			if tries >= target.Tries || a.Refused {
				return 0, false
			}
			switch {
			case a.Status == 0: // as KAZOO does
				return 2 * time.Second, true
			case a.Status == http.StatusTooManyRequests, a.Status >= 500: // which KAZOO loses
				return 2 * time.Second << (tries - 1), true
			}
			return 0, false
		}}
}

// jittered is a pause made up to so much longer or shorter.
func jittered(pause time.Duration, jitter float64) time.Duration {
	return time.Duration(float64(pause) * (1 + jitter*(2*rand.Float64()-1)))
}

// retryAfter is how long a receiver asks to be left alone (RFC 9110 §10.2.3), at most bound.
func retryAfter(a Answer, now time.Time, bound time.Duration) time.Duration {
	if a.Status != http.StatusTooManyRequests && a.Status != http.StatusServiceUnavailable {
		return 0
	}
	given := a.Header.Get("Retry-After")
	wait := time.Duration(0)
	if seconds, err := strconv.ParseUint(given, 10, 31); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(given); err == nil {
		wait = at.Sub(now)
	}
	return max(0, min(wait, bound))
}
