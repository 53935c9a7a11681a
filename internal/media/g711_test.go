package media

import (
	"encoding/binary"
	"testing"
	"time"
)

func TestG711AgreesWithSpandsp(t *testing.T) {
	t.Parallel()
	out := spandsp(t)(nil, "g711")
	if len(out) != 2*65536+6*256 {
		t.Fatalf("the oracle printed %d bytes", len(out))
	}
	for i := range 65536 {
		sample := int16(i - 32768)
		if mu, a := EncodeMuLaw(sample), EncodeALaw(sample); mu != out[2*i] || a != out[2*i+1] {
			t.Fatalf("sample %d: µ-law %#x, A-law %#x; spandsp has %#x, %#x", sample, mu, a, out[2*i], out[2*i+1])
		}
	}
	for i := range 256 {
		row := out[2*65536+6*i:]
		mu, a := int16(binary.LittleEndian.Uint16(row)), int16(binary.LittleEndian.Uint16(row[2:]))
		if DecodeMuLaw(byte(i)) != mu || DecodeALaw(byte(i)) != a {
			t.Errorf("byte %#x: µ-law %d, A-law %d; spandsp has %d, %d", i, DecodeMuLaw(byte(i)), DecodeALaw(byte(i)), mu, a)
		}
		if muLawToALaw[i] != row[4] || aLawToMuLaw[i] != row[5] {
			t.Errorf("byte %#x: to A-law %#x, to µ-law %#x; spandsp has %#x, %#x", i, muLawToALaw[i], aLawToMuLaw[i], row[4], row[5])
		}
	}
}

func TestG711RoundTrip(t *testing.T) {
	t.Parallel()
	for i := range 256 {
		b := byte(i)
		// µ-law has two zeros; 0x7F is the negative one and comes back as the positive.
		if got := EncodeMuLaw(DecodeMuLaw(b)); got != b && b != 0x7F {
			t.Errorf("µ-law %#x comes back as %#x", b, got)
		}
		if got := EncodeALaw(DecodeALaw(b)); got != b {
			t.Errorf("A-law %#x comes back as %#x", b, got)
		}
	}
}

func TestTranslateKeepsTheAudio(t *testing.T) {
	t.Parallel()
	clip := NewClip("tone", Tone(time.Second, 440))
	payload := append([]byte(nil), clip.ulaw...)
	translate(payload, codecPCMU, codecPCMA)
	if got := similarity(decode(nil, payload, codecPCMA), clip.PCM()); got < 0.999 {
		t.Errorf("µ-law to A-law leaves a correlation of %.4f", got)
	}
	translate(payload, codecPCMA, codecPCMU)
	if got := similarity(decode(nil, payload, codecPCMU), clip.PCM()); got < 0.999 {
		t.Errorf("and back of %.4f", got)
	}
}
