package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"bugle"
)

// wavFile builds a WAV file of one tone; right, when not 0, is the second channel's.
func wavFile(code, rate, bits int, left, right float64) []byte {
	var data []byte
	channels := 1
	if right != 0 {
		channels = 2
	}
	for i := range rate / 2 {
		for _, frequency := range []float64{left, right}[:channels] {
			sample := int16(8000 * math.Sin(2*math.Pi*frequency*float64(i)/float64(rate)))
			switch {
			case code == wavMuLaw:
				data = append(data, EncodeMuLaw(sample))
			case code == wavALaw:
				data = append(data, EncodeALaw(sample))
			case bits == 8:
				data = append(data, byte(sample>>8)+128)
			default:
				data = binary.LittleEndian.AppendUint16(data, uint16(sample))
			}
		}
	}
	return wavOf(code, channels, rate, bits, data)
}

func wavOf(code, channels, rate, bits int, data []byte) []byte {
	file := append([]byte("RIFF\x00\x00\x00\x00WAVE"), "LIST\x03\x00\x00\x00abc\x00fmt \x10\x00\x00\x00"...)
	for _, word := range []int{code, channels, rate & 0xFFFF, rate >> 16, 0, 0, channels * bits / 8, bits} {
		file = binary.LittleEndian.AppendUint16(file, uint16(word))
	}
	file = append(file, "data"...)
	file = binary.LittleEndian.AppendUint32(file, uint32(len(data)))
	return append(file, data...)
}

func TestReadWAVFormats(t *testing.T) {
	t.Parallel()
	for _, rate := range []int{8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 47999, 48000} {
		for name, file := range map[string][]byte{
			"PCM 16":        wavFile(wavPCM, rate, 16, 1000, 0),
			"PCM 8":         wavFile(wavPCM, rate, 8, 1000, 0),
			"A-law":         wavFile(wavALaw, rate, 8, 1000, 0),
			"µ-law":         wavFile(wavMuLaw, rate, 8, 1000, 0),
			"PCM 16 stereo": wavFile(wavPCM, rate, 16, 1000, 1000),
		} {
			pcm, err := ReadWAV(bytes.NewReader(file), 1<<20)
			if err != nil {
				t.Errorf("%s at %d: %v", name, rate, err)
				continue
			}
			if off := len(pcm) - SampleRate/2; off < -1 || off > 1 {
				t.Errorf("%s at %d: %d samples", name, rate, len(pcm))
			}
			want := make([]int16, len(pcm))
			for i := range want {
				want[i] = int16(8000 * math.Sin(2*math.Pi*1000*float64(i)/SampleRate))
			}
			// The signs of time shift, gain and noise are all in the correlation and the level.
			if s := similarity(pcm[400:3600], want[400:3600]); s < 0.998 {
				t.Errorf("%s at %d: correlation %.4f", name, rate, s)
			}
			if gain := toneLevelOf(pcm, 1000) - toneLevelOf(want, 1000); math.Abs(gain) > 0.2 {
				t.Errorf("%s at %d: gain %.2f dB", name, rate, gain)
			}
		}
	}
}

func TestResampleDoesNotFold(t *testing.T) {
	t.Parallel()
	for _, rate := range []int{11025, 16000, 22050, 44100, 48000} {
		for _, frequency := range []float64{4100, 5000, 5400} {
			pcm, err := ReadWAV(bytes.NewReader(wavFile(wavPCM, rate, 16, frequency, 0)), 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			inside := pcm[400:3600]
			if level := toneLevelOf(inside, 8000-frequency); level > -60 {
				t.Errorf("%v Hz at %d folds back at %.1f dBm0", frequency, rate, level)
			}
		}
		for _, frequency := range []float64{300, 2000, 3300} {
			pcm, err := ReadWAV(bytes.NewReader(wavFile(wavPCM, rate, 16, frequency, 0)), 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			want := 20 * math.Log10(8000.0/amplitude0)
			if level := toneLevelOf(pcm[400:3600], frequency); math.Abs(level-want) > 0.3 {
				t.Errorf("%v Hz at %d comes out %.2f dB off", frequency, rate, level-want)
			}
		}
	}
}

func TestReadWAVStereoIsMixed(t *testing.T) {
	t.Parallel()
	pcm, err := ReadWAV(bytes.NewReader(wavFile(wavPCM, 8000, 16, 500, 1200)), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, frequency := range []float64{500, 1200} {
		if level := toneLevelOf(pcm, frequency); math.Abs(level-20*math.Log10(4000.0/amplitude0)) > 0.2 {
			t.Errorf("%v Hz is at %.1f dBm0", frequency, level)
		}
	}
}

func TestReadWAVRefuses(t *testing.T) {
	t.Parallel()
	good := wavFile(wavPCM, 8000, 16, 1000, 0)
	tests := []struct {
		name    string
		file    []byte
		kind    bugle.Kind
		message string
	}{
		{"nothing", nil, bugle.KindUnsupported, "not a WAV file"},
		{"an MP3", []byte("ID3\x04\x00\x00\x00\x00\x00\x00 and so on"), bugle.KindUnsupported, "not a WAV file"},
		{"too long", append(good, make([]byte, 1<<16)...), bugle.KindTooLarge, "longer than"},
		{"24 bits", wavOf(wavPCM, 1, 8000, 24, make([]byte, 300)), bugle.KindUnsupported, "24 bits"},
		{"float", wavOf(3, 1, 8000, 32, make([]byte, 400)), bugle.KindUnsupported, "format code 3"},
		{"six channels", wavOf(wavPCM, 6, 8000, 16, make([]byte, 400)), bugle.KindUnsupported, "6 channels"},
		{"4 kHz", wavOf(wavPCM, 1, 4000, 16, make([]byte, 400)), bugle.KindUnsupported, "4000 samples"},
		{"96 kHz", wavOf(wavPCM, 1, 96000, 16, make([]byte, 400)), bugle.KindUnsupported, "96000 samples"},
		{"A-law of 16 bits", wavOf(wavALaw, 1, 8000, 16, make([]byte, 400)), bugle.KindUnsupported, "16 bits"},
		{"no channel", wavOf(wavPCM, 0, 8000, 16, make([]byte, 400)), bugle.KindUnsupported, "0 channels"},
		{"no data", wavOf(wavPCM, 1, 8000, 16, nil), bugle.KindInvalid, "no audio"},
		{"cut in the format", good[:28], bugle.KindInvalid, ""},
		{"data before format", []byte("RIFF\x00\x00\x00\x00WAVEdata\x02\x00\x00\x00ab"), bugle.KindInvalid, "before its format"},
	}
	for _, test := range tests {
		_, err := ReadWAV(bytes.NewReader(test.file), int64(len(good)))
		var e *bugle.Error
		if !errors.As(err, &e) || e.Kind != test.kind || !strings.Contains(e.Message, test.message) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestWAVRoundTrip(t *testing.T) {
	t.Parallel()
	pcm := Tone(200*time.Millisecond, 700)
	var file bytes.Buffer
	if err := WriteWAV(&file, pcm); err != nil {
		t.Fatal(err)
	}
	got, err := ReadWAV(&file, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if string(pcmBytes(got)) != string(pcmBytes(pcm)) {
		t.Error("the samples changed")
	}
}

func FuzzReadWAV(f *testing.F) {
	f.Add(wavFile(wavPCM, 8000, 16, 1000, 0)[:200])
	f.Add(wavFile(wavMuLaw, 44100, 8, 1000, 500)[:200])
	f.Fuzz(func(t *testing.T, file []byte) {
		pcm, err := ReadWAV(bytes.NewReader(file), 1<<16)
		if err == nil && len(pcm) > len(file) {
			t.Errorf("%d bytes became %d samples", len(file), len(pcm))
		}
	})
}
