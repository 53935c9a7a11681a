package media

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Session is the media of one party: a pair of ports, an SDP negotiation, and what is played, relayed and recorded.
// Its methods are safe for concurrent use and do not wait for the network; after Close they do nothing.
type Session struct {
	engine *Engine
	id     uint64
	label  string
	name   string // RTCP's CNAME
	local  netip.AddrPort
	port   int // to give back
	events eventQueue
	home   atomic.Int32 // the number of the loop that owns leg
	leg    leg

	mu          sync.Mutex // never taken by a loop, since it is held while a loop is told of an agreement
	negotiation negotiation

	finalMu sync.Mutex
	final   *Stats // once the session ended

	partner *Session // whom the owner joined it to; guarded by Engine.mu
	looped  bool     // it is an end of a loopback pair
	twin    *Session // the other end, nil once either was closed; guarded by Engine.mu

	inbox     sync.Mutex
	commands  []func(*leg)
	scheduled bool // a loop was told of commands
}

// post lets the session's loop run do. It returns false when there is no loop any more.
func (s *Session) post(do func(*leg)) bool {
	s.inbox.Lock()
	s.commands = append(s.commands, do)
	told := s.scheduled
	s.scheduled = true
	s.inbox.Unlock()
	return told || s.engine.loops[s.home.Load()].attend(s)
}

// next returns the first waiting command.
func (s *Session) next() (do func(*leg), ok bool) {
	s.inbox.Lock()
	defer s.inbox.Unlock()
	if len(s.commands) == 0 {
		s.commands, s.scheduled = nil, false
		return nil, false
	}
	do = s.commands[0]
	s.commands = s.commands[1:]
	return do, true
}

// Offer returns an SDP offer: the first one, or a re-offer of the session as it is (RFC 3264 §5, §8).
func (s *Session) Offer() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.negotiation.offer()
}

// Accept takes the party's offer, the first or a later one, and returns the answer (RFC 3264 §6, §8). No common codec
// or address family is KindUnsupported (488), an offer that cannot be read KindInvalid; the session then stays as it was.
func (s *Session) Accept(offer []byte) (answer []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	answer, err = s.negotiation.accept(offer)
	if err == nil {
		s.agree(s.negotiation.current)
	}
	return answer, err
}

// SetAnswer takes the party's answer to the last Offer. It may be called again with another answer to the same offer,
// which then counts. Errors are those of Accept.
func (s *Session) SetAnswer(answer []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.negotiation.setAnswer(answer)
	if err == nil {
		s.agree(s.negotiation.current)
	}
	return err
}

func (s *Session) agree(agreed agreement) {
	s.post(func(l *leg) { l.agree(agreed) })
}

// Answered says that the call was answered now: the 200 went out, or came. The party is given the full time to send its
// first RTP, and its source is learned anew, since a phone that was ringing may have sent nothing so far.
func (s *Session) Answered() { s.post((*leg).answered) }

// Held tells whether the party put the call on hold: it does not want to be sent audio (RFC 3264 §8.4).
func (s *Session) Held() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.negotiation.settled && !s.negotiation.current.send
}

// Negotiated tells whether an offer and an answer have been exchanged.
func (s *Session) Negotiated() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.negotiation.settled
}

// Local is the address and port that the session's RTP socket is bound to.
func (s *Session) Local() netip.AddrPort { return s.local }

// Play starts to play clips one after the other in place of what was being played. After the last, OnPlayEnded with
// the token follows; with loop it starts again instead. Time passes also while the party cannot hear: before an answer
// and on hold. While it plays, the party does not hear the session that it is joined to.
func (s *Session) Play(token int, clips []*Clip, loop bool) {
	s.post(func(l *leg) {
		s.events.dropPlayed()
		l.play(token, clips, loop)
	})
}

// StopPlay stops what is being played; no OnPlayEnded follows, unless it was already on its way.
func (s *Session) StopPlay() {
	s.post(func(l *leg) {
		s.events.dropPlayed()
		l.player = player{}
	})
}

// SendDigits sends keys (0-9, *, #, A-D; others are passed over) to the party, each as long as each (40 ms to 8 s, 0
// for 100 ms): by RFC 4733, or as tones when the party did not negotiate it. Of more than 256 keys that wait the newest
// are dropped.
func (s *Session) SendDigits(digits string, each time.Duration) {
	digits = digits[:min(len(digits), keyQueue)]
	s.mu.Lock()
	tones := s.negotiation.settled && s.negotiation.current.event == noPayload
	s.mu.Unlock()
	var clip *Clip
	if tones {
		clip = NewClip("keys", DTMF(digits, keyLength(each), keyGap))
	}
	s.post(func(l *leg) { l.sendKeys(digits, each, clip) })
}

// DetectDigits says whether digits are wanted: only then, and only when the party did not negotiate RFC 4733, are they
// looked for in its audio.
func (s *Session) DetectDigits(on bool) {
	s.post(func(l *leg) {
		l.wanted = on
		l.listenForKeys()
	})
}

// Digit sends a key, which the party's phone sent by SIP INFO, on to the session that this one is joined to. It is no
// OnDigit: who took the INFO knows of the key, and in which order it came.
func (s *Session) Digit(key byte) {
	if _, ok := eventOf(key); ok {
		s.post(func(l *leg) { l.inform(key) })
	}
}

// Record hands the party's audio to r until StopRecord or Close, in place of an earlier Recorder.
func (s *Session) Record(r Recorder) {
	recording := newRecording(s, r)
	if recording == nil {
		r.Ended()
		return
	}
	if !s.post(func(l *leg) { l.record(recording) }) {
		recording.stop(s.engine.now())
	}
}

// StopRecord ends Record; the Recorder gets what is left, and then Ended.
func (s *Session) StopRecord() { s.post((*leg).stopRecording) }

// Stats returns the counters as they are now, the last ones after Close.
func (s *Session) Stats() Stats {
	if final := s.kept(); final != nil {
		return *final
	}
	var stats Stats
	if s.look(func(l *leg) { stats = l.stats() }) {
		return stats
	}
	if final := s.kept(); final != nil {
		return *final
	}
	return Stats{Local: s.local}
}

// look waits until the session's loop has run f. It returns false when there is no loop any more, and then f has not run, or
// may still.
func (s *Session) look(f func(*leg)) bool {
	done := make(chan struct{})
	if !s.post(func(l *leg) {
		defer close(done)
		f(l)
	}) {
		return false
	}
	select {
	case <-done:
		return true
	case <-s.engine.done:
		return false
	}
}

// Close ends the session and gives its ports back.
func (s *Session) Close() {
	s.events.close()
	s.Part()
	s.post((*leg).close)
}

// keepStats keeps the last counters of a leg that ends.
func (s *Session) keepStats(stats Stats) {
	s.finalMu.Lock()
	defer s.finalMu.Unlock()
	s.final = &stats
}

func (s *Session) kept() *Stats {
	s.finalMu.Lock()
	defer s.finalMu.Unlock()
	return s.final
}

// release gives back what the session holds of the engine.
func (s *Session) release() {
	e := s.engine
	e.ports.give(s.port)
	e.load[s.home.Load()].Add(-1)
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.sessions, s)
	if s.twin != nil {
		s.twin.twin, s.twin = nil, nil
	}
}
