package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bugle"
)

func exerciseMessages(t *testing.T, o opener) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	s := o.open(t, Options{Now: func() time.Time { return now }})
	var want, saved []string
	for i := range 9 {
		m := MessageRow{ID: fmt.Sprint("202611-", i), AccountID: "acme", BoxID: "box", Folder: FolderNew,
			Arrived: now.Add(time.Duration(i/2) * time.Minute), CallID: "x@y", FromName: "Ann é", FromNumber: "1001",
			From: "1001@a", To: "2000@a", Blob: fmt.Sprint("sum", i%3), ContentType: "audio/x-wav", Size: 7 << 32,
			Length: 3140 * time.Millisecond, Transcription: json.RawMessage(`{"text": "hi", "n":1.0}`)}
		if i == 4 {
			m.Folder, m.Blob, m.Transcription = FolderSaved, "", nil
			saved = []string{m.ID}
		}
		if err := s.SaveMessage(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if err := s.SaveMessage(t.Context(), m); err != nil { // in doubt: again
			t.Fatal(err)
		}
		m.Changed = now
		got, err := s.GetMessage(t.Context(), "acme", m.ID)
		if err != nil || cmp.Diff(m, got) != "" {
			t.Errorf("%v\n%s", err, cmp.Diff(m, got))
		}
		want = append([]string{m.ID}, want...)
	}
	for _, m := range []MessageRow{{ID: "other-box", AccountID: "acme", BoxID: "two", Folder: FolderDeleted, Arrived: now, Blob: "sum9"},
		{ID: "foreign", AccountID: "beta", BoxID: "box", Folder: FolderNew, Arrived: now, Transcription: json.RawMessage(`[1`), FromName: "\xff"}} {
		if err := s.SaveMessage(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range [][2]string{{"beta", "202611-1"}, {"acme", "nothing"}, {"acme", "\xff"}} {
		_, err := s.GetMessage(t.Context(), c[0], c[1])
		wantKind(t, err, bugle.KindNotFound)
	}
	list := func(q MessageQuery) (got []string) {
		for {
			page, next, err := s.Messages(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range page {
				got = append(got, m.ID)
			}
			if q.After = next; next == nil {
				return got
			}
		}
	}
	reverse := make([]string, len(want))
	for i, id := range want {
		reverse[len(want)-1-i] = id
	}
	for _, limit := range []int{0, 1, 2, 9} {
		if diff := cmp.Diff(want, list(MessageQuery{AccountID: "acme", BoxID: "box", Limit: limit})); diff != "" {
			t.Errorf("by %d:\n%s", limit, diff)
		}
		if diff := cmp.Diff(reverse, list(MessageQuery{AccountID: "acme", BoxID: "box", Limit: limit, Ascending: true})); diff != "" {
			t.Errorf("ascending by %d:\n%s", limit, diff)
		}
	}
	if diff := cmp.Diff(saved, list(MessageQuery{AccountID: "acme", Folders: []string{FolderSaved}})); diff != "" {
		t.Error(diff)
	}
	if got := list(MessageQuery{AccountID: "acme", Folders: []string{FolderSaved, FolderDeleted}}); len(got) != 2 {
		t.Error(got)
	}
	_, _, err := s.Messages(t.Context(), MessageQuery{AccountID: "acme", After: []byte("x")})
	wantKind(t, err, bugle.KindInvalid)
	counts, err := s.CountMessages(t.Context(), "acme", []string{"box", "two", "none"})
	if diff := cmp.Diff(map[string]map[string]int{"box": {FolderNew: 8, FolderSaved: 1}, "two": {FolderDeleted: 1}}, counts); err != nil || diff != "" {
		t.Error(err, diff)
	}
	for sum, known := range map[string]bool{"sum0": true, "sum9": true, "sum3": false} {
		if got, err := s.MessageBlob(t.Context(), "acme", sum); err != nil || got != known {
			t.Errorf("%s: %t, %v", sum, got, err)
		}
		if got, err := s.MessageBlob(t.Context(), "beta", sum); err != nil || got {
			t.Errorf("%s of another account: %t, %v", sum, got, err)
		}
	}
	if changes, err := s.Changes(t.Context(), 0, 0); err != nil || len(changes) != 0 {
		t.Errorf("messages are in the change log: %v, %v", changes, err)
	}
	if n, err := s.SweepMessages(t.Context(), now); err != nil || n != 0 {
		t.Errorf("%d removed, %v", n, err)
	}
	if n, err := s.SweepMessages(t.Context(), now.Add(time.Second)); err != nil || n != 1 {
		t.Errorf("%d removed, %v", n, err)
	}
	if got := list(MessageQuery{AccountID: "acme"}); len(got) != 9 {
		t.Errorf("left: %v", got)
	}
}

func exerciseMessageChanges(t *testing.T, o opener) {
	s := o.open(t, Options{})
	put(t, s, user("u1", "Ann"), "")
	for _, box := range []string{"one", "two"} {
		for i := range 3 {
			if err := s.SaveMessage(t.Context(), MessageRow{ID: fmt.Sprint(box, i), AccountID: "acme", BoxID: box, Folder: FolderNew}); err != nil {
				t.Fatal(err)
			}
		}
	}
	// An error leaves everything as it was.
	boom := errors.New("boom")
	if err := s.Write(t.Context(), func(tx *Tx) error {
		if err := tx.RemoveMessages("acme", ""); err != nil {
			return err
		}
		return boom
	}); err != boom {
		t.Fatal(err)
	}
	// Many who change one message at once lose no change.
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := s.Write(t.Context(), func(tx *Tx) error {
				m, err := tx.GetMessage("acme", "one0")
				if err != nil {
					return err
				}
				m.Size++
				copied := m
				copied.ID = bugle.NewID()
				return tx.PutMessages(m, copied)
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if m, err := s.GetMessage(t.Context(), "acme", "one0"); err != nil || m.Size != 20 {
		t.Errorf("%d of 20 changes, %v", m.Size, err)
	}
	if err := s.Write(t.Context(), func(tx *Tx) error {
		_, err := tx.GetMessage("beta", "one0")
		wantKind(t, err, bugle.KindNotFound)
		if err := tx.RemoveMessage("beta", "one0"); err != nil {
			return err
		}
		if err := tx.RemoveMessage("acme", "two0"); err != nil {
			return err
		}
		return tx.RemoveMessages("acme", "one")
	}); err != nil {
		t.Fatal(err)
	}
	counts, err := s.CountMessages(t.Context(), "acme", []string{"one", "two"})
	if diff := cmp.Diff(map[string]map[string]int{"two": {FolderNew: 2}}, counts); err != nil || diff != "" {
		t.Error(err, diff)
	}
}
