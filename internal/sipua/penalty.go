package sipua

import (
	"net/netip"
	"sync"
	"time"
)

const (
	penaltyFailures = 10              // wrong responses within penaltyWindow that close a pair
	penaltyDelayed  = 5               // from the one after this on, answers are held back
	penaltyWindow   = time.Minute     //
	penaltyRefused  = 5 * time.Minute // how long a pair stays closed
	penaltyDelay    = 2 * time.Second // how long an answer is held back
	maxPenalties    = 1 << 14         // pairs that are remembered
)

// penalties counts wrong digest responses by user and source address. Only that pair is ever delayed or refused: other
// users at the address and the user at other addresses are not touched, and a request without credentials counts for
// nothing.
type penalties struct {
	now   func() time.Time
	mu    sync.Mutex
	pairs map[penaltyKey]*penalty
}

type penaltyKey struct {
	user string // name@realm
	addr netip.Addr
}

type penalty struct {
	failed [penaltyFailures]int64 // when the last wrong responses came, Unix nanoseconds, in a ring
	next   int                    // place of the oldest
	closed time.Time              // refused until then
}

// recent counts the failures within penaltyWindow.
func (e *penalty) recent(now time.Time) (n int) {
	from := now.Add(-penaltyWindow).UnixNano()
	for _, at := range e.failed {
		if at > from {
			n++
		}
	}
	return n
}

func newPenalties(now func() time.Time) *penalties {
	return &penalties{now: now, pairs: map[penaltyKey]*penalty{}}
}

// refused says whether the pair is closed now.
func (p *penalties) refused(key penaltyKey) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.pairs[key]
	return e != nil && e.closed.After(p.now())
}

// failed counts a wrong response and returns how long its answer is to be held back.
func (p *penalties) failed(key penaltyKey) time.Duration {
	now := p.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.pairs[key]
	if e == nil {
		if len(p.pairs) >= maxPenalties {
			p.makeRoom(now)
		}
		e = &penalty{}
		p.pairs[key] = e
	}
	e.failed[e.next] = now.UnixNano()
	e.next = (e.next + 1) % penaltyFailures
	switch n := e.recent(now); {
	case n >= penaltyFailures:
		*e = penalty{closed: now.Add(penaltyRefused)}
		return penaltyDelay
	case n > penaltyDelayed:
		return penaltyDelay
	}
	return 0
}

// succeeded forgets the pair's failures.
func (p *penalties) succeeded(key penaltyKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.pairs, key)
}

// makeRoom forgets what is over, and when nothing is, a sixteenth of the rest, those first that are not closed.
func (p *penalties) makeRoom(now time.Time) {
	for k, e := range p.pairs {
		if e.recent(now) == 0 && !e.closed.After(now) {
			delete(p.pairs, k)
		}
	}
	drop := len(p.pairs) - maxPenalties*15/16
	for _, closedToo := range []bool{false, true} {
		for k, e := range p.pairs {
			if drop <= 0 {
				return
			}
			if closedToo || !e.closed.After(now) {
				delete(p.pairs, k)
				drop--
			}
		}
	}
}
