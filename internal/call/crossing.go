package call

// SetBypass says whether the phones of this call's bridges may exchange their audio themselves. Of a bridge that crosses a
// Loopback both calls have to allow it.
func (c *Call) SetBypass(policy BypassMedia) { c.do(func() { c.bypass = policy }) }

// tendBypass lets the phones of a bridge exchange their audio themselves when nothing of this call is in the way. What gets in
// the way later ends it by itself: see Bypass.
func (c *Call) tendBypass() {
	if c.bypass == BypassNever {
		return
	}
	if c.ended || c.peer == nil || c.referral != nil || c.detecting || c.bypasses >= maxBypasses || !talks(c.caller) || !talks(c.peer) {
		c.withdraw()
		return
	}
	again := func(refused bool) {
		c.do(func() {
			c.bypasses++
			if refused {
				c.bypasses = maxBypasses
			}
			c.tendBypass()
		})
	}
	near, far := c.caller.leg, c.peer.leg
	if _, through := near.(*LoopbackLeg); !through {
		near, far = far, near
	}
	other, is := far.(DirectLeg)
	if !is {
		return
	}
	begun := true
	switch near := near.(type) {
	case *LoopbackLeg:
		begun = near.cross(&crossing{call: c, leg: other, policy: c.bypass, again: again})
	case DirectLeg:
		begun = newBypass(c.settings, c.bypass, [2]DirectLeg{near, other}, nil, c.Note, again) != nil
	}
	if !begun { // a party comes from another one, which is not over yet
		c.after(bypassSettle, func() { again(false) })
	}
}

// talks tells whether a party does nothing but talk.
func talks(p *party) bool { return p.answered && !p.held && !p.lent && p.music == 0 }

// withdraw is that a bridge is about to change: what lies beyond a loopback pair is not known here.
func (c *Call) withdraw() {
	for _, p := range [2]*party{c.caller, c.peer} {
		if p == nil {
			continue
		}
		if l, through := p.leg.(*LoopbackLeg); through {
			l.cross(nil)
		}
	}
}

// crossing is that the call of one end of a Loopback lets audio pass between that end and a leg, and does nothing else with it.
type crossing struct {
	call   *Call
	leg    DirectLeg
	policy BypassMedia
	again  func(refused bool)
}

// cross takes the crossing of an end, nil for none any more. With those of both ends the legs beyond them hear each other; it
// is false when either still has another Bypass.
func (l *LoopbackLeg) cross(x *crossing) bool {
	p := l.pair
	p.mu.Lock()
	defer p.mu.Unlock()
	y := l.far.crossing
	switch {
	case x == nil && l.crossing != nil:
		l.crossing = nil
		p.bypass.Release(func() {})
		return true
	case x == nil, l.over, p.bypass != nil:
		return true
	}
	l.crossing = x
	if y == nil || l.far.over {
		return true
	}
	var mine *Bypass
	ends := [2]DirectLeg{p.First.crossing.leg, p.Second.crossing.leg}
	mine = newBypass(x.call.settings, min(x.policy, y.policy), ends, p.engaged,
		func(name, detail string) {
			x.call.Note(name, detail)
			y.call.Note(name, detail)
		},
		func(refused bool) {
			p.mu.Lock()
			if p.bypass == mine {
				p.bypass, l.crossing, l.far.crossing = nil, nil, nil
			}
			p.mu.Unlock()
			x.again(refused)
			y.again(refused)
		})
	p.bypass = mine
	return mine != nil
}

// need runs f once bugle carries the audio. The pair's lock is held.
func (l *LoopbackLeg) need(f func()) {
	l.crossing = nil
	l.pair.bypass.Need(f)
}

// engaged tells whether something is played or recorded at the ends.
func (p *Loopback) engaged() bool { return p.First.audio.Engaged() || p.Second.audio.Engaged() }
