package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"bugle"
	"bugle/internal/store/pgtest"
)

// two are two servers on one database.
func two(t *testing.T) (a, b *Store) {
	t.Helper()
	url := postgresAt(pgtest.URL(t))
	return url.open(t, Options{}), url.open(t, Options{})
}

// TestTwoServersSeeEachOther: a write through one is seen by the other at once in the database, and in its cache within a
// second, when it is told and when it is not.
func TestTwoServersSeeEachOther(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		poll time.Duration
		told bool
	}{"by a notification": {time.Hour, true}, "though the notification is lost": {0, false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := two(t)
			if !test.told { // it tells nobody
				a = &Store{engine: a.engine, opts: a.opts, read: a.read, write: a.write, ctx: a.ctx}
			}
			c := cacheOf(t, b, CacheOptions{Poll: test.poll})
			nudge, stop := b.Subscribe()
			defer stop()
			d, rev, late := user("u1", "Ann"), "", 0
			for range 5 {
				d = put(t, a, d, rev)
				rev = d.Rev
				written := time.Now()
				if got, err := b.Get(t.Context(), "acme", "user", "u1"); err != nil || got.Rev != d.Rev {
					t.Fatalf("the other server reads %s, %v", got.Rev, err)
				}
				until(t, "the cache has it", func() bool {
					got, err := c.Get(t.Context(), "acme", "user", "u1")
					return err == nil && got.Rev == d.Rev
				})
				if time.Since(written) > time.Second {
					late++
				}
			}
			if late > 2 { // one or two on a machine that others use too
				t.Errorf("%d of 5 writes were seen after more than a second", late)
			}
			if !test.told {
				return
			}
			select {
			case <-nudge:
			case <-time.After(30 * time.Second):
				t.Error("followers are not nudged")
			}
		})
	}
}

// TestOneOfTwoServersWins: the same new callflow number from both, a thousand times.
func TestOneOfTwoServersWins(t *testing.T) {
	t.Parallel()
	a, b := two(t)
	const lanes, numbers = 4, 250
	var wg sync.WaitGroup
	for lane := range lanes {
		wg.Go(func() {
			for n := range numbers {
				key := Key{"callflow.number", "acme", fmt.Sprintf("%d%03d", lane, n)}
				errs := make([]error, 2)
				var both sync.WaitGroup
				for i, s := range []*Store{a, b} {
					both.Go(func() {
						d := Document{AccountID: "acme", Type: "callflow", ID: fmt.Sprintf("%s-%d", key.Value, i),
							Body: json.RawMessage(`{}`), Keys: []Key{key}}
						errs[i] = s.Write(context.Background(), func(tx *Tx) error { return tx.Put(&d, "") })
					})
				}
				both.Wait()
				winner, loser := 0, errs[1]
				if errs[0] != nil {
					winner, loser = 1, errs[0]
				}
				var taken *bugle.Error
				holder := fmt.Sprintf("%s-%d", key.Value, winner)
				if errs[winner] != nil || !errors.As(loser, &taken) || taken.Kind != bugle.KindUnique || taken.Holder != holder {
					t.Errorf("number %s: %v and %v", key.Value, errs[0], errs[1])
				}
				if d, err := b.GetByKey(context.Background(), key); err != nil || d.ID != holder {
					t.Errorf("number %s belongs to %s, %v", key.Value, d.ID, err)
				}
			}
		})
	}
	wg.Wait()
	if n, err := a.Count(t.Context(), Query{Type: "callflow"}); err != nil || n != lanes*numbers {
		t.Errorf("%d callflows, %v", n, err)
	}
	if n := len(wantLog(t, a)); n != lanes*numbers {
		t.Errorf("%d changes", n)
	}
}

// TestTwoServersLoseNoEdit: what each adds to one document, having read it in the transaction, is there in the end, and
// a reader of the log that looks all the time sees every change once, in order.
func TestTwoServersLoseNoEdit(t *testing.T) {
	t.Parallel()
	a, b := two(t)
	const writers, edits = 3, 40
	shared := user("shared", "")
	shared.Body = json.RawMessage(`{"n":0}`)
	put(t, a, shared, "")
	var wg sync.WaitGroup
	for w := range writers {
		for i, s := range []*Store{a, b} {
			wg.Go(func() {
				for n := range edits {
					if err := s.Write(context.Background(), func(tx *Tx) error { return addOne(tx, fmt.Sprint(w, i, n)) }); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	const total = 1 + 2*writers*edits*2
	seen, last := 0, int64(0)
	for end := time.Now().Add(time.Minute); seen < total && time.Now().Before(end); {
		changes, _ := b.Tail(last, 5)
		if len(changes) == 0 {
			var err error
			if changes, err = b.Changes(t.Context(), last, 5); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range changes {
			if c.Position != last+1 {
				t.Fatalf("position %d after %d", c.Position, last)
			}
			last, seen = c.Position, seen+1
		}
	}
	wg.Wait()
	if seen != total {
		t.Errorf("%d of %d changes were seen", seen, total)
	}
	d, err := a.Get(t.Context(), "acme", "user", "shared")
	var count struct{ N int }
	if err := errors.Join(err, json.Unmarshal(d.Body, &count)); err != nil || count.N != 2*writers*edits || int(revNumber(d.Rev)) != 1+2*writers*edits {
		t.Errorf("the document says %s at %s after %d edits, %v", d.Body, d.Rev, 2*writers*edits, err)
	}
	checkIntegrity(t, a)
}

// addOne counts in one document and makes one of another account.
func addOne(tx *Tx, other string) error {
	d, err := tx.Get("acme", "user", "shared")
	var count struct{ N int }
	if err == nil {
		err = json.Unmarshal(d.Body, &count)
	}
	if err != nil {
		return err
	}
	d.Body = json.RawMessage(fmt.Sprintf(`{"n":%d}`, count.N+1))
	beside := user("beside"+other, "")
	beside.AccountID = "aaa" // its counter's row comes first
	return errors.Join(tx.Put(&d, d.Rev), tx.Put(&beside, ""))
}

// TestTwoServersStart: both make the tables of an empty database at once, and seal it with one key.
func TestTwoServersStart(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	sealer, err := NewSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	for _, opts := range []Options{{}, {Sealer: sealer}} { // the tables first, then the seal
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				s, err := OpenPostgres(t.Context(), url, opts)
				if err != nil {
					t.Error(err)
					return
				}
				if d := user(bugle.NewID(), "x"); opts.Sealer != nil {
					put(t, s, d, "")
				}
				s.Close()
			})
		}
		wg.Wait()
	}
	if n := len(wantLog(t, postgresAt(url).open(t, Options{Sealer: sealer}))); n != 4 {
		t.Errorf("%d changes", n)
	}
}
