package sip

import "time"

// trying100 is how long the TU may take before the stack answers 100 by itself: RFC 3261 §17.2.1.
const trying100 = 200 * time.Millisecond

// inviteServer is the INVITE server transaction: RFC 3261 figure 7 as amended by RFC 6026 §7.1, a function for each state.
//
//	Proceeding --2xx--> Accepted --L--> Terminated
//	Proceeding --300-699--> Completed --ACK--> Confirmed --I--> Terminated
//	Completed --H--> Terminated
//
// It is called with the lane locked.
func (t *ServerTransaction) inviteServer(in input, m *Message) error {
	switch t.state {
	case serverTrying, serverProceeding:
		return t.inviteProceeding(in, m)
	case serverCompleted:
		return t.inviteCompleted(in, m)
	case serverConfirmed:
		return t.inviteConfirmed(in, m)
	case serverAccepted:
		return t.inviteAccepted(in, m)
	}
	return t.afterEnd(in, m)
}

func (t *ServerTransaction) inviteProceeding(in input, m *Message) error {
	o := &t.stack.options
	switch in {
	case inMessage: // INVITE again: the last provisional response again
		return t.resend()
	case inRepeat: // the TU has been silent for 200 ms
		if t.status == 0 {
			return t.replyLocked(100, "")
		}
	case inRespond:
		t.repeat = 0
		t.keep(m)
		switch {
		case m.status < 200:
			t.wind()
			return t.send()
		case m.status < 300: // RFC 6026 §7.1: the TU sends every retransmission of the 2xx
			t.finalSent()
			t.state = serverAccepted
			t.startOnly(64 * o.T1) // timer L
			t.letGo()
			err := t.send()
			t.forget()
			return err
		default:
			t.finalSent()
			t.state = serverCompleted
			t.startExpire(64 * o.T1) // timer H
			if !t.reliable {
				t.startRepeat(o.T1) // timer G
			}
			t.letGo()
			return t.send()
		}
	case inSendFailure:
		t.end(t.err)
	}
	return nil
}

func (t *ServerTransaction) inviteCompleted(in input, _ *Message) error {
	o := &t.stack.options
	switch in {
	case inMessage: // INVITE again: the final response again
		return t.resend()
	case inRepeat: // timer G: T1, 2*T1, ... up to T2
		t.startRepeat(min(2*t.interval, o.T2))
		return t.resend()
	case inACK:
		t.state = serverConfirmed
		t.forget()
		if t.reliable {
			t.end(nil) // timer I is 0
		} else {
			t.startOnly(o.T4) // timer I
		}
	case inExpire: // timer H
		t.end(failure("sip.Respond", ErrTimeout, "the final response was not acknowledged"))
	case inRespond:
		return ErrEnded
	case inSendFailure:
		t.end(t.err)
	}
	return nil
}

func (t *ServerTransaction) inviteConfirmed(in input, _ *Message) error {
	switch in {
	case inExpire: // timer I
		t.end(nil)
	case inRespond:
		return ErrEnded
	case inMessage, inACK: // absorbed
		t.stack.counts.retransmissions.Add(1)
	}
	return nil
}

func (t *ServerTransaction) inviteAccepted(in input, m *Message) error {
	switch in {
	case inMessage: // absorbed: the TU's own retransmissions of the 2xx answer it
		t.stack.counts.retransmissions.Add(1)
	case inRespond:
		if m.status < 200 || m.status > 299 {
			return ErrEnded
		}
		if t.status != 0 {
			t.stack.counts.retransmissions.Add(1)
		}
		t.keep(m)
		err := t.send()
		t.forget()
		return err
	case inExpire: // timer L
		t.end(nil)
	case inSendFailure:
		t.end(t.err)
	}
	return nil
}

func (t *ServerTransaction) afterEnd(in input, _ *Message) error {
	if in == inRespond {
		return ErrEnded
	}
	return nil
}
