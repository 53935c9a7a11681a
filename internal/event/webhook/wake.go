package webhook

import (
	"container/heap"
	"time"
)

// wakeHeap says when queues are to be looked at. An entry whose time is no longer its queue's wake is void.
type wakeHeap struct{ entries wakeEntries }

type wakeEntry struct {
	at time.Time
	q  *queue
}

func (h *wakeHeap) add(at time.Time, q *queue) { heap.Push(&h.entries, wakeEntry{at, q}) }

func (h *wakeHeap) first() (time.Time, bool) {
	if len(h.entries) == 0 {
		return time.Time{}, false
	}
	return h.entries[0].at, true
}

func (h *wakeHeap) take() *queue { return heap.Pop(&h.entries).(wakeEntry).q }

type wakeEntries []wakeEntry

func (h wakeEntries) Len() int           { return len(h) }
func (h wakeEntries) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h wakeEntries) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push is heap's.
func (h *wakeEntries) Push(v any) { *h = append(*h, v.(wakeEntry)) }

// Pop is heap's.
func (h *wakeEntries) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = wakeEntry{}
	*h = old[:len(old)-1]
	return last
}
