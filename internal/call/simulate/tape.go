package simulate

import (
	"slices"
	"time"

	"bugle/internal/call"
	"bugle/internal/media"
)

// Voice is every sample of what a party says until Says.
const Voice = 1000

// tape is a recording of what a party says.
type tape struct {
	recorder media.Recorder
	at       time.Time // up to which it was handed over
	timer    call.Timer
}

const tapeTick = 500 * time.Millisecond

// Record is call.Recording's: the party says the same sample over and over.
func (l *Leg) Record(r media.Recorder) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.untape()
	if l.over {
		r.Ended()
		return
	}
	l.tape = &tape{recorder: r, at: l.clock.Now()}
	l.tick(l.tape)
}

// StopRecord is call.Recording's.
func (l *Leg) StopRecord() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.untape()
}

func (l *Leg) tick(t *tape) {
	t.timer = l.clock.AfterFunc(tapeTick, func() {
		l.locked(func() {
			if l.tape == t {
				l.hand(t)
				l.tick(t)
			}
		})
	})
}

// hand hands over what was said since the last time.
func (l *Leg) hand(t *tape) {
	now := l.clock.Now()
	said := slices.Repeat([]int16{Voice + l.voice}, int(now.Sub(t.at)*media.SampleRate/time.Second))
	t.at = now
	t.recorder.Audio(said, make([]int16, len(said)))
}

func (l *Leg) untape() {
	if t := l.tape; t != nil {
		t.timer.Stop()
		l.hand(t)
		l.tape = nil
		t.recorder.Ended()
	}
}

// Says changes every sample of what the party says; 0 is silence.
func (l *Leg) Says(sample int16) {
	l.locked(func() {
		if l.tape != nil {
			l.hand(l.tape)
		}
		l.voice = sample - Voice
	})
}
