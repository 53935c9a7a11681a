package sip

import (
	"sync"
	"time"
)

// instant is a time in nanoseconds since an hour before the stack was made; 0 is no time.
type instant int64

// alarmGrain is how far apart the wake-ups of the alarm queue are, so that thousands of transactions that end in one
// second cost a hundred wake-ups and not thousands.
const alarmGrain = instant(10 * time.Millisecond)

// alarm is one place in the queue, embedded in what is to be woken.
type alarm struct {
	index int // in the heap, plus 1; 0 when it is not there
	owner ringer
}

// ringer is what an alarm wakes.
type ringer interface{ ring(now instant) }

// alarms is the one queue of timers of a stack: a heap driven by a single timer of the clock.
type alarms struct {
	clock Clock
	start time.Time

	mu      sync.Mutex
	heap    []alarmEntry
	timer   Timer
	armed   instant // when timer goes off, 0 when it is not set
	running bool
	closed  bool
}

type alarmEntry struct {
	when instant
	a    *alarm
}

// newAlarms starts an hour ago, so that no instant is 0, which stands for no time.
func newAlarms(clock Clock) *alarms { return &alarms{clock: clock, start: clock.Now().Add(-time.Hour)} }

func (q *alarms) now() instant { return instant(q.clock.Now().Sub(q.start)) }

// set moves a to when; 0 takes it out of the queue. It rings nothing.
func (q *alarms) set(a *alarm, when instant) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if when == 0 || q.closed {
		if a.index != 0 {
			q.remove(a.index - 1)
		}
		return
	}
	if a.index == 0 {
		q.heap = append(q.heap, alarmEntry{when, a})
		a.index = len(q.heap)
		q.up(a.index - 1)
	} else {
		i := a.index - 1
		q.heap[i].when = when
		if !q.up(i) {
			q.down(i)
		}
	}
	q.arm()
}

// arm sets the clock's timer for the first alarm.
func (q *alarms) arm() {
	if len(q.heap) == 0 || q.running || q.closed {
		return
	}
	at := (q.heap[0].when + alarmGrain - 1) / alarmGrain * alarmGrain
	if q.armed != 0 && q.armed <= at {
		return
	}
	if q.timer != nil {
		q.timer.Stop()
	}
	q.armed = at
	q.timer = q.clock.AfterFunc(time.Duration(at-q.now()), q.run)
}

// run rings every alarm that is due.
func (q *alarms) run() {
	now := q.now()
	q.mu.Lock()
	q.armed, q.running = 0, true
	for len(q.heap) > 0 && q.heap[0].when <= now && !q.closed {
		a := q.heap[0].a
		q.remove(0)
		q.mu.Unlock()
		a.owner.ring(now)
		q.mu.Lock()
	}
	q.running = false
	q.arm()
	q.mu.Unlock()
}

func (q *alarms) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	if q.timer != nil {
		q.timer.Stop()
	}
	q.heap = nil
}

func (q *alarms) remove(i int) {
	if i >= len(q.heap) {
		return
	}
	q.heap[i].a.index = 0
	last := len(q.heap) - 1
	moved := q.heap[last]
	q.heap[last] = alarmEntry{}
	q.heap = q.heap[:last]
	if i == last {
		return
	}
	q.heap[i] = moved
	moved.a.index = i + 1
	if !q.up(i) {
		q.down(i)
	}
}

// up and down restore the order of a heap with four children a node.
func (q *alarms) up(i int) (moved bool) {
	e := q.heap[i]
	for i > 0 {
		parent := (i - 1) / 4
		if q.heap[parent].when <= e.when {
			break
		}
		q.place(i, q.heap[parent])
		i, moved = parent, true
	}
	q.place(i, e)
	return moved
}

func (q *alarms) down(i int) {
	e := q.heap[i]
	for {
		least := -1
		for c := 4*i + 1; c <= 4*i+4 && c < len(q.heap); c++ {
			if least < 0 || q.heap[c].when < q.heap[least].when {
				least = c
			}
		}
		if least < 0 || e.when <= q.heap[least].when {
			break
		}
		q.place(i, q.heap[least])
		i = least
	}
	q.place(i, e)
}

func (q *alarms) place(i int, e alarmEntry) {
	q.heap[i] = e
	e.a.index = i + 1
}
