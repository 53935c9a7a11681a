package media

import (
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtcp"
)

// fakeWire keeps what a leg sends.
type fakeWire struct {
	packets, reports [][]byte
	rtp, rtcp        netip.AddrPort
	closed           bool
	count            int
	quiet            bool // keep nothing
}

func (w *fakeWire) sendRTP(packet []byte) {
	w.count++
	if !w.quiet {
		w.packets = append(w.packets, append([]byte(nil), packet...))
	}
}
func (w *fakeWire) sendRTCP(packet []byte) {
	w.reports = append(w.reports, append([]byte(nil), packet...))
}
func (w *fakeWire) aim(rtp, rtcp netip.AddrPort) { w.rtp, w.rtcp = rtp, rtcp }
func (w *fakeWire) close()                       { w.closed = true }

// bench is a loop that the test turns by hand, with a clock of its own.
type bench struct {
	core core
}

var benchClips = sync.OnceValue(func() (clips []*Clip) {
	for key := range len(keys) {
		clips = append(clips, NewClip("", DTMF(keys[key:key+1], defaultKey, keyGap)))
	}
	return clips
})

func newBench() *bench {
	engine := &Engine{began: time.Unix(1_800_000_000, 0), timeout: defaultMediaTimeout, sessions: map[*Session]struct{}{},
		load: make([]atomic.Int64, 1), log: slog.New(slog.DiscardHandler)}
	engine.clips = benchClips()
	b := &bench{}
	b.core = newCore(engine, 0)
	return b
}

var (
	party = netip.MustParseAddrPort("192.0.2.7:4000")
	usual = agreement{codec: codecPCMU, event: 101, receive: [2]format{{0, codecPCMU}}, receiveCount: 1, receiveEvent: 101,
		remote: party, remoteRTCP: netip.MustParseAddrPort("192.0.2.7:4001"), send: true, listen: true, samples: 160}
)

func (b *bench) leg(agreed agreement, owner Events) (*leg, *fakeWire) {
	wire := &fakeWire{}
	s := &Session{engine: b.core.engine, name: "test"}
	s.events.owner = owner
	s.leg = leg{session: s, wire: wire, budget: packetBudget}
	s.leg.out = outbound{ssrc: 77, sequence: 65530, timestamp: 0xFFFFFF00}
	b.core.engine.sessions[s] = struct{}{}
	b.core.add(&s.leg)
	s.leg.agree(agreed)
	return &s.leg, wire
}

// pass lets time go by in steps of a millisecond.
func (b *bench) pass(span time.Duration) {
	for end := b.core.now + instant(span); b.core.now < end; {
		b.core.now += min(millisecond, end-b.core.now)
		b.core.serve()
	}
}

// skip lets time go by in longer steps, for what needs no more.
func (b *bench) skip(span time.Duration) {
	for end := b.core.now + instant(span); b.core.now < end; {
		b.core.now += min(10*millisecond, end-b.core.now)
		b.core.serve()
	}
}

func rtpPacket(payload uint8, sequence uint16, timestamp uint32, body []byte) []byte {
	b := make([]byte, headerBytes+len(body))
	writeHeader(b, payload, false, sequence, timestamp, 5)
	copy(b[headerBytes:], body)
	return b
}

func TestMediaTimeout(t *testing.T) {
	t.Parallel()
	b, events := newBench(), newNotes()
	l, _ := b.leg(usual, events)
	b.skip(30 * time.Second)
	l.receive(party, rtpPacket(0, 1, 0, make([]byte, 160)))
	b.skip(59 * time.Second)
	l.receive(netip.MustParseAddrPort("198.51.100.1:9"), rtpPacket(0, 2, 0, make([]byte, 160))) // a stranger's does not count
	l.receive(party, rtpPacket(99, 2, 0, make([]byte, 160)))                                    // nor does another format
	l.session.events.digit('0')                                                                 // follows whatever came before
	events.waitDigits(t, "0")
	if events.count() != 0 {
		t.Fatal("a timeout before its time")
	}
	b.skip(2 * time.Second)
	events.wait(t, "a timeout", func() bool { return events.timeouts == 1 })
	b.skip(61 * time.Second)
	events.wait(t, "a second timeout", func() bool { return events.timeouts == 2 })

	hold, mute := usual, usual
	hold.send, mute.listen = false, false
	l.agree(hold)
	b.skip(10 * time.Minute)
	l.agree(mute) // the party said that it only listens
	b.skip(10 * time.Minute)
	l.agree(usual)
	b.skip(59 * time.Second)
	l.session.events.digit('1')
	events.waitDigits(t, "01")
	if events.count() != 2 {
		t.Error("a timeout on hold, or right after it")
	}
	b.skip(2 * time.Second)
	events.wait(t, "a timeout after hold", func() bool { return events.timeouts == 3 })
}

func (n *notes) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.timeouts
}

func TestReceiverReport(t *testing.T) {
	t.Parallel()
	b := newBench()
	l, wire := b.leg(usual, nil)
	// Ten packets of which two are lost, each 3 ms later than the last.
	for i := range 10 {
		if i != 4 && i != 5 {
			l.receive(party, rtpPacket(0, uint16(65533+i), uint32(160*i), make([]byte, 160)))
		}
		b.pass(23 * time.Millisecond)
	}
	b.skip(6 * time.Second)
	if len(wire.reports) == 0 {
		t.Fatal("no report within six seconds")
	}
	packets, err := rtcp.Unmarshal(wire.reports[0])
	if err != nil {
		t.Fatal(err)
	}
	report, ok := packets[0].(*rtcp.ReceiverReport)
	if !ok || len(report.Reports) != 1 {
		t.Fatalf("the first report is %v", packets)
	}
	block := report.Reports[0]
	if block.SSRC != 5 || block.TotalLost != 2 || block.FractionLost != 51 || block.LastSequenceNumber != 1<<16|6 || block.Jitter < 5 || block.Jitter > 24 {
		t.Errorf("the report block is %+v", block)
	}
	if description, ok := packets[1].(*rtcp.SourceDescription); !ok || description.Chunks[0].Items[0].Text != "test" {
		t.Errorf("the second packet is %v", packets[1])
	}

}

// TestSenderReport speaks, and lets the party answer the report: loss, jitter and the time that it took.
func TestSenderReport(t *testing.T) {
	t.Parallel()
	b := newBench()
	l, wire := b.leg(usual, nil)
	l.play(1, []*Clip{NewClip("", Tone(time.Second, 500))}, true)
	for len(wire.reports) == 0 {
		b.pass(time.Millisecond)
	}
	packets, err := rtcp.Unmarshal(wire.reports[0])
	if err != nil {
		t.Fatal(err)
	}
	sender, ok := packets[0].(*rtcp.SenderReport)
	if !ok || sender.SSRC != 77 || int(sender.PacketCount) != len(wire.packets) || int(sender.OctetCount) != 160*len(wire.packets) {
		t.Fatalf("the sender report is %v after %d packets", packets[0], len(wire.packets))
	}
	last, _ := parsePacket(wire.packets[len(wire.packets)-1])
	if off := int32(sender.RTPTime - last.timestamp); off < 0 || off > 400 {
		t.Errorf("its RTP time is %d samples after the last packet", off)
	}
	if wall := time.Unix(int64(sender.NTPTime>>32)-ntpEpoch, 0); wall.Sub(b.core.wall()).Abs() > 2*time.Second {
		t.Errorf("its time is %v, ours %v", wall, b.core.wall())
	}
	b.pass(150 * time.Millisecond)
	answer, err := (&rtcp.ReceiverReport{SSRC: 5, Reports: []rtcp.ReceptionReport{{SSRC: 77, TotalLost: 3, Jitter: 80,
		LastSenderReport: uint32(sender.NTPTime >> 16), Delay: 65536 / 20}}}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	fromPort := netip.MustParseAddrPort("192.0.2.7:4999")
	l.receiveReport(netip.MustParseAddrPort("198.51.100.1:9"), answer)
	if l.stats().RemoteLost != 0 {
		t.Error("a stranger's report counts")
	}
	l.receiveReport(fromPort, answer)
	stats := l.stats()
	if stats.RemoteLost != 3 || stats.RemoteJitter != 10*time.Millisecond {
		t.Errorf("the party's report is read as %+v", stats)
	}
	if trip := stats.RoundTrip; trip < 95*time.Millisecond || trip > 250*time.Millisecond {
		t.Errorf("the round trip is %v", trip)
	}
	if wire.rtcp != fromPort {
		t.Errorf("reports go to %v", wire.rtcp)
	}
	l.close()
	packets, err = rtcp.Unmarshal(wire.reports[len(wire.reports)-1])
	if err != nil {
		t.Fatal(err)
	}
	if bye, ok := packets[len(packets)-1].(*rtcp.Goodbye); !ok || bye.Sources[0] != 77 {
		t.Errorf("the last packet is %v", packets[len(packets)-1])
	}
}

func FuzzPackets(f *testing.F) {
	f.Add(rtpPacket(0, 1, 160, make([]byte, 160)), false)
	f.Add(rtpPacket(101, 1, 160, []byte{5, 10, 0, 160}), false)
	f.Add([]byte{0xB2, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0xBE, 0xDE, 0, 1, 1, 2, 3, 4, 9, 9, 1}, false)
	report, _ := rtcp.Marshal([]rtcp.Packet{&rtcp.SenderReport{SSRC: 5, Reports: []rtcp.ReceptionReport{{SSRC: 77}}}})
	f.Add(report, true)
	f.Fuzz(func(t *testing.T, datagram []byte, isReport bool) {
		b := newBench()
		l, _ := b.leg(usual, nil)
		other, wire := b.leg(usual, nil)
		l.link(other)
		l.wanted = true
		for range 3 {
			if isReport {
				l.receiveReport(party, append([]byte(nil), datagram...))
			} else {
				l.receive(party, append([]byte(nil), datagram...))
			}
			b.pass(20 * time.Millisecond)
		}
		for _, packet := range wire.packets {
			if p, ok := parsePacket(packet); !ok || p.ssrc != 77 {
				t.Errorf("relays %x", packet)
			}
		}
	})
}

func TestHoldSendsNothingAndTimeGoesOn(t *testing.T) {
	t.Parallel()
	b, events := newBench(), newNotes()
	l, wire := b.leg(usual, events)
	l.play(1, []*Clip{NewClip("", Tone(time.Second, 500))}, false)
	b.pass(200 * time.Millisecond)
	before := len(wire.packets)
	hold := usual
	hold.send, hold.remote = false, netip.AddrPort{}
	l.agree(hold)
	b.pass(400 * time.Millisecond)
	if len(wire.packets) != before {
		t.Errorf("%d packets are sent on hold", len(wire.packets)-before)
	}
	l.agree(usual)
	b.pass(300 * time.Millisecond)
	if len(wire.packets) == before {
		t.Fatal("nothing is sent after hold")
	}
	last, _ := parsePacket(wire.packets[before-1])
	next, _ := parsePacket(wire.packets[before])
	if next.sequence != last.sequence+1 || !next.marker {
		t.Errorf("after hold sequence number %d follows %d, marker %v", next.sequence, last.sequence, next.marker)
	}
	if gap := next.timestamp - last.timestamp; gap < 390*8 || gap > 450*8 {
		t.Errorf("hold of 400 ms is %d samples", gap)
	}
	b.pass(200 * time.Millisecond)
	events.wait(t, "the end of playing", func() bool { return len(events.ended) == 1 })
}

func TestPacketLengthIsThePartys(t *testing.T) {
	t.Parallel()
	for _, samples := range []int{80, 240, 320, 480} {
		b := newBench()
		agreed := usual
		agreed.samples = samples
		l, wire := b.leg(agreed, nil)
		tone := melody(480*time.Millisecond, 300, 3000)
		l.play(1, []*Clip{NewClip("", tone)}, false)
		b.pass(470 * time.Millisecond)
		var got []int16
		for i, packet := range wire.packets {
			p, _ := parsePacket(packet)
			if p.end-p.start != samples {
				t.Fatalf("a packet of %d samples, want %d", p.end-p.start, samples)
			}
			if first, _ := parsePacket(wire.packets[0]); p.timestamp-first.timestamp != uint32(i*samples) {
				t.Errorf("packet %d has timestamp %d", i, p.timestamp-first.timestamp)
			}
			got = decode(got, packet[p.start:p.end], codecPCMU)
		}
		if len(got) < 400*8 || similarity(got, tone) < 0.99 {
			t.Errorf("packets of %d samples: %d samples, resemblance %.3f", samples, len(got), similarity(got, tone))
		}
	}
}

func TestSilentPartyIsKeptReachable(t *testing.T) {
	t.Parallel()
	b := newBench()
	l, wire := b.leg(usual, nil)
	l.play(1, []*Clip{NewClip("", Tone(100*time.Millisecond, 500))}, false)
	b.skip(40 * time.Second)
	if extra := len(wire.packets) - 5; extra < 1 || extra > 3 {
		t.Errorf("%d packets in 40 s of silence", extra)
	}
}

func TestPacketBudget(t *testing.T) {
	t.Parallel()
	b := newBench()
	l, _ := b.leg(usual, nil)
	for i := range 5000 {
		l.receive(party, rtpPacket(0, uint16(i), uint32(160*i), make([]byte, 160)))
	}
	if got := l.stats().PacketsReceived; got != packetBudget {
		t.Errorf("%d packets are taken in one second", got)
	}
	b.skip(1100 * time.Millisecond)
	l.receive(party, rtpPacket(0, 6000, 0, make([]byte, 160)))
	if got := l.stats().PacketsReceived; got != packetBudget+1 {
		t.Errorf("after a second %d packets were taken", got)
	}
}

func TestNothingIsAllocatedForPackets(t *testing.T) {
	b := newBench()
	l, wire := b.leg(usual, nil)
	aLaw := usual
	aLaw.codec, aLaw.payload, aLaw.receive[0] = codecPCMA, 8, format{8, codecPCMA}
	other, otherWire := b.leg(aLaw, nil)
	wire.quiet, otherWire.quiet = true, true
	l.link(other)
	sequence, datagram := uint16(0), rtpPacket(0, 0, 0, make([]byte, 160))
	var room [200]byte
	steps := map[string]func(){
		"relay with translation": func() {
			sequence++
			copy(room[:], datagram)
			writeHeader(room[:], 0, false, sequence, 160*uint32(sequence), 5)
			l.budget = packetBudget
			l.receive(party, room[:len(datagram)])
		},
	}
	check := func() {
		t.Helper()
		for name, step := range steps {
			before := wire.count + otherWire.count
			if n := testing.AllocsPerRun(500, step); n != 0 {
				t.Errorf("%s allocates %v times a packet", name, n)
			}
			if wire.count+otherWire.count == before {
				t.Errorf("%s sends nothing", name)
			}
		}
	}
	check()
	l.unlink()
	l.play(1, []*Clip{NewClip("", Tone(333*time.Millisecond, 500))}, true)
	steps = map[string]func(){"play": func() {
		b.core.now += 20 * millisecond
		b.core.serve()
	}}
	check()
	band := usual
	band.event, band.receiveEvent = noPayload, noPayload
	l.player = player{}
	l.agree(band)
	l.wanted = true
	l.listenForKeys()
	tone := NewClip("", DTMF("5", time.Second, 0)).ulaw
	if n := testing.AllocsPerRun(100, func() {
		sequence++
		copy(room[headerBytes:], tone[:160])
		writeHeader(room[:], 0, false, sequence, 160*uint32(sequence), 5)
		l.budget = packetBudget
		l.receive(party, room[:headerBytes+160])
	}); n != 0 {
		t.Errorf("detection allocates %v times a packet", n)
	}
}
