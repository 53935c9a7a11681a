package bugletest

import (
	"math"
	"slices"
	"time"

	"bugle/internal/media"
)

const (
	// block is the stretch of audio that is compared at a time, 20 ms.
	block = media.SampleRate / 50
	// historyLength is how much of the stream is kept to look back at, 16 s.
	historyLength = 16 * media.SampleRate
	// quietest is the root mean square below which a block says nothing.
	quietest = 48
	// alike is the correlation of a block that passed G.711 once or twice with its original; other speech stays below.
	alike = 0.9
	// patience is how many loud blocks in a row may differ before a claim is given up: lost packets.
	patience = 5
	// certain is how many loud blocks of a long clip must have been heard before it is named early: 1.8 s. A clip that is
	// hardly longer is heard to its end.
	certain = 90
	// reunion is how long after its last match a claim can be taken up again, shifted by lost packets, 500 ms.
	reunion = media.SampleRate / 2
	// farthest is how far such a shift may be, 300 ms.
	farthest = media.SampleRate * 3 / 10
	// completeness is the share of a clip's loud blocks that must have matched.
	completeness = 0.75
)

// claim is the supposition that a certain clip is being played.
type claim struct {
	clip  int
	align int64 // position in the stream where the clip begins
	next  int   // first block that has not been compared
	good  []int64
	// good holds, for each matching loud block, its position in the stream, ascending.
	passed  int  // loud blocks compared since the first match
	missed  int  // the newest of them that differ, in a row
	lost    bool // too many of them: over, unless the clip is found again
	over    bool // the clip's end was reached
	told    bool
	dropped bool
	names   []string // set when told
}

func (c *claim) first() int64 { return c.good[0] }
func (c *claim) last() int64  { return c.good[len(c.good)-1] + block }
func (c *claim) live() bool   { return !c.lost && !c.over && !c.dropped }

// consider looks at a place in a clip whose landmark has just been heard at position at.
func (l *Listener) consider(p place, at int64) {
	align := at - int64(p.position)
	var old *claim
	for _, c := range l.claims {
		if c.clip != int(p.clip) || c.over || c.dropped {
			continue
		}
		if c.align == align && !c.lost {
			return
		}
		if shift := align - c.align; shift >= -farthest && shift <= farthest && at-c.last() < reunion {
			old = c
		}
	}
	if !l.fits(p, at) {
		return
	}
	if old != nil {
		if !old.lost && old.missed == 0 {
			return // it goes on well as it is
		}
		l.resume(old, align, int(p.position)/block)
		return
	}
	c := &claim{clip: int(p.clip), align: align}
	c.next = l.firstBlock(c, int(p.position)/block)
	l.claims = append(l.claims, c)
	l.compare(c)
	if len(c.good) == 0 {
		l.claims = l.claims[:len(l.claims)-1]
	}
}

// resume takes up a claim again after packets were lost or late: at block until, and perhaps at another place in the
// stream. The blocks that differed are compared once more where they should be now.
func (l *Listener) resume(c *claim, align int64, until int) {
	clip := &l.r.clips[c.clip]
	for ; c.missed > 0 && c.next > 0; c.next-- {
		if clip.loud[c.next-1] {
			c.passed--
			c.missed--
		}
	}
	c.align, c.lost, c.missed = align, false, 0
	for ; c.next < min(until, len(clip.loud)); c.next++ {
		at := align + int64(c.next)*block
		if !clip.loud[c.next] {
			continue
		}
		c.passed++
		if at > c.good[len(c.good)-1] && at+block <= l.now && l.matches(clip, c.next, at) {
			c.good = append(c.good, at)
		}
	}
	l.compare(c)
}

// fits compares the 50 ms before a landmark.
func (l *Listener) fits(p place, at int64) bool {
	const window = 400
	length := min(window, int(p.position), int(min(at, historyLength/2)))
	if length < window/4 {
		return false
	}
	pcm := l.r.clips[p.clip].pcm
	return l.correlation(pcm[int(p.position)-length:p.position], at-int64(length)) >= alike
}

// firstBlock goes back from a block of the clip to where it began to match.
func (l *Listener) firstBlock(c *claim, from int) int {
	clip := &l.r.clips[c.clip]
	first, bad := from, 0
	for b := from - 1; b >= 0 && bad < patience; b-- {
		at := c.align + int64(b)*block
		if at < 0 || at < l.now-historyLength {
			break
		}
		switch {
		case !clip.loud[b]:
		case l.matches(clip, b, at):
			first, bad = b, 0
		default:
			bad++
		}
	}
	return first
}

// compare takes up the blocks that the stream has reached.
func (l *Listener) compare(c *claim) {
	clip := &l.r.clips[c.clip]
	for !c.lost && c.next < len(clip.loud) {
		at := c.align + int64(c.next)*block
		if at+block > l.now {
			return
		}
		b := c.next
		c.next++
		if at < max(0, l.now-historyLength) || !clip.loud[b] {
			continue
		}
		c.passed++
		if l.matches(clip, b, at) {
			c.good = append(c.good, at)
			c.missed = 0
		} else if c.missed++; c.missed >= patience {
			c.lost = true
		}
	}
	c.over = c.next >= len(clip.loud) && !c.lost
}

// matches tells whether a block of the clip sounds at a position of the stream.
func (l *Listener) matches(clip *knownClip, b int, at int64) bool {
	return l.correlation(clip.pcm[b*block:(b+1)*block], at) >= alike
}

// correlation of pcm with the stream at a position; 0 when their loudness differs by more than 3 dB.
func (l *Listener) correlation(pcm []int16, at int64) float64 {
	var xx, yy, xy float64
	for i, x := range pcm {
		y := float64(l.history[(at+int64(i))%historyLength])
		xx += float64(x) * float64(x)
		yy += y * y
		xy += float64(x) * y
	}
	if xx == 0 || yy < xx/2 || yy > xx*2 {
		return 0
	}
	return xy / math.Sqrt(xx*yy)
}

// follow takes every claim on and decides those that can be decided; at the end of the stream, all.
func (l *Listener) follow(atEnd bool) {
	for _, c := range l.claims {
		l.compare(c)
	}
	for _, c := range l.claims {
		if !c.told && !c.dropped && l.convinces(c) {
			l.decide(c, atEnd)
		}
	}
	l.claims = slices.DeleteFunc(l.claims, func(c *claim) bool {
		done := atEnd || c.dropped || c.over || (c.lost && l.now-c.last() > reunion)
		if c.over && !c.told && !c.dropped && l.convinces(c) && !atEnd {
			done = false // it waits for a rival
		}
		if done && c.told {
			l.ended(l.hearing(c))
			l.told = append(l.told, c)
			if len(l.told) > 8 {
				l.told = l.told[1:]
			}
		}
		return done
	})
}

// convinces tells whether enough of the clip was heard.
func (l *Listener) convinces(c *claim) bool {
	total := l.r.clips[c.clip].total
	if total < 4 || float64(len(c.good)) < completeness*float64(c.passed) {
		return false
	}
	if c.over {
		return float64(len(c.good)) >= completeness*float64(total) || len(c.good) >= certain
	}
	return len(c.good) >= certain && !c.lost && total >= certain*3/2
}

// decide names a convincing claim unless another one explains the same stretch as well or better, or still may.
func (l *Listener) decide(c *claim, atEnd bool) {
	names := slices.Clone(l.r.clips[c.clip].names)
	for _, rival := range l.told {
		if overlap(rival, c) {
			c.dropped = true
			return
		}
	}
	for _, rival := range l.claims {
		if rival == c || rival.dropped || !overlap(rival, c) {
			continue
		}
		switch {
		case rival.told, c.over && after(rival, c.last()) >= patience:
			c.dropped = true
			return
		case rival.live() && !atEnd:
			return
		case rival.over && len(rival.good) > len(c.good) && l.convinces(rival):
			c.dropped = true
			return
		case rival.over && len(rival.good) == len(c.good) && l.convinces(rival):
			rival.dropped = true
			names = append(names, l.r.clips[rival.clip].names...)
		}
	}
	if len(names) > len(l.r.clips[c.clip].names) {
		slices.Sort(names)
		names = slices.Compact(names)
	}
	c.told, c.names = true, names
	l.heard(l.hearing(c))
}

// overlap tells whether rival matched most of the stretch that c did.
func overlap(rival, c *claim) bool {
	common := 0
	for _, at := range rival.good {
		if at >= c.first()-block/2 && at < c.last()-block/2 {
			common++
		}
	}
	return common*10 >= len(c.good)*7
}

// after counts the blocks that c matched from a position on.
func after(c *claim, from int64) int {
	n := 0
	for i := len(c.good) - 1; i >= 0 && c.good[i] >= from-block/2; i-- {
		n++
	}
	return n
}

func (l *Listener) hearing(c *claim) Hearing {
	clip := &l.r.clips[c.clip]
	start := max(c.align, 0)
	unheard := 0
	for b := range (c.first() - c.align) / block {
		if clip.loud[b] {
			unheard++
		}
	}
	if unheard*4 > clip.total {
		start = c.first() // heard from its middle on
	}
	end := c.last()
	if c.over {
		end = c.align + int64(len(clip.pcm))
	}
	return Hearing{Names: c.names, Start: span(start), Length: span(end - start), Whole: c.over}
}

func isLoud(pcm []int16) bool {
	var energy float64
	for _, x := range pcm {
		energy += float64(x) * float64(x)
	}
	return energy >= quietest*quietest*float64(len(pcm))
}

func (l *Listener) copyTo(pcm []int16, at int64) {
	for i := range pcm {
		pcm[i] = l.history[(at+int64(i))%historyLength]
	}
}

// span is the length of a number of samples.
func span(samples int64) time.Duration {
	return time.Duration(samples) * time.Second / media.SampleRate
}
