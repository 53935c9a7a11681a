package sip

import (
	"fmt"
	"net/netip"
	"strconv"
	"sync"
)

// ServerTransaction is one request to be answered (RFC 3261 §17.2). Its methods may be called from any goroutine.
type ServerTransaction struct {
	transaction
	request *Message
	branch  string // of the top Via; with host and port what requests are matched by
	host    string
	port    uint16
	method  Method
	source  Source
	reply   netip.AddrPort // where responses go

	state    serverState
	status   int     // of the last response
	wire     *[]byte // the last response, kept for retransmission
	size     int64   // what it counts for in Stack.held: responses repeat the request's headers
	let      bool    // the transaction has given up its hold on the request
	canceled bool
	onCancel func()
	onEnd    func()
}

type serverState uint8

// The states of RFC 3261 figures 7 and 8 and of RFC 6026 §7.1.
const (
	serverTrying serverState = iota
	serverProceeding
	serverCompleted
	serverConfirmed
	serverAccepted
	serverTerminated
)

// Request returns the request. It is the message that OnRequest got, so a TU that has released that must not look at it.
func (t *ServerTransaction) Request() *Message { return t.request }

// Source returns where the request came from.
func (t *ServerTransaction) Source() Source { return t.source }

// Respond sends a response: any number of provisional ones, then a final one. After a 2xx to INVITE the same or
// another 2xx may be sent again until the transaction ends (RFC 6026): the TU repeats it until the ACK comes. The error is
// ErrEnded for a response that the state does not allow. The message stays the caller's.
func (t *ServerTransaction) Respond(m *Message) error {
	t.lane.mu.Lock()
	defer t.lane.mu.Unlock()
	if m.status < 100 || m.status > 699 {
		return fmt.Errorf("sip.Respond: %d is no status of a response", m.status)
	}
	return t.step(inRespond, m)
}

// Reply is Respond with NewResponse(t.Request(), status, reason). Repeating a 2xx by it needs a request that has not been
// released.
func (t *ServerTransaction) Reply(status int, reason string) error {
	t.lane.mu.Lock()
	defer t.lane.mu.Unlock()
	return t.replyLocked(status, reason)
}

func (t *ServerTransaction) replyLocked(status int, reason string) error {
	if t.state == serverTerminated || t.state == serverCompleted || t.state == serverConfirmed ||
		t.state == serverAccepted && status >= 300 {
		return ErrEnded
	}
	m := t.stack.response(t.request, status, reason)
	err := t.step(inRespond, m)
	m.Release()
	return err
}

// OnCancel sets what is called, at most once, when a CANCEL arrives before the final response; at once if it has
// already. The stack has answered the CANCEL; the TU answers the INVITE with 487. Where no function was set during
// OnRequest, the stack itself answers 487.
func (t *ServerTransaction) OnCancel(f func()) {
	t.lane.mu.Lock()
	defer t.lane.mu.Unlock()
	t.onCancel = f
	if t.canceled && f != nil {
		t.lane.push(event{kind: eventCancel, server: t})
	}
}

// OnEnd sets what is called once when the transaction has ended; at once if it has already. Err tells how it ended.
func (t *ServerTransaction) OnEnd(f func()) {
	t.lane.mu.Lock()
	defer t.lane.mu.Unlock()
	t.onEnd = f
	if t.state == serverTerminated && f != nil {
		t.lane.push(event{kind: eventEnd, server: t})
	}
}

// Err returns nil for a transaction that is alive or ended well, ErrTimeout when a final response to INVITE was never
// acknowledged (timer H), ErrTransport when a response could not be sent.
func (t *ServerTransaction) Err() error {
	t.lane.mu.Lock()
	defer t.lane.mu.Unlock()
	return t.err
}

func (t *ServerTransaction) canceledNow() {
	t.lane.mu.Lock()
	f := t.onCancel
	t.onCancel = nil
	if f == nil && t.state == serverProceeding {
		_ = t.replyLocked(487, "")
	}
	t.lane.mu.Unlock()
	if f != nil {
		f()
	}
}

func (t *ServerTransaction) endedNow() {
	t.lane.mu.Lock()
	f := t.onEnd
	t.onEnd = nil
	t.lane.mu.Unlock()
	if f != nil {
		f()
	}
}

// newServer makes the transaction of a request and enters it in the lane, which is locked. The message gets a second
// holder.
func (l *lane) newServer(m *Message, via Via) *ServerTransaction {
	t := &ServerTransaction{request: m.retain(), branch: via.Branch(), host: via.Host, port: via.Port, method: m.method,
		source: m.source}
	t.stack, t.lane, t.reliable = l.stack, l, m.source.Transport != UDP
	t.alarm.owner = t
	if via.Params.Has("rport") || t.reliable {
		t.reply = m.source.Remote // RFC 3581 §4
	} else {
		t.reply = sentByOf(m.source, via.Port) // RFC 3261 §18.2.2
	}
	l.hold()
	l.servers = append(l.servers, t)
	l.stack.transactions.Add(1)
	t.size = int64(len(m.buf))
	l.stack.held.Add(t.size)
	if t.method == INVITE {
		l.stack.invites.Add(1)
		t.state = serverProceeding
		t.startRepeat(trying100)
	} else {
		t.startExpire(64 * l.stack.options.T1)
	}
	return t
}

// ring is the alarm of the transaction.
func (t *ServerTransaction) ring(now instant) {
	defer func() {
		if v := recover(); v != nil {
			t.stack.recovered(v, t.lane.callID)
		}
	}()
	t.lane.mu.Lock()
	defer t.lane.mu.Unlock()
	if in, ok := t.fired(now); ok && t.state != serverTerminated {
		_ = t.step(in, nil)
	}
	if t.state != serverTerminated {
		t.wind()
	}
}

// step moves the machine. The lane is locked.
func (t *ServerTransaction) step(in input, m *Message) error {
	if t.method == INVITE {
		return t.inviteServer(in, m)
	}
	return t.otherServer(in, m)
}

var wirePool = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

// keep writes the response into the transaction's own buffer.
func (t *ServerTransaction) keep(m *Message) {
	if t.wire == nil {
		t.wire = wirePool.Get().(*[]byte)
	}
	*t.wire = m.AppendTo((*t.wire)[:0])
	t.status = m.status
}

// forget gives the buffer back when nothing is to be retransmitted any more.
func (t *ServerTransaction) forget() {
	if t.wire != nil {
		putWire(t.wire)
		t.wire = nil
	}
}

func putWire(b *[]byte) {
	if cap(*b) <= 8<<10 {
		wirePool.Put(b)
	}
}

// letGo gives up the transaction's hold on the request once the final response is written: half a minute of waiting for
// retransmissions needs no more of it than what they are matched by.
func (t *ServerTransaction) letGo() {
	if t.let || !hasCookie(t.branch) {
		return
	}
	t.let = true
	identity := t.branch + t.host
	t.branch, t.host = identity[:len(t.branch)], identity[len(t.branch):]
	t.request.Release()
}

// send sends the kept response.
func (t *ServerTransaction) send() error {
	if err := t.stack.sendResponse(*t.wire, t.source, t.reply, t.port, t); err != nil {
		t.end(failure("sip.Respond", ErrTransport, "the response could not be sent: "+err.Error()))
		return t.err
	}
	return nil
}

func (t *ServerTransaction) resend() error {
	if t.status == 0 {
		return nil
	}
	t.stack.counts.retransmissions.Add(1)
	return t.send()
}

// sendFailed is told by a connection that could not send a response.
func (t *ServerTransaction) sendFailed(err error) {
	t.lane.mu.Lock()
	defer t.lane.mu.Unlock()
	if t.state != serverTerminated {
		t.err = failure("sip.Respond", ErrTransport, "the response could not be sent: "+err.Error())
		_ = t.step(inSendFailure, nil)
	}
}

// finalSent takes an INVITE out of the count of the open ones.
func (t *ServerTransaction) finalSent() { t.stack.invites.Add(-1) }

// end takes the transaction out of its lane.
func (t *ServerTransaction) end(err error) {
	if t.state == serverTerminated {
		return
	}
	if t.method == INVITE && t.state == serverProceeding {
		t.finalSent()
	}
	t.state = serverTerminated
	if err != nil {
		t.err = err
	}
	t.stopTimers()
	t.forget()
	if !t.let {
		t.let = true
		t.request.Release()
	}
	l := t.lane
	for i, other := range l.servers {
		if other == t {
			last := len(l.servers) - 1
			l.servers[i], l.servers[last] = l.servers[last], nil
			l.servers = l.servers[:last]
			break
		}
	}
	t.stack.transactions.Add(-1)
	t.stack.held.Add(-t.size)
	if t.onEnd != nil {
		l.push(event{kind: eventEnd, server: t})
	}
	t.onCancel = nil
	l.release()
}

// response is NewResponse with the stack's Server header.
func (s *Stack) response(req *Message, status int, reason string) *Message {
	m := NewResponse(req, status, reason)
	if s.options.Server != "" {
		m.Add("Server", s.options.Server)
	}
	return m
}

// overload is the 503 of a stack that has too much to do.
func (s *Stack) overload(req *Message) *Message {
	m := s.response(req, 503, "")
	m.Add("Retry-After", strconv.Itoa(max(1, int(s.options.RetryAfter.Seconds()))))
	return m
}
