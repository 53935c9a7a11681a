package sipua

import (
	"strings"

	"bugle/internal/call"
	"bugle/internal/sip"
)

// request takes a request within the leg's dialog.
func (l *leg) request(tx *sip.ServerTransaction, req *sip.Message) {
	defer l.reraise()
	var attended *call.Dialog
	if req.Method() == sip.REFER {
		attended = l.agent.attended(req, l.account) // before the lock, since it takes another leg's
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == over || !l.knows(req.FromTag()) {
		l.agent.reply(tx, req, 481, "")
		return
	}
	// RFC 3261 §12.2.2: a number lower than the last is out of order.
	seq, _ := req.CSeq()
	d := &l.dialog
	if l.state == calling {
		d = &l.uac.forks[req.FromTag()].dialog
	}
	if d.remoteSeq != 0 && seq <= d.remoteSeq {
		l.agent.reply(tx, req, 500, "CSeq Out Of Order")
		return
	}
	d.remoteSeq = seq
	switch req.Method() {
	case sip.INVITE:
		l.reinvite(tx, req)
	case sip.UPDATE:
		l.update(tx, req)
	case sip.BYE:
		l.byed(tx, req)
	case sip.PRACK:
		l.prack(tx, req)
	case sip.INFO:
		l.info(tx, req)
	case sip.REFER:
		l.referred(tx, req, attended)
	case sip.OPTIONS:
		l.agent.reply(tx, req, 200, "", header{"Allow", allowed}, header{"Accept", acceptedBodies},
			header{"Supported", supported})
	case sip.NOTIFY:
		l.agent.reply(tx, req, 481, "Subscription Does Not Exist")
	default:
		l.agent.refuseMethod(tx, req)
	}
}

// reraise ends the leg after a panic and lets it go on to the caller, who answers and counts it.
func (l *leg) reraise() {
	if v := recover(); v != nil {
		l.abort()
		panic(v)
	}
}

// knows says whether a tag is the other side's: of the dialog, or of one that our INVITE may still become.
func (l *leg) knows(tag string) bool {
	if l.state == calling {
		return l.uac.forks[tag] != nil
	}
	return tag == l.dialog.remoteTag
}

// byed is BYE.
func (l *leg) byed(tx *sip.ServerTransaction, req *sip.Message) {
	if l.state == calling { // RFC 3261 §15: the callee ends an early dialog with a response, not with BYE
		l.agent.reply(tx, req, 481, "")
		return
	}
	l.agent.reply(tx, req, 200, "")
	if l.state == incoming {
		l.terminated()
		return
	}
	l.end(call.Ended{Cause: causeIn(req, call.NormalClearing), Remote: true})
	l.close()
}

// info is INFO (RFC 6086): keys of the phone; other contents are refused.
func (l *leg) info(tx *sip.ServerTransaction, req *sip.Message) {
	if req.Has("Info-Package") {
		l.agent.reply(tx, req, 469, "", header{"Recv-Info", ""})
		return
	}
	if len(req.Body()) == 0 {
		l.agent.reply(tx, req, 200, "")
		return
	}
	key, known := digitOfInfo(req.ContentType(), req.Body())
	switch {
	case !known:
		l.agent.reply(tx, req, 415, "", header{"Accept", "application/dtmf-relay, application/dtmf"})
	case key == 0:
		l.agent.reply(tx, req, 400, "Not A Key")
	default:
		l.agent.reply(tx, req, 200, "")
		if !l.ended {
			l.bypass.Load().Need(func() { l.session.Digit(key) })
			l.post(call.Digit{Key: key}) // before whatever the next request brings: a phone hangs up right after its last key
		}
	}
}

// pending answers an offer that comes at a bad time; it is true when it did. RFC 3261 §14.2, RFC 3311 §5.2: 491 while an
// offer of ours is under way, 500 with Retry-After while an earlier one of theirs is.
func (l *leg) pending(tx *sip.ServerTransaction, req *sip.Message, update bool) bool {
	offers := len(req.Body()) > 0 || !update
	switch {
	case !offers:
		return false
	case l.change != nil && l.change.offers, l.state == calling, l.accept != nil && l.accept.offered,
		l.state == incoming && l.uas.offered && l.uas.reliable != nil:
		l.agent.reply(tx, req, 491, "")
	case l.state == incoming && (!update || !l.uas.described || l.uas.reliable != nil), l.accept != nil && !update:
		l.agent.reply(tx, req, 500, "", header{"Retry-After", "1"})
	default:
		return false
	}
	return true
}

// reinvite is an INVITE within the dialog: hold, another address, a refresh.
func (l *leg) reinvite(tx *sip.ServerTransaction, req *sip.Message) {
	if l.ended { // it ends as soon as the ACK that it waits for comes
		l.agent.reply(tx, req, 481, "")
		return
	}
	if l.pending(tx, req, false) || !l.agent.readableBody(tx, req) || !l.timerOfRequest(tx, req) {
		return
	}
	var sdp []byte
	var err error
	offered := len(req.Body()) == 0
	if offered {
		sdp, err = l.session.Redirect(nil)
	} else {
		sdp, err = l.session.Accept(req.Body())
	}
	if err != nil { // the session goes on as it was (RFC 3261 §14.2)
		l.agent.refuseOffer(tx, req, err)
		return
	}
	l.retargeted(tx, req)
	l.allows = allowOf(req)
	res := sip.NewResponse(req, 200, "")
	res.Add("Contact", l.contact)
	res.Add("Allow", allowed)
	res.Add("Supported", supported)
	res.Add("Server", l.agent.opts.UserAgent)
	l.addSessionExpires(res)
	res.SetBody("application/sdp", sdp)
	seq, _ := req.CSeq()
	l.armSession()
	if err := l.accepting(tx, res, seq, offered); err != nil {
		l.log.Warn("the answer could not be sent", "error", err)
	}
	l.returned(offered)
	if !offered {
		l.checkHold()
	}
}

// retargeted takes the new Contact of a request that may change it, and the way to it. One that is no phone of ours, but
// was called by its URI, stays where egress let us go.
func (l *leg) retargeted(tx *sip.ServerTransaction, req *sip.Message) {
	l.dialog.retarget(req)
	if l.inbound || l.uac.target.Hop.IsValid() {
		l.dialog.moved(tx.Source())
	}
}

// update is UPDATE (RFC 3311): the same without ACK, and before the answer too.
func (l *leg) update(tx *sip.ServerTransaction, req *sip.Message) {
	if l.ended {
		l.agent.reply(tx, req, 481, "")
		return
	}
	if l.pending(tx, req, true) || !l.agent.readableBody(tx, req) || !l.timerOfRequest(tx, req) {
		return
	}
	res := sip.NewResponse(req, 200, "")
	if len(req.Body()) > 0 {
		answer, err := l.session.Accept(req.Body())
		if err != nil {
			res.Release()
			l.agent.refuseOffer(tx, req, err)
			return
		}
		res.SetBody("application/sdp", answer)
		l.returned(false)
	}
	l.retargeted(tx, req)
	res.Add("Contact", l.contact)
	res.Add("Allow", allowed)
	l.addSessionExpires(res)
	answered := l.state == confirmed || l.state == accepted
	if answered {
		l.armSession()
	}
	l.agent.send(tx, res)
	if answered {
		l.checkHold()
	}
}

// peerTakes says whether the other side's Allow names the method.
func (l *leg) peerTakes(method sip.Method) bool {
	return strings.Contains(l.allows, string(method)+" ")
}
