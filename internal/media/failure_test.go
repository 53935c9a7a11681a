package media

import (
	"net/netip"
	"sync/atomic"
	"testing"
	"time"
)

// TestPanicEndsOneSession breaks one session's state from inside: the step that trips over it must end that session,
// and the others on the loop must not notice.
func TestPanicEndsOneSession(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, options Options) {
		var panics atomic.Int64
		options.OnPanic = func(any) { panics.Add(1) }
		engine := newTestEngine(t, options)
		for name, breakIt := range map[string]func(*leg){
			"a packet":  func(l *leg) { l.peer = &leg{agreed: usual, negotiated: true, source: source{described: party}} },
			"a tick":    func(l *leg) { l.player.clips = []*Clip{nil}; l.schedule() },
			"a command": func(*leg) { panic("broken") },
		} {
			panics.Store(0)
			broken, events := newPhone(t, loopback), newNotes()
			s := broken.call(engine, "0", events)
			other := newPhone(t, loopback)
			o := other.call(engine, "0", nil)
			s.post(breakIt)
			broken.send(0, false, make([]byte, 160))
			events.wait(t, "the end after "+name, func() bool { return events.timeouts == 1 })
			if panics.Load() != 1 {
				t.Errorf("%s: %d panics were told", name, panics.Load())
			}
			s.Play(1, []*Clip{Beep()}, true) // does nothing, and nothing bad
			s.Stats()
			prompt := melody(200*time.Millisecond, 500, 900)
			o.Play(1, []*Clip{NewClip("", prompt)}, false)
			other.waitAudio(0, 10)
			if r := similarity(other.heard(0), prompt); r < 0.99 {
				t.Errorf("%s: another session is heard with a resemblance of %.3f", name, r)
			}
		}
	})
}

// explosive panics in its owner's code.
type explosive struct{ *notes }

func (e explosive) OnDigit(key byte) {
	if key == '*' {
		panic("the owner's")
	}
	e.notes.OnDigit(key)
}

func TestPanicInEventsEndsTheSession(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, options Options) {
		told := make(chan any, 1)
		options.OnPanic = func(reason any) { told <- reason }
		engine := newTestEngine(t, options)
		events := explosive{newNotes()}
		s := newPhone(t, loopback).call(engine, "0", events)
		s.events.digit('1')
		s.events.digit('*')
		s.events.digit('2')
		if reason := <-told; reason != "the owner's" {
			t.Errorf("told of %v", reason)
		}
		waitFor(t, "the session's end", func() bool { return s.kept() != nil })
		if events.digits != "1" {
			t.Errorf("the owner got %q", events.digits)
		}
	})
}

// blocked is an owner that does not come back from its first event.
type blocked struct {
	*notes
	entered, release chan struct{}
}

func (b blocked) OnDigit(key byte) {
	b.entered <- struct{}{}
	<-b.release
	b.notes.OnDigit(key)
}

func TestNoEventBeginsAfterClose(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, options Options) {
		engine := newTestEngine(t, options)
		owner := blocked{newNotes(), make(chan struct{}, 300), make(chan struct{})}
		caller := newPhone(t, loopback)
		s := caller.call(engine, "0 101", owner)
		for range 10 {
			s.events.digit('1')
		}
		s.Play(1, []*Clip{NewClip("", Tone(20*time.Millisecond, 500))}, false)
		<-owner.entered
		// The owner is slow; the loop is not.
		other := newPhone(t, loopback)
		o := other.call(engine, "0", nil)
		o.Play(1, []*Clip{Beep()}, false)
		other.waitAudio(0, 5)
		s.Close()
		close(owner.release)
		waitFor(t, "the delivery's end", func() bool {
			s.events.mu.Lock()
			defer s.events.mu.Unlock()
			return !s.events.running
		})
		if owner.digits != "1" || len(owner.ended) != 0 || len(owner.entered) != 0 {
			t.Errorf("after Close the owner got %q, %v", owner.digits, owner.ended)
		}
	})
}

func TestEventsAreBounded(t *testing.T) {
	t.Parallel()
	b := newBench()
	owner := blocked{newNotes(), make(chan struct{}, 3*eventLimit), make(chan struct{})}
	l, _ := b.leg(usual, owner)
	for range 2 * eventLimit {
		l.session.events.digit('1')
	}
	close(owner.release)
	waitFor(t, "every event", func() bool {
		l.session.events.mu.Lock()
		defer l.session.events.mu.Unlock()
		return !l.session.events.running
	})
	if n := len(owner.digits); n < eventLimit || n > eventLimit+1 {
		t.Errorf("%d of %d events were told", n, 2*eventLimit)
	}
}

func TestStopPlayTellsNothing(t *testing.T) {
	t.Parallel()
	b, events := newBench(), newNotes()
	l, _ := b.leg(usual, events)
	clip := []*Clip{NewClip("", Tone(100*time.Millisecond, 500))}
	l.play(1, clip, false)
	b.pass(50 * time.Millisecond)
	l.play(2, clip, true)
	b.pass(time.Second)
	l.player = player{}
	b.pass(time.Second)
	l.play(3, clip, false)
	b.pass(200 * time.Millisecond)
	events.wait(t, "the last end", func() bool { return len(events.ended) > 0 })
	if len(events.ended) != 1 || events.ended[0] != 3 {
		t.Errorf("ends of %v were told", events.ended)
	}
	l.play(4, nil, true) // nothing at all, for ever
	events.wait(t, "the end of nothing", func() bool { return len(events.ended) == 2 })
}

func TestEngineCloseEndsEverything(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, options Options) {
		engine := newTestEngine(t, options)
		var sessions []*Session
		for i := range 10 {
			s := newPhone(t, loopback).call(engine, "0", newNotes())
			s.Play(1, []*Clip{Beep()}, true)
			s.Record(newTape())
			if i%2 == 1 {
				s.Join(sessions[i-1])
			}
			sessions = append(sessions, s)
		}
		engine.Close()
		engine.Close()
		if len(engine.sessions) != 0 {
			t.Errorf("%d sessions are left", len(engine.sessions))
		}
		for _, s := range sessions {
			s.Play(1, nil, false)
			s.Join(sessions[0])
			s.Stats()
			s.Close()
		}
		if _, err := engine.NewSession(SessionOptions{}); err == nil {
			t.Error("a closed engine opens sessions")
		}
		for i := range engine.load {
			if n := engine.load[i].Load(); n != 0 {
				t.Errorf("loop %d counts %d sessions", i, n)
			}
		}
	})
}

func TestIPv6(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, options Options) {
		six := netip.IPv6Loopback()
		for name, local := range map[string]netip.Addr{"one address": six, "both families": netip.IPv6Unspecified()} {
			options.LocalIP = local
			engine := newTestEngine(t, options)
			addresses := []netip.Addr{six, six}
			if local.IsUnspecified() {
				addresses[1] = loopback
			}
			ann, bob := newPhone(t, addresses[0]), newPhone(t, addresses[1])
			a, b := ann.call(engine, "0", nil), bob.call(engine, "0", nil)
			ann.to = netip.AddrPortFrom(addresses[0], a.Local().Port())
			bob.to = netip.AddrPortFrom(addresses[1], b.Local().Port())
			a.Join(b)
			a.Stats()
			b.Stats()
			a.Stats()
			voice := melody(200*time.Millisecond, 400, 900)
			ann.speak(voice, 0)
			bob.waitAudio(0, 10)
			if r := similarity(bob.heard(0), voice); r < 0.99 {
				t.Errorf("%s: Bob hears Ann with a resemblance of %.3f", name, r)
			}
			back := melody(200*time.Millisecond, 1400, 1900)
			bob.speak(back, 0)
			ann.waitAudio(0, 10)
			if r := similarity(ann.heard(0), back); r < 0.99 {
				t.Errorf("%s: Ann hears Bob with a resemblance of %.3f", name, r)
			}
		}
	})
}

func TestReOfferMovesTheAudio(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, options Options) {
		engine := newTestEngine(t, options)
		first, second := newPhone(t, loopback), newPhone(t, loopback)
		s := first.call(engine, "0", nil)
		s.Play(1, []*Clip{NewClip("", melody(time.Second, 400, 900))}, true)
		first.waitAudio(0, 5)
		if _, err := s.Accept(first.sdp("0", "a=sendonly")); err != nil || !s.Held() {
			t.Errorf("held %v, %v", s.Held(), err)
		}
		if _, err := s.Accept(second.sdp("8")); err != nil || s.Held() {
			t.Errorf("held %v, %v", s.Held(), err)
		}
		second.waitAudio(8, 10)
		second.continuous()
		if _, err := s.Offer(); err != nil {
			t.Fatal(err)
		}
		if err := s.SetAnswer(first.sdp("0")); err != nil {
			t.Fatal(err)
		}
		first.mu.Lock()
		before := len(first.packets)
		first.mu.Unlock()
		first.waitAudio(0, before+5)
	})
}
