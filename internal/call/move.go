package call

import (
	"errors"
	"slices"

	"bugle"
)

// ErrMoved is what requests return while the call is about to be led elsewhere: the flow under way is over.
var ErrMoved = errors.New("the call is led elsewhere")

// Destination is where an administrator has a party connected to, by the API: one of these.
type Destination struct {
	Number   string     // number of the account, as a device would dial it
	Callflow string     // id of a callflow
	Flow     bugle.Flow // flow of the API's own
}

func (d Destination) String() string {
	switch {
	case d.Callflow != "":
		return "callflow " + d.Callflow
	case !d.Flow.IsZero():
		return d.Flow.Module + " " + d.Flow.Data.String("id")
	}
	return d.Number
}

// Move asks for the party of a leg to be connected elsewhere. When it talks to another party this is done as if that one had
// transferred it: that one hears nothing more, is hung up on when it has worked out, and talks to it again when it has not.
// A caller who talks to nobody, whose leg or one of the phones that ring for him may be named, is taken out of the flow that
// leads him, and the phones stop ringing. done is told at most once, not at all when the call is over by then: 100 when it
// is under way, 403 when the other party is no device of the account, 603 when the party is being moved already.
func (c *Call) Move(legID string, to Destination, done func(status int)) {
	c.do(func() {
		told := false
		once := func(status int) {
			if !told {
				told = true
				done(status)
			}
		}
		switch {
		case c.peer == nil:
			c.divert(to, once)
		case c.caller.leg.ID() == legID:
			c.transfer(c.peer, Transfer{Target: to.Number, To: to, Progress: once})
		case c.peer.leg.ID() == legID:
			c.transfer(c.caller, Transfer{Target: to.Number, To: to, Progress: once})
		default:
			once(603)
		}
	})
}

// divert takes a caller who talks to nobody out of his flow.
func (c *Call) divert(to Destination, done func(status int)) {
	if c.ended || c.referral != nil || c.moved.Load() != nil || c.caller.lent {
		done(603)
		return
	}
	device, user := c.deviceOf(c.caller)
	c.note("moved", c.nameOf(c.caller)+" to "+to.String())
	c.failed = failure{}
	c.leaveSlot(LegRetrieved)
	c.moved.Store(&Transferred{To: to, DeviceID: device, UserID: user, Caller: c.partyName(c.caller), Alone: true})
	c.changed()
	done(100)
	c.complete(ErrMoved)
}

// Break cuts what is being played to the caller short, as if it had come to its end. done is told at most once, not at all
// when the call is over by then: whether anything was played.
func (c *Call) Break(legID string, done func(cut bool)) {
	c.do(func() {
		op, ok := c.op.(interface{ cut(*Call) bool })
		done(ok && c.caller.leg.ID() == legID && op.cut(c))
	})
}

// Move is Call.Move of the call of an account that has a leg of this Call-ID. It reports whether there is one.
func (r *Registry) Move(accountID, legID string, to Destination, done func(status int)) bool {
	c := r.ofLeg(accountID, legID)
	if c != nil {
		c.Move(legID, to, done)
	}
	return c != nil
}

// Break is Call.Break of the call of an account that has a leg of this Call-ID. It reports whether there is one.
func (r *Registry) Break(accountID, legID string, done func(cut bool)) bool {
	c := r.ofLeg(accountID, legID)
	if c != nil {
		c.Break(legID, done)
	}
	return c != nil
}

func (r *Registry) ofLeg(accountID, legID string) *Call {
	for _, c := range r.all() {
		if c.about.AccountID == accountID && slices.ContainsFunc(c.Info().Legs, func(l LegInfo) bool { return l.ID == legID }) {
			return c
		}
	}
	return nil
}
