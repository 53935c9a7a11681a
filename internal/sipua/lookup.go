package sipua

import (
	"context"
	"sync"
	"time"
)

// lookup is the context of what is looked up for one request. Nearly all of it is in memory, so that the timer of
// lookupTimeout starts when somebody first waits. end must be called.
type lookup struct {
	mu     sync.Mutex
	inner  context.Context // nil while nobody has waited
	cancel context.CancelFunc
}

var _ context.Context = (*lookup)(nil)

func (l *lookup) start() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inner == nil {
		l.inner, l.cancel = context.WithTimeout(context.Background(), lookupTimeout)
	}
	return l.inner
}

func (l *lookup) started() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inner == nil {
		return context.Background()
	}
	return l.inner
}

func (l *lookup) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cancel == nil {
		l.inner, l.cancel = ended, func() {}
	}
	l.cancel()
}

// ended is the context of a lookup that nobody waited for.
var ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// Deadline is part of context.Context.
func (l *lookup) Deadline() (time.Time, bool) { return l.start().Deadline() }

// Done is part of context.Context.
func (l *lookup) Done() <-chan struct{} { return l.start().Done() }

// Err is part of context.Context.
func (l *lookup) Err() error { return l.started().Err() }

// Value is part of context.Context. Contexts made from this one ask it for the one that can be cancelled.
func (l *lookup) Value(key any) any { return l.started().Value(key) }
