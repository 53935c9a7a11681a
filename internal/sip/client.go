package sip

import (
	"errors"
	"strings"

	"bugle"
)

// Result is what comes of a request: responses in order, or one error at the end.
type Result struct {
	Response *Message // nil with Err
	Err      error    // wraps ErrTimeout, ErrTransport or ErrClosed
}

// ClientTransaction is one request under way (RFC 3261 §17.1). Its methods may be called from any goroutine.
type ClientTransaction struct {
	transaction
	request *Message // as sent; its buffer is what goes on the wire
	method  Method
	branch  string
	to      Destination
	large   bool // went to TCP for its size; falls back to UDP
	on      func(Result)

	state  clientState
	cancel cancelState
	reason string // of the CANCEL
}

type clientState uint8

// The states of RFC 3261 figures 5 and 6 and of RFC 6026 §7.2. Trying of figure 6 is Calling here.
const (
	clientCalling clientState = iota
	clientProceeding
	clientCompleted
	clientAccepted
	clientTerminated
)

type cancelState uint8

const (
	cancelNone cancelState = iota
	cancelWanted
	cancelSent
)

// Request sends a request in a transaction of its own and calls on with what comes of it: each provisional response, one
// final response or an error. For INVITE each 2xx is handed up, forked ones and retransmissions too, since each is to be
// acknowledged by the TU (Send) for 64*T1 after the first (RFC 6026). The stack adds a Via on top and Max-Forwards. An
// error means that nothing was sent and on is never called. A UDP request that is too large goes by TCP first, back to
// UDP if no connection comes about.
func (s *Stack) Request(req *Message, dst Destination, on func(Result)) (*ClientTransaction, error) {
	if err := checkOutgoing(req, dst); err != nil {
		return nil, err
	}
	if req.method == ACK || req.method == CANCEL {
		return nil, &bugle.Error{Op: "sip.Request", Kind: bugle.KindInvalid,
			Message: "ACK goes through Send, CANCEL through ClientTransaction.Cancel"}
	}
	if on == nil {
		on = func(Result) {}
	}
	t := &ClientTransaction{method: req.method, branch: newBranch(), to: dst, on: on}
	t.stack = s
	t.alarm.owner = t
	if t.to.Transport == "" {
		t.to.Transport = UDP
	}
	if err := t.write(req); err != nil {
		return nil, err
	}
	if t.to.Transport == UDP && len(t.request.buf) > s.options.MaxUDPRequest && !dst.FlowOnly && !s.refusesTCP(dst.Addr) {
		t.large, t.to.Transport = true, TCP // RFC 3261 §18.1.1
		if err := t.write(req); err != nil {
			return nil, err
		}
	}
	l := s.acquire(t.request.CallID(), true)
	l.mu.Lock()
	defer l.mu.Unlock()
	t.lane = l // the hold that acquire took is the transaction's
	if s.context.Err() != nil {
		l.release()
		return nil, failure("sip.Request", ErrClosed, "the stack is closed")
	}
	l.clients = append(l.clients, t)
	s.transactions.Add(1)
	t.start()
	return t, nil
}

func checkOutgoing(m *Message, dst Destination) error {
	what := ""
	switch {
	case m.status == 0 && (m.uri == "" || strings.ContainsAny(m.uri, " \t\r\n") || !isToken(string(m.method))):
		what = "the request has no method or a malformed Request-URI"
	case m.first[hFrom] == 0 || m.first[hTo] == 0 || m.first[hCallID] == 0 || m.first[hCSeq] == 0:
		what = "From, To, Call-ID and CSeq must be set"
	case !dst.Addr.IsValid() || dst.Addr.Port() == 0:
		what = "the destination has no address"
	case dst.Transport != "" && dst.Transport != UDP && dst.Transport != TCP:
		what = "the transport is neither udp nor tcp"
	}
	if what == "" {
		return nil
	}
	return &bugle.Error{Op: "sip.Request", Kind: bugle.KindInvalid, Message: what}
}

// write puts req on the wire's form for t's transport, with a Via on top, and parses that as the transaction's own request.
func (t *ClientTransaction) write(req *Message) error {
	own := newMessage()
	wire, err := t.stack.appendRequest(own.buf, req, t.to, t.branch)
	if err != nil {
		own.Release()
		return err
	}
	if err := own.parse(wire); err != nil {
		own.Release()
		return &bugle.Error{Op: "sip.Request", Kind: bugle.KindInvalid, Message: "the request is malformed: " + err.Reason}
	}
	t.request = own
	t.reliable = t.to.Transport != UDP
	return nil
}

// start enters the first state: RFC 3261 §17.1.1.2 and §17.1.2.2.
func (t *ClientTransaction) start() {
	o := &t.stack.options
	if !t.reliable {
		t.startRepeat(o.T1) // timer A or E
	}
	t.startExpire(64 * o.T1) // timer B or F
	t.send()
}

// send sends the request; a failure becomes an input of the machine.
func (t *ClientTransaction) send() {
	if err := t.stack.sendWire(t.request.buf, t.to, t); err != nil {
		t.failed(err)
	}
}

func (t *ClientTransaction) resend() {
	t.stack.counts.retransmissions.Add(1)
	t.send()
}

// sendFailed is told by a connection that could not send the request.
func (t *ClientTransaction) sendFailed(err error) {
	t.lane.mu.Lock()
	defer t.lane.mu.Unlock()
	if t.state != clientTerminated {
		t.failed(err)
	}
}

func (t *ClientTransaction) failed(err error) {
	if t.large && t.state == clientCalling && !errors.Is(err, ErrClosed) {
		t.stack.rememberNoTCP(t.to.Addr)
		t.large, t.to.Transport = false, UDP
		if t.write(t.request) == nil {
			t.start()
			return
		}
	}
	t.err = failure("sip.Request", ErrTransport, "the request could not be sent: "+err.Error())
	t.step(inSendFailure, nil)
}

// Request returns the request as sent, with its Via.
func (t *ClientTransaction) Request() *Message {
	t.lane.mu.Lock()
	defer t.lane.mu.Unlock()
	return t.request
}

// Destination returns where the request went, by the transport that was used in the end.
func (t *ClientTransaction) Destination() Destination {
	t.lane.mu.Lock()
	defer t.lane.mu.Unlock()
	return t.to
}

// Cancel sends CANCEL for an INVITE (RFC 3261 §9.1): now if a provisional response has come, else when one comes, never
// after a final response. The INVITE's own outcome, usually 487, still arrives; ErrTimeout when it does not within 64*T1. A
// reason such as `SIP;cause=200;text="Call completed elsewhere"` becomes the Reason header (RFC 3326), "" for none.
func (t *ClientTransaction) Cancel(reason string) {
	t.lane.mu.Lock()
	defer t.lane.mu.Unlock()
	if t.method != INVITE || t.cancel != cancelNone {
		return
	}
	t.cancel, t.reason = cancelWanted, reason
	if t.state == clientProceeding {
		t.sendCancel()
	}
}

// sendCancel starts the CANCEL's own transaction. The lane is locked.
func (t *ClientTransaction) sendCancel() {
	t.cancel = cancelSent
	t.startExpire(64 * t.stack.options.T1) // RFC 3261 §9.1: then the INVITE counts as cancelled
	m := t.follow(CANCEL, t.request.get(hTo))
	defer m.Release()
	if t.reason != "" {
		m.Add("Reason", t.reason)
	}
	c := &ClientTransaction{method: CANCEL, branch: t.branch, to: t.to, on: func(Result) {}}
	c.stack, c.lane, c.reliable = t.stack, t.lane, t.reliable
	c.alarm.owner = c
	c.request = newMessage()
	if c.request.parse(m.AppendTo(c.request.buf)) != nil {
		return
	}
	t.lane.hold()
	t.lane.clients = append(t.lane.clients, c)
	t.stack.transactions.Add(1)
	c.start()
}

// follow builds an ACK or CANCEL to the request: RFC 3261 §17.1.1.3 and §9.1.
func (t *ClientTransaction) follow(method Method, to string) *Message {
	m := NewRequest(method, t.request.uri)
	via, _ := cutList(t.request.get(hVia))
	m.Add("Via", via)
	m.Add("Max-Forwards", "70")
	m.copyField(t.request, hRoute)
	m.copyField(t.request, hFrom)
	m.Add("To", to)
	m.copyField(t.request, hCallID)
	number, _ := t.request.CSeq()
	m.AddCSeq(number, method)
	return m
}

// acknowledge answers a final response that is not 2xx: RFC 3261 §17.1.1.3.
func (t *ClientTransaction) acknowledge(response *Message) {
	m := t.follow(ACK, response.get(hTo))
	buf := wirePool.Get().(*[]byte)
	*buf = m.AppendTo((*buf)[:0])
	_ = t.stack.sendWire(*buf, t.to, nil) // the response comes again if it is lost
	putWire(buf)
	m.Release()
}

// tell hands a result up. The lane is locked.
func (t *ClientTransaction) tell(m *Message, err error) {
	t.lane.push(event{kind: eventResult, client: t, m: m, err: err})
}

func (t *ClientTransaction) ring(now instant) {
	defer func() {
		if v := recover(); v != nil {
			t.stack.recovered(v, t.lane.callID)
		}
	}()
	t.lane.mu.Lock()
	defer t.lane.mu.Unlock()
	if in, ok := t.fired(now); ok && t.state != clientTerminated {
		t.step(in, nil)
	}
	if t.state != clientTerminated {
		t.wind()
	}
}

// step moves the machine; it says whether it kept the message. The lane is locked.
func (t *ClientTransaction) step(in input, m *Message) (kept bool) {
	if t.method == INVITE {
		return t.inviteClient(in, m)
	}
	return t.otherClient(in, m)
}

// end takes the transaction out of its lane. With an error the TU is told.
func (t *ClientTransaction) end(err error) {
	if t.state == clientTerminated {
		return
	}
	silent := t.state == clientCompleted || t.state == clientAccepted
	t.state = clientTerminated
	t.stopTimers()
	l := t.lane
	for i, other := range l.clients {
		if other == t {
			last := len(l.clients) - 1
			l.clients[i], l.clients[last] = l.clients[last], nil
			l.clients = l.clients[:last]
			break
		}
	}
	t.stack.transactions.Add(-1)
	if err != nil && !silent && t.method != CANCEL {
		t.err = err
		t.tell(nil, err)
	}
	l.release()
}

func (t *ClientTransaction) timeout() error {
	return failure("sip.Request", ErrTimeout, "no final response to "+string(t.method)+" came in time")
}
