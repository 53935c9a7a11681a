package media

import (
	"net/netip"
)

// wire sends what a leg says. Every loop has its own kind; a failed send is a lost packet.
type wire interface {
	sendRTP(packet []byte)
	sendRTCP(packet []byte)
	// aim sets where packets go; an invalid address sends nothing.
	aim(rtp, rtcp netip.AddrPort)
	close()
}

// leg is the state of a session that its loop owns: nobody else reads or writes it. Which loop runs it makes no
// difference to it.
type leg struct {
	session *Session
	core    *core
	wire    wire
	index   int // in core.legs
	closed  bool

	negotiated bool
	agreed     agreement
	source     source
	rtcp       netip.AddrPort // where reports go
	in         reception
	out        outbound
	reports    reports
	counters   counters

	complain instant // when a media timeout is told
	budget   int     // packets that may still be taken in this second

	player  player
	overlay player // tones of keys for a party without telephone-event
	sender  keySender
	ear     keyReceiver
	wanted  bool      // keys are wanted
	band    *Detector // listens for keys in the audio, nil while not needed

	peer  *leg
	far   *leg  // the other end of a loopback pair, while both are on one loop
	relay relay // from peer to this leg

	recording *recording

	due                instant // of the next tick
	scheduled          bool    // on the wheel
	slot               int
	earlier, following *leg // neighbours in the wheel's slot
}

type counters struct {
	sent, received, sentBytes, receivedBytes, refused uint64
}

// packetBudget is how many packets a second a leg takes: ten times what any negotiated packet length makes, and a limit
// for two legs that were pointed at each other.
const packetBudget = 1000

// keepaliveAfter is the longest silence that is sent: routers forget a phone's port after half a minute (RFC 6263 §4).
const keepaliveAfter = 15 * second

// agree puts a new offer/answer into effect.
func (l *leg) agree(agreed agreement) {
	if l.closed {
		return
	}
	if agreed.event != l.agreed.event || agreed.payload != l.agreed.payload {
		l.relay.synced = false
	}
	l.negotiated, l.agreed = true, agreed
	l.source.open(l.core.now, agreed.remote)
	l.rtcp = agreed.remoteRTCP
	l.wire.aim(l.destination(), l.rtcp)
	l.waitAnew()
	l.listenForKeys()
	if l.peer != nil {
		l.peer.relay.synced = false
	}
}

// answered opens the learning window and starts the wait for RTP anew.
func (l *leg) answered() {
	if l.closed {
		return
	}
	l.source.open(l.core.now, l.agreed.remote)
	l.waitAnew()
}

func (l *leg) waitAnew() {
	l.complain = l.core.now + l.core.timeout
}

func (l *leg) destination() netip.AddrPort { return l.source.destination() }

// sendable tells whether audio may go to the party.
func (l *leg) sendable() bool {
	return l.agreed.send && l.negotiated && (l.far != nil || l.destination().IsValid())
}

// emit sends an RTP packet that is complete.
func (l *leg) emit(packet []byte) {
	l.counters.sent++
	l.counters.sentBytes += uint64(len(packet) - headerBytes)
	l.reports.sentSince = true
	l.wire.sendRTP(packet)
}

// receive takes one datagram of the RTP port. It may be rewritten in place.
func (l *leg) receive(from netip.AddrPort, datagram []byte) {
	p, ok := parsePacket(datagram)
	if !ok || l.closed || !l.negotiated || l.budget <= 0 {
		l.counters.refused++
		return
	}
	audio, event := codec(0), p.payload == l.agreed.receiveEvent
	if !event {
		if audio, ok = l.agreed.codecOf(p.payload); !ok {
			l.counters.refused++
			return
		}
	}
	if from.IsValid() { // what a twin hands in comes from nowhere
		admitted, moved := l.source.admit(l.core.now, from)
		if moved {
			l.moveTo(from)
		}
		if !admitted {
			l.counters.refused++
			return
		}
	}
	l.budget--
	if !event || !l.in.known || p.ssrc == l.in.ssrc {
		l.in.count(l.core.now, &p)
	}
	l.counters.received++
	l.counters.receivedBytes += uint64(p.end - p.start)
	l.complain = l.core.now + l.core.timeout
	if event {
		l.hearEvent(&p, datagram)
	} else if l.agreed.listen {
		l.hearAudio(&p, datagram, audio)
	}
}

// moveTo follows the party to the source that was learned.
func (l *leg) moveTo(from netip.AddrPort) {
	if l.rtcp.IsValid() && l.rtcp.Addr() != from.Addr() && from.Port() < 65535 {
		l.rtcp = netip.AddrPortFrom(from.Addr(), from.Port()+1)
	}
	l.wire.aim(from, l.rtcp)
}

func (l *leg) hearEvent(p *packet, datagram []byte) {
	key, is := l.ear.event(l.core.now, p, datagram[p.start:p.end])
	if is == partFirst {
		l.session.events.digit(key)
	}
	if l.peer == nil || is == partNone {
		return
	}
	if l.peer.agreed.event != noPayload {
		l.peer.forwardEvent(p, datagram, is)
	} else if is == partFirst {
		l.peer.toneOf(key)
	}
}

func (l *leg) hearAudio(p *packet, datagram []byte, audio codec) {
	if l.band != nil && (l.agreed.receiveEvent == noPayload || l.muffled()) {
		l.detect(datagram[p.start:p.end], audio)
	}
	if l.recording != nil {
		l.recording.add(l.core.now, said, datagram[p.start:p.end], audio)
	}
	if peer := l.peer; peer != nil {
		spoken, payload := peer.speaks(audio)
		translate(datagram[p.start:p.end], audio, spoken)
		peer.forward(p, datagram, payload, spoken)
	}
}

func (l *leg) detect(payload []byte, audio codec) {
	pcm := decode(l.core.pcm[:0], payload, audio)
	for _, key := range l.band.Detect(l.core.keys[:0], pcm) {
		l.session.events.digit(key)
	}
}

// listenForKeys switches the detector on or off: only while keys are wanted, and only for a party that does not send
// telephone-events, or a twin, at whose far end there may be one.
func (l *leg) listenForKeys() {
	switch need := l.wanted && l.negotiated && (l.agreed.receiveEvent == noPayload || l.isTwin()); {
	case !need:
		l.band = nil
	case l.band == nil:
		l.band = new(Detector)
	}
}

// inform is a key that came by signalling.
func (l *leg) inform(key byte) {
	if !l.closed && l.peer != nil {
		l.peer.sendKey(key)
	}
}

// sendKey sends one key to the party in the way that it understands.
func (l *leg) sendKey(key byte) {
	code, ok := eventOf(key)
	if !ok {
		return
	}
	if l.agreed.event == noPayload {
		l.toneOf(key)
		return
	}
	l.sender.add(code, defaultKey)
	l.schedule()
}

func (l *leg) toneOf(key byte) {
	if code, ok := eventOf(key); ok {
		l.overlay.clips = append(l.overlay.clips, l.core.engine.keyClips()[code])
		l.schedule()
	}
}

// codecOf returns the codec of a payload type that the party may send.
func (a *agreement) codecOf(payload uint8) (codec, bool) {
	for i := range a.receiveCount {
		if a.receive[i].payload == payload {
			return a.receive[i].codec, true
		}
	}
	return 0, false
}

// close ends the leg and gives its ports back. Of what it sent, a goodbye is the last.
func (l *leg) close() {
	if l.closed {
		return
	}
	l.unlink()
	l.leave()
	l.stopRecording()
	if l.counters.sent > 0 {
		l.reports.goodbye(l)
	}
	l.closed = true
	l.session.keepStats(l.stats())
	l.core.remove(l)
	l.wire.close()
	l.session.release()
}

func (l *leg) record(r *recording) {
	l.stopRecording()
	if l.closed {
		r.stop(l.core.now)
		return
	}
	r.start(l.core.now)
	l.recording = r
}

func (l *leg) stopRecording() {
	if l.recording != nil {
		l.recording.stop(l.core.now)
		l.recording = nil
	}
}

// everySecond does what needs no more precision: timeouts, reports, keeping a router's port open.
func (l *leg) everySecond() {
	l.budget = packetBudget
	if l.closed || !l.negotiated || l.isTwin() || l.agreed.away {
		// A twin has no router and no reports, and may be silent for ever; so may a party that talks to another phone.
		return
	}
	now := l.core.now
	if l.agreed.send && l.agreed.listen && now >= l.complain {
		l.complain = now + l.core.timeout
		l.session.events.silent()
	}
	if l.sendable() && !l.busy() && l.out.started && now-l.out.at > keepaliveAfter {
		samples := l.agreed.samples
		quiet := l.core.scratch[headerBytes : headerBytes+samples]
		for i := range quiet {
			quiet[i] = l.agreed.codec.silence()
		}
		l.say(quiet)
	}
	l.reports.everySecond(l)
}
