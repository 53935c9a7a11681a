package store

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"bugle"
)

// TestModel makes random histories and compares the store with a map after each step. Every history has an account of
// its own in one database.
func TestModel(t *testing.T) {
	t.Parallel()
	s := sqliteIn(t.TempDir()).open(t, Options{})
	c := NewCache(s, CacheOptions{MaxBytes: 5000})
	defer c.Close()
	histories := 0
	rapid.Check(t, func(rt *rapid.T) {
		histories++
		m := &model{s: s, c: c, account: fmt.Sprint("account", histories), docs: map[string]Document{}}
		m.check(rt)
		for range rapid.IntRange(1, 8).Draw(rt, "writes") {
			m.write(rt)
			m.check(rt)
		}
	})
}

type model struct {
	s       *Store
	c       *Cache
	account string
	docs    map[string]Document // soft-deleted ones too
	changes int
}

var (
	modelIDs     = rapid.SampledFrom([]string{"a", "b", "c", "d"})
	modelNumbers = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"1", "2", "3", "4"}), 0, 3, rapid.ID[string])
	modelOwners  = rapid.SliceOfN(rapid.SampledFrom([]string{"x", "y"}), 0, 2)
	modelSort    = rapid.SampledFrom([]string{"", "k", "l"})
	modelGuard   = rapid.SampledFrom([]string{"right", "right", "wrong", "create", "any"})
)

// write makes one transaction of one to three steps; the first that is refused refuses all.
func (m *model) write(t *rapid.T) {
	after := maps.Clone(m.docs)
	var want bugle.Kind
	refused, steps := false, rapid.IntRange(1, 3).Draw(t, "steps")
	plan := make([]func(tx *Tx) error, 0, steps)
	changes := 0
	for range steps {
		id, guard := m.account+modelIDs.Draw(t, "id"), modelGuard.Draw(t, "guard")
		remove, hard := rapid.IntRange(0, 3).Draw(t, "verb") == 0, rapid.Bool().Draw(t, "hard")
		d := Document{AccountID: m.account, Type: "user", ID: id, SortKey: []byte(modelSort.Draw(t, "sort")),
			Body: json.RawMessage(fmt.Sprintf(`{"n":%d}`, rapid.Int().Draw(t, "body")))}
		for _, n := range modelNumbers.Draw(t, "numbers") {
			d.Keys = append(d.Keys, Key{"number", m.account, n})
		}
		for _, o := range modelOwners.Draw(t, "owners") {
			d.Index = append(d.Index, Index{"owner_id", o})
		}
		if refused {
			break
		}
		kind, bad := m.judge(after, &d, guard, remove, hard)
		if bad {
			refused, want = true, kind
		} else {
			changes++
		}
		plan = append(plan, func(tx *Tx) error {
			rev := m.rev(tx, id, guard)
			if remove {
				_, err := tx.Delete(m.account, "user", id, rev, hard)
				return err
			}
			return tx.Put(&d, rev)
		})
	}
	err := m.s.Write(t.Context(), func(tx *Tx) error {
		for _, step := range plan {
			if err := step(tx); err != nil {
				return err
			}
		}
		return nil
	})
	if refused != (err != nil) || refused && bugle.KindOf(err) != want {
		t.Fatalf("Write: %v, want refused %v %v", err, refused, want)
	}
	if !refused {
		m.docs, m.changes = after, m.changes+changes
	}
}

func (m *model) rev(tx *Tx, id, guard string) string {
	switch guard {
	case "create":
		return ""
	case "any":
		return AnyRev
	case "wrong":
		return "7-nonsense"
	}
	if d, err := tx.GetAny(m.account, "user", id); err == nil {
		return d.Rev
	}
	return "1-none"
}

// judge says what the store must do, in the fewest words, and does it to docs.
func (m *model) judge(docs map[string]Document, d *Document, guard string, remove, hard bool) (kind bugle.Kind, refused bool) {
	old, exists := docs[d.ID]
	if remove {
		switch {
		case !exists || old.Deleted && !hard:
			return bugle.KindNotFound, true
		case guard == "wrong":
			return bugle.KindConflict, true
		}
		if hard {
			delete(docs, d.ID)
		} else {
			old.Deleted = true
			docs[d.ID] = old
		}
		return 0, false
	}
	switch {
	case guard == "create" && exists && !old.Deleted:
		return bugle.KindUnique, true
	case guard == "wrong", guard == "right" && !exists:
		return bugle.KindConflict, true
	}
	for id, other := range docs {
		if id != d.ID && !other.Deleted && slices.ContainsFunc(other.Keys, func(k Key) bool { return slices.Contains(d.Keys, k) }) {
			return bugle.KindUnique, true
		}
	}
	docs[d.ID] = *d
	return 0, false
}

// check compares everything that can be asked.
func (m *model) check(t *rapid.T) {
	var living []Document
	for _, id := range []string{"a", "b", "c", "d"} {
		id = m.account + id
		want, ok := m.docs[id]
		ok = ok && !want.Deleted
		if ok {
			living = append(living, want)
		}
		got, err := m.s.Get(t.Context(), m.account, "user", id)
		cached, err2 := m.c.Get(t.Context(), m.account, "user", id)
		if ok != (err == nil) || ok != (err2 == nil) || ok && (string(got.Body) != string(want.Body) || got.Rev != cached.Rev) {
			t.Fatalf("%s is %s %v, cached %s %v, want %s", id, got.Body, err, cached.Body, err2, want.Body)
		}
	}
	for _, number := range []string{"1", "2", "3", "4"} {
		key, holder := Key{"number", m.account, number}, ""
		for _, d := range living {
			if slices.Contains(d.Keys, key) {
				holder = d.ID
			}
		}
		got, _ := m.s.GetByKey(t.Context(), key)
		cached, _ := m.c.GetByKey(t.Context(), key)
		if got.ID != holder || cached.ID != holder {
			t.Fatalf("number %s belongs to %q, cached %q, want %q", number, got.ID, cached.ID, holder)
		}
	}
	slices.SortFunc(living, func(a, b Document) int {
		if c := strings.Compare(string(a.SortKey), string(b.SortKey)); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	for _, owner := range []string{"", "x", "y"} {
		q, index := Query{AccountID: m.account, Type: "user", Limit: 2}, Index{}
		want := []string{}
		if owner != "" {
			index = Index{"owner_id", owner}
			q.Index = &index
		}
		for _, d := range living {
			if owner == "" || slices.Contains(d.Index, index) {
				want = append(want, d.ID)
			}
		}
		got := []string{}
		for {
			docs, next, err := m.s.List(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, ids(docs)...)
			if q.After = next; next == nil {
				break
			}
		}
		cached, err := m.c.ListByIndex(t.Context(), m.account, "user", index)
		if err != nil || cmp.Diff(want, got) != "" || cmp.Diff(want, ids(cached)) != "" {
			t.Fatalf("list of %q is %v, cached %v %v, want %v", owner, got, ids(cached), err, want)
		}
	}
	log, err := m.s.AccountChanges(t.Context(), m.account, 0, 1000)
	if err != nil || len(log) != min(m.changes, 1000) {
		t.Fatalf("%d changes, %v, want %d", len(log), err, m.changes)
	}
	m.replay(t, log)
}

// replay makes the documents from the log alone, forward, and checks that each change knows what was before.
func (m *model) replay(t *rapid.T, log []bugle.Change) {
	bodies := map[string]json.RawMessage{}
	for _, c := range log {
		if string(bodies[c.ID]) != string(c.Before) {
			t.Fatalf("change %d of %s is after %s, says %s", c.Sequence, c.ID, bodies[c.ID], c.Before)
		}
		bodies[c.ID] = c.After
	}
	for id, body := range bodies {
		if d, ok := m.docs[id]; (ok && !d.Deleted) != (body != nil) || body != nil && string(body) != string(d.Body) {
			t.Fatalf("the log leaves %s as %s, want %s", id, body, d.Body)
		}
	}
}
