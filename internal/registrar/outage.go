package registrar

import (
	"time"

	"bugle"
)

// outageExpires is what a registration is granted while the log does not answer. The phone comes again soon, so that a
// crash in the outage costs it little.
const outageExpires = 2 * time.Minute

// carryOn makes changes true that the log could not take because it does not answer. They are owed to it. It is called
// from the writer's goroutine.
func (r *Registrar) carryOn(group []*commit, err error) (carried bool) {
	if bugle.KindOf(err) != bugle.KindUnavailable || len(r.owed) >= maxQueued {
		return false
	}
	if r.owed == nil {
		r.owed = map[Key]*Binding{}
		r.failing.Store(true)
		r.opts.Logger.Error("registrations cannot be saved; they are kept in memory until they can", "error", err)
	}
	least := r.opts.Clock.Now().Add(outageExpires)
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, c := range group {
		for _, key := range c.remove {
			r.owed[key] = nil
		}
		for i := range c.save {
			b := &c.save[i]
			until := least
			if d := r.devices[b.DeviceID]; d != nil {
				if old := find(d, b.Contact); old != nil && old.Expires.After(until) {
					until = old.Expires // what the phone has is not taken from it
				}
			}
			if b.Expires.After(until) {
				b.Expires = until
			}
			kept := *b
			r.owed[b.Key()] = &kept
		}
	}
	return true
}

// repay writes what is owed to the log.
func (r *Registrar) repay() error {
	if r.owed == nil {
		return nil
	}
	for len(r.owed) > 0 {
		c := &commit{}
		for key, b := range r.owed {
			if b == nil {
				c.remove = append(c.remove, key)
			} else {
				c.save = append(c.save, *b)
			}
			if len(c.save)+len(c.remove) == maxBatch {
				break
			}
		}
		err := r.save([]*commit{c})
		if bugle.KindOf(err) == bugle.KindUnavailable && err != nil {
			return err
		}
		if err != nil {
			r.opts.Logger.Error("registrations of an outage could not be saved", "bindings", len(c.save)+len(c.remove), "error", err)
		}
		for _, key := range c.remove {
			delete(r.owed, key)
		}
		for i := range c.save {
			delete(r.owed, c.save[i].Key())
		}
	}
	r.owed = nil
	r.failing.Store(false)
	r.opts.Logger.Info("the registrations of an outage are saved")
	return nil
}
