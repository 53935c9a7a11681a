package webhook

import (
	"container/heap"
	"slices"
	"time"

	"bugle/internal/store"
)

// item is a delivery that waits in memory.
type item struct {
	store.HookDelivery
	ready  bool // nobody is before it in any of its keys
	flying bool // an attempt is under way
	saving bool // its last result is being written
	place  int  // in the heap, -1: not there
}

// lane is the deliveries of one key, in their order.
type lane struct {
	items  []*item
	flying int
}

// queue is an endpoint that this node delivers for. Only the engine's loop touches it.
type queue struct {
	endpoint store.HookEndpoint
	kind     Kind

	items  map[string]*item
	lanes  map[string]*lane
	due    dueHeap // those that are ready, not flying and not being saved
	tail   int64   // what waits up to this position is loaded
	whole  bool    // and nothing waits behind it
	flying int
	saving int

	hold     time.Time // nothing is sent before
	probing  bool
	probeAt  time.Time
	failures []time.Time // the last ones, for DisableFailures
	active   bool        // stands in the engine's line
	wake     time.Time   // when the engine looks at it again, zero: when something happens
	lost     bool        // another node has it
}

func newQueue(e store.HookEndpoint, kind Kind) *queue {
	return &queue{endpoint: e, kind: kind, items: map[string]*item{}, lanes: map[string]*lane{}}
}

// forgive forgets failures before a pause: how long there was nothing but failure is counted from its end.
func (q *queue) forgive() {
	if q.endpoint.Blacklisted.IsZero() && q.endpoint.Failing.Before(q.endpoint.Resumed) {
		q.endpoint.Failing = time.Time{}
	}
}

// refresh begins a new round of a delivery that was tried before a pause: the time of the pause is nobody's failure.
func (q *queue) refresh(d *store.HookDelivery) {
	if !d.Began.IsZero() && d.Began.Before(q.endpoint.Resumed) {
		d.Began, d.Tries = time.Time{}, 0
	}
}

// add takes a delivery in, or begins a new round of one that is there.
func (q *queue) add(d store.HookDelivery) {
	q.refresh(&d)
	if known := q.items[d.ID]; known != nil {
		if d.Queued > known.Queued {
			known.Queued, known.Tries, known.Began, known.Due = d.Queued, 0, time.Time{}, d.Due
			q.settle(known)
		}
		return
	}
	it := &item{HookDelivery: d, place: -1}
	q.items[d.ID] = it
	slices.Sort(it.Keys)
	it.Keys = slices.Compact(it.Keys)
	for _, key := range it.Keys {
		l := q.lanes[key]
		if l == nil {
			l = &lane{}
			q.lanes[key] = l
		}
		at := l.find(it.Position)
		l.items = slices.Insert(l.items, at, it)
		if at == 0 && len(l.items) > 1 {
			q.settle(l.items[1])
		}
	}
	q.settle(it)
}

func (l *lane) find(position int64) int {
	at, _ := slices.BinarySearchFunc(l.items, position, func(it *item, p int64) int { return int(it.Position - p) })
	return at
}

// settle puts an item into the heap, or takes it out, by what is true of it now.
func (q *queue) settle(it *item) {
	it.ready = !it.flying && !it.saving && !slices.ContainsFunc(it.Keys, func(key string) bool {
		l := q.lanes[key]
		return l.items[0] != it || l.flying > 0
	})
	switch {
	case it.ready && it.place < 0:
		heap.Push(&q.due, it)
	case it.ready:
		heap.Fix(&q.due, it.place)
	case it.place >= 0:
		heap.Remove(&q.due, it.place)
	}
}

// fly takes the next delivery that is due; nil when there is none.
func (q *queue) fly(now time.Time) *item {
	if len(q.due) == 0 || q.due[0].Due.After(now) {
		return nil
	}
	it := heap.Pop(&q.due).(*item)
	it.flying, it.ready = true, false
	q.flying++
	for _, key := range it.Keys {
		q.lanes[key].flying++
	}
	return it
}

// land ends the flight of a delivery, which goes on waiting.
func (q *queue) land(it *item) {
	it.flying = false
	q.flying--
	for _, key := range it.Keys {
		q.lanes[key].flying--
	}
	q.settleLanes(it)
}

// settleLanes looks at the first of each of an item's lanes.
func (q *queue) settleLanes(it *item) {
	for _, key := range it.Keys {
		if l := q.lanes[key]; l != nil && len(l.items) > 0 {
			q.settle(l.items[0])
		}
	}
	if q.items[it.ID] == it {
		q.settle(it)
	}
}

// remove takes a delivery that has landed out.
func (q *queue) remove(it *item) {
	delete(q.items, it.ID)
	if it.place >= 0 {
		heap.Remove(&q.due, it.place)
	}
	for _, key := range it.Keys {
		l := q.lanes[key]
		if at := l.find(it.Position); at < len(l.items) && l.items[at] == it {
			l.items = slices.Delete(l.items, at, at+1)
		}
		if len(l.items) == 0 {
			delete(q.lanes, key)
		}
	}
	q.settleLanes(it)
}

// limit is how many attempts there may be at once.
func (q *queue) limit() int {
	if !q.endpoint.Failing.IsZero() {
		return 1
	}
	return max(1, q.kind.Policy.Concurrent)
}

// next says when there is something to do: the zero time for never, unless something happens.
func (q *queue) next() time.Time {
	var at time.Time
	switch {
	case q.lost, !q.endpoint.Paused.IsZero(), q.flying >= q.limit():
		return time.Time{}
	case !q.endpoint.Blacklisted.IsZero():
		if q.probing {
			return time.Time{}
		}
		return q.probeAt
	case len(q.due) == 0:
		return time.Time{}
	}
	at = q.due[0].Due
	if q.hold.After(at) {
		at = q.hold
	}
	return at
}

// idle: nothing is known of it that the store does not know.
func (q *queue) idle() bool {
	return q.whole && len(q.items) == 0 && q.flying == 0 && q.saving == 0 && q.endpoint.Blacklisted.IsZero() && !q.probing
}

// dueHeap orders deliveries by when they are due, then by position.
type dueHeap []*item

func (h dueHeap) Len() int { return len(h) }

func (h dueHeap) Less(i, j int) bool {
	if !h[i].Due.Equal(h[j].Due) {
		return h[i].Due.Before(h[j].Due)
	}
	return h[i].Position < h[j].Position
}

func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push is heap's.
func (h *dueHeap) Push(v any) {
	it := v.(*item)
	it.place = len(*h)
	*h = append(*h, it)
}

// Pop is heap's.
func (h *dueHeap) Pop() any {
	old := *h
	it := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	it.place = -1
	return it
}
