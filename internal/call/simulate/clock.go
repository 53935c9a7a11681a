package simulate

import (
	"container/heap"
	"sync"
	"time"

	"bugle/internal/call"
)

// Clock is a virtual clock. Time stands still while anything that was announced to it by Begin is going on, and then
// jumps to the next alarm. It is a call.Clock and a call.Activity.
type Clock struct {
	mu     sync.Mutex
	idle   *sync.Cond
	busy   int
	now    time.Time
	alarms alarms
	count  uint64
}

// NewClock returns a clock that stands at start.
func NewClock(start time.Time) *Clock {
	k := &Clock{now: start}
	k.idle = sync.NewCond(&k.mu)
	return k
}

// Now is the virtual time.
func (k *Clock) Now() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now
}

// Begin announces work.
func (k *Clock) Begin() {
	k.mu.Lock()
	k.busy++
	k.mu.Unlock()
}

// End takes the announcement of Begin back.
func (k *Clock) End() {
	k.mu.Lock()
	k.busy--
	if k.busy == 0 {
		k.idle.Broadcast()
	}
	if k.busy < 0 {
		panic("simulate: more work ended than began")
	}
	k.mu.Unlock()
}

// Settle waits until nothing is going on.
func (k *Clock) Settle() {
	k.mu.Lock()
	for k.busy > 0 {
		k.idle.Wait()
	}
	k.mu.Unlock()
}

// AfterFunc sets an alarm; f runs on the goroutine that moves the clock.
func (k *Clock) AfterFunc(d time.Duration, f func()) call.Timer {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.count++
	a := &alarm{clock: k, at: k.now.Add(d), order: k.count, f: f}
	heap.Push(&k.alarms, a)
	return a
}

// Step waits until nothing is going on and rings the next alarm that is due by limit. It reports false, with the time at
// limit, when there is none. One goroutine at a time may move the clock.
func (k *Clock) Step(limit time.Time) bool {
	k.Settle()
	k.mu.Lock()
	if len(k.alarms) == 0 || k.alarms[0].at.After(limit) {
		if k.now.Before(limit) {
			k.now = limit
		}
		k.mu.Unlock()
		return false
	}
	a := heap.Pop(&k.alarms).(*alarm)
	if a.at.After(k.now) {
		k.now = a.at
	}
	k.mu.Unlock()
	a.f()
	k.Settle()
	return true
}

// Alarms is how many alarms are set.
func (k *Clock) Alarms() int {
	k.Settle()
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.alarms)
}

// Advance lets d pass.
func (k *Clock) Advance(d time.Duration) {
	for limit := k.Now().Add(d); k.Step(limit); {
	}
}

type alarm struct {
	clock *Clock
	at    time.Time
	order uint64
	f     func()
	index int // in the heap, -1 when it is not there
}

func (a *alarm) Stop() bool {
	a.clock.mu.Lock()
	defer a.clock.mu.Unlock()
	if a.index < 0 {
		return false
	}
	heap.Remove(&a.clock.alarms, a.index)
	return true
}

type alarms []*alarm

func (h alarms) Len() int { return len(h) }

func (h alarms) Less(i, j int) bool {
	if h[i].at.Equal(h[j].at) {
		return h[i].order < h[j].order
	}
	return h[i].at.Before(h[j].at)
}

func (h alarms) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *alarms) Push(x any) {
	a := x.(*alarm)
	a.index = len(*h)
	*h = append(*h, a)
}

func (h *alarms) Pop() any {
	last := len(*h) - 1
	a := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	a.index = -1
	return a
}
