package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bugle"
)

func write(t *testing.T, s *Store, fn func(tx *Tx) error) {
	t.Helper()
	if err := s.Write(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

func exerciseContacts(t *testing.T, o opener) {
	s := o.open(t, Options{})
	all := map[string]ContactRow{}
	write(t, s, func(tx *Tx) error {
		var rows []ContactRow
		for i := range 137 {
			c := ContactRow{AccountID: "acme", ID: fmt.Sprintf("c%03d", i), NumericID: int64(5_000_000_000 + i), Type: "User",
				SortKey: []byte{byte(i / 3), 0, 255}, Search: fmt.Sprintf("zoë %%\nn%d\n", i), Body: fmt.Appendf(nil, `{"n":%d}`, i)}
			if i%10 == 0 {
				c.Type, c.SiteID, c.SortKey = "IvrMenu", "north", nil
			}
			rows = append(rows, c)
			all[c.ID] = c
		}
		if err := tx.PutContacts(rows...); err != nil {
			return err
		}
		return tx.PutContacts(rows...) // again
	})
	write(t, s, func(tx *Tx) error {
		got, err := tx.Contacts("acme", []string{"c000", "c136", "c010", "none", "c010"})
		for id, c := range got {
			if len(c.SortKey) == 0 { // none and empty are the same
				c.SortKey = nil
			}
			got[id] = c
		}
		if diff := cmp.Diff(map[string]ContactRow{"c000": all["c000"], "c136": all["c136"], "c010": all["c010"]}, got); diff != "" {
			t.Error(diff)
		}
		return err
	})
	north, main := "north", ""
	for want, q := range map[int]ContactQuery{137: {}, 14: {Types: []string{"IvrMenu", "x"}}, 123: {SiteID: &main}, 0: {SiteID: &north, Types: []string{"User"}},
		12: {Search: []string{"n10", "nothing", "n7\n"}}, 136: {Search: []string{"ë %"}, Skip: 1}} {
		q.AccountID = "acme"
		n, err := s.CountContacts(t.Context(), q)
		if err != nil || n-q.Skip != want {
			t.Errorf("%+v: %d, %v", q, n, err)
		}
		for _, q.Limit = range []int{10, 137, 1000} {
			var got []string
			skip := q.Skip
			for {
				list, next, err := s.ListContacts(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				for _, c := range list {
					got = append(got, fmt.Sprintf("%x/%s", c.SortKey, c.ID))
				}
				if q.After, q.Skip = next, 0; next == nil {
					break
				}
			}
			if q.Skip = skip; len(got) != want || !slices.IsSorted(got) {
				t.Errorf("%+v: %d, sorted %t", q, len(got), slices.IsSorted(got))
			}
		}
	}
	if n, err := s.CountContacts(t.Context(), ContactQuery{AccountID: "acme", Search: []string{"%", "_"}}); n != 137 || err != nil {
		t.Error(n, err)
	}
	if n, err := s.CountContacts(t.Context(), ContactQuery{AccountID: "acme", Search: []string{"_", "!"}}); n != 0 || err != nil {
		t.Error(n, err)
	}
	_, _, err := s.ListContacts(t.Context(), ContactQuery{AccountID: "acme", After: []byte("?"), Limit: 1})
	wantKind(t, err, bugle.KindInvalid)
	for _, id := range []string{"c007", "5000000007"} {
		if c, err := s.GetContact(t.Context(), "acme", id); err != nil || c.ID != "c007" {
			t.Error(id, c, err)
		}
		_, err := s.GetContact(t.Context(), "beta", id)
		wantKind(t, err, bugle.KindNotFound)
	}
	write(t, s, func(tx *Tx) error {
		return errors.Join(tx.RemoveContact("acme", "c007"), tx.RemoveContact("acme", "none"))
	})
	_, err = s.GetContact(t.Context(), "acme", "c007")
	wantKind(t, err, bugle.KindNotFound)
}

func exerciseFacts(t *testing.T, o opener) {
	s := o.open(t, Options{})
	row := func(id string, refs ...string) FactsRow {
		return FactsRow{AccountID: "acme", DocumentID: id, Type: "user", Facts: []byte(`{"id": "` + id + `"}`), Refs: refs}
	}
	var many []FactsRow
	for i := range 300 {
		many = append(many, row(fmt.Sprintf("m%03d", i), "site"))
	}
	write(t, s, func(tx *Tx) error {
		return errors.Join(tx.PutFacts(row("a", "x", "y"), row("b", "x")), tx.PutFacts(many...), tx.PutFacts(row("a", "x", "z")))
	})
	write(t, s, func(tx *Tx) error {
		found, err := tx.Referrers("acme", []string{"x", "z", "none"})
		if err != nil {
			return err
		}
		for i := range found["x"] {
			found["x"][i].Refs = nil
		}
		bare := func(id string) FactsRow { r := row(id); r.Refs = nil; return r }
		if diff := cmp.Diff(map[string][]FactsRow{"x": {bare("a"), bare("b")}, "z": {bare("a")}}, found); diff != "" {
			t.Error(diff)
		}
		var walked []string
		for after := ""; ; after = walked[len(walked)-1] {
			ids, err := tx.ReferrerIDs("acme", "site", after, 99)
			if err != nil || len(ids) == 0 {
				break
			}
			walked = append(walked, ids...)
		}
		if len(walked) != 300 || !slices.IsSorted(walked) {
			t.Errorf("%d: %q", len(walked), walked)
		}
		known, err := tx.Facts("acme", walked)
		if len(known) != 300 || string(known["m007"].Facts) != `{"id": "m007"}` {
			t.Error(len(known), known["m007"])
		}
		if other, err := tx.Facts("beta", []string{"a"}); len(other) > 0 || err != nil {
			t.Error(other, err)
		}
		page, err2 := tx.FactsPage("acme", "a", 2)
		if len(page) != 2 || page[0].DocumentID != "b" || page[1].DocumentID != "m000" {
			t.Error(page)
		}
		return errors.Join(err, err2, tx.RemoveRefs("acme", "a", []string{"x", "nothing"}), tx.RemoveFacts("acme", "b"))
	})
	write(t, s, func(tx *Tx) error {
		found, err := tx.Referrers("acme", []string{"x", "y"})
		if len(found["x"]) != 0 || len(found["y"]) != 1 {
			t.Error(found)
		}
		return errors.Join(err, tx.ForgetFacts())
	})
	write(t, s, func(tx *Tx) error {
		page, err := tx.FactsPage("", "", 10)
		if len(page) > 0 {
			t.Error(page)
		}
		return err
	})
}

func exerciseNumericIDs(t *testing.T, o opener) {
	s := o.open(t, Options{})
	var mu sync.Mutex
	given := map[string]map[int64]bool{}
	var asking sync.WaitGroup
	for w := range 4 {
		asking.Go(func() {
			for i := range 10 {
				ids := []string{fmt.Sprint("d", i), fmt.Sprint("d", i+1), fmt.Sprint("d", i), fmt.Sprint("own", w, i)}
				if err := s.Write(t.Context(), func(tx *Tx) error {
					got, err := tx.NumericIDs("acme", "contact", ids)
					mu.Lock()
					defer mu.Unlock()
					for _, id := range ids {
						if n := got[id]; n < smallestNumericID || n > largestNumericID {
							t.Errorf("%s has %d", id, n)
						} else if given[id] == nil {
							given[id] = map[int64]bool{n: true}
						} else {
							given[id][n] = true
						}
					}
					return err
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	asking.Wait()
	seen := map[int64]bool{}
	for id, ns := range given {
		for n := range ns {
			account, document, err := s.DocumentOf(t.Context(), "contact", n)
			if len(ns) != 1 || seen[n] || err != nil || account != "acme" || document != id {
				t.Errorf("%s has %v; %d is of %s %s, %v", id, ns, n, account, document, err)
			}
			seen[n] = true
			if again, err := s.NumericID(t.Context(), "acme", "contact", id); again != n || err != nil {
				t.Errorf("%s has %d, then %d, %v", id, n, again, err)
			}
			_, _, err = s.DocumentOf(t.Context(), "site", n)
			wantKind(t, err, bugle.KindNotFound)
		}
	}
	if len(seen) != 51 {
		t.Errorf("%d ids", len(seen))
	}
	a, err := s.NumericID(t.Context(), "acme", "site", "d1")
	b, err2 := s.NumericID(t.Context(), "beta", "contact", "d1")
	if a == b || seen[a] || seen[b] || err != nil || err2 != nil {
		t.Error(a, b, err, err2)
	}
}

func exerciseDirectoryEvents(t *testing.T, o opener) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	s := o.open(t, Options{Now: func() time.Time { return now }})
	nudge, stop := s.SubscribeDirectories()
	defer stop()
	if err := s.DirectoryReady(t.Context()); !errors.Is(err, ErrDirectoryNotReady) || bugle.KindOf(err) != bugle.KindUnavailable {
		t.Error(err)
	}
	add := func(n int) func(tx *Tx) error {
		return func(tx *Tx) error {
			p, err := tx.Projection() // one at a time
			if err != nil {
				return err
			}
			p.Position++
			events := make([]DirectoryEventRow, n)
			for i := range events {
				events[i] = DirectoryEventRow{Position: p.Position, At: now, Kind: "Update", ContactID: "c", Body: []byte(`{"a": 1}`),
					Changed: []string{"name", "site"}, Previous: []byte(`{}`)}
			}
			p.State, p.Step, p.Until = ProjectionReady, "s", now
			return errors.Join(tx.AppendDirectoryEvents("acme", true, events), tx.SetProjection(p))
		}
	}
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for i := range 10 {
				if err := s.Write(t.Context(), add(i%3)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	select {
	case <-nudge:
	default:
		t.Error("no nudge after events")
	}
	p, err := s.Projection(t.Context())
	if diff := cmp.Diff(Projection{Position: 40, State: ProjectionReady, Step: "s", Until: now}, p); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if err := s.DirectoryReady(t.Context()); err != nil {
		t.Error(err)
	}
	last, swept, revision, err := s.DirectoryState(t.Context(), "acme")
	if last != 36 || swept != 0 || revision != 40 || err != nil {
		t.Error(last, swept, revision, err)
	}
	var all []DirectoryEventRow
	for {
		list, err := s.DirectoryEvents(t.Context(), "acme", int64(len(all)), 7)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		all = append(all, list...)
	}
	for i, e := range all {
		if e.Sequence != int64(i+1) || i > 0 && e.Position < all[i-1].Position || !e.At.Equal(now) || len(e.Changed) != 2 || string(e.Body) != `{"a": 1}` {
			t.Errorf("%d: %+v", i, e)
		}
	}
	if list, err := s.DirectoryEvents(t.Context(), "beta", 0, 7); len(all) != 36 || len(list) > 0 || err != nil {
		t.Error(len(all), list, err)
	}
	now = now.Add(time.Hour)
	write(t, s, add(2))
	if n, err := s.SweepDirectoryEvents(t.Context(), now); n != 36 || err != nil {
		t.Error(n, err)
	}
	for after, gone := range map[int64]bool{-1: true, 0: true, 35: true, 36: false, 38: false, 39: true} {
		if _, err := s.DirectoryEvents(t.Context(), "acme", after, 7); errors.Is(err, ErrSwept) != gone {
			t.Errorf("after %d: %v", after, err)
		}
	}
	if n, err := s.SweepDirectoryEvents(t.Context(), now); n != 0 || err != nil {
		t.Error(n, err)
	}
	if changes, err := s.Changes(t.Context(), 0, 0); err != nil || len(changes) != 0 {
		t.Errorf("contacts are in the change log: %v, %v", changes, err)
	}
}
