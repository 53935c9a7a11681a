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

// NewClip encodes pcm, 8 kHz mono, once for each codec. It keeps no reference to pcm.
func NewClip(name string, pcm []int16) *Clip {
	both := make([]byte, 2*len(pcm))
	c := &Clip{name: name, ulaw: both[:len(pcm):len(pcm)], alaw: both[len(pcm):]}
	for i, sample := range pcm {
		c.ulaw[i] = EncodeMuLaw(sample)
		c.alaw[i] = EncodeALaw(sample)
	}
	return c
}

// NewClipULaw returns a clip of 8 kHz mono µ-law audio. It keeps ulaw, which must not change, and translates it to A-law.
func NewClipULaw(name string, ulaw []byte) *Clip {
	c := &Clip{name: name, ulaw: ulaw, alaw: make([]byte, len(ulaw))}
	for i, b := range ulaw {
		c.alaw[i] = muLawToALaw[b]
	}
	return c
}

// ULaw returns the clip's audio as µ-law. It is shared: nobody may write to it.
func (c *Clip) ULaw() []byte { return c.ulaw }

// Name is what the clip is called in logs and in dialogue tests: a prompt id, a media id, or the text that was said.
func (c *Clip) Name() string { return c.name }

// Duration is how long the clip plays.
func (c *Clip) Duration() time.Duration {
	return time.Duration(len(c.ulaw)) * time.Second / SampleRate
}

// PCM decodes the clip to 8 kHz mono, as a listener with PCMU hears it. The caller owns the slice.
func (c *Clip) PCM() []int16 {
	pcm := make([]int16, len(c.ulaw))
	for i, b := range c.ulaw {
		pcm[i] = DecodeMuLaw(b)
	}
	return pcm
}

// encoded returns the clip's bytes for a codec. They are shared: nobody writes to them.
func (c *Clip) encoded(codec codec) []byte {
	if codec == codecPCMA {
		return c.alaw
	}
	return c.ulaw
}
