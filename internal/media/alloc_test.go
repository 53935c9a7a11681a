package media

import (
	"runtime"
	"testing"
	"time"
)

// TestLoopsAllocateNothing plays through whole loops, with their waiting and their system calls. It is not parallel, so
// that what is counted is the loops'.
func TestLoopsAllocateNothing(t *testing.T) {
	kinds := []string{"portable"}
	if haveEpoll {
		kinds = append(kinds, "epoll")
	}
	for _, kind := range kinds {
		engine, err := NewEngine(Options{Loop: kind, LocalIP: loopback})
		if err != nil {
			t.Fatal(err)
		}
		ear := listenPair(t, loopback)
		phone := &phone{t: t, conn: ear} // that nobody reads
		prompt, events := []*Clip{NewClip("", Tone(time.Second, 500))}, newNotes()
		var sessions []*Session
		for range 20 {
			sessions = append(sessions, phone.call(engine, "0", events))
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for _, s := range sessions {
			s.Play(1, prompt, false)
		}
		events.wait(t, "the end of playing", func() bool { return len(events.ended) == len(sessions) })
		runtime.ReadMemStats(&after)
		var packets uint64
		for _, s := range sessions {
			packets += s.Stats().PacketsSent
		}
		if got := after.Mallocs - before.Mallocs; packets < 900 || got > packets/3 {
			t.Errorf("%s: %d allocations for %d packets", kind, got, packets)
		}
		engine.Close()
		ear.Close()
	}
}
