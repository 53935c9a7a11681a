package store

import (
	"context"
	"sync"
	"time"

	"bugle"
)

// Records are committed in groups: when the first row of a group has waited as long as it may, or with groupRows rows.
const (
	bindingsWait = 0                      // the registrar has gathered them
	callsWait    = 250 * time.Millisecond // nobody does
	messagesWait = 50 * time.Millisecond  // the caller waits to hear that the message is kept
	attemptsWait = 20 * time.Millisecond  // whoever wants to be called waits
	resultsWait  = 20 * time.Millisecond  // nobody does, but a crash repeats what is not written
	groupRows    = 200
	groupQueue   = 4096 // submissions that wait; above it they are refused at once
	groupTimeout = 15 * time.Second
)

// groupWriter commits rows of many submitters in one transaction and tells each after the commit.
type groupWriter[T any] struct {
	s     *Store
	name  string
	wait  time.Duration // the longest that a row waits for others
	write func(ctx context.Context, t *transaction, rows []T) error
	ended chan struct{}

	mu     sync.RWMutex // held while sending, so that closing the queue races with nobody
	closed bool
	queue  chan submission[T]
}

type submission[T any] struct {
	rows []T
	done func(error)
}

func newGroupWriter[T any](s *Store, name string, wait time.Duration,
	write func(context.Context, *transaction, []T) error) *groupWriter[T] {
	g := &groupWriter[T]{s: s, name: name, wait: wait, write: write, ended: make(chan struct{}),
		queue: make(chan submission[T], groupQueue)}
	go g.run()
	return g
}

// submit queues rows; done is called once, from the writer's goroutine, and must not block. A submission is never split
// over two commits.
func (g *groupWriter[T]) submit(rows []T, done func(error)) {
	g.mu.RLock()
	if g.closed {
		g.mu.RUnlock()
		done(&bugle.Error{Op: "store." + g.name, Kind: bugle.KindUnavailable, Message: "the database is closed"})
		return
	}
	select {
	case g.queue <- submission[T]{rows, done}:
		g.mu.RUnlock()
	default:
		g.mu.RUnlock()
		done(&bugle.Error{Op: "store." + g.name, Kind: bugle.KindUnavailable,
			Message: "too many writes wait for the database, try again later"})
	}
}

// save is submit for a caller that waits. When ctx ends first, the rows may still be written.
func (g *groupWriter[T]) save(ctx context.Context, rows []T) error {
	result := make(chan error, 1)
	g.submit(rows, func(err error) { result <- err })
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return g.s.fail("store."+g.name, ctx.Err())
	}
}

// close commits what is queued and ends the writer.
func (g *groupWriter[T]) close() {
	g.mu.Lock()
	if !g.closed {
		g.closed = true
		close(g.queue)
	}
	g.mu.Unlock()
	<-g.ended
}

func (g *groupWriter[T]) run() {
	defer close(g.ended)
	for first := range g.queue {
		group, n := []submission[T]{first}, len(first.rows)
		timer := time.NewTimer(g.wait)
		for n < groupRows {
			next, ok := g.next(timer)
			if !ok {
				break
			}
			group, n = append(group, next), n+len(next.rows)
		}
		timer.Stop()
		g.commit(group, n)
	}
}

// next returns what is queued, or comes before the timer ends.
func (g *groupWriter[T]) next(timer *time.Timer) (submission[T], bool) {
	select {
	case next, open := <-g.queue:
		return next, open
	default:
	}
	if g.wait == 0 {
		return submission[T]{}, false
	}
	select {
	case next, open := <-g.queue:
		return next, open
	case <-timer.C:
		return submission[T]{}, false
	}
}

func (g *groupWriter[T]) commit(group []submission[T], n int) {
	rows := make([]T, 0, n)
	for _, sub := range group {
		rows = append(rows, sub.rows...)
	}
	err := g.try(rows)
	if bugle.KindOf(err) == bugle.KindInternal && err != nil && len(group) > 1 {
		// One of them cannot be written; the others must not suffer.
		for _, sub := range group {
			g.tell(sub, g.try(sub.rows))
		}
		return
	}
	for _, sub := range group {
		g.tell(sub, err)
	}
}

func (g *groupWriter[T]) tell(sub submission[T], err error) {
	defer g.s.recovered()
	sub.done(err)
}

func (g *groupWriter[T]) try(rows []T) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), groupTimeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		err = g.once(ctx, rows)
		if err == nil || attempt == writeAttempts || !g.s.again(ctx, attempt, err) {
			return g.s.fail("store."+g.name, err)
		}
	}
}

func (g *groupWriter[T]) once(ctx context.Context, rows []T) error {
	t, err := g.s.begin(ctx)
	if err != nil {
		return err
	}
	if err := g.write(ctx, t, rows); err != nil {
		t.rollback()
		return err
	}
	return g.s.commit(t)
}
