package call

import (
	"sync"
	"time"

	"bugle/internal/media"
)

// Loopback is two legs without signalling that are each other's far end, for a call that bugle starts itself. The call of
// First reaches the first party; when that has answered, the call of Second, which then begins, reaches the second one. What
// either call plays, joins or sends is heard at the other end, and keys that are pressed at one end are Digit events at the
// other.
//
// First is answered in two ways. When somebody picks up (PartyAnswerer) he is on the line at once, and hears ring-back, and
// in the end a busy tone, until Second is answered. When the call answers by itself, to play a greeting, there is nobody yet
// to hear it: Answered waits until Second has been answered too.
type Loopback struct {
	First, Second *LoopbackLeg
	options       LoopbackOptions

	mu      sync.Mutex
	alarm   *pairAlarm // gives up whoever rings, or ends the busy tone
	outcome bool       // LoopbackEnded was told
	bypass  *Bypass    // of the legs at both ends
}

// LoopbackOptions are what a Loopback works with.
type LoopbackOptions struct {
	FirstID, SecondID string        // Call-IDs
	Audio             Loopbacks     // makes what is heard
	Clock             Clock         // nil: the system's
	Timeout           time.Duration // longest ringing of each party
	Ringback          []*media.Clip // what the first party hears while the second rings
	Busy              []*media.Clip // what the first party hears when the second cannot be reached
	// On is told what happens, in order, with a lock held: it must neither block nor call the Loopback or its legs.
	On func(LoopbackEvent)
}

// LoopbackEvent is what happens to a Loopback.
type LoopbackEvent struct {
	State LoopbackState
	Cause Cause // of LoopbackEnded
}

// LoopbackState is how far a Loopback has come. The states come in this order, each at most once.
type LoopbackState uint8

// The states of a Loopback.
const (
	FirstRings LoopbackState = iota + 1
	FirstAnswers
	SecondRings
	SecondAnswers
	LoopbackEnded // what was tried is over; the first party may still hear a busy tone
)

// maxBusy is how long the first party hears the busy tone.
const maxBusy = 3 * time.Second

// Loopbacks makes the audio of loopback legs; Sessions does with real media.
type Loopbacks interface {
	// OpenLoopback returns two ends: what either is sent and played comes out of the other. Events are never told with a
	// lock held that the methods of Audio take.
	OpenLoopback(a, b media.SessionOptions) (Audio, Audio, error)
}

// Audio is the media of a leg without signalling. The methods are those of Leg.
type Audio interface {
	Play(token int, clips []*media.Clip, loop bool)
	StopPlay()
	SendDigits(digits string, each time.Duration)
	DetectDigits(on bool)
	Join(other Leg)
	Part()
	// Engaged tells whether something is played or recorded.
	Engaged() bool
	Close()
}

// MediaLeg is a Leg with a media session; legs of different kinds join by it.
type MediaLeg interface {
	// Media is nil for a leg that got no session.
	Media() *media.Session
}

// MediaOf returns the media of a leg, nil for one that has none.
func MediaOf(l Leg) *media.Session {
	if m, ok := l.(MediaLeg); ok {
		return m.Media()
	}
	return nil
}

// Sessions are Loopbacks of a media engine.
type Sessions struct{ Engine *media.Engine }

// OpenLoopback is Loopbacks'.
func (s Sessions) OpenLoopback(a, b media.SessionOptions) (Audio, Audio, error) {
	x, y, err := s.Engine.NewLoopback(a, b)
	if err != nil {
		return nil, nil, err
	}
	return sessionAudio{x}, sessionAudio{y}, nil
}

type sessionAudio struct{ *media.Session }

func (a sessionAudio) Join(other Leg) {
	if m := MediaOf(other); m != nil {
		a.Session.Join(m)
	}
}

// NewLoopback returns a pair. The first party is given up Timeout from now on. An error is that of Audio.
func NewLoopback(options LoopbackOptions) (*Loopback, error) {
	p := &Loopback{options: options}
	if p.options.Clock == nil {
		p.options.Clock = SystemClock{}
	}
	p.First, p.Second = &LoopbackLeg{pair: p, id: options.FirstID}, &LoopbackLeg{pair: p, id: options.SecondID}
	p.First.far, p.Second.far = p.Second, p.First
	var err error
	p.First.audio, p.Second.audio, err = options.Audio.OpenLoopback(media.SessionOptions{Events: p.First, Label: options.FirstID},
		media.SessionOptions{Events: p.Second, Label: options.SecondID})
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.after(options.Timeout, func() { p.end(NoAnswer) })
	return p, nil
}

// End ends both legs, whatever their state.
func (p *Loopback) End(cause Cause) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end(cause)
}

// Cancel is End by whoever has the call made: ORIGINATOR_CANCEL before both parties talk, NORMAL_CLEARING afterwards.
func (p *Loopback) Cancel() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.Second.answered {
		p.end(NormalClearing)
	} else {
		p.end(OriginatorCancel)
	}
}

// SetRingback changes what the first party hears while the second rings, also when it rings already.
func (p *Loopback) SetRingback(clips []*media.Clip) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.options.Ringback = clips
	if p.Second.tone && !p.Second.over && len(clips) > 0 {
		p.Second.audio.Play(toneToken, clips, true)
	}
}

// What follows is called with p.mu held.

func (p *Loopback) tell(state LoopbackState, cause Cause) {
	if p.options.On != nil && !p.outcome {
		p.outcome = state == LoopbackEnded
		p.options.On(LoopbackEvent{state, cause})
	}
}

func (p *Loopback) end(cause Cause) {
	p.tell(LoopbackEnded, cause)
	p.Second.end(Ended{Cause: cause})
	p.First.end(Ended{Cause: cause})
	p.close()
}

// close lets go of the audio once both legs are over.
func (p *Loopback) close() {
	p.alarm.stop()
	p.First.audio.Close()
	p.Second.audio.Close()
}

// pairAlarm is a timer of a Loopback.
type pairAlarm struct {
	timer Timer
	off   bool
}

func (a *pairAlarm) stop() {
	if a != nil && !a.off {
		a.off = true
		a.timer.Stop()
	}
}

// after sets the one alarm.
func (p *Loopback) after(d time.Duration, f func()) {
	p.alarm.stop()
	a := &pairAlarm{}
	p.alarm = a
	a.timer = p.options.Clock.AfterFunc(d, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !a.off {
			a.off = true
			f()
		}
	})
}

// hungUp ends the far end of a leg that its own call has hung up, or that was given up.
func (p *Loopback) hungUp(l *LoopbackLeg, cause Cause) {
	far := l.far
	told := cause // to the far end
	switch {
	case l == p.Second && !l.answered && far.told && !far.over: // somebody is there, and is to hear why he is hung up on
		p.tell(LoopbackEnded, cause)
		l.audio.Part()
		l.audio.Play(toneToken, p.options.Busy, true)
		p.after(maxBusy, func() {
			far.end(Ended{Cause: cause, Remote: true})
			p.close()
		})
		return
	case l == p.First && l.answered && !far.answered && cause == NormalClearing:
		told = OriginatorCancel
	}
	p.tell(LoopbackEnded, told)
	far.end(Ended{Cause: told, Remote: true})
	p.close()
}
