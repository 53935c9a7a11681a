package media

import "slices"

// Join lets this party and other hear each other until Part or Close of either. Both belong to one engine. A session
// that is joined already is parted first.
func (s *Session) Join(other *Session) {
	if other == nil || other == s || other.engine != s.engine {
		return
	}
	s.pair(other)
}

// Part ends Join for both.
func (s *Session) Part() { s.pair(nil) }

// pair notes whom the owner wants joined, and lets the loops of everybody concerned act on it. The note is what counts:
// loops compare it with what is so, in whatever order they come to it.
func (s *Session) pair(other *Session) {
	var room [8]*Session
	concerned := room[:0]
	s.engine.mu.Lock()
	for _, one := range []*Session{s, other} {
		if one == nil {
			continue
		}
		concerned = append(concerned, one)
		if old := one.partner; old != nil {
			old.partner, one.partner = nil, nil
			concerned = append(concerned, old)
		}
	}
	if other != nil {
		s.partner, other.partner = other, s
	}
	alone := other == nil && len(concerned) == 1
	for _, one := range concerned[:len(concerned):len(concerned)] {
		if one.looped || one.partner != nil && one.partner.looped { // those beyond a loopback pair may have to move too
			concerned = one.chain(concerned)
		}
	}
	s.engine.mu.Unlock()
	if alone {
		return
	}
	for i, one := range concerned {
		if !slices.Contains(concerned[:i], one) {
			one.post(func(l *leg) { l.core.reconcile(l) })
		}
	}
}

// reconcile makes true what the owner wants of a leg's being joined. Legs that are joined, or are ends of a loopback pair,
// share a loop, so that a packet is relayed without a lock; the younger ones move to the oldest one's.
func (c *core) reconcile(l *leg) {
	s := l.session
	var room [8]*Session
	var others []*Session
	s.engine.mu.Lock()
	want, twin, eldest := s.partner, s.twin, s.eldest()
	if eldest == s {
		others = s.chain(room[:0])[1:]
	}
	s.engine.mu.Unlock()
	if l.peer != nil && (want == nil || l.peer != &want.leg) {
		l.unlink()
	}
	if l.closed {
		return
	}
	if home := int(eldest.home.Load()); home != c.number {
		c.move(l, home)
		return
	}
	for _, one := range others { // one may have come to the loop that this leg was about to leave
		if int(one.home.Load()) != c.number {
			one.post(func(l *leg) { l.core.reconcile(l) })
		}
	}
	if want != nil && l.peer == nil && c.has(want) {
		want.leg.unlink()
		l.link(&want.leg)
	}
	if twin != nil && l.far == nil && c.has(twin) {
		l.meet(&twin.leg)
	}
}

// has tells whether a session's leg is on this loop. One that is on its way here will link when it arrives.
func (c *core) has(s *Session) bool { return int(s.home.Load()) == c.number && s.leg.core == c }

// move hands a leg over to another loop. Packets wait in its sockets meanwhile.
func (c *core) move(l *leg, home int) {
	e, s := c.engine, l.session
	l.unlink()
	l.leave()
	e.loops[c.number].detach(l)
	c.remove(l)
	e.load[c.number].Add(-1)
	e.load[home].Add(1)
	s.home.Store(int32(home)) // from here on the leg is the other loop's
	if !e.loops[home].attend(s) {
		// The engine is being closed, and that loop was first.
		s.home.Store(int32(c.number))
		e.load[home].Add(-1)
		e.load[c.number].Add(1)
		c.add(l)
		l.close()
	}
}

// run takes over a session that comes from elsewhere, and runs its commands for as long as it stays.
func (c *core) run(s *Session, attach func(*leg)) {
	if l := &s.leg; l.core != c && !l.closed {
		c.add(l)
		attach(l)
		c.reconcile(l)
	}
	for int(s.home.Load()) == c.number {
		do, ok := s.next()
		if !ok {
			return
		}
		c.command(&s.leg, do)
	}
}
