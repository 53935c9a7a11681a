package media

// outbound is the one stream that a party gets from us, whatever it is made of: the SSRC stays, sequence numbers and
// timestamps go on from a prompt to the other party's voice and back (RFC 3550 §5.1).
type outbound struct {
	ssrc      uint32
	sequence  uint16 // of the last packet
	timestamp uint32 // of the last packet, or of the event that was sent last
	at        instant
	started   bool
}

// next returns the timestamp of audio that begins now, after at least one packet's length.
func (o *outbound) next(now instant, samples int) (uint32, instant) {
	elapsed := int64(samples)
	if o.started {
		elapsed = max(elapsed, (now - o.at).samples())
	}
	o.started = true
	return o.timestamp + uint32(elapsed), now
}

// clock returns the timestamp that belongs to now.
func (o *outbound) clock(now instant) uint32 { return o.timestamp + uint32((now - o.at).samples()) }

// relay keeps what turns the other party's numbers into this party's: constants, so that loss and disorder on the way
// stay visible to the receiver.
type relay struct {
	synced    bool
	ssrc      uint32
	last      uint16 // the other party's last sequence number
	sequence  uint16 // what is added
	timestamp uint32

	event      bool   // a key of the other party's is being passed on
	eventSSRC  uint32 // its stream, which need not be the audio's
	eventShift uint32 // what is added to its timestamps
}

// open tells whether the party hears the other party now.
func (l *leg) open() bool {
	return l.sendable() && !l.player.playing() && !l.overlay.playing() && !l.sender.busy()
}

// forwardEvent sends the other party's telephone-event to this party. All packets of a press leave with one timestamp,
// whatever audio of another SSRC comes in between; a press of which the beginning was not passed on is not passed on.
func (l *leg) forwardEvent(p *packet, datagram []byte, is part) {
	r := &l.relay
	same := r.synced && p.ssrc == r.ssrc
	switch {
	case !l.open():
		r.synced, r.event = false, false
		return
	case is == partFirst:
		r.event, r.eventSSRC, r.eventShift = true, p.ssrc, r.timestamp
		if !same {
			timestamp, _ := l.out.next(l.core.now, l.agreed.samples)
			r.eventShift = timestamp - p.timestamp
		}
	case !r.event || p.ssrc != r.eventSSRC:
		return
	}
	sequence := p.sequence + r.sequence
	if same {
		r.last = p.sequence
	} else { // one more packet than the audio has: what follows of it moves up
		sequence = l.out.sequence + 1
		r.sequence++
	}
	if int16(sequence-l.out.sequence) > 0 {
		l.out.sequence = sequence
	}
	timestamp := p.timestamp + r.eventShift
	if int32(timestamp-l.out.timestamp) > 0 {
		l.out.timestamp, l.out.at = timestamp, l.core.now
	}
	out := datagram[p.start-headerBytes : p.end]
	writeHeader(out, l.agreed.event, is == partFirst, sequence, timestamp, l.out.ssrc)
	l.emit(out)
}

// forward sends the other party's packet to this party under its own payload type. The datagram's header is rewritten in
// place, right before its payload.
func (l *leg) forward(p *packet, datagram []byte, payload uint8) bool {
	if !l.open() || p.end-p.start == 0 {
		l.relay.synced = false
		return false
	}
	r := &l.relay
	marker := p.marker
	if !r.synced || p.ssrc != r.ssrc || p.sequence-r.last+1000 > 2000 {
		timestamp, _ := l.out.next(l.core.now, l.agreed.samples)
		r.synced, r.ssrc = true, p.ssrc
		r.sequence, r.timestamp = l.out.sequence+1-p.sequence, timestamp-p.timestamp
		marker = true
		l.out.sequence = p.sequence + r.sequence - 1
		l.out.timestamp = timestamp - 1
	}
	r.last = p.sequence
	sequence, timestamp := p.sequence+r.sequence, p.timestamp+r.timestamp
	if int16(sequence-l.out.sequence) > 0 {
		l.out.sequence = sequence
	}
	if int32(timestamp-l.out.timestamp) > 0 {
		l.out.timestamp, l.out.at = timestamp, l.core.now
	}
	out := datagram[p.start-headerBytes : p.end]
	writeHeader(out, payload, marker, sequence, timestamp, l.out.ssrc)
	l.emit(out)
	return true
}

// player plays clips from their shared memory.
type player struct {
	clips  []*Clip
	loop   bool
	tells  bool // an end is an event
	token  int
	clip   int // the current one
	offset int // samples of it that were played
}

func (p *player) playing() bool { return len(p.clips) > 0 }

// frame returns the next packet's payload: a piece of a clip as it lies in memory, or, across an end, a copy in room.
// It returns nil when everything has been played.
func (p *player) frame(c codec, room []byte) []byte {
	if p.clip < len(p.clips) {
		bytes := p.clips[p.clip].encoded(c)
		if end := p.offset + len(room); end < len(bytes) {
			piece := bytes[p.offset:end]
			p.offset = end
			return piece
		}
	}
	filled := 0
	for filled < len(room) && p.clip < len(p.clips) {
		bytes := p.clips[p.clip].encoded(c)[p.offset:]
		n := copy(room[filled:], bytes)
		filled += n
		p.offset += n
		if n == len(bytes) {
			p.clip, p.offset = p.clip+1, 0
			if p.clip == len(p.clips) && p.loop {
				p.clip = 0
			}
		}
	}
	if filled == 0 {
		return nil
	}
	silence := c.silence()
	for i := filled; i < len(room); i++ {
		room[i] = silence
	}
	return room
}

// play starts what Session.Play asks for.
func (l *leg) play(token int, clips []*Clip, loop bool) {
	if l.closed {
		return
	}
	total := 0
	for _, clip := range clips {
		total += len(clip.ulaw)
	}
	l.player = player{}
	if total == 0 { // nothing to hear, and nothing to repeat
		l.session.events.played(token)
		return
	}
	l.player = player{clips: clips, loop: loop, tells: true, token: token}
	l.schedule()
}

// busy tells whether the leg needs ticks.
func (l *leg) busy() bool { return l.player.playing() || l.overlay.playing() || l.sender.busy() }

// schedule puts the leg on the wheel, its first tick at once.
func (l *leg) schedule() {
	if !l.scheduled && !l.closed {
		l.due = l.core.now
		l.core.wheel.add(l)
	}
}

// tick does what is due once in a packet's time.
func (l *leg) tick() {
	if l.agreed.samples == 0 { // before an offer/answer time passes too
		l.agreed.samples = defaultPtime * SampleRate / 1000
	}
	switch {
	case l.sender.busy():
		l.sender.tick(l)
	case l.overlay.playing():
		if !l.playFrame(&l.overlay) {
			l.overlay = player{}
			l.playFrame(&l.player)
		}
	case l.player.playing():
		if !l.playFrame(&l.player) {
			ended := l.player
			l.player = player{}
			if ended.tells {
				l.session.events.played(ended.token)
			}
		}
	}
	if !l.busy() || l.closed {
		return
	}
	length := instant(l.agreed.samples) * second / SampleRate
	if l.due += length; l.due < l.core.now-5*length { // the loop was kept from running
		l.due = l.core.now + length
	}
	l.core.wheel.add(l)
}

// playFrame sends the next packet of a player; false when it has ended.
func (l *leg) playFrame(p *player) bool {
	samples := l.agreed.samples
	scratch := l.core.scratch[:headerBytes+samples]
	payload := p.frame(l.agreed.codec, scratch[headerBytes:])
	if payload == nil {
		return false
	}
	if l.sendable() {
		l.say(payload)
	}
	return true
}

// say sends one packet of our own audio.
func (l *leg) say(payload []byte) {
	length := instant(len(payload)) * second / SampleRate
	gap := !l.out.started || l.core.now-l.out.at > 3*length
	l.relay.synced = false
	if gap {
		l.out.timestamp, l.out.at = l.out.next(l.core.now, len(payload))
	} else {
		l.out.timestamp += uint32(len(payload))
		l.out.at += length
	}
	l.out.sequence++
	scratch := l.core.scratch[:headerBytes+len(payload)]
	copy(scratch[headerBytes:], payload)
	writeHeader(scratch, l.agreed.payload, gap, l.out.sequence, l.out.timestamp, l.out.ssrc)
	l.emit(scratch)
	if l.recording != nil {
		l.recording.add(l.core.now, heard, payload, l.agreed.codec)
	}
}

// everySecond does what needs no more precision: timeouts, reports, keeping a router's port open.
func (l *leg) everySecond() {
	l.budget = packetBudget
	if l.closed || !l.negotiated {
		return
	}
	now := l.core.now
	if l.agreed.send && now >= l.complain {
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
