package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"bugle"
	"bugle/internal/bugletest"
	"bugle/internal/crossbar"
	"bugle/internal/media"
	"bugle/internal/store"
)

// TestUploadedAudioIsHeard uploads a greeting and a prompt of the account's own, names audio of a web server, and listens to
// all of them.
func TestUploadedAudioIsHeard(t *testing.T) {
	t.Parallel()
	o := openOffice(t, filepath.Join(t.TempDir(), "data"))
	ctx := within(t)
	base := "/accounts/" + o.company.accountID
	upload := func(hertz float64, document object) string {
		t.Helper()
		id, err := o.api.Create(ctx, base+"/media", document)
		if err != nil {
			t.Fatal(err)
		}
		var wav bytes.Buffer
		if err := media.WriteWAV(&wav, media.Tone(3*time.Second, hertz)); err != nil {
			t.Fatal(err)
		}
		if err := o.api.Upload(ctx, base+"/media/"+id+"/raw", "audio/wav", wav.Bytes()); err != nil {
			t.Fatal(err)
		}
		return id
	}
	greeting := upload(900, object{"name": "Greeting"})
	upload(1200, object{"name": "Our own", "prompt_id": "dir-enter_person_name", "language": "en-us"})
	if _, err := o.api.Create(ctx, base+"/callflows", object{"numbers": []string{"1900"},
		"flow": node("play", object{"id": greeting}, nil)}); err != nil {
		t.Fatal(err)
	}
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = media.WriteWAV(w, media.Tone(3*time.Second, 1500))
	}))
	defer elsewhere.Close()
	if _, err := o.api.Create(ctx, base+"/callflows", object{"numbers": []string{"1901"},
		"flow": node("play", object{"id": elsewhere.URL + "/greeting.wav"}, nil)}); err != nil {
		t.Fatal(err)
	}
	ann := o.phone(t, "1001", bugletest.Behaviour{})
	for number, hertz := range map[string]float64{"1900": 900, "411": 1200, "1901": 1500} {
		call, err := ann.Dial(ctx, number)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := call.WaitTone(ctx, hertz); err != nil {
			t.Errorf("%s: %v\n%s", number, err, o.Log())
		}
		if err := call.Hangup(ctx); err != nil {
			t.Error(err)
		}
	}
}

// TestBlobsInUse: whatever kind of document names a blob, the sweep is told so.
func TestBlobsInUse(t *testing.T) {
	t.Parallel()
	s, err := store.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "bugle.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	account := bugle.NewID()
	documents := map[string]store.Document{
		"a0": {Type: crossbar.TypeMedia, Private: []byte(`{"` + crossbar.PrivateBlob + `":"a0"}`)},
		"a1": {Type: crossbar.TypeUser, Private: []byte(`{"` + crossbar.PrivatePhoto + `":{"` + crossbar.PrivateBlob + `":"a1"}}`)},
		"a2": {Type: crossbar.TypeListEntry, Private: []byte(`{"` + crossbar.PrivatePhoto + `":{"` + crossbar.PrivateBlob + `":"a2"}}`)},
	}
	for _, doc := range documents {
		doc.AccountID, doc.ID, doc.Body = account, bugle.NewID(), []byte("{}")
		if err := s.Write(t.Context(), func(tx *store.Tx) error { return tx.Put(&doc, "") }); err != nil {
			t.Fatal(err)
		}
	}
	used := audioInUse(s)
	for sum, doc := range documents {
		if named, err := used(t.Context(), account, sum); err != nil || !named {
			t.Errorf("the blob of a %s is not in use (%v)", doc.Type, err)
		}
	}
	if named, err := used(t.Context(), account, "a9"); err != nil || named {
		t.Errorf("a blob that nothing names is in use (%v)", err)
	}
}
