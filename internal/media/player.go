package media

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
	if l.recording != nil { // first: whoever it is sent to may rewrite it
		l.recording.add(l.out.at, heard, payload, l.agreed.codec)
	}
	l.emit(scratch)
}
