package sip

// receive takes one message from a socket: it parses the message's own buffer, checks it and gives it to its
// transaction. It runs on the reader's goroutine. With call set it also tells the TU what comes of it, otherwise it leaves
// that to the workers and waits for nobody.
func (s *Stack) receive(m *Message, source Source, call bool) {
	defer func() {
		if v := recover(); v != nil {
			s.recovered(v, "")
		}
	}()
	s.counts.received.Add(1)
	m.source, m.at = source, s.options.Clock.Now()
	if err := m.parse(m.buf); err != nil {
		s.counts.malformed.Add(1)
		if err.Status != 0 && m.first[hVia] != 0 {
			s.reject(m, &Rejection{Status: err.Status, Reason: err.Reason})
		}
		m.Release()
		return
	}
	if r := s.rules.Validate(m); r != nil {
		s.counts.malformed.Add(1)
		if r.Status != 0 {
			s.reject(m, r)
		}
		m.Release()
		return
	}
	via, err := m.TopVia()
	if err != nil {
		m.Release()
		return
	}
	l := s.acquire(m.CallID(), m.status == 0 || s.isStray2xx(m))
	if l == nil {
		s.drop(m)
		return
	}
	defer l.release()
	if s.receiveIn(l, m, via, call) {
		l.tellAll()
	}
}

// receiveIn gives a message to its lane; tell is set when the caller has to call tellAll.
func (s *Stack) receiveIn(l *lane, m *Message, via Via, call bool) (tell bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.messages >= s.options.QueuePerCall || s.queued.Load() > int64(s.options.MaxQueuedBytes) {
		s.drop(m)
		return false
	}
	l.inline = call
	defer func() { l.inline = false }()
	if m.status != 0 {
		s.receiveResponse(l, m, via)
	} else {
		s.receiveRequest(l, m, via)
	}
	tell, l.claimed = l.claimed, false
	return tell
}

// reject answers a broken request without a transaction (RFC 3261 §8.2.7): its retransmission is answered again.
func (s *Stack) reject(m *Message, r *Rejection) {
	via, err := m.TopVia()
	if err != nil { // nothing in it is to be relied on: back to where the packet came from
		via = Via{Port: m.source.Remote.Port()}
	}
	response := s.response(m, r.Status, r.Reason)
	if r.Unsupported != "" {
		response.Add("Unsupported", r.Unsupported)
	}
	s.respondStateless(response, m.source, via)
}

func (s *Stack) respondStateless(response *Message, source Source, via Via) {
	to := source.Remote
	if _, asked := via.RPort(); !asked {
		to = sentByOf(source, via.Port)
	}
	buf := wirePool.Get().(*[]byte)
	*buf = response.AppendTo((*buf)[:0])
	_ = s.sendResponse(*buf, source, to, via.Port, nil)
	putWire(buf)
	response.Release()
}

// refuse answers 503 without a transaction.
func (s *Stack) refuse(m *Message, via Via) {
	s.counts.refused.Add(1)
	s.respondStateless(s.overload(m), m.source, via)
	m.Release()
}

func (s *Stack) drop(m *Message) {
	s.counts.dropped.Add(1)
	m.Release()
}

func (s *Stack) receiveResponse(l *lane, m *Message, via Via) {
	_, method := m.CSeq()
	branch := via.Branch()
	for _, t := range l.clients {
		if t.branch == branch && t.method == method { // RFC 3261 §17.1.3
			if !t.step(inMessage, m) {
				m.Release()
			}
			return
		}
	}
	if s.isStray2xx(m) {
		l.push(event{kind: eventStray, m: m})
	} else {
		s.drop(m)
	}
}

// isStray2xx says whether a response that no transaction takes is of interest: a 2xx to INVITE needs an ACK and a BYE.
func (s *Stack) isStray2xx(m *Message) bool {
	_, method := m.CSeq()
	return s.options.OnStray2xx != nil && method == INVITE && m.status >= 200 && m.status <= 299 &&
		!s.run.full(s.options.QueueTotal)
}

func (s *Stack) receiveRequest(l *lane, m *Message, via Via) {
	switch m.method {
	case ACK:
		s.receiveACK(l, m, via)
		return
	case CANCEL:
		s.receiveCANCEL(l, m, via)
		return
	}
	if t := l.match(m, via, m.method); t != nil {
		_ = t.step(inMessage, nil)
		m.Release()
		return
	}
	if l.merged(m) { // RFC 3261 §8.2.2.2
		s.respondStateless(s.response(m, 482, ""), m.source, via)
		m.Release()
		return
	}
	if s.tooBusy(l, m) {
		s.refuse(m, via)
		return
	}
	t := l.newServer(m, via)
	l.push(event{kind: eventRequest, server: t, m: m})
}

// tooBusy is the overload gate. Requests inside a dialog pass it as long as there is room at all, since they end calls
// more often than they begin work.
func (s *Stack) tooBusy(l *lane, m *Message) bool {
	if len(l.servers) >= s.options.MaxPerCall || s.transactions.Load() >= int64(s.options.MaxTransactions) ||
		s.held.Load() > int64(s.options.MaxTransactionBytes) {
		return true
	}
	if s.run.full(2 * s.options.QueueTotal) {
		return true
	}
	if m.ToTag() != "" {
		return false
	}
	if m.method == INVITE && (s.draining.Load() || s.invites.Load() >= int64(s.options.MaxInvites)) {
		return true
	}
	return s.run.full(s.options.QueueTotal)
}

func (s *Stack) receiveACK(l *lane, m *Message, via Via) {
	if t := l.match(m, via, INVITE); t != nil && t.state != serverAccepted {
		_ = t.step(inACK, nil)
		m.Release()
		return
	}
	if s.options.OnACK == nil || s.run.full(2*s.options.QueueTotal) {
		s.drop(m)
		return
	}
	l.push(event{kind: eventACK, m: m})
}

// receiveCANCEL answers a CANCEL and tells the INVITE's TU: RFC 3261 §9.2.
func (s *Stack) receiveCANCEL(l *lane, m *Message, via Via) {
	defer m.Release()
	if t := l.match(m, via, CANCEL); t != nil {
		_ = t.step(inMessage, nil)
		return
	}
	invite := l.match(m, via, INVITE)
	if s.transactions.Load() >= int64(s.options.MaxTransactions) || len(l.servers) >= s.options.MaxPerCall {
		s.counts.dropped.Add(1)
		return
	}
	t := l.newServer(m, via)
	if invite == nil {
		_ = t.replyLocked(481, "")
		return
	}
	response := s.response(m, 200, "")
	if m.ToTag() == "" && !invite.let { // RFC 3261 §9.2: the To-tag should be that of the responses to the INVITE
		response.Set("To", m.get(hTo)+";tag="+string(appendToTag(nil, invite.request)))
	}
	_ = t.step(inRespond, response)
	response.Release()
	if invite.state == serverProceeding && !invite.canceled {
		invite.canceled = true
		l.push(event{kind: eventCancel, server: invite})
	}
}

// match finds the server transaction of a request as RFC 3261 §17.2.3 says; method is INVITE for an ACK and for what a
// CANCEL cancels.
func (l *lane) match(m *Message, via Via, method Method) *ServerTransaction {
	branch := via.Branch()
	if !hasCookie(branch) {
		return l.match2543(m, method)
	}
	for _, t := range l.servers {
		if t.method == method && t.branch == branch && t.port == via.Port && equalFold(t.host, via.Host) {
			return t
		}
	}
	return nil
}

// hasCookie says whether the branch was made by the rules of RFC 3261. RFC 4475 §3.2.1: nothing after the cookie is no
// identifier.
func hasCookie(branch string) bool {
	return len(branch) > len(magicCookie) && equalFold(branch[:len(magicCookie)], magicCookie)
}

// match2543 compares what RFC 2543 elements keep the same (RFC 3261 §17.2.3).
func (l *lane) match2543(m *Message, method Method) *ServerTransaction {
	number, _ := m.CSeq()
	via, _ := cutList(m.get(hVia))
	for _, t := range l.servers {
		if t.let {
			continue // it has a cookie
		}
		r := t.request
		n, _ := r.CSeq()
		top, _ := cutList(r.get(hVia))
		if t.method != method || n != number || r.uri != m.uri || r.FromTag() != m.FromTag() || top != via {
			continue
		}
		if m.method != ACK && r.ToTag() != m.ToTag() {
			continue
		}
		return t
	}
	return nil
}

// merged says whether the same request is being handled already, having come by another path.
func (l *lane) merged(m *Message) bool {
	if m.ToTag() != "" {
		return false
	}
	number, _ := m.CSeq()
	for _, t := range l.servers {
		if t.method != m.method || t.state > serverProceeding {
			continue
		}
		if n, _ := t.request.CSeq(); n == number && t.request.FromTag() == m.FromTag() {
			return true
		}
	}
	return false
}
