package call

import "cmp"

// Transferred is a transfer that the flow has to carry out: what was asked for, by whom, and who is left on the line,
// who is the call's caller from now on.
type Transferred struct {
	Target   string      // user part or SIP URI of the Refer-To
	To       Destination // what the API asked for; the zero value for what Target says
	DeviceID string      // device that asked, or the caller's own when he was alone
	UserID   string      // its owner
	Caller   Party       // who is left
	Alone    bool        // the caller talked to nobody
}

// referral is a transfer under way, as the party that asked for it follows it (RFC 3515).
type referral struct {
	by       *party // nil when it has hung up
	progress func(status int)
	rang     bool
}

// transfer takes a party out of its bridge and leaves the other one to the flow. Only a device of the account may do so:
// somebody outside would call at the account's cost.
func (c *Call) transfer(p *party, e Transfer) {
	other := c.peer
	device, user := c.deviceOf(p)
	if p == c.peer {
		other = c.caller
	}
	c.note("transfer", c.nameOf(p)+" to "+cmp.Or(e.Target, e.To.String()))
	switch {
	case device == "":
		e.Progress(403)
		return
	case c.peer == nil || (p != c.peer && p != c.caller) || c.referral != nil || c.moved.Load() != nil || p.lent || other.lent:
		e.Progress(603)
		return
	}
	e.Progress(100)
	if e.Attended != nil {
		c.attended(p, other, e)
		return
	}
	c.withdraw()
	left := c.partyName(other)
	p.leg.Part()
	c.stopMusic(p)
	c.stopMusic(other)
	c.forget(c.peer)
	c.caller, c.detecting = other, false
	c.referral = &referral{by: p, progress: e.Progress}
	c.failed = failure{}
	c.moved.Store(&Transferred{Target: e.Target, To: e.To, DeviceID: device, UserID: user, Caller: left})
	c.changed()
	if d, ok := c.op.(interface{ parted(*Call) }); ok {
		d.parted(c)
	}
	c.complete(nil)
}

// partyName is who a party is to those that are rung for it.
func (c *Call) partyName(p *party) Party {
	if p.target != nil {
		return p.target.Callee
	}
	return c.about.Caller
}

// Moved reports whether a party has asked for a transfer that nobody has taken yet: the flow under way is over then.
func (c *Call) Moved() bool { return c.moved.Load() != nil }

// TakeTransfer returns the transfer that a party has asked for, once; nil when there is none.
func (c *Call) TakeTransfer() *Transferred { return c.moved.Swap(nil) }

// reportReferral tells the party that asked for the transfer under way of a provisional status.
func (c *Call) reportReferral(status int) {
	if r := c.referral; r != nil && r.by != nil && !r.rang {
		r.rang = true
		r.progress(status)
	}
}

// settleReferral ends a transfer that has reached somebody.
func (c *Call) settleReferral(status int) {
	r := c.referral
	if r == nil {
		return
	}
	c.referral = nil
	if r.by != nil {
		r.progress(status)
		c.tell(r.by, LegDestroyed, NormalClearing)
		r.by.leg.Hangup(NormalClearing)
	}
}

// endReferral ends a transfer with the call.
func (c *Call) endReferral(status int) { c.settleReferral(status) }

// failReferral ends a transfer that has reached nobody and returns the party that asked for it, nil when it is gone.
func (c *Call) failReferral(status int) *party {
	r := c.referral
	if r == nil {
		return nil
	}
	c.referral = nil
	if r.by != nil {
		r.progress(status)
	}
	return r.by
}
