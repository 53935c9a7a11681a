package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bugle/internal/egress"
	"bugle/internal/event/webhook"
	"bugle/internal/store"
)

// signing is an endpoint in the middle of a change of its secret.
type signing struct{ secrets [][]byte }

func (s signing) Target(context.Context, store.HookEndpoint) (webhook.Target, error) {
	return webhook.Target{Secrets: s.secrets, Header: [][2]string{{"Verification-Token", "static"}}}, nil
}
func (signing) Probe(context.Context, store.HookEndpoint) error              { return nil }
func (signing) Tell(context.Context, store.HookEndpoint, webhook.Transition) {}

// TestStandardWebhooks: what the engine sends is verified by the library of Standard Webhooks, with either of two secrets that
// live at once, at the first attempt and at a second one, and with no other secret and for no other body.
func TestStandardWebhooks(t *testing.T) {
	t.Parallel()
	dir := node(t, "webhook.mjs")
	type request struct {
		header http.Header
		body   string
	}
	got := make(chan request, 10)
	var asked atomic.Int64
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- request{r.Header, string(body)}
		if asked.Add(1) == 1 { // which is tried again
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer receiver.Close()
	s, err := store.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "bugle.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	networks, err := egress.ParseNetworks("127.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	sender := webhook.NewSender(egress.New(networks), nil, nil)
	defer sender.Close()
	secrets := [][]byte{bytes.Repeat([]byte{1, 255}, 12), bytes.Repeat([]byte("new!"), 16)}
	engine, err := webhook.Start(t.Context(), webhook.Options{Store: s, Send: sender, Alone: true,
		Kinds: map[string]webhook.Kind{"test": {Policy: webhook.RingCentral(), Owner: signing{secrets}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		engine.Close(ctx)
	}()
	const id = "0b6e3c1c-2b0f-4e57-9a5c-6f0f8f0f0a01"
	if err := s.Write(t.Context(), func(tx *store.Tx) error {
		return tx.Enqueue(store.HookDelivery{ID: id, Endpoint: "e", Kind: "test", AccountID: "a", Method: "POST", URL: receiver.URL,
			Header: [][2]string{{"Content-Type", "application/json; charset=UTF-8"}}, Body: []byte(`{"name":"Łukasz","n": 1.0}`)})
	}); err != nil {
		t.Fatal(err)
	}
	for attempt := range 2 {
		r := <-got
		if r.header.Get("Verification-Token") != "static" || r.header.Get("Validation-Token") != "" || r.header.Get("webhook-id") != id {
			t.Errorf("attempt %d: %v", attempt+1, r.header)
		}
		headers := map[string]string{}
		for _, name := range []string{"webhook-id", "webhook-timestamp", "webhook-signature"} {
			headers[name] = r.header.Get(name)
		}
		delivery, err := json.Marshal(map[string]any{"headers": headers, "body": r.body,
			"secrets": []string{webhook.FormatSecret(secrets[0]), webhook.FormatSecret(secrets[1])},
			"wrong":   webhook.FormatSecret(bytes.Repeat([]byte{7}, 32))})
		if err != nil {
			t.Fatal(err)
		}
		if out := run(t, dir, []string{"DELIVERY=" + string(delivery)}, "node", "webhook.mjs"); !strings.Contains(out, "webhook: ok") {
			t.Errorf("attempt %d: %s", attempt+1, out)
		}
	}
}
