package media

import "time"

// SampleRate is the rate in hertz of all audio inside bugle.
const SampleRate = 8000

// Clip is a piece of audio in memory, 8 kHz mono, encoded once for each codec and shared by all who hear it.
// It is immutable and safe for concurrent use.
type Clip struct {
	name string
	ulaw []byte
	alaw []byte
}

// Name is what the clip is called in logs and in dialogue tests: a prompt id, a media id, or the text that was said.
func (c *Clip) Name() string { return c.name }

// Duration is how long the clip plays.
func (c *Clip) Duration() time.Duration {
	return time.Duration(len(c.ulaw)) * time.Second / SampleRate
}
