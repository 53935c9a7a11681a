package store

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// exerciseCacheLists: what this process commits keeps the lists in memory right without one of them being read again, a long one
// excepted.
func exerciseCacheLists(t *testing.T, o opener) {
	s := o.open(t, Options{})
	c := cacheOf(t, s, CacheOptions{Poll: time.Hour})
	for i := range wantedLong + 1 {
		d := user(fmt.Sprint("long", i), fmt.Sprint("l", i%50))
		d.Index = []Index{{"owner_id", "long"}}
		put(t, s, d, "")
	}
	if err := c.Warm(t.Context(), "user", "device"); err != nil {
		t.Fatal(err)
	}
	lists := []Index{{"owner_id", "a"}, {"owner_id", "b"}, {"owner_id", "none"}, {}}
	compare := func(typ string, x Index) {
		t.Helper()
		for _, of := range [...]string{"acme", ""} {
			q := Query{AccountID: of, Type: typ, Limit: maxLimit}
			if x.Name != "" {
				q.Index = &x
			}
			want, _, err := s.List(t.Context(), q)
			got, err2 := c.ListByIndex(t.Context(), of, typ, x)
			if diff := cmp.Diff(want, got); diff != "" || err != nil || err2 != nil {
				t.Errorf("%s %v of %q (-database +memory): %v, %v\n%s", typ, x, of, err, err2, diff)
			}
		}
	}
	for _, x := range lists {
		compare("device", x)
	}
	misses := c.Stats().Misses
	var wg sync.WaitGroup
	for writer := range 4 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(writer), 1))
			revs := map[string]string{}
			for n := range 60 {
				id := fmt.Sprint("d", writer, random.IntN(4))
				d := Document{AccountID: "acme", Type: "device", ID: id, Body: json.RawMessage(fmt.Sprint(`{"n":`, n, `}`)),
					SortKey: []byte{byte('a' + random.IntN(3))}}
				for _, x := range lists[:2] {
					if random.IntN(2) == 0 {
						d.Index = append(d.Index, x)
					}
				}
				err := s.Write(context.Background(), func(tx *Tx) error {
					if revs[id] != "" && random.IntN(4) == 0 {
						_, err := tx.Delete("acme", "device", id, AnyRev, random.IntN(2) == 0)
						return err
					}
					return tx.Put(&d, AnyRev)
				})
				if err != nil {
					t.Error(err)
					return
				}
				revs[id] = d.Rev // "" when it was deleted
			}
		})
	}
	wg.Wait()
	for _, x := range lists {
		compare("device", x)
	}
	if again := c.Stats().Misses; again != misses {
		t.Errorf("%d lists were read again", again-misses)
	}
	d := user("long7", "zz")
	d.Index = []Index{{"owner_id", "long"}}
	put(t, s, d, AnyRev)
	compare("user", d.Index[0])

	held, ok := c.Held("acme", "long7")
	if want, err := s.Get(t.Context(), "acme", "user", "long7"); !ok || err != nil || cmp.Diff(want, held) != "" {
		t.Errorf("held: %v %v, %v", held.Rev, ok, err)
	}
	remove(t, s, held, false)
	for _, where := range [...][2]string{{"acme", "long7"}, {"other", "long8"}, {"acme", "nobody"}} {
		if d, ok := c.Held(where[0], where[1]); ok {
			t.Errorf("%s is held as %v", where, d)
		}
	}
}
