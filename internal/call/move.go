package call

import "slices"

// Move asks for the party of a leg to be connected to a number of the account, or to a callflow when one is given, as if
// the party that it talks to had transferred it; that one hears nothing more, and is hung up on when it has worked out. An
// administrator may ask, by the API. done is told at most once, not at all when the call is over by then: 100 when it is
// under way, 403 when the other party is no device of the account, 603 when the party talks to nobody.
func (c *Call) Move(legID, target, callflowID string, done func(status int)) {
	c.do(func() {
		told := false
		once := func(status int) {
			if !told {
				told = true
				done(status)
			}
		}
		var by *party
		switch {
		case c.peer == nil:
		case c.caller.leg.ID() == legID:
			by = c.peer
		case c.peer.leg.ID() == legID:
			by = c.caller
		}
		if by == nil {
			once(603)
			return
		}
		c.transfer(by, Transfer{Target: target, Callflow: callflowID, Progress: once})
	})
}

// Move is Call.Move of the call of an account that has a leg of this Call-ID. It reports whether there is one.
func (r *Registry) Move(accountID, legID, target, callflowID string, done func(status int)) bool {
	for _, c := range r.all() {
		if c.about.AccountID == accountID && slices.ContainsFunc(c.Info().Legs, func(l LegInfo) bool { return l.ID == legID }) {
			c.Move(legID, target, callflowID, done)
			return true
		}
	}
	return false
}
