package speech

import (
	"math"
	"strings"

	"bugle/internal/media"
)

const (
	frame = media.SampleRate / 100 // 10 ms
	// Mean levels of a frame relative to full scale: above edge, -57 dB, it may hold the s of six, which must not be cut;
	// above loud, -40 dB, it counts for the level of the speech.
	edge, loud = 0.0014, 0.01
	// level is the mean level of speech after levelling, -20 dB, and peak the highest sample allowed.
	level, peak = 0.1, 0.9

	lead     = 1 * frame  // kept before the first speech
	rest     = 7 * frame  // kept after the last, where the sentence goes on; an s ends above what 8 kHz carries
	fullStop = 18 * frame // kept after a sentence
)

// Level trims the silence around the speech in pcm, 8 kHz mono, and brings the speech to the level of all prompts. Of the
// silence after it more is kept when text, which was said, ends a sentence. Audio without speech becomes that silence.
func Level(pcm []int16, text string) []int16 {
	samples := make([]float64, len(pcm))
	for i, s := range pcm {
		samples[i] = float64(s) / 32768
	}
	from, to := spoken(samples)
	tail := rest
	if strings.HasSuffix(text, ".") || strings.HasSuffix(text, "?") {
		tail = fullStop
	}
	from, to = max(from-lead, 0), to+tail
	gain := gainFor(samples)
	out := make([]int16, to-from)
	for i := range out {
		if from+i < len(samples) {
			out[i] = int16(math.Round(samples[from+i] * gain * 32767))
		}
	}
	return out
}

// spoken returns where the speech starts and ends.
func spoken(samples []float64) (from, to int) {
	from, to = len(samples), 0
	for start := 0; start < len(samples); start += frame {
		end := min(start+frame, len(samples))
		if rms(samples[start:end]) >= edge {
			from, to = min(from, start), end
		}
	}
	return min(from, to), to
}

// gainFor returns what brings the loud frames to level, without a sample over peak.
func gainFor(samples []float64) float64 {
	var sum float64
	var count int
	highest := 0.0
	for start := 0; start < len(samples); start += frame {
		part := samples[start:min(start+frame, len(samples))]
		if r := rms(part); r >= loud {
			sum += r * r * float64(len(part))
			count += len(part)
		}
		for _, s := range part {
			highest = math.Max(highest, math.Abs(s))
		}
	}
	if count == 0 || highest == 0 {
		return 1
	}
	return math.Min(level/math.Sqrt(sum/float64(count)), peak/highest)
}

func rms(samples []float64) float64 {
	sum := 0.0
	for _, s := range samples {
		sum += s * s
	}
	return math.Sqrt(sum / float64(len(samples)))
}
