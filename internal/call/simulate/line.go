package simulate

import (
	"slices"
	"time"

	"bugle/internal/call"
	"bugle/internal/media"
)

// Line is one end of a loopback pair between scripted parties. It is a call.Audio.
type Line struct {
	world  *World
	far    *Line
	events media.Events
	joined *Leg
	play   *playing
	closed bool
}

// OpenLoopback is call.Loopbacks'.
func (w *World) OpenLoopback(a, b media.SessionOptions) (call.Audio, call.Audio, error) {
	x, y := &Line{world: w, events: a.Events}, &Line{world: w, events: b.Events}
	x.far, y.far = y, x
	return x, y, nil
}

// locked runs f unless the line is closed.
func (l *Line) locked(f func()) {
	l.world.mu.Lock()
	defer l.world.mu.Unlock()
	if !l.closed {
		f()
	}
}

// Play is call.Audio's: whoever is at the far end when a clip begins hears it.
func (l *Line) Play(token int, clips []*media.Clip, loop bool) {
	l.locked(func() {
		l.silence()
		l.play = &playing{token: token, clips: slices.Clone(clips), loop: loop}
		if len(clips) == 0 {
			l.after(0, l.play) // the end is told without the lock
			return
		}
		l.next(l.play)
	})
}

// after goes on with what is played once d has passed.
func (l *Line) after(d time.Duration, p *playing) {
	p.timer = l.world.AfterFunc(d, func() {
		ended := false
		l.locked(func() { ended = l.play == p && !l.next(p) })
		if ended { // told without the lock: the leg has one of its own
			l.events.OnPlayEnded(p.token)
		}
	})
}

// next begins the next clip; false when there is none.
func (l *Line) next(p *playing) bool {
	if p.next == len(p.clips) {
		if !p.loop || len(p.clips) == 0 {
			l.silence()
			return false
		}
		p.next, p.again = 0, true
	}
	clip := p.clips[p.next]
	p.next++
	if ear := l.far.joined; ear != nil {
		if !p.again {
			ear.hears(clip.Name())
		}
		ear.sounding = clip.Name()
	}
	l.after(max(clip.Duration(), time.Millisecond), p)
	return true
}

// StopPlay is call.Audio's.
func (l *Line) StopPlay() { l.locked(l.silence) }

func (l *Line) silence() {
	if l.play == nil {
		return
	}
	l.play.timer.Stop()
	l.play = nil
	if ear := l.far.joined; ear != nil {
		ear.sounding = ""
	}
}

// Engaged is call.Audio's.
func (l *Line) Engaged() (engaged bool) {
	l.locked(func() { engaged = l.play != nil })
	return engaged
}

// SendDigits is call.Audio's: the keys are events at the far end.
func (l *Line) SendDigits(digits string, _ time.Duration) {
	l.locked(func() {
		l.world.AfterFunc(0, func() {
			for _, key := range []byte(digits) {
				l.far.events.OnDigit(key)
			}
		})
	})
}

// DetectDigits is call.Audio's. A line hears every key.
func (l *Line) DetectDigits(bool) {}

// Join is call.Audio's.
func (l *Line) Join(other call.Leg) {
	o := other.(*Leg)
	l.locked(func() {
		if !o.over {
			l.part()
			o.part()
			l.joined, o.line = o, l
		}
	})
}

// Part is call.Audio's.
func (l *Line) Part() { l.locked(l.part) }

func (l *Line) part() {
	if l.joined != nil {
		l.joined.line, l.joined = nil, nil
	}
}

// Close is call.Audio's.
func (l *Line) Close() {
	l.locked(func() {
		l.silence()
		l.part()
		l.closed = true
	})
}
