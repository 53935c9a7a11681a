package media

// Detector finds DTMF in 8 kHz audio (ITU-T Q.23, Q.24). The zero value is ready; it is not safe for concurrent use.
type Detector struct{}

// Detect appends to keys each key whose tone became certain within samples, which follow those of the last call. A key
// is reported once, about 25 ms after its tone began. It allocates nothing when keys has room.
func (d *Detector) Detect(keys []byte, samples []int16) []byte { return keys }

// Reset forgets what was heard so far.
func (d *Detector) Reset() { *d = Detector{} }
