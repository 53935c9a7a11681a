package media

import (
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bugle"
)

func TestSourceRules(t *testing.T) {
	t.Parallel()
	described, rebound := netip.MustParseAddrPort("192.0.2.7:4000"), netip.MustParseAddrPort("192.0.2.7:4444")
	router, stranger := netip.MustParseAddrPort("203.0.113.9:9000"), netip.MustParseAddrPort("198.51.100.66:4000")
	router2 := netip.AddrPortFrom(router.Addr(), 9500)
	type step struct {
		ms       int
		from     netip.AddrPort
		admitted bool
		moved    bool
	}
	tests := []struct {
		name  string
		steps []step
		ends  netip.AddrPort
	}{
		{"the address of the SDP", []step{{0, described, true, false}, {20, described, true, false}, {40, described, true, false}}, described},
		{"another port of the SDP's address", []step{{0, rebound, false, false}, {20, rebound, false, false}, {40, rebound, true, true}, {60, rebound, true, false}}, rebound},
		{"the signalling address", []step{{0, router, false, false}, {20, router, false, false}, {40, router, true, true}}, router},
		{"a stranger", []step{{0, stranger, false, false}, {20, stranger, false, false}, {40, stranger, false, false}, {60, stranger, false, false}}, described},
		{"a stranger in between", []step{{0, router, false, false}, {1, stranger, false, false}, {20, router, false, false}, {21, stranger, false, false}, {40, router, true, true}}, router},
		{"two ports by turns", []step{{0, router, false, false}, {1, router2, false, false}, {20, router, false, false}, {21, router2, false, false},
			{40, router, false, false}, {60, router, false, false}, {80, router, true, true}}, router},
		{"the signalling address, too late", []step{{5001, router, false, false}, {5020, router, false, false}, {5040, router, false, false}}, described},
		{"the SDP's address, late", []step{{5001, rebound, false, false}, {5020, rebound, false, false}, {5040, rebound, true, true}}, rebound},
		{"a new port while the old one speaks", []step{{0, described, true, false}, {20, described, true, false}, {40, described, true, false},
			{45, rebound, false, false}, {46, rebound, false, false}, {47, rebound, false, false}, {60, described, true, false}}, described},
		{"a new port when the old one fell silent", []step{{0, described, true, false}, {20, described, true, false}, {40, described, true, false},
			{9000, rebound, false, false}, {9020, rebound, false, false}, {9040, rebound, true, true}}, rebound},
		{"within the learned address only", []step{{0, router, false, false}, {20, router, false, false}, {40, router, true, true},
			{9000, described, false, false}, {9020, described, false, false}, {9040, described, false, false},
			{9060, router2, false, false}, {9080, router2, false, false}, {9100, router2, true, true}}, router2},
	}
	for _, test := range tests {
		s := source{signalling: router.Addr()}
		s.open(0, described)
		for i, step := range test.steps {
			admitted, moved := s.admit(instant(step.ms)*millisecond, step.from)
			if admitted != step.admitted || moved != step.moved {
				t.Errorf("%s, packet %d: admitted %v, moved %v", test.name, i, admitted, moved)
			}
		}
		if s.destination() != test.ends {
			t.Errorf("%s: sends to %v", test.name, s.destination())
		}
	}
	// A new offer/answer opens the window again; the address in use stays while the SDP's does.
	s := source{signalling: router.Addr()}
	s.open(0, described)
	for range 3 {
		s.admit(0, rebound)
	}
	s.open(20*second, described)
	if s.destination() != rebound {
		t.Errorf("an unchanged SDP sends audio to %v", s.destination())
	}
	for range 3 {
		s.admit(21*second, router)
	}
	if s.destination() != router {
		t.Errorf("within the second window audio goes to %v", s.destination())
	}
	s.open(40*second, netip.MustParseAddrPort("192.0.2.8:5000"))
	if s.destination().String() != "192.0.2.8:5000" {
		t.Errorf("a changed SDP sends audio to %v", s.destination())
	}
}

// TestFloodFromThirdAddressCapturesNothing sends well-formed packets of the right payload type from a third address to
// every port of the range, before, during and after the learning window's first packets, while two parties talk.
func TestFloodFromThirdAddressCapturesNothing(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, options Options) {
		options.Ports = freePorts(t, 20)
		engine := newTestEngine(t, options)
		ann, bob, thief := newPhone(t, loopback), newPhone(t, loopback), newPhone(t, netip.AddrFrom4([4]byte{127, 0, 0, 66}))
		annEvents := newNotes()
		a, b := ann.call(engine, "0 101", annEvents), bob.call(engine, "0 101", nil)
		a.Join(b)
		a.Stats()
		b.Stats()
		a.Stats()
		var rounds atomic.Int64
		stop, done := make(chan struct{}), make(chan struct{})
		end := sync.OnceFunc(func() { close(stop); <-done })
		t.Cleanup(end)
		go func() {
			defer close(done)
			pace := time.NewTicker(time.Millisecond)
			defer pace.Stop()
			for {
				for port := options.Ports.First; port <= options.Ports.Last; port++ {
					thief.to = netip.AddrPortFrom(loopback, uint16(port))
					thief.send(0, false, make([]byte, 160))
					thief.send(101, true, []byte{9, 0x8A, 3, 0x20})
					thief.clock += 160
				}
				rounds.Add(1)
				select {
				case <-stop:
					return
				case <-pace.C:
				}
			}
		}()
		for rounds.Load() < 5 { // the thief is first
			time.Sleep(time.Millisecond)
		}
		fromAnn, fromBob := melody(time.Second, 300, 1500), melody(time.Second, 3200, 1800)
		spoken := make(chan struct{})
		go func() { defer close(spoken); ann.speak(fromAnn, 0) }()
		bob.speak(fromBob, 0)
		<-spoken
		bob.waitAudio(0, 45)
		ann.waitAudio(0, 45)
		a.Play(1, []*Clip{NewClip("after", melody(200*time.Millisecond, 500, 700))}, false)
		annEvents.wait(t, "the end of playing", func() bool { return len(annEvents.ended) == 1 })
		end()
		if s, _ := found(bob.heard(0), fromAnn[800:7200]); s < 0.95 {
			t.Errorf("Bob hears Ann with a resemblance of %.3f", s)
		}
		if s, _ := found(ann.heard(0), fromBob[800:7200]); s < 0.95 {
			t.Errorf("Ann hears Bob with a resemblance of %.3f", s)
		}
		for _, s := range []*Session{a, b} {
			if stats := s.Stats(); stats.Remote.Addr() != loopback || stats.Refused == 0 {
				t.Errorf("sends to %v, refused %d packets", stats.Remote, stats.Refused)
			}
		}
		thief.mu.Lock()
		defer thief.mu.Unlock()
		if len(thief.packets) != 0 {
			t.Errorf("the thief got %d packets", len(thief.packets))
		}
		annEvents.mu.Lock()
		defer annEvents.mu.Unlock()
		if annEvents.digits != "" {
			t.Errorf("the thief pressed %q", annEvents.digits)
		}
	})
}

// freePorts finds a range of count ports that nobody uses now.
func freePorts(t *testing.T, count int) PortRange {
	t.Helper()
	for range 50 {
		probe, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		first := probe.LocalAddr().(*net.UDPAddr).Port &^ 1
		probe.Close()
		free := first+count < 65535
		for port := first; free && port < first+count; port++ {
			conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
			if free = err == nil; free {
				conn.Close()
			}
		}
		if free {
			return PortRange{first, first + count - 1}
		}
	}
	t.Fatal("no free range of ports")
	return PortRange{}
}

// TestPhoneBehindNAT says a private address in its SDP and sends from its signalling's: audio must find it.
func TestPhoneBehindNAT(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, options Options) {
		engine := newTestEngine(t, options)
		caller, inside := newPhone(t, loopback), newPhone(t, netip.AddrFrom4([4]byte{127, 0, 0, 10}))
		s, err := engine.NewSession(SessionOptions{Signalling: loopback})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Accept(inside.sdp("0")); err != nil {
			t.Fatal(err)
		}
		caller.to = s.Local()
		caller.speak(melody(60*time.Millisecond, 500, 500), 0)
		s.Play(1, []*Clip{NewClip("", melody(200*time.Millisecond, 800, 900))}, true)
		caller.waitAudio(0, 12)
		if similar, _ := found(caller.heard(0), melody(200*time.Millisecond, 800, 900)); similar < 0.99 {
			t.Errorf("heard with a resemblance of %.3f", similar)
		}
		if got := s.Stats().Remote; got != caller.address() {
			t.Errorf("sends to %v", got)
		}
		s.Close()
		if got := s.Stats().Remote; got != caller.address() {
			t.Errorf("after its end the session says it sent to %v", got)
		}
	})
}

func TestPorts(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, options Options) {
		options.Ports = freePorts(t, 7) // three pairs and an odd one out
		engine := newTestEngine(t, options)
		clock := time.Now()
		engine.ports.now = func() time.Time { return clock }
		seen := map[uint16]*Session{}
		for range 3 {
			s, err := engine.NewSession(SessionOptions{})
			if err != nil {
				t.Fatal(err)
			}
			port := s.Local().Port()
			if port%2 != 0 || seen[port] != nil || int(port) < options.Ports.First || int(port)+1 > options.Ports.Last {
				t.Errorf("port %d of %v", port, options.Ports)
			}
			seen[port] = s
			offer, err := s.Offer()
			if err != nil || !strings.Contains(string(offer), "m=audio "+s.Local().String()[len("127.0.0.1:"):]+" ") {
				t.Errorf("port %d is offered as\n%s%v", port, offer, err)
			}
		}
		refused := func(when string) {
			t.Helper()
			if _, err := engine.NewSession(SessionOptions{}); bugle.KindOf(err) != bugle.KindLimited {
				t.Errorf("%s: %v", when, err)
			}
		}
		refused("with every port in use")
		var freed uint16
		for port, s := range seen {
			freed = port
			s.Close()
			s.Stats()
			break
		}
		waitFor(t, "the port is back", func() bool {
			engine.ports.mu.Lock()
			defer engine.ports.mu.Unlock()
			return len(engine.ports.resting) > engine.ports.first
		})
		refused("while the port rests")
		clock = clock.Add(portQuarantine)
		s, err := engine.NewSession(SessionOptions{})
		if err != nil || s.Local().Port() != freed {
			t.Errorf("after the quarantine: %v %v", s, err)
		}
	})
}

// waitFor polls what has no event of its own.
func waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not reached: " + what)
		}
	}
}

func TestPortRangesAreChecked(t *testing.T) {
	t.Parallel()
	for _, r := range []PortRange{{0, 100}, {100, 70000}, {200, 100}, {101, 102}, {100, 100}, {-5, -1}} {
		if _, err := NewEngine(Options{Ports: r}); bugle.KindOf(err) != bugle.KindInvalid || err == nil {
			t.Errorf("ports %v: %v", r, err)
		}
	}
	if _, err := NewEngine(Options{Loop: "magic"}); bugle.KindOf(err) != bugle.KindInvalid || err == nil {
		t.Errorf("loop magic: %v", err)
	}
}
