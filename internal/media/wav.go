package media

import "io"

// ReadWAV reads a WAV file of at most limit bytes and returns it as 8 kHz mono. It reads PCM of 8 or 16 bits, A-law and
// µ-law, 8 to 48 kHz, one or two channels. Another format is KindUnsupported, a broken file KindInvalid, a longer one
// KindTooLarge; the Error's message says what is allowed.
func ReadWAV(r io.Reader, limit int64) ([]int16, error) { return nil, errUnbuilt }

// WriteWAV writes pcm, 8 kHz mono, as a WAV file of 16-bit PCM.
func WriteWAV(w io.Writer, pcm []int16) error { return errUnbuilt }
