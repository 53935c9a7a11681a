package media

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"bugle"
)

const defaultMediaTimeout = 60 * time.Second

// Engine owns the loops that carry the media of all sessions.
type Engine struct {
	began    time.Time
	timeout  time.Duration
	log      *slog.Logger
	onPanic  func(any)
	local    netip.Addr // sockets are bound to it
	external netip.Addr
	ports    portPool
	loops    []loop
	load     []atomic.Int64 // sessions of each loop
	clips    []*Clip        // a tone for each key, with the silence after it
	numbers  atomic.Uint64

	mu       sync.Mutex
	sessions map[*Session]struct{}
	closed   bool
	done     chan struct{}  // closed when the loops have ended
	workers  sync.WaitGroup // of recordings
}

// loop runs legs. Every session belongs to one loop at a time; attend may be called from anywhere.
type loop interface {
	// bind opens a UDP socket on port, 0 for any, and returns the port.
	bind(port int) (socket, int, error)
	// equip gives a leg that no loop has yet its sockets.
	equip(l *leg, rtp, rtcp socket)
	// attend runs a session's commands soon, and takes over a session that is not on the loop yet. It returns false
	// when the loop has ended.
	attend(s *Session) bool
	// detach makes the loop forget a leg that moves to another one.
	detach(l *leg)
	// stop closes every leg and ends the loop.
	stop()
}

type socket interface{ Close() error }

// NewEngine starts the loops. An unknown Loop is KindInvalid, one that this system lacks KindUnsupported.
func NewEngine(options Options) (*Engine, error) {
	e := &Engine{
		began: time.Now(), timeout: options.MediaTimeout, log: options.Log, onPanic: options.OnPanic,
		local: options.LocalIP.Unmap(), external: options.ExternalIP.Unmap(), sessions: map[*Session]struct{}{},
		done: make(chan struct{}),
	}
	if e.timeout <= 0 {
		e.timeout = defaultMediaTimeout
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if !e.local.IsValid() {
		e.local = netip.IPv4Unspecified()
	}
	if err := e.ports.fill(options.Ports); err != nil {
		return nil, err
	}
	for key := range len(keys) {
		e.clips = append(e.clips, NewClip("key-"+keys[key:key+1], DTMF(keys[key:key+1], defaultKey, keyGap)))
	}
	count := options.Loops
	if count <= 0 {
		count = runtime.GOMAXPROCS(0)
	}
	start := newEpollLoop
	switch options.Loop {
	case "":
		if !haveEpoll {
			start, count = newPortableLoop, 1
		}
	case "epoll":
	case "portable":
		start, count = newPortableLoop, 1 // its readers run side by side anyway
	default:
		return nil, &bugle.Error{Op: "media.NewEngine", Kind: bugle.KindInvalid, Field: "loop",
			Message: fmt.Sprintf("unknown media loop %q; allowed are portable and epoll", options.Loop)}
	}
	e.load = make([]atomic.Int64, count)
	for number := range count {
		l, err := start(e, number)
		if err != nil {
			e.Close()
			return nil, err
		}
		e.loops = append(e.loops, l)
	}
	return e, nil
}

// Close ends every session and the loops, and waits until recordings have been handed over.
func (e *Engine) Close() {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return
	}
	e.closed = true
	open := make([]*Session, 0, len(e.sessions))
	for s := range e.sessions {
		open = append(open, s)
	}
	e.mu.Unlock()
	for _, s := range open {
		s.Close()
	}
	for _, l := range e.loops {
		l.stop()
	}
	close(e.done)
	e.workers.Wait()
}

// now is the time on the engine's clock.
func (e *Engine) now() instant { return instant(time.Since(e.began)) }

func (e *Engine) keyClips() []*Clip { return e.clips }

// NewSession opens a pair of ports. No free port is KindLimited.
func (e *Engine) NewSession(options SessionOptions) (*Session, error) {
	e.mu.Lock()
	closed := e.closed
	e.mu.Unlock()
	if closed {
		return nil, engineClosed
	}
	home := e.lightest()
	rtp, rtcp, port, pooled, err := e.open(e.loops[home])
	if err != nil {
		return nil, err
	}
	s := &Session{engine: e, id: e.numbers.Add(1), label: options.Label, port: pooled,
		name: fmt.Sprintf("%016x", rand.Uint64())}
	advertised := e.advertised(options)
	s.local = netip.AddrPortFrom(e.local, uint16(port))
	s.negotiation = newNegotiation(options.Codecs, uint64(rand.Uint32()))
	s.negotiation.local, s.negotiation.port = advertised, port
	s.negotiation.caller, s.negotiation.bothIP = options.Signalling.Unmap(), e.local == netip.IPv6Unspecified()
	s.events.owner = options.Events
	s.events.failed = func(reason any) {
		e.panicked(s, reason)
		s.Close()
	}
	s.leg = leg{session: s, budget: packetBudget}
	s.leg.source.signalling = options.Signalling.Unmap()
	s.leg.out = outbound{ssrc: rand.Uint32(), sequence: uint16(rand.Uint32()) & 0x7FFF, timestamp: rand.Uint32()}
	e.loops[home].equip(&s.leg, rtp, rtcp)
	s.home.Store(int32(home))
	e.mu.Lock()
	if closed = e.closed; !closed {
		e.sessions[s] = struct{}{}
	}
	e.mu.Unlock()
	if closed {
		s.leg.wire.close()
		e.ports.give(pooled)
		return nil, engineClosed
	}
	e.load[home].Add(1)
	e.loops[home].attend(s)
	return s, nil
}

// lightest is the number of the loop with the fewest sessions.
func (e *Engine) lightest() int {
	home := 0
	for i := range e.load {
		if e.load[i].Load() < e.load[home].Load() {
			home = i
		}
	}
	return home
}

var engineClosed error = &bugle.Error{Op: "media.NewSession", Kind: bugle.KindUnavailable, Message: "the media engine is closed"}

// open binds an even port and the one after it (RFC 3550 §11). pooled is what must be given back, 0 for a port of the
// operating system's choice.
func (e *Engine) open(l loop) (rtp, rtcp socket, port, pooled int, err error) {
	const attempts = 100
	for range attempts {
		var ok bool
		if pooled, ok = e.ports.take(); !ok {
			return nil, nil, 0, 0, &bugle.Error{Op: "media.NewSession", Kind: bugle.KindLimited,
				Message: "every RTP port is in use"}
		}
		if rtp, port, err = l.bind(pooled); err != nil {
			e.ports.give(pooled)
			continue
		}
		other := port ^ 1
		if rtcp, _, err = l.bind(other); err != nil {
			rtp.Close()
			e.ports.give(pooled)
			continue
		}
		if port > other { // the system chose an odd one
			rtp, rtcp, port = rtcp, rtp, other
		}
		return rtp, rtcp, port, pooled, nil
	}
	return nil, nil, 0, 0, &bugle.Error{Op: "media.NewSession", Kind: bugle.KindUnavailable,
		Message: "no pair of RTP ports could be opened", Err: err}
}

// advertised is the address that a session's descriptions give.
func (e *Engine) advertised(options SessionOptions) netip.Addr {
	switch {
	case e.external.IsValid():
		return e.external
	case !e.local.IsUnspecified():
		return e.local
	case options.Local.IsValid() && !options.Local.IsUnspecified():
		return options.Local.Unmap()
	}
	// The address that the system would send from. Connecting a UDP socket sends nothing.
	if options.Signalling.IsValid() {
		conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(options.Signalling.Unmap(), 9)))
		if err == nil {
			defer conn.Close()
			return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
		}
	}
	if e.local.Is6() {
		return netip.IPv6Loopback()
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// panicked counts and logs a panic that ends session s.
func (e *Engine) panicked(s *Session, reason any) {
	e.log.Error("media session ended by a panic", "call", s.label, "panic", reason, "stack", string(debug.Stack()))
	if e.onPanic != nil {
		e.onPanic(reason)
	}
}
