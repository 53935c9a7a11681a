package media

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// eachLoop runs a test over every kind of loop that this system has.
func eachLoop(t *testing.T, test func(t *testing.T, options Options)) {
	t.Helper()
	kinds := []Options{{Loop: "portable"}}
	if haveEpoll {
		kinds = append(kinds, Options{Loop: "epoll", Loops: 1}, Options{Loop: "epoll", Loops: 3})
	}
	for _, options := range kinds {
		t.Run(fmt.Sprintf("%s%d", options.Loop, options.Loops), func(t *testing.T) {
			t.Parallel()
			options.LocalIP = loopback
			options.OnPanic = func(reason any) { t.Errorf("panic: %v", reason) }
			test(t, options)
		})
	}
}

func newTestEngine(t *testing.T, options Options) *Engine {
	t.Helper()
	engine, err := NewEngine(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(engine.Close)
	return engine
}

// notes collects a session's events.
type notes struct {
	mu       sync.Mutex
	digits   string
	ended    []int
	timeouts int
	changed  chan struct{}
}

func newNotes() *notes { return &notes{changed: make(chan struct{}, 1)} }

func (n *notes) note(do func()) {
	n.mu.Lock()
	do()
	n.mu.Unlock()
	select {
	case n.changed <- struct{}{}:
	default:
	}
}

func (n *notes) OnDigit(key byte)      { n.note(func() { n.digits += string(key) }) }
func (n *notes) OnPlayEnded(token int) { n.note(func() { n.ended = append(n.ended, token) }) }
func (n *notes) OnMediaTimeout()       { n.note(func() { n.timeouts++ }) }

// wait waits until what was noted satisfies a condition.
func (n *notes) wait(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		n.mu.Lock()
		ok := condition()
		n.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-n.changed:
		case <-deadline:
			n.mu.Lock()
			defer n.mu.Unlock()
			t.Fatalf("%s did not come: digits %q, ended %v, timeouts %d", what, n.digits, n.ended, n.timeouts)
		}
	}
}

func (n *notes) waitDigits(t *testing.T, digits string) {
	t.Helper()
	n.wait(t, "digits "+digits, func() bool { return n.digits == digits })
}

// phone is the party at the other end of a session: a socket that speaks and hears RTP.
type phone struct {
	t        *testing.T
	conn     *net.UDPConn
	to       netip.AddrPort
	ssrc     uint32
	sequence uint16
	clock    uint32

	mu      sync.Mutex
	packets []heardPacket
	arrived chan struct{}
}

type heardPacket struct {
	packet
	body []byte
	from netip.AddrPort
}

func newPhone(t *testing.T, address netip.Addr) *phone {
	t.Helper()
	conn := listenPair(t, address)
	p := &phone{t: t, conn: conn, ssrc: 0xABCD, sequence: 65500, clock: 4_000_000_000, arrived: make(chan struct{}, 1)}
	var done sync.WaitGroup
	done.Go(p.listen)
	t.Cleanup(func() { conn.Close(); done.Wait() })
	return p
}

// listenPair opens an even port, and holds the one after it, where reports go, so that they reach nobody else's phone.
func listenPair(t *testing.T, address netip.Addr) *net.UDPConn {
	t.Helper()
	for range 100 {
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(address, 0)))
		if err != nil {
			t.Fatal(err)
		}
		port := conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		if port%2 == 0 {
			reports, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(address, port+1)))
			if err == nil {
				t.Cleanup(func() { reports.Close() })
				return conn
			}
		}
		conn.Close()
	}
	t.Fatal("no pair of ports is free")
	return nil
}

func (p *phone) address() netip.AddrPort { return p.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

func (p *phone) listen() {
	buffer := make([]byte, 2000)
	for {
		n, from, err := p.conn.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		parsed, ok := parsePacket(buffer[:n])
		if !ok { // other programs' tests use this interface too
			continue
		}
		p.mu.Lock()
		p.packets = append(p.packets, heardPacket{parsed, append([]byte(nil), buffer[parsed.start:parsed.end]...), from})
		p.mu.Unlock()
		select {
		case p.arrived <- struct{}{}:
		default:
		}
	}
}

// sdp is a description by this phone; formats like "0 8 101", lines are added to its audio.
func (p *phone) sdp(formats string, lines ...string) []byte {
	address := p.address()
	family := "IP4"
	if address.Addr().Is6() {
		family = "IP6"
	}
	text := fmt.Sprintf("v=0\r\no=- 1 1 IN %s %s\r\ns=-\r\nc=IN %s %s\r\nt=0 0\r\nm=audio %d RTP/AVP %s\r\n", family,
		address.Addr(), family, address.Addr(), address.Port(), formats)
	for _, number := range strings.Fields(formats) {
		if number == "101" || number == "96" {
			text += "a=rtpmap:" + number + " telephone-event/8000\r\n"
		}
	}
	for _, line := range lines {
		text += line + "\r\n"
	}
	return []byte(text)
}

// call opens a session that this phone offered formats to.
func (p *phone) call(engine *Engine, formats string, owner Events, lines ...string) *Session {
	p.t.Helper()
	s, err := engine.NewSession(SessionOptions{Signalling: p.address().Addr(), Events: owner, Label: p.t.Name()})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(s.Close)
	if _, err := s.Accept(p.sdp(formats, lines...)); err != nil {
		p.t.Fatal(err)
	}
	p.to = s.Local()
	s.Stats() // the loop has taken note of the agreement
	return s
}

func (p *phone) send(payload uint8, marker bool, body []byte) {
	datagram := make([]byte, headerBytes+len(body))
	writeHeader(datagram, payload, marker, p.sequence, p.clock, p.ssrc)
	copy(datagram[headerBytes:], body)
	p.sequence++
	if _, err := p.conn.WriteToUDPAddrPort(datagram, p.to); err != nil {
		p.t.Error(err)
	}
}

// speak sends audio, ten times as fast as it would be spoken, but never so fast that a socket overflows.
func (p *phone) speak(pcm []int16, payload uint8) {
	clip := NewClip("", pcm)
	bytes := clip.ulaw
	if payload == 8 {
		bytes = clip.alaw
	}
	pace := time.NewTicker(2 * time.Millisecond)
	defer pace.Stop()
	for ; len(bytes) >= 160; bytes = bytes[160:] {
		p.send(payload, false, bytes[:160])
		p.clock += 160
		<-pace.C
	}
}

// press sends one key by RFC 4733: packets of growing duration and three ends.
func (p *phone) press(key byte, payload uint8) {
	code, _ := eventOf(key)
	pace := time.NewTicker(2 * time.Millisecond)
	defer pace.Stop()
	for i := range 7 {
		<-pace.C
		duration, flags := min((i+1)*160, 800), byte(10)
		if i >= 4 {
			flags |= 0x80
		}
		p.send(payload, i == 0, []byte{code, flags, byte(duration >> 8), byte(duration)})
	}
	p.clock += 800 + 480
}

// heard returns what came in under a payload type, packet after packet: what it says, whatever a busy machine did to
// its time.
func (p *phone) heard(payload uint8) []int16 {
	p.mu.Lock()
	defer p.mu.Unlock()
	law := codecPCMU
	if payload == 8 {
		law = codecPCMA
	}
	var pcm []int16
	for i := range p.packets {
		if p.packets[i].payload == payload {
			pcm = decode(pcm, p.packets[i].body, law)
		}
	}
	return pcm
}

// wait waits until what came in satisfies a condition.
func (p *phone) wait(what string, condition func(packets []heardPacket) bool) {
	p.t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		p.mu.Lock()
		ok := condition(p.packets)
		count := len(p.packets)
		p.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-p.arrived:
		case <-deadline:
			p.t.Fatalf("%s: not after %d packets", what, count)
		}
	}
}

// waitAudio waits for a number of packets of a payload type.
func (p *phone) waitAudio(payload uint8, count int) {
	p.t.Helper()
	p.wait(fmt.Sprintf("%d packets of type %d", count, payload), func(packets []heardPacket) bool {
		n := 0
		for i := range packets {
			if packets[i].payload == payload {
				n++
			}
		}
		return n >= count
	})
}

// events returns the keys that came in by RFC 4733, through the receiver under test's own rules.
func (p *phone) events(payload uint8) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ear keyReceiver
	digits := ""
	for i := range p.packets {
		if p.packets[i].payload == payload {
			if key, is := ear.event(0, &p.packets[i].packet, p.packets[i].body); is == partFirst {
				digits += string(key)
			}
		}
	}
	return digits
}

// continuous checks that what the phone got is one stream: one SSRC, one source, each sequence number once and in order,
// timestamps that never go back.
func (p *phone) continuous() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := 1; i < len(p.packets); i++ {
		a, b := &p.packets[i-1], &p.packets[i]
		if a.ssrc != b.ssrc || a.from != b.from {
			p.t.Fatalf("packet %d comes from SSRC %x at %v, the one before from %x at %v", i, b.ssrc, b.from, a.ssrc, a.from)
		}
		if b.sequence != a.sequence+1 {
			p.t.Fatalf("packet %d has sequence number %d after %d", i, b.sequence, a.sequence)
		}
		if int32(b.timestamp-a.timestamp) < 0 {
			p.t.Fatalf("packet %d has timestamp %d after %d", i, b.timestamp, a.timestamp)
		}
	}
}

// melody is audio that correlates with nothing but itself: a sweep.
func melody(duration time.Duration, from, to float64) []int16 {
	pcm := make([]int16, samplesIn(duration))
	for i := range pcm {
		at := float64(i) / SampleRate
		total := duration.Seconds()
		pcm[i] = int16(8000 * math.Sin(2*math.Pi*(from*at+(to-from)*at*at/(2*total))))
	}
	return pcm
}

func TestPlayIsHeard(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, options Options) {
		engine := newTestEngine(t, options)
		for _, payload := range []uint8{0, 8} {
			caller, events := newPhone(t, loopback), newNotes()
			s := caller.call(engine, fmt.Sprintf("%d 101", payload), events)
			first, second := melody(333*time.Millisecond, 300, 900), melody(215*time.Millisecond, 3000, 1200)
			s.Play(7, []*Clip{NewClip("first", first), NewClip("nothing", nil), NewClip("second", second)}, false)
			events.wait(t, "the end of playing", func() bool { return len(events.ended) == 1 && events.ended[0] == 7 })
			caller.waitAudio(payload, 28)
			wanted := append(append([]int16(nil), first...), second...)
			got := caller.heard(payload)
			if s := similarity(got, wanted); s < 0.99 {
				t.Errorf("payload type %d: what was heard resembles what was played by %.3f", payload, s)
			}
			caller.continuous()
			if !caller.packets[0].marker || caller.packets[1].marker {
				t.Error("the marker is not on the first packet only")
			}
		}
	})
}
