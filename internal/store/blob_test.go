package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"bugle"
)

func newBlobs(t *testing.T) (*Blobs, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "blobs")
	b, err := NewBlobs(dir)
	if err != nil {
		t.Fatal(err)
	}
	return b, dir
}

func TestBlobs(t *testing.T) {
	t.Parallel()
	b, dir := newBlobs(t)
	audio := bytes.Repeat([]byte("RIFF"), 50000)
	var wg sync.WaitGroup
	for range 5 { // the same bytes at the same time
		wg.Go(func() {
			blob, err := b.Put(t.Context(), "acme", iotest.OneByteReader(bytes.NewReader(audio[:1000])), 1000)
			if err != nil || blob.Size != 1000 {
				t.Error(blob, err)
			}
		})
	}
	wg.Wait()
	blob, err := b.Put(t.Context(), "acme", bytes.NewReader(audio), int64(len(audio)))
	sum := sha256.Sum256(audio)
	if err != nil || blob != (Blob{"acme", hex.EncodeToString(sum[:]), int64(len(audio))}) {
		t.Fatal(blob, err)
	}
	f, err := b.Open(t.Context(), "acme", blob.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, audio) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if pos, err := f.Seek(4, io.SeekStart); pos != 4 || err != nil {
		t.Error(err)
	}
	_, err = b.Put(t.Context(), "acme", bytes.NewReader(audio), int64(len(audio))-1)
	wantKind(t, err, bugle.KindTooLarge)
	boom := errors.New("boom")
	if _, err = b.Put(t.Context(), "acme", iotest.ErrReader(boom), 10); err != boom {
		t.Errorf("an error of the source became %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = b.Put(ctx, "acme", bytes.NewReader(audio), 1<<20)
	wantKind(t, err, bugle.KindUnavailable)
	files, err := os.ReadDir(filepath.Join(dir, "acme"))
	if err != nil || len(files) != 2 {
		t.Errorf("failed uploads left files: %v, %v", files, err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v", f.Name(), info.Mode())
		}
	}
	for _, account := range []string{"", ".", "..", "a/b", "../acme", "a\x00b", strings.Repeat("a", 200)} {
		_, err := b.Put(t.Context(), account, bytes.NewReader(audio), 1<<20)
		wantKind(t, err, bugle.KindInvalid)
		_, err = b.Open(t.Context(), account, blob.SHA256)
		wantKind(t, err, bugle.KindInvalid)
	}
	for _, name := range []string{"", "..", "../acme/" + blob.SHA256, strings.ToUpper(blob.SHA256), blob.SHA256[1:], strings.Repeat("0", 64)} {
		_, err := b.Open(t.Context(), "acme", name)
		wantKind(t, err, bugle.KindNotFound)
	}
	_, err = b.Open(t.Context(), "other", blob.SHA256)
	wantKind(t, err, bugle.KindNotFound)
}

func TestBlobSweep(t *testing.T) {
	t.Parallel()
	b, dir := newBlobs(t)
	store := func(s string) Blob {
		blob, err := b.Put(t.Context(), "acme", strings.NewReader(s), 100)
		if err != nil {
			t.Fatal(err)
		}
		return blob
	}
	used, unused := store("used"), store("unused")
	torn := filepath.Join(dir, "acme", temporary+"123")
	foreign := filepath.Join(dir, "acme", "README")
	for _, path := range []string{torn, foreign} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sweep := func(later time.Duration, want int) {
		t.Helper()
		n, err := b.Sweep(t.Context(), time.Now().Add(later), time.Hour, func(_ context.Context, account, sum string) (bool, error) {
			return account == "acme" && sum == used.SHA256, nil
		})
		if err != nil || n != want {
			t.Errorf("%d removed, %v, want %d", n, err, want)
		}
	}
	sweep(0, 0) // an upload whose document is not written yet
	sweep(2*time.Hour, 2)
	sweep(2*time.Hour, 0)
	if f, err := b.Open(t.Context(), "acme", used.SHA256); err != nil {
		t.Error(err)
	} else {
		f.Close()
	}
	_, err := b.Open(t.Context(), "acme", unused.SHA256)
	wantKind(t, err, bugle.KindNotFound)
	if _, err := os.Stat(foreign); err != nil {
		t.Errorf("a file that is not ours is gone: %v", err)
	}
	boom := errors.New("boom")
	if _, err := b.Sweep(t.Context(), time.Now().Add(2*time.Hour), time.Hour, func(context.Context, string, string) (bool, error) {
		return false, boom
	}); err != boom {
		t.Errorf("an error of the caller became %v", err)
	}
}

func TestBlobReferences(t *testing.T) {
	t.Parallel()
	s := sqliteIn(t.TempDir()).open(t, Options{})
	b, _ := newBlobs(t)
	blobs := map[string]Blob{}
	for _, account := range []string{"acme", "other"} {
		for _, what := range []string{"living", "deleted", "destroyed", "loose"} {
			blob, err := b.Put(t.Context(), account, strings.NewReader(what), 100) // the same bytes in both accounts
			if err != nil {
				t.Fatal(err)
			}
			blobs[account+" "+what] = blob
			if account == "other" && what != "living" || what == "loose" {
				continue
			}
			d := Document{AccountID: account, Type: "media", ID: account + what, Body: []byte(`{}`), Private: []byte(`{"blob":"` + blob.SHA256 + `"}`)}
			d = put(t, s, d, "")
			if what != "living" {
				remove(t, s, d, what == "destroyed")
			}
		}
	}
	sweep := func() (int, error) {
		return b.Sweep(t.Context(), time.Now().Add(time.Hour), time.Minute, s.References([]string{"user", "media"}, func(d Document) []string {
			f, _ := bugle.ParseFields(d.Private)
			return []string{f.String("blob")}
		}))
	}
	if n, err := sweep(); n != 5 || err != nil {
		t.Errorf("%d removed, %v", n, err)
	}
	for what, blob := range blobs {
		f, err := b.Open(t.Context(), blob.AccountID, blob.SHA256)
		if err == nil {
			f.Close()
		}
		if want := what == "acme living" || what == "acme deleted" || what == "other living"; want != (err == nil) {
			t.Errorf("%s: %v", what, err)
		}
	}
	s.Close()
	if n, err := sweep(); n != 0 || bugle.KindOf(err) != bugle.KindUnavailable {
		t.Errorf("without a database %d removed, %v", n, err)
	}
}
