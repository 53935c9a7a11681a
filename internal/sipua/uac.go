package sipua

import (
	"strconv"
	"strings"

	"bugle"
	"bugle/internal/call"
	"bugle/internal/sip"
)

// uac is what an outbound leg keeps of its INVITE.
type uac struct {
	target         call.Target
	uri            sip.URI
	offer          []byte
	hops           []sip.Destination // places to try, in order
	hop            int               // the next one
	client         *sip.ClientTransaction
	try            int    // which INVITE of this leg counts; answers to earlier ones do not
	seq            uint32 // of that INVITE
	sessionExpires int
	minSE          int

	forks   map[string]*fork // by To tag
	winner  *fork
	heard   bool // any response but 100
	ringing bool
	early   bool // early media
}

// fork is one of the dialogs that the responses to a forked INVITE make (RFC 3261 §12.1.2, §13.2.2.4).
type fork struct {
	dialog   dialog
	rseq     uint32 // of the last reliable provisional
	answered bool   // it has described its media
	ack      *sip.Message
	released bool // its 2xx was acknowledged and its call ended, since another one won
}

// outcome takes each result of the INVITE.
func (l *leg) outcome(try int, r sip.Result) {
	defer l.crashed()
	l.mu.Lock()
	defer l.mu.Unlock()
	res := r.Response
	switch {
	case res == nil:
		l.unreached(try, statusOf(r))
	case res.StatusCode() >= 200 && res.StatusCode() < 300:
		l.success(res) // also when the leg is over: each 2xx is to be acknowledged
	case try != l.uac.try || l.state != calling:
	case res.StatusCode() < 200:
		l.provisionally(res)
	default:
		l.failure(res)
	}
}

// unreached ends an attempt that got no final response.
func (l *leg) unreached(try, status int) {
	if try != l.uac.try || l.state != calling {
		return
	}
	if l.ended {
		l.close()
		return
	}
	if !l.uac.heard && l.uac.hop < len(l.uac.hops) { // RFC 3263 §4.3
		l.call()
		return
	}
	switch {
	case status == 408:
		l.fail(status, call.NoUserResponse, nil)
	case l.uac.target.Hop.IsValid(): // the phone's connection is gone, and with it the phone
		l.fail(480, call.SubscriberAbsent, nil)
	default:
		l.fail(status, call.NetworkOutOfOrder, nil)
	}
}

// provisionally takes a 1xx.
func (l *leg) provisionally(res *sip.Message) {
	if res.StatusCode() == 100 || l.ended {
		return
	}
	l.uac.heard = true
	f := l.forkOf(res)
	if f == nil {
		if res.StatusCode() == 180 {
			l.ring(false)
		}
		return
	}
	if res.ListHas("Require", "100rel") && !l.acknowledge(f, res) {
		return
	}
	early := false
	if len(res.Body()) > 0 && strings.EqualFold(res.ContentType(), "application/sdp") {
		if err := l.session.SetAnswer(res.Body()); err != nil {
			l.log.Info("unusable early answer", "error", err)
		} else {
			f.answered, early = true, true
		}
	}
	if res.StatusCode() == 180 || early {
		l.ring(early)
	}
}

func (l *leg) ring(early bool) {
	if !l.uac.ringing || early && !l.uac.early {
		l.uac.ringing = true
		l.uac.early = l.uac.early || early
		l.post(call.Ringing{Early: l.uac.early})
	}
}

// forkOf returns the dialog that a response belongs to, a new one for a new To tag; nil for a response without tag
// and for one fork too many.
func (l *leg) forkOf(res *sip.Message) *fork {
	tag := res.ToTag()
	if tag == "" {
		return nil
	}
	f := l.uac.forks[tag]
	if f == nil {
		if len(l.uac.forks) >= maxForks {
			return nil
		}
		f = &fork{dialog: l.dialog.fork(res)}
		l.uac.forks[f.dialog.remoteTag] = f
		return f
	}
	f.dialog.retarget(res)
	if res.StatusCode() >= 200 && f.ack == nil {
		f.dialog.reroute(res)
	}
	return f
}

// acknowledge sends PRACK for a reliable provisional; it is false for one that came before or out of order (RFC 3262 §4).
func (l *leg) acknowledge(f *fork, res *sip.Message) bool {
	rseq, err := strconv.ParseUint(res.Header("RSeq"), 10, 32)
	if err != nil || rseq == 0 || f.rseq != 0 && uint32(rseq) != f.rseq+1 {
		return false
	}
	f.rseq = uint32(rseq)
	m := l.forkRequest(f, sip.PRACK)
	m.Add("RAck", strconv.FormatUint(rseq, 10)+" "+strconv.FormatUint(uint64(l.uac.seq), 10)+" INVITE")
	l.send(m, f.dialog.dst, nil)
	return true
}

// forkRequest starts a request in the dialog of a fork. The forks count on from one number, so that none is used twice.
func (l *leg) forkRequest(f *fork, method sip.Method) *sip.Message {
	l.dialog.localSeq++
	return f.dialog.numbered(method, l.dialog.localSeq)
}

// success takes a 2xx: the first one wins, another fork's is acknowledged and ended (RFC 3261 §13.2.2.4).
func (l *leg) success(res *sip.Message) {
	f := l.forkOf(res)
	if f == nil {
		f = &fork{dialog: l.dialog.fork(res)} // one too many; it is let go like a loser
	}
	seq, _ := res.CSeq()
	if f.ack == nil {
		f.ack = f.dialog.numbered(sip.ACK, seq)
	}
	if err := l.agent.stack.Send(f.ack, f.dialog.dst); err != nil {
		l.log.Debug("ACK could not be sent", "error", err)
	}
	if l.uac.winner == f || f.released {
		return // a retransmission
	}
	if l.uac.winner != nil || l.ended || l.state != calling {
		f.released = true
		m := l.forkRequest(f, sip.BYE)
		m.Add("Reason", reasonOf(call.LoseRace))
		l.send(m, f.dialog.dst, nil)
		if l.state == calling { // hung up, and the 2xx crossed the CANCEL
			l.close()
		}
		return
	}
	l.won(f, res)
}

// won makes the fork's dialog the leg's.
func (l *leg) won(f *fork, res *sip.Message) {
	l.uac.winner = f
	next := l.dialog.localSeq
	l.dialog = f.dialog
	l.dialog.localSeq = next
	l.state = confirmed
	l.allows = allowOf(res)
	l.follow(res)
	switch {
	case len(res.Body()) > 0:
		if err := l.session.SetAnswer(res.Body()); err != nil {
			l.log.Warn("unusable answer", "error", err)
			l.hangup(call.IncompatibleDestination, true)
			return
		}
	case !f.answered:
		l.log.Warn("a call was answered without a session description")
		l.hangup(call.IncompatibleDestination, true)
		return
	}
	l.uac.client, l.uac.offer = nil, nil
	l.session.Answered()
	l.timerOf2xx(res)
	l.answered()
	l.armSession()
}

// follow sends the requests of a dialog with one that is no registered phone to the remote target, when egress allows it:
// a carrier's proxy that does not stay in the path names another host in Contact.
func (l *leg) follow(res *sip.Message) {
	if l.uac.target.Hop.IsValid() || len(l.dialog.routes) > 0 {
		return
	}
	contact, err := res.Contact()
	if err != nil {
		return
	}
	if addr, ok := contact.URI.Address(); ok && l.agent.opts.Egress.Check(addr.Addr()) == nil {
		l.dialog.dst.Addr = addr
	}
}

// failure takes a final response of 300 or more. A redirection is a failure: where it leads was not checked by anyone.
func (l *leg) failure(res *sip.Message) {
	status := res.StatusCode()
	if l.ended {
		l.close()
		return
	}
	if least, err := strconv.Atoi(res.Header("Min-SE")); status == 422 && err == nil && least > l.uac.sessionExpires &&
		least <= 86400 && l.uac.minSE == 0 { // RFC 4028 §7.3, once
		l.uac.minSE, l.uac.sessionExpires = least, least
		l.uac.hop--
		l.call()
		return
	}
	if status == 503 && !l.uac.heard && l.uac.hop < len(l.uac.hops) { // RFC 3263 §4.3
		l.call()
		return
	}
	l.end(call.Ended{Cause: causeIn(res, call.CauseOf(status)), Status: status, Remote: true})
	l.close()
}

// fail ends a leg that could not be started. It must be called with l.mu held.
func (l *leg) fail(status int, cause call.Cause, err error) {
	if err != nil {
		l.log.Warn("cannot call", "target", l.uac.target.Name, "kind", bugle.KindOf(err), "error", err)
	}
	l.end(call.Ended{Cause: cause, Status: status})
	l.close()
}

// cancel gives up an outbound call that was not answered. The leg waits for what comes of it.
func (l *leg) cancel(cause call.Cause) {
	if l.ended {
		return
	}
	l.end(call.Ended{Cause: cause, Status: 487})
	if l.uac.client == nil {
		if len(l.uac.hops) > 0 {
			l.close()
		}
		return // names are being looked up, which ends it
	}
	l.uac.client.Cancel(reasonOf(cause)) // RFC 3261 §9.1: the stack waits for a provisional
}

// HandleStray2xx acknowledges and ends a 2xx that no leg waits for any more: a fork that answered late.
func (a *Agent) HandleStray2xx(res *sip.Message, source sip.Source) {
	defer a.recovered()
	seq, method := res.CSeq()
	// Only for a tag that this process gave to this Call-ID: nobody can have a third party's address answered.
	if method != sip.INVITE || res.ToTag() == "" || !a.tags.made(res.FromTag(), res.CallID()) {
		return
	}
	ours := dialog{callID: res.CallID(), local: res.Header("From"), dst: back(source)}
	d := ours.fork(res)
	if d.target == "" {
		return
	}
	if err := a.stack.Send(d.numbered(sip.ACK, seq), d.dst); err != nil {
		return
	}
	bye := d.numbered(sip.BYE, seq+1)
	bye.Add("Reason", reasonOf(call.LoseRace))
	_, _ = a.stack.Request(bye, d.dst, func(sip.Result) {})
}
