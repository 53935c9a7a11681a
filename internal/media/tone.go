package media

import "time"

// Tone returns the sum of sine waves of the given frequencies in hertz, each at -13 dBm0, faded in and out over 2 ms.
func Tone(duration time.Duration, frequencies ...float64) []int16 { return nil }

// Silence returns a stretch of silence.
func Silence(duration time.Duration) []int16 { return make([]int16, samplesIn(duration)) }

// DTMF returns the tones of digits (ITU-T Q.23), each as long as each and followed by gap of silence. Characters that
// are not keys are passed over.
func DTMF(digits string, each, gap time.Duration) []int16 { return nil }

// Ringback returns one period of the North American ringback tone: 2 s of 440 and 480 Hz, 4 s of silence.
func Ringback() *Clip { return NewClip("tone-ringback", nil) }

// Busy returns one period of the North American busy tone: 0.5 s of 480 and 620 Hz, 0.5 s of silence.
func Busy() *Clip { return NewClip("tone-busy", nil) }

// Beep returns the tone before a recording: 0.5 s of 1000 Hz.
func Beep() *Clip { return NewClip("tone-beep", nil) }

func samplesIn(duration time.Duration) int { return int(duration * SampleRate / time.Second) }
