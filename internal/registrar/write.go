package registrar

import (
	"context"
	"fmt"
)

// submit hands a change to the log. It is called with r.mu held and releases it.
func (r *Registrar) submit(c *commit) {
	if r.opts.Log == nil {
		r.mu.Unlock()
		c.done(nil)
		return
	}
	queued := r.enqueue(c)
	r.mu.Unlock()
	if !queued {
		c.done(fmt.Errorf("%d changes are waiting already", maxQueued))
	}
}

// enqueue queues a change for the writer, if there is room. It must be called with r.mu held.
func (r *Registrar) enqueue(c *commit) bool {
	select {
	case r.queue <- c:
	default:
		return false
	}
	if !c.refresh {
		r.urgent++
	}
	if len(r.queue) >= maxBatch || r.patient && !c.refresh {
		r.wake()
	}
	return true
}

// wake ends the writer's waiting for more.
func (r *Registrar) wake() {
	select {
	case r.woken <- struct{}{}:
	default:
	}
}

// write saves queued changes in groups: what arrives while one group is gathered or written makes up the next.
func (r *Registrar) write() {
	var group []*commit
	for c := range r.queue {
		r.gather(c)
		group = r.drain(append(group[:0], c))
		err := r.repay()
		if err == nil {
			err = r.save(group)
		}
		if err != nil {
			if r.carryOn(group, err) {
				err = nil
			} else {
				r.opts.Logger.Error("registrations could not be saved", "requests", len(group), "error", err)
			}
		}
		for _, c := range group {
			r.finish(c, err)
		}
	}
	if err := r.repay(); err != nil {
		r.opts.Logger.Error("registrations of an outage were not saved", "bindings", len(r.owed), "error", err)
	}
}

// gather waits for changes that share a commit with the first: as long as that may wait, until one comes that may not
// wait as long, or until there are enough.
func (r *Registrar) gather(first *commit) {
	for lazy := first.refresh; ; lazy = false {
		r.mu.Lock()
		lazy = lazy && r.urgent == 0
		wait := r.opts.SaveWithin
		if lazy {
			wait = r.opts.RefreshWithin
		}
		if r.closed || wait == 0 || len(r.queue) >= maxBatch {
			r.mu.Unlock()
			return
		}
		r.patient = lazy
		r.mu.Unlock()
		stop := r.opts.Clock.AfterFunc(wait, r.wake)
		<-r.woken
		stop()
		r.mu.Lock()
		r.patient = false
		more := lazy && r.urgent > 0
		r.mu.Unlock()
		if !more {
			return
		}
	}
}

// drain takes what is queued, up to one batch.
func (r *Registrar) drain(group []*commit) []*commit {
	bindings, urgent := group[0].size(), 0
gather:
	for bindings < maxBatch {
		select {
		case next, ok := <-r.queue:
			if !ok {
				break gather
			}
			group = append(group, next)
			bindings += next.size()
		default:
			break gather
		}
	}
	for _, c := range group {
		if !c.refresh {
			urgent++
		}
	}
	r.mu.Lock()
	r.urgent -= urgent
	r.mu.Unlock()
	return group
}

func (c *commit) size() int { return len(c.save) + len(c.remove) }

func (r *Registrar) save(group []*commit) (err error) {
	defer func() {
		if v := recover(); v != nil {
			r.opts.OnPanic(v)
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	save, remove := merge(group)
	ctx, cancel := context.WithTimeout(context.Background(), saveTimeout)
	defer cancel()
	return r.opts.Log.Save(ctx, save, remove)
}

// merge makes one step of several changes: of two for one binding the later counts.
func merge(group []*commit) (save []Binding, remove []Key) {
	if len(group) == 1 {
		return group[0].save, group[0].remove
	}
	at := map[Key]int{} // the place in save, -1 for removed
	for _, c := range group {
		for _, key := range c.remove {
			at[key] = -1
		}
		for _, b := range c.save {
			save = append(save, b)
			at[b.Key()] = len(save) - 1
		}
	}
	kept := save[:0]
	for i, b := range save {
		if at[b.Key()] == i {
			kept = append(kept, b)
		}
	}
	for key, i := range at {
		if i < 0 {
			remove = append(remove, key)
		}
	}
	return kept, remove
}

func (r *Registrar) finish(c *commit, err error) {
	defer r.recovered()
	if c.done != nil {
		c.done(err)
	}
}
