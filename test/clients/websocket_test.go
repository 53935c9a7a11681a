package clients

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"bugle/internal/bugletest"
)

// TestWebSocket: a client on npm's ws is told of a real call of two phones, one of which holds it, and of changes; another
// company's client is told nothing, and the end of the token is the end of the socket.
func TestWebSocket(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	api, other := account(t, "Sockets"), account(t, "Other sockets")
	realm := "sockets.clients.example"
	if err := api.Patch(ctx, "/accounts/"+api.AccountID, map[string]any{"realm": realm}); err != nil {
		t.Fatal(err)
	}
	phones := map[string]*bugletest.Phone{}
	for name, number := range map[string]string{"desk": "1001", "shop": "1002"} {
		device, err := api.Create(ctx, api.Account("devices"), map[string]any{"name": name, "sip": map[string]any{"username": name, "password": "secret-of-" + name}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := api.Create(ctx, api.Account("callflows"), map[string]any{"numbers": []string{number},
			"flow": map[string]any{"module": "device", "data": map[string]any{"id": device}, "children": map[string]any{}}}); err != nil {
			t.Fatal(err)
		}
		var behaviour bugletest.Behaviour
		if name == "shop" {
			behaviour = bugletest.Answering(0, 440)
		}
		phone, err := bugletest.New(bugletest.Options{Server: serving.SIP, Realm: realm, Username: name, Password: "secret-of-" + name, Behaviour: behaviour})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = phone.Close() })
		if err := phone.Register(ctx); err != nil {
			t.Fatal(err)
		}
		phones[name] = phone
	}
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := callAndHold(ctx, phones["desk"], "1002"); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			t.Error(err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer site.Close()
	environment := []string{"SOCKET=ws://" + serving.HTTP + "/websocket", "BUGLE_URL=http://" + serving.HTTP, "SITE=" + site.URL,
		"ACCOUNT=" + api.AccountID, "KEY=" + key(t, api), "OTHER_ACCOUNT=" + other.AccountID, "OTHER_KEY=" + key(t, other)}
	out := run(t, node(t, "websocket.mjs"), environment, "node", "websocket.mjs")
	if !strings.Contains(out, "websocket: ok") {
		t.Errorf("%s", out)
	}
}

// callAndHold dials, talks, holds, resumes and hangs up.
func callAndHold(ctx context.Context, phone *bugletest.Phone, number string) error {
	call, err := phone.Dial(ctx, number)
	if err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{call.WaitAnswer,
		func(ctx context.Context) error { _, err := call.WaitTone(ctx, 440); return err }, call.Hold, call.Resume, call.Hangup} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}
