package event_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bugle"
	"bugle/internal/contact"
	"bugle/internal/event"
	"bugle/internal/store"
)

// house is a store with a projector and a reader.
type house struct {
	*testing.T
	s *store.Store
	p *event.Projector
	r *event.Contacts
}

func newHouse(t *testing.T) *house {
	t.Helper()
	s := openSQLite(t, filepath.Join(t.TempDir(), "bugle.db"))
	t.Cleanup(func() { s.Close() })
	h := &house{t, s, project(t, s, 0), event.NewContacts(s)}
	t.Cleanup(func() { h.p.Close() })
	settle(t, s, h.p)
	return h
}

func (h *house) put(typ, id string, body object) { h.Helper(); putDoc(h, h.s, "a", typ, id, body) }

// want checks which events there are after a cursor, as "Kind id changed,fields", and returns the last cursor.
func (h *house) want(step string, after int64, want ...string) int64 {
	h.Helper()
	settle(h, h.s, h.p)
	got := []string{}
	for _, e := range eventsOf(h, h.r, "a", after) {
		got = append(got, strings.TrimSpace(fmt.Sprint(e.Kind, " ", e.Contact.ID, " ", strings.Join(e.Changed, ","))))
		after = e.Cursor
	}
	if !slices.Equal(got, append([]string{}, want...)) {
		h.Fatalf("%s: events %q, want %q", step, got, want)
	}
	return after
}

func (h *house) get(id string) contact.Contact {
	h.Helper()
	c, err := h.r.Get(context.Background(), "a", id)
	if err != nil {
		h.Fatalf("%s: %v", id, err)
	}
	return c
}

func flowTo(module, id string, numbers ...string) object {
	return object{"numbers": numbers, "flow": object{"module": module, "data": object{"id": id}}}
}

// TestWhatAltersAContact walks one company through everything that may be told, and what may not.
func TestWhatAltersAContact(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ann := object{"first_name": "Ann", "last_name": "Lee", "email": "ann@example.com"}
	with := func(more object) object {
		for k, v := range ann {
			if _, given := more[k]; !given {
				more[k] = v
			}
		}
		ann = more
		return more
	}
	at := int64(0)
	step := func(name string, do func(), want ...string) {
		h.Helper()
		do()
		at = h.want(name, at, want...)
	}
	user := func(more object) func() { return func() { h.Helper(); h.put("user", "u", with(more)) } }
	step("a person", user(object{}), "Create u")
	id := h.get("u").NumericID
	step("what nobody sees", user(object{"password": "x", "timezone": "UTC", "profile": object{"title": "Boss"}}))
	if h.get("u").JobTitle != "Boss" {
		t.Error("the list has no job title")
	}
	step("a department", user(object{"department": "Sales"}), "Update u department")
	step("pending", user(object{"activation": "pending", "enabled": false}), "Update u status")
	step("activated", user(object{"activation": "active"}), "Update u status")
	if c := h.get("u"); c.Status != contact.Disabled {
		t.Error(c.Status)
	}
	step("enabled", user(object{"enabled": true}), "Update u status")
	step("a site that is not there", user(object{"site_id": "s"}))
	step("the site", func() { h.put("site", "s", object{"name": "North"}) }, "Update u site")
	step("its code", func() { h.put("site", "s", object{"name": "North", "code": "N"}) })
	step("its name", func() { h.put("site", "s", object{"name": "Far North", "code": "N"}) }, "Update u site")
	step("no site", func() { dropDoc(h, h.s, "a", "site", "s") }, "Update u site")
	step("the site again", func() { h.put("site", "s", object{"name": "North"}) }, "Update u site")
	step("several at once", user(object{"first_name": "Anna", "mobile_number": "(415) 555-0101", "call_forward": object{"enabled": true, "number": "4155550102"}}),
		"Update u firstName,name,phoneNumbers")
	step("contact numbers", user(object{"contact_numbers": []any{"+14155550103", object{"number": "415 555 0104", "label": "home"}}}), "Update u phoneNumbers")
	step("a label", user(object{"contact_numbers": []any{"+14155550103", object{"number": "415 555 0104", "label": "boat"}}}))
	step("another order", user(object{"contact_numbers": []any{"4155550104", "+14155550103"}}))
	step("a callflow", func() { h.put("callflow", "f", flowTo("user", "u", "1001", "77", "+14155550100", "*9")) }, "Update u extensionNumber,phoneNumbers")
	want := []contact.PhoneNumber{{Number: "+14155550100", Usage: "DirectNumber", Type: "VoiceFax"}, {Number: "+14155550102", Usage: "ForwardedNumber"},
		{Number: "+14155550101", Usage: "MobileNumber"}, {Number: "+14155550104", Usage: "ContactNumber"}, {Number: "+14155550103", Usage: "ContactNumber"}}
	if c := h.get("u"); c.Extension != "77" || !slices.Equal(c.PhoneNumbers, want) {
		t.Errorf("%q %+v", c.Extension, c.PhoneNumbers)
	}
	step("a number that is reserved", func() { h.put("phone_number", "+14155550100", object{"state": "reserved"}) }, "Update u phoneNumbers")
	step("in service", func() { h.put("phone_number", "+14155550100", object{"state": "in_service"}) }, "Update u phoneNumbers")
	step("what the number is called", func() {
		h.put("phone_number", "+14155550100", object{"state": "in_service", "cnam": object{"display_name": "x"}})
	})
	step("a fax box", func() { h.put("faxbox", "x", object{"name": "Fax", "owner_id": "u"}) })
	step("its number", func() { h.put("callflow", "xf", flowTo("faxbox", "x", "3000", "+14155550200")) }, "Update u phoneNumbers")
	if n := h.get("u").PhoneNumbers[1]; n.Type != "FaxOnly" || n.Number != "+14155550200" || h.get("u").Extension != "77" {
		t.Errorf("%+v", n)
	}
	step("nobody's fax box", func() { h.put("faxbox", "x", object{"name": "Fax"}) }, "Update u phoneNumbers")
	step("a night switch", func() {
		h.put("callflow", "n", object{"numbers": []string{"5", "+14155550300"}, "flow": object{"module": "temporal_route"}})
	})
	step("joins by it", user(object{"directories": object{"d": "n"}}), "Update u extensionNumber,phoneNumbers")
	step("its number is reserved", func() { h.put("phone_number", "+14155550300", object{"state": "reserved"}) }, "Update u phoneNumbers")
	step("its number is released", func() { dropDoc(h, h.s, "a", "phone_number", "+14155550300") }, "Update u phoneNumbers")
	step("leaves", user(object{"directories": object{}}), "Update u extensionNumber,phoneNumbers")
	step("a picture", user(object{"profile_image": object{"etag": "e1"}}), "Update u profileImage")
	step("hidden", user(object{"contact_list": object{"exclude": true}}), "Delete u")
	step("shown", user(object{"contact_list": object{}}), "Create u")
	step("deleted", func() { dropDoc(h, h.s, "a", "user", "u") }, "Delete u")
	step("brought back", user(object{}), "Create u")
	if c := h.get(id); c.ID != "u" {
		t.Errorf("%s was %s", c.NumericID, id)
	}
	step("a group", func() { h.put("group", "g", object{"name": "Sales", "endpoints": object{}}) })
	step("that is reached", func() { h.put("callflow", "gf", object{"numbers": []string{"2000"}, "group_id": "g"}) }, "Create g")
	step("another extension", func() { h.put("callflow", "gf", object{"numbers": []string{"200"}, "group_id": "g"}) }, "Update g extensionNumber")
	step("a menu", func() {
		h.put("menu", "m", object{"name": "Main"})
		h.put("callflow", "mf", flowTo("menu", "m", "0"))
	}, "Create m")
	step("a mailbox", func() {
		h.put("vmbox", "v", object{"name": "Info"})
		h.put("callflow", "vf", flowTo("voicemail", "v", "300"))
	}, "Create v")
	step("is somebody's", func() { h.put("vmbox", "v", object{"name": "Info", "owner_id": "u"}) }, "Delete v")
	step("a slot", func() {
		h.put("callflow", "p", object{"numbers": []string{"701"}, "flow": object{"module": "park", "data": object{"slot": "701"}}})
	}, "Create p")
	if c := h.get("p"); c.Type != contact.ParkLocation || c.Name != "Park 701" || c.Extension != "701" || c.Site.NumericID != contact.MainSite {
		t.Errorf("%+v", c)
	}
	step("has no extension", func() {
		h.put("callflow", "p", object{"patterns": []string{"x"}, "flow": object{"module": "park", "data": object{"slot": "701"}}})
	}, "Delete p")
	check(h, h.s, 0, nil)
}

// TestNumericIDsStay: an id is the same for ever, one for each, whoever asks first.
func TestNumericIDsStay(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var mu sync.Mutex
	var asking sync.WaitGroup
	seen := map[string]map[string]bool{}
	for range 4 {
		asking.Go(func() {
			for i := range 20 {
				id := fmt.Sprint("doc", i)
				n, err := h.r.Numeric(t.Context(), "a", event.KindAccount, id)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				if seen[n] == nil {
					seen[n] = map[string]bool{}
				}
				seen[n][id] = true
				mu.Unlock()
			}
		})
	}
	asking.Wait()
	if len(seen) != 20 {
		t.Errorf("%d ids of 20 documents", len(seen))
	}
	for n, ids := range seen {
		account, document, err := h.r.Document(t.Context(), event.KindAccount, n)
		if len(ids) != 1 || err != nil || account != "a" || !ids[document] || len(n) > 16 || n > "9007199254740991" && len(n) == 16 {
			t.Errorf("%s is of %v, %s, %v", n, ids, document, err)
		}
	}
	for _, bad := range []string{"", "x", "1", "-5", "01", "99999999999999999999"} {
		if _, _, err := h.r.Document(t.Context(), event.KindAccount, bad); bugle.KindOf(err) != bugle.KindNotFound || err == nil {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestContactsAreFound(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.put("site", "0123456789abcdef0123456789abcdef", object{"name": "North"})
	for i, name := range []string{"Ann Lee", "Zoë Åkesson", "bob lee", "Çelik 100%_", "Ng"} {
		first, last, _ := strings.Cut(name, " ")
		body := object{"first_name": first, "last_name": last, "email": fmt.Sprint("p", i, "@example.com"), "mobile_number": fmt.Sprint("+1415555010", i)}
		if i == 1 {
			body["site_id"], body["profile"] = "0123456789abcdef0123456789abcdef", object{"title": "Boss"}
		}
		h.put("user", fmt.Sprint("u", i), body)
	}
	h.put("menu", "m", object{"name": "Main"})
	h.put("callflow", "f", flowTo("menu", "m", "100"))
	settle(t, h.s, h.p)
	site := h.get("u1").Site.NumericID
	for _, c := range []struct {
		q    contact.Query
		want string
	}{
		{contact.Query{}, "u3 u1 u0 u2 m u4"},
		{contact.Query{Types: []contact.Type{contact.IvrMenu, contact.Voicemail}}, "m"},
		{contact.Query{Types: []contact.Type{contact.User}}, "u3 u1 u0 u2 u4"},
		{contact.Query{SiteID: site}, "u1"}, {contact.Query{SiteID: "0123456789abcdef0123456789abcdef"}, "u1"},
		{contact.Query{SiteID: contact.MainSite}, "u3 u0 u2 m u4"}, {contact.Query{SiteID: "12345"}, ""},
		{contact.Query{Search: "LEE"}, "u0 u2"}, {contact.Query{Search: "akess"}, "u1"}, {contact.Query{Search: "zoë å"}, "u1"},
		{contact.Query{Search: "555-0103"}, "u3"}, {contact.Query{Search: "0%_"}, "u3"}, {contact.Query{Search: "%"}, "u3"},
		{contact.Query{Search: "lee", Fields: []string{"firstName", "email"}}, ""}, {contact.Query{Search: "boss", Fields: []string{"jobTitle"}}, "u1"},
		{contact.Query{Search: "0100"}, "u0"}, {contact.Query{Search: "example", Types: []contact.Type{contact.IvrMenu}}, ""},
		{contact.Query{AccountID: "b"}, ""}, {contact.Query{Search: "\u0301"}, ""},
	} {
		if c.q.AccountID == "" {
			c.q.AccountID = "a"
		}
		want := strings.Fields(c.want)
		for _, limit := range []int{0, 1, 2} { // by key
			c.q.Limit, c.q.After = limit, nil
			var got []string
			for {
				page, err := h.r.List(t.Context(), c.q)
				if err != nil {
					t.Fatal(err)
				}
				if page.Total != len(want) {
					t.Errorf("%+v: %d in all", c.q, page.Total)
				}
				for i := range page.Contacts {
					got = append(got, page.Contacts[i].ID)
				}
				if c.q.After = page.Next; page.Next == nil {
					break
				}
			}
			if !slices.Equal(got, want) && len(got)+len(want) > 0 {
				t.Errorf("%+v: %q, want %q", c.q, got, want)
			}
		}
		c.q.Limit, c.q.After = 2, nil
		var got []string
		for c.q.Skip = 0; c.q.Skip < len(want); c.q.Skip += 2 { // by number
			page, err := h.r.List(t.Context(), c.q)
			if err != nil || page.Total != len(want) || (page.Next == nil) != (c.q.Skip+2 >= len(want)) {
				t.Fatal(c.q, page.Total, page.Next, err)
			}
			for i := range page.Contacts {
				got = append(got, page.Contacts[i].ID)
			}
		}
		if !slices.Equal(got, want) && len(want) > 0 {
			t.Errorf("%+v by number: %q, want %q", c.q, got, want)
		}
	}
	if _, err := h.r.Get(t.Context(), "b", "u1"); bugle.KindOf(err) != bugle.KindNotFound {
		t.Errorf("another account reads a contact: %v", err)
	}
}

// TestEventsGo: what retention removed is told to be gone, and so is what never was.
func TestEventsGo(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	gone := func(after int64) {
		t.Helper()
		if _, err := h.r.Events(t.Context(), "a", after, 0); !errors.Is(err, contact.ErrGone) || bugle.KindOf(err) != bugle.KindNotFound {
			t.Errorf("after %d: %v", after, err)
		}
	}
	for i := range 5 {
		h.put("user", fmt.Sprint("u", i), object{"first_name": "x"})
	}
	h.want("five", 0, "Create u0", "Create u1", "Create u2", "Create u3", "Create u4")
	before, revision, err := h.r.State(t.Context(), "a")
	if err != nil || before != 5 || revision != 5 {
		t.Error(before, revision, err)
	}
	gone(6)
	gone(-1)
	if n, err := h.s.SweepDirectoryEvents(t.Context(), time.Now().Add(-time.Hour)); n != 0 || err != nil {
		t.Error(n, err)
	}
	if n, err := h.s.SweepDirectoryEvents(t.Context(), time.Now().Add(time.Hour)); n != 5 || err != nil {
		t.Error(n, err)
	}
	gone(0)
	gone(4)
	h.want("none", 5)
	h.put("user", "u0", object{"first_name": "y"})
	h.want("the next", 5, "Update u0 firstName,name")
	gone(4)
}

// TestProjectorLost: when the log was swept before it was read, everything is compared, and what differs is told.
func TestProjectorLost(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s, err := store.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "bugle.db"), store.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p := project(t, s, 0)
	settle(t, s, p)
	for _, id := range []string{"stays", "changes", "goes"} {
		putDoc(t, s, "a", "user", id, object{"first_name": id})
	}
	settle(t, s, p)
	p.Close()
	putDoc(t, s, "a", "user", "changes", object{"first_name": "Changed"})
	putDoc(t, s, "a", "user", "comes", object{"first_name": "New"})
	dropDoc(t, s, "a", "user", "goes")
	now = now.Add(100 * 24 * time.Hour)
	if n, err := s.Sweep(t.Context()); err != nil || n != 6 {
		t.Fatal(n, err)
	}
	putDoc(t, s, "a", "user", "late", object{"first_name": "Late"})
	h := &house{t, s, project(t, s, 0), event.NewContacts(s)}
	defer h.p.Close()
	h.want("all compared", 3, "Update changes firstName,name", "Create comes", "Create late", "Delete goes")
	dropDoc(t, s, "a", "user", "late")
	h.want("goes on", 7, "Delete late")
}
