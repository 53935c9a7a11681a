package media

// outbound is the one stream that a party gets from us, whatever it is made of: the SSRC stays, sequence numbers and
// timestamps go on from a prompt to the other party's voice and back (RFC 3550 §5.1).
type outbound struct {
	ssrc      uint32
	sequence  uint16 // of the last packet
	timestamp uint32 // of the last packet, or of the event that was sent last
	at        instant
	started   bool
}

// next returns the timestamp of audio that begins now, after at least one packet's length.
func (o *outbound) next(now instant, samples int) (uint32, instant) {
	elapsed := int64(samples)
	if o.started {
		elapsed = max(elapsed, (now - o.at).samples())
	}
	o.started = true
	return o.timestamp + uint32(elapsed), now
}

// clock returns the timestamp that belongs to now.
func (o *outbound) clock(now instant) uint32 { return o.timestamp + uint32((now - o.at).samples()) }
