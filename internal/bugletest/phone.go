package bugletest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"bugle"
	"bugle/internal/media"
	"bugle/internal/sip"
)

// allowed are the methods that a phone takes.
const allowed = "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE, NOTIFY"

// Phone is a telephone: it registers, calls, is called, speaks, listens and presses keys.
type Phone struct {
	o        Options
	log      *slog.Logger
	stack    *sip.Stack
	engine   *media.Engine
	addr     netip.AddrPort
	keys     keyring
	incoming chan *PhoneCall
	work     sync.WaitGroup // goroutines of the phone and of its calls
	ready    chan struct{}  // closed when addr is known
	quit     chan struct{}  // closed by Close

	mu        sync.Mutex
	behaviour Behaviour
	calls     map[dialogKey]*PhoneCall
	reg       registration
	closed    bool
	panicked  error
}

// dialogKey tells the calls of one phone apart, also when it calls itself.
type dialogKey struct{ callID, localTag string }

// New makes a phone and binds its sockets. Close releases them.
func New(o Options) (*Phone, error) {
	if o.Transport == "" {
		o.Transport = sip.UDP
	}
	if o.Transport != sip.UDP && o.Transport != sip.TCP {
		return nil, invalid("New", "the transport %q is neither udp nor tcp", o.Transport)
	}
	if !o.Local.Addr().IsValid() {
		o.Local = netip.AddrPortFrom(localFor(o.Server), o.Local.Port())
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.KeyLength == 0 {
		o.KeyLength = 100 * time.Millisecond
	}
	p := &Phone{o: o, log: o.Log.With("phone", o.Username), behaviour: o.Behaviour, calls: make(map[dialogKey]*PhoneCall),
		incoming: make(chan *PhoneCall, 64), quit: make(chan struct{}), ready: make(chan struct{}),
		keys: keyring{username: o.Username, password: o.Password}}
	var err error
	p.engine, err = media.NewEngine(media.Options{LocalIP: o.Local.Addr(), Loop: "portable", Loops: 1,
		Ports: media.PortRange{First: int(o.FirstPort), Last: int(o.LastPort)}, Log: p.log, OnPanic: p.onPanic})
	if err != nil {
		return nil, err
	}
	p.stack = sip.New(sip.Options{Log: p.log, OnRequest: p.onRequest, OnACK: p.onACK, OnStray2xx: p.onStray2xx,
		OnPanic: p.onPanic, Workers: 4})
	if err := p.listen(); err != nil {
		err = errors.Join(err, p.stack.Close(context.Background()))
		p.engine.Close()
		return nil, err
	}
	return p, nil
}

// localFor is the address under which this machine reaches the server, loopback without one. Nothing is sent.
func localFor(server netip.AddrPort) netip.Addr {
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if !server.IsValid() {
		return loopback
	}
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(server))
	if err != nil {
		return loopback
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
}

func (p *Phone) listen() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var err error
	if p.o.Transport == sip.TCP {
		p.addr, err = p.stack.ListenTCP(ctx, p.o.Local.String())
	} else {
		p.addr, err = p.stack.ListenUDP(ctx, p.o.Local.String())
	}
	close(p.ready)
	return err
}

func invalid(where, format string, values ...any) error {
	return &bugle.Error{Op: "bugletest." + where, Kind: bugle.KindInvalid, Message: fmt.Sprintf(format, values...)}
}

// Addr is the address of the phone's SIP socket.
func (p *Phone) Addr() netip.AddrPort { return p.addr }

// URI is the SIP URI under which the phone can be called without a server.
func (p *Phone) URI() string { return p.contact().String() }

func (p *Phone) contact() sip.URI {
	uri := sip.URI{Scheme: "sip", User: p.o.Username, Host: p.addr.Addr().String(), Port: p.addr.Port()}
	if uri.User == "" {
		uri.User = "phone"
	}
	if p.o.Transport == sip.TCP {
		uri.Params = uri.Params.With("transport", "tcp")
	}
	return uri
}

// record is the phone's address of record.
func (p *Phone) record() sip.URI {
	uri := p.contact()
	uri.Params = ""
	uri.Host, uri.Port = p.domain(), 0
	if !p.o.Server.IsValid() && p.o.Realm == "" {
		uri.Port = p.addr.Port()
	}
	return uri
}

func (p *Phone) domain() string {
	switch {
	case p.o.Realm != "":
		return p.o.Realm
	case p.o.Server.IsValid():
		return p.o.Server.Addr().String()
	}
	return p.addr.Addr().String()
}

// Incoming delivers the calls that come in, whatever the phone's Behaviour does with them. When nobody takes them, the
// oldest give way.
func (p *Phone) Incoming() <-chan *PhoneCall { return p.incoming }

// SetBehaviour changes what is done with the calls that come in from now on.
func (p *Phone) SetBehaviour(b Behaviour) {
	p.mu.Lock()
	p.behaviour = b
	p.mu.Unlock()
}

// Close hangs up what is up, forgets the registration without a word to the server, and releases the sockets. It returns
// an error when something of the phone had panicked.
func (p *Phone) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	close(p.quit)
	var up []*PhoneCall
	for _, c := range p.calls {
		up = append(up, c)
	}
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var hanging sync.WaitGroup
	for _, c := range up {
		hanging.Go(func() {
			_ = c.Hangup(ctx)
			c.end(0, "the phone was closed", false)
		})
	}
	hanging.Wait()
	// Not more than a few seconds: a transaction that nobody answers would keep the stack for half a minute.
	closing, stop := context.WithTimeout(context.Background(), 2*time.Second)
	defer stop()
	err := p.stack.Close(closing)
	p.work.Wait()
	p.engine.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Join(p.panicked, err)
}

func (p *Phone) onPanic(what any) {
	if p.o.OnPanic != nil {
		p.o.OnPanic(what)
		return
	}
	p.mu.Lock()
	p.panicked = errors.Join(p.panicked, fmt.Errorf("bugletest: panic: %v", what))
	p.mu.Unlock()
}

// run starts a goroutine that Close waits for; it does nothing on a closed phone.
func (p *Phone) run(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.work.Go(f)
	}
}

func (p *Phone) call(callID, localTag string) *PhoneCall {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[dialogKey{callID, localTag}]
}

// add makes a call known under its key; not on a closed phone.
func (p *Phone) add(c *PhoneCall) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.calls[c.key] = c
	return true
}

func (p *Phone) forget(c *PhoneCall) {
	p.mu.Lock()
	delete(p.calls, c.key)
	p.mu.Unlock()
}

// onRequest takes what others send: new calls, and requests within calls.
func (p *Phone) onRequest(tx *sip.ServerTransaction, req *sip.Message) {
	<-p.ready // whoever knows the port already may call before listen has noted it
	if req.ToTag() != "" {
		if c := p.call(req.CallID(), req.ToTag()); c != nil && c.onRequest(tx, req) {
			return
		}
		// RFC 3261 §12.2.2
		_ = tx.Reply(481, "")
		return
	}
	switch req.Method() {
	case sip.INVITE:
		p.onInvite(tx, req)
	case sip.OPTIONS, sip.NOTIFY:
		resp := sip.NewResponse(req, 200, "")
		resp.Add("Allow", allowed)
		_ = tx.Respond(resp)
	default:
		resp := sip.NewResponse(req, 405, "")
		resp.Add("Allow", allowed)
		_ = tx.Respond(resp)
	}
}

func (p *Phone) onACK(ack *sip.Message, _ sip.Source) {
	if c := p.call(ack.CallID(), ack.ToTag()); c != nil {
		c.onACK(ack)
	}
}

func (p *Phone) onStray2xx(resp *sip.Message, _ sip.Source) {
	if c := p.call(resp.CallID(), resp.FromTag()); c != nil {
		c.on2xx(resp)
	}
}

// exchange sends a request outside a transaction of INVITE, answers a challenge and returns the final response.
// make builds the request anew, with the next CSeq.
func (p *Phone) exchange(ctx context.Context, dst sip.Destination, make func() *sip.Message) (*sip.Message, error) {
	for range 3 {
		req := make()
		p.keys.attach(req)
		resp, err := p.transact(ctx, req, dst)
		if err != nil {
			return nil, err
		}
		if status := resp.StatusCode(); status != 401 && status != 407 {
			return resp, nil
		}
		again, err := p.keys.take(resp, req.Has("Authorization") || req.Has("Proxy-Authorization"))
		if err != nil {
			return nil, err
		}
		if !again {
			return resp, nil
		}
	}
	return nil, errors.New("the server keeps challenging")
}

// transact sends one request and waits for its final response.
func (p *Phone) transact(ctx context.Context, req *sip.Message, dst sip.Destination) (*sip.Message, error) {
	results := make(chan sip.Result, 1)
	_, err := p.stack.Request(req, dst, func(r sip.Result) {
		if r.Response != nil && r.Response.StatusCode() < 200 {
			return
		}
		select {
		case results <- r:
		default:
		}
	})
	if err != nil {
		return nil, err
	}
	select {
	case r := <-results:
		if errors.Is(r.Err, sip.ErrTimeout) {
			return nil, &StatusError{Method: string(req.Method()), Status: 408, Reason: "no answer came"}
		}
		return r.Response, r.Err
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: %w", req.Method(), context.Cause(ctx))
	}
}

func refusal(method sip.Method, resp *sip.Message) error {
	if resp.StatusCode() < 300 {
		return nil
	}
	return &StatusError{Method: string(method), Status: resp.StatusCode(), Reason: strings.Clone(resp.Reason())}
}

// token is a random tag or Call-ID.
func token() string { return strings.ToLower(rand.Text()[:16]) }
