package directory

import (
	"sync"
	"sync/atomic"
)

const (
	// maxOverlay is how many changes a snapshot carries before they are merged into a new base in the background.
	maxOverlay = 512
	// overlayLimit is how many it carries at most; a writer faster than the merge waits.
	overlayLimit = 8 * maxOverlay
)

// Index is the current state of one directory. It is safe for concurrent use.
type Index struct {
	// OnPanic, when it is set before the first change, hears of a panic in a background merge. The changes stay in the
	// overlay, and the next one starts another merge.
	OnPanic func(any)

	snapshot atomic.Pointer[Snapshot]

	writers sync.Mutex // held through every change; searches never take it
	options Options
	order   *order
	limit   int           // overlayLimit
	merging chan struct{} // closed when the merge that is under way ends, nil when there is none
	merged  *base         // what the merge made, set before merging is closed
	pending []change      // changes since the merge began
}

// change is one Put, or a Remove when entry is nil.
type change struct {
	id    string
	entry *entry
}

// New returns an empty index.
func New(options Options) *Index {
	x := &Index{options: options, order: newOrder(options), limit: overlayLimit}
	x.snapshot.Store(&Snapshot{base: newBase(nil, options)})
	return x
}

// Load replaces all people. It builds beside what is there, so that searches go on and wait for nothing. Of people with
// the same id the last counts.
func (x *Index) Load(list []Person) {
	x.writers.Lock()
	defer x.writers.Unlock()
	x.load(list)
}

func (x *Index) load(list []Person) {
	x.awaitMerge() // its result would be of no use, but its memory would
	x.snapshot.Store(&Snapshot{base: newBase(distinct(list), x.options)})
}

// distinct returns list with the last of those that share an id.
func distinct(list []Person) []Person {
	seen := make(map[string]int, len(list))
	for i := range list {
		seen[list[i].ID] = i
	}
	if len(seen) == len(list) {
		return list
	}
	out := make([]Person, 0, len(seen))
	for i := range list {
		if seen[list[i].ID] == i {
			out = append(out, list[i])
		}
	}
	return out
}

// Put adds a person, or replaces the one with the same id. The next Snapshot has the change.
func (x *Index) Put(p Person) {
	x.writers.Lock()
	defer x.writers.Unlock()
	if x.snapshot.Load().same(p) {
		return
	}
	x.apply(change{p.ID, newEntry(p, x.order)})
}

// Remove takes a person out; an unknown id does nothing.
func (x *Index) Remove(id string) {
	x.writers.Lock()
	defer x.writers.Unlock()
	if _, ok := x.snapshot.Load().Get(id); ok {
		x.apply(change{id, nil})
	}
}

// Configure changes the order; the next Snapshot has it.
func (x *Index) Configure(options Options) {
	x.writers.Lock()
	defer x.writers.Unlock()
	if options == x.options {
		return
	}
	x.options, x.order = options, newOrder(options)
	x.load(x.snapshot.Load().list())
}

// Snapshot returns the people as they are now. It never changes and costs nothing; a caller keeps one for a whole call.
func (x *Index) Snapshot() *Snapshot { return x.snapshot.Load() }

// apply makes one change, and starts or ends a merge when it is time. The caller holds writers.
func (x *Index) apply(c change) {
	if x.merging != nil {
		select {
		case <-x.merging:
			x.endMerge()
		default:
			if x.snapshot.Load().changes() >= x.limit {
				x.awaitMerge()
			}
		}
	}
	next := x.snapshot.Load().with(c.id, c.entry, x.order)
	x.snapshot.Store(next)
	if x.merging != nil {
		x.pending = append(x.pending, c)
	} else if next.changes() >= maxOverlay {
		x.startMerge(next)
	}
}

func (x *Index) startMerge(s *Snapshot) {
	done := make(chan struct{})
	x.merging = done
	go func() {
		x.merged = x.merge(s)
		close(done)
		x.writers.Lock()
		defer x.writers.Unlock()
		if x.merging == done { // no writer came first
			x.endMerge()
		}
	}()
}

// merge returns nil when it panics.
func (x *Index) merge(s *Snapshot) (b *base) {
	defer func() {
		if v := recover(); v != nil && x.OnPanic != nil {
			x.OnPanic(v)
		}
	}()
	return s.merged()
}

// awaitMerge waits for the merge under way, if any. The caller holds writers.
func (x *Index) awaitMerge() {
	if x.merging != nil {
		<-x.merging
		x.endMerge()
	}
}

// endMerge takes the finished merge's base and makes the changes since it began once more, over it. The caller holds
// writers.
func (x *Index) endMerge() {
	if x.merged != nil {
		next := &Snapshot{base: x.merged}
		for _, c := range x.pending {
			next = next.with(c.id, c.entry, x.order)
		}
		x.snapshot.Store(next)
	}
	x.merging, x.merged, x.pending = nil, nil, nil
}
