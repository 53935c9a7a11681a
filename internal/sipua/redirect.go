package sipua

import (
	"strconv"
	"time"

	"bugle/internal/call"
	"bugle/internal/media"
	"bugle/internal/sip"
)

// redirection is an INVITE of ours that tells the phone with whom to exchange its audio: RFC 3725, with the phones' last
// descriptions instead of new ones, so that either is asked only once.
type redirection struct {
	to       *media.Endpoint // nil: us
	done     func(call.RedirectOutcome)
	waits    int
	tries    int
	returned bool // meanwhile the phone has asked for something itself
}

const (
	redirectPause = 100 * time.Millisecond // while something else is under way
	maxPauses     = 50                     // before a phone is sent away; for one that is called back there is no limit
	maxGlares     = 8
)

// Bypass is part of call.DirectLeg.
func (l *leg) Bypass(from, to *call.Bypass) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.bypass.CompareAndSwap(from, to) {
		return false
	}
	if l.ended {
		to.Gone(l)
	}
	return true
}

// Endpoint is part of call.DirectLeg.
func (l *leg) Endpoint() (media.Endpoint, bool) {
	l.mu.Lock()
	ok := !l.ended && (l.state == confirmed || l.state == accepted) && l.session != nil
	l.mu.Unlock()
	if !ok {
		return media.Endpoint{}, false
	}
	return l.session.Endpoint()
}

// Redirect is part of call.DirectLeg.
func (l *leg) Redirect(to *media.Endpoint, done func(call.RedirectOutcome)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.redirection = &redirection{to: to, done: done}
	l.redirect(l.redirection)
}

// redirect sends the INVITE as soon as nothing else is under way. It must be called with l.mu held.
func (l *leg) redirect(r *redirection) {
	busy := l.state != confirmed || l.accept != nil || l.change != nil
	switch {
	case l.ended:
		return
	case r.returned && r.to == nil:
		l.settleRedirect(r, call.Redirected)
		return
	case r.to != nil && (r.returned || busy && r.waits == maxPauses):
		l.settleRedirect(r, call.NotRedirected)
		return
	case busy:
		r.waits++
		l.after(redirectPause, func() { l.redirect(r) })
		return
	}
	offer, err := l.session.Redirect(r.to)
	if err != nil {
		l.log.Warn("no offer", "error", err)
		l.settleRedirect(r, call.NotRedirected)
		return
	}
	r.tries++
	l.propose(sip.INVITE, offer, func(status int, res *sip.Message) { l.redirected(r, status, res) })
}

func (l *leg) settleRedirect(r *redirection, outcome call.RedirectOutcome) {
	l.redirection = nil
	r.done(outcome)
}

// redirected takes the final response.
func (l *leg) redirected(r *redirection, status int, res *sip.Message) {
	if status < 300 {
		l.dialog.retarget(res)
		if l.timer.seconds > 0 {
			l.timerOf2xx(res)
		}
		l.armSession()
		err := l.session.SetAnswer(res.Body())
		if err == nil {
			l.settleRedirect(r, call.Redirected)
			l.checkHold()
			return
		}
		l.log.Info("unusable answer", "error", err)
		l.session.Unanswered()
		l.settleRedirect(r, call.RedirectUnknown)
		return
	}
	l.session.Unanswered()
	gone := status == 408 && r.to == nil && l.session.Away() // it has left for another phone, and says nothing to us any more
	switch {
	case status == 491 && r.to == nil && r.tries < maxGlares:
		l.after(l.glareWait(), func() { l.redirect(r) })
	case status == 422 && r.tries == 1 && l.raised(res):
		l.redirect(r)
	case status == 481, gone: // RFC 3261 §12.2.1.2: the dialog is gone
		l.hangup(call.RecoveryOnTimerExpire, true)
	case status == 408: // one that has stayed is heard, or the media timeout ends the call
		l.settleRedirect(r, call.RedirectUnknown)
	default:
		l.settleRedirect(r, call.NotRedirected)
	}
}

// raised takes the Min-SE of a 422.
func (l *leg) raised(res *sip.Message) bool {
	least, err := strconv.Atoi(res.Header("Min-SE"))
	if err != nil || least <= l.timer.seconds || least > 86400 {
		return false
	}
	l.uac.minSE, l.timer.seconds = least, least
	return true
}

// returned is that an offer of the phone's was answered, or is asked for, with our own description. It must be called with l.mu
// held.
func (l *leg) returned(asked bool) {
	if !asked && l.session.Away() { // it has said what it said before
		return
	}
	if l.redirection != nil {
		l.redirection.returned = true
	}
	l.bypass.Load().Returned(l)
}
