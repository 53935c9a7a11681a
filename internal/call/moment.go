package call

import "time"

// Moment is a step in the life of a leg.
type Moment string

// The moments of a leg, in the order in which they can come; a leg may be bridged and held often.
const (
	LegCreated   Moment = "created"
	LegAnswered  Moment = "answered"
	LegBridged   Moment = "bridged" // it is connected with another leg
	LegHeld      Moment = "held"    // it has put the call on hold
	LegResumed   Moment = "resumed" // it has taken the call off hold
	LegDestroyed Moment = "destroyed"

	LegParked    Moment = "parked"    // it waits in a slot
	LegRetrieved Moment = "retrieved" // somebody has taken it out of the slot
	LegAbandoned Moment = "abandoned" // it has left the slot, or hung up, before anybody did
)

// LegReport tells a moment of a leg. A leg that another call takes over is created and destroyed once.
type LegReport struct {
	Moment   Moment
	At       time.Time
	Call     About
	Number   string // normalised number of the call, once it is known
	Leg      LegInfo
	Other    LegInfo   // who it is bridged with; its ID is "" for nobody
	Answered time.Time // zero: not yet
	Internal bool      // both ends are inside of bugle
	Cause    Cause     // of LegDestroyed
	Slot     string    // of LegParked, LegRetrieved and LegAbandoned
}

// tell tells a moment of a party, the first and the last one once. The caller's first is told when the flow has said who
// the caller is, or else before anything else is told.
func (c *Call) tell(p *party, m Moment, cause Cause) {
	if !c.caller.created && (p != c.caller || m != LegCreated) {
		c.tell(c.caller, LegCreated, "")
	}
	switch m {
	case LegCreated:
		if p.created {
			return
		}
		p.created = true
	case LegAnswered:
		p.answeredAt = c.clock.Now()
	case LegDestroyed:
		if p.destroyed || p.lent {
			return
		}
		p.destroyed = true
	}
	if c.settings.OnLeg == nil {
		return
	}
	r := LegReport{Moment: m, At: c.clock.Now(), Call: c.about, Number: c.number, Leg: c.legInfo(p), Answered: p.answeredAt, Cause: cause}
	_, r.Internal = p.leg.(*LoopbackLeg)
	if c.slot != nil {
		r.Slot = c.slot.Slot
	}
	switch other := c.other(p); {
	case other != nil:
		r.Other = c.legInfo(other)
	case m != LegCreated && p == c.caller:
		r.Other = c.talked
	case p != c.caller: // rung for the caller
		r.Other = c.legInfo(c.caller)
	}
	c.guard(func() { c.settings.OnLeg(r) })
}

// other is who a party is connected with, nil for nobody.
func (c *Call) other(p *party) *party {
	switch {
	case p == c.caller:
		return c.peer
	case p == c.peer:
		return c.caller
	}
	return nil
}
