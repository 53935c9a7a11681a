package call

import "context"

// retrieval asks a call in a slot to let a party talk to its caller.
type retrieval struct {
	by   Leg
	as   Target
	done func(status int)
}

func (retrieval) event() {}

// dropped is told of an item that a call which is over will not handle any more.
func (r retrieval) dropped() { r.done(481) }

// Occupied tells whether somebody waits in a slot of the account.
func (c *Call) Occupied(number string) bool {
	other := c.settings.Registry.inSlot(c.about.AccountID, number)
	return other != nil && other != c
}

// Retrieve connects the caller, who is answered, with the one who waits in a slot of the account: he goes over to that call,
// and this one is over (ErrEnded). It returns nil when nobody waits there, or he has hung up or was retrieved meanwhile.
func (c *Call) Retrieve(ctx context.Context, number string) error {
	return c.ask(ctx, &retrieving{number: number})
}

type retrieving struct {
	outcome
	number string
}

func (o *retrieving) begin(c *Call) {
	other := c.settings.Registry.inSlot(c.about.AccountID, o.number)
	if other == nil || other == c || !c.caller.answered {
		c.complete(nil)
		return
	}
	c.settleReferral(200)
	p := c.caller
	p.lent = true
	failed := func(status int) {
		if status >= 300 && c.op == o {
			c.complete(nil)
		}
	}
	other.post(item{event: retrieval{by: p.leg, as: c.targetOf(p), done: func(status int) {
		c.post(item{event: handover{other: p, by: p, progress: failed, status: status, call: other.about.ID, from: c}})
	}}})
}

// retrieve lets a party talk to the caller in a slot, who waits there, or for whom the one who has parked him is rung.
func (c *Call) retrieve(r retrieval) {
	take := c.taker()
	if take == nil {
		r.done(481)
		return
	}
	q := &party{leg: r.by, target: &r.as, started: c.clock.Now(), answered: true, created: true}
	q.answeredAt = q.started // by the other call
	c.note("retrieved", "by "+c.nameOf(q))
	q.leg.Attach(c)
	q.leg.StopPlay()
	c.legs = append(c.legs, q)
	take(c, q)
	c.changed()
	r.done(200)
}

// taker is what joins the caller with the one who retrieves him, nil when he cannot be retrieved now.
func (c *Call) taker() func(*Call, *party) {
	if c.ended || c.slot == nil || c.caller.lent || c.moved.Load() != nil {
		return nil
	}
	switch o := c.op.(type) {
	case *parking:
		if o.winner == nil {
			return o.retrieved
		}
	case *dialling:
		if o.winner == nil {
			return o.won
		}
	}
	return nil
}
