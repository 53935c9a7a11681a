package media

import (
	"net/netip"
	"slices"

	"bugle"
)

// Endpoint is what another phone has to know of a party in order to exchange audio with it, without an engine between.
type Endpoint struct {
	RTP, RTCP  netip.AddrPort // where it takes them, as its session description says
	Source     netip.AddrPort // where its RTP comes from; invalid while that is not known
	Signalling netip.Addr     // where its signalling comes from
	Profile    string         // of its audio, "RTP/AVP"
	Codecs     []Payload      // what it takes, in its order of preference
	Event      int            // its payload type of telephone-event, -1 for none
	Ptime      int            // milliseconds of audio in each packet that it wants
}

// Payload is a codec with its RTP payload type.
type Payload struct {
	Codec  string // "PCMU", "PCMA"
	Number int
}

// errEndpoint is why a phone cannot be told another one's endpoint, or what it answers is of no use.
func errEndpoint(message string) error {
	return &bugle.Error{Op: "media.Redirect", Kind: bugle.KindUnsupported, Message: message}
}

// Endpoint returns the party's. ok is false while it could not exchange audio with another phone: nothing is agreed, one side
// does not speak or listen, something is played to it, or it is recorded.
func (s *Session) Endpoint() (e Endpoint, ok bool) {
	s.mu.Lock()
	agreed, profile := s.negotiation.current, ""
	settled := s.negotiation.settled && s.negotiation.audio >= 0
	if settled {
		profile = s.negotiation.lines[s.negotiation.audio].protocol
	}
	e.Signalling = s.negotiation.caller
	s.mu.Unlock()
	if !settled || !agreed.send || !agreed.listen || !agreed.remote.IsValid() || s.Engaged() {
		return e, false
	}
	s.look(func(l *leg) { e.Source = l.source.learned })
	e.RTP, e.RTCP, e.Profile, e.Event = agreed.remote, agreed.remoteRTCP, profile, -1
	for _, f := range agreed.takes[:agreed.takesCount] {
		e.Codecs = append(e.Codecs, Payload{f.codec.String(), int(f.payload)})
	}
	if agreed.event != noPayload {
		e.Event = int(agreed.event)
	}
	e.Ptime = agreed.samples * 1000 / SampleRate
	return e, true
}

// Engaged tells whether something is played to the party, or it is recorded.
func (s *Session) Engaged() (engaged bool) {
	s.look(func(l *leg) {
		engaged = l.recording != nil || l.player.playing() || l.overlay.playing() || l.sender.busy()
	})
	return engaged
}

// Away tells whether the party exchanges its audio with another phone, as far as is known.
func (s *Session) Away() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.negotiation.away != nil
}

// Redirect returns an offer that has the party exchange audio with another phone instead of with this session, or with this
// session again for nil. It is in force once SetAnswer has taken the answer; Unanswered takes it back. to names the one codec
// to be spoken. While the party is away the session expects no audio, and keeps quiet unless it is told to play.
func (s *Session) Redirect(to *Endpoint) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	offer, err := s.negotiation.redirect(to)
	if err == nil && to == nil && s.negotiation.current.away { // from now on it is minded when no audio comes
		s.negotiation.current.away = false
		s.agree(s.negotiation.current)
	}
	return offer, err
}

// Unanswered says that the last offer was refused: what was agreed before it stays in force.
func (s *Session) Unanswered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.negotiation.offered, s.negotiation.asked = false, s.negotiation.away
}

func (n *negotiation) redirect(to *Endpoint) ([]byte, error) {
	if to != nil {
		switch {
		case !n.settled || n.audio < 0:
			return nil, errEndpoint("nothing was agreed with the party so far")
		case to.Profile != n.lines[n.audio].protocol:
			return nil, errEndpoint("the phones do not speak the same profile of RTP")
		case len(to.Codecs) != 1 || !slices.ContainsFunc(n.codecs, func(c codec) bool { return c.String() == to.Codecs[0].Codec }):
			return nil, errEndpoint("the phones have no codec in common")
		}
		copied := *to
		to = &copied
	}
	n.asked = to
	return n.offer()
}

// formats are those of the other phone, in an offer or answer that names it.
func (e *Endpoint) formats() (formats []format, event uint8) {
	for _, p := range e.Codecs {
		for _, c := range []codec{codecPCMU, codecPCMA} {
			if c.String() == p.Codec {
				formats = append(formats, format{uint8(p.Number), c})
			}
		}
	}
	if e.Event < 0 {
		return formats, noPayload
	}
	return formats, uint8(e.Event)
}

// fits judges the party's answer to an offer that named another phone: both have to send what the other one takes.
func (e *Endpoint) fits(agreed *agreement) error {
	formats, event := e.formats()
	switch {
	case !agreed.send || !agreed.listen || !agreed.remote.IsValid():
		return errEndpoint("the party does not speak and listen to another phone")
	case agreed.takes[0] != formats[0] || agreed.event != event:
		return errEndpoint("the party answers with another payload type than the other phone's")
	}
	return nil
}
