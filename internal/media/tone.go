package media

import (
	"math"
	"time"
)

// amplitude0 is the peak of a sine of 0 dBm0: G.711's largest sine is 3.17 dBm0 (ITU-T G.711 §4).
const amplitude0 = 22_750

// Levels of generated tones in dBm0, each frequency. DTMF's lies in the middle of what ITU-T Q.24 lets receivers expect.
const (
	toneLevel = -13
	dtmfLevel = -10
	holdLevel = -24
)

// keys are the DTMF keys in the order of their RFC 4733 event codes (RFC 4733 §3.2).
const keys = "0123456789*#ABCD"

// The frequencies of ITU-T Q.23, in the rows and columns of a keypad.
var (
	dtmfRows    = [4]float64{697, 770, 852, 941}
	dtmfColumns = [4]float64{1209, 1336, 1477, 1633}
	dtmfKeys    = [4]string{"123A", "456B", "789C", "*0#D"}
)

// Tone returns the sum of sine waves of the given frequencies in hertz, each at -13 dBm0, faded in and out over 2 ms.
func Tone(duration time.Duration, frequencies ...float64) []int16 {
	return sines(duration, toneLevel, frequencies...)
}

// Silence returns a stretch of silence.
func Silence(duration time.Duration) []int16 { return make([]int16, samplesIn(duration)) }

// DTMF returns the tones of digits (ITU-T Q.23), each as long as each and followed by gap of silence. Characters that
// are not keys are passed over.
func DTMF(digits string, each, gap time.Duration) []int16 {
	var pcm []int16
	for i := range len(digits) {
		if low, high, ok := frequenciesOf(digits[i]); ok {
			pcm = append(pcm, sines(each, dtmfLevel, low, high)...)
			pcm = append(pcm, Silence(gap)...)
		}
	}
	return pcm
}

// Ringback returns one period of the North American ringback tone: 2 s of 440 and 480 Hz, 4 s of silence.
func Ringback() *Clip {
	return NewClip("tone-ringback", append(Tone(2*time.Second, 440, 480), Silence(4*time.Second)...))
}

// Busy returns one period of the North American busy tone: 0.5 s of 480 and 620 Hz, 0.5 s of silence.
func Busy() *Clip {
	return NewClip("tone-busy", append(Tone(time.Second/2, 480, 620), Silence(time.Second/2)...))
}

// Beep returns the tone before a recording: 0.5 s of 1000 Hz.
func Beep() *Clip { return NewClip("tone-beep", Tone(time.Second/2, 1000)) }

// Hold returns one period of what is heard on hold where nobody has chosen music: two soft, short tones of 425 Hz in five
// seconds, which say that the call is still there.
func Hold() *Clip {
	beep := sines(time.Second/5, holdLevel, 425)
	pcm := append(append(beep, Silence(time.Second/5)...), beep...)
	return NewClip("tone-hold", append(pcm, Silence(5*time.Second-3*time.Second/5)...))
}

func samplesIn(duration time.Duration) int {
	return int(max(duration, 0) * SampleRate / time.Second)
}

func sines(duration time.Duration, level float64, frequencies ...float64) []int16 {
	const fade = 2 * SampleRate / 1000
	pcm := make([]int16, samplesIn(duration))
	amplitude := amplitude0 * math.Pow(10, level/20)
	for i := range pcm {
		sum := 0.0
		for _, frequency := range frequencies {
			sum += math.Sin(2 * math.Pi * frequency * float64(i) / SampleRate)
		}
		edge := min(float64(i+1), float64(len(pcm)-i), fade) / fade
		pcm[i] = int16(max(-32767, min(32767, math.Round(sum*amplitude*edge))))
	}
	return pcm
}

func frequenciesOf(key byte) (low, high float64, ok bool) {
	for row, columns := range dtmfKeys {
		for column := range len(columns) {
			if columns[column] == upper(key) {
				return dtmfRows[row], dtmfColumns[column], true
			}
		}
	}
	return 0, 0, false
}

// eventOf returns the RFC 4733 event code of a key.
func eventOf(key byte) (code byte, ok bool) {
	for i := range len(keys) {
		if keys[i] == upper(key) {
			return byte(i), true
		}
	}
	return 0, false
}

func upper(key byte) byte {
	if key >= 'a' && key <= 'd' {
		return key - 'a' + 'A'
	}
	return key
}
