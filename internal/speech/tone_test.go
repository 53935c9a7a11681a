package speech

import (
	"math"

	"bugle/internal/media"
)

// strength is the amplitude of one frequency in pcm.
func strength(pcm []int16, hertz float64) float64 {
	var re, im float64
	for i, sample := range pcm {
		angle := 2 * math.Pi * hertz * float64(i) / media.SampleRate
		re += float64(sample) * math.Cos(angle)
		im += float64(sample) * math.Sin(angle)
	}
	return 2 * math.Hypot(re, im) / float64(len(pcm))
}
