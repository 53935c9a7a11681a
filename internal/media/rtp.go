package media

import "encoding/binary"

// headerBytes is the length of an RTP header without CSRC list and extension (RFC 3550 §5.1).
const headerBytes = 12

// maxPacket is how much of a datagram is read.
const maxPacket = 1500

// packet is a received RTP packet: its header's fields and where its payload lies in the datagram.
type packet struct {
	timestamp, ssrc uint32
	sequence        uint16
	payload         uint8
	marker          bool
	start, end      int
}

// parsePacket reads an RTP header (RFC 3550 §5.1, A.1).
func parsePacket(b []byte) (p packet, ok bool) {
	if len(b) < headerBytes || b[0]>>6 != 2 {
		return p, false
	}
	p.start, p.end = headerBytes+4*int(b[0]&0x0F), len(b)
	if b[0]&0x10 != 0 { // header extension (RFC 3550 §5.3.1)
		if len(b) < p.start+4 {
			return p, false
		}
		p.start += 4 + 4*int(binary.BigEndian.Uint16(b[p.start+2:]))
	}
	if b[0]&0x20 != 0 { // padding, its length in the last byte
		padding := int(b[len(b)-1])
		if padding == 0 {
			return p, false
		}
		p.end -= padding
	}
	if p.start > p.end {
		return p, false
	}
	p.marker, p.payload = b[1]&0x80 != 0, b[1]&0x7F
	p.sequence = binary.BigEndian.Uint16(b[2:])
	p.timestamp = binary.BigEndian.Uint32(b[4:])
	p.ssrc = binary.BigEndian.Uint32(b[8:])
	return p, true
}

// writeHeader writes an RTP header to the first 12 bytes of b.
func writeHeader(b []byte, payload uint8, marker bool, sequence uint16, timestamp, ssrc uint32) {
	_ = b[headerBytes-1]
	b[0], b[1] = 0x80, payload
	if marker {
		b[1] |= 0x80
	}
	binary.BigEndian.PutUint16(b[2:], sequence)
	binary.BigEndian.PutUint32(b[4:], timestamp)
	binary.BigEndian.PutUint32(b[8:], ssrc)
}

// instant is a time in nanoseconds since the engine started, on the monotonic clock.
type instant int64

const (
	millisecond instant = 1_000_000
	second      instant = 1000 * millisecond
)

// samples is how many samples of audio a span of time holds.
func (i instant) samples() int64 { return int64(i) * SampleRate / int64(second) }

// reception is what RFC 3550 A.1, A.3 and A.8 keep of a party's stream.
type reception struct {
	known      bool
	ssrc       uint32
	first, max uint32 // extended sequence numbers
	received   uint32 // of this SSRC
	before     int64  // lost of earlier SSRCs
	transit    uint32 // arrival minus timestamp of the last packet
	jitter     uint32 // in sixteenths of a sample
	// For the fraction lost since the last report (RFC 3550 A.3).
	expectedThen, receivedThen uint32
}

// count takes note of a packet of audio that arrived.
func (r *reception) count(now instant, p *packet) {
	if !r.known || p.ssrc != r.ssrc {
		r.before = r.lost()
		start := uint32(1)<<16 | uint32(p.sequence)
		*r = reception{known: true, ssrc: p.ssrc, first: start, max: start, before: r.before}
		r.transit = uint32(now.samples()) - p.timestamp
	}
	switch ahead := p.sequence - uint16(r.max); {
	case ahead < 3000: // MAX_DROPOUT of RFC 3550 A.1
		r.max += uint32(ahead)
	case ahead <= 65535-100: // a jump: the sender started anew
		r.before = r.lost()
		r.max = uint32(1)<<16 | uint32(p.sequence)
		r.first, r.received, r.expectedThen, r.receivedThen = r.max, 0, 0, 0
	}
	r.received++
	transit := uint32(now.samples()) - p.timestamp
	change := int32(transit - r.transit)
	r.transit = transit
	if change < 0 {
		change = -change
	}
	if change < SampleRate { // more is a new talk spurt with a clock of its own
		r.jitter += uint32(change) - (r.jitter+8)>>4
	}
}

func (r *reception) expected() uint32 {
	if !r.known {
		return 0
	}
	return r.max - r.first + 1
}

// lost is how many packets never came, below zero when some came twice.
func (r *reception) lost() int64 {
	return r.before + int64(r.expected()) - int64(r.received)
}

// fraction returns the share lost since it was last called, in 256ths (RFC 3550 A.3).
func (r *reception) fraction() byte {
	expected := r.expected() - r.expectedThen
	received := r.received - r.receivedThen
	r.expectedThen, r.receivedThen = r.expected(), r.received
	if expected == 0 || received >= expected {
		return 0
	}
	return byte(min((expected-received)<<8/expected, 255))
}
