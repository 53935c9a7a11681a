package webhook

import (
	"context"
	"log/slog"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"bugle"
	"bugle/internal/store"
)

// Meter counts what an engine does; its methods are called often and must not block.
type Meter interface {
	// Attempt hears of every attempt: outcome is "delivered", "failed", or "dead" for one that was the last.
	Attempt(kind, outcome string, took time.Duration)
	// Transition hears of every transition.
	Transition(kind string, t Transition)
}

// Transport sends requests; *Sender is one.
type Transport interface {
	Send(ctx context.Context, r Request) Answer
}

// Options configure an Engine.
type Options struct {
	Store *store.Store
	Send  Transport
	Kinds map[string]Kind
	// Alone: no other node shares the database, so whoever else stands in it is dead.
	Alone bool
	// Total is how many attempts there may be at once; 0: 256.
	Total int
	// Window is how many deliveries of one endpoint are kept in memory; 0: 5000. The order of what shares a key holds
	// beyond it, but what shares none waits behind that many that are not taken.
	Window int
	// Spread is the time over which what waits at the start becomes due; 0: 10 s.
	Spread time.Duration
	// Beat is how often a node says that it lives; after three that fail to come, others take what it had. 0: 2 s.
	Beat time.Duration
	// Poll is how often an engine looks for deliveries that no nudge told of; 0: 500 ms.
	Poll    time.Duration
	Log     *slog.Logger
	Meter   Meter     // nil: nobody counts
	OnPanic func(any) // told of a panic of an owner
}

// Stats are what an engine has in hand.
type Stats struct {
	Endpoints int           // that this node delivers for
	Waiting   int           // deliveries of them that are loaded
	Flying    int           // attempts under way
	Oldest    time.Duration // age of the oldest delivery that waits, as of the last beat
}

const (
	pageSize  = 500      // deliveries that are read at once
	keepBytes = 32 << 20 // of bodies in memory; beyond, they are read again
	unsavable = 2000     // results that may wait to be written; beyond, nothing is sent
	postponed = time.Second
)

// Engine delivers what is enqueued in a store. It is safe for concurrent use.
type Engine struct {
	opts   Options
	node   string
	cancel context.CancelFunc
	wg     sync.WaitGroup // the loop, the keeper, attempts
	leased atomic.Int64   // unix nanoseconds until which this node may send
	closed atomic.Bool
	quit   chan struct{} // closed: begin no attempt
	stats  atomic.Pointer[Stats]

	mu     sync.Mutex
	inbox  []func() // run by the loop
	signal chan struct{}
	keeper keeper

	// Only the loop touches what follows.
	queues   map[string]*queue
	line     []*queue // those with something to do now, each once
	wakes    wakeHeap
	flying   int
	unsaved  int
	bytes    int
	begun    int64 // the counter of deliveries at the start
	queued   int64 // how far HooksAfter was read
	position int64
	touched  int64
	// passed are deliveries that were done with before HooksAfter told of them, by id: their Queued.
	passed map[string]int64
}

// Start returns an engine that delivers until it is closed.
func Start(ctx context.Context, opts Options) (*Engine, error) {
	if opts.Total <= 0 {
		opts.Total = 256
	}
	if opts.Window <= 0 {
		opts.Window = 5000
	}
	if opts.Spread <= 0 {
		opts.Spread = 10 * time.Second
	}
	if opts.Beat <= 0 {
		opts.Beat = 2 * time.Second
	}
	if opts.Poll <= 0 {
		opts.Poll = 500 * time.Millisecond
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.OnPanic == nil {
		opts.OnPanic = func(any) {}
	}
	e := &Engine{opts: opts, node: bugle.NewID(), quit: make(chan struct{}), signal: make(chan struct{}, 1),
		queues: map[string]*queue{}, passed: map[string]int64{}}
	e.keeper.init(e)
	e.stats.Store(&Stats{})
	var err error
	// What is there already is found by who waits; HooksAfter tells of what comes.
	if e.queued, err = opts.Store.HooksQueued(ctx); err != nil {
		return nil, err
	}
	e.begun, e.position, e.touched = e.queued, 1<<62, e.queued
	running, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	e.wg.Go(func() { e.run(running) })
	e.wg.Go(func() { e.keeper.run(running) })
	return e, nil
}

// Close begins no more attempts, waits for those under way until ctx ends, and leaves its endpoints to others.
func (e *Engine) Close(ctx context.Context) {
	if e.closed.Swap(true) {
		return
	}
	close(e.quit)
	for !e.landed() && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
	e.cancel()
	e.wg.Wait()
	release, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := e.opts.Store.ReleaseHookEndpoints(release, e.node); err != nil {
		e.opts.Log.Warn("webhooks: other nodes wait before they deliver for this one", "error", err)
	}
}

// landed reports whether no attempt is under way and no result waits to be written.
func (e *Engine) landed() bool {
	result := make(chan bool, 1)
	e.post(func() { result <- e.flying == 0 && e.unsaved == 0 })
	return <-result
}

// Stats tells what the engine has in hand.
func (e *Engine) Stats() Stats { return *e.stats.Load() }

// post makes the loop run f. It never blocks.
func (e *Engine) post(f func()) {
	e.mu.Lock()
	e.inbox = append(e.inbox, f)
	e.mu.Unlock()
	select {
	case e.signal <- struct{}{}:
	default:
	}
}

func (e *Engine) run(ctx context.Context) {
	nudge, stop := e.opts.Store.SubscribeHooks()
	defer stop()
	look := time.NewTicker(e.opts.Poll)
	defer look.Stop()
	beat := time.NewTicker(e.opts.Beat)
	defer beat.Stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		e.pump(ctx)
		if at, ok := e.wakes.first(); ok {
			timer.Reset(max(0, time.Until(at)))
		} else {
			timer.Reset(time.Hour)
		}
		select {
		case <-ctx.Done():
			return
		case <-e.signal:
			e.mu.Lock()
			work := e.inbox
			e.inbox = nil
			e.mu.Unlock()
			for _, f := range work {
				f()
			}
		case <-nudge:
			e.discover(ctx)
		case <-look.C:
			e.discover(ctx)
		case <-beat.C:
			e.look(ctx)
		case <-timer.C:
			e.awake(time.Now())
		}
	}
}

// pump begins attempts, one of each endpoint in turn.
func (e *Engine) pump(ctx context.Context) {
	for len(e.line) > 0 && e.flying < e.opts.Total && e.unsaved < unsavable {
		now := time.Now()
		if !e.maySend(now) {
			return
		}
		q := e.line[0]
		e.line = e.line[1:]
		q.active = false
		switch at := q.next(); {
		case at.IsZero() || at.After(now):
		case !q.endpoint.Blacklisted.IsZero():
			e.probe(ctx, q)
		default:
			if it := q.fly(now); it != nil {
				e.flying++
				endpoint, d := q.endpoint, it.HookDelivery
				e.wg.Go(func() { e.attempt(ctx, q, it, endpoint, d) })
			}
			e.refill(ctx, q)
		}
		e.schedule(q)
	}
}

// maySend: this node has said in time that it lives, and is not about to end.
func (e *Engine) maySend(now time.Time) bool {
	return now.UnixNano() < e.leased.Load() && !e.closed.Load()
}

// schedule puts a queue into the line, or has it looked at later.
func (e *Engine) schedule(q *queue) {
	at := q.next()
	switch {
	case at.IsZero():
		q.wake = at
	case !at.After(time.Now()):
		if !q.active {
			q.active, q.wake = true, time.Time{}
			e.line = append(e.line, q)
		}
	case q.wake.IsZero() || at.Before(q.wake):
		q.wake = at
		e.wakes.add(at, q)
	}
}

// awake puts into the line what has become due.
func (e *Engine) awake(now time.Time) {
	for {
		at, ok := e.wakes.first()
		if !ok || at.After(now) {
			return
		}
		q := e.wakes.take()
		if q.wake.Equal(at) {
			q.wake = time.Time{}
			e.schedule(q)
		}
	}
}

// adopt takes on endpoints. Where deliveries wait that are not newer than a number of their counter, the endpoint begins at
// some time within the spread: many that were left by a crash do not begin at once.
func (e *Engine) adopt(ctx context.Context, list []store.HookEndpoint, left int64) {
	for _, endpoint := range list {
		kind, known := e.opts.Kinds[endpoint.Kind]
		if !known || e.queues[endpoint.ID] != nil {
			continue
		}
		// It was read before it came here: a pause that was discovered meanwhile found no queue.
		now, err := e.opts.Store.GetHookEndpoint(ctx, endpoint.AccountID, endpoint.ID)
		if err != nil {
			e.opts.Log.Warn("webhooks: an endpoint could not be read", "endpoint", endpoint.ID, "error", err)
			continue // the next scan finds it
		}
		endpoint.Paused, endpoint.Resumed, endpoint.Touched = now.Paused, now.Resumed, now.Touched
		e.queues[endpoint.ID] = e.begin(ctx, newQueue(endpoint, kind), left)
	}
}

// begin reads what waits for an endpoint and says when it begins.
func (e *Engine) begin(ctx context.Context, q *queue, left int64) *queue {
	q.forgive()
	now := time.Now()
	q.probeAt = now.Add(rand.N(e.opts.Spread))
	e.load(ctx, q)
	for _, it := range q.items {
		if it.Queued <= left {
			q.hold = now.Add(rand.N(e.opts.Spread))
			break
		}
	}
	e.schedule(q)
	return q
}

// load reads what waits behind the last delivery that is in memory. All of it is due: it is read at the start, or after
// more than the window.
func (e *Engine) load(ctx context.Context, q *queue) {
	now := time.Now()
	for len(q.items) < e.opts.Window && !q.whole && !q.lost {
		list, err := e.opts.Store.HooksWaiting(ctx, q.endpoint.ID, q.tail, pageSize)
		if err != nil {
			e.opts.Log.Warn("webhooks: deliveries could not be read", "endpoint", q.endpoint.ID, "error", err)
			time.AfterFunc(postponed, func() { e.post(func() { e.load(ctx, q); e.schedule(q) }) })
			return // the queue is not whole, so it begins nothing out of order
		}
		for _, d := range list {
			q.tail = d.Position
			if passed, ok := e.passed[d.ID]; ok && passed >= d.Queued {
				continue
			}
			if d.Due.After(now) {
				d.Due = now
			}
			e.take(q, d)
		}
		q.whole = len(list) < pageSize
	}
}

// take adds a delivery, without its body when there are many in memory.
func (e *Engine) take(q *queue, d store.HookDelivery) {
	if q.items[d.ID] == nil {
		if e.bytes+len(d.Body) > keepBytes {
			d.Body = nil
		}
		e.bytes += len(d.Body)
	}
	q.add(d)
}

// discover reads what was enqueued, sent again and touched since the last time.
func (e *Engine) discover(ctx context.Context) {
	for {
		list, err := e.opts.Store.HooksAfter(ctx, e.queued, e.position, pageSize)
		if err != nil {
			e.opts.Log.Warn("webhooks: new deliveries could not be read", "error", err)
			return
		}
		for _, d := range list {
			e.queued, e.position = d.Queued, d.Position
			q := e.queues[d.Endpoint]
			switch passed, done := e.passed[d.ID]; {
			case d.State != store.HookWaiting, done && passed >= d.Queued:
			case q == nil:
				e.keeper.want(d.Endpoint, d.AccountID)
			case q.items[d.ID] == nil && len(q.items) >= e.opts.Window: // it is read when there is room, also what was sent again
				q.whole, q.tail = false, min(q.tail, d.Position-1)
			case q.whole || d.Position <= q.tail:
				q.tail = max(q.tail, d.Position)
				e.take(q, d)
				e.schedule(q)
			}
		}
		maps.DeleteFunc(e.passed, func(_ string, queued int64) bool { return queued < e.queued })
		if len(list) < pageSize {
			break
		}
	}
	touched, err := e.opts.Store.HookEndpointsTouched(ctx, e.touched)
	if err != nil {
		e.opts.Log.Warn("webhooks: endpoints could not be read", "error", err)
		return
	}
	for _, endpoint := range touched {
		e.touched = max(e.touched, endpoint.Touched)
		if q := e.queues[endpoint.ID]; q != nil {
			resumed := !q.endpoint.Paused.IsZero() && endpoint.Paused.IsZero()
			q.endpoint.Paused, q.endpoint.Resumed, q.endpoint.Touched = endpoint.Paused, endpoint.Resumed, endpoint.Touched
			q.hold, q.probeAt = time.Time{}, time.Now()
			if resumed {
				e.resume(q, q.probeAt)
			}
			e.schedule(q)
		}
	}
}

// look sums up, and hands what another node should have over to it.
func (e *Engine) look(ctx context.Context) {
	now, stats := time.Now(), Stats{Endpoints: len(e.queues), Flying: e.flying}
	var oldest time.Time
	var idle []store.HookEndpoint
	for id, q := range e.queues {
		stats.Waiting += len(q.items)
		for _, it := range q.items {
			if oldest.IsZero() || it.Created.Before(oldest) {
				oldest = it.Created
			}
		}
		if !q.endpoint.Paused.IsZero() {
			e.expirePaused(ctx, q, now)
		}
		if q.idle() && !e.keeper.mine(id) {
			idle = append(idle, q.endpoint)
			q.lost = true
			delete(e.queues, id)
		}
	}
	if !oldest.IsZero() {
		stats.Oldest = now.Sub(oldest)
	}
	e.stats.Store(&stats)
	e.keeper.handOver(idle)
}
