package media

import "math/bits"

// codec is an audio codec that the program speaks.
type codec uint8

const (
	codecPCMU codec = iota
	codecPCMA
)

// String returns the codec's encoding name in SDP (RFC 3551 §6).
func (c codec) String() string {
	if c == codecPCMA {
		return "PCMA"
	}
	return "PCMU"
}

// silence is the codec's byte for a sample of zero.
func (c codec) silence() byte {
	if c == codecPCMA {
		return 0xD5
	}
	return 0xFF
}

// Every byte's sample (ITU-T G.711 tables 1 and 2), filled when the program starts and only read afterwards.
var (
	muLawSamples = samplesOf(expandMuLaw)
	aLawSamples  = samplesOf(expandALaw)
)

// DecodeMuLaw returns the 16-bit sample of a µ-law byte (ITU-T G.711).
func DecodeMuLaw(b byte) int16 { return muLawSamples[b] }

// DecodeALaw returns the 16-bit sample of an A-law byte (ITU-T G.711).
func DecodeALaw(b byte) int16 { return aLawSamples[b] }

// EncodeMuLaw returns the µ-law byte of a sample (ITU-T G.711 table 2): a sign, the segment that holds the magnitude
// plus the bias of 33 (132 in 16 bits), and four bits within the segment, all inverted.
func EncodeMuLaw(sample int16) byte {
	const bias, clip = 132, 32635
	magnitude, sign := int(sample), byte(0xFF)
	if magnitude < 0 {
		magnitude, sign = -magnitude, 0x7F
	}
	magnitude = min(magnitude, clip) + bias
	segment := bits.Len(uint(magnitude)) - 8
	return sign ^ byte(segment<<4|magnitude>>(segment+3)&0x0F)
}

// EncodeALaw returns the A-law byte of a sample (ITU-T G.711 table 1), even bits inverted.
func EncodeALaw(sample int16) byte {
	magnitude, sign := int(sample), byte(0xD5)
	if magnitude < 0 {
		magnitude, sign = ^magnitude, 0x55
	}
	segment := max(bits.Len(uint(magnitude))-8, 0)
	shift := max(segment-1, 0) + 4
	return sign ^ byte(segment<<4|magnitude>>shift&0x0F)
}

func expandMuLaw(b byte) int16 {
	b = ^b
	magnitude := (int(b&0x0F)<<3+132)<<(b>>4&7) - 132
	if b&0x80 != 0 {
		return int16(-magnitude)
	}
	return int16(magnitude)
}

func expandALaw(b byte) int16 {
	b ^= 0x55
	magnitude := int(b&0x0F)<<4 + 8
	if segment := b >> 4 & 7; segment > 0 {
		magnitude = (magnitude + 256) << (segment - 1)
	}
	if b&0x80 == 0 {
		return int16(-magnitude)
	}
	return int16(magnitude)
}

func samplesOf(expand func(byte) int16) (table [256]int16) {
	for i := range table {
		table[i] = expand(byte(i))
	}
	return table
}

// translate rewrites payload in place from one codec to the other.
func translate(payload []byte, from, to codec) {
	if from == to {
		return
	}
	table := &muLawToALaw
	if from == codecPCMA {
		table = &aLawToMuLaw
	}
	for i, b := range payload {
		payload[i] = table[b]
	}
}

// decode appends the samples of payload to pcm.
func decode(pcm []int16, payload []byte, from codec) []int16 {
	table := &muLawSamples
	if from == codecPCMA {
		table = &aLawSamples
	}
	for _, b := range payload {
		pcm = append(pcm, table[b])
	}
	return pcm
}
