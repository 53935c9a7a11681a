package media

import "net/netip"

const (
	learningWindow  = 5 * second        // after an offer/answer
	learningPackets = 3                 // from one source make it the party's
	learningSilence = 250 * millisecond // of the party's source before another port of its address is believed
)

// source decides whose packets are the party's (symmetric RTP, RFC 4961) so that nobody else can take its place.
//
// The party's source is learned from the first three packets of a negotiated payload type that come from the address in
// its SDP, or from the address of its signalling, within 5 s of an offer/answer. Afterwards only another port of the
// address that was learned (before, of the SDP's) can become the source, by three packets while the known one is silent.
// Packets from anywhere else are dropped unread.
type source struct {
	described  netip.AddrPort // by the SDP
	signalling netip.Addr
	learned    netip.AddrPort // invalid before
	until      instant        // end of the learning window
	heard      instant        // last packet of the learned source
	candidate  netip.AddrPort
	count      int
}

// open starts the learning window at an offer/answer. The learned source stays while the SDP's address does.
func (s *source) open(now instant, described netip.AddrPort) {
	s.until = now + learningWindow
	s.candidate, s.count = netip.AddrPort{}, 0
	if described.IsValid() && described != s.described {
		s.described, s.learned = described, netip.AddrPort{}
	}
}

// destination is where to send to, invalid while that is unknown.
func (s *source) destination() netip.AddrPort {
	if s.learned.IsValid() {
		return s.learned
	}
	return s.described
}

// admit judges a packet of a negotiated payload type. moved tells that destination changed.
func (s *source) admit(now instant, from netip.AddrPort) (admitted, moved bool) {
	if from == s.learned {
		s.heard = now
		s.count = 0
		return true, false
	}
	if !s.trusted(now, from.Addr()) {
		return false, false
	}
	// What the SDP names is heard at once; everything else only when it has been learned.
	admitted = !s.learned.IsValid() && from == s.described
	if s.learned.IsValid() && now-s.heard < learningSilence {
		return false, false
	}
	if from != s.candidate {
		s.candidate, s.count = from, 0
	}
	if s.count++; s.count < learningPackets {
		return admitted, false
	}
	before := s.destination()
	s.learned, s.heard, s.count = from, now, 0
	return true, from != before
}

// trusted tells whether the party may be at address now.
func (s *source) trusted(now instant, address netip.Addr) bool {
	if now < s.until && (address == s.signalling || address == s.described.Addr()) {
		return true
	}
	if s.learned.IsValid() {
		return address == s.learned.Addr()
	}
	return address == s.described.Addr()
}

// admitReport judges an RTCP packet, whose port nobody learned.
func (s *source) admitReport(now instant, address netip.Addr) bool { return s.trusted(now, address) }
