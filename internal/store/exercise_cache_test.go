package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bugle"
)

func cacheOf(t *testing.T, s *Store, opts CacheOptions) *Cache {
	t.Helper()
	c := NewCache(s, opts)
	t.Cleanup(c.Close)
	if !c.Healthy() {
		t.Fatal("the cache is not healthy at its start")
	}
	return c
}

// until waits for a condition that another goroutine brings about.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func exerciseCache(t *testing.T, o opener) {
	s := o.open(t, Options{})
	c := cacheOf(t, s, CacheOptions{Poll: time.Hour})
	d := user("u1", "Ann")
	d.Keys, d.Index = []Key{{"number", "acme", "1001"}, {"number", "acme", "1002"}}, []Index{{"owner_id", "x"}}
	owner := func() []string {
		docs, err := c.ListByIndex(t.Context(), "acme", "user", Index{"owner_id", "x"})
		everywhere, err2 := c.ListByIndex(t.Context(), "", "user", Index{"owner_id", "x"})
		if err != nil || err2 != nil || cmp.Diff(docs, everywhere) != "" {
			t.Fatal(docs, err, everywhere, err2)
		}
		return ids(docs)
	}
	all := func() []string {
		docs, err := c.ListByIndex(t.Context(), "acme", "user", Index{})
		everywhere, err2 := c.ListByIndex(t.Context(), "", "user", Index{})
		if err != nil || err2 != nil || cmp.Diff(docs, everywhere) != "" {
			t.Fatal(docs, err, everywhere, err2)
		}
		return ids(docs)
	}
	check := func(wantNumber2 bool, wantList ...string) {
		t.Helper()
		for range 2 { // what is read first, and what is kept then
			got, err := c.Get(t.Context(), "acme", "user", "u1")
			if err != nil || cmp.Diff(d, got) != "" {
				t.Errorf("Get: %+v, %v, want %+v", got, err, d)
			}
			got, err = c.GetByKey(t.Context(), Key{"number", "acme", "1001"})
			if err != nil || cmp.Diff(d, got) != "" {
				t.Errorf("GetByKey: %+v, %v, want %+v", got, err, d)
			}
			if _, err := c.GetByKey(t.Context(), Key{"number", "acme", "1002"}); (err == nil) != wantNumber2 {
				t.Errorf("1002: %v", err)
			}
			if diff := cmp.Diff(append([]string{}, wantList...), owner()); diff != "" {
				t.Errorf("list (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"u1"}, all()); diff != "" {
				t.Errorf("all (-want +got):\n%s", diff)
			}
		}
	}
	d = put(t, s, d, "")
	check(true, "u1")
	hits := c.Stats().Hits
	check(true, "u1")
	if got := c.Stats().Hits - hits; got != 14 {
		t.Errorf("%d of 14 reads came from memory", got)
	}
	d.Body, d.Keys = json.RawMessage(`{"name":"B"}`), d.Keys[:1]
	d = put(t, s, d, d.Rev)
	check(false, "u1")
	d.Index = []Index{{"owner_id", "y"}}
	d = put(t, s, d, d.Rev)
	check(false)
	remove(t, s, d, false)
	for range 2 {
		_, err := c.Get(t.Context(), "acme", "user", "u1")
		wantKind(t, err, bugle.KindNotFound)
		_, err = c.GetByKey(t.Context(), Key{"number", "acme", "1001"})
		wantKind(t, err, bugle.KindNotFound)
		if len(owner())+len(all()) != 0 {
			t.Error("a deleted document is listed")
		}
	}
	dead, err := s.GetAny(t.Context(), "acme", "user", "u1")
	if err != nil {
		t.Fatal(err)
	}
	d = put(t, s, dead, dead.Rev)
	d.Deleted = false
	check(false)
	_, err = c.Get(t.Context(), "other", "user", "u1")
	wantKind(t, err, bugle.KindNotFound)
}

func exerciseCacheNegative(t *testing.T, o opener) {
	s := o.open(t, Options{})
	c := cacheOf(t, s, CacheOptions{Poll: time.Hour})
	for i := range 3 {
		key := Key{"number", "acme", strconv.Itoa(i)}
		for range 5 {
			_, err := c.GetByKey(t.Context(), key)
			wantKind(t, err, bugle.KindNotFound)
		}
		if misses := c.Stats().Misses; misses != uint64(i+1) {
			t.Errorf("%d loads for %d unknown numbers", misses, i+1)
		}
		d := user(fmt.Sprint("u", i), "x")
		d.Keys = []Key{key}
		put(t, s, d, "")
		if got, err := c.GetByKey(t.Context(), key); err != nil || got.ID != d.ID {
			t.Errorf("a number that is known now: %v, %v", got.ID, err)
		}
	}
}

// exerciseCacheFollows writes around the cache's hook, as another process on the same database does.
func exerciseCacheFollows(t *testing.T, o opener) {
	s := o.open(t, Options{})
	c := cacheOf(t, s, CacheOptions{Poll: time.Millisecond})
	d := user("u1", "Ann")
	d.Keys, d.Index = []Key{{"number", "acme", "1001"}}, []Index{{"owner_id", "x"}}
	foreign := &Store{engine: s.engine, opts: s.opts, read: s.read, write: s.write, ctx: s.ctx}
	read := func() (a, b string, list int) {
		one, _ := c.Get(t.Context(), "acme", "user", "u1")
		two, _ := c.GetByKey(t.Context(), d.Keys[0])
		docs, err := c.ListByIndex(t.Context(), "acme", "user", Index{"owner_id", "x"})
		everywhere, err2 := c.ListByIndex(t.Context(), "", "user", Index{"owner_id", "x"})
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		if len(docs) != len(everywhere) { // on the way
			return "", "", -1
		}
		return one.Rev, two.Rev, len(docs)
	}
	for range 5 {
		if a, b, n := read(); a != "" || b != "" || n != 0 {
			t.Fatalf("before: %q %q %d", a, b, n)
		}
		d = put(t, foreign, d, "")
		until(t, "creation seen", func() bool { a, b, n := read(); return a == d.Rev && b == d.Rev && n == 1 })
		d.Body = json.RawMessage(`{"name":"B"}`)
		d = put(t, foreign, d, d.Rev)
		until(t, "edit seen", func() bool { a, b, n := read(); return a == d.Rev && b == d.Rev && n == 1 })
		remove(t, foreign, d, true)
		until(t, "deletion seen", func() bool { a, b, n := read(); return a == "" && b == "" && n == 0 })
	}
	// A reader that was away for longer than the log is kept knows nothing for certain.
	c.mu.Lock()
	c.seen = 0
	c.mu.Unlock()
	_, err := s.write.db.Exec(`DELETE FROM changes`)
	if _, err2 := s.write.db.Exec(`INSERT INTO counters (name, n) VALUES ('swept', 15)`); err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	d = put(t, foreign, d, "")
	until(t, "creation seen", func() bool { a, b, n := read(); return a == d.Rev && b == d.Rev && n == 1 })
}

// exerciseCacheLate lets a commit of this process be applied after a later one of another process was read in the log.
func exerciseCacheLate(t *testing.T, o opener) {
	s := o.open(t, Options{})
	c := cacheOf(t, s, CacheOptions{Poll: time.Hour})
	foreign := &Store{engine: s.engine, opts: s.opts, read: s.read, write: s.write, ctx: s.ctx}
	ours := user("u1", "Ann")
	ours.Keys = []Key{{"number", "acme", "1001"}}
	ours = put(t, foreign, ours, "")
	theirs := ours
	theirs.Body = json.RawMessage(`{"name":"theirs"}`)
	theirs = put(t, foreign, theirs, ours.Rev)
	late := commit{change: bugle.Change{Position: 1, AccountID: "acme", Type: "user", ID: "u1", Rev: ours.Rev}, keys: ours.Keys, now: &ours}
	c.look()
	check := func() {
		t.Helper()
		c.apply([]commit{late})
		got, err := c.Get(t.Context(), "acme", "user", "u1")
		byKey, err2 := c.GetByKey(t.Context(), ours.Keys[0])
		if err != nil || err2 != nil || got.Rev != theirs.Rev || byKey.Rev != theirs.Rev {
			t.Errorf("revisions %s %v, %s %v, want %s", got.Rev, err, byKey.Rev, err2, theirs.Rev)
		}
	}
	check() // unknown
	check() // known
	c.mu.Lock()
	c.warm["user"] = true
	for key := range c.entries {
		c.drop(key)
	}
	c.mu.Unlock()
	check() // of a type that is kept unasked
}

func exerciseCacheRace(t *testing.T, o opener) {
	s := o.open(t, Options{})
	c := cacheOf(t, s, CacheOptions{Poll: time.Millisecond, MaxBytes: 20000}) // small, so that entries come and go
	const workers, rounds = 4, 50
	stop := make(chan struct{})
	var readers, writers sync.WaitGroup
	for w := range 2 { // readers that load all the time, to race with the writers
		readers.Go(func() {
			for i := w; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				runtime.Gosched() // the writers matter more
				n := i % workers
				_, _ = c.Get(context.Background(), "acme", "user", fmt.Sprint("u", n))
				_, _ = c.GetByKey(context.Background(), Key{"number", "acme", fmt.Sprint(n, "-", i%5)})
				_, _ = c.ListByIndex(context.Background(), "acme", "user", Index{"owner_id", strconv.Itoa(n)})
			}
		})
	}
	for w := range workers {
		writers.Go(func() {
			d := user(fmt.Sprint("u", w), "x")
			d.Index = []Index{{"owner_id", strconv.Itoa(w)}}
			rev := AnyRev
			for i := range rounds {
				before := d.Keys
				d.Keys = []Key{{"number", "acme", fmt.Sprint(w, "-", i%5)}}
				d.Body = json.RawMessage(fmt.Sprintf(`{"round":%d}`, i))
				if err := s.Write(context.Background(), func(tx *Tx) error { return tx.Put(&d, rev) }); err != nil {
					t.Error(err)
					return
				}
				rev = d.Rev
				got, err := c.Get(context.Background(), "acme", "user", d.ID)
				if err != nil || got.Rev != d.Rev {
					t.Errorf("by id: %v %v, want %v", got.Rev, err, d.Rev)
				}
				if got, err = c.GetByKey(context.Background(), d.Keys[0]); err != nil || got.Rev != d.Rev {
					t.Errorf("by key: %v %v, want %v", got.Rev, err, d.Rev)
				}
				if before != nil {
					if got, err := c.GetByKey(context.Background(), before[0]); bugle.KindOf(err) != bugle.KindNotFound {
						t.Errorf("by the key it had: %v %v", got, err)
					}
				}
				docs, err := c.ListByIndex(context.Background(), "acme", "user", d.Index[0])
				if err != nil || len(docs) != 1 || docs[0].Rev != d.Rev {
					t.Errorf("in its list: %v %v, want %v", docs, err, d.Rev)
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
}

// exerciseCacheOvertaken lets a load read, then a write change what was read, then the load land.
func exerciseCacheOvertaken(t *testing.T, o opener) {
	s := o.open(t, Options{})
	c := cacheOf(t, s, CacheOptions{Poll: time.Hour})
	d := user("u1", "Ann")
	d.Keys, d.Index = []Key{{"number", "acme", "1001"}}, []Index{{"owner_id", "x"}}
	rev := ""
	for range 3 { // nothing known at first, then an old revision, then a deleted document
		for _, key := range []cacheKey{documentKey("acme", "user", "u1"), uniqueKey(d.Keys[0]), listKey("acme", "user", d.Index[0]),
			listKey("acme", "user", Index{})} {
			f := &flight{done: make(chan struct{})}
			c.mu.Lock()
			c.drop(key)
			c.flights[key] = f
			position := c.seen
			c.mu.Unlock()
			f.docs, f.err = c.fetch(t.Context(), key)
			d = put(t, s, d, rev)
			rev = d.Rev
			c.land(key, f, position)
			docs, err := c.find(t.Context(), key)
			if err != nil || len(docs) != 1 || docs[0].doc.Rev != d.Rev {
				t.Errorf("%c: %v, %v, want revision %s", key.kind, docs, err, d.Rev)
			}
		}
		remove(t, s, d, false)
		rev = ""
	}
}

func exerciseCacheBound(t *testing.T, o opener) {
	s := o.open(t, Options{})
	const limit = 50000
	c := cacheOf(t, s, CacheOptions{Poll: time.Hour, MaxBytes: limit})
	if err := s.Write(t.Context(), func(tx *Tx) error {
		for i := range 100 {
			d := user(fmt.Sprint("u", i), "x")
			d.Body = json.RawMessage(fmt.Sprintf(`{"x":"%01000d"}`, i))
			d.Index = []Index{{"owner_id", strconv.Itoa(i / 2)}}
			if err := tx.Put(&d, ""); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	hot := func() {
		if _, err := c.Get(t.Context(), "acme", "user", "u7"); err != nil {
			t.Error(err)
		}
	}
	for i := range 500 {
		hot()
		if _, err := c.Get(t.Context(), "acme", "user", fmt.Sprint("u", i%100)); err != nil {
			t.Error(err)
		}
		_, err := c.GetByKey(t.Context(), Key{"number", "acme", strconv.Itoa(i)}) // a caller who dials at random
		wantKind(t, err, bugle.KindNotFound)
		if _, err := c.ListByIndex(t.Context(), "acme", "user", Index{"owner_id", strconv.Itoa(i % 50)}); err != nil {
			t.Error(err)
		}
		if got := c.Stats().Bytes; got > limit {
			t.Fatalf("%d bytes are kept, the limit is %d", got, limit)
		}
	}
	if err := c.Warm(t.Context(), "user"); err != nil {
		t.Error(err)
	}
	stats := c.Stats()
	if stats.Evictions == 0 || stats.Bytes > limit {
		t.Errorf("stats: %+v", stats)
	}
	c.mu.Lock()
	for key := range c.entries {
		c.drop(key)
	}
	if c.bytes != 0 {
		t.Errorf("%d bytes are counted for nothing", c.bytes)
	}
	c.mu.Unlock()
}

func exerciseCacheView(t *testing.T, o opener) {
	s := o.open(t, Options{})
	c := cacheOf(t, s, CacheOptions{Poll: time.Hour})
	d := put(t, s, user("u1", "Ann"), "")
	parsed := 0
	view := func() string {
		t.Helper()
		doc, err := c.Get(t.Context(), "acme", "user", "u1")
		if err != nil {
			t.Fatal(err)
		}
		f, err := View(c, doc, func(_ string, body []byte) (bugle.Fields, error) { parsed++; return bugle.ParseFields(body) })
		if err != nil {
			t.Fatal(err)
		}
		return f.String("name")
	}
	for range 5 {
		if got := view(); got != "Ann" {
			t.Fatal(got)
		}
	}
	if parsed != 1 {
		t.Errorf("parsed %d times", parsed)
	}
	d.Body = json.RawMessage(`{"name":"Bea"}`)
	put(t, s, d, d.Rev)
	if got := view(); got != "Bea" || parsed != 2 {
		t.Errorf("%s after %d parses", got, parsed)
	}
	boom := errors.New("boom")
	if _, err := View(c, d, func(string, []byte) (int, error) { return 0, boom }); err != boom {
		t.Errorf("an error of the parser became %v", err)
	}
}
