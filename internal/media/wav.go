package media

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"bugle"
)

// The format codes of a WAV file's fmt chunk.
const (
	wavPCM        = 1
	wavALaw       = 6
	wavMuLaw      = 7
	wavExtensible = 0xFFFE
)

const wavAllowed = "allowed is WAV with PCM of 8 or 16 bits, A-law or µ-law, 8 to 48 kHz, mono or stereo"

type wavFormat struct {
	code, channels, bits int
	rate                 int
}

// ReadWAV reads a WAV file of at most limit bytes and returns it as 8 kHz mono. It reads PCM of 8 or 16 bits, A-law and
// µ-law, 8 to 48 kHz, one or two channels. Another format is KindUnsupported, a broken file KindInvalid, a longer one
// KindTooLarge; the Error's message says what is allowed.
func ReadWAV(r io.Reader, limit int64) ([]int16, error) {
	file, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, wavError(bugle.KindInvalid, "the file could not be read", err)
	}
	if int64(len(file)) > limit {
		return nil, wavError(bugle.KindTooLarge, fmt.Sprintf("the file is longer than %d bytes", limit), nil)
	}
	format, data, err := wavChunks(file)
	if err != nil {
		return nil, err
	}
	samples := wavSamples(format, data)
	if format.rate != SampleRate {
		return resample(samples, format.rate), nil
	}
	pcm := make([]int16, len(samples))
	for i, sample := range samples {
		pcm[i] = clamp(sample)
	}
	return pcm, nil
}

// WriteWAV writes pcm, 8 kHz mono, as a WAV file of 16-bit PCM.
func WriteWAV(w io.Writer, pcm []int16) error {
	file := make([]byte, 0, 44+2*len(pcm))
	file = append(file, "RIFF"...)
	file = binary.LittleEndian.AppendUint32(file, uint32(36+2*len(pcm)))
	file = append(file, "WAVEfmt "...)
	file = binary.LittleEndian.AppendUint32(file, 16)
	file = binary.LittleEndian.AppendUint16(file, wavPCM)
	file = binary.LittleEndian.AppendUint16(file, 1)
	file = binary.LittleEndian.AppendUint32(file, SampleRate)
	file = binary.LittleEndian.AppendUint32(file, 2*SampleRate)
	file = binary.LittleEndian.AppendUint16(file, 2)
	file = binary.LittleEndian.AppendUint16(file, 16)
	file = append(file, "data"...)
	file = binary.LittleEndian.AppendUint32(file, uint32(2*len(pcm)))
	for _, sample := range pcm {
		file = binary.LittleEndian.AppendUint16(file, uint16(sample))
	}
	_, err := w.Write(file)
	return err
}

// wavChunks finds the format and the samples in a RIFF file.
func wavChunks(file []byte) (format wavFormat, data []byte, err error) {
	if len(file) < 12 || !bytes.Equal(file[:4], []byte("RIFF")) || !bytes.Equal(file[8:12], []byte("WAVE")) {
		return format, nil, wavError(bugle.KindUnsupported, "this is not a WAV file; "+wavAllowed, nil)
	}
	known := false
	for rest := file[12:]; len(rest) >= 8; {
		id, size := string(rest[:4]), int64(binary.LittleEndian.Uint32(rest[4:8]))
		rest = rest[8:]
		switch id {
		case "fmt ":
			if size < 16 || size > int64(len(rest)) {
				return format, nil, wavError(bugle.KindInvalid, "the WAV file's format chunk is cut off", nil)
			}
			if format, err = wavFormatOf(rest[:size]); err != nil {
				return format, nil, err
			}
			known = true
		case "data":
			if !known {
				return format, nil, wavError(bugle.KindInvalid, "the WAV file's data comes before its format", nil)
			}
			// Programs that write to a pipe leave 0 or the largest number; what is there counts.
			if size == 0 || size > int64(len(rest)) {
				size = int64(len(rest))
			}
			frame := format.channels * format.bits / 8
			if size < int64(frame) {
				return format, nil, wavError(bugle.KindInvalid, "the WAV file holds no audio", nil)
			}
			return format, rest[:size-size%int64(frame)], nil
		}
		rest = rest[min(size+size&1, int64(len(rest))):]
	}
	return format, nil, wavError(bugle.KindInvalid, "the WAV file holds no audio", nil)
}

func wavFormatOf(chunk []byte) (wavFormat, error) {
	word := func(at int) int { return int(binary.LittleEndian.Uint16(chunk[at:])) }
	format := wavFormat{code: word(0), channels: word(2), bits: word(14), rate: int(binary.LittleEndian.Uint32(chunk[4:]))}
	if format.code == wavExtensible && len(chunk) >= 26 {
		format.code = word(24)
	}
	var problem string
	switch {
	case format.channels != 1 && format.channels != 2:
		problem = fmt.Sprintf("the WAV file has %d channels", format.channels)
	case format.rate < 8000 || format.rate > 48000:
		problem = fmt.Sprintf("the WAV file has %d samples a second", format.rate)
	case format.code == wavPCM && format.bits != 8 && format.bits != 16:
		problem = fmt.Sprintf("the WAV file has samples of %d bits", format.bits)
	case format.code != wavPCM && format.code != wavALaw && format.code != wavMuLaw:
		problem = fmt.Sprintf("the WAV file has format code %d", format.code)
	case format.code != wavPCM && format.bits != 8:
		problem = fmt.Sprintf("the WAV file has G.711 samples of %d bits", format.bits)
	}
	if problem != "" {
		return format, wavError(bugle.KindUnsupported, problem+"; "+wavAllowed, nil)
	}
	return format, nil
}

// wavSamples decodes data and mixes its channels to one.
func wavSamples(format wavFormat, data []byte) []float32 {
	width := format.bits / 8
	samples := make([]float32, len(data)/(width*format.channels))
	for i := range samples {
		sum := 0
		for channel := range format.channels {
			at := (i*format.channels + channel) * width
			switch {
			case format.code == wavALaw:
				sum += int(DecodeALaw(data[at]))
			case format.code == wavMuLaw:
				sum += int(DecodeMuLaw(data[at]))
			case width == 1:
				sum += (int(data[at]) - 128) << 8 // 8-bit PCM is unsigned
			default:
				sum += int(int16(binary.LittleEndian.Uint16(data[at:])))
			}
		}
		samples[i] = float32(sum) / float32(format.channels)
	}
	return samples
}

func wavError(kind bugle.Kind, message string, err error) error {
	return &bugle.Error{Op: "media.ReadWAV", Kind: kind, Message: message, Err: err}
}
