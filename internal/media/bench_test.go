package media

import (
	"testing"
	"time"
)

// BenchmarkRelayStep is what a loop does for a relayed packet, without its system calls.
func BenchmarkRelayStep(b *testing.B) {
	bench := newBench()
	l, wire := bench.leg(usual, nil)
	other, otherWire := bench.leg(usual, nil)
	wire.quiet, otherWire.quiet = true, true
	l.link(other)
	var room [headerBytes + 160]byte
	b.ReportAllocs()
	for i := range b.N {
		writeHeader(room[:], 0, false, uint16(i), 160*uint32(i), 5)
		l.budget = packetBudget
		bench.core.packet(l, party, room[:], false)
	}
	if otherWire.count != b.N {
		b.Fatalf("%d of %d packets were relayed", otherWire.count, b.N)
	}
}

// BenchmarkPlayStep is what a loop does for a packet of a prompt, without its system call.
func BenchmarkPlayStep(b *testing.B) {
	bench := newBench()
	l, wire := bench.leg(usual, nil)
	wire.quiet = true
	l.play(1, []*Clip{NewClip("", Tone(time.Second, 500))}, true)
	b.ReportAllocs()
	for wire.count < b.N {
		bench.core.now += 20 * millisecond
		bench.core.serve()
	}
}

// BenchmarkDetector is in-band detection of 20 ms.
func BenchmarkDetector(b *testing.B) {
	var detector Detector
	pcm, room := DTMF("5", 20*time.Millisecond, 0), make([]byte, 0, 8)
	b.ReportAllocs()
	for range b.N {
		detector.Detect(room, pcm)
	}
}

func BenchmarkClock(b *testing.B) {
	engine := Engine{began: time.Now()}
	for range b.N {
		engine.now()
	}
}
