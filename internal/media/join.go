package media

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
	concerned := make([]*Session, 0, 4)
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
	s.engine.mu.Unlock()
	if other == nil && len(concerned) == 1 {
		return
	}
	for _, one := range concerned {
		one.post(func(l *leg) { l.core.reconcile(l) })
	}
}

// reconcile makes true what the owner wants of a leg's being joined. Joined legs share a loop, so that a packet is
// relayed without a lock; the younger one moves to the older one's.
func (c *core) reconcile(l *leg) {
	s := l.session
	s.engine.mu.Lock()
	want := s.partner
	s.engine.mu.Unlock()
	if l.peer != nil && (want == nil || l.peer != &want.leg) {
		l.unlink()
	}
	if want == nil || l.peer != nil || l.closed {
		return
	}
	switch home := int(want.home.Load()); {
	case home != c.number:
		if s.id > want.id {
			c.move(l, home)
		}
	case want.leg.core == c: // otherwise it is on its way here and will link when it arrives
		want.leg.unlink()
		l.link(&want.leg)
	}
}

// move hands a leg over to another loop. Packets wait in its sockets meanwhile.
func (c *core) move(l *leg, home int) {
	e, s := c.engine, l.session
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
