package speech

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"bugle"
	"bugle/internal/media"
)

// HTTPOptions say how an OpenAI-style speech endpoint is asked.
type HTTPOptions struct {
	Client  *http.Client  // passes the egress guard; required
	URL     string        // the whole endpoint, such as https://api.example.com/v1/audio/speech
	Key     string        // bearer token, "" for none
	Model   string        // default "tts-1"
	Voice   string        // for requests whose voice is "" or one of KAZOO's; default "alloy"
	Format  string        // "wav" (default) or "pcm": 16-bit little-endian mono
	Rate    int           // samples a second of "pcm"; default 24000
	Timeout time.Duration // for one text; default 10 s
}

// HTTP is the synthesiser of an OpenAI-style endpoint, POST /v1/audio/speech, which many local servers offer too.
type HTTP struct{ options HTTPOptions }

// NewHTTP returns a client of the endpoint. It asks nothing yet.
func NewHTTP(options HTTPOptions) *HTTP {
	options.Model = cmp.Or(options.Model, "tts-1")
	options.Voice = cmp.Or(options.Voice, "alloy")
	options.Format = cmp.Or(options.Format, "wav")
	options.Rate = cmp.Or(options.Rate, 24000)
	options.Timeout = cmp.Or(options.Timeout, 10*time.Second)
	return &HTTP{options}
}

// Name tells endpoints, models and voices apart.
func (h *HTTP) Name() string {
	return fmt.Sprintf("http %s %s %s", h.options.URL, h.options.Model, h.options.Voice)
}

// Synthesise asks the endpoint once.
func (h *HTTP) Synthesise(ctx context.Context, request Request) ([]int16, error) {
	text := sanitise(request.Text)
	if text == "" {
		return nil, httpError(bugle.KindInvalid, "the text has nothing that can be said", nil)
	}
	voice := request.Voice
	if voice == "" || strings.Contains(voice, "/") || voice == "female" || voice == "male" {
		voice = h.options.Voice
	}
	body, err := json.Marshal(map[string]string{"model": h.options.Model, "input": text, "voice": voice, "response_format": h.options.Format})
	if err != nil {
		return nil, httpError(bugle.KindInternal, "", err)
	}
	ctx, cancel := context.WithTimeout(ctx, h.options.Timeout)
	defer cancel()
	audio, err := h.post(ctx, body)
	if err != nil {
		return nil, err
	}
	if h.options.Format == "pcm" && !bytes.HasPrefix(audio, []byte("RIFF")) {
		audio = wavOf(audio, h.options.Rate)
	}
	pcm, err := media.ReadWAV(bytes.NewReader(mendWAV(audio)), maxSpeech+1024)
	if err == nil && len(pcm) == 0 {
		err = errors.New("no audio")
	}
	if err != nil {
		return nil, httpError(bugle.KindUnavailable, "the speech endpoint gave no usable audio", err)
	}
	return pcm, nil
}

func (h *HTTP) post(ctx context.Context, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, h.options.URL, bytes.NewReader(body))
	if err != nil {
		return nil, httpError(bugle.KindInvalid, "the URL of the speech endpoint is not one", nil) // err would show it
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "audio/wav, audio/*")
	if h.options.Key != "" {
		request.Header.Set("Authorization", "Bearer "+h.options.Key)
	}
	response, err := h.options.Client.Do(request)
	if err != nil {
		return nil, httpError(bugle.KindUnavailable, "the speech endpoint does not answer", err)
	}
	defer response.Body.Close()
	switch {
	case response.StatusCode == http.StatusTooManyRequests:
		return nil, httpError(bugle.KindLimited, "the speech endpoint has had too many requests", nil)
	case response.StatusCode != http.StatusOK:
		return nil, httpError(bugle.KindUnavailable, "the speech endpoint answered "+response.Status, nil)
	}
	audio, err := io.ReadAll(io.LimitReader(response.Body, maxSpeech+1))
	if err != nil {
		return nil, httpError(bugle.KindUnavailable, "the speech endpoint's answer broke off", err)
	}
	if len(audio) > maxSpeech {
		return nil, httpError(bugle.KindTooLarge, "the speech endpoint's answer is longer than 8 MiB", nil)
	}
	return audio, nil
}

func httpError(kind bugle.Kind, message string, err error) error {
	return &bugle.Error{Op: "speech.HTTP", Kind: kind, Message: message, Err: err}
}

// wavOf puts a header before 16-bit little-endian mono samples.
func wavOf(pcm []byte, rate int) []byte {
	pcm = pcm[:len(pcm)&^1]
	wav := append([]byte("RIFF"), binary.LittleEndian.AppendUint32(nil, uint32(36+len(pcm)))...)
	wav = append(wav, "WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00"...)
	wav = binary.LittleEndian.AppendUint32(wav, uint32(rate))
	wav = binary.LittleEndian.AppendUint32(wav, uint32(2*rate))
	wav = append(wav, "\x02\x00\x10\x00data"...)
	wav = binary.LittleEndian.AppendUint32(wav, uint32(len(pcm)))
	return append(wav, pcm...)
}

// mendWAV writes the true length into a file that was streamed, whose header could not know it.
func mendWAV(wav []byte) []byte {
	if len(wav) < 12 || string(wav[:4]) != "RIFF" {
		return wav
	}
	binary.LittleEndian.PutUint32(wav[4:], uint32(len(wav)-8))
	for at := 12; at+8 <= len(wav); {
		size := int(binary.LittleEndian.Uint32(wav[at+4:]))
		left := len(wav) - at - 8
		if string(wav[at:at+4]) == "data" && (size > left || size == 0) {
			binary.LittleEndian.PutUint32(wav[at+4:], uint32(left))
			return wav
		}
		if size > left {
			return wav
		}
		at += 8 + size + size&1
	}
	return wav
}
