package sipua

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"bugle/internal/call"
	"bugle/internal/media"
	"bugle/internal/sip"
)

// legState says what a leg's INVITE has come to.
type legState uint8

const (
	incoming  legState = iota // inbound, without a final response
	accepted                  // inbound, our 2xx waits for its ACK
	calling                   // outbound, without a final response
	confirmed                 // a dialog
	over                      // nothing is left to be done
)

// leg is one party of a call: its INVITE, the dialog that it made, and the party's media. The mutex guards everything below
// it. A leg that has posted Ended may live on for a while, to take or give the messages that RFC 3261 still asks for.
type leg struct {
	agent   *Agent
	id      string // Call-ID
	tag     string // ours
	inbound bool
	realm   string // of its account
	account string
	session *media.Session // nil when there was none to be had
	log     *slog.Logger
	bypass  atomic.Pointer[call.Bypass]

	mu      sync.Mutex
	sink    call.Sink
	waiting []call.Event // events before the sink is known
	state   legState
	ended   bool
	last    call.Ended // once ended
	dialog  dialog
	contact string // our Contact value
	allows  string // the other side's Allow, lower case

	uas         uas
	uac         uac
	accept      *acceptance // a 2xx of ours, to the first or a later INVITE, that waits for its ACK
	change      *change     // an INVITE or UPDATE of ours within the dialog
	redirection *redirection
	timer       sessionTimer
	held        bool
	refer       *referral
	refers      int
	byeDue      call.Cause // BYE is sent when the ACK has come, "" for no
}

func (l *leg) dialogID() dialogID { return dialogID{l.id, l.tag} }

// ID is part of call.Leg.
func (l *leg) ID() string { return l.id }

// post hands an event to the call. It must be called with l.mu held.
func (l *leg) post(event call.Event) {
	if l.ended {
		return
	}
	if last, is := event.(call.Ended); is {
		l.ended, l.last = true, last
	}
	if l.sink == nil {
		l.waiting = append(l.waiting, event)
		return
	}
	l.sink.Post(l, event)
}

// Attach is part of call.Leg. The first sink is given what has happened so far.
func (l *leg) Attach(sink call.Sink) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sink == nil {
		for _, event := range l.waiting {
			sink.Post(l, event)
		}
		l.waiting = nil
	} else if l.ended {
		sink.Post(l, l.last)
	} else if l.held {
		sink.Post(l, call.Held{On: true})
	}
	l.sink = sink
}

// end posts Ended and lets go of the media. It must be called with l.mu held; the signalling may go on.
func (l *leg) end(ended call.Ended) {
	if l.ended {
		return
	}
	l.log.Info("leg ended", "cause", ended.Cause, "status", ended.Status, "remote", ended.Remote)
	l.post(ended)
	l.stopMedia()
	l.bypass.Load().Gone(l)
}

func (l *leg) stopMedia() {
	if l.session != nil {
		l.session.Close()
	}
}

// close is the end of all. It must be called with l.mu held.
func (l *leg) close() {
	if l.state == over {
		return
	}
	l.state = over
	l.stopMedia()
	if l.accept != nil {
		l.accept.stop()
		l.accept = nil
	}
	if l.uas.reliable != nil {
		l.uas.reliable.stop()
		l.uas.reliable = nil
	}
	l.change = nil
	l.timer.stop()
	l.refer = nil
	l.agent.remove(l)
}

// abandon closes a leg whose signalling nobody waits for any more.
func (l *leg) abandon() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.close()
}

// after runs f with l.mu held once d has passed, unless the leg is over by then.
func (l *leg) after(d time.Duration, f func()) sip.Timer {
	return l.agent.opts.Clock.AfterFunc(d, func() {
		defer l.crashed()
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.state != over {
			f()
		}
	})
}

// crashed ends this leg, and it alone, after a panic. The deferred unlocks have run by then.
func (l *leg) crashed() {
	v := recover()
	if v == nil {
		return
	}
	l.agent.panicked(v)
	l.abort()
}

// abort ends a leg after a panic. The other side is told when that can still be done.
func (l *leg) abort() {
	defer l.agent.recovered()
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.close()
	defer l.end(call.Ended{Cause: call.TemporaryFailure})
	switch l.state {
	case incoming:
		l.refuse(500, "", call.TemporaryFailure)
	case calling, confirmed:
		l.hangup(call.TemporaryFailure, false)
	}
}

// Hangup is part of call.Leg.
func (l *leg) Hangup(cause call.Cause) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hangup(cause, false)
}

// hangup ends the leg by what its state allows. It must be called with l.mu held.
func (l *leg) hangup(cause call.Cause, remote bool) {
	switch l.state {
	case incoming:
		l.refuse(cause.Status(), "", cause)
	case accepted:
		// RFC 3261 §15: no BYE before the ACK, or before it is clear that none comes.
		if l.byeDue == "" {
			l.byeDue = cause
		}
		l.end(call.Ended{Cause: cause, Remote: remote})
	case calling:
		l.cancel(cause)
	case confirmed:
		l.end(call.Ended{Cause: cause, Remote: remote})
		if l.refer != nil && l.refer.news >= 200 && !l.refer.failing {
			l.byeDue = cause // the party is told first what has come of its transfer
			return
		}
		l.bye(cause)
	}
}

// bye ends the dialog. It must be called with l.mu held.
func (l *leg) bye(cause call.Cause) {
	m := l.dialog.request(sip.BYE)
	m.Add("Reason", reasonOf(cause))
	l.send(m, l.dialog.dst, nil)
	l.close()
}

// send starts a transaction of a request that is not INVITE. on may be nil; otherwise it runs with l.mu held with the
// status of the final response, 408 or 503 when there was none, unless the leg is over by then.
func (l *leg) send(m *sip.Message, dst sip.Destination, on func(status int, res *sip.Message)) {
	m.Add("User-Agent", l.agent.opts.UserAgent)
	_, err := l.agent.stack.Request(m, dst, func(r sip.Result) {
		defer l.crashed()
		status := statusOf(r)
		if on == nil || status < 200 {
			return
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.state != over {
			on(status, r.Response)
		}
	})
	if err != nil && on != nil {
		// As an answer, later: the caller is in the middle of something.
		l.after(0, func() { on(503, nil) })
	}
}

// statusOf is the status of a result; RFC 3261 §8.1.3.1 says which one stands for a timeout and a transport error.
func statusOf(r sip.Result) int {
	switch {
	case r.Response != nil:
		return r.Response.StatusCode()
	case isTimeout(r.Err):
		return 408
	}
	return 503
}

// OnDigit is part of media.Events.
func (l *leg) OnDigit(key byte) { l.postLocked(call.Digit{Key: key}) }

// OnPlayEnded is part of media.Events.
func (l *leg) OnPlayEnded(token int) { l.postLocked(call.PlayEnded{Token: token}) }

// OnMediaTimeout is part of media.Events: nobody has been heard for a minute on a call that is not held.
func (l *leg) OnMediaTimeout() {
	defer l.crashed()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == confirmed && !l.ended {
		l.hangup(call.MediaTimeout, false)
	}
}

func (l *leg) postLocked(event call.Event) {
	defer l.crashed()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.post(event)
}

// Play is part of call.Leg.
func (l *leg) Play(token int, clips []*media.Clip, loop bool) {
	if l.session != nil {
		l.bypass.Load().Need(func() { l.session.Play(token, clips, loop) })
	}
}

// StopPlay is part of call.Leg.
func (l *leg) StopPlay() {
	if l.session != nil {
		l.bypass.Load().Release(l.session.StopPlay)
	}
}

// SendDigits is part of call.Leg.
func (l *leg) SendDigits(digits string, each time.Duration) {
	if l.session != nil {
		l.bypass.Load().Need(func() { l.session.SendDigits(digits, each) })
	}
}

// DetectDigits is part of call.Leg.
func (l *leg) DetectDigits(on bool) {
	if l.session != nil {
		l.bypass.Load().Need(func() { l.session.DetectDigits(on) })
	}
}

// Join is part of call.Leg. No lock is needed: a session never changes.
func (l *leg) Join(other call.Leg) {
	if o := call.MediaOf(other); l.session != nil && o != nil {
		l.bypass.Load().Need(func() { l.session.Join(o) })
	}
}

// Media is part of call.MediaLeg.
func (l *leg) Media() *media.Session { return l.session }

// Part is part of call.Leg.
func (l *leg) Part() {
	if l.session != nil {
		l.bypass.Load().Release(l.session.Part)
	}
}

// Session returns the media of a leg of this package, nil for another's: for recording, and for statistics.
func Session(l call.Leg) *media.Session {
	if l, ok := l.(*leg); ok {
		return l.session
	}
	return nil
}
