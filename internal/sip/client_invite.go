package sip

import "time"

// timerD is how long an INVITE client transaction absorbs final responses: RFC 3261 §17.1.1.2, at least 32 s.
const timerD = 32 * time.Second

// inviteClient is the INVITE client transaction: RFC 3261 figure 5 as amended by RFC 6026 §7.2, a function for each state.
//
//	Calling --1xx--> Proceeding
//	Calling, Proceeding --2xx--> Accepted --M--> Terminated
//	Calling, Proceeding --300-699, ACK--> Completed --D--> Terminated
//	Calling --B, transport error--> Terminated
//
// It is called with the lane locked; it returns whether the message went up to the TU.
func (t *ClientTransaction) inviteClient(in input, m *Message) bool {
	switch t.state {
	case clientCalling:
		return t.inviteCalling(in, m)
	case clientProceeding:
		return t.inviteProceeding(in, m)
	case clientCompleted:
		return t.inviteCompleted(in, m)
	case clientAccepted:
		return t.inviteAccepted(in, m)
	}
	return t.afterEnd(in, m)
}

func (t *ClientTransaction) inviteCalling(in input, m *Message) bool {
	switch in {
	case inMessage:
		return t.inviteResponse(m)
	case inRepeat: // timer A: doubles
		t.startRepeat(2 * t.interval)
		t.resend()
	case inExpire: // timer B
		t.end(t.timeout())
	case inSendFailure:
		t.end(t.err)
	}
	return false
}

func (t *ClientTransaction) inviteProceeding(in input, m *Message) bool {
	switch in {
	case inMessage:
		return t.inviteResponse(m)
	case inExpire: // only after CANCEL: RFC 3261 §9.1
		t.end(t.timeout())
	case inSendFailure: // of a CANCEL or an ACK; the peer has the INVITE
	}
	return false
}

// inviteResponse is a response in Calling or Proceeding.
func (t *ClientTransaction) inviteResponse(m *Message) bool {
	switch {
	case m.status < 200:
		if t.state == clientCalling {
			t.state = clientProceeding
			t.stopTimers()
			if t.cancel == cancelWanted {
				t.sendCancel()
			}
		}
	case m.status < 300:
		t.state = clientAccepted
		t.startOnly(64 * t.stack.options.T1) // timer M
	default:
		t.state = clientCompleted
		t.acknowledge(m)
		if t.reliable {
			t.tell(m, nil)
			t.end(nil) // timer D is 0
			return true
		}
		t.startOnly(timerD)
	}
	t.tell(m, nil)
	return true
}

func (t *ClientTransaction) inviteCompleted(in input, m *Message) bool {
	switch in {
	case inMessage: // the final response again: acknowledged, not told
		t.stack.counts.retransmissions.Add(1)
		if m.status >= 300 {
			t.acknowledge(m)
		}
	case inExpire: // timer D
		t.end(nil)
	}
	return false
}

func (t *ClientTransaction) inviteAccepted(in input, m *Message) bool {
	switch in {
	case inMessage: // RFC 6026 §7.2: every 2xx goes up, whichever fork it is of
		if m.status >= 200 && m.status < 300 {
			t.tell(m, nil)
			return true
		}
	case inExpire: // timer M
		t.end(nil)
	}
	return false
}

func (t *ClientTransaction) afterEnd(input, *Message) bool { return false }
