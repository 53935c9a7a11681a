package sipua

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/icholy/digest"
	"go.uber.org/goleak"

	"bugle"
	"bugle/internal/call"
	"bugle/internal/egress"
	"bugle/internal/media"
	"bugle/internal/registrar"
	"bugle/internal/sip"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second // how long a test waits for what must come

// testClock is a clock that moves when told to.
type testClock struct {
	mu     sync.Mutex
	now    time.Time
	timers []*testTimer
}

type testTimer struct {
	clock *testClock
	at    time.Time
	f     func()
}

func newTestClock() *testClock { return &testClock{now: time.Unix(1_800_000_000, 0)} }

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *testClock) AfterFunc(d time.Duration, f func()) sip.Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &testTimer{c, c.now.Add(d), f}
	c.timers = append(c.timers, t)
	return t
}

func (t *testTimer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	i := slices.Index(t.clock.timers, t)
	if i >= 0 {
		t.clock.timers = slices.Delete(t.clock.timers, i, i+1)
	}
	return i >= 0
}

// advance moves the clock and runs what is due, in order.
func (c *testClock) advance(d time.Duration) {
	c.mu.Lock()
	end := c.now.Add(d)
	for {
		var next *testTimer
		for _, t := range c.timers {
			if !t.at.After(end) && (next == nil || t.at.Before(next.at)) {
				next = t
			}
		}
		if next == nil {
			break
		}
		c.timers = slices.DeleteFunc(c.timers, func(t *testTimer) bool { return t == next })
		c.now = next.at
		c.mu.Unlock()
		next.f()
		c.mu.Lock()
	}
	c.now = end
	c.mu.Unlock()
}

func (c *testClock) planned() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.timers)
}

// registrarClock is the same clock for the registrar.
type registrarClock struct{ *testClock }

func (c registrarClock) AfterFunc(d time.Duration, f func()) func() bool {
	return c.testClock.AfterFunc(d, f).Stop
}

// devices is a Directory from a table.
type devices struct {
	mu       sync.Mutex
	accounts []bugle.Account
	devices  []testDevice
	fail     error
	lookups  atomic.Int64
}

type testDevice struct {
	account  string
	device   bugle.Device
	password string
}

func missing() error { return &bugle.Error{Op: "test", Kind: bugle.KindNotFound} }

func (d *devices) account(id string) bugle.Account {
	for _, a := range d.accounts {
		if a.ID == id {
			return a
		}
	}
	return bugle.Account{}
}

func (d *devices) DeviceByUsername(_ context.Context, realm, username string) (bugle.Account, bugle.Device, string, error) {
	d.lookups.Add(1)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return bugle.Account{}, bugle.Device{}, "", d.fail
	}
	for _, e := range d.devices {
		a := d.account(e.account)
		if e.device.SIP.Username == username && (realm == "" || realm == a.Realm || realm == e.device.SIP.Realm) {
			return a, e.device, e.password, nil
		}
	}
	return bugle.Account{}, bugle.Device{}, "", missing()
}

func (d *devices) DeviceByIP(_ context.Context, addr netip.Addr) (bugle.Account, bugle.Device, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return bugle.Account{}, bugle.Device{}, d.fail
	}
	for _, e := range d.devices {
		if e.device.SIP.Method == "ip" && e.device.SIP.IP == addr.String() {
			return d.account(e.account), e.device, nil
		}
	}
	return bugle.Account{}, bugle.Device{}, missing()
}

func (d *devices) AccountByRealm(_ context.Context, realm string) (bugle.Account, error) {
	for _, a := range d.accounts {
		if a.Realm == realm {
			return a, nil
		}
	}
	return bugle.Account{}, missing()
}

func phoneOf(account, id, password string) testDevice {
	return testDevice{account, bugle.Device{ID: id, Enabled: true, SIP: bugle.DeviceSIP{Method: "password", Username: id,
		Expires: 300}}, password}
}

func newDevices() *devices {
	off := phoneOf("acme", "off", "secret")
	off.device.Enabled = false
	sha := phoneOf("acme", "sha", "secret")
	sha.device.SIP.Digest = DigestSHA256
	return &devices{
		accounts: []bugle.Account{{ID: "acme", Realm: "acme.test", Enabled: true}, {ID: "rival", Realm: "rival.test", Enabled: true}},
		devices: []testDevice{phoneOf("acme", "ann", "secret"), phoneOf("acme", "bob", "secret"), off, sha,
			phoneOf("rival", "zoe", "secret")},
	}
}

// posted is an event with its leg.
type posted struct {
	leg   call.Leg
	event call.Event
}

// sink collects the events of legs.
type sink struct {
	t      testing.TB
	events chan posted
}

func newSink(t testing.TB) *sink { return &sink{t, make(chan posted, 1000)} }

func (s *sink) Post(leg call.Leg, event call.Event) { s.events <- posted{leg, event} }

// next waits for an event of type T; others before it fail the test.
func next[T call.Event](s *sink) T {
	s.t.Helper()
	select {
	case p := <-s.events:
		e, ok := p.event.(T)
		if !ok {
			s.t.Fatalf("event %T %+v, want %T", p.event, p.event, e)
		}
		return e
	case <-time.After(patience):
		var want T
		s.t.Fatalf("no event, want %T", want)
		panic("unreachable")
	}
}

// none fails the test when an event has been posted.
func (s *sink) none() {
	s.t.Helper()
	select {
	case p := <-s.events:
		s.t.Errorf("event %T %+v, want none", p.event, p.event)
	default:
	}
}

// server is an agent on a real stack on loopback.
type server struct {
	t         testing.TB
	agent     *Agent
	stack     *sip.Stack
	media     *media.Engine
	registrar *registrar.Registrar
	devices   *devices
	clock     *testClock
	udp, tcp  netip.AddrPort
	calls     chan Incoming // what HandleInvite was given
	sinks     chan *sink    // the sink of each
	panics    atomic.Int64
}

// startServer starts a server; change may alter the options. Loopback is allowed by egress.
func startServer(t testing.TB, change func(*Options)) *server {
	t.Helper()
	s := &server{t: t, devices: newDevices(), clock: newTestClock(), calls: make(chan Incoming, 100),
		sinks: make(chan *sink, 100)}
	engine, err := media.NewEngine(media.Options{LocalIP: netip.MustParseAddr("127.0.0.1"), Loop: "portable"})
	if err != nil {
		t.Fatal(err)
	}
	s.media = engine
	s.registrar = registrar.New(registrar.Options{Clock: registrarClock{s.clock}})
	opts := Options{Media: engine, Registrar: s.registrar, Directory: s.devices, Clock: s.clock,
		Egress:  egress.New([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}),
		Invites: InviteHandlerFunc(s.invited), OnPanic: func(any) { s.panics.Add(1) }}
	if testing.Verbose() {
		opts.Log = slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if change != nil {
		change(&opts)
	}
	s.agent = New(opts)
	s.stack = sip.New(sip.Options{OnRequest: s.agent.HandleRequest, OnACK: s.agent.HandleACK,
		OnStray2xx: s.agent.HandleStray2xx, OnPanic: func(v any) { s.panics.Add(1); t.Errorf("panic: %v", v) }, Supported: Extensions()})
	s.agent.Attach(s.stack)
	if s.udp, err = s.stack.ListenUDP(t.Context(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if s.tcp, err = s.stack.ListenTCP(t.Context(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

func (s *server) stop() {
	s.agent.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.stack.Close(ctx); err != nil {
		s.t.Errorf("the stack did not close: %v", err)
	}
	s.registrar.Close()
	s.media.Close()
	if n := s.agent.Legs(); n != 0 {
		s.t.Errorf("%d legs left", n)
	}
	if n := s.panics.Load(); n != 0 {
		s.t.Errorf("%d panics", n)
	}
}

func (s *server) invited(in Incoming) call.Sink {
	k := newSink(s.t)
	s.calls <- in
	s.sinks <- k
	return k
}

// incoming waits for an inbound call.
func (s *server) incoming() (Incoming, *sink) {
	s.t.Helper()
	select {
	case in := <-s.calls:
		return in, <-s.sinks
	case <-time.After(patience):
		s.t.Fatal("no inbound call")
		panic("unreachable")
	}
}

// settled waits until no leg is left.
func (s *server) settled() {
	s.t.Helper()
	wait(s.t, "legs are left", func() bool { return s.agent.Legs() == 0 })
}

// wait polls until a condition holds that nothing announces.
func wait(t testing.TB, problem string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(problem)
		}
	}
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

const offerSDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n" +
	"m=audio 40000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"

// peer is a SIP element that sends exactly what a test tells it to, over a UDP socket of its own.
type peer struct {
	t       testing.TB
	conn    *net.UDPConn
	addr    netip.AddrPort
	server  netip.AddrPort
	user    string
	realm   string
	callID  string
	tag     string
	to      string // To of requests within the dialog, with tag
	target  string
	seq     int
	last    string // Via of the last request
	leg     call.Leg
	invited *sip.Message // the last request of the server that a test keeps
}

var peers atomic.Int64

func (s *server) peer(user string) *peer {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	p := &peer{t: s.t, conn: conn, addr: conn.LocalAddr().(*net.UDPAddr).AddrPort(), server: s.udp, user: user, realm: "acme.test"}
	p.fresh()
	return p
}

// fresh begins another call.
func (p *peer) fresh() {
	n := peers.Add(1)
	p.callID, p.tag, p.to, p.seq = fmt.Sprintf("call%d@peer", n), fmt.Sprintf("peer%d", n), "", 0
}

func (p *peer) write(text string) {
	p.t.Helper()
	if _, err := p.conn.WriteToUDPAddrPort([]byte(text), p.server); err != nil {
		p.t.Fatal(err)
	}
}

// request sends a request; headers are whole lines. Without a target it goes to uri.
func (p *peer) request(method, uri string, headers []string, body string) {
	p.t.Helper()
	if method != "ACK" && method != "CANCEL" {
		p.seq++
	}
	if method != "CANCEL" {
		p.last = fmt.Sprintf("SIP/2.0/UDP %s;branch=z9hG4bK%s%d;rport", p.addr, p.tag, peers.Add(1))
	}
	to := p.to
	if to == "" {
		to = "<" + uri + ">"
	}
	if method == "REGISTER" {
		to = fmt.Sprintf("<sip:%s@%s>", p.user, p.realm)
	}
	p.write(p.message(fmt.Sprintf("%s %s SIP/2.0", method, uri), p.last, fmt.Sprintf("<sip:%s@%s>;tag=%s", p.user, p.realm, p.tag), to,
		fmt.Sprintf("%d %s", p.seq, method), headers, body))
}

func (p *peer) message(start, via, from, to, cseq string, headers []string, body string) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\r\nVia: %s\r\nMax-Forwards: 70\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %s\r\n", start, via, from, to,
		p.callID, cseq)
	contact := false
	for _, h := range headers {
		b.WriteString(h + "\r\n")
		contact = contact || strings.HasPrefix(h, "Contact:")
	}
	if !contact {
		fmt.Fprintf(&b, "Contact: <sip:%s@%s>\r\n", p.user, p.addr)
	}
	if body != "" && !strings.Contains(strings.Join(headers, "\n"), "Content-Type") {
		b.WriteString("Content-Type: application/sdp\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	return b.String()
}

// receive waits for the next message.
func (p *peer) receive() *sip.Message {
	p.t.Helper()
	buf := make([]byte, 65536)
	p.conn.SetReadDeadline(time.Now().Add(patience))
	n, _, err := p.conn.ReadFromUDPAddrPort(buf)
	if err != nil {
		p.t.Fatalf("nothing received: %v", err)
	}
	m, err := sip.Parse(buf[:n])
	if err != nil {
		p.t.Fatalf("not SIP: %v\n%s", err, buf[:n])
	}
	return m
}

// expect waits for a response of this status; 100 may come before it.
func (p *peer) expect(status int) *sip.Message {
	p.t.Helper()
	for {
		m := p.receive()
		if m.StatusCode() == 100 && status != 100 {
			continue
		}
		if m.IsRequest() || m.StatusCode() != status {
			p.t.Fatalf("received, instead of %d:\n%s", status, m)
		}
		return m
	}
}

// expectRequest waits for a request of this method.
func (p *peer) expectRequest(method sip.Method) *sip.Message {
	p.t.Helper()
	m := p.receive()
	if !m.IsRequest() || m.Method() != method {
		p.t.Fatalf("received, instead of %s:\n%s", method, m)
	}
	return m
}

// respond answers a request; tag goes into To when it has none.
func (p *peer) respond(req *sip.Message, status int, tag string, headers []string, body string) {
	p.t.Helper()
	to := req.Header("To")
	if req.ToTag() == "" && tag != "" {
		to += ";tag=" + tag
	}
	p.callID = req.CallID()
	p.write(p.message(fmt.Sprintf("SIP/2.0 %d %s", status, sip.ReasonPhrase(status)), req.Header("Via"), req.Header("From"), to,
		req.Header("CSeq"), headers, body))
}

// authorization makes the header for a challenge, with an independent implementation.
func authorization(t testing.TB, res *sip.Message, method, uri, user, password string, count int) string {
	t.Helper()
	chal, err := digest.ParseChallenge(res.Header("WWW-Authenticate"))
	if err != nil {
		t.Fatalf("challenge %q: %v", res.Header("WWW-Authenticate"), err)
	}
	c, err := digest.Digest(chal, digest.Options{Method: method, URI: uri, Username: user, Password: password, Count: count})
	if err != nil {
		t.Fatal(err)
	}
	return "Authorization: " + c.String()
}

// invite sends an INVITE with credentials and returns when the call layer can have it.
func (p *peer) invite(dialed string, headers []string, body string) {
	p.t.Helper()
	uri := fmt.Sprintf("sip:%s@%s", dialed, p.realm)
	p.request("INVITE", uri, headers, body)
	res := p.expect(401)
	p.ack(res, uri)
	auth := authorization(p.t, res, "INVITE", uri, p.user, "secret", 1)
	p.request("INVITE", uri, append([]string{auth}, headers...), body)
	p.target = uri
}

// ack acknowledges a final response that is no 2xx.
func (p *peer) ack(res *sip.Message, uri string) {
	p.t.Helper()
	p.write(p.message("ACK "+uri+" SIP/2.0", p.last, res.Header("From"), res.Header("To"), fmt.Sprintf("%d ACK", p.seq), nil, ""))
}

// confirm takes a 2xx and acknowledges it.
func (p *peer) confirm(body string) *sip.Message {
	p.t.Helper()
	res := p.expect(200)
	p.dialog(res)
	p.request("ACK", p.target, nil, body)
	return res
}

// dialog remembers what requests within the dialog need.
func (p *peer) dialog(res *sip.Message) {
	p.to = res.Header("To")
	contact, err := res.Contact()
	if err != nil {
		p.t.Fatalf("no Contact:\n%s", res)
	}
	p.target = contact.URI.String()
}

// within sends a request in the dialog.
func (p *peer) within(method string, headers []string, body string) {
	p.t.Helper()
	p.request(method, p.target, headers, body)
}
