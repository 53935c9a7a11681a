package media

import "math"

// similarity is the normalised correlation of two signals over the shorter one's length: 1 for the same, 0 for strangers.
func similarity(a, b []int16) float64 {
	n := min(len(a), len(b))
	var ab, aa, bb float64
	for i := range n {
		x, y := float64(a[i]), float64(b[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}

// found returns the best similarity of wanted to any stretch of heard, and where it begins.
func found(heard, wanted []int16) (best float64, at int) {
	for shift := 0; shift+len(wanted) <= len(heard); shift++ {
		if s := similarity(heard[shift:], wanted); s > best {
			best, at = s, shift
		}
	}
	return best, at
}

// toneLevelOf returns the level in dBm0 of one frequency in pcm.
func toneLevelOf(pcm []int16, frequency float64) float64 {
	var re, im float64
	for i, sample := range pcm {
		angle := 2 * math.Pi * frequency * float64(i) / SampleRate
		re += float64(sample) * math.Cos(angle)
		im += float64(sample) * math.Sin(angle)
	}
	amplitude := 2 * math.Hypot(re, im) / float64(len(pcm))
	return 20 * math.Log10(amplitude/amplitude0+1e-9)
}
