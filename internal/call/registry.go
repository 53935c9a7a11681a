package call

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"bugle"
)

// Registry knows the calls that are up. It is safe for concurrent use.
type Registry struct {
	mu       sync.Mutex
	calls    map[string]*Call
	slots    map[string]map[string]*slot // parked calls by account and slot
	limit    int
	reserved int // places of calls that are going to be made
	draining bool
	empty    chan struct{} // while draining: closed when the last call has ended
}

// NewRegistry returns a registry that holds at most limit calls; 0 means no limit.
func NewRegistry(limit int) *Registry { return &Registry{limit: limit, calls: map[string]*Call{}} }

// add takes a call in, unless there are too many. A Call-ID that is taken already gets an ending, since it is the phone
// that chose it.
func (r *Registry) add(c *Call) bool {
	if r == nil {
		c.publish()
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case c.reserved:
		r.reserved--
	case r.full(1):
		return false
	}
	if _, taken := r.calls[c.about.ID]; taken || c.about.ID == "" {
		c.about.ID = strings.TrimPrefix(c.about.ID+"-"+bugle.NewID(), "-")
	}
	c.publish()
	r.calls[c.about.ID] = c
	return true
}

// full tells whether n more calls are too many, or none is taken any more.
func (r *Registry) full(n int) bool {
	return r.draining || (r.limit > 0 && len(r.calls)+r.reserved+n > r.limit)
}

// Reserve keeps the places of n calls for NewReserved, unless there are too many calls. What is not used is to be given
// back by Release. A server that is about to stop waits for both.
func (r *Registry) Reserve(n int) bool {
	if r == nil {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.full(n) {
		return false
	}
	r.reserved += n
	return true
}

// Release gives back the places of n calls.
func (r *Registry) Release(n int) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reserved -= n
	r.drained()
}

// drained tells who waits that the last call has ended.
func (r *Registry) drained() {
	if len(r.calls)+r.reserved == 0 && r.empty != nil {
		close(r.empty)
		r.empty = nil
	}
}

func (r *Registry) remove(c *Call) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.calls, c.about.ID)
	r.drained()
}

// List returns the calls of an account, all accounts' for "", the oldest first.
func (r *Registry) List(accountID string) []Info {
	infos := []Info{}
	for _, c := range r.all() {
		if accountID == "" || c.about.AccountID == accountID {
			infos = append(infos, c.Info())
		}
	}
	slices.SortFunc(infos, func(a, b Info) int {
		if n := a.Started.Compare(b.Started); n != 0 {
			return n
		}
		return strings.Compare(a.ID, b.ID)
	})
	return infos
}

func (r *Registry) all() []*Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	calls := make([]*Call, 0, len(r.calls))
	for _, c := range r.calls {
		calls = append(calls, c)
	}
	return calls
}

// Get returns a call by its id or by the Call-ID of one of its legs.
func (r *Registry) Get(id string) (Info, bool) {
	if c := r.find(id); c != nil {
		return c.Info(), true
	}
	return Info{}, false
}

func (r *Registry) find(id string) *Call {
	r.mu.Lock()
	c := r.calls[id]
	r.mu.Unlock()
	if c != nil {
		return c
	}
	for _, c := range r.all() {
		if slices.ContainsFunc(c.Info().Legs, func(l LegInfo) bool { return l.ID == id }) {
			return c
		}
	}
	return nil
}

// Hangup ends a call by its id or by the Call-ID of one of its legs. It reports whether there was one.
func (r *Registry) Hangup(id string) bool {
	c := r.find(id)
	if c != nil {
		c.Hangup(NormalClearing)
	}
	return c != nil
}

// Count is the number of calls that are up.
func (r *Registry) Count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.calls)
}

// drainGrace is how long Drain waits for the flows of calls that it has hung up.
const drainGrace = 5 * time.Second

// Drain refuses new calls from now on, waits until the last has ended or ctx does, then hangs the rest up, gives their
// flows a moment to end, and returns how many it had to hang up.
func (r *Registry) Drain(ctx context.Context) int {
	empty := r.refuse()
	select {
	case <-empty:
		return 0
	case <-ctx.Done():
	}
	left := r.all()
	for _, c := range left {
		c.Hangup(NormalClearing)
	}
	grace := time.NewTimer(drainGrace)
	defer grace.Stop()
	select {
	case <-empty:
	case <-grace.C:
	}
	return len(left)
}

func (r *Registry) refuse() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.draining = true
	if r.empty == nil {
		r.empty = make(chan struct{})
	}
	empty := r.empty
	r.drained()
	return empty
}
