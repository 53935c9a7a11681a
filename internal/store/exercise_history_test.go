package store

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bugle"
)

// exerciseHistory: the changes of one document come newest first, in pages, with who made them, and of no other.
func exerciseHistory(t *testing.T, o opener) {
	s := o.open(t, Options{})
	ann := bugle.Actor{AccountID: "acme", UserID: "ann", Method: "user_auth", Address: "192.0.2.7", RequestID: "r1", ImpersonatedBy: "x"}
	write := func(ctx context.Context, fn func(tx *Tx) error) {
		t.Helper()
		if err := s.Write(ctx, fn); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 5 {
		ctx := t.Context()
		if i%2 == 0 {
			ctx = WithActor(ctx, ann)
		}
		write(ctx, func(tx *Tx) error {
			for _, id := range []string{"u1", "u2"} {
				d := Document{AccountID: "acme", Type: "user", ID: id, Body: json.RawMessage(fmt.Sprintf(`{"v":%d}`, i))}
				if err := tx.Put(&d, AnyRev); err != nil {
					return err
				}
			}
			return nil
		})
	}
	write(t.Context(), func(tx *Tx) error {
		_, err := tx.Delete("acme", "user", "u1", AnyRev, true)
		return err
	})
	var got []string
	var before int64
	for {
		page, err := s.History(t.Context(), "acme", "user", "u1", before, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, c := range page {
			who := "nobody"
			if c.By != nil {
				if who = c.By.UserID; *c.By != ann {
					t.Errorf("%+v", *c.By)
				}
			}
			got = append(got, fmt.Sprintf("%s %s by %s", c.Kind, c.After, who))
			before = c.Position
		}
	}
	want := []string{"deleted  by nobody", `edited {"v":4} by ann`, `edited {"v":3} by nobody`, `edited {"v":2} by ann`,
		`edited {"v":1} by nobody`, `created {"v":0} by ann`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	for _, other := range [][3]string{{"other", "user", "u1"}, {"acme", "device", "u1"}, {"acme", "user", "u3"}, {"acme", "user", "\x00"}} {
		if changes, err := s.History(t.Context(), other[0], other[1], other[2], 0, 0); err != nil || len(changes) != 0 {
			t.Errorf("%q: %v %v", other, changes, err)
		}
	}
}

// exerciseHidden: what an edit changes of the private part is on record by its keys, with values only where the writer lets them.
func exerciseHidden(t *testing.T, o opener) {
	s := o.open(t, Options{})
	put := func(private string, told ...string) {
		t.Helper()
		if err := s.Write(t.Context(), func(tx *Tx) error {
			d := Document{AccountID: "acme", Type: "user", ID: "u1", Body: json.RawMessage(`{}`), Private: json.RawMessage(private), Told: told}
			return tx.Put(&d, AnyRev)
		}); err != nil {
			t.Fatal(err)
		}
	}
	put(`{"hash":"a","tree":[1],"same":"x"}`)
	put(`{"hash":"b","tree":[2],"same":"x"}`, "tree")
	put(`{"tree":[2],"same":"x","new":true}`, "tree")
	put(`{"tree":[2],"same":"x","new":true}`, "tree")
	page, err := s.History(t.Context(), "acme", "user", "u1", 0, 10)
	if err != nil || len(page) != 4 {
		t.Fatal(len(page), err)
	}
	for i, want := range []string{`null`, `{"hash":null,"new":null}`, `{"hash":null,"tree":{"before":[1],"after":[2]}}`, `null`} {
		got, err := json.Marshal(page[i].Hidden)
		if err != nil || string(got) != want {
			t.Errorf("%d: %s, want %s, %v", i, got, want, err)
		}
	}
}
