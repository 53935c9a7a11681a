package media

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// pairOf opens a loopback pair.
func pairOf(t *testing.T, engine *Engine, a, b Events) (*Session, *Session) {
	t.Helper()
	x, y, err := engine.NewLoopback(SessionOptions{Events: a, Label: "a"}, SessionOptions{Events: b, Label: "b"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.Close)
	t.Cleanup(y.Close)
	return x, y
}

// settle waits until the loops have done what sessions were asked for: commands may follow a session over several loops.
func settle(sessions ...*Session) {
	for range 6 {
		for _, s := range sessions {
			s.Stats()
		}
	}
}

func TestPartiesHearEachOtherThroughALoopbackPair(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, options Options) {
		for _, payloads := range [][2]uint8{{0, 0}, {8, 8}, {0, 8}, {8, 0}} {
			for _, turned := range []bool{false, true} { // who is there first
				t.Run(fmt.Sprint(payloads, turned), func(t *testing.T) {
					engine := newTestEngine(t, options)
					ann, bob := newPhone(t, loopback), newPhone(t, loopback)
					var a, b *Session
					if turned {
						a, b = ann.call(engine, fmt.Sprint(payloads[0]), nil), bob.call(engine, fmt.Sprint(payloads[1]), nil)
					}
					x, y := pairOf(t, engine, nil, nil)
					if !turned {
						a, b = ann.call(engine, fmt.Sprint(payloads[0]), nil), bob.call(engine, fmt.Sprint(payloads[1]), nil)
					}
					b.Join(y)
					x.Join(a)
					settle(a, b, x, y)
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
					if payloads[0] == payloads[1] { // nothing is translated
						exact := decode(nil, NewClip("", fromAnn).encoded(codec(payloads[0]/8)), codec(payloads[0]/8))
						if !slices.Equal(bob.heard(payloads[1]), exact) {
							t.Error("what Bob hears is not what Ann said")
						}
					}
					if got := x.Stats(); got.PacketsReceived != 50 || got.PacketsSent != 50 || got.Refused != 0 || got.Lost != 0 {
						t.Errorf("the pair's counters: %+v", got)
					}
				})
			}
		}
	})
}

// TestKeysAreEventsAtTheOtherEnd presses keys by RFC 4733, by INFO, in the audio, and as a session sends them.
func TestKeysAreEventsAtTheOtherEnd(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, options Options) {
		engine := newTestEngine(t, options)
		ann, bob := newPhone(t, loopback), newPhone(t, loopback)
		near, far := newNotes(), newNotes()
		a, b := ann.call(engine, "0 101", nil), bob.call(engine, "8 96", nil)
		x, y := pairOf(t, engine, near, far)
		a.Join(x)
		y.Join(b)
		settle(a, b, x, y)
		y.DetectDigits(true) // Ann's phone sends events: what is in her audio is no key
		ann.press('4', 101)
		far.waitDigits(t, "4")
		a.Digit('1')
		far.waitDigits(t, "41")
		bob.press('#', 96)
		near.waitDigits(t, "#")
		x.SendDigits("7", 0)
		far.waitDigits(t, "417")
		for len(bob.heard(8)) == 0 { // until the last key and the silence after it are over
			ann.speak(make([]int16, 160), 0)
		}
		ann.speak(DTMF("5", 100*time.Millisecond, 60*time.Millisecond), 0)
		bob.waitAudio(8, 8)
		settle(y)
		far.waitDigits(t, "417")

		cleo := newPhone(t, loopback)
		c := cleo.call(engine, "0", nil) // a phone without events
		x.Join(c)
		settle(a, c, x, y, b)
		cleo.speak(DTMF("93", 100*time.Millisecond, 60*time.Millisecond), 0)
		far.waitDigits(t, "41793")
	})
}

func TestWhatIsPlayedIntoAPairIsHeardAndRecordedAtItsOtherEnd(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, options Options) {
		engine := newTestEngine(t, options)
		ann, events := newPhone(t, loopback), newNotes()
		a := ann.call(engine, "8", nil)
		x, y := pairOf(t, engine, nil, events)
		x.Join(a)
		settle(a, x, y)
		// Two clips of no whole packets: one packet is built in the room that Ann's law is written into.
		first, second := melody(330*time.Millisecond, 300, 900), melody(335*time.Millisecond, 3000, 1200)
		tape := newTape()
		y.Record(tape)
		settle(y)
		y.Play(3, []*Clip{NewClip("first", first), NewClip("second", second)}, false)
		events.wait(t, "the end of playing", func() bool { return len(events.ended) == 1 })
		ann.waitAudio(8, 33)
		wanted := append(append([]int16(nil), first...), second...)
		if s := similarity(ann.heard(8), wanted); s < 0.99 {
			t.Errorf("what Ann heard resembles what was played by %.3f", s)
		}
		ann.continuous()
		y.StopRecord()
		<-tape.ended
		if s, _ := found(tape.heard, wanted); s < 0.99 {
			t.Errorf("what was recorded resembles what was played by %.3f", s)
		}
		x.Close()
		settle(x)
		before := y.Stats().PacketsSent
		y.Play(4, []*Clip{NewClip("third", first)}, false)
		events.wait(t, "the end of playing to nobody", func() bool { return len(events.ended) == 2 })
		if got := y.Stats().PacketsSent; got != before {
			t.Errorf("%d packets were sent to an end that is closed", got-before)
		}
	})
}

// TestAPairIsNeverSilentForTooLong lets nobody say anything for longer than a phone may.
func TestAPairIsNeverSilentForTooLong(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, options Options) {
		options.MediaTimeout = time.Second
		engine := newTestEngine(t, options)
		ann, phone, events := newPhone(t, loopback), newNotes(), newNotes()
		ann.call(engine, "0", phone)
		pairOf(t, engine, events, events)
		phone.wait(t, "the phone's timeout", func() bool { return phone.timeouts > 1 })
		if n := events.count(); n != 0 {
			t.Errorf("%d timeouts of a pair", n)
		}
	})
}

// TestAChainOfPairs talks through two pairs, of which each was there before the phones or came after them.
func TestAChainOfPairs(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, options Options) {
		for range 8 {
			engine := newTestEngine(t, options)
			var ann, bob *phone
			var a, b, v, w, x, y *Session
			open := []func(){
				func() { ann = newPhone(t, loopback); a = ann.call(engine, "0", nil) },
				func() { bob = newPhone(t, loopback); b = bob.call(engine, "8", nil) },
				func() { v, w = pairOf(t, engine, nil, nil) },
				func() { x, y = pairOf(t, engine, nil, nil) },
			}
			rand.Shuffle(len(open), func(i, j int) { open[i], open[j] = open[j], open[i] })
			for _, one := range open {
				one()
			}
			join := []func(){func() { a.Join(v) }, func() { w.Join(x) }, func() { y.Join(b) }}
			rand.Shuffle(len(join), func(i, j int) { join[i], join[j] = join[j], join[i] })
			for _, one := range join {
				one()
				settle(a, b, v, w, x, y)
			}
			voice := melody(100*time.Millisecond, 500, 900)
			ann.speak(voice, 0)
			bob.waitAudio(8, 5)
			if s := similarity(bob.heard(8), voice); s < 0.99 {
				t.Errorf("Bob hears Ann with a resemblance of %.3f", s)
			}
		}
	})
}

// TestAPacketCrossesSoManyPairs, and no more.
func TestAPacketCrossesSoManyPairs(t *testing.T) {
	t.Parallel()
	for pairs, want := range map[int]int{1: 1, maxHops: 1, maxHops + 1: 0} {
		b := newBench()
		near, _ := b.leg(usual, nil)
		far, wire := b.leg(usual, nil)
		at := near
		for range pairs {
			x, y := b.core.engine.twin(SessionOptions{}), b.core.engine.twin(SessionOptions{})
			b.core.add(&x.leg)
			b.core.add(&y.leg)
			at.link(&x.leg)
			x.leg.meet(&y.leg)
			at = &y.leg
		}
		at.link(far)
		b.core.packet(near, party, rtpPacket(0, 1, 160, make([]byte, 160)), false)
		if wire.count != want {
			t.Errorf("%d packets come through %d pairs, want %d", wire.count, pairs, want)
		}
		if b.core.hops != 0 {
			t.Errorf("%d hops are left", b.core.hops)
		}
	}
}

// TestARingOfPairs joins the two ends of a pair, and of two pairs, with each other.
func TestARingOfPairs(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, options Options) {
		engine := newTestEngine(t, options)
		events := newNotes()
		x, y := pairOf(t, engine, events, nil)
		v, w := pairOf(t, engine, nil, nil)
		clip := []*Clip{NewClip("", Tone(100*time.Millisecond, 500))}
		x.Join(y)
		settle(x, y)
		x.Play(1, clip, false)
		events.wait(t, "the end of playing", func() bool { return len(events.ended) == 1 })
		x.Join(v)
		y.Join(w)
		settle(x, y, v, w)
		x.Play(2, clip, false)
		events.wait(t, "the end of playing", func() bool { return len(events.ended) == 2 })
		if got := y.Stats().PacketsReceived; got == 0 || got > 10*maxHops {
			t.Errorf("%d packets went round", got)
		}
	})
}

// TestPairsMoveAround joins and parts phones and ends of pairs in every order, from several goroutines, and then checks
// that the last word counts.
func TestPairsMoveAround(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, options Options) {
		engine := newTestEngine(t, options)
		const pairs = 3
		var phones [2 * pairs]*phone
		var sessions, all []*Session
		for i := range phones {
			phones[i] = newPhone(t, loopback)
			all = append(all, phones[i].call(engine, "0", nil))
		}
		sessions = append(sessions, all...)
		for range pairs {
			x, y := pairOf(t, engine, nil, nil)
			all = append(all, x, y)
		}
		done := make(chan struct{})
		for range 3 {
			go func() {
				defer func() { done <- struct{}{} }()
				for i := range 300 {
					a, b := all[rand.IntN(len(all))], all[rand.IntN(len(all))]
					if i%5 == 0 {
						a.Part()
					} else {
						a.Join(b)
					}
				}
			}()
		}
		for range 3 {
			<-done
		}
		order := rand.Perm(2 * pairs)
		for end, phone := range order { // phone order[0] talks to order[1] through the first pair, and so on
			sessions[phone].Join(all[2*pairs+end])
		}
		settle(all...)
		voice := func(i int) []int16 {
			return melody(100*time.Millisecond, 400+300*float64(i), 500+300*float64(i))
		}
		for i, p := range phones {
			p.speak(voice(i), 0)
		}
		for end, i := range order {
			phones[i].waitAudio(0, 5)
			if s := similarity(phones[i].heard(0), voice(order[end^1])); s < 0.99 {
				t.Errorf("phone %d hears its partner with a resemblance of %.3f", i, s)
			}
		}
	})
}

func TestNoPairOfAClosedEngine(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, options Options) {
		engine := newTestEngine(t, options)
		x, y := pairOf(t, engine, nil, nil)
		engine.Close()
		x.Play(1, []*Clip{NewClip("", Tone(time.Second, 500))}, true)
		y.Join(x)
		if _, _, err := engine.NewLoopback(SessionOptions{}, SessionOptions{}); err == nil {
			t.Error("a closed engine makes pairs")
		}
	})
}

// loopedBench are two legs that talk through a pair.
func loopedBench() (b *bench, near *leg, wire *fakeWire) {
	b = newBench()
	near, _ = b.leg(usual, nil)
	far, wire := b.leg(usual, nil)
	x, y := b.core.engine.twin(SessionOptions{}), b.core.engine.twin(SessionOptions{})
	for _, s := range []*Session{x, y} {
		b.core.add(&s.leg)
	}
	near.link(&x.leg)
	x.leg.meet(&y.leg)
	y.leg.link(far)
	return b, near, wire
}

func TestNothingIsAllocatedForPacketsThroughAPair(t *testing.T) {
	b, near, wire := loopedBench()
	wire.quiet = true
	var room [headerBytes + 160]byte
	sequence := uint16(0)
	if n := testing.AllocsPerRun(1000, func() {
		sequence++
		for _, l := range b.core.legs {
			l.budget = packetBudget
		}
		writeHeader(room[:], 0, false, sequence, 160*uint32(sequence), 5)
		b.core.packet(near, party, room[:], false)
	}); n != 0 {
		t.Errorf("%.1f allocations for a packet", n)
	}
	if wire.count != 1001 {
		t.Errorf("%d of 1001 packets came through", wire.count)
	}
}

// BenchmarkLoopbackStep is BenchmarkRelayStep through a pair.
func BenchmarkLoopbackStep(b *testing.B) {
	bench, near, wire := loopedBench()
	wire.quiet = true
	var room [headerBytes + 160]byte
	b.ReportAllocs()
	for i := range b.N {
		for _, l := range bench.core.legs {
			l.budget = packetBudget
		}
		writeHeader(room[:], 0, false, uint16(i), 160*uint32(i), 5)
		bench.core.packet(near, party, room[:], false)
	}
	if wire.count != b.N {
		b.Fatalf("%d of %d packets came through", wire.count, b.N)
	}
}
