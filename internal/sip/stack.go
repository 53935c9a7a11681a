package sip

import (
	"context"
	"hash/maphash"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// Stack is a SIP element: its sockets, transactions and queues.
type Stack struct {
	options Options
	rules   Rules
	seed    maphash.Seed
	alarms  *alarms
	shards  [laneShards]laneShard
	run     runQueue
	routes  routeCache

	workers sync.WaitGroup // of the workers
	readers sync.WaitGroup // of all other goroutines

	mu         sync.Mutex // guards the sockets and connections
	udp        []*udpSocket
	tcp        []*tcpListener
	udpReaders []*udpReader
	conns      map[connKey]*streamConn
	perAddr    map[netip.Addr]int // accepted connections; an address without one is not there
	noTCP      addrMemory         // hops that refused a connection for a request too large for UDP
	closed     bool
	context    context.Context // ends with Close
	cancel     context.CancelFunc

	draining     atomic.Bool
	invites      atomic.Int64
	transactions atomic.Int64
	held         atomic.Int64 // bytes, what the requests of server transactions take at most
	queued       atomic.Int64 // bytes of messages that wait for the TU
	counts       counters
}

type counters struct {
	received, malformed, retransmissions, dropped, refused, panics atomic.Uint64
}

// New makes a stack without sockets. It must be closed.
func New(o Options) *Stack {
	o.setDefaults()
	s := &Stack{options: o, rules: Rules{Supported: o.Supported}, seed: maphash.MakeSeed(), alarms: newAlarms(o.Clock),
		conns: map[connKey]*streamConn{}, perAddr: map[netip.Addr]int{}}
	s.run.wake.L = &s.run.mu
	for i := range s.shards {
		s.shards[i].lanes = map[string]*lane{}
	}
	s.context, s.cancel = context.WithCancel(context.Background())
	for range o.Workers {
		s.workers.Add(1)
		go s.worker()
	}
	return s
}

// Drain makes the stack answer 503 with Retry-After to every INVITE outside a dialog from now on.
func (s *Stack) Drain() { s.draining.Store(true) }

// Close closes every socket and ends every transaction: functions given to Request get ErrClosed, those given to OnEnd are
// called. It returns when all goroutines of the stack have ended, or ctx's error when ctx ends before. It must not be
// called from a callback.
func (s *Stack) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	for _, u := range s.udp {
		_ = u.conn.Close()
	}
	for _, r := range s.udpReaders {
		r.timer.Stop()
	}
	for _, l := range s.tcp {
		_ = l.listener.Close()
	}
	conns := make([]*streamConn, 0, len(s.conns))
	for _, c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	s.cancel()
	for _, c := range conns {
		c.close(ErrClosed)
	}
	s.alarms.close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.readers.Wait() // so that nothing new comes in any more
		s.endAll()
		s.run.close()
		s.workers.Wait()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Stack) endAll() {
	err := failure("sip.Close", ErrClosed, "the stack was closed")
	for _, l := range s.allLanes() {
		l.mu.Lock()
		for len(l.clients) > 0 {
			l.clients[0].end(err)
		}
		for len(l.servers) > 0 {
			l.servers[0].end(err)
		}
		l.mu.Unlock()
	}
}

func (s *Stack) allLanes() []*lane {
	var all []*lane
	for i := range s.shards {
		shard := &s.shards[i]
		shard.mu.Lock()
		for _, l := range shard.lanes {
			all = append(all, l)
		}
		shard.mu.Unlock()
	}
	return all
}

// Stats is a snapshot of what the stack counts.
type Stats struct {
	Received        uint64 // messages from the wire
	Malformed       uint64 // of them, those that broke the protocol
	Retransmissions uint64 // of requests and responses, sent and received
	Dropped         uint64 // messages for which a queue was full, and strays
	Refused         uint64 // requests answered 503 for overload or draining
	Panics          uint64
	Invites         int // INVITE server transactions without a final response
	Transactions    int
	Connections     int
}

// Stats returns the current counts.
func (s *Stack) Stats() Stats {
	s.mu.Lock()
	conns := len(s.conns)
	s.mu.Unlock()
	return Stats{Received: s.counts.received.Load(), Malformed: s.counts.malformed.Load(),
		Retransmissions: s.counts.retransmissions.Load(), Dropped: s.counts.dropped.Load(),
		Refused: s.counts.refused.Load(), Panics: s.counts.panics.Load(), Invites: int(s.invites.Load()),
		Transactions: int(s.transactions.Load()), Connections: conns}
}

// recovered counts a panic; it is called with the value of recover.
func (s *Stack) recovered(value any, callID string) {
	s.counts.panics.Add(1)
	s.options.Log.Error("panic in a SIP handler", "call", callID, "panic", value, "stack", string(debug.Stack()))
	if s.options.OnPanic != nil {
		s.options.OnPanic(value)
	}
}

// deliver tells the TU one thing. A panic ends this one message (a request with 500).
func (s *Stack) deliver(e event) {
	defer func() {
		if v := recover(); v != nil {
			s.recovered(v, e.callID())
			if e.server != nil {
				_ = e.server.Reply(500, "")
			}
		}
	}()
	switch e.kind {
	case eventRequest:
		s.deliverRequest(e)
	case eventACK:
		s.options.OnACK(e.m, e.m.source)
	case eventStray:
		s.options.OnStray2xx(e.m, e.m.source)
	case eventCancel:
		e.server.canceledNow()
	case eventEnd:
		e.server.endedNow()
	case eventResult:
		e.client.on(Result{Response: e.m, Err: e.err})
	}
}

func (s *Stack) deliverRequest(e event) {
	waited := s.options.Clock.Now().Sub(e.m.at)
	switch {
	case waited > s.options.QueueDelay && e.m.ToTag() == "":
		s.counts.refused.Add(1)
		response := s.overload(e.m)
		_ = e.server.Respond(response)
		response.Release()
		e.m.Release()
	case s.options.OnRequest == nil:
		_ = e.server.Reply(501, "")
	default:
		s.options.OnRequest(e.server, e.m)
	}
}
