package call

import "sync"

// item is one entry of a call's inbox: an event of a leg, or (leg is nil) an operation, a task or a mark of the call's own.
type item struct {
	leg   Leg
	event Event
}

// task is a function that the loop runs: an alarm, or a request that needs no answer.
type task func()

// overflow is what the event that did not fit is replaced with.
type overflow struct{}

// flowEnded is the flow goroutine's last word.
type flowEnded struct {
	cause Cause
	fault Fault
}

func (task) event()      {}
func (overflow) event()  {}
func (flowEnded) event() {}

// inbox is the bounded queue before a call's loop, and the only place of a call with a lock. The loop's goroutine lives
// only while there is something in it, so that a call in which nothing happens costs no stack.
type inbox struct {
	mu         sync.Mutex
	items      []item
	head       int
	limit      int
	running    bool
	overflowed bool
	closed     bool
}

// put appends an item. ok is false when it was dropped; start is true when the loop has to be started. Only events of
// legs count against the limit: what the call itself puts in is bounded by its own timers and its one flow.
func (in *inbox) put(it item) (ok, start bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return false, false
	}
	if it.leg != nil {
		if in.overflowed {
			return false, false
		}
		if len(in.items)-in.head >= in.limit {
			in.overflowed = true
			it = item{event: overflow{}}
		}
	}
	in.items = append(in.items, it)
	start = !in.running
	in.running = true
	return true, start
}

// take removes the first item; ok is false when there is none, and then the loop must end.
func (in *inbox) take() (it item, ok bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.head == len(in.items) {
		in.running = false
		in.head = 0
		if cap(in.items) > 8 {
			in.items = nil
		} else {
			in.items = in.items[:0]
		}
		return item{}, false
	}
	it = in.items[in.head]
	in.items[in.head] = item{}
	in.head++
	return it, true
}

// drop tells an item that nobody will handle it.
func (it item) drop() {
	if d, ok := it.event.(interface{ dropped() }); ok {
		d.dropped()
	}
}

// close refuses everything from now on and returns the items that were still waiting.
func (in *inbox) close() []item {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed = true
	left := in.items[in.head:]
	in.items, in.head = nil, 0
	return left
}

// Post takes an event of one of the call's legs.
func (c *Call) Post(leg Leg, event Event) { c.post(item{leg, event}) }

func (c *Call) post(it item) bool {
	c.activity.Begin()
	ok, start := c.in.put(it)
	if !ok {
		it.drop()
		c.activity.End()
		return false
	}
	if start {
		go c.drain()
	}
	return true
}

// do has the loop run f; nobody waits for it.
func (c *Call) do(f func()) { c.post(item{event: task(f)}) }

// drain is the loop: it handles what is in the inbox, one item at a time, and ends when there is nothing.
func (c *Call) drain() {
	for {
		it, ok := c.in.take()
		if !ok {
			return
		}
		c.handle(it)
		if c.dirty {
			c.publish()
		}
		c.activity.End()
	}
}

func (c *Call) handle(it item) {
	defer func() {
		if v := recover(); v != nil {
			c.panicked(v)
		}
	}()
	switch e := it.event.(type) {
	case operation:
		c.begin(e)
	case task:
		e()
	case overflow:
		c.note("overflow", "more events than the inbox holds")
		c.end(TemporaryFailure, OurFault)
	case flowEnded:
		c.flowEnded(e)
	case replacing:
		c.replace(e)
	case retrieval:
		c.retrieve(e)
	case handover:
		c.handedOver(e)
	default:
		c.legEvent(it.leg, it.event)
	}
}

// panicked ends the call after a panic of its loop.
func (c *Call) panicked(v any) {
	c.counted(v)
	c.note("panic", "in the call's loop")
	c.end(TemporaryFailure, OurFault)
}
