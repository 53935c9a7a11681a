package sip

import (
	"hash/maphash"
	"strings"
	"sync"
)

// lane is the one owner of everything that belongs to one Call-ID: its transactions and the queue of what is to be told
// to the TU. Its lock guards them all; nothing is called up to the TU with it held, so the TU may call down at any time.
//
// Lock order: lane.mu, then one of Stack.mu, laneShard.mu, alarms.mu, runQueue.mu, streamConn.mu.
type lane struct {
	stack  *Stack
	callID string
	refs   int // transactions, holders and the run queue; guarded by the shard

	mu       sync.Mutex
	servers  []*ServerTransaction
	clients  []*ClientTransaction
	queue    []event // what the TU has not been told yet
	head     int     // of queue
	messages int     // events in the queue that are messages from the wire
	running  bool    // it is in the run queue or with a worker
	inline   bool    // the reader that holds the lock will itself tell the TU what is queued meanwhile
	claimed  bool    // and there is something to tell

	next *lane    // in the run queue
	room struct { // what a usual call needs, so that it costs one allocation
		servers [2]*ServerTransaction
		queue   [2]event
	}
}

// event is one thing to tell the TU.
type event struct {
	kind   eventKind
	m      *Message
	server *ServerTransaction
	client *ClientTransaction
	err    error
}

func (e event) callID() string {
	switch {
	case e.server != nil:
		return e.server.lane.callID
	case e.client != nil:
		return e.client.lane.callID
	}
	return ""
}

type eventKind uint8

const (
	eventRequest eventKind = iota
	eventACK
	eventStray
	eventCancel
	eventEnd
	eventResult
)

const laneShards = 64

type laneShard struct {
	mu    sync.Mutex
	lanes map[string]*lane
}

func (s *Stack) shard(callID string) *laneShard {
	return &s.shards[maphash.String(s.seed, callID)%laneShards]
}

// acquire returns the lane of a Call-ID with a hold on it, nil when there is none and create is not set.
func (s *Stack) acquire(callID string, create bool) *lane {
	shard := s.shard(callID)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	l := shard.lanes[callID]
	if l == nil {
		if !create {
			return nil
		}
		l = &lane{stack: s, callID: strings.Clone(callID)}
		l.servers, l.queue = l.room.servers[:0], l.room.queue[:0]
		shard.lanes[l.callID] = l
	}
	l.refs++
	return l
}

func (l *lane) hold() {
	shard := l.stack.shard(l.callID)
	shard.mu.Lock()
	l.refs++
	shard.mu.Unlock()
}

func (l *lane) release() {
	shard := l.stack.shard(l.callID)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if l.refs--; l.refs == 0 && shard.lanes[l.callID] == l {
		delete(shard.lanes, l.callID)
	}
}

// push queues an event for the TU. The lane is locked.
func (l *lane) push(e event) {
	if e.m != nil {
		l.messages++
		l.stack.queued.Add(int64(len(e.m.buf)))
	}
	l.queue = append(l.queue, e)
	if !l.running {
		l.running = true
		l.hold()
		if l.inline {
			l.claimed = true
		} else {
			l.stack.run.push(l)
		}
	}
}

func (l *lane) pop() (event, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.head == len(l.queue) {
		l.running, l.queue, l.head = false, l.queue[:0], 0
		return event{}, false
	}
	e := l.queue[l.head]
	l.queue[l.head] = event{}
	l.head++
	if e.m != nil {
		l.messages--
		l.stack.queued.Add(-int64(len(e.m.buf)))
	}
	return e, true
}

// runQueue holds the lanes that have something to tell, in order.
type runQueue struct {
	mu         sync.Mutex
	wake       sync.Cond
	head, tail *lane
	length     int
	closed     bool
}

func (q *runQueue) push(l *lane) {
	q.mu.Lock()
	if q.tail == nil {
		q.head = l
	} else {
		q.tail.next = l
	}
	q.tail = l
	q.length++
	q.mu.Unlock()
	q.wake.Signal()
}

// pop waits for a lane; nil means that the queue is closed and empty.
func (q *runQueue) pop() *lane {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.head == nil {
		if q.closed {
			return nil
		}
		q.wake.Wait()
	}
	l := q.head
	if q.head = l.next; q.head == nil {
		q.tail = nil
	}
	l.next = nil
	q.length--
	return l
}

func (q *runQueue) full(limit int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.length >= limit
}

func (q *runQueue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.wake.Broadcast()
}

// worker tells the TU what lanes have queued, one lane at a time.
func (s *Stack) worker() {
	defer s.workers.Done()
	for l := s.run.pop(); l != nil; l = s.run.pop() {
		l.tellAll()
	}
}

// tellAll tells the TU what is queued; the caller has made the lane running.
func (l *lane) tellAll() {
	for e, ok := l.pop(); ok; e, ok = l.pop() {
		l.stack.deliver(e)
	}
	l.release()
}
