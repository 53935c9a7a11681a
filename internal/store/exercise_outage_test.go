package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

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
	late.Keys, late.Index = []Key{{"number", "acme", "9"}}, []Index{{"owner_id", "late"}}
	docs = append(docs, put(t, s, late, ""))
	docs[1].Body = json.RawMessage(`{"new":1}`)
	docs[1] = put(t, s, docs[1], docs[1].Rev)
	remove(t, s, docs[0], false)
	for owner, n := range map[string]int{"late": 1, "o": 1} {
		until(t, "the list of "+owner+" is loaded without being asked for", func() bool {
			c.mu.RLock()
			defer c.mu.RUnlock()
			e := c.entries[listKey("acme", "user", Index{"owner_id", owner})]
			return e != nil && !e.dirty.Load() && len(e.docs) == n
		})
	}
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
	if list, err := c.ListByIndex(t.Context(), "acme", "user", Index{"owner_id", "late"}); err != nil || len(list) != 1 {
		t.Errorf("the list of who came late: %v, %v", ids(list), err)
	}
	if list, err := c.ListByIndex(t.Context(), "acme", "device", Index{"owner_id", "o"}); err != nil || len(list) != 1 {
		t.Errorf("the list of devices: %v, %v", ids(list), err)
	}
	if list, err := c.ListByIndex(t.Context(), "", "device", Index{"owner_id", "o"}); err != nil || len(list) != 1 {
		t.Errorf("the list of devices of all accounts: %v, %v", ids(list), err)
	}
	if list, err := c.ListByIndex(t.Context(), "acme", "device", Index{}); err != nil || len(list) != 1 {
		t.Errorf("all devices: %v, %v", ids(list), err)
	}
}

// exerciseCacheLong: a list of many is not read anew at each change of one of them, but when it is asked for; a short one is.
func exerciseCacheLong(t *testing.T, o opener) {
	s := o.open(t, Options{})
	c := cacheOf(t, s, CacheOptions{Poll: time.Millisecond})
	if err := c.Warm(t.Context(), "user"); err != nil {
		t.Fatal(err)
	}
	at := func(site string, n int) {
		t.Helper()
		var docs []*Document
		for i := range n {
			d := user(fmt.Sprint(site, i), "x")
			d.Index = []Index{{"site_id", site}}
			docs = append(docs, &d)
		}
		if err := s.Write(t.Context(), func(tx *Tx) error {
			for _, d := range docs {
				if err := tx.Put(d, AnyRev); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	state := func(site string) *entry {
		c.mu.RLock()
		defer c.mu.RUnlock()
		return c.entries[listKey("acme", "user", Index{"site_id", site})]
	}
	passed := 0
	pass := func() { // twice: what was wanted with the first is loaded before what is wanted with the second
		for range 2 {
			passed++
			site := fmt.Sprint("short", passed)
			at(site, 1)
			until(t, "the short list is loaded without being asked for", func() bool {
				e := state(site)
				return e != nil && !e.dirty.Load() && len(e.docs) == 1
			})
		}
	}
	at("long", wantedLong+1)
	pass()
	at("long", wantedLong+2)
	pass()
	if e := state("long"); e != nil && !e.dirty.Load() {
		t.Errorf("%d documents were read for one change", len(e.docs))
	}
	if list, err := c.ListByIndex(t.Context(), "acme", "user", Index{"site_id", "long"}); err != nil || len(list) != wantedLong+2 {
		t.Errorf("the long list has %d, %v", len(list), err)
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
	// A look at the log that began before the database went ends after it.
	if c.followed(0); c.Healthy() {
		t.Error("an answer from before the outage ended it")
	}
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
