package socket

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"bugle"
	"bugle/internal/event"
)

// Path is where the API's port serves the socket.
const Path = "/websocket"

// People are those whose tokens subscribe.
type People interface {
	// Holder judges a token. KindUnauthorized: it is no good.
	Holder(ctx context.Context, token string) (Holder, error)
	// Follows judges, by what is committed now, whether a holder may be told what happens in an account, "*" for all. KindUnauthorized:
	// the token was ended, or whom it stands for is out; KindForbidden: the account is not the holder's to see.
	Follows(ctx context.Context, h Holder, accountID string) error
	// Client is who sends a request.
	Client(r *http.Request) netip.Addr
}

// Holder is whom a token stands for.
type Holder struct {
	AccountID, UserID string // UserID is "" for an API key
	Admin             bool   // false: a user who is told of nothing but the own
	Ticket            any    // what People needs beside; comparable
}

// Limits bound what clients take. 0 stands for the default.
type Limits struct {
	Sessions        int // of all; 10,000
	PerAddress      int // sessions of one address, an IPv6 network of 64 bits counting as one; 200
	PerAccount      int // sessions with a token of one account; 1,000
	Subscriptions   int // of one session; 200
	AccountBindings int // subscriptions with tokens of one account; 20,000
	Burst           int // messages of a client at once; 100
	PerSecond       int // messages a second for long; 20
	Queue           int // events that wait for a client; 1,000
	QueueBytes      int // their length; 1 MiB
}

// Times are those of a session. 0 stands for the default.
type Times struct {
	Ping   time.Duration // between two pings; 30 s
	Pong   time.Duration // until the answer; 10 s
	Write  time.Duration // of one message; 10 s
	Unused time.Duration // for which a session may be without a subscription; 5 min
	Life   time.Duration // of a session; 24 h
	Close  time.Duration // until a client that is told of the end has answered; 5 s
}

const (
	maxMessage = 64 << 10
	maxRefused = 200              // messages over the rate, after which a session ends
	ask        = 10 * time.Second // for what the database is asked for
	pending    = 10_000           // events of calls that wait to be told
)

func (l Limits) orDefault() Limits {
	for _, field := range [...]struct {
		value *int
		what  int
	}{{&l.Sessions, 10_000}, {&l.PerAddress, 200}, {&l.PerAccount, 1000}, {&l.Subscriptions, 200}, {&l.AccountBindings, 20_000}, {&l.Burst, 100},
		{&l.PerSecond, 20}, {&l.Queue, 1000}, {&l.QueueBytes, 1 << 20}} {
		if *field.value <= 0 {
			*field.value = field.what
		}
	}
	return l
}

func (t Times) orDefault() Times {
	for _, field := range [...]struct {
		value *time.Duration
		what  time.Duration
	}{{&t.Ping, 30 * time.Second}, {&t.Pong, 10 * time.Second}, {&t.Write, 10 * time.Second}, {&t.Unused, 5 * time.Minute}, {&t.Life, 24 * time.Hour},
		{&t.Close, 5 * time.Second}} {
		if *field.value <= 0 {
			*field.value = field.what
		}
	}
	return t
}

// Log is the change log, as *store.Store is one.
type Log interface {
	event.Log
	Position(ctx context.Context) (int64, error)
}

// Options configure a Server. Changes and People are required.
type Options struct {
	Changes Log // followed while somebody has subscribed
	People  People
	Types   []string // of documents that can be subscribed to
	Node    string   // of this run, told in events; "" for none
	Limits  Limits
	Times   Times
	Log     *slog.Logger
	OnPanic func(any)
}

// Server takes clients and tells them of events. It is safe for concurrent use.
type Server struct {
	opts    Options
	calls   chan *occurrence
	lost    atomic.Bool // an event of a call did not find room
	ended   chan struct{}
	serving sync.WaitGroup
	counts  counts

	following sync.Mutex // taken before mu
	follower  *event.Follower
	told      int64 // the last change that was told; only the follower touches it

	mu         sync.RWMutex
	closed     bool
	sessions   map[*session]bool
	addresses  map[netip.Addr]int           // sessions
	accounts   map[string]*tally            // by the token's account
	topics     map[string]map[string]*topic // by account and binding
	concerned  map[string]map[*session]int  // by the id of an account or user: whom a change of it concerns
	listening  map[string]int               // subscriptions to calls, by account
	subscribed int                          // subscriptions
	listeners  atomic.Int64                 // subscriptions to calls
}

// tally counts what one account's tokens have.
type tally struct{ sessions, bindings int }

type counts struct{ told, slow, lost atomic.Int64 }

// Stats are what a Server does and did.
type Stats struct {
	Sessions, Subscriptions int
	Told                    int64 // messages of events that were handed to sessions
	Slow                    int64 // sessions that were ended because they did not read
	Lost                    int64 // events of calls that came faster than they could be told
}

// New starts a server without clients.
func New(opts Options) *Server {
	opts.Limits, opts.Times = opts.Limits.orDefault(), opts.Times.orDefault()
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.OnPanic == nil {
		opts.OnPanic = func(any) {}
	}
	s := &Server{opts: opts, calls: make(chan *occurrence, pending), ended: make(chan struct{}), sessions: map[*session]bool{},
		addresses: map[netip.Addr]int{}, accounts: map[string]*tally{}, topics: map[string]map[string]*topic{},
		concerned: map[string]map[*session]int{}, listening: map[string]int{}}
	s.serving.Go(s.tellCalls)
	return s
}

// Close tells all clients that the server ends, and waits for their sessions to be over.
func (s *Server) Close() {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	for k := range s.sessions {
		k.mu.Lock()
		k.endLocked(websocket.StatusGoingAway, "the server ends: connect again", false, min(s.opts.Times.Close, time.Second))
		k.mu.Unlock()
	}
	s.mu.Unlock()
	if first {
		close(s.ended)
	}
	s.serving.Wait()
	s.rest()
}

// Stats returns what the server does and did.
func (s *Server) Stats() Stats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return Stats{Sessions: len(s.sessions), Subscriptions: s.subscribed, Told: s.counts.told.Load(), Slow: s.counts.slow.Load(), Lost: s.counts.lost.Load()}
}

// ServeHTTP answers the upgrade and stays until the session ends.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k := newSession(s, s.opts.People.Client(r))
	if status, reason := s.enter(k); status != 0 {
		w.Header().Set("Retry-After", "60")
		http.Error(w, reason, status)
		return
	}
	defer s.serving.Done()
	defer s.leave(k)
	defer func() {
		if v := recover(); v != nil {
			s.opts.OnPanic(v)
		}
	}()
	// Each message proves by its token who sends it, not by what a browser adds, so pages of any origin may.
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return // it was answered
	}
	k.serve(conn)
}

// enter takes a session on, or says why not.
func (s *Server) enter(k *session) (status int, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return http.StatusServiceUnavailable, "the server ends"
	case len(s.sessions) >= s.opts.Limits.Sessions:
		return http.StatusServiceUnavailable, "the server has as many WebSockets as it takes"
	case s.addresses[k.network] >= s.opts.Limits.PerAddress:
		return http.StatusTooManyRequests, "there are too many WebSockets from this address"
	}
	s.serving.Add(1)
	s.sessions[k] = true
	s.addresses[k.network]++
	return 0, ""
}

// leave forgets a session and what it had subscribed to.
func (s *Server) leave(k *session) {
	s.mu.Lock()
	for _, sub := range k.subs {
		s.drop(sub)
	}
	delete(s.sessions, k)
	if s.addresses[k.network]--; s.addresses[k.network] == 0 {
		delete(s.addresses, k.network)
	}
	s.mu.Unlock()
	s.rest()
}

// unavailable reports whether an error is the database's and will pass.
func unavailable(err error) bool {
	return bugle.KindOf(err) == bugle.KindUnavailable || errors.Is(err, context.DeadlineExceeded)
}
