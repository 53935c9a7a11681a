package crossbar_test

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"bugle"
	"bugle/internal/crossbar"
)

// listeners are sockets as a test wants them, by account.
type listeners map[string][]crossbar.Socket

func (listeners) Bindings() map[string][]string {
	return map[string][]string{"call": {"call.CHANNEL_CREATE.*"}, "object": {"object.doc_edited.user"}}
}

func (l listeners) Sockets(account string) []crossbar.Socket { return l[account] }

// TestSocketsAreShown: to their own account, as a list and one by one.
func TestSocketsAreShown(t *testing.T) {
	t.Parallel()
	open := listeners{}
	w := newWorld(t, func(o *crossbar.Options) { o.Sockets = open })
	open[w.account] = []crossbar.Socket{{ID: "s1", Name: "desk", Metadata: json.RawMessage(`{"n":1.0}`), Client: netip.MustParseAddr("192.0.2.1"), Opened: time.Unix(0, 0),
		Bindings: []crossbar.SocketBinding{{AccountID: w.account, Binding: "call.*.*"}, {AccountID: w.account, Binding: "object.*.user"}}}}
	const row = `{"account_ids":["ACC"],"bindings":["call.*.*","object.*.user"],"destination":"node","id":"s1","metadata":{"n":1.0},"name":"desk",` +
		`"source":"192.0.2.1","timestamp":62167219200,"websocket_session_id":"s1"}`
	want := "[" + row[:17] + w.account + row[20:] + "]"
	sameJSON(t, w.must("GET", w.own("/websockets"), "").data(), want)
	sameJSON(t, w.must("GET", w.own("/websockets/s1"), "").data(), want)
	if a := w.call("GET", w.own("/websockets/s2"), ""); a.code != 404 {
		t.Errorf("%d", a.code)
	}
	other := w.newAccount("Other")
	if a := w.call("GET", "/v2/accounts/"+other+"/websockets/s1", ""); a.code != 404 {
		t.Errorf("%d", a.code)
	}
}

// TestAHolderIsFollowed: what an edge that keeps connections open is told of a token, and for how long it stays so.
func TestAHolderIsFollowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h, err := w.api.Holder(t.Context(), "Bearer "+w.token)
	if err != nil || h.UserID != "" || !h.Admin || !h.Master {
		t.Fatalf("%+v, %v", h, err)
	}
	kind := func(err error) int {
		if err == nil {
			return -1
		}
		return int(bugle.KindOf(err))
	}
	const forbidden, unauthorized = int(bugle.KindForbidden), int(bugle.KindUnauthorized)
	for account, want := range map[string]int{w.account: -1, crossbar.AnyAccount: -1, h.AccountID: -1, "x": forbidden,
		bugle.NewID(): forbidden} {
		if err := w.api.Follows(t.Context(), h, account); kind(err) != want {
			t.Errorf("%s: %v", account, err)
		}
	}
	if _, err := w.api.Holder(t.Context(), w.token+"x"); kind(err) != unauthorized {
		t.Errorf("%v", err)
	}
	w.clock.advance(2 * time.Hour) // its hour is over: it opens nothing, and what it opened goes on
	if _, err := w.api.Holder(t.Context(), w.token); kind(err) != unauthorized {
		t.Errorf("%v", err)
	}
	if err := w.api.Follows(t.Context(), h, w.account); err != nil {
		t.Error(err)
	}
	w.token = w.keyToken(testAPIKey)
	w.must("PUT", "/v2/accounts/"+h.AccountID+"/api_key", "{}")
	if err := w.api.Follows(t.Context(), h, w.account); kind(err) != unauthorized {
		t.Errorf("another API key: %v", err)
	}
	w.store.Close()
	if err := w.api.Follows(t.Context(), h, w.account); err == nil || kind(err) == unauthorized {
		t.Errorf("without a database: %v", err)
	}
}
