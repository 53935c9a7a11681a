package main

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"bugle/internal/bugletest"
	"bugle/internal/event/kazoo"
)

// TestWebSocketAtAnAddressOfItsOwn: at any path, as KAZOO has it; a call is told, the socket is shown, and the end of the server is told.
func TestWebSocketAtAnAddressOfItsOwn(t *testing.T) {
	t.Parallel()
	o := openOffice(t, filepath.Join(t.TempDir(), "data"), "--websocket", "127.0.0.1:0")
	ctx, api := within(t), o.api.For(o.company.accountID)
	said := regexp.MustCompile(`WebSocket is served" address=(\S+)`).FindStringSubmatch(o.Log())
	if said == nil {
		t.Fatal(o.Log())
	}
	conn, res, err := websocket.Dial(ctx, "ws://"+said[1]+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.Body != nil {
		res.Body.Close()
	}
	defer conn.CloseNow()
	request, _ := json.Marshal(object{"action": "subscribe", "auth_token": o.api.Token(), "request_id": "1",
		"data": object{"account_id": o.company.accountID, "bindings": []string{"call.*.*"}, "name": "test"}})
	if err := conn.Write(ctx, websocket.MessageText, request); err != nil {
		t.Fatal(err)
	}
	next := func() (m struct{ Action, Name, Status string }) {
		t.Helper()
		_, text, err := conn.Read(ctx)
		if err != nil || json.Unmarshal(text, &m) != nil {
			t.Fatalf("%v: %s", err, text)
		}
		return m
	}
	if m := next(); m.Status != "success" {
		t.Fatalf("%+v", m)
	}
	var shown []struct{ Bindings []string }
	if err := o.api.Do(ctx, "GET", o.api.Account("websockets"), nil, &shown); err != nil || len(shown) != 1 || shown[0].Bindings[0] != "call.*.*" {
		t.Errorf("%+v, %v", shown, err)
	}
	if err := api.Do(ctx, "GET", api.Account("websockets"), nil, &shown); err != nil || len(shown) != 0 {
		t.Errorf("who is above is shown below: %+v, %v", shown, err)
	}
	o.phone(t, "1002", bugletest.Answering(0, calleeTone))
	if err := o.talk(t, o.phone(t, "1001", bugletest.Behaviour{}), "1002").Hangup(ctx); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for range 8 {
		counts[next().Name]++
	}
	for _, event := range []string{kazoo.EventCreate, kazoo.EventAnswer, kazoo.EventBridge, kazoo.EventDestroy} {
		if counts[strings.ToUpper(event)] != 2 {
			t.Errorf("%v", counts)
		}
	}
}

// TestWebSocketFlags: what cannot be is refused, with what is allowed.
func TestWebSocketFlags(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		flags    webSocketFlags
		secure   tlsSettings
		insecure bool
		want     string
	}{
		{flags: webSocketFlags{}},
		{flags: webSocketFlags{WebSocket: "127.0.0.1:5555"}},
		{flags: webSocketFlags{WebSocket: "0.0.0.0:5555"}, want: "--tls-cert"},
		{flags: webSocketFlags{WebSocket: "0.0.0.0:5555"}, insecure: true},
		{flags: webSocketFlags{WebSocket: "0.0.0.0:5555"}, secure: tlsSettings{certFile: "c"}},
		{flags: webSocketFlags{WebSocket: "5555"}, want: "--websocket"},
		{flags: webSocketFlags{WebSocket: "127.0.0.1:http"}, want: "--websocket"},
		{flags: webSocketFlags{PerAccount: -1}, want: "--websockets-per-account"},
		{flags: webSocketFlags{PerAddress: 2_000_000}, want: "1 to 1000000"},
	} {
		_, err := c.flags.settings(&c.secure, c.insecure)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.flags, err)
		}
	}
}
