package simulate

import (
	"slices"
	"strconv"
	"sync"
	"time"

	"bugle/internal/call"
	"bugle/internal/media"
)

// Leg is one scripted party. The call moves it through call.Leg; a dialogue moves the other side through the methods
// with a person's verbs and looks at what the call did. It is safe for concurrent use.
type Leg struct {
	clock  *Clock
	id     string
	target *call.Target // nil for the caller

	mu         *sync.Mutex // the world's: one for all legs
	sink       call.Sink
	waiting    []call.Event // posted before there was a sink
	rung       bool         // 180 was sent to this caller
	progressed bool
	answered   bool
	rejected   string
	over       bool
	cause      call.Cause // with which it was ended
	status     int
	remote     bool // the party ended it
	joined     *Leg
	line       *Line // instead of joined
	detecting  bool
	heard      []string // clips in the order in which they began
	sounding   string   // clip that sounds now
	digits     string   // sent to this party
	statuses   []int    // progress of the transfer that this party asked for
	play       *playing
	held       bool
	phone      phone
	tape       *tape
	voice      int16 // every sample that it says while it is recorded
}

type playing struct {
	token int
	clips []*media.Clip
	loop  bool
	next  int
	again bool // a further round of a loop
	timer call.Timer
}

// ID is the leg's Call-ID.
func (l *Leg) ID() string { return l.id }

// Target is where an outbound leg was sent; the zero value for the caller's.
func (l *Leg) Target() call.Target {
	if l.target == nil {
		return call.Target{}
	}
	return *l.target
}

func (l *Leg) post(e call.Event) {
	if l.sink == nil {
		l.waiting = append(l.waiting, e)
		return
	}
	l.sink.Post(l, e)
}

// attach names the sink of a caller's leg and gives it what has happened meanwhile.
func (l *Leg) attach(sink call.Sink) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if sink == nil {
		l.over, l.cause, l.status = true, call.CircuitCongestion, 503
		return
	}
	l.sink = sink
	for _, e := range l.waiting {
		sink.Post(l, e)
	}
	l.waiting = nil
}

// Attach is call.Leg's.
func (l *Leg) Attach(sink call.Sink) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sink = sink
	switch {
	case l.over:
		l.post(call.Ended{Cause: l.cause, Remote: l.remote})
	case l.held:
		l.post(call.Held{On: true})
	}
}

// Ring is call.Leg's: a 180.
func (l *Leg) Ring() { l.locked(func() { l.rung = true }) }

// Progress is call.Leg's: a 183 with early media.
func (l *Leg) Progress() { l.locked(func() { l.progressed = true }) }

// Answer is call.Leg's: a 200. Media flows at once.
func (l *Leg) Answer() {
	l.locked(func() {
		if !l.answered {
			l.answered = true
			l.post(call.Answered{})
		}
	})
}

// Hangup is call.Leg's.
func (l *Leg) Hangup(cause call.Cause) { l.end(cause, 0) }

// Reject is call.Rejecter's.
func (l *Leg) Reject(status int, reason string) {
	l.locked(func() { l.rejected = reason })
	l.end(call.CauseOf(status), status)
}

func (l *Leg) end(cause call.Cause, status int) {
	l.locked(func() {
		l.over, l.cause, l.status = true, cause, status
		if status == 0 && l.target == nil && !l.answered {
			l.status = cause.Status()
		}
		l.silence()
		l.untape()
		l.part()
		l.post(call.Ended{Cause: cause})
		l.phone.bypass.Gone(l)
	})
}

// locked runs f unless the leg is over.
func (l *Leg) locked(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over {
		f()
	}
}

// Play is call.Leg's. Each clip is noted when it begins, and only if the party can hear it.
func (l *Leg) Play(token int, clips []*media.Clip, loop bool) {
	l.need(func() {
		l.silence()
		l.play = &playing{token: token, clips: slices.Clone(clips), loop: loop}
		l.nextClip(l.play)
	})
}

// nextClip begins the next clip of p, which is the current one.
func (l *Leg) nextClip(p *playing) {
	if p.next == len(p.clips) {
		if !p.loop {
			l.play, l.sounding = nil, ""
			l.post(call.PlayEnded{Token: p.token})
			return
		}
		p.next, p.again = 0, true
	}
	clip := p.clips[p.next]
	p.next++
	if l.answered || l.progressed {
		if !p.again {
			l.hears(clip.Name())
		}
		l.sounding = clip.Name()
	}
	p.timer = l.clock.AfterFunc(max(clip.Duration(), time.Millisecond), func() {
		l.locked(func() {
			if l.play == p {
				l.nextClip(p)
			}
		})
	})
}

// StopPlay is call.Leg's.
func (l *Leg) StopPlay() { l.release(l.silence) }

func (l *Leg) silence() {
	if l.play != nil {
		l.play.timer.Stop()
		l.play, l.sounding = nil, ""
	}
}

// SendDigits is call.Leg's.
func (l *Leg) SendDigits(digits string, _ time.Duration) { l.need(func() { l.digits += digits }) }

// DetectDigits is call.Leg's.
func (l *Leg) DetectDigits(on bool) { l.need(func() { l.detecting = on }) }

// Join is call.Leg's. What was being played to either stops, as with real media.
func (l *Leg) Join(other call.Leg) {
	if looped, ok := other.(interface{ Audio() call.Audio }); ok {
		looped.Audio().Join(l)
		return
	}
	o := other.(*Leg)
	l.need(func() {
		if !o.over {
			l.part()
			o.part()
			l.joined, o.joined = o, l
		}
	})
}

// Part is call.Leg's.
func (l *Leg) Part() { l.release(l.part) }

func (l *Leg) part() {
	if o := l.joined; o != nil {
		l.joined, o.joined = nil, nil
	}
	if o := l.line; o != nil {
		l.line, o.joined = nil, nil
	}
}

// partner is who the party talks to: the leg that it is joined to, or the one at the far end of the line.
func (l *Leg) partner() *Leg {
	if l.line != nil {
		return l.line.far.joined
	}
	return l.joined
}

// The party's side.

// Rings lets the party's phone ring; early with audio of its own.
func (l *Leg) Rings(early bool) { l.locked(func() { l.post(call.Ringing{Early: early}) }) }

// PicksUp lets the party answer an outbound leg.
func (l *Leg) PicksUp() {
	l.locked(func() {
		l.answered = true
		l.post(call.Answered{})
	})
}

// Refuses lets the party's phone refuse an outbound leg with a SIP status.
func (l *Leg) Refuses(status int) {
	l.locked(func() {
		l.over, l.cause, l.status, l.remote = true, call.CauseOf(status), status, true
		l.part() // early media may have been joined
		l.post(call.Ended{Cause: l.cause, Status: status, Remote: true})
	})
}

// HangsUp lets the party hang up: CANCEL before the answer, BYE after it.
func (l *Leg) HangsUp() {
	l.locked(func() {
		l.over, l.cause, l.remote = true, call.NormalClearing, true
		if !l.answered && l.target == nil {
			l.cause = call.OriginatorCancel
		}
		l.silence()
		l.untape()
		l.part()
		l.post(call.Ended{Cause: l.cause, Remote: true})
		l.phone.bypass.Gone(l)
	})
}

// Presses lets the party press a key.
func (l *Leg) Presses(key byte) {
	var line *Line
	l.locked(func() {
		l.post(call.Digit{Key: key})
		line = l.line
	})
	if line != nil {
		line.far.events.OnDigit(key)
	}
}

// Holds lets the party put the call on hold, or take it back. While an INVITE of the call's is under way the phone is told to
// wait, and asks again.
func (l *Leg) Holds(on bool) {
	l.locked(func() {
		if l.phone.asked {
			l.clock.AfterFunc(time.Second, func() { l.Holds(on) })
			return
		}
		l.held = on
		l.asks()
		l.post(call.Held{On: on})
	})
}

// Transfers lets the party send a REFER to target.
func (l *Leg) Transfers(target string) { l.locked(func() { l.refer(target, nil) }) }

// TransfersTo lets the party send a REFER whose Replaces names another of its legs; nil is one that there is not.
func (l *Leg) TransfersTo(other *Leg) {
	l.locked(func() {
		if other == nil {
			l.refer("nobody", &call.Dialog{})
			return
		}
		l.refer(other.id, &call.Dialog{Leg: other, Call: other.sink})
	})
}

func (l *Leg) refer(target string, attended *call.Dialog) {
	l.post(call.Transfer{Target: target, Attended: attended, Progress: func(status int) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.statuses = append(l.statuses, status)
	}})
}

// State is what a leg looks like from the party's side.
type State struct {
	Rung, Progressed, Answered, Over, Remote bool
	Cause                                    call.Cause
	Status                                   int // final status of a leg that was not answered
	Reason                                   string
	Joined                                   *Leg
	Heard                                    []string
	Sounding                                 string
	Detecting                                bool
	Statuses                                 []int
}

// State returns it.
func (l *Leg) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return State{Rung: l.rung, Progressed: l.progressed, Answered: l.answered, Over: l.over, Remote: l.remote,
		Cause: l.cause, Status: l.status, Reason: l.rejected, Joined: l.partner(), Heard: slices.Clone(l.heard),
		Sounding: l.sounding, Detecting: l.detecting, Statuses: slices.Clone(l.statuses)}
}

func (s State) outcome() string {
	if s.Status != 0 {
		return strconv.Itoa(s.Status)
	}
	return string(s.Cause)
}
