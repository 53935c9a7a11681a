package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bugle"
)

// outage is an engine whose database can be made to fail.
type outage struct {
	engine
	down atomic.Bool
	slow atomic.Pointer[chan struct{}] // what a look for the database waits for
}

func (o *outage) present() error {
	if wait := o.slow.Load(); wait != nil {
		<-*wait
	}
	if o.down.Load() {
		return errGone
	}
	return o.engine.present()
}

// breakable makes the store's database fail on demand.
func breakable(s *Store) *outage {
	o := &outage{engine: s.engine}
	s.engine = o
	return o
}

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
		if err != nil {
			t.Fatal(err)
		}
		return ids(docs)
	}
	all := func() []string {
		docs, err := c.ListByIndex(t.Context(), "acme", "user", Index{})
		if err != nil {
			t.Fatal(err)
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
	if got := c.Stats().Hits - hits; got != 10 {
		t.Errorf("%d of 10 reads came from memory", got)
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
		if err != nil {
			t.Fatal(err)
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

func exerciseCacheWarm(t *testing.T, o opener) {
	s := o.open(t, Options{})
	db := breakable(s)
	var docs []Document
	for i, typ := range []string{"user", "user", "device", "menu"} {
		d := user(fmt.Sprint(typ, i), "x")
		d.Type, d.Keys, d.Index = typ, []Key{{"number", "acme", strconv.Itoa(i)}}, []Index{{"owner_id", "o"}}
		docs = append(docs, put(t, s, d, ""))
	}
	c := cacheOf(t, s, CacheOptions{Poll: time.Millisecond})
	if err := c.Warm(t.Context(), "user", "device"); err != nil {
		t.Fatal(err)
	}
	late := user("user9", "y") // comes after the warming, and nobody asks for it before the outage
	late.Keys = []Key{{"number", "acme", "9"}}
	docs = append(docs, put(t, s, late, ""))
	docs[1].Body = json.RawMessage(`{"new":1}`)
	docs[1] = put(t, s, docs[1], docs[1].Rev)
	remove(t, s, docs[0], false)
	db.down.Store(true)
	until(t, "the outage is noticed", func() bool { return !c.Healthy() })
	for i, d := range docs {
		got, err := c.Get(t.Context(), "acme", d.Type, d.ID)
		byKey, err2 := c.GetByKey(t.Context(), d.Keys[0])
		switch {
		case i == 0: // deleted just before
			wantKind(t, err, bugle.KindNotFound)
			wantKind(t, err2, bugle.KindNotFound)
		case d.Type == "menu": // not warmed, so not known
			wantKind(t, err, bugle.KindUnavailable)
			wantKind(t, err2, bugle.KindUnavailable)
		case err != nil || err2 != nil || got.Rev != d.Rev || byKey.Rev != d.Rev:
			t.Errorf("%s: %v %v, %v %v", d.ID, got.Rev, err, byKey.Rev, err2)
		}
	}
	if list, err := c.ListByIndex(t.Context(), "acme", "device", Index{"owner_id", "o"}); err != nil || len(list) != 1 {
		t.Errorf("the list of devices: %v, %v", ids(list), err)
	}
	if list, err := c.ListByIndex(t.Context(), "acme", "device", Index{}); err != nil || len(list) != 1 {
		t.Errorf("all devices: %v, %v", ids(list), err)
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

func exerciseCacheOutage(t *testing.T, o opener) {
	var clock atomic.Int64
	clock.Store(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC).UnixNano())
	s := o.open(t, Options{Now: func() time.Time { return time.Unix(0, clock.Load()) }})
	db := breakable(s)
	c := cacheOf(t, s, CacheOptions{Poll: time.Millisecond})
	d := user("u1", "Ann")
	d.Keys = []Key{{"number", "acme", "1001"}}
	d = put(t, s, d, "")
	known := func() error {
		_, err := c.Get(t.Context(), "acme", "user", "u1")
		_, err2 := c.GetByKey(t.Context(), d.Keys[0])
		return errors.Join(err, err2)
	}
	unknown := func() error {
		_, err := c.GetByKey(t.Context(), Key{"number", "acme", "1002"})
		return err
	}
	if err := known(); err != nil {
		t.Fatal(err)
	}
	// Many that miss at the moment of the failure wait for one load, and none waits for ever.
	gate := make(chan struct{})
	db.slow.Store(&gate)
	db.down.Store(true)
	misses := make(chan error, 20)
	for range cap(misses) {
		go func() { misses <- unknown() }()
	}
	close(gate)
	for range cap(misses) {
		wantKind(t, <-misses, bugle.KindUnavailable)
	}
	db.slow.Store(nil)
	until(t, "the outage is noticed", func() bool { return !c.Healthy() })
	wantKind(t, s.Write(t.Context(), func(tx *Tx) error { return nil }), bugle.KindUnavailable)
	clock.Add(int64(9*time.Minute + 59*time.Second))
	if err := known(); err != nil {
		t.Errorf("within ten minutes: %v", err)
	}
	wantKind(t, unknown(), bugle.KindUnavailable)
	if c.Stats().Stale < 2 || c.Stats().Failures == 0 {
		t.Errorf("stats: %+v", c.Stats())
	}
	clock.Add(int64(2 * time.Second))
	wantKind(t, known(), bugle.KindUnavailable)
	db.down.Store(false)
	until(t, "the database is back", c.Healthy)
	if err := known(); err != nil {
		t.Error(err)
	}
	wantKind(t, unknown(), bugle.KindNotFound)
}
