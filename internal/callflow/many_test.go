package callflow_test

import (
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"time"

	"bugle"
	"bugle/internal/call/simulate"
	"bugle/internal/callflow/callflowtest"
)

const directoryCall = `
	dial 411
	hear dir-enter_person_name
	press 5 3 3
	hear dir-found Ann_Lee dir-confirm_menu
	press 1
	rings 1002
	answers 1002
	talks 1002
	wait 1m
	hangs up
	released 1002 NORMAL_CLEARING`

func withDirectory(t testing.TB) *callflowtest.House {
	h := callflowtest.New(t)
	h.Documents.Directories["dir"] = bugle.Directory{ID: "dir", SearchFields: "both", MinDTMF: 3, ConfirmMatch: true}
	h.Person("1001", "Bob", "Caller")
	h.Person("1002", "Ann", "Lee", "dir")
	h.Callflow("dir", "411", `{"module":"directory","data":{"id":"dir"}}`)
	return h
}

// TestManyCalls runs thousands of calls, hundreds at a time on one clock, through one engine.
func TestManyCalls(t *testing.T) {
	t.Parallel()
	const worlds, each = 8, 250
	var done sync.WaitGroup
	for range worlds {
		done.Go(func() {
			h := withDirectory(t)
			var callers []*simulate.Leg
			for range each {
				callers = append(callers, h.World.Call("1001", "411"))
				h.Advance(10 * time.Millisecond)
			}
			for _, key := range "533#" {
				for _, c := range callers {
					c.Presses(byte(key))
				}
			}
			h.Advance(4 * time.Second)
			for _, c := range callers {
				c.Presses('1')
			}
			h.Advance(time.Second)
			for i, l := range h.Legs() {
				switch i % 4 {
				case 0:
					l.Refuses(486)
				case 1, 2:
					l.PicksUp()
				}
			}
			h.Advance(time.Minute)
			for i, c := range callers {
				if i%2 == 0 {
					c.HangsUp()
				}
			}
			for i, l := range h.Legs() {
				if i%4 == 2 {
					l.HangsUp()
				}
			}
			h.Advance(7 * time.Hour)
			if n := h.Calls.Registry.Count(); n != 0 || len(h.Reports()) != each || len(h.Legs()) != each {
				t.Errorf("%d calls are left, %d ended, %d phones rang", n, len(h.Reports()), len(h.Legs()))
			}
		})
	}
	done.Wait()
}

// BenchmarkCall is a whole call through the directory to a person, with the simulator's own work.
func BenchmarkCall(b *testing.B) {
	h := withDirectory(b)
	b.ReportAllocs()
	for b.Loop() {
		d := simulate.Dialogue{World: h.World, From: "1001"}
		if err := d.Run(directoryCall); err != nil {
			b.Fatal(err)
		}
		h.World.Forget()
	}
}

// BenchmarkDirectCall is the least that a bridged call does: a number, a user, a phone that answers at once.
func BenchmarkDirectCall(b *testing.B) {
	h := withDirectory(b)
	h.AnswerAfter("1002", time.Second)
	b.ReportAllocs()
	for b.Loop() {
		c := h.World.Call("1001", "1002")
		h.Advance(2 * time.Second)
		if !c.State().Answered {
			b.Fatal("not answered")
		}
		c.HangsUp()
		h.Settle()
		h.World.Forget()
	}
}

// BenchmarkHeldCall prints what a call costs in memory while its parties talk: stacks, and heap without the simulator's
// legs.
func BenchmarkHeldCall(b *testing.B) {
	h := withDirectory(b)
	h.AnswerAfter("1002", time.Second)
	measure := func() (heap, stack uint64) {
		for range 4 { // each halves a stack that is mostly empty
			runtime.GC()
		}
		debug.FreeOSMemory()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc, m.StackInuse
	}
	const calls = 2000
	heap, stack := measure()
	before := runtime.NumGoroutine()
	for range calls {
		h.World.Call("1001", "1002")
	}
	h.Advance(2 * time.Second)
	heapAfter, stackAfter := measure()
	goroutines := runtime.NumGoroutine() - before
	for b.Loop() {
		h.Settle()
	}
	b.ReportMetric(float64(heapAfter-heap)/calls, "heap-B/call")
	b.ReportMetric(float64(stackAfter-stack)/calls, "stack-B/call")
	b.ReportMetric(float64(goroutines)/calls, "goroutines/call")
}
