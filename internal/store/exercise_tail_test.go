package store

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bugle"
)

// settled returns when a store listens to others, of whom it has to think at first that they have written.
func settled(t *testing.T, s *Store) {
	t.Helper()
	if s.announce == nil {
		return
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		s.tail.mu.Lock()
		listens := !s.tail.silent.IsZero()
		s.tail.silent = time.Time{}
		s.tail.mu.Unlock()
		if listens {
			return
		}
	}
	t.Fatal("the store does not listen")
}

// exerciseTail: what is told from memory is what the log says, or nothing.
func exerciseTail(t *testing.T, o opener) {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	s := o.open(t, Options{Now: func() time.Time { return at }})
	settled(t, s)
	write := func(f func(tx *Tx) error) {
		t.Helper()
		if err := s.Write(WithActor(t.Context(), bugle.Actor{AccountID: "acme", UserID: "ann"}), f); err != nil {
			t.Fatal(err)
		}
	}
	tail := func(after int64, limit, want int, wantAll bool) []bugle.Change {
		t.Helper()
		list, all := s.Tail(after, limit)
		if len(list) != want || all != wantAll {
			t.Errorf("after %d: %d changes, all %v; want %d, %v", after, len(list), all, want, wantAll)
		}
		return list
	}
	tail(0, 1000, 0, false) // nothing is known of the log
	a, b := user("u1", "Ann"), user("u2", "Bob")
	write(func(tx *Tx) error { return tx.Put(&a, "") })
	write(func(tx *Tx) error {
		if err := tx.Put(&b, ""); err != nil {
			return err
		}
		a.Body = json.RawMessage(`{"mine":1}`)
		return tx.Put(&a, a.Rev)
	})
	copy(a.Body, `{"your`) // who gave it may write over it
	write(func(tx *Tx) error { _, err := tx.Delete("acme", "user", "u2", AnyRev, false); return err })
	write(func(tx *Tx) error { return tx.Put(&b, AnyRev) })
	put(t, s, user("u3", "Cid"), "")
	const last = 6
	log, err := s.Changes(t.Context(), 0, 1000)
	if err != nil || len(log) != last {
		t.Fatal(len(log), err)
	}
	if diff := cmp.Diff(log, tail(0, 1000, last, true)); diff != "" {
		t.Errorf("from memory (-log +memory):\n%s", diff)
	}
	tail(2, 2, 2, false)
	tail(2, 4, 4, true)
	tail(last, 10, 0, true)

	big := user("big", "Big")
	big.Body = json.RawMessage(`{"name":"` + strings.Repeat("x", tailBytes) + `"}`)
	put(t, s, big, "")
	put(t, s, user("u4", "Dan"), "")
	tail(last-1, 10, 1, false) // the big one is to be read from the log
	tail(last, 10, 0, false)
	tail(last+1, 10, 1, true)
	s.nudge() // another process has committed
	tail(last+1, 10, 0, false)
	s.tail.mu.Lock()
	s.tail.silent = time.Time{} // later
	s.tail.mu.Unlock()
	tail(last+1, 10, 1, true)

	for range tailLength {
		a = put(t, s, a, a.Rev)
	}
	tail(last+1, 10, 0, false)
	tail(last+2, 1000, tailLength, true)
	at = at.Add(DefaultRetention + time.Hour)
	if n, err := s.Sweep(t.Context()); err != nil || n != last+2+tailLength {
		t.Fatal(n, err)
	}
	tail(last+2, 1000, 0, false) // Changes has to tell that they are gone
}

// exerciseDirectoryNudges: a change of a document wakes nobody who looks for events of directories, and the other way round.
func exerciseDirectoryNudges(t *testing.T, o opener) {
	s := o.open(t, Options{})
	settled(t, s)
	documents, stop := s.Subscribe()
	defer stop()
	events, stop2 := s.SubscribeDirectories()
	defer stop2()
	nudged := func(c <-chan struct{}) bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
	put(t, s, user("u1", "Ann"), "")
	if d, e := nudged(documents), nudged(events); !d || e {
		t.Errorf("a document: %v, %v", d, e)
	}
	if err := s.Write(t.Context(), func(tx *Tx) error {
		return tx.AppendDirectoryEvents("acme", true, []DirectoryEventRow{{Position: 1, At: time.Now(), Kind: "Create", ContactID: "u1", Body: []byte("{}")}})
	}); err != nil {
		t.Fatal(err)
	}
	if d, e := nudged(documents), nudged(events); d || !e {
		t.Errorf("an event: %v, %v", d, e)
	}
	s.nudge()
	if d, e := nudged(documents), nudged(events); !d || !e {
		t.Errorf("another process: %v, %v", d, e)
	}
}
