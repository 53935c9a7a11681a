package media

import "time"

// keyReceiver turns telephone-event packets into key presses: each once, whatever was lost or repeated on the way.
type keyReceiver struct {
	known, ended bool
	code         byte
	duration     uint16
	timestamp    uint32
	ssrc         uint32 // gateways send events beside the audio, under an SSRC of their own
	at           instant
}

// part is what a telephone-event packet is to its receiver.
type part uint8

const (
	partNone  part = iota // no key, or one that is over
	partFirst             // the first packet of a press that arrived
	partNext              // more of that press
)

// event takes one packet's payload (RFC 4733 §2.3) and returns its key.
func (k *keyReceiver) event(now instant, p *packet, payload []byte) (key byte, is part) {
	if len(payload) < 4 || int(payload[0]) >= len(keys) {
		return 0, partNone
	}
	code, end := payload[0], payload[1]&0x80 != 0
	duration := uint16(payload[2])<<8 | uint16(payload[3])
	if k.known && k.ssrc == p.ssrc {
		later := int32(p.timestamp - k.timestamp)
		same := later == 0 && code == k.code
		// Older than the current press: an end that was sent again or came late.
		if later < 0 && later > -60*SampleRate {
			return 0, partNone
		}
		// RFC 4733 §2.5.1.3: a long event goes on in a new segment with a new timestamp.
		if later > 0 && code == k.code && !k.ended && !p.marker && uint32(later) == uint32(k.duration) && k.duration > 0xF000 {
			same = true
		}
		// Some phones count the timestamp up within a press.
		if later > 0 && code == k.code && !k.ended && !p.marker && now-k.at < 100*millisecond && duration > k.duration {
			same = true
		}
		if same {
			k.ended = k.ended || end
			k.timestamp, k.duration, k.at = p.timestamp, duration, now
			return keys[code], partNext
		}
	}
	*k = keyReceiver{known: true, ended: end, code: code, duration: duration, timestamp: p.timestamp, ssrc: p.ssrc, at: now}
	return keys[code], partFirst
}

// Lengths of keys that are sent.
const (
	defaultKey  = 100 * time.Millisecond
	shortestKey = 40 * time.Millisecond // ITU-T Q.24
	longestKey  = 8 * time.Second       // the 16 bits of an event's duration
	keyGap      = 60 * time.Millisecond
	keyQueue    = 256 // keys that may wait; more are dropped
)

func keyLength(each time.Duration) time.Duration {
	if each <= 0 {
		return defaultKey
	}
	return max(shortestKey, min(each, longestKey))
}

// keySender sends keys as telephone-events, a packet a tick.
type keySender struct {
	waiting   []keyPress
	started   bool // the first of waiting is being sent
	sent      int  // samples of it so far
	ends      int  // end packets of it so far
	gap       int  // samples of silence still to keep
	timestamp uint32
	at        instant
}

type keyPress struct {
	code    byte
	samples uint16
}

func (k *keySender) busy() bool { return len(k.waiting) > 0 || k.gap > 0 }

func (k *keySender) add(code byte, each time.Duration) {
	if len(k.waiting) < keyQueue {
		k.waiting = append(k.waiting, keyPress{code, uint16(samplesIn(keyLength(each)))})
	}
}

// tick sends what is due for one packet time (RFC 4733 §2.5.1): the event with its duration growing, its end three
// times, then a gap.
func (k *keySender) tick(l *leg) {
	if k.gap > 0 || len(k.waiting) == 0 {
		k.gap = max(0, k.gap-l.agreed.samples)
		return
	}
	press := k.waiting[0]
	first := !k.started
	if first {
		k.started, k.sent, k.ends = true, 0, 0
		k.timestamp, k.at = l.out.next(l.core.now, l.agreed.samples)
	}
	k.sent = min(k.sent+l.agreed.samples, int(press.samples))
	flags := byte(10) // volume, -dBm0
	if k.sent == int(press.samples) {
		flags |= 0x80
		k.ends++
	}
	if l.sendable() {
		scratch := l.core.scratch[:headerBytes+4]
		copy(scratch[headerBytes:], []byte{press.code, flags, byte(k.sent >> 8), byte(k.sent)})
		l.out.sequence++
		writeHeader(scratch, l.agreed.event, first, l.out.sequence, k.timestamp, l.out.ssrc)
		l.emit(scratch)
	}
	l.out.timestamp, l.out.at = k.timestamp, k.at
	if k.ends == 3 {
		k.started, k.gap = false, samplesIn(keyGap)
		if k.waiting = k.waiting[1:]; len(k.waiting) == 0 {
			k.waiting = nil
		}
	}
}

// sendKeys queues keys for the party; tones is what they sound like for one that wants tones.
func (l *leg) sendKeys(digits string, each time.Duration, tones *Clip) {
	if l.closed {
		return
	}
	switch {
	case tones != nil && l.agreed.event == noPayload:
		l.overlay.clips = append(l.overlay.clips, tones)
	default:
		for i := range len(digits) {
			if code, ok := eventOf(digits[i]); ok && l.agreed.event != noPayload {
				l.sender.add(code, each)
			} else if ok {
				l.toneOf(digits[i])
			}
		}
	}
	l.schedule()
}
