package speech

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"bugle"
	"bugle/internal/media"
)

func endpoint(t *testing.T, handler http.HandlerFunc, change func(*HTTPOptions)) *HTTP {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(func() { server.Client().CloseIdleConnections(); server.Close() })
	options := HTTPOptions{Client: server.Client(), URL: server.URL + "/v1/audio/speech", Key: "s3cret"}
	if change != nil {
		change(&options)
	}
	return NewHTTP(options)
}

func toneWAV(t *testing.T) []byte {
	t.Helper()
	var wav bytes.Buffer
	if err := media.WriteWAV(&wav, media.Tone(time.Second, 440)); err != nil {
		t.Fatal(err)
	}
	return wav.Bytes()
}

func TestTheEndpointIsAskedAsOpenAIs(t *testing.T) {
	t.Parallel()
	var got map[string]string
	var header http.Header
	wav := toneWAV(t)
	h := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
		header = r.Header
		if r.Method != http.MethodPost || r.URL.Path != "/v1/audio/speech" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		w.Write(wav)
	}, nil)
	pcm, err := h.Synthesise(t.Context(), Request{Text: "山田 \"太郎\"", Voice: "female/en-US"})
	if err != nil {
		t.Fatal(err)
	}
	if len(pcm) != media.SampleRate || strength(pcm, 440) < 1000 {
		t.Errorf("%d samples, 440 Hz at %.0f", len(pcm), strength(pcm, 440))
	}
	want := map[string]string{"model": "tts-1", "input": "山田 \"太郎\"", "voice": "alloy", "response_format": "wav"}
	for key := range want {
		if got[key] != want[key] {
			t.Errorf("%s is %q, want %q", key, got[key], want[key])
		}
	}
	if header.Get("Authorization") != "Bearer s3cret" || header.Get("Content-Type") != "application/json" {
		t.Errorf("header %v", header)
	}
	if _, err := h.Synthesise(t.Context(), Request{Text: "x", Voice: "nova"}); err != nil || got["voice"] != "nova" {
		t.Errorf("voice %q, %v", got["voice"], err)
	}
}

func TestAudioOfEveryShapeIsRead(t *testing.T) {
	t.Parallel()
	streamed := toneWAV(t)
	binary.LittleEndian.PutUint32(streamed[4:], 0xFFFFFFFF)
	binary.LittleEndian.PutUint32(streamed[40:], 0xFFFFFFFF)
	var raw []byte // 24 kHz: each sample of 8 kHz three times is the same tone
	for _, sample := range media.Tone(time.Second, 440) {
		for range 3 {
			raw = binary.LittleEndian.AppendUint16(raw, uint16(sample))
		}
	}
	for name, test := range map[string]struct {
		format string
		body   []byte
	}{"streamed": {"wav", streamed}, "raw": {"pcm", raw}, "raw and an odd byte": {"pcm", append(bytes.Clone(raw), 1)}, "wav where pcm was asked": {"pcm", toneWAV(t)}} {
		h := endpoint(t, func(w http.ResponseWriter, r *http.Request) { w.Write(test.body) },
			func(o *HTTPOptions) { o.Format = test.format })
		pcm, err := h.Synthesise(t.Context(), Request{Text: "Ann"})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(pcm) != media.SampleRate || strength(pcm, 440) < 1000 {
			t.Errorf("%s: %d samples, 440 Hz at %.0f", name, len(pcm), strength(pcm, 440))
		}
	}
}

func TestAnEndpointThatMisbehavesFailsItsTextOnly(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		want    bugle.Kind
	}{
		"too many": {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(429) }, bugle.KindLimited},
		"broken":   {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) }, bugle.KindUnavailable},
		"refused":  {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(401) }, bugle.KindUnavailable},
		"empty":    {func(w http.ResponseWriter, r *http.Request) {}, bugle.KindUnavailable},
		"a page":   {func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>") }, bugle.KindUnavailable},
		"endless": {func(w http.ResponseWriter, r *http.Request) {
			for block := make([]byte, 1<<20); ; {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		}, bugle.KindTooLarge},
		"hanging up": {func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }, bugle.KindUnavailable},
		"silent":     {func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, bugle.KindUnavailable},
	} {
		h := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body) // the server notices a client that leaves only when it has read the body
			test.handler(w, r)
		}, func(o *HTTPOptions) {
			if name == "silent" {
				o.Timeout = 50 * time.Millisecond
			}
		})
		_, err := h.Synthesise(t.Context(), Request{Text: "Ann"})
		if bugle.KindOf(err) != test.want {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: the error shows the key: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h := endpoint(t, func(http.ResponseWriter, *http.Request) {}, nil)
	if _, err := h.Synthesise(ctx, Request{Text: "Ann"}); err == nil {
		t.Error("a caller who left got audio")
	}
}

func FuzzMendWAV(f *testing.F) {
	f.Add([]byte("RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00data"))
	f.Add(wavOf(make([]byte, 7), 24000))
	f.Fuzz(func(t *testing.T, wav []byte) { media.ReadWAV(bytes.NewReader(mendWAV(wav)), maxSpeech) })
}
