package registrar

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"bugle"
)

// The limits that hold where Options say nothing.
const (
	DefaultMaxContacts = 10
	DefaultMinExpires  = 60
	DefaultMaxExpires  = 3600

	maxWaiting = 8   // REGISTERs of one device that wait for the log
	maxBatch   = 200 // bindings of one Save
	// A contact's URI, in bytes: an index of PostgreSQL has room for it and the device's id.
	maxContactSize = 1024
	maxQueued      = 20000
	saveTimeout    = 5 * time.Second
	sweepAtLeast   = time.Second // so that a thousand bindings that end in one second are one sweep
)

// Clock tells the time and runs functions later; tests set it.
type Clock interface {
	Now() time.Time
	// AfterFunc runs f once after d; stop reports whether it prevented that.
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) AfterFunc(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }

// Options configure a Registrar; the zero value keeps bindings in memory only.
type Options struct {
	Log        Log   // nil: nothing survives a restart
	Clock      Clock // nil: the system's
	Logger     *slog.Logger
	OnChange   func(Change) // called without locks held, in no order between devices; must not block
	OnPanic    func(any)    // told of a panic in Log or OnChange
	MaxContact int          // contacts of one device
	MinExpires int          // seconds
	MaxExpires int          // seconds; longer wishes are cut to it

	// SaveWithin is how long a change may wait for others that share its commit.
	SaveWithin time.Duration
	// RefreshWithin is how long after its answer a refresh may reach the log that leaves the binding where it is; 0 saves
	// refreshes before they are answered, as all else is. A crash in that time leaves the binding its former expiry.
	RefreshWithin time.Duration
}

// Registrar is the location service. It is safe for concurrent use.
type Registrar struct {
	opts Options

	mu       sync.RWMutex
	devices  map[string]*device
	expiring expiries
	count    int
	sweep    func() bool // stops the sweep that is planned
	sweepAt  time.Time
	flushing int // removals of Flush that wait for the log
	closed   bool

	queue   chan *commit
	urgent  int           // changes in the queue, or with the writer that gathers, whose sender waits
	patient bool          // the writer waits as long as refreshes may
	woken   chan struct{} // ends the writer's waiting
	writer  sync.WaitGroup
	owed    map[Key]*Binding // of the writer: what the log did not take in an outage, nil for a removal
	failing atomic.Bool      // something is owed
}

// device is the address of record: all bindings of one device. A change waits for the log with busy set, and the next
// one for this device waits behind it, so that each is judged by what is true.
type device struct {
	bindings []*record
	busy     bool
	waiting  []func()
}

type record struct {
	Binding
	index int // in the heap
}

// commit is one change on its way through the log.
type commit struct {
	save    []Binding
	remove  []Key
	refresh bool        // it has been answered
	done    func(error) // nil for a refresh
}

// New starts a registrar; Close ends it.
func New(opts Options) *Registrar {
	if opts.Clock == nil {
		opts.Clock = systemClock{}
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.OnPanic == nil {
		opts.OnPanic = func(any) {}
	}
	opts.MaxContact = cmp.Or(opts.MaxContact, DefaultMaxContacts)
	opts.MinExpires = cmp.Or(opts.MinExpires, DefaultMinExpires)
	opts.MaxExpires = cmp.Or(opts.MaxExpires, DefaultMaxExpires)
	r := &Registrar{opts: opts, devices: map[string]*device{}, queue: make(chan *commit, maxQueued),
		woken: make(chan struct{}, 1)}
	if opts.Log != nil {
		r.writer.Go(r.write)
	}
	return r
}

// Load reads what the log kept. It is called once, before the first Register.
func (r *Registrar) Load(ctx context.Context) error {
	if r.opts.Log == nil {
		return nil
	}
	bindings, err := r.opts.Log.Load(ctx)
	if err != nil {
		return fmt.Errorf("registrar.Load: %w", err)
	}
	now := r.opts.Clock.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range bindings {
		// An expired one is loaded too: the sweep removes it from the log.
		r.put(r.device(b.DeviceID), b)
	}
	r.plan(now)
	return nil
}

// Close ends the writer after it has saved what is queued. Register and Flush fail afterwards.
func (r *Registrar) Close() {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return
	}
	r.closed = true
	if r.sweep != nil {
		r.sweep()
		r.sweep = nil
	}
	close(r.queue)
	r.wake()
	r.mu.Unlock()
	r.writer.Wait()
}

// Locate returns the bindings of a device that have not expired, the most preferred and then the latest first.
func (r *Registrar) Locate(deviceID string) []Binding {
	now := r.opts.Clock.Now()
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.live(r.devices[deviceID], now)
}

// live must be called with r.mu held.
func (r *Registrar) live(d *device, now time.Time) []Binding {
	if d == nil {
		return nil
	}
	out := make([]Binding, 0, len(d.bindings))
	for _, b := range d.bindings {
		if b.Expires.After(now) {
			out = append(out, b.Binding)
		}
	}
	slices.SortStableFunc(out, func(a, b Binding) int {
		return cmp.Or(cmp.Compare(b.Q, a.Q), b.Refreshed.Compare(a.Refreshed), cmp.Compare(a.Contact, b.Contact))
	})
	return out
}

// List returns the bindings of an account (of all accounts for ""), by user name and contact.
func (r *Registrar) List(accountID string) []Binding {
	now := r.opts.Clock.Now()
	var out []Binding
	r.mu.RLock()
	for _, d := range r.devices {
		for _, b := range d.bindings {
			if b.Expires.After(now) && (accountID == "" || b.AccountID == accountID) {
				out = append(out, b.Binding)
			}
		}
	}
	r.mu.RUnlock()
	slices.SortFunc(out, func(a, b Binding) int {
		return cmp.Or(cmp.Compare(a.Username, b.Username), cmp.Compare(a.DeviceID, b.DeviceID),
			cmp.Compare(a.Contact, b.Contact))
	})
	return out
}

// Count returns how many bindings an account has, or the system for "".
func (r *Registrar) Count(accountID string) int {
	now := r.opts.Clock.Now()
	n := 0
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, d := range r.devices {
		for _, b := range d.bindings {
			if b.Expires.After(now) && (accountID == "" || b.AccountID == accountID) {
				n++
			}
		}
	}
	return n
}

// device must be called with r.mu held.
func (r *Registrar) device(id string) *device {
	d := r.devices[id]
	if d == nil {
		d = &device{}
		r.devices[id] = d
	}
	return d
}

// put must be called with r.mu held.
func (r *Registrar) put(d *device, b Binding) (added bool) {
	for _, old := range d.bindings {
		if old.Contact == b.Contact {
			b.Created = old.Created
			old.Binding = b
			heap.Fix(&r.expiring, old.index)
			return false
		}
	}
	rec := &record{Binding: b}
	d.bindings = append(d.bindings, rec)
	heap.Push(&r.expiring, rec)
	r.count++
	return true
}

// drop must be called with r.mu held.
func (r *Registrar) drop(key Key) (Binding, bool) {
	d := r.devices[key.DeviceID]
	if d == nil {
		return Binding{}, false
	}
	for i, b := range d.bindings {
		if b.Contact != key.Contact {
			continue
		}
		heap.Remove(&r.expiring, b.index)
		d.bindings = slices.Delete(d.bindings, i, i+1)
		r.count--
		r.tidy(key.DeviceID, d)
		return b.Binding, true
	}
	return Binding{}, false
}

// tidy forgets a device that has nothing left. It must be called with r.mu held.
func (r *Registrar) tidy(id string, d *device) {
	if len(d.bindings) == 0 && !d.busy && len(d.waiting) == 0 {
		delete(r.devices, id)
	}
}

func (r *Registrar) changed(changes []Change) {
	if r.opts.OnChange == nil {
		return
	}
	defer r.recovered()
	for _, c := range changes {
		r.opts.OnChange(c)
	}
}

func (r *Registrar) recovered() {
	if v := recover(); v != nil {
		r.opts.OnPanic(v)
	}
}

func unavailable(op string, err error) error {
	return &bugle.Error{Op: op, Kind: bugle.KindUnavailable, Message: "registrations cannot be saved now, try again later",
		Err: err}
}
