package crossbar_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"bugle/internal/store"
)

// told keeps deliveries of a webhook with one failed attempt each, i hours ago.
func (w *world) told(account, hook string, n int) {
	w.t.Helper()
	var list []store.HookDelivery
	for i := range n {
		list = append(list, store.HookDelivery{ID: fmt.Sprint(hook, "-", i), Endpoint: hook, Kind: "kazoo", AccountID: account, Event: "doc_edited",
			Method: "POST", URL: "https://receiver.example/", Header: [][2]string{{"X-Hook-ID", hook}}, Body: []byte("id=1")})
	}
	if err := w.store.Write(w.t.Context(), func(tx *store.Tx) error { return tx.Enqueue(list...) }); err != nil {
		w.t.Fatal(err)
	}
	endpoint, err := w.store.GetHookEndpoint(w.t.Context(), account, hook)
	if err != nil {
		w.t.Fatal(err)
	}
	for i, d := range list {
		at := w.clock.now().Add(-time.Duration(i+1) * time.Hour)
		d.State, d.Attempts = store.HookWaiting, 1
		r := &store.HookResult{Delivery: d, Endpoint: endpoint, Attempt: &store.HookAttempt{Delivery: d.ID, Number: 1, Endpoint: hook,
			AccountID: account, At: at, Took: 7 * time.Millisecond, Status: 500, Error: "it answered 500 Internal Server Error",
			Answer: []byte("oops"), RetryAt: at.Add(2 * time.Second)}}
		done := make(chan error, 1)
		w.store.SubmitHookResult(r, func(err error) { done <- err })
		if err := <-done; err != nil || r.Lost {
			w.t.Fatal(err, r.Lost)
		}
	}
}

func TestWebhookAttempts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const body = `{"name":"H","hook":"object","uri":"https://receiver.example/","custom_data":{"a":"b"},"retries":3}`
	hook := w.must("PUT", w.own("/webhooks"), body).str("id")
	other := w.must("PUT", w.own("/webhooks"), body).str("id")
	w.told(w.account, hook, 5)
	w.told(w.account, other, 1)
	all := w.must("GET", w.own("/webhooks/attempts"), "")
	if len(all.rows()) != 6 {
		t.Errorf("%s", all.text)
	}
	own := w.must("GET", w.own("/webhooks/"+hook+"/attempts?page_size=3"), "")
	if len(own.rows()) != 3 {
		t.Fatalf("%s", own.text)
	}
	row := own.rows()[0]
	for key, want := range map[string]string{"hook_id": hook, "event_id": hook + "-0", "hook_event": "doc_edited", "result": "failure",
		"reason": "it answered 500 Internal Server Error", "resp_status_code": "500", "resp_body": "oops", "try": "1", "retries_left": "2",
		"method": "post", "uri": "https://receiver.example/", "req_body": "id=1", "duration_ms": "7", "custom_data": "map[a:b]"} {
		if fmt.Sprint(row[key]) != want {
			t.Errorf("%s is %v, want %s", key, row[key], want)
		}
	}
	next := w.must("GET", w.own("/webhooks/"+hook+"/attempts?page_size=3&start_key="+fmt.Sprint(own.body["next_start_key"])), "")
	if len(next.rows()) != 2 || next.body["next_start_key"] != nil {
		t.Errorf("%s", next.text)
	}
	rival := w.newAccount("Rival")
	if a := w.must("GET", "/v2/accounts/"+rival+"/webhooks/attempts", ""); len(a.rows()) != 0 {
		t.Errorf("another account sees %s", a.text)
	}
	if a := w.call("GET", "/v2/accounts/"+rival+"/webhooks/"+hook+"/attempts", ""); a.code != 404 {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.call("GET", w.own("/webhooks/attempts?created_from=x"), ""); a.code != 400 {
		t.Errorf("%d %s", a.code, a.text)
	}
}

func TestWebhookSwitchedOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const body = `{"name":"H","hook":"object","uri":"https://receiver.example/","disable_reason":"mine"}`
	created := w.must("PUT", w.own("/webhooks"), body)
	first, second := created.str("id"), w.must("PUT", w.own("/webhooks"), body).str("id")
	off := w.must("PUT", w.own("/webhooks"), strings.Replace(body, `"name"`, `"enabled":false,"name"`, 1)).str("id")
	if strings.Contains(string(created.text), "disable_reason") {
		t.Error("a client wrote disable_reason")
	}
	for _, id := range []string{first, second} {
		for range 2 { // a second time changes nothing
			if err := w.api.DisableWebhook(t.Context(), w.account, id, "too many failed attempts"); err != nil {
				t.Fatal(err)
			}
		}
		if a := w.must("GET", w.own("/webhooks/"+id), ""); a.at("enabled") != false || a.str("disable_reason") != "too many failed attempts" {
			t.Errorf("%s", a.text)
		}
	}
	if err := w.api.DisableWebhook(t.Context(), w.account, "00000000000000000000000000000000", "x"); err != nil {
		t.Error(err)
	}
	// One by itself, then all.
	if a := w.must("PATCH", w.own("/webhooks/"+first), `{"enabled":true}`); a.at("enabled") != true || strings.Contains(string(a.text), "disable_reason") {
		t.Errorf("%s", a.text)
	}
	if a := w.call("PATCH", w.own("/webhooks"), `{"name":"x"}`); a.code != 400 || !strings.Contains(string(a.text), "re-enable") || !strings.Contains(string(a.text), "required") {
		t.Errorf("%d %s", a.code, a.text)
	}
	w.must("PATCH", w.own("/webhooks"), `{"re-enable":true}`)
	for id, want := range map[string]bool{first: true, second: true, off: false} { // who switched it off himself meant it
		if a := w.must("GET", w.own("/webhooks/"+id), ""); a.at("enabled") != want || strings.Contains(string(a.text), "disable_reason") {
			t.Errorf("%s", a.text)
		}
	}
}

func TestWebhookSamples(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.token = ""
	all := w.must("GET", "/v2/webhooks/samples", "")
	for _, name := range []string{"object", "channel_create", "channel_answer", "channel_bridge", "channel_destroy", "clicktocall"} {
		if a := w.must("GET", "/v2/webhooks/samples/"+name, ""); a.str("account_id") == "" || !strings.Contains(string(all.text), name) {
			t.Errorf("%s: %s", name, a.text)
		}
	}
	if a := w.call("GET", "/v2/webhooks/samples/nothing", ""); a.code != 404 {
		t.Error(a.code, a.text)
	}
}
