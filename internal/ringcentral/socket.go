package ringcentral

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"

	"bugle"
	"bugle/internal/store"
)

// SocketTimes are the times of a socket. 0 stands for what RingCentral has.
type SocketTimes struct {
	Idle     time.Duration // without any message of the client; 30 min
	Absolute time.Duration // from the beginning; 24 h
	Recovery time.Duration // for which a subscription waits for its client to come back; 180 s
	Ping     time.Duration // between two pings; 30 s
	Pong     time.Duration // until the answer; 10 s
	// Settle is how long nothing is told after a client was answered that it is connected or subscribed: clients begin to listen
	// only after they have read that. 200 ms
	Settle time.Duration
}

func (t SocketTimes) orDefault() SocketTimes {
	for _, field := range [...]struct {
		value *time.Duration
		what  time.Duration
	}{{&t.Idle, 30 * time.Minute}, {&t.Absolute, 24 * time.Hour}, {&t.Recovery, 3 * time.Minute}, {&t.Ping, 30 * time.Second},
		{&t.Pong, 10 * time.Second}, {&t.Settle, 200 * time.Millisecond}} {
		if *field.value <= 0 {
			*field.value = field.what
		}
	}
	return t
}

const (
	maxFrame     = maxBody + 4096
	maxActive    = 10 // requests of a socket at once
	maxSockets   = 50 // of one OAuth session
	socketWrite  = 10 * time.Second
	socketRenew  = time.Minute
	socketExpiry = 5 * time.Minute // of a subscription whose node died
)

// sockets are those that are open on this node.
type sockets struct {
	mu      sync.Mutex
	closed  bool
	open    map[*socket]bool
	serving sync.WaitGroup
}

// begin takes on a connection; false when the server ends.
func (o *sockets) begin() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.serving.Add(1)
	}
	return !o.closed
}

// drain waits for the connections to end, after the server's context has.
func (o *sockets) drain() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.serving.Wait()
}

// add takes on a socket, unless its session has too many; whoever had its subscription before ends.
func (o *sockets) add(k *socket) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	same := 0
	for other := range o.open {
		if other.session == k.session {
			same++
		}
	}
	if same >= maxSockets {
		return false
	}
	if o.open == nil {
		o.open = map[*socket]bool{}
	}
	o.open[k] = true
	return true
}

func (o *sockets) remove(k *socket) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.open, k)
}

// displace ends whoever else on this node has a subscription: its client has come back by k.
func (o *sockets) displace(k *socket, subscription string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for other := range o.open {
		if other != k && other.subscription() == subscription {
			other.follow("", 0)
			other.end()
		}
	}
}

// socket is one client's WebSocket.
type socket struct {
	server  *Server
	conn    *websocket.Conn
	http    *http.Request // the upgrade
	session string        // OAuth's
	end     context.CancelFunc
	active  chan struct{}
	wake    chan struct{}
	heard   chan struct{}
	running sync.WaitGroup

	writing sync.Mutex // one message at a time, in the order of sequence
	mu      sync.Mutex
	sub     string // the subscription, "" for none
	cursor  int64  // the last event that was told
	seq     int64
	settled time.Time // when the client listens
}

// place is what a wsc token stands for: where a client was when it lost its socket. It is sealed, so none can be invented, and
// the server needs to remember nothing.
type place struct {
	Session      string `json:"s"`
	Subscription string `json:"u,omitempty"`
	Cursor       int64  `json:"c,omitempty"`
	Sequence     int64  `json:"n"`
}

const placeBound = "ringcentral.wsc"

func (s *Server) sealPlace(p place) (string, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	sealed, err := s.opts.Sealer.Seal(string(text), placeBound)
	return base64.RawURLEncoding.EncodeToString([]byte(sealed)), err // clients put it into a URL as it is
}

func (s *Server) openPlace(token string) (p place, ok bool) {
	sealed, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(token) > 2048 {
		return p, false
	}
	text, err := s.opts.Sealer.Open(string(sealed), placeBound)
	return p, err == nil && json.Unmarshal([]byte(text), &p) == nil
}

func (k *socket) subscription() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.sub
}

// follow sets what the socket tells of, from which event on.
func (k *socket) follow(subscription string, cursor int64) {
	k.mu.Lock()
	k.sub, k.cursor, k.settled = subscription, cursor, time.Now().Add(k.server.opts.Sockets.Settle)
	k.mu.Unlock()
	k.look()
}

func (k *socket) look() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// serveSocket answers the upgrade and stays until the socket ends.
func (s *Server) serveSocket(w http.ResponseWriter, r *http.Request) {
	if !s.sockets.begin() {
		http.Error(w, "the server ends", http.StatusServiceUnavailable)
		return
	}
	defer s.sockets.serving.Done()
	// Whoever connects proves himself by the token in the URL, not by what a browser adds, so pages of any origin may.
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return // it was answered
	}
	defer conn.CloseNow()
	conn.SetReadLimit(maxFrame)
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	k := &socket{server: s, conn: conn, http: r, end: cancel, active: make(chan struct{}, maxActive), wake: make(chan struct{}, 1), heard: make(chan struct{}, 1)}
	defer func() {
		if v := recover(); v != nil {
			s.opts.OnPanic(v)
		}
	}()
	if err := k.open(ctx); err != nil {
		f := faultOf(err)
		s.opts.Log.Info("ringcentral: a socket was refused", "code", f.code, "error", f.err)
		k.fail(f.code, f.message)
		return
	}
	defer s.sockets.remove(k)
	k.running.Go(func() { k.tell(ctx) })
	k.running.Go(func() { k.watch(ctx) })
	k.read(ctx)
	cancel()
	k.running.Wait()
	k.leave()
}

func refuseSocket(code, message string) error { return refuse(http.StatusUnauthorized, code, message) }

// open finds out whose socket it is, and whether it goes on where another ended.
func (k *socket) open(ctx context.Context) error {
	s, q := k.server, k.http.URL.Query()
	hash := hashOf(q.Get("access_token"))
	kept, session, err := s.opts.Store.OAuthToken(ctx, tokenSocket, hash)
	if err != nil && bugle.KindOf(err) == bugle.KindNotFound {
		return refuseSocket("OAU-213", "Token not found: access_token must be that of wstoken")
	}
	if err != nil {
		return err
	}
	var was place
	given := q.Get("wsc")
	if given != "" {
		var ok bool
		if was, ok = s.openPlace(given); !ok {
			return refuseSocket("WSG-400", "wsc is malformed")
		}
	}
	if !s.opts.Now().Before(kept.Expires) {
		return refuseSocket("OAU-128", "The token has expired")
	}
	first := false
	if err := s.opts.Store.Write(ctx, func(tx *store.Tx) (err error) {
		first, err = tx.UseOAuthToken(hash, "")
		return err
	}); err != nil {
		return err
	}
	if !first && was.Session != session.ID { // clients come back by the same token, and show where they were
		return refuseSocket("OAU-213", "The token was used before")
	}
	who, err := s.judge(ctx, session.ID)
	if err != nil {
		return err
	}
	if !who.may(permSocket) {
		return noPermission("SUB-528", permSocket)
	}
	if k.session = session.ID; !s.sockets.add(k) {
		return refuseSocket("WSG-400", fmt.Sprintf("There are %d connections of this session, and there may be no more", maxSockets))
	}
	details := map[string]any{"creationTime": stamp(s.opts.Now()), "maxConnectionsPerSession": maxSockets, "recoveryBufferSize": 10000,
		"recoveryTimeout": int(s.opts.Sockets.Recovery.Seconds()), "idleTimeout": int(s.opts.Sockets.Idle.Seconds()),
		"absoluteTimeout": int(s.opts.Sockets.Absolute.Seconds()), "maxActiveRequests": maxActive}
	if given != "" {
		code, err := k.resume(ctx, was, who)
		if err != nil {
			s.sockets.remove(k)
			return err
		}
		if details["recoveryState"] = "Successful"; code != "" {
			details["recoveryState"], details["recoveryErrorCode"] = "Failed", code
		}
	}
	return k.send("ConnectionDetails", bugle.NewID(), http.StatusOK, nil, details)
}

// resume goes on with the subscription of a socket that ended; code says why it cannot.
func (k *socket) resume(ctx context.Context, was place, who *login) (code string, err error) {
	switch {
	case was.Session != k.session:
		return "WSG-1003", nil
	case was.Subscription == "":
		return "WSG-1005", nil
	}
	u, err := k.server.opts.Store.Subscription(ctx, was.Subscription)
	if err != nil && bugle.KindOf(err) == bugle.KindNotFound {
		return "WSG-1005", nil
	}
	if err != nil {
		return "", err
	}
	if u.Transport != webSocket || u.AccountID != who.AccountID || u.UserID != who.UserID || u.AppID != who.session.AppID || !u.Expires.After(k.server.opts.Now()) {
		return "WSG-1005", nil
	}
	k.server.sockets.displace(k, u.ID)
	k.mu.Lock()
	k.seq = was.Sequence
	k.mu.Unlock()
	k.follow(u.ID, was.Cursor)
	return "", k.extend(ctx, socketExpiry)
}

// subscribe makes a subscription that lives as long as the socket; the one that it had ends.
func (k *socket) subscribe(c *call, u store.Subscription, t terms) (*answer, error) {
	former := k.subscription()
	u.Expires = k.server.opts.Now().Add(socketExpiry)
	if err := t.put(&u); err != nil {
		return nil, err
	}
	err := k.server.opts.Store.Write(c.ctx, func(tx *store.Tx) error {
		if former != "" {
			if err := tx.RemoveSubscription(former); err != nil {
				return err
			}
		}
		if err := tx.AddSubscription(u); err != nil {
			return err
		}
		n, err := tx.CountSubscriptions(u.AccountID, u.UserID, u.AppID, k.server.opts.Now())
		if err == nil && n > k.server.opts.PerUser {
			err = c.tooManySubscriptions()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	k.follow(u.ID, u.Cursor)
	shown, err := c.shown(&u, &t)
	if err != nil {
		return nil, err
	}
	return ok(shown)
}

// extend sets for how long from now the subscription lives; one that is gone is forgotten.
func (k *socket) extend(ctx context.Context, life time.Duration) error {
	id := k.subscription()
	if id == "" {
		return nil
	}
	err := k.server.opts.Store.Write(ctx, func(tx *store.Tx) error {
		u, err := tx.Subscription(id)
		if err != nil {
			return err
		}
		u.Expires = k.server.opts.Now().Add(life)
		return tx.SetSubscription(u)
	})
	if err != nil && bugle.KindOf(err) == bugle.KindNotFound {
		if k.subscription() == id {
			k.follow("", 0)
		}
		err = nil
	}
	return err
}

// leave gives the client some time to come back.
func (k *socket) leave() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(k.server.ctx), socketWrite)
	defer cancel()
	if err := k.extend(ctx, k.server.opts.Sockets.Recovery); err != nil {
		k.server.opts.Log.Warn("ringcentral: the subscription of a socket that ended lives for some minutes", "error", err)
	}
	_ = k.conn.Close(websocket.StatusNormalClosure, "")
}
