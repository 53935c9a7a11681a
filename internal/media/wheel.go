package media

const (
	wheelStep  = 5 * millisecond
	wheelSlots = 64 // 320 ms, more than five of the longest packets
)

// wheel holds the legs that need ticks, by the time of the next one, in steps of 5 ms: legs whose packets are due within
// a step are served in one go.
type wheel struct {
	slots  [wheelSlots]*leg
	cursor int64 // the next step
	count  int
}

// add puts a leg into the step after its due time.
func (w *wheel) add(l *leg) {
	step := max((int64(l.due)+int64(wheelStep)-1)/int64(wheelStep), w.cursor)
	step = min(step, w.cursor+wheelSlots-1)
	l.slot = int(step % wheelSlots)
	l.earlier, l.following = nil, w.slots[l.slot]
	if l.following != nil {
		l.following.earlier = l
	}
	w.slots[l.slot] = l
	l.scheduled = true
	w.count++
}

func (w *wheel) remove(l *leg) {
	if !l.scheduled {
		return
	}
	if l.earlier != nil {
		l.earlier.following = l.following
	} else {
		w.slots[l.slot] = l.following
	}
	if l.following != nil {
		l.following.earlier = l.earlier
	}
	l.earlier, l.following, l.scheduled = nil, nil, false
	w.count--
}

// next returns when the first leg is due.
func (w *wheel) next() (instant, bool) {
	if w.count == 0 {
		return 0, false
	}
	step := w.cursor
	for w.slots[step%wheelSlots] == nil {
		step++
	}
	return instant(step) * wheelStep, true
}

// take removes and returns a leg that is due, nil when there is none. Legs that are added meanwhile belong to later steps.
func (w *wheel) take(now instant) *leg {
	last := int64(now / wheelStep)
	if w.count == 0 {
		w.cursor = max(w.cursor, last)
		return nil
	}
	for ; w.cursor <= last; w.cursor++ {
		if l := w.slots[w.cursor%wheelSlots]; l != nil {
			w.remove(l)
			return l
		}
	}
	return nil
}
