package store

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"bugle"
)

// DefaultRetention is how long the change log is kept.
const DefaultRetention = 90 * 24 * time.Hour

// Options configure a Store. The zero value is good.
type Options struct {
	Now       func() time.Time // nil: time.Now
	Log       *slog.Logger     // nil: silent
	Sealer    *Sealer          // when set, opening fails unless this database was sealed with its key
	Retention time.Duration    // of the change log; 0: DefaultRetention
	OnPanic   func(any)        // told of a panic of a goroutine of the store; may be nil
}

// Store keeps documents, their change log and records in one database. It is safe for concurrent use.
type Store struct {
	engine engine
	opts   Options
	read   *pool
	write  *pool

	name     string        // tells this store's notifications from those of others on its database
	announce chan struct{} // tells others of commits; nil where there are none

	nudges     nudges // of followers of the change log
	deliverers nudges // of those who look for deliveries
	watchers   nudges // of those who look for events of company directories
	tail       tail

	mu    sync.Mutex
	hooks map[committing]struct{}

	closed   atomic.Bool
	ctx      context.Context // ends with the store; its goroutines' own
	cancel   context.CancelFunc
	wg       sync.WaitGroup
	bindings *groupWriter[bindingWrite]
	calls    *groupWriter[CallRow]
	messages *groupWriter[MessageRow]
	attempts *groupWriter[*attemptWrite]
	results  *groupWriter[*HookResult]
}

// commit is one committed change with the document as it is now, for followers in this process.
type commit struct {
	change bugle.Change
	keys   []Key   // held before or after
	index  []Index // held before or after
	now    *Document
}

// committing is told of the commits of this process: of their positions in the log just before, and of what became of
// them before Write returns. Every expect is followed by one apply or one forget.
type committing interface {
	expect(first, last int64)
	apply(commits []commit)
	forget(first, last int64)
}

func newStore(e engine, opts Options) *Store {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Retention <= 0 {
		opts.Retention = DefaultRetention
	}
	if opts.OnPanic == nil {
		opts.OnPanic = func(any) {}
	}
	s := &Store{engine: e, opts: opts, name: bugle.NewID(), hooks: map[committing]struct{}{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.read, s.write = newPool(e.readers(), e), newPool(e.writer(), e)
	s.bindings = newGroupWriter(s, "bindings", bindingsWait, s.writeBindings)
	s.calls = newGroupWriter(s, "calls", callsWait, s.writeCalls)
	s.messages = newGroupWriter(s, "messages", messagesWait, s.writeMessages)
	s.attempts = newGroupWriter(s, "attempts", attemptsWait, s.writeAttempts)
	s.results = newGroupWriter(s, "results", resultsWait, s.writeHookResults)
	s.wg.Go(s.sweepNowAndThen)
	return s
}

// Close writes what is queued and closes the database. Everything fails with KindUnavailable afterwards.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.bindings.close()
	s.calls.close()
	s.messages.close()
	s.attempts.close()
	s.results.close()
	s.cancel()
	s.wg.Wait()
	s.read.close()
	s.write.close()
	return s.engine.close()
}

// Ping asks the database whether it answers and is still where it was. It does not prove that there is room to write.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.engine.present(); err != nil {
		return s.fail("store.Ping", err)
	}
	var one int
	return s.fail("store.Ping", s.read.row(ctx, `SELECT 1`).Scan(&one))
}

// Subscribe returns a channel that receives after commits of documents, when looking at the log is worth while. Nudges
// that nobody takes melt into one, and one may be missing: the log is the truth. stop ends the subscription.
func (s *Store) Subscribe() (nudge <-chan struct{}, stop func()) { return s.nudges.subscribe() }

// SubscribeHooks is Subscribe for deliveries: a nudge says that HooksAfter or HookEndpointsTouched may have something new.
func (s *Store) SubscribeHooks() (nudge <-chan struct{}, stop func()) {
	return s.deliverers.subscribe()
}

// SubscribeDirectories is Subscribe for the events of company directories: a nudge says that DirectoryEvents may have something
// new.
func (s *Store) SubscribeDirectories() (nudge <-chan struct{}, stop func()) {
	return s.watchers.subscribe()
}

// hook makes h hear of commits until stop is called.
func (s *Store) hook(h committing) (stop func()) {
	s.mu.Lock()
	s.hooks[h] = struct{}{}
	s.mu.Unlock()
	return func() {
		s.mu.Lock()
		delete(s.hooks, h)
		s.mu.Unlock()
	}
}

func (s *Store) hooked() []committing {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.hooks))
}

// nudge makes everybody look who follows something of this database: another process may have committed.
func (s *Store) nudge() {
	s.tail.hush()
	s.nudges.nudge()
	s.deliverers.nudge()
	s.watchers.nudge()
}

// committed nudges the followers of this process and has those of others nudged.
func (s *Store) committed() {
	s.nudges.nudge()
	s.announceOnce()
}

// hooksCommitted is committed for deliveries.
func (s *Store) hooksCommitted() {
	s.deliverers.nudge()
	s.announceOnce()
}

// directoryCommitted is committed for events of company directories.
func (s *Store) directoryCommitted() {
	s.watchers.nudge()
	s.announceOnce()
}

func (s *Store) announceOnce() {
	select {
	case s.announce <- struct{}{}:
	default: // one is on its way, or there is nobody
	}
}

// nudges are channels that receive when looking is worth while. The zero value is ready.
type nudges struct {
	mu       sync.Mutex
	channels map[chan struct{}]struct{}
}

func (n *nudges) subscribe() (nudge <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.channels == nil {
		n.channels = map[chan struct{}]struct{}{}
	}
	n.channels[ch] = struct{}{}
	return ch, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.channels, ch)
	}
}

func (n *nudges) nudge() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for ch := range n.channels {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// now is the time as the database keeps it.
func (s *Store) now() time.Time { return s.opts.Now().UTC().Truncate(time.Microsecond) }

func (s *Store) recovered() {
	if v := recover(); v != nil {
		s.opts.Log.Error("a goroutine of the store panicked", "panic", v)
		s.opts.OnPanic(v)
	}
}
