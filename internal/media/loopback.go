package media

import (
	"fmt"
	"math/rand/v2"
	"net/netip"

	"bugle"
)

// maxHops is how many ends of loopback pairs a packet may cross. A call through one pair crosses one; a pair whose ends are
// joined with each other would let it run for ever.
const maxHops = 8

// NewLoopback returns two sessions without ports that are each other's far end: what one is sent, played and pressed comes
// out of the other one, as if its party had said it. Either is joined, plays, records and hears keys like any session, and
// needs no offer and no answer. Closing one leaves the other one without a far end.
func (e *Engine) NewLoopback(a, b SessionOptions) (*Session, *Session, error) {
	home := e.lightest()
	pair := [2]*Session{e.twin(a), e.twin(b)}
	pair[0].twin, pair[1].twin = pair[1], pair[0]
	e.mu.Lock()
	closed := e.closed
	if !closed {
		for _, s := range pair {
			s.home.Store(int32(home))
			e.sessions[s] = struct{}{}
		}
	}
	e.mu.Unlock()
	if closed {
		return nil, nil, &bugle.Error{Op: "media.NewLoopback", Kind: bugle.KindUnavailable, Message: "the media engine is closed"}
	}
	e.load[home].Add(2)
	for _, s := range pair {
		s.post(func(l *leg) { l.core.reconcile(l) })
	}
	return pair[0], pair[1], nil
}

// twin makes one end. What a negotiation would settle is known: both codecs are understood, keys are events, and both sides
// speak and listen.
func (e *Engine) twin(options SessionOptions) *Session {
	s := &Session{engine: e, id: e.numbers.Add(1), label: options.Label, looped: true, name: fmt.Sprintf("%016x", rand.Uint64())}
	s.negotiation = newNegotiation(nil, uint64(rand.Uint32()))
	s.negotiation.current = agreement{codec: codecPCMU, event: defaultEvent, receiveEvent: defaultEvent,
		receive: [2]format{{0, codecPCMU}, {8, codecPCMA}}, receiveCount: 2, send: true, listen: true,
		samples: defaultPtime * SampleRate / 1000}
	s.negotiation.settled = true
	s.events.owner = options.Events
	s.events.failed = func(reason any) {
		e.panicked(s, reason)
		s.Close()
	}
	s.leg = leg{session: s, budget: packetBudget, negotiated: true, agreed: s.negotiation.current}
	s.leg.out = outbound{ssrc: rand.Uint32(), sequence: uint16(rand.Uint32()) & 0x7FFF, timestamp: rand.Uint32()}
	s.leg.wire = twinWire{&s.leg}
	return s
}

// twinWire hands what a leg says to its twin, on the loop that both are on; while they are not on one it is lost.
type twinWire struct{ leg *leg }

func (w twinWire) sendRTP(packet []byte) {
	c, far := w.leg.core, w.leg.far
	if far == nil || c.hops >= maxHops {
		return
	}
	c.hops++
	c.packet(far, netip.AddrPort{}, packet, false)
	c.hops--
}

func (twinWire) sendRTCP([]byte)         {}
func (twinWire) aim(_, _ netip.AddrPort) {}
func (twinWire) close()                  {}

// isTwin tells whether the leg is an end of a loopback pair.
func (l *leg) isTwin() bool { return l.session.looped }

// speaks is the codec in which audio of a codec goes to the party, and its payload type. A twin takes any, so that audio is
// translated once on its way through a pair, and not at all between parties who speak the same.
func (l *leg) speaks(audio codec) (codec, uint8) {
	if !l.isTwin() {
		return l.agreed.codec, l.agreed.payload
	}
	if audio == codecPCMA {
		return audio, 8
	}
	return codecPCMU, 0
}

// muffled tells whether keys have to be looked for in a twin's audio: who speaks at the far end sends no events.
func (l *leg) muffled() bool {
	return l.far != nil && l.far.peer != nil && !l.far.peer.isTwin() && l.far.peer.agreed.receiveEvent == noPayload
}

// chain appends the sessions that must share a loop with s: those that it is joined to, their twins, whom those are joined
// to, and so on. Engine.mu is held.
func (s *Session) chain(to []*Session) []*Session {
	to = append(to, s)
	for _, joined := range [2]bool{true, false} {
		for at := s; ; joined = !joined {
			if joined {
				at = at.partner
			} else {
				at = at.twin
			}
			if at == s {
				return to // a ring
			}
			if at == nil {
				break
			}
			to = append(to, at)
		}
	}
	return to
}

// eldest is the oldest session of the chain: the others come to its loop. Engine.mu is held.
func (s *Session) eldest() *Session {
	if s.twin == nil && (s.partner == nil || s.partner.twin == nil) { // no pair takes part
		if s.partner != nil && s.partner.id < s.id {
			return s.partner
		}
		return s
	}
	var room [8]*Session
	oldest := s
	for _, one := range s.chain(room[:0]) {
		if one.id < oldest.id {
			oldest = one
		}
	}
	return oldest
}
