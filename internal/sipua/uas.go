package sipua

import (
	"strconv"
	"strings"
	"time"

	"bugle/internal/call"
	"bugle/internal/sip"
)

// uas is what an inbound leg keeps of its INVITE.
type uas struct {
	tx        *sip.ServerTransaction
	req       *sip.Message
	answer    []byte // to the offer in the INVITE, nil when it had none
	wants     bool   // Require: 100rel
	can100rel bool
	timer     sessionTimer // as the 2xx will agree to it

	rung, progressed bool
	answering        bool         // Answer waits for a PRACK
	described        bool         // a session description went out reliably
	offered          bool         // ... and it was our offer, to be answered by the PRACK
	reliable         *provisional // sent reliably, without PRACK so far
	queue            []provisional
	rseq             uint32
}

// provisional is a response of RFC 3262 that is repeated until its PRACK comes.
type provisional struct {
	status   int
	sdp      []byte
	rseq     uint32
	res      *sip.Message
	timer    sip.Timer
	interval time.Duration
	since    time.Time
}

func (p *provisional) stop() {
	if p.timer != nil {
		p.timer.Stop()
	}
}

// Ring is part of call.Leg.
func (l *leg) Ring() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == incoming && !l.ended && !l.uas.rung && !l.uas.answering {
		l.uas.rung = true
		l.provisional(180, nil)
	}
}

// Progress is part of call.Leg.
func (l *leg) Progress() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state != incoming || l.ended || l.uas.progressed || l.uas.answering {
		return
	}
	sdp := l.uas.answer
	if sdp == nil {
		// Without an offer in the INVITE early media takes an offer of ours, which only a reliable response may carry
		// (RFC 3261 §13.2.1).
		if !l.uas.can100rel {
			return
		}
		offer, err := l.session.Offer()
		if err != nil {
			l.log.Warn("no early media", "error", err)
			return
		}
		sdp = offer
	}
	l.uas.progressed = true
	l.provisional(183, sdp)
}

// provisional sends a 18x: reliably when the caller requires it, or when it carries a description and the caller can.
func (l *leg) provisional(status int, sdp []byte) {
	if !l.uas.wants && (sdp == nil || !l.uas.can100rel) {
		res := l.response(status, sdp)
		_ = l.uas.tx.Respond(res) // a caller who misses it gets the final response
		res.Release()
		return
	}
	if l.uas.reliable != nil { // RFC 3262 §3: the next one waits for the PRACK of the first
		if len(l.uas.queue) < 4 {
			l.uas.queue = append(l.uas.queue, provisional{status: status, sdp: sdp})
		}
		return
	}
	l.reliably(status, sdp)
}

func (l *leg) reliably(status int, sdp []byte) {
	if sdp != nil {
		if l.uas.described {
			sdp = nil // it has been said
		} else {
			l.uas.described = true
			l.uas.offered = l.uas.answer == nil
		}
	}
	l.uas.rseq++
	res := l.response(status, sdp)
	res.Add("Require", "100rel")
	res.Add("RSeq", strconv.FormatUint(uint64(l.uas.rseq), 10))
	p := &provisional{status: status, sdp: sdp, rseq: l.uas.rseq, res: res, interval: l.agent.opts.T1, since: l.agent.opts.Clock.Now()}
	l.uas.reliable = p
	_ = l.uas.tx.Respond(res)
	p.timer = l.after(p.interval, func() { l.repeat(p) })
}

// repeat sends a reliable provisional again, and gives the call up after 64*T1 (RFC 3262 §3).
func (l *leg) repeat(p *provisional) {
	if l.uas.reliable != p || l.state != incoming {
		return
	}
	if l.agent.opts.Clock.Now().Sub(p.since) >= 64*l.agent.opts.T1 {
		l.refuse(504, "No PRACK", call.RecoveryOnTimerExpire)
		return
	}
	_ = l.uas.tx.Respond(p.res)
	p.interval *= 2
	p.timer = l.after(p.interval, func() { l.repeat(p) })
}

// prack takes the acknowledgement of a reliable provisional (RFC 3262 §3).
func (l *leg) prack(tx *sip.ServerTransaction, req *sip.Message) {
	p := l.uas.reliable
	if p == nil || !l.uas.acknowledges(req.Header("RAck"), p) {
		l.agent.reply(tx, req, 481, "")
		return
	}
	res := sip.NewResponse(req, 200, "")
	if len(req.Body()) > 0 && p.sdp != nil && l.uas.offered {
		if err := l.session.SetAnswer(req.Body()); err != nil {
			res.Release()
			l.agent.refuseOffer(tx, req, err)
			return
		}
	} else if len(req.Body()) > 0 {
		answer, err := l.session.Accept(req.Body()) // a new offer (RFC 3262 §5)
		if err != nil {
			res.Release()
			l.agent.refuseOffer(tx, req, err)
			return
		}
		res.SetBody("application/sdp", answer)
	} else if p.sdp != nil && l.uas.offered {
		res.Release()
		l.agent.reply(tx, req, 400, "Missing Answer")
		return
	}
	l.agent.send(tx, res)
	p.stop()
	p.res.Release()
	l.uas.reliable = nil
	if l.uas.answering {
		l.uas.queue = nil
		l.sendOK()
	} else if len(l.uas.queue) > 0 {
		next := l.uas.queue[0]
		l.uas.queue = l.uas.queue[1:]
		l.reliably(next.status, next.sdp)
	}
}

// acknowledges says whether a RAck names the response and the INVITE.
func (u *uas) acknowledges(value string, p *provisional) bool {
	seq, _ := u.req.CSeq()
	f := strings.Fields(value)
	return len(f) == 3 && f[0] == strconv.FormatUint(uint64(p.rseq), 10) && f[1] == strconv.FormatUint(uint64(seq), 10) &&
		f[2] == string(sip.INVITE)
}

// response starts a response to the INVITE that makes or confirms the dialog.
func (l *leg) response(status int, sdp []byte) *sip.Message {
	res := sip.NewResponse(l.uas.req, status, "")
	res.Add("Contact", l.contact)
	res.Add("Allow", allowed)
	res.Add("Server", l.agent.opts.UserAgent)
	if sdp != nil {
		res.SetBody("application/sdp", sdp)
	}
	return res
}

// Answer is part of call.Leg.
func (l *leg) Answer() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state != incoming || l.ended || l.uas.answering {
		return
	}
	// RFC 3262 §3: no 2xx before the PRACK for a reliable response with a description. One without could be passed over, but
	// simple phones expect its PRACK to be answered first.
	if l.uas.reliable != nil {
		l.uas.answering = true
		return
	}
	l.sendOK()
}

// sendOK accepts the call. It must be called with l.mu held.
func (l *leg) sendOK() {
	sdp, ours := l.uas.answer, false
	switch {
	case l.uas.described:
		sdp = nil // RFC 3262 §5: the reliable response carried it
	case sdp == nil:
		offer, err := l.session.Offer()
		if err != nil {
			l.log.Error("no offer", "error", err)
			l.refuse(500, "", call.TemporaryFailure)
			return
		}
		sdp, ours = offer, true
	}
	res := l.response(200, sdp)
	res.Add("Supported", supported)
	l.timer.seconds, l.timer.refresh = l.uas.timer.seconds, l.uas.timer.refresh
	l.addSessionExpires(res)
	l.state = accepted
	seq, _ := l.uas.req.CSeq()
	if err := l.accepting(l.uas.tx, res, seq, ours); err != nil {
		l.log.Warn("the answer could not be sent", "error", err)
	}
	l.session.Answered()
	if !ours {
		l.answered()
	}
}

// answered tells the call that media may flow. It must be called with l.mu held.
func (l *leg) answered() {
	l.post(call.Answered{})
	l.checkHold()
}

// Reject is part of call.Rejecter.
func (l *leg) Reject(status int, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == incoming && status >= 300 && status < 700 {
		l.refuse(status, reason, call.CauseOf(status))
	}
}

// refuse gives the INVITE a final response of 300 or more. It must be called with l.mu held.
func (l *leg) refuse(status int, reason string, cause call.Cause) {
	res := sip.NewResponse(l.uas.req, status, reason)
	res.Add("Reason", reasonOf(cause))
	if status == 503 {
		res.AddInt("Retry-After", retryAfter)
	}
	l.agent.send(l.uas.tx, res)
	l.end(call.Ended{Cause: cause})
	l.close()
}

// cancelled is CANCEL, which the stack has answered (RFC 3261 §9.2).
func (l *leg) cancelled() {
	defer l.crashed()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == incoming {
		l.terminated()
	}
}

// terminated ends an inbound call that its caller gave up: 487.
func (l *leg) terminated() {
	l.agent.reply(l.uas.tx, l.uas.req, 487, "")
	l.end(call.Ended{Cause: call.OriginatorCancel, Remote: true})
	l.close()
}
