package bugletest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bugle/internal/media"
)

// Hearing is one thing that was recognised in a stream of audio: a clip by name, or a tone by frequency.
type Hearing struct {
	// Names are the names of the clip: more than one when the recogniser knows clips that sound exactly alike.
	Names []string
	// Hertz is the frequency of a tone, 0 for a clip.
	Hertz float64
	// Start is where in the stream it begins, Length how much of it was heard so far.
	Start, Length time.Duration
	// Whole is set when a clip was heard to its end.
	Whole bool
}

// Is tells whether name names the clip.
func (h Hearing) Is(name string) bool { return slices.Contains(h.Names, name) }

// IsTone tells whether it is a tone of the given frequency, within two per cent.
func (h Hearing) IsTone(hertz float64) bool {
	return h.Hertz > 0 && h.Hertz > hertz*0.98 && h.Hertz < hertz*1.02
}

// String is the hearing in a few words: "dir-found", "tone 440 Hz".
func (h Hearing) String() string {
	if h.Hertz > 0 {
		return fmt.Sprintf("tone %.0f Hz", h.Hertz)
	}
	return strings.Join(h.Names, " or ")
}

// Recogniser knows a set of clips and tells which of them is being played in a stream of audio. It is immutable and safe
// for concurrent use; each stream has a Listener of its own.
type Recogniser struct{}

// NewRecogniser learns clips. Clips that sound exactly alike are taken as one with several names.
func NewRecogniser(clips []*media.Clip) *Recogniser { return &Recogniser{} }

// Listener follows one stream. It is not safe for concurrent use.
type Listener struct{}

// Listen starts to follow a stream; heard is called once for each clip and tone as soon as it is certain what it is, and
// ended when it is over. Either may be nil. A nil Recogniser hears tones only.
func (r *Recogniser) Listen(heard, ended func(Hearing)) *Listener { return &Listener{} }

// Write takes the next samples of the stream, 8 kHz, any number of them.
func (l *Listener) Write(pcm []int16) {}

// Close tells that the stream is over: what was still uncertain is decided.
func (l *Listener) Close() {}
