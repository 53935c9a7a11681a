package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bugle"
)

func exerciseChanges(t *testing.T, o opener) {
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	s := o.open(t, Options{Now: func() time.Time { return at }})
	nudge, stop := s.Subscribe()
	defer stop()
	v1, v2, v3 := json.RawMessage(`{"v":1}`), json.RawMessage(`{"v": 2}`), json.RawMessage(`{"v":3}`)
	d := Document{AccountID: "acme", Type: "user", ID: "u1", Body: v1}
	var revs []string
	step := func(body json.RawMessage, ifRev string) {
		d.Body = body
		d = put(t, s, d, ifRev)
		revs = append(revs, d.Rev)
		select {
		case <-nudge:
		default:
			t.Error("no nudge when Write returned")
		}
	}
	drop := func(hard bool) {
		dead, err := s.GetAny(t.Context(), "acme", "user", "u1")
		if err != nil {
			t.Fatal(err)
		}
		remove(t, s, dead, hard)
		changes, err := s.AccountChanges(t.Context(), "acme", int64(len(revs)), 1)
		if err != nil || len(changes) != 1 {
			t.Fatal(changes, err)
		}
		revs = append(revs, changes[0].Rev)
		d.Rev = changes[0].Rev
	}
	step(v1, "")
	step(v2, d.Rev)
	drop(false)
	step(v3, d.Rev) // brought back
	drop(false)
	drop(true) // what was soft-deleted
	step(v1, "")
	drop(true)
	want := []bugle.Change{
		{Kind: bugle.Created, After: v1},
		{Kind: bugle.Edited, Before: v1, After: v2},
		{Kind: bugle.Deleted, Before: v2},
		{Kind: bugle.Created, After: v3, BeforeDead: true},
		{Kind: bugle.Deleted, Before: v3},
		{Kind: bugle.Deleted, BeforeDead: true},
		{Kind: bugle.Created, After: v1},
		{Kind: bugle.Deleted, Before: v1},
	}
	for i := range want {
		c := &want[i]
		c.Position, c.Sequence, c.AccountID, c.Type, c.ID, c.At, c.Rev = int64(i+1), int64(i+1), "acme", "user", "u1", at, revs[i]
	}
	all, err := s.Changes(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("the log (-want +got):\n%s", diff)
	}
	own, err := s.AccountChanges(t.Context(), "acme", 3, 2)
	if err != nil || cmp.Diff(want[3:5], own) != "" {
		t.Errorf("account changes after 3: %v, %v", own, err)
	}
	if own, err := s.AccountChanges(t.Context(), "nobody", 0, 2); err != nil || len(own) != 0 {
		t.Errorf("changes of nobody: %v, %v", own, err)
	}
	if n, err := s.Position(t.Context()); err != nil || n != 8 {
		t.Errorf("position is %d, %v", n, err)
	}
}

func exerciseSequence(t *testing.T, o opener) {
	s := o.open(t, Options{})
	const writers, writes = 6, 40
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range writes {
				_ = s.Write(t.Context(), func(tx *Tx) error {
					for j := range 1 + i%3 { // several changes, of two accounts, in one transaction
						d := Document{AccountID: fmt.Sprint("account", (w+i+j)%4), Type: "user",
							ID: fmt.Sprintf("%d-%d-%d", w, i, j), Body: json.RawMessage(`{}`)}
						if err := tx.Put(&d, ""); err != nil {
							t.Error(err)
						}
					}
					if i%5 == 0 {
						return errors.New("and back")
					}
					return nil
				})
			}
		})
	}
	wg.Wait()
	wantLog(t, s)
	n, err := s.Count(t.Context(), Query{Type: "user"})
	if position, err2 := s.Position(t.Context()); err != nil || err2 != nil || int64(n) != position {
		t.Errorf("%d documents, position %d, %v, %v", n, position, err, err2)
	}
}

// wantLog checks that positions ascend and no account's sequence has a gap, and returns the log.
func wantLog(t *testing.T, s *Store) []bugle.Change {
	t.Helper()
	var log []bugle.Change
	last, sequences := int64(0), map[string]int64{}
	for {
		changes, err := s.Changes(context.Background(), last, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(changes) == 0 {
			return log
		}
		for _, c := range changes {
			if c.Position <= last {
				t.Fatalf("position %d after %d", c.Position, last)
			}
			if c.Sequence != sequences[c.AccountID]+1 {
				t.Fatalf("account %s has %d after %d", c.AccountID, c.Sequence, sequences[c.AccountID])
			}
			last, sequences[c.AccountID] = c.Position, c.Sequence
		}
		log = append(log, changes...)
	}
}

func exerciseFollow(t *testing.T, o opener) {
	s := o.open(t, Options{})
	const writers, writes = 4, 60
	go func() {
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range writes {
					d := user(fmt.Sprintf("%d-%d", w, i), "x")
					if err := s.Write(t.Context(), func(tx *Tx) error { return tx.Put(&d, "") }); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	}()
	// Reading while they write: a position that shows up behind one that was read would be missed.
	seen, last := 0, int64(0)
	nudge, stop := s.Subscribe()
	defer stop()
	for seen < writers*writes {
		changes, err := s.Changes(t.Context(), last, 7)
		if err != nil {
			t.Fatal(err)
		}
		if len(changes) == 0 {
			select {
			case <-nudge:
			case <-time.After(30 * time.Second):
				t.Fatalf("%d of %d changes seen", seen, writers*writes)
			}
			continue
		}
		seen += len(changes)
		last = changes[len(changes)-1].Position
	}
	wantLog(t, s)
}

func exerciseSweep(t *testing.T, o opener) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	s := o.open(t, Options{Now: func() time.Time { return now }})
	write := func(account string, n int) {
		if err := s.Write(t.Context(), func(tx *Tx) error {
			for range n {
				d := Document{AccountID: account, Type: "user", ID: bugle.NewID(), Body: json.RawMessage(`{}`)}
				if err := tx.Put(&d, ""); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	write("old", 3)
	write("acme", sweepBatch+7)
	now = now.Add(DefaultRetention - time.Hour)
	write("acme", 5)
	if n, err := s.Sweep(t.Context()); n != 0 || err != nil {
		t.Errorf("%d changes within retention were removed, %v", n, err)
	}
	now = now.Add(2 * time.Hour)
	if n, err := s.Sweep(t.Context()); n != sweepBatch+10 || err != nil {
		t.Errorf("%d changes were removed, %v", n, err)
	}
	write("acme", 1)
	total := int64(sweepBatch + 16)
	for _, after := range []int64{0, 3, total - 7} {
		_, err := s.Changes(t.Context(), after, 10)
		wantKind(t, err, bugle.KindNotFound)
		if !errors.Is(err, ErrSwept) {
			t.Errorf("after %d: %v", after, err)
		}
	}
	changes, err := s.Changes(t.Context(), total-6, 10)
	if err != nil || len(changes) != 6 || changes[0].Position != total-5 {
		t.Errorf("what is left: %v, %v", changes, err)
	}
	if _, err := s.AccountChanges(t.Context(), "acme", sweepBatch, 10); !errors.Is(err, ErrSwept) {
		t.Errorf("a reader of the account is not told: %v", err)
	}
	if _, err := s.AccountChanges(t.Context(), "old", 0, 10); !errors.Is(err, ErrSwept) {
		t.Errorf("a reader of an account without changes left is not told: %v", err)
	}
	if own, err := s.AccountChanges(t.Context(), "acme", sweepBatch+7, 10); err != nil || len(own) != 6 {
		t.Errorf("the account's changes that are left: %v, %v", own, err)
	}
	if own, err := s.AccountChanges(t.Context(), "old", 3, 10); err != nil || len(own) != 0 {
		t.Errorf("an account that was quiet: %v, %v", own, err)
	}
	if n, err := s.Count(t.Context(), Query{Type: "user"}); err != nil || int64(n) != total {
		t.Errorf("%d documents, %v", n, err)
	}
}
