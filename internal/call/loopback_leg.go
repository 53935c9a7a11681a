package call

import (
	"time"

	"bugle/internal/media"
)

// LoopbackLeg is one end of a Loopback: the caller's leg of a call. It is a Leg, a Rejecter, a PartyAnswerer, a MediaLeg and
// the media.Events of its own audio.
type LoopbackLeg struct {
	pair  *Loopback
	far   *LoopbackLeg
	id    string
	audio Audio

	// Guarded by the pair's lock.
	sink     Sink
	waiting  []Event // before there was a sink
	answered bool    // the call has answered
	told     bool    // and Answered was posted
	alerted  bool    // the call has rung or has opened early media
	open     bool    // early media is open: no ring-back covers it
	tone     bool    // ring-back or busy tone is played
	over     bool
	last     Ended // once over
	crossing *crossing
}

// PartyAnswerer is the leg of a caller that wants to know whether somebody has picked up or the call itself answers.
type PartyAnswerer interface {
	// AnswerParty is Answer when another party has answered.
	AnswerParty()
}

// toneToken is the token of ring-back and busy tone, whose end is no event.
const toneToken = -1

// ID is Leg's.
func (l *LoopbackLeg) ID() string { return l.id }

// Media is MediaLeg's.
func (l *LoopbackLeg) Media() *media.Session {
	if a, ok := l.audio.(sessionAudio); ok {
		return a.Session
	}
	return nil
}

// Audio is what the leg's end of the pair was opened with.
func (l *LoopbackLeg) Audio() Audio { return l.audio }

// locked runs f unless the leg is over.
func (l *LoopbackLeg) locked(f func()) {
	l.pair.mu.Lock()
	defer l.pair.mu.Unlock()
	if !l.over {
		f()
	}
}

// post hands an event to the call.
func (l *LoopbackLeg) post(e Event) {
	if l.sink == nil {
		l.waiting = append(l.waiting, e)
		return
	}
	l.sink.Post(l, e)
}

// end posts Ended.
func (l *LoopbackLeg) end(ended Ended) {
	if !l.over {
		l.over, l.last = true, ended
		l.post(ended)
	}
}

// Attach is Leg's. With the sink of Second its party begins to be called, and is given up after the timeout.
func (l *LoopbackLeg) Attach(sink Sink) {
	p := l.pair
	p.mu.Lock()
	defer p.mu.Unlock()
	first := l.sink == nil
	l.sink = sink
	switch {
	case first:
		for _, e := range l.waiting {
			sink.Post(l, e)
		}
		l.waiting = nil
		if l == p.Second && !l.over {
			p.after(p.options.Timeout, func() {
				l.end(Ended{Cause: NoAnswer})
				p.hungUp(l, NoAnswer)
			})
		}
	case l.over:
		sink.Post(l, l.last)
	}
}

// Ring is Leg's.
func (l *LoopbackLeg) Ring() { l.locked(func() { l.alert(false) }) }

// Progress is Leg's: what this end is sent is heard at the other one from now on.
func (l *LoopbackLeg) Progress() { l.locked(func() { l.alert(true) }) }

// alert is that the party of the leg's call rings, or is heard before it answers.
func (l *LoopbackLeg) alert(open bool) {
	p := l.pair
	if l.answered {
		return
	}
	if !l.alerted {
		l.alerted = true
		if l == p.First {
			p.tell(FirstRings, "")
		} else {
			p.tell(SecondRings, "")
		}
	}
	l.open = l.open || open
	switch {
	case l == p.First:
	case l.open:
		l.untone()
	case !l.tone && len(p.options.Ringback) > 0:
		l.tone = true
		l.audio.Play(toneToken, p.options.Ringback, true)
	}
}

func (l *LoopbackLeg) untone() {
	if l.tone {
		l.tone = false
		l.audio.StopPlay()
	}
}

// Answer is Leg's. Of First it waits for the second party.
func (l *LoopbackLeg) Answer() { l.locked(func() { l.answer(l == l.pair.Second) }) }

// AnswerParty is PartyAnswerer's.
func (l *LoopbackLeg) AnswerParty() { l.locked(func() { l.answer(true) }) }

func (l *LoopbackLeg) answer(now bool) {
	p := l.pair
	if l.answered {
		return
	}
	l.answered = true
	if now {
		l.begin()
	}
	p.alarm.stop()
	if l == p.First {
		p.tell(FirstAnswers, "")
		return
	}
	l.untone()
	l.far.begin()
	p.tell(SecondAnswers, "")
}

// begin tells the call that its caller is on the line.
func (l *LoopbackLeg) begin() {
	if !l.told && !l.over {
		l.told = true
		l.post(Answered{})
	}
}

// Hangup is Leg's.
func (l *LoopbackLeg) Hangup(cause Cause) {
	p := l.pair
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.over {
		return
	}
	l.end(Ended{Cause: cause})
	p.hungUp(l, cause)
}

// Reject is Rejecter's.
func (l *LoopbackLeg) Reject(status int, _ string) { l.Hangup(CauseOf(status)) }

// Play is Leg's. It takes the place of ring-back.
func (l *LoopbackLeg) Play(token int, clips []*media.Clip, loop bool) {
	l.locked(func() {
		l.tone = false
		l.need(func() { l.audio.Play(token, clips, loop) })
	})
}

// StopPlay is Leg's.
func (l *LoopbackLeg) StopPlay() {
	l.locked(func() {
		if !l.tone { // nothing of the call's is being played
			l.pair.bypass.Release(l.audio.StopPlay)
		}
	})
}

// SendDigits is Leg's.
func (l *LoopbackLeg) SendDigits(digits string, each time.Duration) {
	l.locked(func() { l.need(func() { l.audio.SendDigits(digits, each) }) })
}

// DetectDigits is Leg's.
func (l *LoopbackLeg) DetectDigits(on bool) {
	l.locked(func() { l.need(func() { l.audio.DetectDigits(on) }) })
}

// Join is Leg's.
func (l *LoopbackLeg) Join(other Leg) { l.locked(func() { l.need(func() { l.audio.Join(other) }) }) }

// Part is Leg's.
func (l *LoopbackLeg) Part() {
	l.locked(func() {
		l.crossing = nil
		l.pair.bypass.Release(l.audio.Part)
	})
}

// OnDigit is part of media.Events.
func (l *LoopbackLeg) OnDigit(key byte) { l.locked(func() { l.post(Digit{Key: key}) }) }

// OnPlayEnded is part of media.Events.
func (l *LoopbackLeg) OnPlayEnded(token int) {
	if token != toneToken {
		l.locked(func() { l.post(PlayEnded{Token: token}) })
	}
}

// OnMediaTimeout is part of media.Events: a pair is never too silent, so its audio has failed by a defect of ours.
func (l *LoopbackLeg) OnMediaTimeout() { l.pair.End(TemporaryFailure) }
