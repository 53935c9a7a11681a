package ringcentral_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"bugle/internal/ringcentral"
)

// wire is a client's end of a socket.
type wire struct {
	t    *testing.T
	conn *websocket.Conn
	at   string   // host and port of the server
	last struct { // the place that was told last
		Token    string
		Sequence int64
	}
	n int
}

type frame struct {
	Type, MessageID string
	Status          int
	body            map[string]any
}

func listening(t *testing.T, w *world) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(w.edge)
	t.Cleanup(server.Close)
	t.Cleanup(func() { w.edge.Close() }) // the server waits for its sockets
	return server
}

func dial(t *testing.T, server *httptest.Server, query string) *wire {
	t.Helper()
	conn, res, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http")+"/ws?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.Body != nil {
		res.Body.Close()
	}
	conn.SetReadLimit(1 << 20)
	t.Cleanup(func() { conn.CloseNow() })
	return &wire{t: t, conn: conn, at: strings.TrimPrefix(server.URL, "http://")}
}

// next is the next message; its type is "" when the socket was closed.
func (k *wire) next() (f frame) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, text, err := k.conn.Read(ctx)
	if err != nil {
		return f
	}
	var parts []json.RawMessage
	var m struct {
		frame
		WSC *struct {
			Token    string
			Sequence int64
		}
	}
	if json.Unmarshal(text, &parts) != nil || json.Unmarshal(parts[0], &m) != nil {
		k.t.Errorf("%s", text)
	}
	if f = m.frame; len(parts) > 1 {
		if err := json.Unmarshal(parts[1], &f.body); err != nil {
			k.t.Error(err)
		}
	}
	if m.WSC != nil {
		k.last = *m.WSC
	}
	return f
}

func (k *wire) write(text string) {
	k.t.Helper()
	if err := k.conn.Write(k.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		k.t.Error(err)
	}
}

// ask sends a request and reads its answer; what comes between is lost.
func (k *wire) ask(method, path, body string) frame {
	k.t.Helper()
	k.n++
	id := fmt.Sprint("m/", k.n)
	if body != "" {
		body = "," + body
	}
	k.write(fmt.Sprintf(`[{"type":"ClientRequest","messageId":%q,"method":%q,"path":%q,"headers":{"X-User-Agent":"test"}}%s]`, id, method, path, body))
	for {
		if f := k.next(); f.Type == "" || f.MessageID == id {
			return f
		}
	}
}

func (w *world) socketToken(access string) string {
	w.t.Helper()
	a := w.api(access, "POST", "/restapi/oauth/wstoken", "")
	if a.code != 200 || a.str("uri") != "ws://rc.example/ws" || a.body["expires_in"] != 600.0 {
		w.t.Fatal(a.text)
	}
	return a.str("ws_access_token")
}

const wantSocket = `{"eventFilters":["` + entries + `"],"deliveryMode":{"transportType":"WebSocket"}}`

func (w *world) rename(user, name string) {
	w.t.Helper()
	w.crossbar("PATCH", "/v2/accounts/"+w.account+"/users/"+user, map[string]any{"first_name": name})
}

func (k *wire) notified(want string) (uuid string) {
	k.t.Helper()
	f := k.next()
	body, _ := f.body["body"].(map[string]any)
	list, _ := body["contacts"].([]any)
	if f.Type != "ServerNotification" || f.Status != 200 || len(list) != 1 || list[0].(map[string]any)["firstName"] != want || f.body["uuid"] != f.MessageID {
		k.t.Errorf("%+v, want %s", f, want)
	}
	return f.MessageID
}

func TestSocket(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server := listening(t, w)
	in := w.login()
	access := in.str("access_token")
	token := w.socketToken(access)
	k := dial(t, server, "access_token="+token)
	hello := k.next()
	if hello.Type != "ConnectionDetails" || hello.Status != 200 || hello.body["recoveryTimeout"] != 180.0 || hello.body["recoveryState"] != nil || k.last.Token == "" {
		t.Fatal(hello)
	}
	never := k.last.Token
	if f := k.ask("GET", entries+"?type=User", ""); f.Type != "ClientRequest" || f.Status != 200 || len(f.body["records"].([]any)) != 2 {
		t.Error(f)
	}
	if f := k.ask("POST", "/restapi/oauth/wstoken", ""); f.Status != 501 || f.body["errorCode"] != "CMN-202" {
		t.Error(f)
	}
	if f := k.ask("GET", "http://elsewhere/x", ""); f.Status != 400 {
		t.Error(f)
	}
	k.write(`[{"type":"Heartbeat","messageId":"beat"}]`)
	if f := k.next(); f.Type != "Heartbeat" || f.MessageID != "beat" {
		t.Error(f)
	}
	first := k.ask("POST", "/restapi/v1.0/subscription", wantSocket).body["id"]
	made := k.ask("POST", "/restapi/v1.0/subscription", wantSocket)
	id, _ := made.body["id"].(string)
	if made.Status != 200 || id == "" || id == first || made.body["deliveryMode"].(map[string]any)["transportType"] != "WebSocket" {
		t.Fatal(made)
	}
	if list := w.api(access, "GET", subscriptionPath, "").body["records"].([]any); len(list) != 1 { // the second has replaced the first
		t.Error(list)
	}
	w.rename(w.bob, "Rob")
	one := k.notified("Rob")
	if f := k.ask("PUT", "/restapi/v1.0/subscription/"+id, wantSocket); f.Status != 200 {
		t.Error(f)
	}
	// The line is cut after a second change that the client has not read the place of.
	before := k.last
	w.rename(w.bob, "Bert")
	two := k.notified("Bert")
	k.conn.CloseNow()
	w.rename(w.bob, "Bart")
	if a, b := one, two; a == b {
		t.Error("the same uuid")
	}
	// The same token, with the place: as the official SDK comes back.
	back := dial(t, server, "access_token="+token+"&wsc="+before.Token)
	if hello := back.next(); hello.body["recoveryState"] != "Successful" {
		t.Fatal(hello)
	}
	if again := back.notified("Bert"); again != two {
		t.Error("a change that is told again has another uuid")
	}
	back.notified("Bart")
	// After a restart of the server, too.
	place := back.last.Token
	w.edge.Close()
	if f := back.next(); f.Type != "" {
		t.Error(f)
	}
	w.edge = ringcentral.New(w.options)
	server = listening(t, w)
	w.rename(w.bob, "Bob")
	back = dial(t, server, "access_token="+w.socketToken(access)+"&wsc="+place)
	if hello := back.next(); hello.body["recoveryState"] != "Successful" {
		t.Fatal(hello)
	}
	back.notified("Bob")

	for name, c := range map[string]struct{ query, kind, code string }{
		"no token":           {"", "Error", "OAU-213"},
		"an invented token":  {"access_token=x", "Error", "OAU-213"},
		"the access token":   {"access_token=" + access, "Error", "OAU-213"},
		"used, and no place": {"access_token=" + token, "Error", "OAU-213"},
		"an invented place":  {"access_token=" + w.socketToken(access) + "&wsc=x", "Error", "WSG-400"},
		"never subscribed":   {"access_token=" + w.socketToken(access) + "&wsc=" + never, "ConnectionDetails", "WSG-1005"},
		"of another session": {"access_token=" + w.socketToken(w.login().str("access_token")) + "&wsc=" + place, "ConnectionDetails", "WSG-1003"},
	} {
		k := dial(t, server, c.query)
		f := k.next()
		got := f.body["errorCode"]
		if f.Type == "ConnectionDetails" {
			if got = f.body["recoveryErrorCode"]; f.body["recoveryState"] != "Failed" {
				t.Error(name, f)
			}
		} else if f := k.next(); f.Type != "" {
			t.Error(name, "goes on:", f)
		}
		if f.Type != c.kind || got != c.code {
			t.Error(name, f)
		}
	}
	// Gone: the socket goes on, and nothing is told any more.
	if f := back.ask("DELETE", "/restapi/v1.0/subscription/"+id, ""); f.Status != 204 {
		t.Error(f)
	}
	w.rename(w.bob, "Nobody")
	if f := back.ask("GET", "/restapi/v1.0/subscription/"+id, ""); f.Status != 404 {
		t.Error(f)
	}
	// A session that has ended takes its sockets along, at the latest when there is something to tell.
	back.ask("POST", "/restapi/v1.0/subscription", wantSocket)
	w.form("/restapi/oauth/revoke", w.app, w.secret, "token", access)
	w.rename(w.bob, "Late")
	for f := back.next(); f.Type != ""; f = back.next() {
		if f.Type == "ServerNotification" {
			t.Error(f)
		}
	}
}

func TestSocketFaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *ringcentral.Options) {
		o.Sockets = ringcentral.SocketTimes{Idle: 5 * time.Second, Recovery: time.Minute}
	})
	server := listening(t, w)
	access := w.login().str("access_token")
	open := func() *wire {
		t.Helper()
		k := dial(t, server, "access_token="+w.socketToken(access))
		if hello := k.next(); hello.Type != "ConnectionDetails" {
			t.Fatal(hello)
		}
		return k
	}
	for _, text := range []string{`x`, `{}`, `[]`, `[1]`, `[{}]`, `[{"type":"ClientRequest"}]`, `[{"type":"Other","messageId":"1"}]`, `[{"type":"Heartbeat","messageId":"1"},1,2]`} {
		k := open()
		k.write(text)
		if f := k.next(); f.Type != "Error" || f.body["errorCode"] != "WSG-400" {
			t.Error(text, f)
		}
		if f := k.next(); f.Type != "" {
			t.Error(text, f)
		}
	}
	k := open()
	_ = k.conn.Write(t.Context(), websocket.MessageText, make([]byte, 10<<20))
	if f := k.next(); f.Type != "" {
		t.Error(f)
	}
	still := open()
	if f := still.ask("POST", "/restapi/v1.0/subscription", `{"eventFilters":["/restapi/v1.0/account/1/directory/entries"],"deliveryMode":{"transportType":"WebSocket"}}`); f.Status != 403 || f.body["errorCode"] != "SUB-406" {
		t.Error(f)
	}
	// A client that does not come back in time finds nothing.
	made := still.ask("POST", "/restapi/v1.0/subscription", wantSocket)
	if made.Status != 200 {
		t.Fatal(made)
	}
	place := still.last.Token
	if f := still.next(); f.Type != "Error" || f.body["errorCode"] != "WSG-902" {
		t.Error("idle:", f)
	}
	id := made.body["id"].(string)
	eventually(t, "the time to come back begins", func() bool {
		u, err := w.store.Subscription(t.Context(), id)
		return err == nil && u.Expires.Sub(w.clock.now()) <= time.Minute
	})
	w.clock.advance(2 * time.Minute)
	late := dial(t, server, "access_token="+w.socketToken(access)+"&wsc="+place)
	if f := late.next(); f.body["recoveryState"] != "Failed" {
		t.Error(f)
	}
	w.token = w.crossbar("PUT", "/v2/api_auth", map[string]any{"api_key": kazooKey})["auth_token"].(string)
	w.crossbar("PATCH", "/v2/accounts/"+w.account+"/oauth_apps/"+w.app, map[string]any{"permissions": []any{"ReadAccounts"}})
	w.api(access, "POST", "/restapi/oauth/wstoken", "").fails(t, 403, "SUB-528")
}
