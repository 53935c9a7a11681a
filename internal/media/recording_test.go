package media

import (
	"sync"
	"testing"
	"time"
)

// tape is a Recorder.
type tape struct {
	mu          sync.Mutex
	said, heard []int16
	ended       chan struct{}
	block       chan struct{} // when set, Audio waits for it
}

func newTape() *tape { return &tape{ended: make(chan struct{})} }

func (t *tape) Audio(said, heard []int16) {
	if t.block != nil {
		<-t.block
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.said, t.heard = append(t.said, said...), append(t.heard, heard...)
}

func (t *tape) Ended() { close(t.ended) }

func TestRecordHoldsBothDirections(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, options Options) {
		engine := newTestEngine(t, options)
		ann, bob, events := newPhone(t, loopback), newPhone(t, loopback), newNotes()
		a, b := ann.call(engine, "0", events), bob.call(engine, "8", nil)
		recorder := newTape()
		a.Record(recorder)
		a.Stats()
		prompt, fromAnn, fromBob := melody(300*time.Millisecond, 300, 600), melody(300*time.Millisecond, 900, 1300), melody(300*time.Millisecond, 2900, 2300)
		a.Play(1, []*Clip{NewClip("", prompt)}, false)
		events.wait(t, "the prompt's end", func() bool { return len(events.ended) == 1 })
		ann.speakInTime(fromAnn, 0)
		a.Join(b)
		a.Stats()
		b.Stats()
		a.Stats()
		bob.speakInTime(fromBob, 8)
		ann.waitAudio(0, 30)
		a.StopRecord()
		<-recorder.ended
		if len(recorder.said) != len(recorder.heard) {
			t.Errorf("%d samples said, %d heard", len(recorder.said), len(recorder.heard))
		}
		at1 := placed(t, "the prompt", recorder.heard, prompt)
		at2 := placed(t, "Ann", recorder.said, fromAnn)
		at3 := placed(t, "Bob", recorder.heard, fromBob)
		// They spoke one after the other, and so they must be found.
		if at2 < at1+len(prompt)-800 || at3 < at2+len(fromAnn)-800 {
			t.Errorf("the prompt is at %d, Ann at %d, Bob at %d", at1, at2, at3)
		}
	})
}

// placed returns where wanted begins in a recording that keeps the time of a busy machine: of its sixths, some may be
// broken by a pause.
func placed(t *testing.T, name string, recorded, wanted []int16) int {
	t.Helper()
	part, good, begins := len(wanted)/6, 0, -1
	for i := range 6 {
		if r, at := found(recorded, wanted[i*part:(i+1)*part]); r > 0.9 {
			good++
			if begins < 0 {
				begins = at - i*part
			}
		}
	}
	if good < 2 {
		t.Errorf("%s: %d of 6 parts are in the recording", name, good)
	}
	return begins
}

// speakInTime sends a packet each 20 ms, as a phone does.
func (p *phone) speakInTime(pcm []int16, payload uint8) {
	clip := NewClip("", pcm)
	bytes := clip.ulaw
	if payload == 8 {
		bytes = clip.alaw
	}
	pace := time.NewTicker(20 * time.Millisecond)
	defer pace.Stop()
	for ; len(bytes) >= 160; bytes = bytes[160:] {
		<-pace.C
		p.send(payload, false, bytes[:160])
		p.clock += 160
	}
}

func TestRecordKeepsTime(t *testing.T) {
	t.Parallel()
	b := newBench()
	l, _ := b.leg(usual, nil)
	recorder := newTape()
	l.record(newRecording(l.session, recorder))
	word, prompt := melody(100*time.Millisecond, 500, 900), melody(333*time.Millisecond, 2000, 3000)
	say := func(sequence int) {
		for i := range 5 {
			clip := NewClip("", word[160*i:160*(i+1)])
			l.receive(party, rtpPacket(0, uint16(sequence+i), uint32(160*(sequence+i)), clip.ulaw))
			b.pass(20 * time.Millisecond)
		}
	}
	say(0)
	b.skip(9 * time.Second)
	l.play(1, []*Clip{NewClip("", prompt)}, false)
	b.pass(time.Second)
	say(500)
	l.stopRecording()
	<-recorder.ended
	b.core.engine.workers.Wait()
	first, _ := found(recorder.said[:1600], word)
	second, at := found(recorder.said[1600:], word)
	if first < 0.95 || second < 0.95 {
		t.Errorf("resemblance %.3f and %.3f", first, second)
	}
	if r, at := found(recorder.heard, prompt); r < 0.99 || at < 72700 || at > 72900 {
		t.Errorf("the prompt is at sample %d with %.3f", at, r)
	}
	if at += 1600; at < 80700 || at > 80900 {
		t.Errorf("the second word is at sample %d", at)
	}
	if n := len(recorder.said); n < 81500 || n > 81700 {
		t.Errorf("the recording has %d samples", n)
	}
}

// TestSlowRecorderHoldsUpNothing blocks a Recorder and expects the session to go on.
func TestSlowRecorderHoldsUpNothing(t *testing.T) {
	t.Parallel()
	b := newBench()
	l, _ := b.leg(usual, nil)
	recorder := newTape()
	recorder.block = make(chan struct{})
	l.record(newRecording(l.session, recorder))
	for i := range 2000 {
		l.receive(party, rtpPacket(0, uint16(i), uint32(160*i), make([]byte, 160)))
		b.pass(20 * time.Millisecond)
	}
	if got := l.stats().PacketsReceived; got != 2000 {
		t.Errorf("%d packets were taken", got)
	}
	l.close()
	close(recorder.block)
	<-recorder.ended
	if n := len(recorder.said); n < 39*SampleRate || n > 41*SampleRate {
		t.Errorf("40 s were recorded as %d samples", n)
	}
}

func TestRecordAfterCloseEnds(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, options Options) {
		engine := newTestEngine(t, options)
		s := newPhone(t, loopback).call(engine, "0", nil)
		first := newTape()
		s.Record(first)
		s.Close()
		<-first.ended
		second := newTape()
		s.Record(second)
		<-second.ended
	})
}
