package registrar

import (
	"fmt"
	"slices"
	"time"

	"bugle"
)

// Register carries out a REGISTER (RFC 3261 §10.3) and calls done once, with all current bindings of the device or an
// error: after the log has acknowledged the change, from another goroutine, or before Register returns when there is
// nothing to save or the change is a mere refresh (Options.RefreshWithin). done must not block. All contacts of a request take effect, or none. While the log does not answer
// (KindUnavailable) changes are made in memory, for two minutes at most, and the log gets them when it is back.
//
// The errors are *bugle.Error: KindInvalid, with *IntervalTooBrief (423) or *OutOfOrder (500) as its cause, or for a
// malformed "*" or a contact that is too long (400); KindLimited, with *TooManyContacts as its cause (403); KindUnavailable when the log refuses (503).
func (r *Registrar) Register(req Request, done func([]Binding, error)) {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		done(nil, unavailable("registrar.Register", nil))
		return
	}
	d := r.device(req.DeviceID)
	if d.busy {
		full := len(d.waiting) >= maxWaiting
		if !full {
			d.waiting = append(d.waiting, func() { r.Register(req, done) })
		}
		r.mu.Unlock()
		if full {
			done(nil, unavailable("registrar.Register", nil))
		}
		return
	}
	now := r.opts.Clock.Now()
	save, remove, err := r.judge(d, req, now)
	if err != nil || len(save)+len(remove) == 0 {
		bindings := r.live(d, now)
		r.tidy(req.DeviceID, d)
		r.mu.Unlock()
		done(bindings, err)
		return
	}
	if len(remove) == 0 && r.refreshes(d, save, now) && r.enqueue(&commit{save: save, refresh: true}) {
		changes := r.enter(d, save)
		bindings := r.live(d, now)
		r.mu.Unlock()
		r.changed(changes)
		done(bindings, nil)
		return
	}
	d.busy = true
	r.submit(&commit{save: save, remove: remove, done: func(err error) {
		bindings := r.settle(req.DeviceID, save, remove, Removed, err)
		if err != nil {
			err = unavailable("registrar.Register", err)
		}
		done(bindings, err)
	}})
}

// judge decides what a request changes. It must be called with r.mu held and changes nothing.
func (r *Registrar) judge(d *device, req Request, now time.Time) (save []Binding, remove []Key, err error) {
	if req.RemoveAll {
		return r.judgeAll(d, req, now)
	}
	left := len(d.bindings)
	for _, c := range req.Contacts {
		old := find(d, c.URI)
		// RFC 3261 §10.3 step 7: within one Call-ID only a higher CSeq may change a binding.
		if old != nil && old.CallID == req.CallID && req.CSeq <= old.CSeq && old.Expires.After(now) {
			return nil, nil, outOfOrder()
		}
		seconds, err := r.expiry(c, req)
		if err != nil {
			return nil, nil, err
		}
		if seconds == 0 {
			if old != nil {
				remove = appendKey(remove, old.Key())
				left--
			}
			continue
		}
		if len(c.URI) > maxContactSize { // the log would refuse it, and with it what other phones registered at that moment
			return nil, nil, &bugle.Error{Op: "registrar.Register", Kind: bugle.KindInvalid, Field: "Contact",
				Message: fmt.Sprintf("a contact of %d bytes; up to %d", len(c.URI), maxContactSize)}
		}
		if slices.ContainsFunc(save, func(b Binding) bool { return b.Contact == c.URI }) {
			continue // the same contact twice in one request
		}
		b := Binding{AccountID: req.AccountID, DeviceID: req.DeviceID, OwnerID: req.OwnerID, Username: req.Username,
			Realm: req.Realm, Contact: c.URI, Instance: c.Instance, Q: c.Q, Path: req.Path, Transport: req.Transport,
			Source: req.Source, Local: req.Local, CallID: req.CallID, CSeq: req.CSeq, UserAgent: req.UserAgent,
			Created: now, Refreshed: now, Expires: now.Add(time.Duration(seconds) * time.Second)}
		if old == nil {
			left++
		} else {
			b.Created = old.Created
		}
		save = append(save, b)
		replaced := r.superseded(d, b, now)
		for _, key := range replaced {
			if !slices.Contains(remove, key) {
				remove = append(remove, key)
				left--
			}
		}
	}
	// What is both removed and saved in one request is saved: the later Contact of the two cannot be told from the
	// earlier by the log.
	remove = slices.DeleteFunc(remove, func(k Key) bool {
		return slices.ContainsFunc(save, func(b Binding) bool { return b.Contact == k.Contact })
	})
	if left > r.opts.MaxContact && len(save) > 0 {
		return nil, nil, &bugle.Error{Op: "registrar.Register", Kind: bugle.KindLimited,
			Message: fmt.Sprintf("a device has at most %d contacts", r.opts.MaxContact),
			Err:     &TooManyContacts{Max: r.opts.MaxContact}}
	}
	return save, remove, nil
}

// judgeAll is "Contact: *" (RFC 3261 §10.3 step 6).
func (r *Registrar) judgeAll(d *device, req Request, now time.Time) (save []Binding, remove []Key, err error) {
	if len(req.Contacts) > 0 || req.Expires != 0 {
		return nil, nil, &bugle.Error{Op: "registrar.Register", Kind: bugle.KindInvalid,
			Message: `"*" stands alone and with Expires: 0`}
	}
	for _, b := range d.bindings {
		if b.CallID == req.CallID && req.CSeq <= b.CSeq && b.Expires.After(now) {
			return nil, nil, outOfOrder()
		}
		remove = append(remove, b.Key())
	}
	return nil, remove, nil
}

// superseded returns the bindings that a new one takes the place of: those of the same instance of the phone, which has
// started anew behind another address, and expired ones.
func (r *Registrar) superseded(d *device, b Binding, now time.Time) []Key {
	var keys []Key
	for _, old := range d.bindings {
		if old.Contact == b.Contact {
			continue
		}
		if !old.Expires.After(now) || b.Instance != "" && old.Instance == b.Instance && old.CallID != b.CallID {
			keys = append(keys, old.Key())
		}
	}
	return keys
}

// expiry returns the seconds that a contact is granted, 0 to remove it (RFC 3261 §10.3 step 6).
func (r *Registrar) expiry(c Contact, req Request) (int, error) {
	seconds := c.Expires
	if seconds < 0 {
		seconds = req.Expires
	}
	if seconds < 0 {
		return min(max(req.DefaultExpires, r.opts.MinExpires), r.opts.MaxExpires), nil
	}
	// RFC 3261 §10.2.8: the registrar may refuse an interval that is too short; 0 is not an interval.
	if seconds > 0 && seconds < r.opts.MinExpires {
		return 0, &bugle.Error{Op: "registrar.Register", Kind: bugle.KindInvalid, Field: "Expires",
			Message: fmt.Sprintf("a registration lasts at least %d seconds", r.opts.MinExpires),
			Err:     &IntervalTooBrief{Min: r.opts.MinExpires}}
	}
	return min(seconds, r.opts.MaxExpires), nil
}

func find(d *device, contact string) *record {
	for _, b := range d.bindings {
		if b.Contact == contact {
			return b
		}
	}
	return nil
}

func appendKey(keys []Key, key Key) []Key {
	if slices.Contains(keys, key) {
		return keys
	}
	return append(keys, key)
}

func outOfOrder() error {
	return &bugle.Error{Op: "registrar.Register", Kind: bugle.KindInvalid, Field: "CSeq",
		Message: "a newer request of this Call-ID has been seen", Err: &OutOfOrder{}}
}

// refreshes says whether all that a request changes is until when known phones are where they were, which need not be
// on disk before it is answered: a crash loses no place, only some of the time that it was promised for. What Flush is
// removing is no known place. It must be called with r.mu held.
func (r *Registrar) refreshes(d *device, save []Binding, now time.Time) bool {
	if r.opts.Log == nil || r.opts.RefreshWithin == 0 || r.flushing > 0 || r.failing.Load() {
		return false
	}
	for i := range save {
		b := &save[i]
		old := find(d, b.Contact)
		if old == nil || !old.Expires.After(now) || b.Expires.Before(old.Expires) || old.AccountID != b.AccountID ||
			old.OwnerID != b.OwnerID || old.Username != b.Username || old.Realm != b.Realm || old.Instance != b.Instance ||
			old.Q != b.Q || !slices.Equal(old.Path, b.Path) || old.Transport != b.Transport || old.Source != b.Source ||
			old.Local != b.Local || old.UserAgent != b.UserAgent {
			return false
		}
	}
	return true
}

// enter makes bindings known. It must be called with r.mu held.
func (r *Registrar) enter(d *device, save []Binding) []Change {
	changes := make([]Change, 0, len(save))
	for _, b := range save {
		kind := Refreshed
		if r.put(d, b) {
			kind = Added
		}
		changes = append(changes, Change{kind, b})
	}
	return changes
}

// settle makes a saved change true, or leaves all as it was, and lets the next request of the device go on.
func (r *Registrar) settle(deviceID string, save []Binding, remove []Key, why ChangeKind, err error) []Binding {
	now := r.opts.Clock.Now()
	var changes []Change
	r.mu.Lock()
	d := r.device(deviceID)
	if err == nil {
		for _, key := range remove {
			if b, ok := r.drop(key); ok {
				changes = append(changes, Change{why, b})
			}
		}
		changes = append(changes, r.enter(d, save)...)
		r.plan(now)
	}
	bindings := r.live(d, now)
	d.busy = false
	var next []func()
	next, d.waiting = d.waiting, nil
	r.tidy(deviceID, d)
	r.mu.Unlock()
	r.changed(changes)
	for _, run := range next {
		run()
	}
	return bindings
}
