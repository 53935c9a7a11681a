package media

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"time"
)

// RTCP packet types (RFC 3550 §12.1).
const (
	rtcpSender      = 200
	rtcpReceiver    = 201
	rtcpDescription = 202
	rtcpGoodbye     = 203
)

// reportInterval is the mean time between reports (RFC 3550 §6.2).
const reportInterval = 5 * second

// ntpEpoch is 1970 in NTP seconds.
const ntpEpoch = 2_208_988_800

// reports is a leg's RTCP: when it reports, and what the party reported.
type reports struct {
	next         instant
	sentSince    bool   // audio was sent since the last report
	lastSender   uint32 // middle bits of the NTP time in the party's last sender report
	lastSenderAt instant
	lost         int32 // the party's count of our packets that it missed
	jitter       uint32
	roundTrip    instant
}

func (r *reports) everySecond(l *leg) {
	now := l.core.now
	if r.next == 0 {
		r.next = now + reportInterval/2
	}
	if now < r.next {
		return
	}
	// RFC 3550 §6.2: half to one and a half times the interval, so that parties do not fall into step.
	r.next = now + reportInterval/2 + instant(rand.Int64N(int64(reportInterval)))
	l.wire.sendRTCP(r.compound(l, l.core.report[:0], false))
}

// goodbye tells the party that the stream ends (RFC 3550 §6.6).
func (r *reports) goodbye(l *leg) {
	l.wire.sendRTCP(r.compound(l, l.core.report[:0], true))
}

// compound appends a sender or receiver report, the description that each compound packet must hold (RFC 3550 §6.1), and
// a goodbye.
func (r *reports) compound(l *leg, b []byte, bye bool) []byte {
	kind := byte(rtcpReceiver)
	if r.sentSince {
		kind = rtcpSender
	}
	blocks := byte(0)
	if l.in.known {
		blocks = 1
	}
	b = append(b, 0x80|blocks, kind, 0, 0)
	b = binary.BigEndian.AppendUint32(b, l.out.ssrc)
	if r.sentSince { // RFC 3550 §6.4.1
		b = binary.BigEndian.AppendUint64(b, ntpTime(l.core.wall()))
		b = binary.BigEndian.AppendUint32(b, l.out.clock(l.core.now))
		b = binary.BigEndian.AppendUint32(b, uint32(l.counters.sent))
		b = binary.BigEndian.AppendUint32(b, uint32(l.counters.sentBytes))
	}
	r.sentSince = false
	if blocks == 1 {
		b = r.block(l, b)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)/4-1))
	start := len(b)
	b = append(b, 0x81, rtcpDescription, 0, 0)
	b = binary.BigEndian.AppendUint32(b, l.out.ssrc)
	name := l.session.name
	b = append(b, 1, byte(len(name))) // RFC 3550 §6.5.1: CNAME
	b = append(b, name...)
	b = append(b, 0)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	binary.BigEndian.PutUint16(b[start+2:], uint16((len(b)-start)/4-1))
	if bye {
		b = append(b, 0x81, rtcpGoodbye, 0, 1)
		b = binary.BigEndian.AppendUint32(b, l.out.ssrc)
	}
	return b
}

// block appends a report block on what the party sends.
func (r *reports) block(l *leg, b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, l.in.ssrc)
	lost := max(-0x800000, min(l.in.lost(), 0x7FFFFF))
	b = binary.BigEndian.AppendUint32(b, uint32(l.in.fraction())<<24|uint32(lost)&0xFFFFFF)
	b = binary.BigEndian.AppendUint32(b, l.in.max-1<<16) // our count of cycles begins at one
	b = binary.BigEndian.AppendUint32(b, l.in.jitter>>4)
	b = binary.BigEndian.AppendUint32(b, r.lastSender)
	delay := uint32(0)
	if r.lastSender != 0 {
		delay = shortTime(l.core.now - r.lastSenderAt)
	}
	return binary.BigEndian.AppendUint32(b, delay)
}

// receiveReport takes one datagram of the RTCP port.
func (l *leg) receiveReport(from netip.AddrPort, b []byte) {
	if l.closed || !l.negotiated || l.budget <= 0 || !l.source.admitReport(l.core.now, from.Addr()) {
		l.counters.refused++
		return
	}
	l.budget--
	// RFC 3550 A.2: the first packet of a compound is a report.
	if len(b) < 8 || b[1] != rtcpSender && b[1] != rtcpReceiver {
		l.counters.refused++
		return
	}
	for len(b) >= 8 {
		size := 4 * (int(binary.BigEndian.Uint16(b[2:])) + 1)
		if b[0]>>6 != 2 || size > len(b) {
			l.counters.refused++
			return
		}
		l.reports.take(l, b[:size])
		b = b[size:]
	}
	if from != l.rtcp && from.Addr() == l.destination().Addr() { // symmetric RTCP (RFC 4961)
		l.rtcp = from
		l.wire.aim(l.destination(), l.rtcp)
	}
}

// take reads one packet of a compound.
func (r *reports) take(l *leg, b []byte) {
	if len(b) < 8 {
		return
	}
	blocks := b[8:]
	switch b[1] {
	case rtcpSender:
		if len(b) < 28 {
			return
		}
		r.lastSender, r.lastSenderAt = binary.BigEndian.Uint32(b[10:]), l.core.now
		blocks = b[28:]
	case rtcpReceiver:
	default:
		return
	}
	for range b[0] & 0x1F {
		if len(blocks) < 24 {
			return
		}
		if binary.BigEndian.Uint32(blocks) == l.out.ssrc {
			r.lost = int32(binary.BigEndian.Uint32(blocks[4:])<<8) >> 8
			r.jitter = binary.BigEndian.Uint32(blocks[12:])
			last, delay := binary.BigEndian.Uint32(blocks[16:]), binary.BigEndian.Uint32(blocks[20:])
			now := uint32(ntpTime(l.core.wall()) >> 16)
			// RFC 3550 §6.4.1: a time below zero is a clock's error, one above a minute a lie.
			if trip := now - last - delay; last != 0 && trip < 60<<16 {
				r.roundTrip = instant(trip) * second >> 16
			}
		}
		blocks = blocks[24:]
	}
}

// ntpTime is t in NTP's format: seconds since 1900 and their fraction, 32 bits each (RFC 3550 §4).
func ntpTime(t time.Time) uint64 {
	return uint64(t.Unix()+ntpEpoch)<<32 | uint64(t.Nanosecond())<<32/1_000_000_000
}

// shortTime is a span of time in 65536ths of a second.
func shortTime(span instant) uint32 { return uint32(int64(span) << 16 / int64(second)) }

// stats returns the leg's counters.
func (l *leg) stats() Stats {
	s := Stats{
		Local: l.session.local, Remote: l.destination(),
		PacketsSent: l.counters.sent, PacketsReceived: l.counters.received,
		BytesSent: l.counters.sentBytes, BytesReceived: l.counters.receivedBytes,
		Lost: l.in.lost(), Jitter: samplesTime(int64(l.in.jitter >> 4)), Refused: l.counters.refused,
		RemoteLost: int64(l.reports.lost), RemoteJitter: samplesTime(int64(l.reports.jitter)),
		RoundTrip: time.Duration(l.reports.roundTrip),
	}
	if l.negotiated {
		s.Codec = l.agreed.codec.String()
	}
	return s
}

func samplesTime(samples int64) time.Duration {
	return time.Duration(samples) * time.Second / SampleRate
}
