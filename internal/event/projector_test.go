package event_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"bugle"
	"bugle/internal/contact"
	"bugle/internal/event"
	"bugle/internal/store"
)

type object = map[string]any

func openSQLite(t testing.TB, path string) *store.Store {
	t.Helper()
	s, err := store.OpenSQLite(context.Background(), path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func project(t testing.TB, s *store.Store, batch int) *event.Projector {
	return event.Project(event.ProjectorOptions{Store: s, Batch: batch, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		OnPanic: func(v any) { t.Errorf("panic: %v", v) }})
}

// fail is what both testing.T and rapid.T have.
type fail interface {
	Helper()
	Fatalf(format string, args ...any)
}

func putDoc(t fail, s *store.Store, account, typ, id string, body object) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatalf("%v", err)
	}
	if err := s.Write(context.Background(), func(tx *store.Tx) error {
		return tx.Put(&store.Document{AccountID: account, Type: typ, ID: id, Body: text}, store.AnyRev)
	}); err != nil {
		t.Fatalf("%s %s: %v", typ, id, err)
	}
}

func dropDoc(t fail, s *store.Store, account, typ, id string) {
	t.Helper()
	if err := s.Write(context.Background(), func(tx *store.Tx) error {
		_, err := tx.Delete(account, typ, id, store.AnyRev, false)
		return err
	}); err != nil {
		t.Fatalf("%s %s: %v", typ, id, err)
	}
}

// settle waits until everything that was written is projected.
func settle(t fail, s *store.Store, p *event.Projector) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	position, err := s.Position(ctx)
	if err == nil {
		err = p.Wait(ctx, position)
	}
	if err != nil {
		t.Fatalf("%v", err)
	}
}

// listed are an account's contacts by id, read page by page.
func listed(t fail, r *event.Contacts, account string) map[string]contact.Contact {
	t.Helper()
	out := map[string]contact.Contact{}
	q := contact.Query{AccountID: account, Limit: 7}
	for {
		page, err := r.List(context.Background(), q)
		if err != nil {
			t.Fatalf("%v", err)
		}
		for _, c := range page.Contacts {
			out[c.ID] = c
		}
		if q.After = page.Next; page.Next == nil {
			if page.Total != len(out) {
				t.Fatalf("the list says it has %d contacts, it has %d", page.Total, len(out))
			}
			return out
		}
	}
}

func eventsOf(t fail, r *event.Contacts, account string, after int64) []contact.Event {
	t.Helper()
	var out []contact.Event
	for {
		list, err := r.Events(context.Background(), account, after, 13)
		if err != nil {
			t.Fatalf("%v", err)
		}
		for _, e := range list {
			if e.Cursor != after+1 || e.AccountID != account {
				t.Fatalf("event %d of %s after %d", e.Cursor, e.AccountID, after)
			}
			after = e.Cursor
		}
		if out = append(out, list...); len(list) == 0 {
			return out
		}
	}
}

// scratch is a company as its documents say, kept and composed without anything that the projector uses but the rules for one
// document and one contact.
type scratch map[string]map[string]*contact.Facts // account -> document id -> facts

func (s scratch) apply(c bugle.Change) {
	if s[c.AccountID] == nil {
		s[c.AccountID] = map[string]*contact.Facts{}
	}
	f, err := contact.Read(c.Type, c.ID, c.After)
	if err != nil || f == nil {
		delete(s[c.AccountID], c.ID)
		return
	}
	s[c.AccountID][c.ID] = f
}

func (s scratch) compose(account string) map[string]contact.Contact {
	docs, out := s[account], map[string]contact.Contact{}
	for id, own := range docs {
		a := contact.Around{AccountID: account, Reserved: map[string]bool{}}
		if site := docs[own.Site]; site != nil && site.Type == "site" {
			a.Site = site
		}
		for other, f := range docs {
			switch {
			case f.Reserved:
				a.Reserved[other] = true
			case f.Type != "callflow":
			case f.Target == id, f.Target == "" && f.Slot == "" && slices.Contains(own.Callflows, other):
				a.Callflows = append(a.Callflows, *f)
			case docs[f.Target] != nil && docs[f.Target].Type == "faxbox" && docs[f.Target].Owner == id:
				fax := *f
				fax.Fax = true
				a.Callflows = append(a.Callflows, fax)
			}
		}
		if c, ok := contact.Compose(id, own, a); ok {
			out[id] = c
		}
	}
	return out
}

// plain is a contact without what no document says, and without what no event tells.
func plain(c contact.Contact) contact.Contact {
	c.NumericID, c.AccountNumericID, c.JobTitle, c.Site.Code = "", "", "", ""
	if c.Site.NumericID != contact.MainSite {
		c.Site.NumericID = ""
	}
	return c
}

func plainAll(list map[string]contact.Contact) map[string]contact.Contact {
	out := map[string]contact.Contact{}
	for id, c := range list {
		out[id] = plain(c)
	}
	return out
}

// expected are the events, by account, that the log's changes after a position must have made: the difference of the whole
// company before and after each. Each is written as text.
func (s scratch) expected(changes []bugle.Change) map[string][]string {
	out := map[string][]string{}
	for _, c := range changes {
		before := plainAll(s.compose(c.AccountID))
		s.apply(c)
		after := plainAll(s.compose(c.AccountID))
		for _, id := range slices.Sorted(maps.Keys(union(before, after))) {
			x, was := before[id]
			y, is := after[id]
			kind := contact.Update
			switch {
			case was && !is:
				kind, y = contact.Delete, x
			case is && !was:
				kind = contact.Create
			case contact.Same(&x, &y):
				continue
			}
			out[c.AccountID] = append(out[c.AccountID], told(c.Position, kind, y))
		}
	}
	return out
}

func union(x, y map[string]contact.Contact) map[string]bool {
	out := map[string]bool{}
	for id := range x {
		out[id] = true
	}
	for id := range y {
		out[id] = true
	}
	return out
}

func told(position int64, kind contact.Kind, c contact.Contact) string {
	c = plain(c)
	return fmt.Sprintf("%d %s %s", position, kind, c.Encode())
}

func logOf(t fail, s *store.Store) []bugle.Change {
	t.Helper()
	var out []bugle.Change
	for after := int64(0); ; {
		list, err := s.Changes(context.Background(), after, 1000)
		if err != nil {
			t.Fatalf("%v", err)
		}
		if len(list) == 0 {
			return out
		}
		out = append(out, list...)
		after = list[len(list)-1].Position
	}
}

// check compares what was projected with the log: every event, and the lists; and the lists with what events make of earlier
// lists.
func check(t fail, s *store.Store, base int64, old map[string]map[string]contact.Contact) {
	t.Helper()
	r := event.NewContacts(s)
	company := scratch{}
	log := logOf(t, s)
	var later []bugle.Change
	for i, c := range log {
		if c.Position > base {
			later = log[i:]
			break
		}
		company.apply(c)
	}
	want := company.expected(later)
	for account := range company {
		events := eventsOf(t, r, account, 0)
		got := []string{}
		rebuilt := maps.Clone(old[account])
		if rebuilt == nil {
			rebuilt = map[string]contact.Contact{}
		}
		for _, e := range events {
			got = append(got, told(e.Position, e.Kind, e.Contact))
			before, there := rebuilt[e.Contact.ID]
			if there == (e.Kind == contact.Create) {
				t.Fatalf("event %d of %s is %s of %s", e.Cursor, account, e.Kind, e.Contact.ID)
			}
			if e.Kind == contact.Update {
				if e.Previous == nil || !contact.Same(e.Previous, &before) || !slices.Equal(e.Changed, contact.Changed(&before, &e.Contact)) {
					t.Fatalf("event %d: changed %v from %+v, not from %+v", e.Cursor, e.Changed, e.Previous, before)
				}
			}
			if rebuilt[e.Contact.ID] = e.Contact; e.Kind == contact.Delete {
				delete(rebuilt, e.Contact.ID)
			}
		}
		slices.Sort(got) // the contacts of one change have no order
		wanted := slices.Sorted(slices.Values(want[account]))
		if diff := cmp.Diff(append([]string{}, wanted...), got); diff != "" {
			t.Fatalf("events of %s (-want +got):\n%s", account, diff)
		}
		list := listed(t, r, account)
		if diff := cmp.Diff(plainAll(company.compose(account)), plainAll(list)); diff != "" {
			t.Fatalf("contacts of %s (-documents +list):\n%s", account, diff)
		}
		for id, c := range list {
			if rebuilt[id].NumericID != c.NumericID || rebuilt[id].Site.NumericID != c.Site.NumericID {
				t.Fatalf("%s is %s, was %s", id, c.NumericID, rebuilt[id].NumericID)
			}
		}
		if diff := cmp.Diff(plainAll(rebuilt), plainAll(list)); diff != "" {
			t.Fatalf("contacts of %s (-events +list):\n%s", account, diff)
		}
	}
}

// editor makes edits at random.
type editor struct {
	s      *store.Store
	choose func(label string, n int) int // 0 to n-1
}

func rapidly(t *rapid.T) func(string, int) int {
	return func(label string, n int) int { return rapid.IntRange(0, n-1).Draw(t, label) }
}

var pools = map[string][]string{
	"user": {"u1", "u2", "u3", "u4"}, "callflow": {"f1", "f2", "f3", "f4"}, "site": {"s1", "s2"}, "group": {"g1"}, "menu": {"m1"},
	"vmbox": {"v1"}, "faxbox": {"x1"}, "phone_number": {"+14155550001", "+14155550002"}, "device": {"d1"},
}

func (e *editor) pick(label string, of ...string) string { return of[e.choose(label, len(of))] }

func (e *editor) some(label string, of ...string) []string {
	out := []string{}
	for _, v := range of {
		if e.choose(label+" "+v, 3) == 0 {
			out = append(out, v)
		}
	}
	return out
}

func (e *editor) body(account, typ string) object {
	in := func(id string) string { return account + id }
	switch typ {
	case "user":
		o := object{"first_name": e.pick("first", "Ann", "Bo"), "last_name": e.pick("last", "Lee", "Ng"), "enabled": e.pick("on", "y", "n") == "y",
			"site_id": e.pick("site", "", in("s1"), in("s2")), "password": e.pick("password", "1", "2"),
			"activation": e.pick("activation", "active", "active", "pending"), "mobile_number": e.pick("mobile", "", "+14155559999"),
			"profile":         object{"title": e.pick("title", "Boss", "Clerk")},
			"contact_numbers": []any{object{"number": "+14155558888", "label": e.pick("label", "home", "boat")}},
			"contact_list":    object{"exclude": e.pick("hidden", "n", "n", "y") == "y"}, "profile_image": object{"etag": e.pick("etag", "", "e1")},
			"call_forward": object{"enabled": e.pick("forward", "y", "n") == "y", "number": "4155557777"}}
		ships := object{}
		for _, f := range e.some("member", "f1", "f2") {
			ships["d"+f] = in(f)
		}
		o["directories"] = ships
		return o
	case "callflow":
		o := object{"name": e.pick("name", "Main", "Side"), "numbers": e.some("numbers", "1001", "77", "+14155550001", "+14155550002", "*5")}
		if owner := e.pick("owner", "", "", "u1"); owner != "" {
			o["owner_id"] = in(owner)
		}
		var flow object
		switch e.pick("module", "user", "user", "menu", "group", "voicemail", "faxbox", "receive_fax", "park", "temporal_route") {
		case "user":
			flow = object{"module": "user", "data": object{"id": in(e.pick("user", "u1", "u2"))}}
		case "menu":
			flow = object{"module": "menu", "data": object{"id": in("m1")}}
		case "group":
			flow = object{"module": "ring_group", "data": object{"endpoints": []any{object{"id": in("g1"), "endpoint_type": "group"}}}}
		case "voicemail":
			flow = object{"module": "voicemail", "data": object{"id": in("v1")}}
		case "faxbox":
			flow = object{"module": "faxbox", "data": object{"id": in("x1")}}
		case "receive_fax":
			flow = object{"module": "receive_fax", "data": object{"owner_id": in("u2")}}
		case "park":
			flow = object{"module": "park", "data": object{"slot": "701"}}
		default:
			flow = object{"module": "temporal_route", "data": object{}}
		}
		if e.pick("greeting", "y", "n") == "y" {
			flow = object{"module": "play", "data": object{}, "children": object{"_": flow}}
		}
		o["flow"] = flow
		return o
	case "site":
		return object{"name": e.pick("name", "North", "South"), "code": e.pick("code", "1", "2")}
	case "vmbox", "faxbox":
		return object{"name": e.pick("name", "Info", "Sales"), "owner_id": e.pick("owner", "", in("u1"), in("u3"))}
	case "phone_number":
		return object{"state": e.pick("state", "reserved", "in_service"), "label": e.pick("label", "a", "b")}
	}
	return object{"name": e.pick("name", "Info", "Sales"), "endpoints": object{in(e.pick("member", "u1", "u2")): object{"type": "user"}}}
}

// edit writes one to three documents in one transaction.
func (e *editor) edit() error {
	account := e.pick("account", "a", "b")
	return e.s.Write(context.Background(), func(tx *store.Tx) error {
		for range 1 + e.choose("documents", 3) {
			typ := e.pick("type", "user", "user", "user", "callflow", "callflow", "site", "group", "menu", "vmbox", "faxbox", "phone_number", "device")
			id := e.pick("id", pools[typ]...)
			if !strings.HasPrefix(id, "+") || account == "b" { // a number is one account's; the other has none of them
				id = account + id
			}
			if e.pick("what", "put", "put", "put", "drop") == "put" {
				text, err := json.Marshal(e.body(account, typ))
				if err != nil {
					return err
				}
				if err := tx.Put(&store.Document{AccountID: account, Type: typ, ID: id, Body: text}, store.AnyRev); err != nil {
					return err
				}
				continue
			}
			if _, err := tx.Delete(account, typ, id, store.AnyRev, e.pick("hard", "y", "n") == "y"); err != nil && bugle.KindOf(err) != bugle.KindNotFound {
				return err
			}
		}
		return nil
	})
}

// TestEventsRebuildTheDirectory is the strongest of them: after edits at random, with restarts between, the events are exactly
// the differences that each change made to the whole company.
func TestEventsRebuildTheDirectory(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp("", "bugle-projector")
		if err != nil {
			rt.Fatalf("%v", err)
		}
		defer os.RemoveAll(dir)
		s := openSQLite(t, filepath.Join(dir, "bugle.db"))
		defer func() { s.Close() }()
		e := &editor{s, rapidly(rt)}
		edit := func() {
			if err := e.edit(); err != nil {
				rt.Fatalf("%v", err)
			}
		}
		for range rapid.IntRange(0, 10).Draw(rt, "before") { // documents that were there first
			edit()
		}
		p := project(t, s, rapid.IntRange(1, 6).Draw(rt, "batch"))
		defer func() { p.Close() }()
		settle(rt, s, p)
		base, err := s.Position(context.Background())
		if err != nil {
			rt.Fatalf("%v", err)
		}
		r := event.NewContacts(s)
		old := map[string]map[string]contact.Contact{"a": listed(rt, r, "a"), "b": listed(rt, r, "b")}
		if n := len(eventsOf(rt, r, "a", 0)) + len(eventsOf(rt, r, "b", 0)); n > 0 {
			rt.Fatalf("the first load made %d events", n)
		}
		for range rapid.IntRange(1, 25).Draw(rt, "edits") {
			edit()
			if rapid.IntRange(0, 9).Draw(rt, "restart") == 0 {
				p.Close()
				p = project(t, s, rapid.IntRange(1, 6).Draw(rt, "batch"))
			}
		}
		settle(rt, s, p)
		check(rt, s, base, old)
	})
}
