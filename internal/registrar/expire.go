package registrar

import (
	"container/heap"
	"time"
)

// expiries is a heap of all bindings by their end, so that one timer serves them all.
type expiries []*record

// Len is part of heap.Interface.
func (h expiries) Len() int { return len(h) }

// Less is part of heap.Interface.
func (h expiries) Less(i, j int) bool { return h[i].Expires.Before(h[j].Expires) }

// Swap is part of heap.Interface.
func (h expiries) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push is part of heap.Interface.
func (h *expiries) Push(x any) {
	r := x.(*record)
	r.index = len(*h)
	*h = append(*h, r)
}

// Pop is part of heap.Interface.
func (h *expiries) Pop() any {
	old := *h
	r := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return r
}

// plan sets the timer for the next binding that ends. It must be called with r.mu held.
func (r *Registrar) plan(now time.Time) {
	if r.closed || len(r.expiring) == 0 {
		return
	}
	next := r.expiring[0].Expires
	if least := now.Add(sweepAtLeast); next.Before(least) {
		next = least
	}
	if r.sweep != nil {
		if !next.Before(r.sweepAt) {
			return // the planned sweep comes first, and plans again
		}
		r.sweep()
	}
	r.sweepAt = next
	r.sweep = r.opts.Clock.AfterFunc(next.Sub(now), r.expire)
}

// expire removes what has ended. A binding stops being found at its end, whenever the sweep comes; when the log fails
// the binding stays for the next sweep.
func (r *Registrar) expire() {
	now := r.opts.Clock.Now()
	ended := map[string][]Key{}
	r.mu.Lock()
	r.sweep = nil
	if r.closed {
		r.mu.Unlock()
		return
	}
	var later []*record
	for n := 0; len(r.expiring) > 0 && !r.expiring[0].Expires.After(now) && n < maxBatch*10; n++ {
		rec := heap.Pop(&r.expiring).(*record)
		later = append(later, rec)
		if d := r.devices[rec.DeviceID]; d != nil && !d.busy {
			ended[rec.DeviceID] = append(ended[rec.DeviceID], rec.Key())
		}
	}
	for _, rec := range later { // they leave the heap when the log has agreed
		heap.Push(&r.expiring, rec)
	}
	for id := range ended {
		r.devices[id].busy = true
	}
	r.plan(now)
	r.mu.Unlock()
	for id, keys := range ended {
		r.mu.Lock()
		if r.closed {
			r.mu.Unlock()
			return
		}
		r.submit(&commit{remove: keys, done: func(err error) { r.settle(id, nil, keys, Expired, err) }})
	}
}

// Flush removes bindings of an account at once and calls done with their number when the log has agreed: those of
// one user name, or all for "". A phone that is flushed registers again when it likes.
func (r *Registrar) Flush(accountID, username string, done func(int, error)) {
	r.flush(func(b *record) bool {
		return b.AccountID == accountID && (username == "" || b.Username == username)
	}, done)
}

// FlushDevice removes all bindings of a device, which was deleted or disabled.
func (r *Registrar) FlushDevice(deviceID string, done func(int, error)) {
	r.flush(func(b *record) bool { return b.DeviceID == deviceID }, done)
}

func (r *Registrar) flush(match func(*record) bool, done func(int, error)) {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		done(0, unavailable("registrar.Flush", nil))
		return
	}
	var keys []Key
	for _, d := range r.devices {
		for _, b := range d.bindings {
			if match(b) {
				keys = append(keys, b.Key())
			}
		}
	}
	if len(keys) == 0 {
		r.mu.Unlock()
		done(0, nil)
		return
	}
	r.flushing++
	// A REGISTER that is on its way to the log is behind this in the queue or ahead of it; either order is a fair one.
	r.submit(&commit{remove: keys, done: func(err error) {
		var changes []Change
		r.mu.Lock()
		r.flushing--
		for _, key := range keys {
			if err != nil {
				break
			}
			if b, ok := r.drop(key); ok {
				changes = append(changes, Change{Removed, b})
			}
		}
		r.mu.Unlock()
		if err != nil {
			done(0, unavailable("registrar.Flush", err))
			return
		}
		r.changed(changes)
		done(len(changes), nil)
	}})
}
