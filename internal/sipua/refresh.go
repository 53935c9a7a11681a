package sipua

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"bugle/internal/call"
	"bugle/internal/sip"
)

// change is an INVITE or UPDATE of ours within the dialog.
type change struct {
	offers bool
	seq    uint32
	ack    *sip.Message
	final  func(status int, res *sip.Message)
}

func (t *sessionTimer) stop() {
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
}

// inboundTimer judges the Session-Expires of an INVITE that begins a call; least is the Min-SE of a 422 (RFC 4028 §9).
func (a *Agent) inboundTimer(req *sip.Message) (t sessionTimer, least int) {
	if !req.ListHas("Supported", "timer") && !req.ListHas("Require", "timer") {
		return t, 0
	}
	ours := int(a.opts.SessionExpires.Seconds())
	value := req.Header("Session-Expires")
	seconds, refresher, ok := parseSessionExpires(value)
	if value == "" || !ok {
		seconds = ours
	} else if seconds < leastSessionExpires {
		return t, leastSessionExpires
	}
	minSE, _ := strconv.Atoi(req.Header("Min-SE"))
	t.seconds = max(min(seconds, ours), min(minSE, seconds), leastSessionExpires)
	t.refresh = refresher == "uas"
	return t, 0
}

// addSessionExpires puts what was agreed into a 2xx of ours, where "uas" is us.
func (l *leg) addSessionExpires(res *sip.Message) {
	switch {
	case l.timer.seconds == 0:
	case l.timer.refresh:
		res.Add("Session-Expires", strconv.Itoa(l.timer.seconds)+";refresher=uas")
	default:
		res.Add("Session-Expires", strconv.Itoa(l.timer.seconds)+";refresher=uac")
		res.Add("Require", "timer") // RFC 4028 §9
	}
}

// timerOfRequest takes the Session-Expires of a request within the dialog; when it is false the request was answered 422.
func (l *leg) timerOfRequest(tx *sip.ServerTransaction, req *sip.Message) bool {
	value := req.Header("Session-Expires")
	if value == "" || !req.ListHas("Supported", "timer") && !req.ListHas("Require", "timer") {
		return true
	}
	t, least := l.agent.inboundTimer(req)
	if least > 0 {
		l.agent.reply(tx, req, 422, "", header{"Min-SE", itoa(least)})
		return false
	}
	_, refresher, _ := parseSessionExpires(value)
	if refresher == "" && l.timer.seconds > 0 {
		t.refresh = l.timer.refresh // RFC 4028 §9: the roles stay
	}
	l.timer.seconds, l.timer.refresh = t.seconds, t.refresh
	return true
}

// timerOf2xx takes the answer to our Session-Expires, where "uac" is us. Without one the other side knows no session timer.
func (l *leg) timerOf2xx(res *sip.Message) {
	seconds, refresher, ok := parseSessionExpires(res.Header("Session-Expires"))
	l.timer.seconds, l.timer.refresh = 0, false
	if ok && seconds >= leastSessionExpires {
		l.timer.seconds, l.timer.refresh = seconds, refresher != "uas"
	}
}

// armSession starts the interval anew.
func (l *leg) armSession() {
	l.timer.stop()
	l.timer.round++
	if l.timer.seconds == 0 || l.state == over {
		return
	}
	round := l.timer.round
	l.timer.timer = l.after(l.timer.wait(), func() {
		if round != l.timer.round || l.ended {
			return
		}
		if l.timer.refresh {
			l.refresh(l.peerTakes(sip.UPDATE))
			return
		}
		l.sessionExpired()
	})
}

// sessionExpired ends a call whose other side has not refreshed it (RFC 4028 §10).
func (l *leg) sessionExpired() {
	l.hangup(call.RecoveryOnTimerExpire, false)
}

// refresh sends UPDATE, or INVITE to those who do not know it, so that both sides and the proxies see that the call is alive.
func (l *leg) refresh(update bool) {
	if l.state != confirmed || l.ended {
		return
	}
	if l.accept != nil || l.change != nil {
		l.refreshLater(time.Second, update)
		return
	}
	method := sip.INVITE
	if update {
		method = sip.UPDATE
	}
	var sdp []byte
	if !update {
		var err error
		if sdp, err = l.session.Offer(); err != nil {
			l.log.Warn("no offer for a refresh", "error", err)
			return
		}
	}
	l.propose(method, sdp, func(status int, res *sip.Message) { l.refreshed(update, status, res) })
}

// propose sends an INVITE or UPDATE within the dialog, with the session timer as it is. final takes the final response, with
// l.mu held, 408 or 503 without one.
func (l *leg) propose(method sip.Method, sdp []byte, final func(status int, res *sip.Message)) {
	m := l.dialog.request(method)
	m.Add("Contact", l.contact)
	m.Add("Allow", allowed)
	m.Add("Supported", supported)
	if l.timer.seconds > 0 {
		refresher := ";refresher=uas"
		if l.timer.refresh {
			refresher = ";refresher=uac"
		}
		m.Add("Session-Expires", strconv.Itoa(l.timer.seconds)+refresher)
		m.AddInt("Min-SE", max(leastSessionExpires, l.uac.minSE))
	}
	if sdp != nil {
		m.SetBody("application/sdp", sdp)
	}
	c := &change{offers: sdp != nil, seq: l.dialog.localSeq, final: final}
	l.change = c
	if method != sip.INVITE {
		l.send(m, l.dialog.dst, func(status int, res *sip.Message) { l.changed(c, status, res) })
		return
	}
	m.Add("User-Agent", l.agent.opts.UserAgent)
	if _, err := l.agent.stack.Request(m, l.dialog.dst, func(r sip.Result) { l.reinvited(c, r) }); err != nil {
		l.after(0, func() { l.changed(c, 503, nil) })
	}
}

// changed takes the final response to a change.
func (l *leg) changed(c *change, status int, res *sip.Message) {
	if l.change == c && l.state == confirmed {
		l.change = nil
		c.final(status, res)
	}
}

// reinvited takes the results of an INVITE of ours within the dialog. Each 2xx is acknowledged.
func (l *leg) reinvited(c *change, r sip.Result) {
	defer l.crashed()
	status := statusOf(r)
	if status < 200 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if status < 300 {
		if c.ack == nil {
			c.ack = l.dialog.numbered(sip.ACK, c.seq)
		}
		_ = l.agent.stack.Send(c.ack, l.dialog.dst)
	}
	l.changed(c, status, r.Response)
}

// refreshed takes the final response to a refresh.
func (l *leg) refreshed(update bool, status int, res *sip.Message) {
	switch {
	case status < 300:
		if res != nil {
			l.dialog.retarget(res)
			if !update && len(res.Body()) > 0 {
				if err := l.session.SetAnswer(res.Body()); err != nil {
					l.log.Warn("unusable answer", "error", err)
				}
				l.checkHold()
			}
			l.timerOf2xx(res)
		}
		l.armSession()
	case status == 491:
		l.refreshLater(l.glareWait(), update)
	case status == 422 && res != nil:
		if l.raised(res) {
			l.refresh(update)
			return
		}
		l.lastChance()
	case status == 408 || status == 481: // RFC 3261 §12.2.1.2: the dialog is gone
		l.hangup(call.RecoveryOnTimerExpire, true)
	case update: // UPDATE was refused; RFC 4028 §7.2 leaves INVITE
		l.allows = strings.ReplaceAll(l.allows, string(sip.UPDATE)+" ", "")
		l.refresh(false)
	default:
		l.lastChance()
	}
}

// glareWait is how long to wait after a 491. RFC 3261 §14.1: who owns the Call-ID waits longer.
func (l *leg) glareWait() time.Duration {
	if l.inbound {
		return time.Duration(rand.IntN(200)) * 10 * time.Millisecond
	}
	return 2100*time.Millisecond + time.Duration(rand.IntN(190))*10*time.Millisecond
}

// lastChance lets the rest of the interval pass, and ends the call unless the other side refreshes it.
func (l *leg) lastChance() {
	l.timer.stop()
	l.timer.round++
	round := l.timer.round
	l.timer.timer = l.after(time.Duration(l.timer.seconds)*time.Second/2, func() {
		if round == l.timer.round && !l.ended {
			l.sessionExpired()
		}
	})
}

func (l *leg) refreshLater(wait time.Duration, update bool) {
	l.timer.stop()
	l.timer.round++
	round := l.timer.round
	l.timer.timer = l.after(wait, func() {
		if round == l.timer.round {
			l.refresh(update)
		}
	})
}
