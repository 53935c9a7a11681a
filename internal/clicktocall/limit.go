package clicktocall

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits are what anonymous callers may ask for in a minute; a field that is 0 has the default.
type Limits struct {
	PerAddress  int // 5; an IPv6 network of 64 bits counts as an address
	PerEndpoint int // 30
}

// maxLimiters is how many limiters a generation holds. One that was not asked for while a whole generation filled up is
// forgotten, which nobody brings about without as many addresses.
const maxLimiters = 20_000

type limiters struct {
	mu         sync.Mutex
	perMinute  int
	young, old map[string]*rate.Limiter
}

func newLimiters(perMinute int) *limiters {
	return &limiters{perMinute: perMinute, young: map[string]*rate.Limiter{}}
}

func (l *limiters) of(key string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := l.young[key]
	if found == nil {
		if found = l.old[key]; found == nil {
			found = rate.NewLimiter(rate.Limit(float64(l.perMinute)/60), l.perMinute)
		}
		if len(l.young) >= maxLimiters {
			l.old, l.young = l.young, map[string]*rate.Limiter{}
		}
		l.young[key] = found
	}
	return found
}

// take counts an attempt. When there may be none now it returns when, else the function that takes the count back.
func (l *limiters) take(key string, now time.Time) (retry time.Duration, giveBack func()) {
	r := l.of(key).ReserveN(now, 1)
	if wait := r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		return wait, nil
	}
	return 0, func() { r.CancelAt(now) }
}

// network is what stands for a client where clients are counted.
func network(client netip.Addr) string {
	if client.Is6() && !client.Is4In6() {
		if p, err := client.WithZone("").Prefix(64); err == nil {
			return p.String()
		}
	}
	return client.Unmap().String()
}
