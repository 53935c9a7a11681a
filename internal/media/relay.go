package media

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
// place, right before its payload, which whoever it is sent to may rewrite too.
func (l *leg) forward(p *packet, datagram []byte, payload uint8, spoken codec) {
	if !l.open() || p.end-p.start == 0 {
		l.relay.synced = false
		return
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
	if l.recording != nil {
		l.recording.add(l.core.now, heard, datagram[p.start:p.end], spoken)
	}
	l.emit(out)
}

// link lets two legs of one loop hear each other.
func (l *leg) link(other *leg) {
	if l.closed || other.closed {
		return
	}
	l.peer, other.peer = other, l
	l.relay, other.relay = relay{}, relay{} // a key that is held already is none of the other's
}

// unlink ends link for both.
func (l *leg) unlink() {
	if l.peer != nil {
		l.peer.peer, l.peer = nil, nil
	}
}

// meet lets two ends of a loopback pair, which are on one loop now, hand each other packets.
func (l *leg) meet(far *leg) {
	if !l.closed && !far.closed {
		l.far, far.far = far, l
	}
}

// leave ends meet for both.
func (l *leg) leave() {
	if l.far != nil {
		l.far.far, l.far = nil, nil
	}
}
