package media

import (
	"testing"
	"time"
)

func TestKeysByTelephoneEvent(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, options Options) {
		engine := newTestEngine(t, options)
		caller, events := newPhone(t, loopback), newNotes()
		caller.call(engine, "0 96", events)
		for _, key := range []byte("0123456789*#ABCD55") {
			caller.press(key, 96)
		}
		events.waitDigits(t, "0123456789*#ABCD55")
	})
}

func TestKeyReceiver(t *testing.T) {
	t.Parallel()
	type p struct {
		ms          int
		timestamp   uint32
		marker, end bool
		code        byte
		duration    uint16
	}
	tests := []struct {
		name    string
		packets []p
		want    string
	}{
		{"plain press", []p{{0, 100, true, false, 5, 160}, {20, 100, false, false, 5, 320}, {40, 100, false, true, 5, 480},
			{40, 100, false, true, 5, 480}, {40, 100, false, true, 5, 480}}, "5"},
		{"lost marker", []p{{20, 100, false, false, 5, 320}, {40, 100, false, true, 5, 480}}, "5"},
		{"only an end arrives", []p{{40, 100, false, true, 5, 480}}, "5"},
		{"lost ends, another press of the same key", []p{{0, 100, true, false, 5, 160}, {300, 2500, true, false, 5, 160}}, "55"},
		{"lost ends and marker", []p{{0, 100, true, false, 5, 160}, {300, 2500, false, false, 5, 320}}, "55"},
		{"an end comes again during the next press", []p{{0, 100, true, true, 5, 480}, {100, 900, true, false, 6, 160},
			{110, 100, false, true, 5, 480}, {120, 900, false, false, 6, 320}}, "56"},
		{"disorder at the beginning", []p{{0, 100, false, false, 1, 320}, {5, 100, true, false, 1, 160}}, "1"},
		{"the timestamp counts up within a press", []p{{0, 100, true, false, 9, 160}, {20, 260, false, false, 9, 320},
			{40, 420, false, false, 9, 480}, {60, 580, false, true, 9, 640}, {60, 580, false, true, 9, 640}}, "9"},
		{"a long press in two segments", []p{{0, 100, true, false, 3, 160}, {8190, 100, false, false, 3, 65535},
			{8210, 65635, false, false, 3, 160}, {8230, 65635, false, true, 3, 320}}, "3"},
		{"timestamps wrap", []p{{0, 0xFFFFFF00, true, true, 1, 480}, {200, 0x500, true, true, 2, 480}}, "12"},
		{"hook flash is no key", []p{{0, 100, true, true, 16, 480}}, ""},
	}
	for _, test := range tests {
		var ear keyReceiver
		got := ""
		for _, step := range test.packets {
			flags := byte(10)
			if step.end {
				flags |= 0x80
			}
			header := &packet{timestamp: step.timestamp, marker: step.marker}
			if key, is := ear.event(instant(step.ms)*millisecond, header,
				[]byte{step.code, flags, byte(step.duration >> 8), byte(step.duration)}); is == partFirst {
				got += string(key)
			}
		}
		if got != test.want {
			t.Errorf("%s: heard %q, want %q", test.name, got, test.want)
		}
	}
	var ear keyReceiver
	if _, is := ear.event(0, &packet{}, []byte{5, 0, 0}); is != partNone {
		t.Error("a payload of three bytes is taken for a key")
	}
}

func TestSendDigitsByTelephoneEvent(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, options Options) {
		engine := newTestEngine(t, options)
		caller := newPhone(t, loopback)
		s := caller.call(engine, "0 96", nil)
		s.SendDigits("4x1#", 90*time.Millisecond)
		caller.waitAudio(96, 3*7)
		if got := caller.events(96); got != "41#" {
			t.Errorf("the phone hears %q", got)
		}
		caller.mu.Lock()
		defer caller.mu.Unlock()
		ends := map[uint32]int{}
		for i, packet := range caller.packets {
			duration := int(packet.body[2])<<8 | int(packet.body[3])
			end := packet.body[1]&0x80 != 0
			if first := i%7 == 0; packet.marker != first || first && duration != 160 {
				t.Errorf("packet %d: marker %v, duration %d", i, packet.marker, duration)
			}
			if end {
				ends[packet.timestamp]++
			}
			if end != (duration == 720) {
				t.Errorf("packet %d: end %v at duration %d of 720", i, end, duration)
			}
			if i > 0 && packet.sequence != caller.packets[i-1].sequence+1 {
				t.Errorf("packet %d has sequence number %d", i, packet.sequence)
			}
		}
		if len(ends) != 3 {
			t.Errorf("ends by timestamp: %v", ends)
		}
		for timestamp, n := range ends {
			if n != 3 {
				t.Errorf("the key at %d has %d end packets", timestamp, n)
			}
		}
	})
}

func TestSendDigitsAsTones(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, options Options) {
		engine := newTestEngine(t, options)
		caller := newPhone(t, loopback)
		s := caller.call(engine, "8", nil)
		s.SendDigits("159D", 80*time.Millisecond)
		caller.waitAudio(8, 4*7)
		if got := heardBy(append(caller.heard(8), Silence(50*time.Millisecond)...)); got != "159D" {
			t.Errorf("the phone hears %q", got)
		}
	})
}

func TestKeysInTheAudio(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, options Options) {
		engine := newTestEngine(t, options)
		tones := append(DTMF("2580", 60*time.Millisecond, 60*time.Millisecond), Silence(60*time.Millisecond)...)

		plain, events := newPhone(t, loopback), newNotes()
		s := plain.call(engine, "8", events)
		plain.speak(tones, 8) // not wanted yet
		s.DetectDigits(true)
		s.Stats()
		plain.speak(tones, 8)
		events.waitDigits(t, "2580")
		s.DetectDigits(false)
		s.Stats()
		plain.speak(tones, 8)
		s.post(func(*leg) { s.events.digit('1') }) // comes after whatever the tones would have made
		events.waitDigits(t, "25801")

		modern, others := newPhone(t, loopback), newNotes()
		s = modern.call(engine, "0 101", others)
		s.DetectDigits(true)
		s.Stats()
		modern.speak(tones, 0) // this phone said that it sends telephone-events
		modern.press('7', 101)
		others.waitDigits(t, "7")
	})
}

func TestKeysReachTheOtherParty(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, options Options) {
		engine := newTestEngine(t, options)
		join := func(t *testing.T, annFormats, bobFormats string) (ann, bob *phone, a *Session) {
			ann, bob = newPhone(t, loopback), newPhone(t, loopback)
			events := newNotes()
			a = ann.call(engine, annFormats, events)
			b := bob.call(engine, bobFormats, nil)
			a.Join(b)
			a.Stats()
			b.Stats()
			a.Stats()
			return ann, bob, a
		}
		t.Run("as events of another number", func(t *testing.T) {
			ann, bob, _ := join(t, "0 101", "8 96")
			ann.speak(melody(60*time.Millisecond, 400, 500), 0)
			ann.press('3', 101)
			ann.press('3', 101)
			ann.speak(melody(60*time.Millisecond, 400, 500), 0)
			bob.waitAudio(96, 14)
			bob.waitAudio(8, 6)
			if got := bob.events(96); got != "33" {
				t.Errorf("Bob hears %q", got)
			}
		})
		t.Run("as tones", func(t *testing.T) {
			ann, bob, _ := join(t, "0 101", "0")
			ann.press('6', 101)
			bob.waitAudio(0, 8)
			if got := heardBy(bob.heard(0)); got != "6" {
				t.Errorf("Bob hears %q", got)
			}
		})
		t.Run("from INFO", func(t *testing.T) {
			_, bob, a := join(t, "0", "0 101")
			a.Digit('9')
			bob.waitAudio(101, 7)
			if got := bob.events(101); got != "9" {
				t.Errorf("Bob hears %q", got)
			}
		})
	})
}

// TestKeysBesideOtherAudio is a gateway that sends keys under an SSRC of their own while its audio goes on.
func TestKeysBesideOtherAudio(t *testing.T) {
	t.Parallel()
	b, events := newBench(), newNotes()
	l, _ := b.leg(usual, events)
	other, wire := b.leg(usual, nil)
	l.link(other)
	audio, keyPacket := uint16(100), uint16(7000)
	speak := func() {
		packet := rtpPacket(0, audio, 160*uint32(audio), NewClip("", Tone(20*time.Millisecond, 500)).ulaw)
		l.receive(party, packet)
		audio++
		b.pass(20 * time.Millisecond)
	}
	speak()
	for i, key := range []byte("44") {
		code, _ := eventOf(key)
		for n := range 7 {
			duration, flags := min(n+1, 5)*160, byte(10)
			if n >= 4 {
				flags = 0xCA // the end, and a reserved bit that some senders set
			}
			packet := rtpPacket(101, keyPacket, 900_000+uint32(5000*i), []byte{code, flags, byte(duration >> 8), byte(duration)})
			packet[11] = 99 // SSRC
			l.receive(party, packet)
			keyPacket++
			speak()
		}
	}
	events.waitDigits(t, "44")
	if lost := l.stats().Lost; lost != 0 {
		t.Errorf("%d packets are counted as lost", lost)
	}
	var ear keyReceiver
	digits, voice := "", 0
	for i, raw := range wire.packets {
		p, _ := parsePacket(raw)
		if last, _ := parsePacket(wire.packets[max(i-1, 0)]); i > 0 && p.sequence != last.sequence+1 {
			t.Errorf("packet %d has sequence number %d after %d", i, p.sequence, last.sequence)
		}
		if p.payload != 101 {
			voice++
		} else if key, is := ear.event(0, &p, raw[p.start:p.end]); is == partFirst {
			digits += string(key)
		}
	}
	if digits != "44" || voice != 15 {
		t.Errorf("the other party gets keys %q and %d packets of audio", digits, voice)
	}
}

// TestKeyHeldDuringJoinStaysHere joins while a key is down: what it chose is not the other party's business, the next
// key is.
func TestKeyHeldDuringJoinStaysHere(t *testing.T) {
	t.Parallel()
	for _, tones := range []bool{false, true} {
		b, events := newBench(), newNotes()
		l, _ := b.leg(usual, events)
		agreed := usual
		if tones {
			agreed.event, agreed.receiveEvent = noPayload, noPayload
		}
		other, wire := b.leg(agreed, nil)
		sequence := uint16(10)
		press := func(code byte, timestamp uint32, from, to int) {
			for n := from; n < to; n++ {
				flags := byte(10)
				if n >= 4 {
					flags |= 0x80
				}
				l.receive(party, rtpPacket(101, sequence, timestamp, []byte{code, flags, 0, byte(20 * n)}))
				sequence++
				b.pass(20 * time.Millisecond)
			}
		}
		press(1, 1000, 0, 3)
		l.link(other)
		press(1, 1000, 3, 7)
		if len(wire.packets) != 0 {
			t.Errorf("tones %v: %d packets of the held key are passed on", tones, len(wire.packets))
		}
		press(2, 9000, 0, 7)
		b.pass(200 * time.Millisecond)
		if len(wire.packets) < 7 {
			t.Errorf("tones %v: of the next key %d packets are passed on", tones, len(wire.packets))
		}
		events.waitDigits(t, "12")
	}
}
