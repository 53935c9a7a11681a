package event_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"

	"bugle/internal/directory"
	"bugle/internal/event"
	"bugle/internal/store"
)

// TestDirectoriesFollowTheLog walks one member through everything that may change what a caller finds.
func TestDirectoriesFollowTheLog(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, err := store.OpenSQLite(ctx, filepath.Join(t.TempDir(), "bugle.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	put := func(typ, id string, body map[string]any) {
		t.Helper()
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Write(ctx, func(tx *store.Tx) error {
			return tx.Put(&store.Document{AccountID: "a", Type: typ, ID: id, Body: text}, store.AnyRev)
		}); err != nil {
			t.Fatal(err)
		}
	}
	type object = map[string]any
	put("directory", "d1", object{"name": "One"})
	put("callflow", "f1", object{"numbers": []string{"+14155550100", "1002"}})
	put("user", "u1", object{"first_name": "Ann", "last_name": "Lee", "directories": object{"d1": "f1"}})
	put("device", "v1", object{"name": "Lobby", "directories": object{"d1": "f2"}})

	d := event.NewDirectories(s, slog.New(slog.DiscardHandler), nil)
	at, err := d.Load(ctx)
	if err != nil {
		t.Fatal(err)
	}
	f := event.Follow(event.Options{Log: s, After: at, Handle: d.Apply})
	defer f.Close()
	found := func(directoryID string) []directory.Person {
		t.Helper()
		now, err := s.Position(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Wait(context.WithoutCancel(ctx), now); err != nil {
			t.Fatal(err)
		}
		snapshot, ok := d.Snapshot("a", directoryID)
		if !ok {
			return nil
		}
		return slices.Collect(snapshot.All())
	}
	want := func(step, directoryID string, people ...string) {
		t.Helper()
		var got []string
		for _, p := range found(directoryID) {
			got = append(got, p.DisplayName()+"/"+p.Extension+"/"+p.CallflowID)
		}
		slices.Sort(got)
		slices.Sort(people)
		if !slices.Equal(got, people) {
			t.Fatalf("%s: directory %s has %q, want %q", step, directoryID, got, people)
		}
	}
	want("loaded", "d1", "Ann Lee/1002/f1", "Lobby//f2")
	if _, ok := d.Snapshot("b", "d1"); ok {
		t.Fatal("another account sees the directory")
	}
	put("callflow", "f2", object{"numbers": []string{"77", "7"}})
	want("a callflow got numbers", "d1", "Ann Lee/1002/f1", "Lobby/7/f2")
	put("user", "u1", object{"first_name": "Anna", "last_name": "Lee", "directories": object{"d1": "f2", "d2": "f1"}})
	want("renamed and moved", "d1", "Anna Lee/7/f2", "Lobby/7/f2")
	want("no such directory yet", "d2")
	put("directory", "d2", object{"name": "Two"})
	want("a directory created after its member", "d2", "Anna Lee/1002/f1")
	put("callflow", "f1", object{"numbers": []string{"1003"}})
	want("renumbered", "d2", "Anna Lee/1003/f1")
	put("user", "u1", object{"first_name": "Anna", "enabled": false, "directories": object{"d1": "f2"}})
	want("disabled", "d1", "Lobby/7/f2")
	want("left", "d2")
	put("user", "u1", object{"first_name": "Anna", "directories": object{"d1": "f2"}})
	want("enabled", "d1", "Anna/7/f2", "Lobby/7/f2")
	if err := s.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.Delete("a", "user", "u1", store.AnyRev, false)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	want("deleted", "d1", "Lobby/7/f2")
	if err := s.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.Delete("a", "directory", "d1", store.AnyRev, false)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	now, _ := s.Position(ctx)
	if err := f.Wait(ctx, now); err != nil {
		t.Fatal(err)
	}
	if _, ok := d.Snapshot("a", "d1"); ok {
		t.Fatal("a deleted directory is still there")
	}
}
