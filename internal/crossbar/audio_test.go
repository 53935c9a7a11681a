package crossbar_test

import (
	"bytes"
	"encoding/binary"
	"io"

	"bugle"
)

// readTestAudio reads 16-bit mono PCM at 8 kHz and nothing else.
func readTestAudio(r io.Reader, limit int64) ([]int16, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit))
	if err != nil {
		return nil, err
	}
	if len(b) < 44 || !bytes.HasPrefix(b, []byte("RIFF")) || string(b[8:12]) != "WAVE" {
		return nil, &bugle.Error{Kind: bugle.KindUnsupported, Message: "not a WAV file"}
	}
	pcm := make([]int16, (len(b)-44)/2)
	for i := range pcm {
		pcm[i] = int16(binary.LittleEndian.Uint16(b[44+2*i:]))
	}
	return pcm, nil
}

// wav is a WAV file with n silent samples.
func wav(n int) string {
	b := []byte("RIFF")
	le := binary.LittleEndian
	b = le.AppendUint32(b, uint32(36+2*n))
	b = append(b, "WAVEfmt "...)
	b = le.AppendUint32(b, 16)
	b = le.AppendUint16(b, 1)
	b = le.AppendUint16(b, 1)
	b = le.AppendUint32(b, 8000)
	b = le.AppendUint32(b, 16000)
	b = le.AppendUint16(b, 2)
	b = le.AppendUint16(b, 16)
	b = append(b, "data"...)
	b = le.AppendUint32(b, uint32(2*n))
	return string(append(b, make([]byte, 2*n)...))
}
