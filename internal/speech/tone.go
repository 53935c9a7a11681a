package speech

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"bugle"
	"bugle/internal/media"
)

// Bounds of a tone_stream.
const (
	maxTone      = 60 * time.Second // one pass
	maxToneClips = 10000            // passes in a row
)

// toneStream reads the language that FreeSWITCH calls TGML, as far as phone systems use it: tones %(on,off,hertz,...) in
// milliseconds, DTMF digits, v= (volume in dB of full scale), d= and w= (length and gap of digits), l= or loops= (how often,
// -1 for without end, which is an hour), parted by semicolons.
func toneStream(rest string) ([]*media.Clip, error) {
	t := toneReader{rest: rest, volume: -13, digit: 250 * time.Millisecond, gap: 50 * time.Millisecond, loops: 1}
	if err := t.read(); err != nil {
		return nil, referenceError(bugle.KindInvalid, "tone_stream:// "+err.Error()+"; an example is %(2000,4000,440,480);loops=3", nil)
	}
	if len(t.pcm) == 0 {
		return nil, referenceError(bugle.KindInvalid, "tone_stream:// has no tone", nil)
	}
	clip := media.NewClip("tone", t.pcm)
	loops := t.loops
	if most := max(int(maxSilence/clip.Duration()), 1); loops < 0 || loops > most {
		loops = most
	}
	clips := make([]*media.Clip, min(max(loops, 1), maxToneClips))
	for i := range clips {
		clips[i] = clip
	}
	return clips, nil
}

type toneReader struct {
	rest       string
	volume     float64
	digit, gap time.Duration
	loops      int
	pcm        []int16
}

func (t *toneReader) read() error {
	for t.rest != "" {
		c := t.rest[0]
		switch {
		case c == ';' || c == ' ' || c == ',':
			t.rest = t.rest[1:]
		case c == '%':
			if err := t.tone(); err != nil {
				return err
			}
		case strings.IndexByte(t.rest, '=') > 0 && isSetting(t.rest[:strings.IndexByte(t.rest, '=')]):
			if err := t.setting(); err != nil {
				return err
			}
		case strings.IndexByte("0123456789*#ABCDabcd", c) >= 0:
			if err := t.add(media.DTMF(strings.ToUpper(string(c)), t.digit, t.gap), t.digit+t.gap); err != nil {
				return err
			}
			t.rest = t.rest[1:]
		default:
			return errors.New("has " + strconv.QuoteRune(rune(c)) + ", which is no tone")
		}
	}
	return nil
}

func isSetting(name string) bool {
	switch strings.ToLower(name) {
	case "v", "d", "w", "l", "loops", "r", "c", ">", "<", "+", "-":
		return true
	}
	return false
}

// setting reads NAME=VALUE.
func (t *toneReader) setting() error {
	name, rest, _ := strings.Cut(t.rest, "=")
	end := strings.IndexFunc(rest, func(r rune) bool { return !strings.ContainsRune("-+.0123456789", r) })
	if end < 0 {
		end = len(rest)
	}
	value, err := strconv.ParseFloat(rest[:end], 64)
	if err != nil {
		return errors.New("has " + name + "= without a number")
	}
	t.rest = rest[end:]
	switch strings.ToLower(name) {
	case "v":
		t.volume = min(max(value, -63), 0)
	case "d":
		t.digit = milliseconds(value)
	case "w":
		t.gap = milliseconds(value)
	case "l", "loops":
		t.loops = int(min(max(value, -1), math.MaxInt32))
	} // others change what is not offered: rates, channels, fading
	return nil
}

// milliseconds reads a length within the bound of one pass.
func milliseconds(value float64) time.Duration {
	return time.Duration(min(max(value, 0), float64(maxTone/time.Millisecond))) * time.Millisecond
}

// tone reads %(on,off,hertz,...).
func (t *toneReader) tone() error {
	inside, rest, ok := strings.Cut(strings.TrimPrefix(t.rest, "%("), ")")
	if !ok || !strings.HasPrefix(t.rest, "%(") {
		return errors.New("has a % without (...)")
	}
	t.rest = rest
	var numbers []float64
	for _, field := range strings.Split(inside, ",") {
		n, err := strconv.ParseFloat(strings.TrimSpace(field), 64)
		if err != nil || n < 0 || math.IsNaN(n) {
			return errors.New("has " + strconv.Quote(field) + " where a number belongs")
		}
		numbers = append(numbers, n)
	}
	if len(numbers) < 3 || len(numbers) > 10 {
		return errors.New("needs %(on,off,hertz,...) with up to eight frequencies")
	}
	for _, hertz := range numbers[2:] {
		if hertz >= media.SampleRate/2 {
			return errors.New("has a frequency that does not fit 8 kHz audio")
		}
	}
	on, off := milliseconds(numbers[0]), milliseconds(numbers[1])
	pcm := media.Tone(on, numbers[2:]...)
	gain := math.Pow(10, (t.volume+13)/20) // media.Tone is at -13 dB
	for i, sample := range pcm {
		pcm[i] = int16(min(max(math.Round(float64(sample)*gain), math.MinInt16), math.MaxInt16))
	}
	return t.add(append(pcm, media.Silence(off)...), on+off)
}

func (t *toneReader) add(pcm []int16, length time.Duration) error {
	if time.Duration(len(t.pcm))*time.Second/media.SampleRate+length > maxTone {
		return errors.New("is longer than a minute")
	}
	t.pcm = append(t.pcm, pcm...)
	return nil
}
