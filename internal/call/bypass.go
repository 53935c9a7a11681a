package call

import (
	"sync"
	"time"

	"bugle/internal/media"
)

// Two phones that talk may exchange their audio themselves, without bugle between them: each is sent an INVITE within its
// dialog whose description is the other one's (RFC 3725 §7 warns of where the media goes meanwhile; here it goes through
// bugle, which forwards whatever still arrives). This ends as soon as anything needs bugle's audio: both phones are sent
// bugle's own description, and what needs it waits until they are back.

// BypassMedia says whether the phones of a bridge may exchange their audio themselves.
type BypassMedia uint8

// The values of BypassMedia.
const (
	BypassNever  BypassMedia = iota // bugle carries all audio
	BypassAuto                      // when it is certain that the phones reach each other
	BypassAlways                    // when nothing speaks against it
)

// The times of a Bypass.
const (
	bypassSettle   = time.Second            // from the bridge to the first INVITE; by then it is known where audio comes from
	bypassPatience = 5 * time.Second        // for the answer of a phone
	bypassGrace    = 200 * time.Millisecond // from the end of one party to the other's coming back, who is hung up on mostly
	bypassWait     = 2 * time.Second        // longest wait of what needs bugle's audio
	bypassAgain    = 2 * time.Second        // from a phone's refusing to come back to the next try
)

const (
	maxRedirects = 3  // INVITEs that either phone is sent to go away, or to come back
	maxBypasses  = 10 // of one bridge
)

// RedirectOutcome is what came of DirectLeg.Redirect.
type RedirectOutcome uint8

// The outcomes of DirectLeg.Redirect.
const (
	Redirected      RedirectOutcome = iota // the phone does as it was told
	NotRedirected                          // it refused: its audio goes where it went
	RedirectUnknown                        // it said nothing, or nothing of use: nobody knows where its audio goes
)

// DirectLeg is a Leg whose phone can be told to exchange audio with another phone instead of with bugle.
type DirectLeg interface {
	Leg
	// Endpoint is what another phone has to know of it. ok is false while it can exchange audio with bugle only: it is not
	// answered, is held, hears something that is played, or is recorded.
	Endpoint() (e media.Endpoint, ok bool)
	// Redirect has the phone exchange audio with to, or with bugle for nil. Unless the leg ends, done is told once, on any
	// goroutine. Coming back is tried again when the other side asks for something at the same time.
	Redirect(to *media.Endpoint, done func(RedirectOutcome))
	// Bypass gives the leg from one Bypass (nil: none) to another, or reports that it is not from's. While a leg has one, Play,
	// SendDigits, DetectDigits and Join wait by its Need, Part and StopPlay by its Release; the leg tells Returned when the phone
	// has itself asked for something that was answered with bugle's description, and Gone when it is over.
	Bypass(from, to *Bypass) bool
}

// Bypass lets two phones exchange their audio themselves, from its settling until anything ends that. All of it but the
// queues is touched by one goroutine at a time, which lives only while there is something to do.
type Bypass struct {
	settings *Settings
	policy   BypassMedia
	engaged  func() bool // something is played or recorded between the phones
	note     func(name, detail string)
	ended    func(refused bool) // told once

	mu      sync.Mutex
	steps   []func()
	running bool
	open    bool     // what needs audio does not wait any more
	later   []func() // what waits

	// ----

	sides    [2]*bypassSide
	asked    bool // a phone has been sent an INVITE
	direct   bool // both phones are away
	ending   bool
	recalled bool // those who are away are called back
	refused  bool // it was not possible, and would not be at another time
	over     bool
	alarm    *bypassAlarm
}

func (s *Settings) clock() Clock {
	if s.Clock == nil {
		return SystemClock{}
	}
	return s.Clock
}

// bypassSide is one of the two phones.
type bypassSide struct {
	leg   DirectLeg
	away  bool // its audio may go elsewhere
	busy  bool // an INVITE is under way, or is about to be sent again
	over  bool
	asks  int
	backs int
	told  media.Endpoint // where it was sent to
}

// bypassAlarm is the one timer.
type bypassAlarm struct{ timer Timer }

// newBypass begins a Bypass of two legs that hear each other; nil when either belongs to another one.
func newBypass(settings *Settings, policy BypassMedia, legs [2]DirectLeg, engaged func() bool, note func(name, detail string),
	ended func(refused bool)) *Bypass {
	b := &Bypass{settings: settings, policy: policy, engaged: engaged, note: note, ended: ended}
	b.sides = [2]*bypassSide{{leg: legs[0]}, {leg: legs[1]}}
	if !legs[0].Bypass(nil, b) {
		return nil
	}
	if !legs[1].Bypass(nil, b) {
		b.post(func() { b.end("", true) })
		return nil
	}
	b.post(func() { b.after(bypassSettle, b.next) })
	return b
}

// Need runs f, at once on a Bypass that is nil or over, else when both phones are back. f runs on any goroutine.
func (b *Bypass) Need(f func()) { b.wait(f, true) }

// Release is Need of what has time, such as a party's leaving: the phones are back a moment later, unless they are hung up on.
func (b *Bypass) Release(f func()) { b.wait(f, false) }

func (b *Bypass) wait(f func(), urgent bool) {
	if b == nil {
		f()
		return
	}
	b.mu.Lock()
	if b.open {
		b.mu.Unlock()
		f()
		return
	}
	b.later = append(b.later, f)
	b.mu.Unlock()
	b.post(func() { b.end("bugle's audio is needed", urgent) })
}

// Returned is told by a leg whose phone exchanges audio with bugle again, since it has asked for something itself.
func (b *Bypass) Returned(leg Leg) {
	if b != nil {
		b.post(func() {
			if s := b.sideOf(leg); s != nil {
				s.away = false
				b.end("a phone asked for something else", true)
			}
		})
	}
}

// Gone is told by a leg that is over.
func (b *Bypass) Gone(leg Leg) {
	if b != nil {
		b.post(func() {
			if s := b.sideOf(leg); s != nil {
				s.over = true
				b.end("a party has gone", false)
			}
		})
	}
}

func (b *Bypass) sideOf(leg Leg) *bypassSide {
	for _, s := range b.sides {
		if s.leg == leg {
			return s
		}
	}
	return nil
}

// post has f run after what waits already.
func (b *Bypass) post(f func()) {
	b.activity().Begin()
	b.mu.Lock()
	b.steps = append(b.steps, f)
	start := !b.running
	b.running = true
	b.mu.Unlock()
	if start {
		go b.run()
	}
}

func (b *Bypass) activity() Activity {
	if b.settings.Activity == nil {
		return noActivity{}
	}
	return b.settings.Activity
}

func (b *Bypass) run() {
	for {
		b.mu.Lock()
		if len(b.steps) == 0 {
			b.running, b.steps = false, nil
			b.mu.Unlock()
			return
		}
		step := b.steps[0]
		b.steps = b.steps[1:]
		b.mu.Unlock()
		b.step(step)
		b.activity().End()
	}
}

// step keeps a panic from what follows.
func (b *Bypass) step(f func()) {
	defer func() {
		if v := recover(); v != nil && b.settings.OnPanic != nil {
			b.settings.OnPanic(v)
		}
	}()
	f()
}

// What follows runs one at a time.

// after sets the one alarm, in place of the last.
func (b *Bypass) after(d time.Duration, f func()) {
	b.stop()
	a := &bypassAlarm{}
	b.alarm = a
	a.timer = b.settings.clock().AfterFunc(d, func() {
		b.post(func() {
			if b.alarm == a {
				b.alarm = nil
				f()
			}
		})
	})
}

func (b *Bypass) stop() {
	if b.alarm != nil {
		b.alarm.timer.Stop()
		b.alarm = nil
	}
}

// next sends whichever phone is not yet told where the other one is.
func (b *Bypass) next() {
	if b.ending {
		return
	}
	var ends [2]media.Endpoint
	for i, s := range b.sides {
		var ok bool
		if ends[i], ok = s.leg.Endpoint(); !ok {
			b.end("a phone takes part in something else", true)
			return
		}
	}
	why := introduce(&ends[0], &ends[1], b.policy)
	if why == "" && b.engaged != nil && b.engaged() {
		why = "something is played or recorded between the phones"
	}
	if why != "" {
		b.refuse(why)
		return
	}
	for i, s := range b.sides {
		if other := ends[1-i]; !s.away || !same(&s.told, &other) {
			if s.asks++; s.asks > maxRedirects {
				b.refuse("the phones come to no agreement")
				return
			}
			b.redirect(s, &other)
			return
		}
	}
	b.direct = true
	b.note("bypassed", "the phones exchange their audio themselves, "+ends[0].RTP.String()+" and "+ends[1].RTP.String())
}

// redirect sends a phone to another one.
func (b *Bypass) redirect(s *bypassSide, to *media.Endpoint) {
	s.busy, b.asked = true, true
	b.after(bypassPatience, func() { b.refuse("a phone does not answer") })
	s.leg.Redirect(to, func(outcome RedirectOutcome) {
		b.post(func() {
			s.busy = false
			s.away = s.away || outcome != NotRedirected
			switch {
			case b.ending:
				b.recall()
			case outcome != Redirected:
				b.refuse("a phone does not do it")
			default:
				b.stop()
				s.told = *to
				b.next()
			}
		})
	})
}

// refuse ends what is not possible.
func (b *Bypass) refuse(why string) {
	b.refused = true
	b.end(why, true)
}

// end brings both phones back, at once or in a moment.
func (b *Bypass) end(why string, urgent bool) {
	if b.over {
		return
	}
	if !b.ending {
		b.ending = true
		b.stop()
		if b.asked || b.refused {
			b.note("carried", "bugle carries the audio: "+why)
		}
		if !urgent {
			b.after(bypassGrace, func() { b.end(why, true) })
		}
	}
	if urgent && !b.recalled {
		b.recalled = true
		b.after(bypassWait, b.release)
	}
	b.recall()
}

// recall calls those back who are away, and ends all when nobody is.
func (b *Bypass) recall() {
	home := true
	for _, s := range b.sides {
		if s.over {
			continue
		}
		if s.away && !s.busy && b.recalled {
			b.back(s)
		}
		home = home && !s.away && !s.busy
	}
	if !home || b.over {
		return
	}
	b.over = true
	b.stop()
	b.release()
	for _, s := range b.sides {
		s.leg.Bypass(b, nil)
	}
	b.ended(b.refused)
}

// back has a phone exchange audio with bugle again.
func (b *Bypass) back(s *bypassSide) {
	s.busy = true
	s.leg.Redirect(nil, func(outcome RedirectOutcome) {
		b.post(func() {
			s.busy = false
			switch {
			case s.over:
			case outcome != NotRedirected:
				// Of a phone that says nothing the media timeout tells whether it is heard.
				s.away = false
			case s.backs < maxRedirects-1:
				s.backs++
				s.busy = true
				b.again(s)
				return
			default: // nobody would hear anybody
				b.note("carried", "a phone does not come back and is hung up on")
				s.leg.Hangup(IncompatibleDestination)
				s.over = true
			}
			b.recall()
		})
	})
}

// again calls a phone back once more.
func (b *Bypass) again(s *bypassSide) {
	b.settings.clock().AfterFunc(bypassAgain, func() {
		b.post(func() {
			s.busy = false
			b.recall()
		})
	})
}

// release lets what waits go on, in its order.
func (b *Bypass) release() {
	for {
		b.mu.Lock()
		if len(b.later) == 0 {
			b.open, b.later = true, nil
			b.mu.Unlock()
			return
		}
		f := b.later[0]
		b.later = b.later[1:]
		b.mu.Unlock()
		b.step(f)
	}
}
