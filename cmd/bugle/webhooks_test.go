package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"bugle/internal/bugletest"
)

// TestWebhooksAreTold: a call and a change through the running program, told over HTTP; then a restart, after which what was
// enqueued while the receiver was away arrives.
func TestWebhooksAreTold(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got []map[string]any
	ids := map[string]int{}
	status := http.StatusOK
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var event map[string]any
		if err := json.Unmarshal(body, &event); err != nil {
			t.Errorf("%v: %s", err, body)
		}
		mu.Lock()
		defer mu.Unlock()
		if w.WriteHeader(status); status != http.StatusOK {
			return
		}
		if ids[r.Header.Get("webhook-id")]++; ids[r.Header.Get("webhook-id")] == 1 {
			got = append(got, event)
		}
	}))
	defer receiver.Close()
	told := func(keys ...string) (out []string) {
		mu.Lock()
		defer mu.Unlock()
		for _, event := range got {
			line := ""
			for _, key := range keys {
				line += fmt.Sprint(event[key], " ")
			}
			out = append(out, line)
		}
		slices.Sort(out)
		return out
	}
	data := filepath.Join(t.TempDir(), "data")
	o := openOffice(t, data, "--egress-allow=127.0.0.0/8")
	ctx, api := within(t), o.api.For(o.company.accountID)
	o.phone(t, "1002", bugletest.Answering(0, calleeTone))
	ann := o.phone(t, "1001", bugletest.Behaviour{})
	create := func(hook string, more object) (id string) {
		doc := object{"name": hook, "hook": hook, "uri": receiver.URL + "/" + hook, "format": "json", "retries": 4}
		for key, value := range more {
			doc[key] = value
		}
		var answer struct{ ID string }
		if err := api.Do(ctx, "PUT", api.Account("webhooks"), doc, &answer); err != nil {
			t.Fatal(err)
		}
		return answer.ID
	}
	all := create("all", object{"modifiers": object{"type": "menu"}})
	var menu struct{ ID string }
	if err := api.Do(ctx, "PUT", api.Account("menus"), object{"name": "M"}, &menu); err != nil {
		t.Fatal(err)
	}
	o.until(t, "the menu is told", func() bool { return slices.Contains(told("action", "id"), "doc_created "+menu.ID+" ") })
	call := o.talk(t, ann, "1002")
	if err := call.Hangup(ctx); err != nil {
		t.Fatal(err)
	}
	o.until(t, "the call is told", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(got) >= 9
	})
	want := []string{"channel_answer inbound 1001 ", "channel_answer outbound 1001 ", "channel_bridge inbound 1001 ", "channel_bridge outbound 1001 ",
		"channel_create inbound 1001 ", "channel_create outbound 1001 ", "channel_destroy inbound 1001 ", "channel_destroy outbound 1001 "}
	have := slices.DeleteFunc(told("hook_event", "call_direction", "caller_id_number"), func(line string) bool { return line[0] == '<' })
	if !slices.Equal(have, want) {
		t.Errorf("%q", have)
	}
	var attempts []struct {
		Result string `json:"result"`
		Hook   string `json:"hook_id"`
		Status int    `json:"resp_status_code"`
	}
	o.until(t, "the attempts are listed", func() bool {
		if err := api.Do(ctx, "GET", api.Account("webhooks", all, "attempts"), nil, &attempts); err != nil {
			t.Fatal(err)
		}
		return len(attempts) == 9
	})
	if attempts[0].Result != "success" || attempts[0].Hook != all || attempts[0].Status != 200 {
		t.Errorf("%+v", attempts)
	}

	// A receiver that is away, a server that is killed, and both are back.
	mu.Lock()
	status = http.StatusServiceUnavailable
	mu.Unlock()
	var other struct{ ID string }
	if err := api.Do(ctx, "PUT", api.Account("menus"), object{"name": "N"}, &other); err != nil {
		t.Fatal(err)
	}
	o.end(t, os.Kill)
	mu.Lock()
	status = http.StatusOK
	mu.Unlock()
	again := serve(t, data, nil, "--egress-allow=127.0.0.0/8")
	again.until(t, "what was missed is told", func() bool { return slices.Contains(told("action", "id"), "doc_created "+other.ID+" ") })
}
