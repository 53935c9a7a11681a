package main

import (
	"bytes"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

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
