package store

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bugle"
)

// exercisePremises: what is assumed is proven by whatever asks next, and by a commit.
func exercisePremises(t *testing.T, o opener) {
	s := o.open(t, Options{})
	ann := put(t, s, user("u1", "Ann"), "")
	for i := range 9 {
		put(t, s, user(fmt.Sprint("v", i), fmt.Sprint("Person ", i)), "")
	}
	gone := put(t, s, user("w1", "Eve"), "")
	if err := s.Write(t.Context(), func(tx *Tx) error {
		_, err := tx.Delete("acme", "user", "w1", gone.Rev, false)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	asks := map[string]func(ctx context.Context) error{
		"nothing else": func(context.Context) error { return nil },
		"a document": func(ctx context.Context) error {
			return sameAs(s.Get(t.Context(), "acme", "user", "v1"))(s.Get(ctx, "acme", "user", "v1"))
		},
		"the same document": func(ctx context.Context) error {
			return sameAs(s.Get(t.Context(), "acme", "user", "u1"))(s.Get(ctx, "acme", "user", "u1"))
		},
		"no document": func(ctx context.Context) error {
			_, err := s.Get(ctx, "acme", "user", "nobody")
			if bugle.KindOf(err) == bugle.KindNotFound {
				return nil
			}
			return err
		},
		"a list":          func(ctx context.Context) error { return sameList(s, ctx, Query{Limit: 5}) },
		"a list backward": func(ctx context.Context) error { return sameList(s, ctx, Query{Limit: 5, Descending: true}) },
		"a whole list":    func(ctx context.Context) error { return sameList(s, ctx, Query{Limit: 100}) },
		"a transaction that reads": func(ctx context.Context) error {
			return s.Write(ctx, func(tx *Tx) error {
				_, err := tx.Get("acme", "user", "v1")
				return err
			})
		},
		"a transaction that only writes": func(ctx context.Context) error {
			d := user("v2", "Somebody else")
			return s.Write(ctx, func(tx *Tx) error { return tx.Put(&d, AnyRev) })
		},
	}
	for what, ask := range asks {
		for name, of := range map[string]struct {
			id, rev string
			many    int
			holds   bool
		}{"that holds": {"u1", ann.Rev, 1, true}, "of another revision": {"u1", "1-other", 1, false},
			"of a document that is deleted": {"w1", gone.Rev, 1, false}, "of no document": {"w2", "1-a", 1, false},
			"of many": {"u1", ann.Rev, 6, true}, "of many that do not hold": {"u1", "1-other", 6, false}} {
			p := &Premises{}
			ctx := WithPremises(t.Context(), p)
			for i := range of.many - 1 {
				d, err := s.Get(t.Context(), "acme", "user", fmt.Sprint("v", i+3))
				if err != nil || !Assume(ctx, d.ID, d.Rev) {
					t.Fatal(err)
				}
			}
			if !Assume(ctx, of.id, of.rev) || Assume(t.Context(), of.id, of.rev) {
				t.Error("premises are taken where there are none, or not where there are")
			}
			if p.Close(); Assume(ctx, of.id, of.rev) {
				t.Error("closed premises take one more")
			}
			before, err := s.Position(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			err = ask(ctx)
			if of.holds && err != nil || !of.holds && err != nil && !errors.Is(err, ErrOutdated) {
				t.Errorf("%s under a premise %s: %v", what, name, err)
			}
			if err := s.Prove(ctx); of.holds != (err == nil) || !of.holds && !errors.Is(err, ErrOutdated) {
				t.Errorf("after %s a premise %s is proven: %v", what, name, err)
			}
			if after, err := s.Position(t.Context()); !of.holds && (after != before || err != nil) {
				t.Errorf("%s under a premise %s wrote: %d, %d before, %v", what, name, after, before, err)
			}
		}
	}
}

// sameAs compares what came under premises with what comes without.
func sameAs(want Document, wrong error) func(got Document, err error) error {
	return func(got Document, err error) error {
		if diff := cmp.Diff(want, got); err == nil && (wrong != nil || diff != "") {
			return fmt.Errorf("another document: %s %w", diff, wrong)
		}
		return err
	}
}

func sameList(s *Store, ctx context.Context, q Query) error {
	q.AccountID, q.Type = "acme", "user"
	want, end, wrong := s.List(context.Background(), q)
	got, next, err := s.List(ctx, q)
	if diff := cmp.Diff(want, got); err == nil && (wrong != nil || diff != "" || string(end) != string(next)) {
		return fmt.Errorf("another list: %s %s %s %w", diff, end, next, wrong)
	}
	return err
}
