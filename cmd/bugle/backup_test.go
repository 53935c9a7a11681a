package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bugle/internal/bugletest"
	audio "bugle/internal/media"
	"bugle/internal/store/pgtest"
)

// TestBackupOfARunningServerRestores: what was there when the backup was made is there after the loss of the directory.
func TestBackupOfARunningServerRestores(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	p := serve(t, data, chosen)
	api := p.api(t)
	media, err := api.Create(t.Context(), api.Account("media"), map[string]any{"name": "greeting"})
	if err != nil {
		t.Fatal(err)
	}
	var wav bytes.Buffer
	if err := audio.WriteWAV(&wav, audio.Tone(time.Second, 440)); err != nil {
		t.Fatal(err)
	}
	if err := api.Upload(t.Context(), api.Account("media", media, "raw"), "audio/wav", wav.Bytes()); err != nil {
		t.Fatal(err)
	}
	sound, err := api.Download(t.Context(), api.Account("media", media, "raw"))
	if err != nil {
		t.Fatal(err)
	}
	device, err := api.Create(t.Context(), api.Account("devices"), map[string]any{"name": "phone",
		"sip": map[string]any{"username": "phone", "password": "sip-secret-1"}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "backup")
	bugleOutput(t, nil, "backup", "--data-dir", data, file)
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(file); info.Mode().Perm() != 0o600 {
		t.Errorf("the backup has mode %o", info.Mode().Perm())
	}
	if out, err := bugleCommand(t, nil, "backup", "--data-dir", data, file).CombinedOutput(); err == nil || !strings.Contains(string(out), "exists") {
		t.Errorf("over a backup: %v %s", err, out)
	}
	if _, err := api.Create(t.Context(), api.Account("devices"), map[string]any{"name": "later"}); err != nil {
		t.Errorf("after the backup: %v", err)
	}
	key, err := os.ReadFile(filepath.Join(data, "key"))
	if err != nil {
		t.Fatal(err)
	}
	p.end(t, syscall.SIGTERM)

	// To another directory, and to PostgreSQL.
	for name, more := range map[string][]string{"SQLite": nil, "PostgreSQL": {"--store", pgtest.URL(t)}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			place := filepath.Join(t.TempDir(), "data")
			cmd := bugleCommand(t, nil, append([]string{"restore", "--data-dir", place, "-"}, more...)...)
			cmd.Stdin = bytes.NewReader(content)
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), filepath.Join(place, "key")) {
				t.Fatalf("restore: %v %s; want it to ask for the key", err, out)
			}
			if err := os.WriteFile(filepath.Join(place, "key"), key, 0o600); err != nil {
				t.Fatal(err)
			}
			arguments := more
			if more != nil {
				arguments = append(arguments, "--blob-dir", filepath.Join(place, "blobs"))
			}
			restored := serve(t, place, chosen, arguments...).api(t)
			checkRestored(t, restored, device, media, sound)
		})
	}
}

func checkRestored(t *testing.T, api *bugletest.API, device, media string, sound []byte) {
	t.Helper()
	var doc struct {
		SIP struct {
			Password string `json:"password"`
		} `json:"sip"`
	}
	if err := api.Do(t.Context(), "GET", api.Account("devices", device), nil, &doc); err != nil || doc.SIP.Password != "sip-secret-1" {
		t.Errorf("the device: %+v, %v", doc, err)
	}
	if devices, err := api.List(t.Context(), api.Account("devices")); err != nil || len(devices) != 1 {
		t.Errorf("%d devices, %v; want the one of the backup", len(devices), err)
	}
	if got, err := api.Download(t.Context(), api.Account("media", media, "raw")); err != nil || !bytes.Equal(got, sound) {
		t.Errorf("%d bytes of audio, %v; want the %d of the backup", len(got), err, len(sound))
	}
}
