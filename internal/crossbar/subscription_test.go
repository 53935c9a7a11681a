package crossbar_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"bugle/internal/store"
)

// settle makes deliveries of w.told what the attempts made of them.
func (w *world) settle(account string, state store.HookState, ids ...string) {
	w.t.Helper()
	for _, id := range ids {
		d, err := w.store.GetDelivery(w.t.Context(), account, id)
		if err != nil {
			w.t.Fatal(err)
		}
		endpoint, err := w.store.GetHookEndpoint(w.t.Context(), account, d.Endpoint)
		if err != nil {
			w.t.Fatal(err)
		}
		d.State, d.Finished, d.Status = state, w.clock.now(), 500
		done := make(chan error, 1)
		w.store.SubmitHookResult(&store.HookResult{Delivery: d, Endpoint: endpoint}, func(err error) { done <- err })
		if err := <-done; err != nil {
			w.t.Fatal(err)
		}
	}
}

func TestSubscriptions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const body = `{"name":"H","hook":"object","uri":"https://receiver.example/?key=mine","custom_data":{"type":["user","device"],"secret":"x"}}`
	hook := w.must("PUT", w.own("/webhooks"), body).str("id")
	quiet := w.must("PUT", w.own("/webhooks"), body).str("id")
	off := w.must("PUT", w.own("/webhooks"), strings.Replace(body, `"name"`, `"enabled":false,"name"`, 1)).str("id")
	user := w.must("PUT", w.own("/users"), `{"first_name":"Ann","last_name":"Lee"}`).str("id")
	app := w.must("PUT", w.own("/oauth_apps"), `{"name":"CRM"}`).str("id")
	add := func(id, user, app, transport string, expires time.Time) {
		if err := w.store.Write(t.Context(), func(tx *store.Tx) error {
			return tx.AddSubscription(store.Subscription{ID: id, AccountID: w.account, UserID: user, AppID: app, Transport: transport, Expires: expires,
				Body: []byte(`{"Address":"https://u:hidden@crm.example.com/in?b=hidden&a=hidden","Filters":["/restapi/v1.0/account/~/directory/entries"],"Created":"2026-11-21T12:00:00Z","IncludeChanges":true}`)})
		}); err != nil {
			t.Fatal(err)
		}
	}
	later := w.clock.now().Add(time.Hour)
	add("sub-1", user, app, "WebHook", later)
	add("sub-2", user, "", "WebHook", w.clock.now().Add(-time.Minute))
	add("sub-3", nowhere, app, "WebHook", later)
	add("sub-4", "", "", "WebSocket", later)
	w.told(w.account, hook, 4)
	w.told(w.account, "sub-1", 3)
	w.settle(w.account, store.HookDead, hook+"-0", hook+"-1", "sub-1-2")

	var rows []map[string]any
	for path := w.own("/subscriptions?page_size=2"); ; {
		a := w.must("GET", path, "")
		rows = append(rows, a.rows()...)
		next, more := a.body["next_start_key"].(string)
		if !more {
			break
		}
		if len(a.rows()) != 2 {
			t.Errorf("a page of %d", len(a.rows()))
		}
		path = w.own("/subscriptions?page_size=2&start_key=" + next)
	}
	if whole := w.must("GET", w.own("/subscriptions?paginate=false"), ""); len(rows) != 7 || len(whole.rows()) != 7 || strings.Contains(string(whole.text), "hidden") {
		t.Errorf("%d %s", len(rows), whole.text)
	}
	by := map[string]map[string]any{}
	for _, row := range rows {
		by[row["id"].(string)] = row
	}
	for id, want := range map[string]map[string]string{
		hook: {"kind": "webhook", "status": "active", "waiting": "2", "dead": "2", "name": "H", "address": "https://receiver.example/?key=mine",
			"filters": "[object type=user,device]"},
		quiet: {"status": "active", "waiting": "0", "dead": "0"},
		off:   {"status": "disabled"},
		"sub-1": {"kind": "ringcentral", "transport": "webhook", "status": "active", "user_name": "Ann Lee", "app_name": "CRM", "waiting": "2", "dead": "1",
			"address": "https://crm.example.com/in?a=***&b=***", "created": "2026-11-21T12:00:00Z", "include_changes": "true"},
		"sub-2": {"status": "expired", "app_id": "<nil>"},
		"sub-3": {"status": "disabled"},
		"sub-4": {"transport": "websocket", "status": "active"},
	} {
		for key, text := range want {
			if got := fmt.Sprint(by[id][key]); got != text {
				t.Errorf("%s: %s is %s, want %s", id, key, got, text)
			}
		}
	}
	if by["sub-1"]["oldest"] == nil || by[hook]["oldest"] == nil {
		t.Error("nobody says since when it waits")
	}

	// A pause, of both kinds, also of one that was told nothing yet.
	for _, id := range []string{hook, quiet, "sub-1"} {
		if a := w.must("PUT", w.own("/subscriptions/"+id), `{"action":"pause"}`); a.str("status") != "paused" || a.str("paused_since") == "" {
			t.Errorf("%s", a.text)
		}
		w.must("PUT", w.own("/subscriptions/"+id), `{"action":"pause"}`)
		if a := w.must("GET", w.own("/subscriptions/"+id), ""); a.str("status") != "paused" {
			t.Errorf("%s", a.text)
		}
		if a := w.must("PUT", w.own("/subscriptions/"+id), `{"action":"resume"}`); a.str("status") != "active" || a.at("paused_since") != nil {
			t.Errorf("%s", a.text)
		}
	}
	for _, c := range []struct {
		path, data string
		want       int
		names      string
	}{
		{"/subscriptions/" + hook, `{"action":"stop"}`, 400, "resume"}, {"/subscriptions/" + hook, `{}`, 400, "action"},
		{"/subscriptions/" + hook, `{"action":"pause","for":1}`, 400, "for"}, {"/subscriptions/" + hook, ``, 400, "action"},
		{"/subscriptions/sub-4", `{"action":"pause"}`, 400, "WebSocket"}, {"/subscriptions/" + nowhere, `{"action":"pause"}`, 404, nowhere},
	} {
		if a := w.call("PUT", w.own(c.path), c.data); a.code != c.want || !strings.Contains(string(a.text), c.names) {
			t.Errorf("%s %s: %d %s", c.path, c.data, a.code, a.text)
		}
	}
	// A webhook that is deleted while it is paused leaves nothing that waits.
	w.must("PUT", w.own("/subscriptions/"+hook), `{"action":"pause"}`)
	w.must("DELETE", w.own("/webhooks/"+hook), "")
	if a := w.must("GET", w.own("/subscriptions/deliveries?state=dropped"), ""); len(a.rows()) != 4 {
		t.Errorf("%s", a.text)
	}
	if a := w.call("PUT", w.own("/subscriptions/deliveries/"+hook+"-1"), `{"action":"resend"}`); a.code != http.StatusConflict {
		t.Errorf("%d %s", a.code, a.text)
	}
}

func TestDeliveries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hook := w.must("PUT", w.own("/webhooks"), `{"name":"H","hook":"object","uri":"https://receiver.example/"}`).str("id")
	w.subscribe("sub")
	began := w.clock.now()
	at := func(n int) string {
		return fmt.Sprint(began.Add(time.Duration(n)*25*time.Minute).Unix() + 62167219200)
	}
	w.told(w.account, hook, 3)
	w.clock.advance(50 * time.Minute) // a token lives an hour
	w.told(w.account, "sub", 5)
	w.settle(w.account, store.HookDead, "sub-0", "sub-1", hook+"-2")
	w.settle(w.account, store.HookDelivered, "sub-2")
	for path, want := range map[string]int{"/subscriptions/deliveries": 8, "/subscriptions/deliveries?state=dead": 3, "/subscriptions/sub/deliveries": 5,
		"/subscriptions/sub/deliveries?state=dead,delivered": 3, "/subscriptions/sub/deliveries?state=dead&state=waiting": 4, "/webhooks/" + hook + "/deliveries": 3,
		"/webhooks/" + hook + "/deliveries?state=dead": 1, "/subscriptions/deliveries?created_to=" + at(1): 3, "/subscriptions/deliveries?created_from=" + at(1): 5,
		"/subscriptions/deliveries?created_from=" + at(1) + "&state=dead": 2, "/subscriptions/deliveries?created_from=" + at(0) + "&created_to=" + at(0): 3} {
		if a := w.must("GET", w.own(path), ""); len(a.rows()) != want {
			t.Errorf("%s: %d rows, want %d: %s", path, len(a.rows()), want, a.text)
		}
	}
	found := []string{}
	for path := w.own("/subscriptions/deliveries?page_size=3"); ; {
		a := w.must("GET", path, "")
		for _, row := range a.rows() {
			found = append(found, row["id"].(string))
		}
		next, more := a.body["next_start_key"].(string)
		if !more {
			break
		}
		path = w.own("/subscriptions/deliveries?page_size=3&start_key=" + next)
	}
	if want := fmt.Sprint([]string{"sub-4", "sub-3", "sub-2", "sub-1", "sub-0", hook + "-2", hook + "-1", hook + "-0"}); fmt.Sprint(found) != want {
		t.Errorf("%v, want %s", found, want)
	}
	one := w.must("GET", w.own("/subscriptions/sub/deliveries/sub-1"), "")
	if one.str("state") != "dead" || one.str("req_body") != "id=1" || one.str("req_headers", "X-Hook-ID") != "sub" || one.str("subscription_id") != "sub" {
		t.Errorf("%s", one.text)
	}
	attempt := one.at("attempts").([]any)[0].(map[string]any)
	for key, want := range map[string]string{"try": "1", "result": "failure", "reason": "it answered 500 Internal Server Error", "resp_status_code": "500", "resp_body": "oops",
		"duration_ms": "7"} {
		if fmt.Sprint(attempt[key]) != want {
			t.Errorf("%s is %v, want %s", key, attempt[key], want)
		}
	}
	for _, c := range []struct {
		verb, path, data string
		want             int
		names            string
	}{
		{"GET", "/subscriptions/deliveries?state=lost", "", 400, "dropped"}, {"GET", "/subscriptions/deliveries?created_from=yesterday", "", 400, "Gregorian"},
		{"GET", "/subscriptions/deliveries?created_from=" + at(2) + "&created_to=" + at(1), "", 400, "created_from"},
		{"GET", "/subscriptions/deliveries?start_key=x", "", 404, "start key"},
		{"GET", "/subscriptions/deliveries/none", "", 404, "none"}, {"GET", "/subscriptions/sub/deliveries/" + hook + "-0", "", 404, hook},
		{"GET", "/webhooks/sub/deliveries", "", 404, "sub"}, {"GET", "/subscriptions/none/deliveries", "", 404, "none"},
		{"PUT", "/subscriptions/deliveries", `{"action":"resend"}`, 400, "dead"}, {"PUT", "/subscriptions/deliveries", `{"action":"send","state":"dead"}`, 400, "resend"},
		{"PUT", "/subscriptions/deliveries", `{"state":"dead"}`, 400, "action"}, {"PUT", "/subscriptions/deliveries", `{"action":"resend","state":"dropped"}`, 400, "waiting"},
		{"PUT", "/subscriptions/deliveries", `{"action":"resend","created_from":"x"}`, 400, "created_from"},
		{"PUT", "/subscriptions/deliveries", `{"action":"resend","status":"dead"}`, 400, "status"},
		{"PUT", "/subscriptions/deliveries/sub-1", `{"action":"resend","state":"dead"}`, 400, "only the action"},
		{"PUT", "/subscriptions/deliveries/none", `{"action":"resend"}`, 404, "none"},
	} {
		if a := w.call(c.verb, w.own(c.path), c.data); a.code != c.want || !strings.Contains(string(a.text), c.names) {
			t.Errorf("%s %s %s: %d %s", c.verb, c.path, c.data, a.code, a.text)
		}
	}
	// One, those of a time, all that failed of one, all that failed; each once, with its bytes.
	for _, c := range []struct {
		path, data string
		want       string
	}{
		{"/subscriptions/sub/deliveries/sub-1", `{"action":"resend"}`, "1"}, {"/subscriptions/sub/deliveries", `{"action":"resend","state":"dead"}`, "1"},
		{"/subscriptions/deliveries", `{"action":"resend","state":"dead","created_from":` + at(1) + `}`, "0"},
		{"/subscriptions/deliveries", `{"action":"resend","state":"delivered","created_from":` + at(1) + `,"created_to":` + at(3) + `}`, "1"},
		{"/subscriptions/deliveries", `{"action":"resend","state":"dead"}`, "1"}, {"/subscriptions/deliveries", `{"action":"resend","created_from":` + at(1) + `}`, "5"},
	} {
		if a := w.must("PUT", w.own(c.path), c.data); fmt.Sprint(a.at("resent")) != c.want {
			t.Errorf("%s %s: %s, want %s", c.path, c.data, a.text, c.want)
		}
	}
	if a := w.must("GET", w.own("/subscriptions/deliveries/sub-1"), ""); a.str("state") != "waiting" || a.str("req_body") != "id=1" || len(a.at("attempts").([]any)) != 1 {
		t.Errorf("%s", a.text)
	}
}
