package kazoo_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bugle/internal/event/kazoo"
	"bugle/internal/store"
)

// seen is one request that arrived.
type seen struct {
	method, path, query, body string
	header                    http.Header
}

// sink takes requests and answers them.
type sink struct {
	mu     sync.Mutex
	got    []seen
	status int
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, seen{r.Method, r.URL.Path, r.URL.RawQuery, string(body), r.Header})
	if s.status != 0 {
		w.WriteHeader(s.status)
	}
}

// to are the requests to a path, once there are n.
func (s *sink) to(t *testing.T, path string, n int) (out []seen) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		out = nil
		s.mu.Lock()
		for _, r := range s.got {
			if r.path == path {
				out = append(out, r)
			}
		}
		s.mu.Unlock()
		if len(out) >= n {
			return out
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d requests to %s", len(out), n, path)
		}
	}
}

type house struct {
	*running
	t    *testing.T
	sink *sink
	url  string
}

func newHouse(t *testing.T) *house {
	t.Helper()
	r, err := serve(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	h := &house{running: r, t: t, sink: &sink{}}
	server := httptest.NewServer(h.sink)
	t.Cleanup(server.Close)
	h.url = server.URL
	return h
}

func (h *house) put(account, typ, id string, body map[string]any, index ...store.Index) {
	h.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := h.s.Write(h.t.Context(), func(tx *store.Tx) error {
		return tx.Put(&store.Document{AccountID: account, Type: typ, ID: id, Body: text, Index: index}, store.AnyRev)
	}); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) remove(account, typ, id string) {
	h.t.Helper()
	if err := h.s.Write(h.t.Context(), func(tx *store.Tx) error {
		_, err := tx.Delete(account, typ, id, store.AnyRev, false)
		return err
	}); err != nil {
		h.t.Fatal(err)
	}
}

// hook is a webhook document whose requests go to the path of its id; more replaces keys.
func (h *house) hook(account, id string, more map[string]any) {
	h.t.Helper()
	body := map[string]any{"name": id, "hook": "object", "uri": h.url + "/" + id, "format": "json"}
	for key, value := range more {
		body[key] = value
	}
	h.put(account, "webhook", id, body)
	h.settle()
}

// settle waits until the webhooks are as they were written, so that events of calls find them.
func (h *house) settle() {
	h.t.Helper()
	at, err := h.s.Position(h.t.Context())
	if err == nil {
		err = h.hooks.Wait(h.t.Context(), at)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

func decoded(t *testing.T, body string) (doc map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		t.Fatal(err, body)
	}
	return doc
}

func TestObjectHooks(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	type object = map[string]any
	h.put("top", "account", "top", object{})
	h.put("acme", "account", "acme", object{}, store.Index{Name: "ancestor", Value: "top"})
	h.hook("acme", "every", nil)
	h.hook("acme", "users", object{"custom_data": object{"type": "user", "action": "all", "a": object{"b": []any{1, "x"}}, "id": "mine"}})
	h.hook("acme", "deleted", object{"custom_data": object{"action": "doc_deleted"}})
	h.hook("acme", "form", object{"format": "form-data", "custom_data": object{"type": "user", "a": object{"b": []any{1, "x y"}}, "n": nil}})
	h.hook("acme", "get", object{"http_verb": "get", "uri": h.url + "/get?k=v#there", "custom_data": object{"type": "user"}})
	h.hook("acme", "put", object{"http_verb": "put", "custom_data": object{"type": "user"}})
	h.hook("acme", "modified", object{"modifiers": object{"type": []any{"device", "menu"}, "absent": "x"}})
	h.hook("acme", "off", object{"enabled": false})
	h.hook("acme", "calls", object{"hook": "channel_create"})
	h.hook("top", "above", object{"include_subaccounts": true})
	h.hook("top", "aloof", nil)
	h.hook("rival", "rival", nil)
	h.put("acme", "user", "u1", object{"first_name": "Ann"})
	h.put("acme", "user", "u1", object{"first_name": "Anna"})
	h.put("acme", "device", "d1", object{})
	h.remove("acme", "user", "u1")

	text := func(list []seen) (out []string) {
		told := map[string]bool{} // ids of deliveries: an answer that came too late is asked for once more
		for _, r := range list {
			id := r.header.Get("webhook-id")
			if told[id] {
				continue
			}
			told[id] = true
			if d := decoded(t, r.body); d["type"] != "webhook" && d["type"] != "account" {
				out = append(out, fmt.Sprint(d["action"], " ", d["type"], " ", d["id"], " ", d["account_id"], " ", d["cluster_id"]))
			}
		}
		slices.Sort(out) // KAZOO promises no order
		return out
	}
	want := []string{"doc_created device d1 acme c1", "doc_created user u1 acme c1", "doc_deleted user u1 acme c1", "doc_edited user u1 acme c1"}
	for _, path := range []string{"/every", "/above"} {
		var got []string
		for deadline := time.Now().Add(20 * time.Second); len(got) < 4 && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			got = text(h.sink.to(t, path, 1))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q", path, got)
		}
	}
	users := h.sink.to(t, "/users", 3)
	d := decoded(t, users[0].body)
	if d["id"] != "mine" || fmt.Sprint(d["a"]) != "map[b:[1 x]]" || d["type"] != "user" || !strings.Contains(users[0].body, "\n  \"") {
		t.Error(users[0].body)
	}
	if r := users[0]; r.method != "POST" || r.header.Get("X-Hook-ID") != "users" || r.header.Get("X-Account-ID") != "acme" ||
		r.header.Get("Content-Type") != "application/json" || len(r.header.Get("webhook-id")) != 36 {
		t.Errorf("%+v", r)
	}
	form := h.sink.to(t, "/form", 3)[0]
	values, err := url.ParseQuery(form.body)
	if err != nil || fmt.Sprint(values["a[b][]"]) != "[1 x y]" || values.Get("type") != "user" || values.Has("n") ||
		form.header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		t.Error(form.body, err)
	}
	get := h.sink.to(t, "/get", 3)[0]
	values, err = url.ParseQuery(get.query)
	if err != nil || get.method != "GET" || values.Get("k") != "v" || values.Get("type") != "user" || get.body != "" {
		t.Errorf("%+v", get)
	}
	if r := h.sink.to(t, "/put", 3)[0]; r.method != "PUT" {
		t.Errorf("%+v", r)
	}
	if got := text(h.sink.to(t, "/modified", 1)); !slices.Equal(got, []string{"doc_created device d1 acme c1"}) {
		t.Error(got)
	}
	if got := text(h.sink.to(t, "/deleted", 1)); !slices.Equal(got, []string{"doc_deleted user u1 acme c1"}) {
		t.Error(got)
	}
	for _, path := range []string{"/off", "/calls", "/rival"} {
		if got := text(h.sink.to(t, path, 0)); len(got) != 0 {
			t.Errorf("%s: %q", path, got)
		}
	}
	for _, r := range h.sink.to(t, "/aloof", 0) {
		if decoded(t, r.body)["account_id"] != "top" {
			t.Error(r.body)
		}
	}
}

func TestHookEdits(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	type object = map[string]any
	h.sink.status = 500
	h.hook("acme", "sick", object{"retries": 5, "custom_data": object{"type": "user"}})
	h.put("acme", "user", "u1", object{})
	h.put("acme", "user", "u2", object{})
	// Six failures, and it is switched off.
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		d, err := h.s.Get(t.Context(), "acme", "webhook", "sick")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(d.Body), `"enabled":false`) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it is not switched off")
		}
	}
	h.settle()
	h.put("acme", "user", "u3", object{}) // of which it is not told
	// What waits is given up; on again, all that failed can be sent again.
	for _, id := range []string{"u1", "u2"} {
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			list, _, err := h.s.Deliveries(t.Context(), store.HookQuery{AccountID: "acme", Endpoint: "sick", States: []store.HookState{store.HookDead}})
			if err != nil {
				t.Fatal(err)
			}
			if len(list) == 2 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal(id, len(list), "dead")
			}
		}
	}
	h.sink.mu.Lock()
	h.sink.status = 0
	h.sink.mu.Unlock()
	h.hook("acme", "sick", object{"custom_data": object{"type": "user"}})
	before := len(h.sink.to(t, "/sick", 6))
	if n, err := h.s.Resend(t.Context(), store.HookQuery{AccountID: "acme", Endpoint: "sick", States: []store.HookState{store.HookDead}}); n != 2 || err != nil {
		t.Fatal(n, "sent again", err)
	}
	h.sink.to(t, "/sick", before+2)
	// A deleted webhook is told nothing more, and what waits for it is dropped.
	h.remove("acme", "webhook", "sick")
	h.put("acme", "user", "u4", object{})
	h.settle()
	for _, r := range h.sink.to(t, "/sick", 0) {
		if id := decoded(t, r.body)["id"]; id == "u3" || id == "u4" {
			t.Error("it was told of", id)
		}
	}
}

func TestChannelHooks(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	type object = map[string]any
	h.hook("acme", "create", object{"hook": "channel_create"})
	h.hook("acme", "destroy", object{"hook": "channel_destroy"})
	h.hook("acme", "outside", object{"hook": "all", "include_internal_legs": false, "modifiers": object{"call_direction": "outbound"}})
	h.hook("acme", "c2c", object{"hook": "clicktocall"})
	h.hook("rival", "rival", object{"hook": "all"})
	at := time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC)
	leg := kazoo.Channel{Event: kazoo.EventCreate, AccountID: "acme", At: at, CallID: "c1", AuthorizingID: "d1", AuthorizingType: "device",
		OwnerID: "u1", Direction: "inbound", CallerName: "Ann", CallerNumber: "1001", CalleeNumber: "1002", From: "1001@acme.test",
		To: "1002@acme.test", Request: "1002@acme.test", Variables: map[string]string{"k": "v"}, Created: at}
	h.hooks.Channel(leg)
	leg.CallID, leg.Direction, leg.Internal = "c2", "outbound", true
	h.hooks.Channel(leg)
	leg.Event, leg.CallID, leg.Internal = kazoo.EventDestroy, "c3", false
	leg.HangupCause, leg.HangupCode, leg.Duration, leg.Billing, leg.Ringing = "NORMAL_CLEARING", "sip:200", 65*time.Second, 60*time.Second, 5*time.Second
	h.hooks.Channel(leg)
	h.hooks.Attempt(kazoo.Attempt{ID: "a1", AccountID: "acme", Endpoint: "e1", Contact: "1002", State: "ringing", At: at})
	created := h.sink.to(t, "/create", 2)
	slices.SortFunc(created, func(a, b seen) int {
		return strings.Compare(fmt.Sprint(decoded(t, a.body)["call_id"]), fmt.Sprint(decoded(t, b.body)["call_id"]))
	})
	d := decoded(t, created[0].body)
	for key, want := range map[string]string{"hook_event": "channel_create", "account_id": "acme", "call_id": "c1", "authorizing_id": "d1",
		"authorizing_type": "device", "owner_id": "u1", "call_direction": "inbound", "caller_id_name": "Ann", "caller_id_number": "1001",
		"callee_id_number": "1002", "from": "1001@acme.test", "request": "1002@acme.test", "is_internal_leg": "false",
		"custom_application_vars": "map[k:v]", "inception": "63962496000", "cluster_id": "c1"} {
		if fmt.Sprint(d[key]) != want {
			t.Errorf("%s is %v, want %s", key, d[key], want)
		}
	}
	if int64(d["timestamp"].(float64)) != 63962496000 {
		t.Error(d["timestamp"])
	}
	for _, absent := range []string{"hangup_cause", "other_leg_call_id", "callee_id_name"} {
		if _, there := d[absent]; there {
			t.Error(absent, "is there")
		}
	}
	d = decoded(t, h.sink.to(t, "/destroy", 1)[0].body)
	if d["hangup_cause"] != "NORMAL_CLEARING" || d["hangup_code"] != "sip:200" || d["duration_seconds"] != 65.0 || d["billing_seconds"] != 60.0 || d["ringing_seconds"] != 5.0 {
		t.Error(d)
	}
	d = decoded(t, h.sink.to(t, "/c2c", 1)[0].body)
	if d["state"] != "ringing" || d["attempt_id"] != "a1" || d["clicktocall_id"] != "e1" || d["contact"] != "1002" {
		t.Error(d)
	}
	// "all" has the click-to-call, whose event tells no direction, and the outbound leg that is not internal.
	var events []string
	for _, r := range h.sink.to(t, "/outside", 3) { // and that the next webhook was made
		if d := decoded(t, r.body); d["hook_event"] != nil {
			events = append(events, fmt.Sprint(d["hook_event"]))
		}
	}
	slices.Sort(events)
	if !slices.Equal(events, []string{"channel_destroy", "clicktocall"}) {
		t.Error(events)
	}
	for _, r := range h.sink.to(t, "/rival", 0) {
		if decoded(t, r.body)["account_id"] != "rival" {
			t.Error(r.body)
		}
	}
}
