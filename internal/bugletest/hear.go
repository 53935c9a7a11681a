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
//
// A clip is named once two seconds of it, or all of it when it is shorter, were heard and no other clip sounds the same so
// far. Clips of nothing but steady tones are not named; tones are.
type Recogniser struct {
	clips []knownClip
	index landmarks
}

// knownClip is a clip with the blocks of it that are loud enough to compare.
type knownClip struct {
	names []string
	pcm   []int16
	loud  []bool // by block, up to the last that is
	total int    // how many are loud
}

// NewRecogniser learns clips. Clips that are exactly alike are taken as one with several names. It takes about a
// millisecond for each second of audio.
func NewRecogniser(clips []*media.Clip) *Recogniser {
	r := &Recogniser{}
	seen := make(map[uint64][]int)
	for _, clip := range clips {
		known := knownClip{names: []string{clip.Name()}, pcm: clip.PCM()}
		sum := checksum(known.pcm)
		twin := slices.IndexFunc(seen[sum], func(i int) bool { return slices.Equal(r.clips[i].pcm, known.pcm) })
		if twin >= 0 {
			i := seen[sum][twin]
			if !slices.Contains(r.clips[i].names, clip.Name()) {
				r.clips[i].names = append(r.clips[i].names, clip.Name())
			}
			continue
		}
		last := 0
		known.loud = make([]bool, len(known.pcm)/block)
		for b := range known.loud {
			if known.loud[b] = isLoud(known.pcm[b*block : (b+1)*block]); known.loud[b] {
				known.total++
				last = b + 1
			}
		}
		known.loud = known.loud[:last]
		seen[sum] = append(seen[sum], len(r.clips))
		r.clips = append(r.clips, known)
	}
	r.index = indexLandmarks(r.clips)
	return r
}

// Knows tells whether one of the clips has that name, so that a test can refuse to wait for what cannot come.
func (r *Recogniser) Knows(name string) bool {
	return r != nil && slices.ContainsFunc(r.clips, func(c knownClip) bool { return slices.Contains(c.names, name) })
}

func checksum(pcm []int16) uint64 {
	sum := uint64(14695981039346656037)
	for _, sample := range pcm {
		sum = (sum ^ uint64(uint16(sample))) * 1099511628211
	}
	return sum
}

// Listener follows one stream. It is not safe for concurrent use.
type Listener struct {
	r       *Recogniser
	heard   func(Hearing)
	ended   func(Hearing)
	history [historyLength]int16 // by position modulo its length
	now     int64                // samples so far
	crests  crestFinder
	claims  []*claim
	told    []*claim // named lately, newest last
	tone    toneFollower
}

// Listen starts to follow a stream; heard is called once for each clip and tone as soon as it is certain what it is, and
// ended when it is over. Either may be nil. A nil Recogniser hears tones only.
func (r *Recogniser) Listen(heard, ended func(Hearing)) *Listener {
	if heard == nil {
		heard = func(Hearing) {}
	}
	if ended == nil {
		ended = func(Hearing) {}
	}
	return &Listener{r: r, heard: heard, ended: ended}
}

// Write takes the next samples of the stream, 8 kHz, any number of them.
func (l *Listener) Write(pcm []int16) {
	for _, sample := range pcm {
		l.history[l.now%historyLength] = sample
		l.now++
		if l.r != nil {
			if hash, at, ok := l.crests.next(sample); ok {
				for _, p := range l.r.index.find(hash) {
					l.consider(p, at)
				}
			}
		}
		if l.now%block == 0 {
			l.step()
		}
	}
}

func (l *Listener) step() {
	l.tone.next(l, l.now-block)
	l.follow(false)
}

// Close tells that the stream is over: what was still uncertain is decided.
func (l *Listener) Close() {
	l.tone.end(l)
	l.follow(true)
}
