package media

import "sync"

// eventLimit is how many events of a session may wait for an owner that is slow to take them.
const eventLimit = 256

// event is what a loop tells a session's owner.
type event struct {
	kind  eventKind
	key   byte
	token int
}

type eventKind uint8

const (
	eventDigit eventKind = iota
	eventPlayEnded
	eventTimeout
)

// eventQueue carries events off the loop. While some wait, one goroutine hands them to the owner, in order; a session
// that is quiet has none.
type eventQueue struct {
	owner   Events
	failed  func(any)
	mu      sync.Mutex
	waiting []event
	running bool
	closed  bool
}

func (q *eventQueue) digit(key byte)   { q.add(event{kind: eventDigit, key: key}) }
func (q *eventQueue) played(token int) { q.add(event{kind: eventPlayEnded, token: token}) }
func (q *eventQueue) silent()          { q.add(event{kind: eventTimeout}) }

func (q *eventQueue) add(e event) {
	if q.owner == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.waiting) == eventLimit {
		return
	}
	q.waiting = append(q.waiting, e)
	if !q.running {
		q.running = true
		go q.deliver()
	}
}

// dropPlayed forgets ends of playing that were not told yet: what is played now is something else.
func (q *eventQueue) dropPlayed() {
	q.mu.Lock()
	defer q.mu.Unlock()
	kept := q.waiting[:0]
	for _, e := range q.waiting {
		if e.kind != eventPlayEnded {
			kept = append(kept, e)
		}
	}
	q.waiting = kept
}

func (q *eventQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed, q.waiting = true, nil
}

// take returns the next event, and ends the delivery when there is none.
func (q *eventQueue) take() (event, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.running, q.waiting = false, nil
		return event{}, false
	}
	e := q.waiting[0]
	q.waiting = q.waiting[1:]
	return e, true
}

func (q *eventQueue) deliver() {
	for {
		e, ok := q.take()
		if !ok {
			return
		}
		q.tell(e)
	}
}

// tell calls the owner. A panic of its is one of this session's.
func (q *eventQueue) tell(e event) {
	defer func() {
		if reason := recover(); reason != nil {
			q.failed(reason)
		}
	}()
	switch e.kind {
	case eventDigit:
		q.owner.OnDigit(e.key)
	case eventPlayEnded:
		q.owner.OnPlayEnded(e.token)
	case eventTimeout:
		q.owner.OnMediaTimeout()
	}
}
