package socket

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"bugle"
)

// session is one client's WebSocket.
type session struct {
	server  *Server
	id      string
	client  netip.Addr
	network netip.Addr // stands for the client where clients are counted
	opened  time.Time
	bucket  *rate.Limiter
	refused int // messages over the rate
	wake    chan struct{}

	// Server.mu guards these.
	subs     map[topicKey]*subscription
	held     map[string]int // subscriptions by the account of their tokens
	name     string
	metadata []byte

	mu     sync.Mutex
	queue  [][]byte
	bytes  int
	ending *ending
	cancel context.CancelFunc // ends the connection; nil before there is one
	forced *time.Timer
}

// ending is how a session is to end.
type ending struct {
	code   websocket.StatusCode
	reason string
}

func newSession(s *Server, client netip.Addr) *session {
	k := &session{server: s, id: bugle.NewID(), client: client, network: client, opened: time.Now(), wake: make(chan struct{}, 1),
		bucket: rate.NewLimiter(rate.Limit(s.opts.Limits.PerSecond), s.opts.Limits.Burst), subs: map[topicKey]*subscription{}, held: map[string]int{}}
	if client.Is6() { // a host has a whole /64 to choose from
		if p, err := client.WithZone("").Prefix(64); err == nil {
			k.network = p.Addr()
		}
	}
	return k
}

// serve reads, writes and watches until the session is over.
func (k *session) serve(conn *websocket.Conn) {
	defer conn.CloseNow()
	conn.SetReadLimit(maxMessage)
	ctx, cancel := context.WithCancel(context.Background())
	k.mu.Lock()
	k.cancel = cancel
	k.mu.Unlock()
	var running sync.WaitGroup
	running.Go(func() { k.write(ctx, conn) })
	running.Go(func() { k.watch(ctx, conn) })
	k.read(ctx, conn)
	cancel()
	running.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ending == nil { // nothing more is taken in
		k.ending = &ending{}
	}
	if k.queue = nil; k.forced != nil {
		k.forced.Stop()
	}
}

// enqueue has a message sent. It never blocks: a client that leaves too much unread is cut off.
func (k *session) enqueue(text []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ending != nil {
		return
	}
	limits := &k.server.opts.Limits
	if len(k.queue) >= limits.Queue || k.bytes+len(text) > limits.QueueBytes {
		k.server.counts.slow.Add(1)
		k.endLocked(websocket.StatusPolicyViolation, "too slow: events were waiting to be read, and are lost", true, k.server.opts.Times.Close)
		return
	}
	k.queue, k.bytes = append(k.queue, text), k.bytes+len(text)
	k.look()
}

func (k *session) look() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// end ends the session, after what waits unless it is to be dropped. Only the first reason counts.
func (k *session) end(code websocket.StatusCode, reason string, drop bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.endLocked(code, reason, drop, k.server.opts.Times.Close)
}

// endLocked is end, with the time that the client has to answer: one that does not is not waited for. k.mu is held.
func (k *session) endLocked(code websocket.StatusCode, reason string, drop bool, within time.Duration) {
	if k.ending != nil {
		return
	}
	k.ending = &ending{code, reason}
	if drop {
		k.queue, k.bytes = nil, 0
	}
	if k.cancel != nil {
		k.forced = time.AfterFunc(within, k.cancel)
	}
	k.look()
}

// over reports whether the session is ending.
func (k *session) over() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.ending != nil
}

// next is the oldest message that waits, or, when there is none to be sent any more, how the session ends.
func (k *session) next() ([]byte, *ending) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.queue) == 0 {
		k.queue = nil // what it was cut from is free
		return nil, k.ending
	}
	text := k.queue[0]
	k.queue[0] = nil
	k.queue, k.bytes = k.queue[1:], k.bytes-len(text)
	return text, nil
}

// write sends what waits, and at the end the reason.
func (k *session) write(ctx context.Context, conn *websocket.Conn) {
	for {
		text, end := k.next()
		switch {
		case text != nil:
			if !k.send(ctx, conn, text) {
				return
			}
			continue
		case end != nil:
			_ = conn.Close(end.code, end.reason)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
		}
	}
}

// send writes one message within its time.
func (k *session) send(ctx context.Context, conn *websocket.Conn, text []byte) bool {
	ctx, cancel := context.WithTimeout(ctx, k.server.opts.Times.Write)
	defer cancel()
	if conn.Write(ctx, websocket.MessageText, text) == nil {
		return true
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cancel != nil {
		k.cancel()
	}
	return false
}

// watch pings, and ends a session that lasts too long or that nobody uses.
func (k *session) watch(ctx context.Context, conn *websocket.Conn) {
	times := &k.server.opts.Times
	ping, unused, life := time.NewTicker(times.Ping), time.NewTicker(times.Unused), time.NewTimer(times.Life)
	defer ping.Stop()
	defer unused.Stop()
	defer life.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-life.C:
			k.end(websocket.StatusGoingAway, "the session has lasted for long enough: connect again", false)
		case <-unused.C:
			if len(k.server.texts(k)) == 0 {
				k.end(websocket.StatusPolicyViolation, "nothing is subscribed to", false)
			}
		case <-ping.C:
			wait, cancel := context.WithTimeout(ctx, times.Pong)
			err := conn.Ping(wait)
			cancel()
			if err != nil && ctx.Err() == nil {
				k.mu.Lock()
				k.cancel()
				k.mu.Unlock()
				return
			}
		}
	}
}

// read takes the client's messages until the connection ends.
func (k *session) read(ctx context.Context, conn *websocket.Conn) {
	for {
		kind, text, err := conn.Read(ctx)
		if err != nil {
			return
		}
		switch {
		case k.over():
		case kind != websocket.MessageText:
			k.end(websocket.StatusUnsupportedData, "a message is text: a JSON object", false)
		case !k.bucket.Allow():
			if k.refused++; k.refused > maxRefused {
				k.end(websocket.StatusPolicyViolation, "too many messages", true)
				continue
			}
			k.refuse(requestOf(text), "too many messages: wait a second")
		default:
			k.take(ctx, text)
		}
	}
}
