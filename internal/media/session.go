package media

import (
	"errors"
	"net/netip"
	"time"
)

var errUnbuilt = errors.New("media: not built yet")

// Engine owns the loops that carry the media of all sessions.
type Engine struct{}

// NewEngine starts the loops. An unknown Loop is KindInvalid, one that this system lacks KindUnsupported.
func NewEngine(options Options) (*Engine, error) { return &Engine{}, nil }

// Close ends every session and the loops.
func (e *Engine) Close() {}

// Session is the media of one party: a pair of ports, an SDP negotiation, and what is played, relayed and recorded.
// Its methods are safe for concurrent use and do not wait for the network; after Close they do nothing.
type Session struct{}

// NewSession opens a pair of ports. No free port is KindLimited.
func (e *Engine) NewSession(options SessionOptions) (*Session, error) { return nil, errUnbuilt }

// Offer returns an SDP offer: the first one, or a re-offer of the session as it is (RFC 3264 §5, §8).
func (s *Session) Offer() ([]byte, error) { return nil, errUnbuilt }

// Accept takes the party's offer, the first or a later one, and returns the answer (RFC 3264 §6, §8). No common codec
// or address family is KindUnsupported (488), an offer that cannot be read KindInvalid; the session then stays as it was.
func (s *Session) Accept(offer []byte) (answer []byte, err error) { return nil, errUnbuilt }

// SetAnswer takes the party's answer to the last Offer. It may be called again with another answer to the same offer,
// which then counts. Errors are those of Accept.
func (s *Session) SetAnswer(answer []byte) error { return errUnbuilt }

// Answered says that the call was answered now: the 200 went out, or came. The party is given the full time to send its
// first RTP, and its source is learned anew, since a phone that was ringing may have sent nothing so far.
func (s *Session) Answered() {}

// Held tells whether the party put the call on hold: it does not want to be sent audio (RFC 3264 §8.4).
func (s *Session) Held() bool { return false }

// Negotiated tells whether an offer and an answer have been exchanged.
func (s *Session) Negotiated() bool { return false }

// Local is the address and port that the session's RTP socket is bound to.
func (s *Session) Local() netip.AddrPort { return netip.AddrPort{} }

// Play starts to play clips one after the other in place of what was being played. After the last, OnPlayEnded with
// the token follows; with loop it starts again instead. Time passes also while the party cannot hear: before an answer
// and on hold. While it plays, the party does not hear the session that it is joined to.
func (s *Session) Play(token int, clips []*Clip, loop bool) {}

// StopPlay stops what is being played; no OnPlayEnded follows, unless it was already on its way.
func (s *Session) StopPlay() {}

// SendDigits sends keys (0-9, *, #, A-D; others are passed over) to the party, each as long as each (40 ms to 8 s, 0
// for 100 ms): by RFC 4733, or as tones when the party did not negotiate it.
func (s *Session) SendDigits(digits string, each time.Duration) {}

// DetectDigits says whether digits are wanted: only then, and only when the party did not negotiate RFC 4733, are they
// looked for in its audio.
func (s *Session) DetectDigits(on bool) {}

// Digit is a key that the party pressed and its phone sent by SIP INFO. It becomes OnDigit, and is sent on to the
// session that this one is joined to.
func (s *Session) Digit(key byte) {}

// Join lets this party and other hear each other until Part or Close of either. Both belong to one engine. A session
// that is joined already is parted first.
func (s *Session) Join(other *Session) {}

// Part ends Join for both.
func (s *Session) Part() {}

// Record hands the party's audio to r until StopRecord or Close, in place of an earlier Recorder.
func (s *Session) Record(r Recorder) {}

// StopRecord ends Record; the Recorder gets what is left, and then Ended.
func (s *Session) StopRecord() {}

// Stats returns the counters as they are now, the last ones after Close.
func (s *Session) Stats() Stats { return Stats{} }

// Close ends the session and gives its ports back.
func (s *Session) Close() {}
