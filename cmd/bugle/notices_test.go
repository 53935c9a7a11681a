package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"bugle/internal/bugletest"
)

// hookReceiver receives KAZOO webhooks in JSON, each event once.
type hookReceiver struct {
	*httptest.Server
	mu   sync.Mutex
	seen map[string]bool
	got  map[string][]map[string]any // by path
}

func receiveHooks(t *testing.T) *hookReceiver {
	t.Helper()
	h := &hookReceiver{seen: map[string]bool{}, got: map[string][]map[string]any{}}
	h.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var event map[string]any
		if err := json.Unmarshal(body, &event); err != nil {
			t.Errorf("%v: %s", err, body)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if id := r.Header.Get("webhook-id"); !h.seen[id] {
			h.seen[id] = true
			h.got[r.URL.Path] = append(h.got[r.URL.Path], event)
		}
	}))
	t.Cleanup(h.Close)
	return h
}

// told are the events that have come to a path.
func (h *hookReceiver) told(path string) []map[string]any {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.got[path])
}

// TestWebhooksAreToldOfParking: a caller who is parked and retrieved, and one who gives up, each told once with the slot.
func TestWebhooksAreToldOfParking(t *testing.T) {
	t.Parallel()
	receiver := receiveHooks(t)
	o := openOffice(t, filepath.Join(t.TempDir(), "data"), "--egress-allow=127.0.0.0/8")
	ctx, api := within(t), o.api.For(o.company.accountID)
	for _, doc := range []object{
		{"name": "Park", "numbers": []string{"*4"}, "flow": node("park", object{"action": "park"}, nil)},
		{"name": "Retrieve", "patterns": []string{`^\*5([0-9]+)$`}, "flow": node("park", object{"action": "retrieve"}, nil)},
	} {
		if _, err := api.Create(ctx, api.Account("callflows"), doc); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := api.Create(ctx, api.Account("webhooks"), object{"name": "slots", "hook": "parking", "uri": receiver.URL + "/slots", "format": "json", "http_verb": "post"}); err != nil {
		t.Fatal(err)
	}
	ann, conor := o.phone(t, "1001", bugletest.Behaviour{}), o.phone(t, "1002", bugletest.Behaviour{})
	told := func() (list []string) {
		for _, event := range receiver.told("/slots") {
			list = append(list, fmt.Sprint(event["event_name"], " ", event["parking_slot"], " ", event["call_id"], " ", event["hook_event"], " ", event["event_category"]))
		}
		return list
	}
	var want []string
	expect := func(event string, call *bugletest.PhoneCall) {
		t.Helper()
		want = append(want, event+" 101 "+call.ID()+" parking call")
		o.until(t, event, func() bool { return len(told()) >= len(want) })
		if got := told(); !slices.Equal(got, want) {
			t.Fatalf("told %q, want %q", got, want)
		}
	}
	dial := func(phone *bugletest.Phone, number string) *bugletest.PhoneCall {
		t.Helper()
		ctx := within(t)
		call, err := phone.Dial(ctx, number)
		if err == nil {
			err = call.WaitAnswer(ctx)
		}
		if err != nil {
			t.Fatalf("%s: %v\n%s", number, err, o.Log())
		}
		return call
	}
	waiting := func() string {
		t.Helper()
		var parked struct {
			Slots map[string]struct {
				CallID string `json:"call_id"`
			}
		}
		if err := api.Do(ctx, "GET", api.Account("parked_calls"), nil, &parked); err != nil || len(parked.Slots) > 1 {
			t.Fatal(parked, err)
		}
		return parked.Slots["101"].CallID
	}
	parked := dial(ann, "*4")
	expect("PARK_PARKED", parked)
	if id := waiting(); id != parked.ID() {
		t.Errorf("the API shows %q in the slot", id)
	}
	retrieving := dial(conor, "*5101")
	parked.SayTone(calleeTone)
	if _, err := retrieving.WaitTone(ctx, calleeTone); err != nil {
		t.Fatal(err)
	}
	expect("PARK_RETRIEVED", parked)
	if err := retrieving.Hangup(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := parked.WaitEnd(ctx); err != nil {
		t.Fatal(err)
	}
	again := dial(ann, "*4")
	expect("PARK_PARKED", again)
	if err := again.Hangup(ctx); err != nil {
		t.Fatal(err)
	}
	expect("PARK_ABANDONED", again)
	if id := waiting(); id != "" {
		t.Errorf("the API still shows %q in the slot", id)
	}
	for _, event := range receiver.told("/slots") {
		if event["account_id"] != o.company.accountID || !strings.HasPrefix(fmt.Sprint(event["caller_id_number"]), "1001") {
			t.Errorf("%v", event)
		}
	}
}
