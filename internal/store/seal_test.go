package store

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"bugle"
)

func sealer(t *testing.T, b byte) *Sealer {
	t.Helper()
	s, err := NewSealer(bytes.Repeat([]byte{b}, keySize))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSealer(t *testing.T) {
	t.Parallel()
	s := sealer(t, 1)
	for _, plain := range []string{"", "geheim", strings.Repeat("é", 5000), "sealed:1:AAAA"} {
		sealed, err := s.Seal(plain, "d1", "sip.password")
		if err != nil {
			t.Fatal(err)
		}
		again, _ := s.Seal(plain, "d1", "sip.password")
		if !IsSealed(sealed) || sealed == again || len(plain) > 3 && strings.Contains(sealed, plain) {
			t.Errorf("%q was sealed as %q and %q", plain, sealed, again)
		}
		if got, err := s.Open(sealed, "d1", "sip.password"); err != nil || got != plain {
			t.Errorf("%q came back as %q, %v", plain, got, err)
		}
		damaged := []byte(sealed)
		damaged[len(damaged)-3] ^= 1
		for name, open := range map[string]func() (string, error){
			"in another document":           func() (string, error) { return s.Open(sealed, "d2", "sip.password") },
			"in another field":              func() (string, error) { return s.Open(sealed, "d1", "hook.secret") },
			"in no place":                   func() (string, error) { return s.Open(sealed) },
			"in a place that reads alike":   func() (string, error) { return s.Open(sealed, "d1sip.password") },
			"with another key":              func() (string, error) { return sealer(t, 2).Open(sealed, "d1", "sip.password") },
			"damaged":                       func() (string, error) { return s.Open(string(damaged), "d1", "sip.password") },
			"cut":                           func() (string, error) { return s.Open(sealed[:12], "d1", "sip.password") },
			"without its prefix":            func() (string, error) { return s.Open(strings.TrimPrefix(sealed, sealedPrefix), "d1", "sip.password") },
			"with letters that are no code": func() (string, error) { return s.Open(sealed+"!", "d1", "sip.password") },
		} {
			got, err := open()
			if bugle.KindOf(err) != bugle.KindInvalid || err == nil || got != "" {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
	}
	if IsSealed("secret") || IsSealed("") {
		t.Error("a plain value passes for a sealed one")
	}
	_, err := NewSealer([]byte("short"))
	wantKind(t, err, bugle.KindInvalid)
}

func TestLoadKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data", "key")
	keys := make([][]byte, 8)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			key, err := LoadKey(path)
			if err != nil {
				t.Error(err)
			}
			keys[i] = key
		})
	}
	wg.Wait()
	for _, key := range keys {
		if !bytes.Equal(key, keys[0]) || len(key) != keySize || bytes.Equal(key, make([]byte, keySize)) {
			t.Fatalf("keys differ: %x %x", key, keys[0])
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) != 1 {
		t.Errorf("left behind: %v", files)
	}
	for name, spoil := range map[string]func() error{
		"readable by others": func() error { return os.Chmod(path, 0o640) },
		"cut":                func() error { return os.WriteFile(path, []byte("abcd\n"), 0o600) },
		"no key":             func() error { return os.WriteFile(path, bytes.Repeat([]byte("z"), 64), 0o600) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		_, err := LoadKey(path)
		if bugle.KindOf(err) != bugle.KindInvalid || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func exerciseCanary(t *testing.T, o opener) {
	o.open(t, Options{Sealer: sealer(t, 1)}).Close()
	o.open(t, Options{Sealer: sealer(t, 1)}).Close()
	s := o.open(t, Options{})
	wantKind(t, s.checkSealer(t.Context(), sealer(t, 2)), bugle.KindInvalid)
	if err := s.checkSealer(t.Context(), sealer(t, 1)); err != nil {
		t.Error(err)
	}
}
