package media

import "math"

// detectorBlock is how many samples are judged at once: 12.75 ms, so that a tone of 40 ms, the shortest that ITU-T Q.24
// lets a receiver rely on, holds two whole blocks wherever it begins, and a bin is 78 Hz wide, the distance of the rows.
const detectorBlock = 102

// The limits of ITU-T Q.24 as power ratios, with room for what G.711 and 1.5 % of frequency error take away.
const (
	detectorTwist        = 7.9   // 9 dB: how much the row may be above the column
	detectorReverseTwist = 3.2   // 5 dB: how much the column may be above the row
	detectorPeak         = 6.3   // 8 dB: how far the other three of a group must be below the strongest
	detectorPurity       = 0.77  // share of the block's energy that the two tones must hold
	detectorSide         = 0.041 // a tone nearer to a frequency this far beside its own is another tone
	detectorHarmonic     = 10    // 10 dB: how far below its tone a second harmonic must be; voices have strong ones
)

// detectorLevel is the least power of a tone, -36 dBm0 in a block, as the square of a Goertzel filter's result.
var detectorLevel = float32(math.Pow(amplitude0*math.Pow(10, -36.0/20)*detectorBlock/2, 2))

var (
	rowCoefficients       = coefficients(dtmfRows, 1)
	columnCoefficients    = coefficients(dtmfColumns, 1)
	rowHarmonics          = coefficients(dtmfRows, 2)
	columnHarmonics       = coefficients(dtmfColumns, 2)
	rowsAbove             = coefficients(dtmfRows, 1+detectorSide)
	rowsBelow             = coefficients(dtmfRows, 1-detectorSide)
	columnsAbove          = coefficients(dtmfColumns, 1+detectorSide)
	columnsBelow          = coefficients(dtmfColumns, 1-detectorSide)
	harmonicNeighbourhood = 120.0 // hertz within which a block cannot tell a row's harmonic from a column
)

// Detector finds DTMF in 8 kHz audio (ITU-T Q.23, Q.24). The zero value is ready; it is not safe for concurrent use.
type Detector struct {
	block  [detectorBlock]float32
	filled int
	last   byte // what the last block sounded like, 0 for no key
	key    byte // the key that is held, 0 for none
}

// Detect appends to keys each key whose tone became certain within samples, which follow those of the last call. A key
// is reported once, about 25 ms after its tone began. It allocates nothing when keys has room.
func (d *Detector) Detect(keys []byte, samples []int16) []byte {
	for len(samples) > 0 {
		n := min(detectorBlock-d.filled, len(samples))
		for i, sample := range samples[:n] {
			d.block[d.filled+i] = float32(sample)
		}
		d.filled += n
		samples = samples[n:]
		if d.filled < detectorBlock {
			break
		}
		d.filled = 0
		hit := keyIn(&d.block)
		// A key begins and ends with two blocks that agree, so that neither a click makes one nor a gap of 10 ms two.
		if hit != d.key && d.last != d.key {
			if hit != 0 && hit == d.last {
				d.key = hit
				keys = append(keys, hit)
			} else {
				d.key = 0
			}
		}
		d.last = hit
	}
	return keys
}

// Reset forgets what was heard so far.
func (d *Detector) Reset() { *d = Detector{} }

// keyIn returns the key whose tones the block holds, 0 for none.
func keyIn(block *[detectorBlock]float32) byte {
	var energy float32
	for _, sample := range block {
		energy += sample * sample
	}
	// A sine's filter result squared is its energy times half the block's length.
	if energy*detectorBlock/2 < 2*detectorLevel {
		return 0
	}
	rows, columns := goertzel(block, &rowCoefficients), goertzel(block, &columnCoefficients)
	row, column := strongest(&rows), strongest(&columns)
	low, high := rows[row], columns[column]
	switch {
	case low < detectorLevel || high < detectorLevel,
		low > high*detectorTwist, high > low*detectorReverseTwist,
		low+high < detectorPurity*energy*detectorBlock/2,
		!alone(&rows, row), !alone(&columns, column):
		return 0
	}
	// Between 1.5 % beside its frequency, where a tone must count, and 3.5 %, where it must not (ITU-T Q.24 §2.2).
	if power(block, rowsAbove[row]) > low || power(block, rowsBelow[row]) > low ||
		power(block, columnsAbove[column]) > high || power(block, columnsBelow[column]) > high {
		return 0
	}
	// Talk-off: a voice that happens to hold both tones holds their second harmonics too (ITU-T Q.24 §2.6).
	if power(block, columnHarmonics[column])*detectorHarmonic > high {
		return 0
	}
	if math.Abs(2*dtmfRows[row]-dtmfColumns[column]) > harmonicNeighbourhood &&
		power(block, rowHarmonics[row])*detectorHarmonic > low {
		return 0
	}
	return dtmfKeys[row][column]
}

func coefficients(frequencies [4]float64, harmonic float64) (result [4]float32) {
	for i, frequency := range frequencies {
		result[i] = float32(2 * math.Cos(2*math.Pi*harmonic*frequency/SampleRate))
	}
	return result
}

// goertzel runs four Goertzel filters side by side and returns their squared results.
func goertzel(block *[detectorBlock]float32, c *[4]float32) [4]float32 {
	var a0, a1, b0, b1, c0, c1, d0, d1 float32
	for _, sample := range block {
		a0, a1 = sample+c[0]*a0-a1, a0
		b0, b1 = sample+c[1]*b0-b1, b0
		c0, c1 = sample+c[2]*c0-c1, c0
		d0, d1 = sample+c[3]*d0-d1, d0
	}
	return [4]float32{
		a0*a0 + a1*a1 - c[0]*a0*a1,
		b0*b0 + b1*b1 - c[1]*b0*b1,
		c0*c0 + c1*c1 - c[2]*c0*c1,
		d0*d0 + d1*d1 - c[3]*d0*d1,
	}
}

func power(block *[detectorBlock]float32, coefficient float32) float32 {
	var s0, s1 float32
	for _, sample := range block {
		s0, s1 = sample+coefficient*s0-s1, s0
	}
	return s0*s0 + s1*s1 - coefficient*s0*s1
}

func strongest(powers *[4]float32) int {
	best := 0
	for i, p := range powers {
		if p > powers[best] {
			best = i
		}
	}
	return best
}

func alone(powers *[4]float32, best int) bool {
	for i, p := range powers {
		if i != best && p*detectorPeak > powers[best] {
			return false
		}
	}
	return true
}
