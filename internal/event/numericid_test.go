package event_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"bugle/internal/event"
	"bugle/internal/store"
	"bugle/internal/store/pgtest"
)

// TestNumericIDsOutliveEverything: deletion and undeletion, a backup that is restored into the other engine, and contacts that are made anew.
func TestNumericIDsOutliveEverything(t *testing.T) {
	t.Parallel()
	from := filepath.Join(t.TempDir(), "bugle.db")
	s := openSQLite(t, from)
	h := &house{t, s, project(t, s, 0), event.NewContacts(s)}
	h.put("site", "s", object{"name": "North"})
	h.put("user", "u", object{"first_name": "Ann", "site_id": "s"})
	h.put("user", "gone", object{"first_name": "Bob"})
	h.put("menu", "m", object{"name": "Main"})
	h.put("callflow", "f", flowTo("menu", "m", "100"))
	settle(t, s, h.p)
	ids := func() string {
		h.Helper()
		settle(t, h.s, h.p)
		ann, menu := h.get("u"), h.get("m")
		return fmt.Sprint(ann.NumericID, ann.AccountNumericID, ann.Site.NumericID, menu.NumericID)
	}
	bob, before := h.get("gone").NumericID, ids()
	dropDoc(h, h.s, "a", "user", "gone")
	for _, id := range []string{"u", "s", "m", "f"} { // all at once, and back
		dropDoc(h, h.s, "a", map[string]string{"u": "user", "s": "site", "m": "menu", "f": "callflow"}[id], id)
	}
	settle(t, s, h.p)
	if account, id, err := h.r.Document(t.Context(), event.KindContact, bob); account != "a" || id != "gone" || err != nil {
		t.Error("the id of a deleted contact is not kept:", account, id, err)
	}
	h.put("site", "s", object{"name": "South"})
	h.put("user", "u", object{"first_name": "Anna", "site_id": "s"})
	h.put("menu", "m", object{"name": "Main"})
	h.put("callflow", "f", flowTo("menu", "m", "200"))
	if now := ids(); now != before {
		t.Errorf("deleted and made again: %s, before %s", now, before)
	}
	h.p.Close()
	s.Close()
	blobs, err := store.NewBlobs(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if _, err := store.BackupSQLite(t.Context(), from, blobs, "test", &file); err != nil {
		t.Fatal(err)
	}
	url := pgtest.URL(t)
	if _, err := store.RestorePostgres(t.Context(), url, blobs, &file); err != nil {
		t.Fatal(err)
	}
	if h.s, err = openAt(url); err != nil {
		t.Fatal(err)
	}
	defer h.s.Close()
	h.p, h.r = project(t, h.s, 0), event.NewContacts(h.s)
	defer h.p.Close()
	if now := ids(); now != before {
		t.Errorf("restored: %s, before %s", now, before)
	}
	h.put("user", "gone", object{"first_name": "Bob"})
	settle(t, h.s, h.p)
	if now := h.get("gone").NumericID; now != bob {
		t.Errorf("made again after the restore: %s, before %s", now, bob)
	}
}

// TestNumericIDsOfTwoServers: two servers on one PostgreSQL that name the same things at once give one id to each.
func TestNumericIDsOfTwoServers(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	const things = 30
	var mu sync.Mutex
	given := map[string]map[string]bool{} // by id
	var asking sync.WaitGroup
	begin := make(chan struct{})
	for range 2 {
		s, err := openAt(url)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		r := event.NewContacts(s)
		for range 2 {
			asking.Go(func() {
				<-begin
				for i := range things {
					id := fmt.Sprint("doc", i)
					n, err := r.Numeric(t.Context(), "a", event.KindContact, id)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					if given[id] == nil {
						given[id] = map[string]bool{}
					}
					given[id][n] = true
					mu.Unlock()
				}
			})
		}
	}
	close(begin)
	asking.Wait()
	all := map[string]bool{}
	for id, ns := range given {
		if len(ns) != 1 {
			t.Errorf("%s has %v", id, ns)
		}
		for n := range ns {
			all[n] = true
		}
	}
	if len(all) != things {
		t.Errorf("%d ids of %d things", len(all), things)
	}
}
