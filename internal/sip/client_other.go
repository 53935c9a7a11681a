package sip

// otherClient is the non-INVITE client transaction: RFC 3261 figure 6, a function for each state.
//
//	Trying --1xx--> Proceeding
//	Trying, Proceeding --200-699--> Completed --K--> Terminated
//	Trying, Proceeding --F, transport error--> Terminated
//
// It is called with the lane locked; it returns whether the message went up to the TU.
func (t *ClientTransaction) otherClient(in input, m *Message) bool {
	switch t.state {
	case clientCalling:
		return t.otherTrying(in, m)
	case clientProceeding:
		return t.otherProceeding(in, m)
	case clientCompleted:
		return t.otherCompleted(in, m)
	}
	return t.afterEnd(in, m)
}

func (t *ClientTransaction) otherTrying(in input, m *Message) bool {
	if in == inRepeat { // timer E: T1, 2*T1, ... up to T2
		t.startRepeat(min(2*t.interval, t.stack.options.T2))
		t.resend()
		return false
	}
	return t.otherWaiting(in, m)
}

func (t *ClientTransaction) otherProceeding(in input, m *Message) bool {
	if in == inRepeat { // timer E: every T2
		t.startRepeat(t.stack.options.T2)
		t.resend()
		return false
	}
	return t.otherWaiting(in, m)
}

// otherWaiting is what Trying and Proceeding share.
func (t *ClientTransaction) otherWaiting(in input, m *Message) bool {
	switch in {
	case inMessage:
		if m.status < 200 {
			t.state = clientProceeding
			return t.otherTell(m)
		}
		t.state = clientCompleted
		told := t.otherTell(m)
		if t.reliable {
			t.end(nil) // timer K is 0
		} else {
			t.startOnly(t.stack.options.T4) // timer K
		}
		return told
	case inExpire: // timer F
		t.end(t.timeout())
	case inSendFailure:
		t.end(t.err)
	}
	return false
}

// otherTell hands a response up, except that to the stack's own CANCEL.
func (t *ClientTransaction) otherTell(m *Message) bool {
	if t.method == CANCEL {
		return false
	}
	t.tell(m, nil)
	return true
}

func (t *ClientTransaction) otherCompleted(in input, _ *Message) bool {
	switch in {
	case inMessage: // the final response again: absorbed
		t.stack.counts.retransmissions.Add(1)
	case inExpire: // timer K
		t.end(nil)
	}
	return false
}
