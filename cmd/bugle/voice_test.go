package main

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bugle/internal/bugletest"
	"bugle/internal/media"
)

// TestATextCanBeDownloadedAsSpeech: by a server that has an engine; another one says that it has none.
func TestATextCanBeDownloadedAsSpeech(t *testing.T) {
	t.Parallel()
	_, missing := exec.LookPath("flite")
	for name, engine := range map[string]string{"with flite": "flite", "without an engine": ""} {
		t.Run(name, func(t *testing.T) {
			if engine != "" && missing != nil {
				t.Skip(missing)
			}
			t.Parallel()
			api := serve(t, filepath.Join(t.TempDir(), "data"), chosen, "--flite", engine).api(t)
			id, err := api.Create(within(t), api.Account("media"), object{"name": "Hello", "media_source": "tts",
				"tts": object{"text": "Good day", "voice": "male/en-US"}})
			if err != nil {
				t.Fatal(err)
			}
			wav, err := api.Download(within(t), api.Account("media", id, "raw"))
			if engine == "" {
				var refused *bugletest.APIError
				if !errors.As(err, &refused) || refused.Status != 503 || !strings.Contains(string(refused.Data), "no synthesiser") {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if pcm, err := media.ReadWAV(bytes.NewReader(wav), maxRecording); err != nil || len(pcm) < media.SampleRate/4 {
				t.Errorf("%d samples, %v", len(pcm), err)
			}
		})
	}
}

// TestAnEndpointSpeaks: the caller hears what an OpenAI-style endpoint made of a text.
func TestAnEndpointSpeaks(t *testing.T) {
	t.Parallel()
	var wav bytes.Buffer
	if err := media.WriteWAV(&wav, media.Tone(2*time.Second, 800)); err != nil {
		t.Fatal(err)
	}
	asked := make(chan string, 10)
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked <- r.Header.Get("Authorization") + " " + string(body)
		_, _ = w.Write(wav.Bytes())
	}))
	t.Cleanup(endpoint.Close)
	p := serve(t, filepath.Join(t.TempDir(), "data"), append([]string{"BUGLE_SPEECH_KEY=k1"}, chosen...),
		"--speech-url", endpoint.URL+"/v1/audio/speech", "--egress-allow", "127.0.0.0/8")
	o := &office{program: p, api: p.api(t)}
	var err error
	if o.company, err = found(t.Context(), o.api, "demo.test", secret); err != nil {
		t.Fatal(err)
	}
	if _, err := o.api.Create(within(t), "/accounts/"+o.company.accountID+"/callflows", object{"numbers": []string{"777"},
		"flow": object{"module": "tts", "data": object{"text": "Good day"}}}); err != nil {
		t.Fatal(err)
	}
	call, err := o.phone(t, "1001", bugletest.Behaviour{}).Dial(within(t), "777")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := call.WaitTone(within(t), 800); err != nil {
		t.Errorf("%v\n%s", err, p.Log())
	}
	if request := <-asked; !strings.HasPrefix(request, "Bearer k1 ") || !strings.Contains(request, "Good day") {
		t.Errorf("asked %s", request)
	}
	if err := call.Hangup(within(t)); err != nil {
		t.Error(err)
	}
}
