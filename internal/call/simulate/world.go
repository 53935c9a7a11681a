package simulate

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"bugle"
	"bugle/internal/call"
)

// World is a set of scripted phones around one virtual clock. It is the call.Originator of its calls; give its Clock to
// call.Settings as Clock and as Activity.
type World struct {
	*Clock
	// Dial is the way in: what serves an inbound call of a device. A nil sink is a refusal, as an engine's.
	Dial func(leg call.Leg, from, number string) call.Sink
	// Patience is how long, in virtual time, an expectation waits to come true. Zero is an hour.
	Patience time.Duration

	mu     sync.Mutex
	legs   []*Leg // outbound legs in the order in which they began
	calls  int
	habits map[string]habit
}

// habit is what a phone does by itself.
type habit struct {
	status int           // refuses with it at once; 0: it rings
	answer time.Duration // answers after it; 0: never
	mute   bool          // does not even ring
}

// NewWorld returns a world that begins on a working day at noon.
func NewWorld() *World {
	return &World{Clock: NewClock(time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)), habits: map[string]habit{}}
}

// Originate is call.Originator's: the phone of the target begins to ring at once, unless it has another habit.
func (w *World) Originate(callID string, target call.Target, sink call.Sink) call.Leg {
	w.mu.Lock()
	l := &Leg{clock: w.Clock, mu: &w.mu, id: callID, target: &target, sink: sink}
	w.legs = append(w.legs, l)
	h := w.habitOf(l)
	w.mu.Unlock()
	switch {
	case h.status != 0:
		l.Refuses(h.status)
	case !h.mute:
		l.Rings(false)
	}
	if h.answer > 0 {
		w.AfterFunc(h.answer, l.PicksUp)
	}
	return l
}

func (w *World) habitOf(l *Leg) habit {
	for name, h := range w.habits {
		if l.is(name) {
			return h
		}
	}
	return habit{}
}

// Refuse makes a phone refuse every call with a status; 0 makes it an ordinary phone again.
func (w *World) Refuse(name string, status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.habits[name] = habit{status: status}
}

// AnswerAfter makes a phone answer by itself after it has rung for d.
func (w *World) AnswerAfter(name string, d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.habits[name] = habit{answer: d}
}

// Call makes a call from a phone and returns its leg.
func (w *World) Call(from, number string) *Leg {
	w.mu.Lock()
	w.calls++
	l := &Leg{clock: w.Clock, mu: &w.mu, id: fmt.Sprintf("call-%d@simulated", w.calls)}
	w.mu.Unlock()
	w.Begin()
	defer w.End()
	l.attach(w.Dial(l, from, number))
	return l
}

// Loose makes an unanswered inbound leg that no call has yet.
func (w *World) Loose(name string) *Leg {
	return &Leg{clock: w.Clock, mu: &w.mu, id: name + "@simulated"}
}

// is reports whether a leg goes to the phone of this name: the device id, the target's name, the user part of the URI, or,
// for a device id that nobody could type, the callee's number.
func (l *Leg) is(name string) bool {
	t := l.target
	if t == nil {
		return false
	}
	_, user, _ := strings.Cut(t.URI, ":")
	user, _, _ = strings.Cut(user, "@")
	return t.DeviceID == name || t.Name == name || user == name ||
		(t.Callee.Number == name && (t.DeviceID == "" || bugle.ValidID(t.DeviceID)))
}

// Legs returns the outbound legs so far, in the order in which they began.
func (w *World) Legs() []*Leg {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]*Leg(nil), w.legs...)
}

// leg returns the last leg to a phone that fits, nil for none.
func (w *World) leg(name string, fits func(State) bool) *Leg {
	legs := w.Legs()
	for i := len(legs) - 1; i >= 0; i-- {
		if legs[i].is(name) && fits(legs[i].State()) {
			return legs[i]
		}
	}
	return nil
}

// until passes time until done is true, as long as patience lasts.
func (w *World) until(done func() bool) bool {
	patience := w.Patience
	if patience == 0 {
		patience = time.Hour
	}
	limit := w.Now().Add(patience)
	for w.Settle(); !done(); {
		if !w.Step(limit) {
			return done()
		}
	}
	return true
}

// Forget drops the legs that are over, so that a long simulation does not grow.
func (w *World) Forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.legs = slices.DeleteFunc(w.legs, func(l *Leg) bool { return l.over })
}
