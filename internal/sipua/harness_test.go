package sipua

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"bugle"
	"bugle/internal/bugletest/clock"
	"bugle/internal/call"
	"bugle/internal/egress"
	"bugle/internal/media"
	"bugle/internal/registrar"
	"bugle/internal/sip"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second // how long a test waits for what must come

// testClock is a clock.Clock as the stack wants one.
type testClock struct{ *clock.Clock }

func newTestClock() testClock { return testClock{clock.New(time.Unix(1_800_000_000, 0))} }

func (c testClock) AfterFunc(d time.Duration, f func()) sip.Timer { return c.Clock.AfterFunc(d, f) }

// registrarClock is the same clock for the registrar.
type registrarClock struct{ testClock }

func (c registrarClock) AfterFunc(d time.Duration, f func()) func() bool {
	return c.Clock.AfterFunc(d, f).Stop
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

func (d *devices) DeviceByUsername(_ context.Context, realm, username string) (bugle.Account, bugle.Device, error) {
	d.lookups.Add(1)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return bugle.Account{}, bugle.Device{}, d.fail
	}
	for _, e := range d.devices {
		a := d.account(e.account)
		if e.device.SIP.Username == username && (realm == "" || realm == a.Realm || realm == e.device.SIP.Realm) {
			return a, e.device, nil
		}
	}
	return bugle.Account{}, bugle.Device{}, missing()
}

func (d *devices) Password(device bugle.Device) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.devices {
		if e.device.ID == device.ID {
			return e.password, nil
		}
	}
	return "", missing()
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
	d.mu.Lock()
	defer d.mu.Unlock()
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
	t         testing.TB // who is told of failures; the fuzzer changes it
	base      testing.TB // who started the server
	agent     *Agent
	stack     *sip.Stack
	media     *media.Engine
	registrar *registrar.Registrar
	devices   *devices
	clock     testClock
	udp, tcp  netip.AddrPort
	calls     chan Incoming // what HandleInvite was given
	sinks     chan *sink    // the sink of each
	panics    atomic.Int64
}

// startServer starts a server; change may alter the options. Loopback is allowed by egress.
func startServer(t testing.TB, change func(*Options)) *server {
	t.Helper()
	s := &server{t: t, base: t, devices: newDevices(), clock: newTestClock(), calls: make(chan Incoming, 100),
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
	k := newSink(s.base)
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
	if _, fuzzes := w.t.(*testing.F); !fuzzes { // whose Log may not be called while it does
		w.t.Log(strings.TrimSpace(string(p)))
	}
	return len(p), nil
}
