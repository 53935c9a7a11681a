package media

import (
	"sync/atomic"
)

const (
	recordingFrames = 256               // 2.5 s of both directions in packets of 20 ms
	recordingFrame  = 240               // bytes of a frame: 30 ms; longer packets take several
	recordingWake   = 25                // frames that are worth waking the worker for
	recordingSlack  = 300 * millisecond // how long a late packet is waited for
	recordingJitter = SampleRate / 10   // a smaller gap than this is jitter, not silence
	recordingLull   = 2 * SampleRate    // silence that is handed over before more is collected
	recordingAhead  = SampleRate / 4    // more audio than time: a burst that is left out
)

// track is one of the two directions of a recording.
type track uint8

const (
	said  track = iota // by the party
	heard              // by the party
	tracks
)

// recording carries audio from a loop to a worker: a ring with one writer and one reader, so that the loop neither locks
// nor waits. What does not fit, because the Recorder is slow, is silence in the recording.
type recording struct {
	recorder Recorder
	began    instant
	ended    atomic.Int64 // instant, 0 while it goes on
	woken    chan struct{}

	head, tail atomic.Uint32 // written, read
	frames     [recordingFrames]recordedFrame

	lines [tracks][]int16 // decoded, not handed over yet
	done  int64           // samples handed over
}

type recordedFrame struct {
	at    int64 // samples since the recording began
	track track
	codec codec
	size  uint8
	data  [recordingFrame]byte
}

// newRecording starts the worker, or returns nil when the engine is closed.
func newRecording(s *Session, r Recorder) *recording {
	e := s.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, open := e.sessions[s]; e.closed || !open {
		return nil
	}
	rec := &recording{recorder: r, woken: make(chan struct{}, 1)}
	e.workers.Go(func() {
		defer func() {
			if reason := recover(); reason != nil {
				e.panicked(s, reason)
				s.StopRecord()
			}
		}()
		rec.work()
	})
	return rec
}

func (r *recording) start(now instant) { r.began = now }

// add puts a packet's payload into the ring.
func (r *recording) add(now instant, t track, payload []byte, c codec) {
	at := (now - r.began).samples()
	for len(payload) > 0 {
		head := r.head.Load()
		if head-r.tail.Load() == recordingFrames {
			return
		}
		frame := &r.frames[head%recordingFrames]
		n := copy(frame.data[:], payload)
		frame.at, frame.track, frame.codec, frame.size = at, t, c, uint8(n)
		r.head.Store(head + 1)
		payload = payload[n:]
		at += int64(n)
	}
	if r.head.Load()-r.tail.Load() >= recordingWake {
		r.wake()
	}
}

func (r *recording) stop(now instant) {
	r.ended.Store(int64(max(now, r.began, 1)))
	r.wake()
}

func (r *recording) wake() {
	select {
	case r.woken <- struct{}{}:
	default:
	}
}

// work hands the recording over until it ends.
func (r *recording) work() {
	for range r.woken {
		ended := instant(r.ended.Load())
		last := r.drain()
		if ended != 0 {
			// The last packet's audio may reach beyond the moment at which it came.
			longest := int64(max(len(r.lines[said]), len(r.lines[heard])))
			r.flush(max((ended - r.began).samples(), r.done+longest))
			r.recorder.Ended()
			return
		}
		r.flush(last - recordingSlack.samples())
	}
}

// drain decodes what is in the ring and returns the time of the newest frame.
func (r *recording) drain() (last int64) {
	for tail := r.tail.Load(); tail != r.head.Load(); tail++ {
		frame := &r.frames[tail%recordingFrames]
		gap := frame.at - r.done - int64(len(r.lines[frame.track]))
		if gap > recordingLull {
			r.flush(frame.at - recordingSlack.samples())
			gap = frame.at - r.done - int64(len(r.lines[frame.track]))
		}
		line := r.lines[frame.track]
		if gap > recordingJitter {
			line = append(line, make([]int16, gap)...)
		}
		if gap > -recordingAhead {
			line = decode(line, frame.data[:frame.size], frame.codec)
		}
		r.lines[frame.track] = line
		last = max(last, frame.at)
		r.tail.Store(tail + 1)
	}
	return last
}

// flush hands over both directions up to a time, with silence where one has nothing.
func (r *recording) flush(until int64) {
	const most = SampleRate // at once
	for until > r.done {
		n := int(min(until-r.done, most))
		var piece [tracks][]int16
		for t := range r.lines {
			if missing := n - len(r.lines[t]); missing > 0 {
				r.lines[t] = append(r.lines[t], make([]int16, missing)...)
			}
			piece[t] = r.lines[t][:n]
		}
		r.recorder.Audio(piece[said], piece[heard])
		r.done += int64(n)
		for t := range r.lines {
			r.lines[t] = append(r.lines[t][:0], r.lines[t][n:]...)
		}
	}
}
