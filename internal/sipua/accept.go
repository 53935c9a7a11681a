package sipua

import (
	"time"

	"bugle/internal/call"
	"bugle/internal/sip"
)

// acceptance is a 2xx of ours to an INVITE, repeated until its ACK comes (RFC 3261 §13.3.1.4).
type acceptance struct {
	tx       *sip.ServerTransaction
	res      *sip.Message
	seq      uint32
	offered  bool // the 2xx carries our offer, and the ACK is to bring the answer
	timer    sip.Timer
	interval time.Duration
	since    time.Time
}

func (p *acceptance) stop() {
	if p.timer != nil {
		p.timer.Stop()
	}
}

// accepting sends a 2xx and sees to its repetition. It must be called with l.mu held.
func (l *leg) accepting(tx *sip.ServerTransaction, res *sip.Message, seq uint32, offered bool) error {
	p := &acceptance{tx: tx, res: res, seq: seq, offered: offered, interval: l.agent.opts.T1, since: l.agent.opts.Clock.Now()}
	l.accept = p
	p.timer = l.after(p.interval, func() { l.acceptAgain(p) })
	return tx.Respond(res)
}

func (l *leg) acceptAgain(p *acceptance) {
	if l.accept != p {
		return
	}
	if l.agent.opts.Clock.Now().Sub(p.since) >= 64*l.agent.opts.T1 {
		// RFC 3261 §13.3.1.4: the dialog is confirmed, but the session is to be ended with a BYE.
		l.accept = nil
		l.end(call.Ended{Cause: call.RecoveryOnTimerExpire})
		l.bye(call.RecoveryOnTimerExpire)
		return
	}
	_ = p.tx.Respond(p.res)
	// The interval doubles up to T2, over TCP too, since the 2xx crosses proxies.
	p.interval = min(2*p.interval, l.agent.opts.T2)
	p.timer = l.after(p.interval, func() { l.acceptAgain(p) })
}

// acknowledged is the ACK to a 2xx of ours.
func (l *leg) acknowledged(req *sip.Message) {
	defer l.crashed()
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.accept
	seq, _ := req.CSeq()
	if p == nil || seq != p.seq || !l.knows(req.FromTag()) {
		return
	}
	p.stop()
	l.accept = nil
	p.res.Release()
	first := l.state == accepted
	l.state = confirmed
	if first {
		l.uas = uas{} // the INVITE and its transaction are not needed any more
	}
	if l.byeDue != "" {
		l.bye(l.byeDue)
		return
	}
	if p.offered {
		if err := l.session.SetAnswer(req.Body()); err != nil {
			l.log.Warn("unusable answer in ACK", "error", err)
			l.hangup(call.IncompatibleDestination, true)
			return
		}
	}
	if first && p.offered {
		l.answered()
	} else {
		l.checkHold()
	}
	if first {
		l.armSession()
	}
}

// checkHold tells the call when the party has put it on hold or taken it back. It must be called with l.mu held.
func (l *leg) checkHold() {
	if l.ended || l.session == nil {
		return
	}
	if held := l.session.Held(); held != l.held {
		l.held = held
		l.post(call.Held{On: held})
	}
}
