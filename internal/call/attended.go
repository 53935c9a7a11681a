package call

import (
	"slices"
	"strconv"
)

// A party may be moved from one call to another: the end of an attended transfer (RFC 5589 §7), which here is a REFER whose
// Refer-To names, with Replaces (RFC 3891), a leg of another call that this server carries. The two calls have loops of
// their own, so one lends the party, the other one takes it over or says why not, and until then it stays where it is.
// Nobody waits: a lent party that hangs up, or is hung up on, is told to whoever has it in the end.

// replacing asks a call to let a party take the place of one of its legs.
type replacing struct {
	old, by Leg
	as      Target
	talks   bool // by is a party that was answered; an INVITE with Replaces is to be answered first
	done    func(status int)
}

// handover is what came of replacing, told to the call that had lent the party.
type handover struct {
	other, by *party // who was lent, and who asked for it
	progress  func(status int)
	status    int
	call      string // the other call's ID
	from      *Call  // which had lent it
}

func (replacing) event() {}
func (handover) event()  {}

// dropped is told of an item that a call which is over will not handle any more.
func (r replacing) dropped() { r.done(481) }

func (h handover) dropped() {
	h.progress(h.status)
	if h.status >= 300 {
		h.other.lent = false
		h.from.tell(h.other, LegDestroyed, NormalClearing)
		h.other.leg.Hangup(NormalClearing) // nobody else has it
	}
}

// Replace lets a party take the place of a leg of this call, which is hung up: an INVITE with Replaces. by is an unanswered
// inbound leg without a sink; it is answered, and as says who it is. done is told once, on whatever goroutine: 200, 481 when
// old is no leg of the call that may be replaced, or another status of 300 or above, and the call has not touched by then.
func (c *Call) Replace(old, by Leg, as Target, done func(status int)) {
	c.post(item{event: replacing{old: old, by: by, as: as, done: done}})
}

// attended asks the call that Replaces names to take other over from this one, in place of the leg that by has there.
func (c *Call) attended(by, other *party, e Transfer) {
	call, ok := e.Attended.Call.(*Call)
	switch {
	case !ok || e.Attended.Leg == nil:
		c.note("not transferred", "no such call")
		e.Progress(481)
		return
	case call == c:
		c.note("not transferred", "to its own call")
		e.Progress(603)
		return
	}
	c.withdraw()
	other.lent = true
	call.post(item{event: replacing{old: e.Attended.Leg, by: other.leg, as: c.targetOf(other), talks: true,
		done: func(status int) {
			c.post(item{event: handover{other: other, by: by, progress: e.Progress, status: status, call: call.about.ID, from: c}})
		}}})
}

// targetOf says who a party is, for another call.
func (c *Call) targetOf(p *party) Target {
	if p.target != nil {
		return *p.target
	}
	return Target{AccountID: c.about.AccountID, DeviceID: c.about.DeviceID, UserID: c.about.UserID, Name: c.nameOf(p),
		Realm: c.about.Realm, Callee: c.about.Caller}
}

// handedOver ends this call when the other one has taken the party over, and lets it go on when it has not.
func (c *Call) handedOver(h handover) {
	h.other.lent, h.other.music = false, 0
	if h.status >= 300 {
		h.progress(h.status)
		if c.ended {
			c.tell(h.other, LegDestroyed, NormalClearing)
			h.other.leg.Hangup(NormalClearing)
			return
		}
		c.note("not transferred", "the other call says "+strconv.Itoa(h.status))
		h.other.leg.StopPlay() // a hold may have ended meanwhile
		c.tendHold()
		return
	}
	h.progress(200)
	if c.ended {
		return
	}
	c.note("transferred", c.nameOf(h.other)+" to the call "+h.call)
	if h.other == c.caller {
		c.gone = true
	} else {
		c.forget(h.other)
	}
	c.remote = true
	c.end(NormalClearing, NoFault)
}

// replace lets a party take the place of a leg of this call.
func (c *Call) replace(r replacing) {
	p := c.partyOf(r.old)
	if status := c.replaceable(p, r.talks); status != 0 {
		r.done(status)
		return
	}
	q := &party{leg: r.by, target: &r.as, started: c.clock.Now(), answered: r.talks, inbound: !r.talks, created: r.talks}
	c.note("replaced", c.nameOf(p)+" by "+c.nameOf(q))
	if q.answered {
		q.answeredAt = q.started // by the other call
	}
	q.leg.Attach(c)
	q.leg.StopPlay()
	c.tell(q, LegCreated, "") // unless it was told by the call that it comes from
	if !p.answered && p != c.caller {
		c.pickUp(p, q)
	} else {
		c.succeed(p, q)
	}
	if !r.talks {
		q.leg.Answer()
	}
	c.changed()
	r.done(200)
}

// replaceable says with which status a party cannot be replaced, 0 when it can.
func (c *Call) replaceable(p *party, talks bool) int {
	ringing, _ := c.op.(*dialling)
	_, parked := c.op.(*parking)
	switch {
	case p == nil:
		return 481
	case c.caller.lent, c.peer != nil && c.peer.lent, c.referral != nil, c.moved.Load() != nil:
		return 491
	case p == c.peer, p == c.caller && c.peer != nil:
		return 0
	case parked && p == c.caller && p.answered:
		return 0 // an attended transfer to the slot
	case ringing == nil || ringing.winner != nil:
		return 603 // it talks to nobody but this server
	case p == c.caller && !p.answered && !talks:
		return 481 // RFC 3891 §3: an early dialog that the other side has begun
	}
	return 0
}

// succeed gives q the place of p, who is hung up on.
func (c *Call) succeed(p, q *party) {
	c.withdraw()
	p.leg.Part()
	c.bypasses = 0
	if p == c.caller {
		c.caller, c.typed, c.detecting = q, nil, false
		if q.answered && c.answered.IsZero() {
			c.answered = c.clock.Now()
		}
	} else {
		c.legs[slices.Index(c.legs, p)], c.peer = q, q
	}
	if d, ok := c.op.(interface{ succeeded(c *Call, p, q *party) }); ok {
		d.succeeded(c, p, q)
	}
	if c.peer != nil {
		c.talked = c.legInfo(c.peer)
		c.caller.leg.Join(c.peer.leg)
		c.tendHold()
		c.tell(c.caller, LegBridged, "")
		c.tell(c.peer, LegBridged, "")
	}
	c.tell(p, LegDestroyed, ending(p, NormalClearing))
	p.leg.Hangup(ending(p, NormalClearing))
}

// pickUp lets q answer for p, whose phone rings.
func (c *Call) pickUp(p, q *party) {
	o := c.op.(*dialling)
	c.legs = append(c.legs, q)
	r := o.ringOf(p)
	r.parties = append(r.parties, q)
	if q.answered {
		o.won(c, q)
	}
}

// succeeded is told that a party has taken another one's place.
func (o *dialling) succeeded(c *Call, p, q *party) {
	switch {
	case o.winner == p:
		o.winner = q
	case o.winner == nil && o.early != nil:
		q.leg.Join(o.early.leg)
	case o.winner == nil && o.audible:
		o.audible, o.tone = false, 0
		o.alert(c, nil, false)
	}
}
