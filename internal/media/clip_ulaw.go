package media

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
