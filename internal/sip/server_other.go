package sip

// otherServer is the non-INVITE server transaction: RFC 3261 figure 8, a function for each state.
//
//	Trying --1xx--> Proceeding --200-699--> Completed --J--> Terminated
//	Trying --200-699--> Completed
//
// Beyond the figure, a request that the TU leaves without an answer until its client has given up (timer F, 64*T1) ends, so
// that nothing lasts for ever. It is called with the lane locked.
func (t *ServerTransaction) otherServer(in input, m *Message) error {
	switch t.state {
	case serverTrying:
		return t.otherTrying(in, m)
	case serverProceeding:
		return t.otherProceeding(in, m)
	case serverCompleted:
		return t.otherCompleted(in, m)
	}
	return t.afterEnd(in, m)
}

func (t *ServerTransaction) otherTrying(in input, m *Message) error {
	switch in {
	case inMessage: // the request again: discarded
		t.stack.counts.retransmissions.Add(1)
	case inRespond:
		return t.otherRespond(m)
	case inExpire:
		t.end(failure("sip.Respond", ErrTimeout, "the request was not answered in time"))
	case inSendFailure:
		t.end(t.err)
	}
	return nil
}

func (t *ServerTransaction) otherProceeding(in input, m *Message) error {
	switch in {
	case inMessage: // the request again: the last provisional response again
		return t.resend()
	case inRespond:
		return t.otherRespond(m)
	case inExpire:
		t.end(failure("sip.Respond", ErrTimeout, "the request was not answered in time"))
	case inSendFailure:
		t.end(t.err)
	}
	return nil
}

func (t *ServerTransaction) otherRespond(m *Message) error {
	t.keep(m)
	if m.status < 200 {
		t.state = serverProceeding
		return t.send()
	}
	t.state = serverCompleted
	t.letGo()
	err := t.send()
	switch {
	case err != nil:
	case t.reliable:
		t.end(nil) // timer J is 0
	default:
		t.startOnly(64 * t.stack.options.T1) // timer J
	}
	return err
}

func (t *ServerTransaction) otherCompleted(in input, _ *Message) error {
	switch in {
	case inMessage: // the request again: the final response again
		return t.resend()
	case inExpire: // timer J
		t.end(nil)
	case inRespond:
		return ErrEnded
	case inSendFailure:
		t.end(t.err)
	}
	return nil
}
