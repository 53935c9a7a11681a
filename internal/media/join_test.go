package media

import (
	"fmt"
	"testing"
	"time"
)

func TestJoinedPartiesHearEachOther(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, options Options) {
		for _, payloads := range [][2]uint8{{0, 0}, {8, 8}, {0, 8}, {8, 0}} {
			t.Run(fmt.Sprint(payloads), func(t *testing.T) {
				engine := newTestEngine(t, options)
				ann, bob := newPhone(t, loopback), newPhone(t, loopback)
				a := ann.call(engine, fmt.Sprint(payloads[0]), nil)
				b := bob.call(engine, fmt.Sprint(payloads[1]), nil)
				a.Join(b)
				a.Stats()
				b.Stats()
				a.Stats() // joined, on whatever loops they began
				fromAnn, fromBob := melody(time.Second, 300, 1500), melody(time.Second, 3200, 1800)
				done := make(chan struct{})
				go func() { defer close(done); ann.speak(fromAnn, payloads[0]) }()
				bob.speak(fromBob, payloads[1])
				<-done
				bob.waitAudio(payloads[1], 50)
				ann.waitAudio(payloads[0], 50)
				if s := similarity(bob.heard(payloads[1]), fromAnn); s < 0.99 {
					t.Errorf("Bob hears Ann with a resemblance of %.3f", s)
				}
				if s := similarity(ann.heard(payloads[0]), fromBob); s < 0.99 {
					t.Errorf("Ann hears Bob with a resemblance of %.3f", s)
				}
				ann.continuous()
				bob.continuous()
				if stats := a.Stats(); stats.PacketsReceived != 50 || stats.PacketsSent != 50 || stats.Lost != 0 || stats.Refused != 0 {
					t.Errorf("Ann's counters: %+v", stats)
				}
			})
		}
	})
}

// TestOneStreamFromPromptToBridgeAndBack plays, joins, plays over the bridge, returns to it and parts: the phone hears
// each, in one stream.
func TestOneStreamFromPromptToBridgeAndBack(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, options Options) {
		engine := newTestEngine(t, options)
		ann, bob, events := newPhone(t, loopback), newPhone(t, loopback), newNotes()
		a, b := ann.call(engine, "0", events), bob.call(engine, "8", nil)
		prompt, voice, beep, again := melody(200*time.Millisecond, 300, 600), melody(300*time.Millisecond, 900, 1300),
			melody(200*time.Millisecond, 1700, 2000), melody(300*time.Millisecond, 2400, 3100)
		a.Play(1, []*Clip{NewClip("prompt", prompt)}, false)
		events.wait(t, "the prompt's end", func() bool { return len(events.ended) == 1 })
		b.Join(a)
		b.Stats()
		a.Stats()
		b.Stats()
		bob.speak(voice, 8)
		ann.waitAudio(0, 25)
		a.Play(2, []*Clip{NewClip("beep", beep)}, false)
		a.Stats()
		bob.speak(melody(60*time.Millisecond, 100, 100), 8) // not heard: the beep plays
		events.wait(t, "the beep's end", func() bool { return len(events.ended) == 2 })
		bob.speak(again, 8)
		ann.waitAudio(0, 50)
		a.Part()
		a.Stats()
		b.Stats()
		bob.speak(melody(100*time.Millisecond, 200, 200), 8) // nobody is there to hear it
		b.Stats()
		ann.continuous()
		got := ann.heard(0)
		last := 0
		for _, piece := range [][]int16{prompt, voice, beep, again} {
			s, at := found(got, piece)
			if s < 0.99 || at < last {
				t.Errorf("a piece is found with %.3f at %d, after %d", s, at, last)
			}
			last = at
		}
		ann.mu.Lock()
		defer ann.mu.Unlock()
		if len(ann.packets) != 50 {
			t.Errorf("Ann got %d packets", len(ann.packets))
		}
	})
}

func TestLossAndDisorderStayVisible(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, options Options) {
		engine := newTestEngine(t, options)
		ann, bob := newPhone(t, loopback), newPhone(t, loopback)
		a, b := ann.call(engine, "0", nil), bob.call(engine, "0", nil)
		a.Join(b)
		a.Stats()
		b.Stats()
		a.Stats()
		start := ann.sequence
		for _, step := range []uint16{0, 1, 3, 2, 6, 7} { // 4 and 5 are lost, 2 comes late
			ann.sequence, ann.clock = start+step, 160*uint32(step)
			ann.send(0, false, make([]byte, 160))
		}
		bob.waitAudio(0, 6)
		bob.mu.Lock()
		defer bob.mu.Unlock()
		first := bob.packets[0]
		for i, step := range []uint16{0, 1, 3, 2, 6, 7} {
			if got := bob.packets[i].sequence - first.sequence; got != step {
				t.Errorf("packet %d comes out as number %d", step, got)
			}
			if got := bob.packets[i].timestamp - first.timestamp; got != 160*uint32(step) {
				t.Errorf("packet %d comes out with timestamp %d", step, got)
			}
		}
		if lost := a.Stats().Lost; lost != 2 {
			t.Errorf("%d packets are counted as lost", lost)
		}
	})
}

// TestJoinMovesAround joins and parts many sessions in every order, from several goroutines, and then checks that the
// last word counts.
func TestJoinMovesAround(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, options Options) {
		engine := newTestEngine(t, options)
		const count = 6
		var phones [count]*phone
		var sessions [count]*Session
		for i := range phones {
			phones[i] = newPhone(t, loopback)
			sessions[i] = phones[i].call(engine, "0", nil)
		}
		done := make(chan struct{})
		for worker := range 3 {
			go func() {
				for i := range 200 {
					a, b := sessions[(i+worker)%count], sessions[(i*worker+3*worker+1)%count]
					if i%5 == 0 {
						a.Part()
					} else {
						a.Join(b)
					}
				}
				done <- struct{}{}
			}()
		}
		for range 3 {
			<-done
		}
		for i := range count / 2 {
			sessions[i].Join(sessions[count-1-i])
		}
		for range 4 { // commands may follow a session over several loops
			for _, s := range sessions {
				s.Stats()
			}
		}
		for i, p := range phones {
			p.speak(melody(100*time.Millisecond, 400+300*float64(i), 500+300*float64(i)), 0)
		}
		for i, p := range phones {
			p.waitAudio(0, 5)
			partner := float64(count - 1 - i)
			if s := similarity(p.heard(0), melody(100*time.Millisecond, 400+300*partner, 500+300*partner)); s < 0.99 {
				t.Errorf("phone %d hears its partner with a resemblance of %.3f", i, s)
			}
		}
	})
}
