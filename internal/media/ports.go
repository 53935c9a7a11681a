package media

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"bugle"
)

// portQuarantine is how long a port rests at least, so that late packets of a dead call do not reach a new one. The port
// that has rested longest goes first, so the rest is longer than this whenever the range allows; 5 s made the default range
// refuse calls at 1,640 sessions a second.
const portQuarantine = time.Second

// portPool hands out even ports, the one that has rested longest first.
type portPool struct {
	mu      sync.Mutex
	any     bool // the system chooses
	resting []restingPort
	first   int // of resting
	now     func() time.Time
}

type restingPort struct {
	port  int
	until time.Time
}

func (p *portPool) fill(r PortRange) error {
	if p.now == nil {
		p.now = time.Now
	}
	if r == (PortRange{}) {
		p.any = true
		return nil
	}
	if r.First < 1 || r.Last > 65535 || r.First+r.First%2+1 > r.Last {
		return &bugle.Error{Op: "media.NewEngine", Kind: bugle.KindInvalid, Field: "ports",
			Message: fmt.Sprintf("RTP ports %d-%d hold no even port with the one after it; allowed is 1 to 65535", r.First, r.Last)}
	}
	for port := r.First + r.First%2; port+1 <= r.Last; port += 2 {
		p.resting = append(p.resting, restingPort{port: port})
	}
	// A stranger should not be able to tell the next call's port from the last one's.
	rand.Shuffle(len(p.resting), func(i, j int) { p.resting[i], p.resting[j] = p.resting[j], p.resting[i] })
	return nil
}

// take returns a port that has rested, 0 when the system is to choose.
func (p *portPool) take() (int, bool) {
	if p.any {
		return 0, true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.first == len(p.resting) || p.now().Before(p.resting[p.first].until) {
		return 0, false
	}
	port := p.resting[p.first].port
	if p.first++; p.first > len(p.resting)/2 {
		p.resting = append(p.resting[:0], p.resting[p.first:]...)
		p.first = 0
	}
	return port, true
}

// give takes a port back.
func (p *portPool) give(port int) {
	if p.any || port == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resting = append(p.resting, restingPort{port, p.now().Add(portQuarantine)})
}
