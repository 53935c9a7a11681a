package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bugle"
)

func exerciseIndex(t *testing.T, o opener) {
	s := o.open(t, Options{})
	owner := func(v string) Query { return Query{AccountID: "acme", Type: "user", Index: &Index{"owner_id", v}} }
	want := func(q Query, want ...string) {
		t.Helper()
		docs, next, err := s.List(t.Context(), q)
		if err != nil || next != nil || cmp.Diff(append([]string{}, want...), ids(docs)) != "" {
			t.Errorf("list of %+v: %v, %v, want %v", *q.Index, ids(docs), err, want)
		}
		if n, err := s.Count(t.Context(), q); err != nil || n != len(want) {
			t.Errorf("count of %+v: %d, %v", *q.Index, n, err)
		}
	}
	var docs []Document
	for i, name := range []string{"Cay", "Ann", "Bea"} {
		d := user(fmt.Sprint("u", i), name)
		d.Index = []Index{{"owner_id", "x"}, {"directory", "d1"}}
		docs = append(docs, put(t, s, d, ""))
	}
	foreign := docs[0]
	foreign.AccountID, foreign.ID = "other", "u9"
	put(t, s, foreign, "")
	device := docs[0]
	device.Type, device.ID = "device", "d9"
	put(t, s, device, "")
	want(owner("x"), "u1", "u2", "u0")
	want(owner("y"))
	want(Query{Type: "user", Index: &Index{"owner_id", "x"}}, "u1", "u2", "u0", "u9")
	docs[1].Index = []Index{{"owner_id", "y"}}
	docs[1] = put(t, s, docs[1], docs[1].Rev)
	want(owner("x"), "u2", "u0")
	want(owner("y"), "u1")
	docs[0].SortKey = []byte("Abe") // moves to the front of its lists
	docs[0] = put(t, s, docs[0], docs[0].Rev)
	want(owner("x"), "u0", "u2")
	want(Query{AccountID: "acme", Type: "user", Index: &Index{"directory", "d1"}}, "u0", "u2")
	docs[0].SortKey, docs[0].Index = []byte("Zed"), []Index{{"owner_id", "y"}} // both at once
	docs[0] = put(t, s, docs[0], docs[0].Rev)
	want(owner("x"), "u2")
	want(owner("y"), "u1", "u0")
	remove(t, s, docs[0], false)
	remove(t, s, docs[1], true)
	want(owner("y"))
	exerciseNamed(t, s)
}

// exerciseNamed: documents are found by their ids.
func exerciseNamed(t *testing.T, s *Store) {
	var wanted, all []string
	for i := range 150 { // more than one query's worth
		d := user(fmt.Sprintf("n%03d", i), "Ann")
		switch i % 5 {
		case 0:
			d.AccountID = "other"
		case 1:
			d.Type = "device"
		}
		all = append(all, d.ID)
		stored := put(t, s, d, "")
		if i%5 == 2 {
			remove(t, s, stored, false)
		} else if d.AccountID == "acme" {
			wanted = append(wanted, d.ID)
		}
	}
	docs, err := s.Named(t.Context(), "acme", append(all, "nobody"))
	got := ids(docs)
	slices.Sort(got)
	if err != nil || cmp.Diff(wanted, got) != "" {
		t.Errorf("%v, %v, want %v", got, err, wanted)
	}
	if docs, err := s.Named(t.Context(), "acme", nil); err != nil || len(docs) != 0 {
		t.Error(docs, err)
	}
}

// pages reads a whole list and returns the ids in order.
func pages(t *testing.T, s *Store, q Query) []string {
	t.Helper()
	var out []string
	for {
		docs, next, err := s.List(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		if len(docs) > q.limit() || next != nil && len(docs) < q.limit() {
			t.Fatalf("a page of %d, limit %d, next %q", len(docs), q.Limit, next)
		}
		if strings.ContainsFunc(string(next), func(r rune) bool { return r <= ' ' || strings.ContainsRune(`+/=&?#%"`, r) || r > '~' }) {
			t.Fatalf("cursor %q does not fit in a URL", next)
		}
		if next != nil && string(docs[len(docs)-1].Place()) != string(next) {
			t.Fatalf("the place of the last document is not where the next page begins")
		}
		if out = append(out, ids(docs)...); len(out) > 100000 {
			t.Fatal("the pages have no end")
		}
		if next == nil {
			return out
		}
		q.After = next
	}
}

func exercisePages(t *testing.T, o opener) {
	s := o.open(t, Options{})
	type place struct{ key, id string }
	var places []place
	if err := s.Write(t.Context(), func(tx *Tx) error {
		places = nil
		for i := range 137 {
			// Few sort keys, one of them a prefix of another, one empty: the id has to decide.
			key := []string{"", "a", "a\x00", "ab", "\xff"}[i%5]
			d := Document{AccountID: []string{"acme", "other"}[i%2], Type: "user", ID: fmt.Sprintf("u%03d", 500-i),
				Body: json.RawMessage(`{}`), SortKey: []byte(key), Index: []Index{{"all", "1"}}}
			if err := tx.Put(&d, ""); err != nil {
				return err
			}
			places = append(places, place{key, d.ID})
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(places, func(a, b place) int {
		if c := strings.Compare(a.key, b.key); c != 0 {
			return c
		}
		return strings.Compare(a.id, b.id)
	})
	var want []string
	for _, p := range places {
		want = append(want, p.id)
	}
	backward := slices.Clone(want)
	slices.Reverse(backward)
	for _, limit := range []int{1, 7, 50, 136, 137, 138, 1000, 5000} {
		for _, index := range []*Index{nil, {"all", "1"}} {
			if diff := cmp.Diff(want, pages(t, s, Query{Type: "user", Index: index, Limit: limit})); diff != "" {
				t.Errorf("ascending by %d, index %v:\n%s", limit, index, diff)
			}
			if diff := cmp.Diff(backward, pages(t, s, Query{Type: "user", Index: index, Limit: limit, Descending: true})); diff != "" {
				t.Errorf("descending by %d, index %v:\n%s", limit, index, diff)
			}
			if n := len(pages(t, s, Query{AccountID: "acme", Type: "user", Index: index, Limit: limit})); n != 69 {
				t.Errorf("%d documents of one account, want 69", n)
			}
		}
	}
}

func exercisePagesMoving(t *testing.T, o opener) {
	s := o.open(t, Options{})
	var fixed []string
	if err := s.Write(t.Context(), func(tx *Tx) error {
		fixed = nil
		for i := range 200 {
			d := user(fmt.Sprintf("fixed%03d", i), fmt.Sprintf("name %03d", i))
			d.Index = []Index{{"all", "1"}}
			fixed = append(fixed, d.ID)
			if err := tx.Put(&d, ""); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		random := rand.New(rand.NewPCG(1, 2))
		for i := 0; ; i++ {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			d := user(fmt.Sprintf("new%d", i), fmt.Sprintf("name %03d", random.IntN(200)))
			d.Index = []Index{{"all", "1"}}
			err := s.Write(context.Background(), func(tx *Tx) error {
				if i >= 20 && i%2 == 0 {
					if _, err := tx.Delete("acme", "user", fmt.Sprintf("new%d", i-20), "", true); err != nil {
						return err
					}
				}
				return tx.Put(&d, "")
			})
			if err != nil {
				stopped <- err
				return
			}
		}
	}()
	for round := range 12 {
		q := Query{AccountID: "acme", Type: "user", Limit: 9, Descending: round%2 == 1}
		if round%4 > 1 {
			q.Index = &Index{"all", "1"}
		}
		seen := map[string]bool{}
		var got []string
		for _, id := range pages(t, s, q) {
			if seen[id] {
				t.Errorf("%s is repeated", id)
			}
			seen[id] = true
			if strings.HasPrefix(id, "fixed") {
				got = append(got, id)
			}
		}
		if q.Descending {
			slices.Reverse(got)
		}
		if diff := cmp.Diff(fixed, got); diff != "" {
			t.Errorf("what was there all the time (-want +got):\n%s", diff)
		}
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func exerciseKeyBegins(t *testing.T, o opener) {
	s := o.open(t, Options{})
	d := user("u1", "Ann")
	d.Keys = []Key{{"number", "acme", "1001"}, {"number", "acme", "+49"}, {"number", "other", "2001"}, {"pattern", "acme", "3001"},
		{"number", "acme", "9\U0010FFFE"}}
	put(t, s, d, "")
	for prefix, want := range map[string]bool{"": true, "1": true, "100": true, "1001": false, "10010": false, "101": false, "0": false,
		"2": false, "3": false, "+": true, "9": true, "99": false} {
		if got, err := s.KeyBegins(t.Context(), "number", "acme", prefix); err != nil || got != want {
			t.Errorf("something begins with %q: %v, %v", prefix, got, err)
		}
	}
}

func exerciseCursor(t *testing.T, o opener) {
	s := o.open(t, Options{})
	put(t, s, user("u1", "Ann"), "")
	for _, cursor := range []string{"", "x", "g20AAAA", "AQ", "Af8", "AgFhYg", "../../", "AQD_", strings.Repeat("A", 5000)} {
		_, _, err := s.List(t.Context(), Query{AccountID: "acme", Type: "user", After: []byte(cursor)})
		wantKind(t, err, bugle.KindInvalid)
		_, _, err = s.Calls(t.Context(), CallQuery{AccountID: "acme", After: []byte(cursor)})
		wantKind(t, err, bugle.KindInvalid)
	}
}

func exercisePlain(t *testing.T, o opener) {
	s := o.open(t, Options{})
	for i := range 5 {
		d := user(fmt.Sprint("u", i), fmt.Sprint("n", i%2))
		d.Private, d.Keys, d.Index = json.RawMessage(`{"p":1}`), []Key{{"number", "acme", fmt.Sprint(i)}}, []Index{{"all", "1"}}
		put(t, s, d, "")
	}
	dead, err := s.Get(t.Context(), "acme", "user", "u0")
	if err != nil {
		t.Fatal(err)
	}
	remove(t, s, dead, false)
	ann, err := s.Get(t.Context(), "acme", "user", "u1")
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []Query{{AccountID: "acme"}, {AccountID: "acme", Limit: 2}, {AccountID: "acme", Descending: true}, {AccountID: "acme", Deleted: true},
		{AccountID: "acme", Index: &Index{"all", "1"}}, {}} {
		q.Type = "user"
		want, next, err := s.List(t.Context(), q)
		if err != nil || len(want) == 0 {
			t.Fatal(len(want), err)
		}
		for i := range want {
			want[i].Private, want[i].Keys, want[i].Index = nil, nil, nil
			if q.AccountID == "" {
				want[i].AccountID = ""
			}
		}
		q.Plain = true
		for _, rev := range [...]string{"", ann.Rev, "1-other"} {
			ctx := t.Context()
			if rev != "" {
				ctx = WithPremises(ctx, &Premises{})
				Assume(ctx, ann.ID, rev)
			}
			got, after, err := s.List(ctx, q)
			if rev == "1-other" {
				if !errors.Is(err, ErrOutdated) {
					t.Errorf("%+v under a premise that does not hold: %v", q, err)
				}
				continue
			}
			if diff := cmp.Diff(want, got); diff != "" || err != nil || !bytes.Equal(next, after) {
				t.Errorf("%+v: %v, next %q, want %q (-want +got):\n%s", q, err, after, next, diff)
			}
		}
	}
}
