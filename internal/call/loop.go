package call

// legEvent takes note of what happened on a leg and tells the current operation.
func (c *Call) legEvent(leg Leg, e Event) {
	p := c.partyOf(leg)
	if p == nil {
		return
	}
	switch e := e.(type) {
	case Answered:
		if p.answered {
			return
		}
		p.answered = true
		c.tell(p, LegAnswered, "")
		if p == c.caller && c.answered.IsZero() {
			c.answered = c.clock.Now()
			c.note("answered", "")
		}
		c.tendHold()
		c.changed()
	case Ended:
		c.legEnded(p, e)
		return
	case Digit:
		if p == c.caller && c.peer == nil && len(c.typed) < maxTypeAhead {
			c.typed = append(c.typed, e.Key)
		}
	case Held:
		if p.held != e.On {
			p.held = e.On
			c.tell(p, map[bool]Moment{true: LegHeld, false: LegResumed}[e.On], "")
		}
		c.note(map[bool]string{true: "held", false: "resumed"}[e.On], c.nameOf(p))
		c.tendHold()
		c.changed()
	case Transfer:
		c.transfer(p, e)
		return
	}
	if c.op != nil {
		c.op.onEvent(c, p, e)
	}
}

func (c *Call) legEnded(p *party, e Ended) {
	if p == c.caller {
		c.leaveSlot(LegAbandoned)
	}
	c.tell(p, LegDestroyed, e.Cause)
	switch {
	case c.referral != nil && c.referral.by == p:
		c.referral.by = nil
		if _, parked := c.op.(*parking); parked {
			c.settleReferral(200)
		}
		return
	case p == c.caller:
		fault := NoFault
		if !p.answered {
			fault = CallerFault
		}
		switch e.Cause {
		case TemporaryFailure:
			fault = OurFault
		case NoAnswer: // of those whom a call that bugle starts has rung
			fault = PeerFault
		}
		c.note("hung up", c.nameOf(p))
		c.gone, c.remote = true, e.Remote
		c.end(e.Cause, fault)
		return
	}
	c.forget(p)
	if c.op != nil {
		c.op.onEvent(c, p, e)
	}
}

func (c *Call) partyOf(leg Leg) *party {
	if c.ended {
		return nil
	}
	if c.caller.leg == leg {
		return c.caller
	}
	for _, p := range c.legs {
		if p.leg == leg {
			return p
		}
	}
	if c.referral != nil && c.referral.by != nil && c.referral.by.leg == leg {
		return c.referral.by
	}
	return nil
}

// nameOf is how trail and log call a party.
func (c *Call) nameOf(p *party) string {
	switch {
	case p.target == nil:
		if c.about.Caller.Number != "" {
			return c.about.Caller.Number
		}
		return "caller"
	case p.target.Name != "":
		return p.target.Name
	}
	return p.target.URI
}

// hear makes sure that an unanswered caller hears what is played.
func (c *Call) hear() {
	if p := c.caller; !p.answered && !p.progressed {
		p.progressed = true
		p.leg.Progress()
	}
}

// detect says whether keys of the caller are wanted.
func (c *Call) detect(on bool) {
	if c.detecting != on {
		c.detecting = on
		c.caller.leg.DetectDigits(on)
	}
}

// Info is what the call looks like now.
func (c *Call) Info() Info { return *c.info.Load() }

// ID names the call in logs.
func (c *Call) ID() string { return c.about.ID }

// changed marks that Info is not true any more.
func (c *Call) changed() { c.dirty = true }

func (c *Call) publish() {
	c.dirty = false
	if c.settings.Registry != nil || c.info.Load() == nil {
		c.info.Store(c.picture())
	}
}

func (c *Call) picture() *Info {
	info := &Info{About: c.about, Number: c.number, Flow: c.flow, Started: c.started, Answered: c.answered,
		Bridged: c.bridged}
	info.Legs = make([]LegInfo, 0, 1+len(c.legs))
	info.Legs = append(info.Legs, c.legInfo(c.caller))
	for _, p := range c.legs {
		info.Legs = append(info.Legs, c.legInfo(p))
	}
	return info
}

func (c *Call) legInfo(p *party) LegInfo {
	l := LegInfo{ID: p.leg.ID(), Answered: p.answered, Held: p.held, Started: p.started}
	switch {
	case p == c.caller && c.peer != nil:
		l.Other = c.peer.leg.ID()
	case p == c.peer:
		l.Other = c.caller.leg.ID()
	}
	if t := p.target; t != nil {
		l.DeviceID, l.UserID, l.Name, l.Number = t.DeviceID, t.UserID, t.Callee.Name, t.Callee.Number
		l.Inbound = p.inbound
		return l
	}
	l.Inbound, l.DeviceID, l.UserID = true, c.about.DeviceID, c.about.UserID
	l.Name, l.Number = c.about.Caller.Name, c.about.Caller.Number
	return l
}
