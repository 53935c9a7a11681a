package bugletest

import (
	"math"

	"bugle/internal/media"
)

const (
	purest      = 0.98  // share of a block's energy that a tone must hold
	steadiest   = 0.015 // how far its frequency may wander from block to block
	toneMinimum = 8     // blocks before a tone is one: 160 ms
	toneGap     = 5     // blocks that may be missing within one: 100 ms
)

// toneFollower finds single steady tones.
type toneFollower struct {
	start  int64
	blocks int // of the tone, 0 when there is none
	gap    int
	sum    float64 // of the blocks' frequencies
	told   bool
}

// next judges the block that begins at position from.
func (t *toneFollower) next(l *Listener, from int64) {
	var samples [block]int16
	l.copyTo(samples[:], from)
	hertz, share := loudestTone(samples[:])
	if share < purest {
		if t.blocks > 0 {
			if t.gap++; t.gap > toneGap || (!t.told && t.gap > 1) {
				t.end(l)
			}
		}
		return
	}
	if t.blocks > 0 && math.Abs(hertz/t.mean()-1) > steadiest {
		t.end(l)
	}
	if t.blocks == 0 {
		t.start = from
	}
	t.blocks++
	t.gap = 0
	t.sum += hertz
	if t.blocks >= toneMinimum && !t.told {
		t.told = true
		l.heard(t.hearing(from + block))
	}
}

func (t *toneFollower) mean() float64 { return t.sum / float64(t.blocks) }

func (t *toneFollower) hearing(until int64) Hearing {
	return Hearing{Hertz: t.mean(), Start: span(t.start), Length: span(until - t.start)}
}

func (t *toneFollower) end(l *Listener) {
	if t.told {
		h := t.hearing(l.now - int64(t.gap+1)*block)
		h.Whole = true
		l.ended(h)
	}
	*t = toneFollower{}
}

// loudestTone estimates the frequency of a block as if it were one sine wave, and returns which share of the block's
// energy is at that frequency (Goertzel).
func loudestTone(pcm []int16) (hertz, share float64) {
	if !isLoud(pcm) {
		return 0, 0
	}
	w, ok := sineFit(pcm, 1)
	if !ok {
		return 0, 0
	}
	// A low tone hardly turns from one sample to the next: compare samples about a quarter of its period apart.
	if lag := min(int(math.Pi/2/w), len(pcm)/4); lag > 1 {
		if w, ok = sineFit(pcm, lag); !ok {
			return 0, 0
		}
	}
	return w * media.SampleRate / (2 * math.Pi), goertzelShare(pcm, w)
}

// sineFit solves x[n-lag] + x[n+lag] = 2 cos(lag w) x[n] for w, in radians a sample, by least squares.
func sineFit(pcm []int16, lag int) (w float64, ok bool) {
	var product, energy float64
	for n := lag; n < len(pcm)-lag; n++ {
		x := float64(pcm[n])
		product += x * (float64(pcm[n-lag]) + float64(pcm[n+lag]))
		energy += x * x
	}
	cosine := product / (2 * energy)
	if !(cosine > -1 && cosine < 1) {
		return 0, false
	}
	w = math.Acos(cosine) / float64(lag)
	return w, w > 0
}

// goertzelShare is the share of pcm's energy that a sine wave of w radians a sample explains, 0 to 1: the least squares
// fit of sine and cosine, whose sums are what Goertzel's recursion yields.
func goertzelShare(pcm []int16, w float64) float64 {
	coefficient := 2 * math.Cos(w)
	var s1, s2, energy float64
	for _, sample := range pcm {
		x := float64(sample)
		s1, s2 = x+coefficient*s1-s2, s1
		energy += x * x
	}
	if energy == 0 {
		return 0
	}
	// Sums of x cos(w n) and x sin(w n) with n counted back from the last sample.
	c, s := s1-s2*math.Cos(w), s2*math.Sin(w)
	// The normal equations' matrix for n = 0 .. N-1.
	n := float64(len(pcm))
	d := math.Sin(n*w) / math.Sin(w)
	cc := (n + d*math.Cos((n-1)*w)) / 2
	ss := (n - d*math.Cos((n-1)*w)) / 2
	cs := d * math.Sin((n-1)*w) / 2
	det := cc*ss - cs*cs
	if det <= 0 {
		return 0
	}
	return (c*c*ss - 2*c*s*cs + s*s*cc) / det / energy
}
