package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"bugle/internal/bugletest"
)

// happening is what an event tells: the contact after it, in the form in which lists and events of both APIs are alike.
type happening struct {
	contact, kind, entry string
}

// alike is a contact of a list or an event as the other has it too. What only one of them tells is left out.
func alike(t map[string]any) string {
	t = maps.Clone(t)
	for _, key := range []string{"eventType", "jobTitle", "changedFields", "previous"} {
		delete(t, key)
	}
	if t["type"] == "User" { // lists name what is no person
		delete(t, "name")
	}
	if site, ok := t["site"].(map[string]any); ok {
		t["site"] = map[string]any{"id": site["id"], "name": site["name"]}
	}
	if account, ok := t["account"].(map[string]any); ok {
		t["account"] = map[string]any{"id": account["id"]}
	}
	if image, ok := t["profileImage"].(map[string]any); ok { // where it is depends on how one asks
		t["profileImage"] = map[string]any{"etag": image["etag"]}
	}
	numbers := []any{}
	if list, ok := t["phoneNumbers"].([]any); ok {
		for _, n := range list {
			n := maps.Clone(n.(map[string]any))
			delete(n, "formattedPhoneNumber")
			numbers = append(numbers, n)
		}
	}
	t["phoneNumbers"] = numbers
	text, err := json.Marshal(t) // whose keys are in order
	if err != nil {
		panic(err)
	}
	return string(text)
}

// ofKazoo is a contact of the KAZOO API as the RingCentral API shows it.
func ofKazoo(t map[string]any, account string) map[string]any {
	out := map[string]any{"account": map[string]any{"id": account}}
	for from, to := range map[string]string{"numeric_id": "id", "type": "type", "status": "status", "first_name": "firstName", "last_name": "lastName", "name": "name",
		"department": "department", "email": "email", "extension_number": "extensionNumber"} {
		if value, ok := t[from]; ok {
			out[to] = value
		}
	}
	site := t["site"].(map[string]any)
	out["site"] = map[string]any{"id": site["numeric_id"], "name": site["name"]}
	numbers := []any{}
	for _, n := range t["phone_numbers"].([]any) {
		n := n.(map[string]any)
		number := map[string]any{"phoneNumber": n["phone_number"], "usageType": n["usage_type"]}
		if n["type"] != nil {
			number["type"] = n["type"]
		}
		numbers = append(numbers, number)
	}
	out["phoneNumbers"] = numbers
	if image, ok := t["profile_image"].(map[string]any); ok {
		out["profileImage"] = map[string]any{"etag": image["etag"]}
	}
	return out
}

// hearing is what one subscription was told. It may be told the same again, with the same bytes, and after a crash several of a contact
// from an earlier one on, but in their order.
type hearing struct {
	name string

	mu       sync.Mutex
	bodies   map[string]string   // of each uuid
	uuids    map[string][]string // of each contact, in the order of their first coming
	place    map[string]int      // of the last that came in each contact's uuids
	events   []happening         // each once
	repeated int
	faults   []string
}

func newHearing(name string) *hearing {
	return &hearing{name: name, bodies: map[string]string{}, uuids: map[string][]string{}, place: map[string]int{}}
}

func (h *hearing) hear(body []byte) {
	var n struct {
		UUID string
		Body struct{ Contacts []map[string]any }
	}
	err := json.Unmarshal(body, &n)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil || n.UUID == "" || len(n.Body.Contacts) == 0 || len(n.Body.Contacts) > 100 {
		h.faults = append(h.faults, fmt.Sprintf("no notification: %v %s", err, body))
		return
	}
	before, again := h.bodies[n.UUID]
	if h.bodies[n.UUID] = string(body); again {
		h.repeated++
		if before != string(body) {
			h.faults = append(h.faults, fmt.Sprintf("other bytes of one uuid:\n%s\n%s", before, body))
		}
	}
	in := map[any]bool{}
	for _, c := range n.Body.Contacts {
		id, _ := c["id"].(string)
		kind, _ := c["eventType"].(string)
		if in[id] {
			h.faults = append(h.faults, "a contact twice in one notification: "+id)
		}
		in[id] = true
		at := slices.Index(h.uuids[id], n.UUID)
		if at < 0 {
			at = len(h.uuids[id])
			h.uuids[id] = append(h.uuids[id], n.UUID)
		}
		if last, known := h.place[id]; known && at > last+1 {
			h.faults = append(h.faults, fmt.Sprintf("of %s the %d. came after the %d.", id, at+1, last+1))
		}
		if h.place[id] = at; again {
			continue
		}
		h.events = append(h.events, happening{id, kind, alike(c)})
	}
}

func (h *hearing) all() []happening {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.events)
}

func (h *hearing) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.bodies) + h.repeated
}

// hookOf receives a webhook's deliveries. One of so many is answered with a failure after it was heard, or not at all; 0: none.
func hookOf(t *testing.T, h *hearing, failing int) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token := r.Header.Get("Validation-Token"); token != "" {
			w.Header().Set("Validation-Token", token)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the server was killed as it sent it
		}
		if h.hear(body); failing == 0 || rand.IntN(failing) > 0 {
			return
		}
		if rand.IntN(2) == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		panic(http.ErrAbortHandler) // which closes the connection
	}))
	t.Cleanup(s.Close)
	return s
}

// byContact parts events into those of each contact, in order.
func byContact(list []happening) map[string][]happening {
	out := map[string][]happening{}
	for _, e := range list {
		out[e.contact] = append(out[e.contact], e)
	}
	return out
}

// listing is the whole directory by id.
func listing(ctx context.Context, rc *bugletest.RingCentral) (map[string]string, error) {
	list, err := rc.Entries(ctx)
	out := map[string]string{}
	for _, entry := range list {
		id, _ := entry["id"].(string)
		if out[id] != "" {
			return nil, fmt.Errorf("%s is listed twice", id)
		}
		out[id] = alike(entry)
	}
	return out, err
}

// replay carries events out on an old listing, and refuses what cannot be.
func replay(old map[string]string, events []happening) (map[string]string, error) {
	list := maps.Clone(old)
	for i, e := range events {
		before, there := list[e.contact]
		switch {
		case e.kind == "Create" && !there, e.kind == "Update" && there && before != e.entry:
			list[e.contact] = e.entry
		case e.kind == "Delete" && before == e.entry:
			delete(list, e.contact)
		default:
			return nil, fmt.Errorf("event %d is %s of %s, which is %s", i+1, e.kind, e.entry, cmp.Or(before, "not there"))
		}
	}
	return list, nil
}

// differs says how two listings differ.
func differs(got, want map[string]string) error {
	var lines []string
	for id, entry := range want {
		if got[id] != entry {
			lines = append(lines, fmt.Sprintf("%s is %s, want %s", id, cmp.Or(got[id], "missing"), entry))
		}
	}
	for id := range got {
		if want[id] == "" {
			lines = append(lines, "too much: "+got[id])
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return fmt.Errorf("the listings differ in %d contacts:\n%s", len(lines), strings.Join(lines[:min(len(lines), 5)], "\n"))
}

// feed reads the changes of the directory after a cursor over the KAZOO API, "" for where it is now.
func feed(ctx context.Context, api *bugletest.API, account, after string) (list []happening, cursor string, err error) {
	for {
		var page struct {
			Changes []struct {
				Kind    string         `json:"event_type"`
				Contact map[string]any `json:"contact"`
			}
			Cursor string
			More   bool
		}
		query := ""
		if after != "" {
			query = "?after=" + after
		}
		if err := api.Do(ctx, "GET", api.Account("directory", "changes")+query, nil, &page); err != nil {
			return nil, "", err
		}
		for _, c := range page.Changes {
			shown := ofKazoo(c.Contact, account)
			list = append(list, happening{shown["id"].(string), c.Kind, alike(shown)})
		}
		if cursor = page.Cursor; !page.More || after == "" {
			return list, cursor, nil
		}
		after = cursor
	}
}

// accountOf is the numeric id of the account of a listing.
func accountOf(list map[string]string) (id string) {
	for _, text := range list {
		var entry struct{ Account struct{ ID string } }
		if json.Unmarshal([]byte(text), &entry) == nil {
			return entry.Account.ID
		}
	}
	return ""
}
