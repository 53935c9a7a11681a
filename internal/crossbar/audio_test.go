package crossbar_test

import (
	"encoding/binary"
	"io"

	"bugle/internal/media"
)

func readTestAudio(r io.Reader, limit int64) ([]int16, error) { return media.ReadWAV(r, limit) }

// wav is a WAV file with n silent samples of 16-bit PCM.
func wav(n int) string { return wavOf(1, 16, 8000, n) }

// wavOf is a WAV file with n zero samples: code 1 is PCM, 6 A-law, 7 µ-law.
func wavOf(code, bits, rate, n int) string {
	le := binary.LittleEndian
	size := n * bits / 8
	b := append([]byte("RIFF"), le.AppendUint32(nil, uint32(36+size))...)
	b = append(b, "WAVEfmt "...)
	b = le.AppendUint32(b, 16)
	b = le.AppendUint16(b, uint16(code))
	b = le.AppendUint16(b, 1)
	b = le.AppendUint32(b, uint32(rate))
	b = le.AppendUint32(b, uint32(rate*bits/8))
	b = le.AppendUint16(b, uint16(bits/8))
	b = le.AppendUint16(b, uint16(bits))
	b = append(b, "data"...)
	b = le.AppendUint32(b, uint32(size))
	return string(append(b, make([]byte, size)...))
}
