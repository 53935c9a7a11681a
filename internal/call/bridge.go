package call

import "context"

// won makes the party that answered first the caller's: the others are released, the caller is answered, and both hear
// each other.
func (o *dialling) won(c *Call, p *party) {
	c.note("answered by", c.nameOf(p))
	o.winner = p
	o.result = DialResult{Answered: true, Target: p.target}
	o.lose(c, LoseRace)
	if !c.caller.answered {
		if leg, ok := c.caller.leg.(PartyAnswerer); ok {
			leg.AnswerParty()
		} else {
			c.caller.leg.Answer()
		}
		return
	}
	o.bridge(c)
}

func (o *dialling) bridge(c *Call) {
	p := o.winner
	if o.early != p {
		c.caller.leg.Join(p.leg)
	}
	c.peer, c.typed, c.bypasses = p, nil, 0
	c.talked = c.legInfo(p)
	c.bridged = c.clock.Now()
	o.bridgedAt = c.bridged
	c.note("bridged", c.nameOf(p))
	c.leaveSlot(LegRetrieved)
	c.tell(c.caller, LegBridged, "")
	c.tell(p, LegBridged, "")
	c.tendHold()
	c.changed()
	c.settleReferral(200)
	c.tendBypass()
}

// bridgeEvent is onEvent once somebody has answered.
func (o *dialling) bridgeEvent(c *Call, p *party, e Event) {
	switch e := e.(type) {
	case Answered:
		if p == c.caller && c.peer == nil {
			o.bridge(c)
		}
	case Ended:
		if p != o.winner {
			return
		}
		c.note("hung up", c.nameOf(p))
		c.remote = e.Remote
		if !c.caller.lent {
			c.caller.leg.Part()
		}
		o.parted(c)
		c.complete(nil)
	}
}

func (o *dialling) parted(c *Call) {
	if !o.bridgedAt.IsZero() {
		o.result.Talk = c.clock.Now().Sub(o.bridgedAt)
	}
}

// Return joins the caller again with the party that wanted to transfer him, after a transfer that failed, and waits until
// that bridge ends. ok is false when that party is not there any more.
func (c *Call) Return(ctx context.Context, cause Cause) (ok bool, err error) {
	op := &returning{cause: cause}
	err = c.ask(ctx, op)
	return op.ok, err
}

type returning struct {
	dialling
	cause Cause
	ok    bool
}

func (o *returning) begin(c *Call) {
	if o.cause == "" {
		o.cause, _ = c.unanswered()
	}
	by := c.failReferral(o.cause.Status())
	if by == nil {
		c.complete(nil)
		return
	}
	o.ok, o.winner = true, by
	c.legs = append(c.legs, by)
	o.bridge(c)
}

func (o *returning) onEvent(c *Call, p *party, e Event) { o.bridgeEvent(c, p, e) }
