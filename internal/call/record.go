package call

import (
	"context"
	"strings"
	"sync"
	"time"

	"bugle/internal/media"
)

// RecordOptions say how Record records.
type RecordOptions struct {
	Limit       time.Duration // longest recording
	Silence     time.Duration // of the caller, after which it ends; 0: never
	Terminators string        // keys that end it; others are kept for Collect. "": none
}

// Recorded is what Record has recorded.
type Recorded struct {
	PCM []int16 // 8 kHz mono
	Key byte    // the terminator that ended it, 0 when none did
}

// Length is how long the recording is.
func (r Recorded) Length() time.Duration {
	return time.Duration(len(r.PCM)) * time.Second / media.SampleRate
}

// A Recording leg hands its audio to a recorder itself; legs with a media session do so by that.
type Recording interface {
	Record(media.Recorder)
	StopRecord()
}

// Record records what the caller, who is answered, says. Also after an error, ErrEnded when he has hung up, there is in the
// result what he has said before.
func (c *Call) Record(ctx context.Context, options RecordOptions) (Recorded, error) {
	op := &recording{options: options}
	err := c.ask(ctx, op)
	return op.result(), err
}

// recordingEnd is how long the end of a recording is waited for; a worker hands it over at once.
const recordingEnd = 5 * time.Second

type recording struct {
	outcome
	options RecordOptions
	leg     Recording
	tape    *tape
	alarm   *alarm
	key     byte
}

func (o *recording) begin(c *Call) {
	c.settleReferral(200)
	var ok bool
	if o.leg, ok = c.caller.leg.(Recording); !ok {
		if session := MediaOf(c.caller.leg); session != nil {
			o.leg = session
		}
	}
	if o.leg == nil {
		c.note("not recorded", "the leg has no audio")
		c.complete(nil)
		return
	}
	c.detect(true)
	o.tape = &tape{ended: make(chan struct{}), most: samples(o.options.Limit), silence: samples(o.options.Silence),
		silent: func() {
			c.do(func() {
				if c.op == o {
					c.complete(nil)
				}
			})
		}}
	o.alarm = c.after(o.options.Limit, func() { c.complete(nil) })
	o.leg.Record(o.tape)
}

func samples(d time.Duration) int { return int(d * media.SampleRate / time.Second) }

func (o *recording) onEvent(c *Call, p *party, e Event) {
	if d, ok := e.(Digit); ok && p == c.caller && strings.IndexByte(o.options.Terminators, d.Key) >= 0 {
		o.key = d.Key
		c.typed = c.typed[:max(len(c.typed)-1, 0)] // it has done its work
		c.complete(nil)
	}
}

func (o *recording) release(*Call) {
	o.alarm.stop()
	if o.leg != nil {
		o.leg.StopRecord()
	}
}

// result waits for what the worker has still to hand over.
func (o *recording) result() Recorded {
	if o.tape == nil {
		return Recorded{}
	}
	timer := time.NewTimer(recordingEnd)
	defer timer.Stop()
	select {
	case <-o.tape.ended:
	case <-timer.C:
	}
	o.tape.mu.Lock()
	defer o.tape.mu.Unlock()
	return Recorded{PCM: o.tape.pcm, Key: o.key}
}

// tape is a media.Recorder that keeps what was said.
type tape struct {
	ended   chan struct{}
	most    int // samples
	silence int // samples of it that end the recording, 0 for never
	silent  func()

	mu    sync.Mutex
	pcm   []int16
	quiet int // samples of silence at the end
}

// Audio is media.Recorder's.
func (t *tape) Audio(said, _ []int16) {
	t.mu.Lock()
	defer t.mu.Unlock()
	said = said[:min(len(said), t.most-len(t.pcm))]
	t.pcm = append(t.pcm, said...)
	const frame = media.SampleRate / 50
	for ; len(said) > 0; said = said[min(frame, len(said)):] {
		piece := said[:min(frame, len(said))]
		if loud(piece) {
			t.quiet = 0
		} else {
			t.quiet += len(piece)
		}
	}
	if t.silence > 0 && t.quiet >= t.silence {
		t.silence = 0 // once
		t.silent()
	}
}

// Ended is media.Recorder's.
func (t *tape) Ended() { close(t.ended) }

// loud tells speech, even a soft voice far from the telephone, from the noise of a line.
func loud(piece []int16) bool {
	const noise = 150 // mean amplitude: -47 dB of full scale
	sum := 0
	for _, sample := range piece {
		sum += max(int(sample), -int(sample))
	}
	return sum > noise*len(piece)
}
