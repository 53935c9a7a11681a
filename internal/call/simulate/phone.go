package simulate

import (
	"hash/fnv"
	"io"
	"net/netip"
	"slices"
	"time"

	"bugle/internal/call"
	"bugle/internal/media"
)

// phone is what a leg's phone does with its audio.
type phone struct {
	bypass   *call.Bypass
	endpoint media.Endpoint // zero: an ordinary phone at an address of its own
	away     *media.Endpoint
	left     bool // and the server knows that it is
	asked    bool // an INVITE of the call's is under way
	answers  []Answer
	lost     []string // what was sent to it while it was away
	invites  int      // within the dialog
}

// Answer is what a phone makes of an INVITE within its dialog.
type Answer struct {
	Status   int           // 0: 200; 408: it says nothing
	After    time.Duration // until it says so
	Acts     bool          // it does as it was told although Status says something else
	Unusable bool          // it answers 200 and a description that is of no use
}

// glareWait is how long the server waits before it asks a phone again that has answered 491.
const glareWait = 2100 * time.Millisecond

// mediaTimeout is how long the server waits for audio.
const mediaTimeout = time.Minute

// Answers lets the phone answer the next INVITEs within its dialog in this way. Those that come later it follows at once.
func (l *Leg) Answers(answers ...Answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.phone.answers = append(l.phone.answers, answers...)
}

// At makes the phone one of this endpoint; what it leaves out is as with any.
func (l *Leg) At(e media.Endpoint) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.phone.endpoint = e
}

// Address is where the phone takes audio.
func (l *Leg) Address() netip.AddrPort {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.where().RTP
}

// SendsTo is where the phone sends its audio; the zero value is the server.
func (l *Leg) SendsTo() netip.AddrPort {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.phone.away == nil {
		return netip.AddrPort{}
	}
	return l.phone.away.RTP
}

// Lost is what was played or sent to the phone while it exchanged audio with another one.
func (l *Leg) Lost() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.phone.lost)
}

// Invites is how many INVITEs came within the dialog.
func (l *Leg) Invites() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.phone.invites
}

func (l *Leg) where() media.Endpoint {
	e := l.phone.endpoint
	if !e.RTP.IsValid() {
		sum := fnv.New32a()
		_, _ = io.WriteString(sum, l.id) // a hash takes everything
		n := sum.Sum32()
		e.RTP = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(n >> 16)}), uint16(n)|1<<12)
	}
	if !e.Signalling.IsValid() {
		e.Signalling = e.RTP.Addr()
	}
	if e.Profile == "" {
		e.Profile = "RTP/AVP"
	}
	if len(e.Codecs) == 0 {
		e.Codecs = []media.Payload{{Codec: "PCMU", Number: 0}, {Codec: "PCMA", Number: 8}}
	}
	if e.Event == 0 {
		e.Event = 101
	}
	e.RTCP = netip.AddrPortFrom(e.RTP.Addr(), e.RTP.Port()+1)
	e.Ptime = 20
	return e
}

// need runs f, unless the leg is over, once the call's audio reaches the phone.
func (l *Leg) need(f func()) { l.guard().Need(func() { l.locked(f) }) }

// release is need of what has time.
func (l *Leg) release(f func()) { l.guard().Release(func() { l.locked(f) }) }

func (l *Leg) guard() *call.Bypass {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.phone.bypass
}

// hears notes what is played to the party.
func (l *Leg) hears(name string) {
	l.heard = append(l.heard, name)
	if l.phone.away != nil {
		l.phone.lost = append(l.phone.lost, name)
	}
}

// asks is an INVITE of the phone's own, whose answer is the server's description.
func (l *Leg) asks() {
	l.phone.away, l.phone.left = nil, false
	l.phone.bypass.Returned(l)
}

// Endpoint is call.DirectLeg's.
func (l *Leg) Endpoint() (media.Endpoint, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.where(), l.answered && !l.over && !l.held && l.play == nil
}

// Bypass is call.DirectLeg's.
func (l *Leg) Bypass(from, to *call.Bypass) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.phone.bypass != from {
		return false
	}
	l.phone.bypass = to
	if to != nil && l.over {
		to.Gone(l)
	}
	return true
}

// Redirect is call.DirectLeg's.
func (l *Leg) Redirect(to *media.Endpoint, done func(call.RedirectOutcome)) {
	l.locked(func() { l.invite(to, done) })
}

func (l *Leg) invite(to *media.Endpoint, done func(call.RedirectOutcome)) {
	var answer Answer
	if len(l.phone.answers) > 0 {
		answer, l.phone.answers = l.phone.answers[0], l.phone.answers[1:]
	}
	l.phone.asked = true
	l.phone.invites++
	if answer.Status == 408 {
		answer.After = 32 * time.Second
	}
	answer.After = max(answer.After, time.Millisecond)
	l.clock.AfterFunc(answer.After, func() {
		l.locked(func() {
			l.phone.asked = false
			outcome := call.NotRedirected
			switch {
			case answer.Unusable:
				outcome = call.RedirectUnknown
			case answer.Status == 0, answer.Status == 200:
				outcome, answer.Acts = call.Redirected, true
				l.phone.left = to != nil
			case answer.Status == 408 && to == nil && l.phone.left: // RFC 3261 §12.2.1.2: the dialog is gone
				l.clock.AfterFunc(0, func() { l.Hangup(call.RecoveryOnTimerExpire) })
				return
			case answer.Status == 408:
				outcome = call.RedirectUnknown
			}
			if answer.Acts {
				l.phone.away = to
			}
			if outcome == call.RedirectUnknown && to == nil && l.phone.away != nil { // no audio comes from it
				l.clock.AfterFunc(mediaTimeout, func() {
					if l.SendsTo().IsValid() {
						l.Hangup(call.MediaTimeout)
					}
				})
			}
			if answer.Status == 491 && to == nil {
				l.clock.AfterFunc(glareWait, func() { l.back(done) })
				return
			}
			done(outcome)
		})
	})
}

// back asks the phone again to come back, unless it has.
func (l *Leg) back(done func(call.RedirectOutcome)) {
	l.locked(func() {
		if l.phone.away == nil {
			done(call.Redirected)
			return
		}
		l.invite(nil, done)
	})
}
