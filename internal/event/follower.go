package event

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"bugle"
)

// Log is the change log as a follower needs it; *store.Store is one.
type Log interface {
	// Tail returns those of Changes that are at hand without a database, maybe fewer than there are; all says that no nudge has
	// told of more.
	Tail(after int64, limit int) (changes []bugle.Change, all bool)
	// Changes returns up to limit changes after a position in commit order.
	Changes(ctx context.Context, after int64, limit int) ([]bugle.Change, error)
	// Subscribe returns a channel that receives when looking at the log is worth while.
	Subscribe() (nudge <-chan struct{}, stop func())
}

// Options configure a Follower.
type Options struct {
	Log Log
	// After is the position that the follower has already seen: take Store.Position before loading the documents.
	After int64
	// Handle takes changes in order, one batch at a time. When it fails (or panics) the same batch comes again after a
	// pause, so it must bear seeing a change twice.
	Handle func(ctx context.Context, changes []bugle.Change) error
	// Lost is called when changes after the follower's position are no longer kept, instead of Handle: it loads the
	// documents anew and returns the position from which to go on. nil: such a follower retries for ever.
	Lost func(ctx context.Context) (after int64, err error)
	// IsLost tells such an error of Log from others; errors.Is(err, store.ErrSwept).
	IsLost func(error) bool

	// Gather is the least time from one batch to the next, so that changes which come one after another share what a batch
	// costs; a change that comes alone does not wait. 0: none.
	Gather time.Duration

	Name    string        // in logs
	Batch   int           // changes of one batch; 0: 500
	Poll    time.Duration // between looks when no nudge comes; 0: 500 ms
	Retry   time.Duration // first pause after a failure, doubled up to MaxWait; 0: 100 ms
	MaxWait time.Duration // the longest pause; 0: 10 s
	Logger  *slog.Logger
	OnPanic func(any) // told of a panic of Handle
}

// Follower reads the change log from a position, in order, without missing a change, until it is closed.
type Follower struct {
	opts   Options
	cancel context.CancelFunc
	ended  chan struct{}

	mu       sync.Mutex
	position int64
	moved    chan struct{} // closed and replaced when position moves
}

// Follow starts a follower; Close ends it.
func Follow(opts Options) *Follower {
	if opts.Batch <= 0 {
		opts.Batch = 500
	}
	if opts.Poll <= 0 {
		opts.Poll = 500 * time.Millisecond
	}
	if opts.Retry <= 0 {
		opts.Retry = 100 * time.Millisecond
	}
	if opts.MaxWait <= 0 {
		opts.MaxWait = 10 * time.Second
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.OnPanic == nil {
		opts.OnPanic = func(any) {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := &Follower{opts: opts, cancel: cancel, ended: make(chan struct{}), position: opts.After,
		moved: make(chan struct{})}
	go f.run(ctx)
	return f
}

// Close ends the follower after the batch in hand, whose context is cancelled.
func (f *Follower) Close() {
	f.cancel()
	<-f.ended
}

// Position returns the last position that was handled.
func (f *Follower) Position() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.position
}

// Wait returns when the follower has handled everything up to position, or with the context's error.
func (f *Follower) Wait(ctx context.Context, position int64) error {
	for {
		f.mu.Lock()
		at, moved := f.position, f.moved
		f.mu.Unlock()
		if at >= position {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		case <-f.ended:
			return fmt.Errorf("event.Wait: follower %q has ended", f.opts.Name)
		}
	}
}

func (f *Follower) run(ctx context.Context) {
	defer close(f.ended)
	nudge, stop := f.opts.Log.Subscribe()
	defer stop()
	pause := f.opts.Retry
	for nudged := false; ctx.Err() == nil; {
		began, after := time.Now(), f.Position()
		more, err := f.step(ctx, nudged)
		nudged = false
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			f.opts.Logger.Warn("the change log could not be followed", "follower", f.opts.Name, "position", f.Position(),
				"error", err)
			sleep(ctx, nil, pause) // a nudge must not shorten it
			pause = min(2*pause, f.opts.MaxWait)
			continue
		case more:
			pause = f.opts.Retry
			continue
		}
		pause = f.opts.Retry
		if f.opts.Gather > 0 && f.Position() != after {
			sleep(ctx, nil, f.opts.Gather-time.Since(began))
		}
		nudged = sleep(ctx, nudge, f.opts.Poll)
	}
}

// step handles one batch; more says that there may be another. After a nudge the log is not asked when all that it can have told of
// is at hand.
func (f *Follower) step(ctx context.Context, nudged bool) (more bool, err error) {
	defer func() {
		if v := recover(); v != nil {
			f.opts.OnPanic(v)
			more, err = false, fmt.Errorf("panic: %v", v)
		}
	}()
	after := f.Position()
	changes, all := f.opts.Log.Tail(after, f.opts.Batch)
	if len(changes) == 0 && !(nudged && all) {
		all = true
		changes, err = f.opts.Log.Changes(ctx, after, f.opts.Batch)
	}
	if err != nil && f.opts.Lost != nil && f.opts.IsLost != nil && f.opts.IsLost(err) {
		if after, err = f.opts.Lost(ctx); err != nil {
			return false, err
		}
		f.move(after)
		return true, nil
	}
	if err != nil || len(changes) == 0 {
		return false, err
	}
	if err := f.opts.Handle(ctx, changes); err != nil {
		return false, err
	}
	f.move(changes[len(changes)-1].Position)
	return len(changes) == f.opts.Batch || !all, nil
}

func (f *Follower) move(position int64) {
	f.mu.Lock()
	f.position = position
	close(f.moved)
	f.moved = make(chan struct{})
	f.mu.Unlock()
}

// sleep waits, and reports whether a nudge ended it.
func sleep(ctx context.Context, nudge <-chan struct{}, d time.Duration) (nudged bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-nudge:
		nudged = true
	case <-timer.C:
	}
	return nudged
}
