package ringcentral_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"bugle/internal/contact"
	"bugle/internal/event/webhook"
	"bugle/internal/ringcentral"
)

// connected is a socket of a session, with its greeting read.
func (w *world) connected(server *httptest.Server, access string) *wire {
	w.t.Helper()
	k := dial(w.t, server, "access_token="+w.socketToken(access))
	if hello := k.next(); hello.Type != "ConnectionDetails" {
		w.t.Fatal(hello)
	}
	return k
}

// subscribed is connected with a subscription, whose id it returns.
func (w *world) subscribed(server *httptest.Server, access string) (k *wire, id string) {
	w.t.Helper()
	k = w.connected(server, access)
	made := k.ask("POST", subscriptionPath, wantSocket)
	if id, _ = made.body["id"].(string); made.Status != 200 || id == "" {
		w.t.Fatal(made)
	}
	return k, id
}

// left waits until the server has given up a socket: its subscription waits for the client to come back.
func (w *world) left(id string, recovery time.Duration) {
	w.t.Helper()
	eventually(w.t, "the time to come back begins", func() bool {
		u, err := w.store.Subscription(w.t.Context(), id)
		return err == nil && u.Expires.Sub(w.clock.now()) <= recovery
	})
}

// TestSocketEndsAtLast: however busy it is, a socket ends after its absolute time, is told so, and can go on by another.
func TestSocketEndsAtLast(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *ringcentral.Options) { o.Sockets.Absolute = 2 * time.Second })
	server := listening(t, w)
	access := w.login().str("access_token")
	k, id := w.subscribed(server, access)
	for n := 0; ; n++ {
		k.write(fmt.Sprintf(`[{"type":"Heartbeat","messageId":"%d"}]`, n))
		f := k.next()
		if f.Type == "Heartbeat" {
			continue
		}
		if f.Type != "Error" || f.body["errorCode"] != "WSG-903" {
			t.Fatal(f)
		}
		break
	}
	if f := k.next(); f.Type != "" {
		t.Error("it goes on:", f)
	}
	w.left(id, 3*time.Minute)
	w.rename(w.bob, "Rob")
	back := dial(t, server, "access_token="+w.socketToken(access)+"&wsc="+k.last.Token)
	if hello := back.next(); hello.body["recoveryState"] != "Successful" {
		t.Fatal(hello)
	}
	back.notified("Rob")
}

// TestPongs: a client that does not answer pings loses its socket, and nobody else does.
func TestPongs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *ringcentral.Options) {
		o.Sockets.Ping, o.Sockets.Pong = 50*time.Millisecond, 500*time.Millisecond
	})
	server := listening(t, w)
	access := w.login().str("access_token")
	lively, _ := w.subscribed(server, access)
	heard := make(chan frame, 10)
	go func() { // pings are answered while it reads
		defer close(heard)
		for f := lively.next(); f.Type != ""; f = lively.next() {
			heard <- f
		}
	}()
	_, id := w.subscribed(server, access) // which reads no more
	w.left(id, 3*time.Minute)
	w.rename(w.bob, "Rob")
	if f := <-heard; f.Type != "ServerNotification" {
		t.Error(f)
	}
	_ = lively.conn.CloseNow()
	for f := range heard {
		t.Error(f)
	}
}

// TestSocketsOfASession: there are at most fifty, another session's do not count, and one that ends makes room.
func TestSocketsOfASession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server := listening(t, w)
	access := w.login().str("access_token")
	var open []*wire
	for range 50 {
		open = append(open, w.connected(server, access))
	}
	over := dial(t, server, "access_token="+w.socketToken(access))
	if f := over.next(); f.Type != "Error" || f.body["errorCode"] != "WSG-400" || !strings.Contains(fmt.Sprint(f.body["message"]), "50") {
		t.Error(f)
	}
	if f := over.next(); f.Type != "" {
		t.Error("it goes on:", f)
	}
	w.connected(server, w.login().str("access_token"))
	for _, k := range open[:2] {
		if f := k.ask("GET", subscriptionPath, ""); f.Status != 200 {
			t.Error(f)
		}
	}
	_ = open[0].conn.CloseNow()
	eventually(t, "room for another", func() bool {
		return dial(t, server, "access_token="+w.socketToken(access)).next().Type == "ConnectionDetails"
	})
}

// holding are company directories whose entries come when they are released.
type holding struct {
	ringcentral.Contacts
	release chan struct{}
}

func (h *holding) Get(ctx context.Context, accountID, id string) (contact.Contact, error) {
	<-h.release
	return h.Contacts.Get(ctx, accountID, id)
}

// TestRequestsOfASocket: while ten are under way the eleventh is refused at once; heartbeats and notifications go on.
func TestRequestsOfASocket(t *testing.T) {
	t.Parallel()
	held := &holding{release: make(chan struct{})}
	w := newWorld(t, func(o *ringcentral.Options) {
		held.Contacts = o.Contacts
		o.Contacts = held
	})
	server := listening(t, w)
	k, _ := w.subscribed(server, w.login().str("access_token"))
	for i := range 11 {
		k.write(fmt.Sprintf(`[{"type":"ClientRequest","messageId":"%d","method":"GET","path":%q}]`, i, entries+"/"+w.ann))
	}
	if f := k.next(); f.MessageID != "10" || f.Status != 429 || f.body["errorCode"] != "CMN-301" {
		t.Error(f)
	}
	k.write(`[{"type":"Heartbeat","messageId":"beat"}]`)
	if f := k.next(); f.Type != "Heartbeat" || f.MessageID != "beat" {
		t.Error(f)
	}
	w.rename(w.bob, "Rob")
	k.notified("Rob")
	close(held.release)
	answered := map[string]int{}
	for range 10 {
		f := k.next()
		answered[f.MessageID] = f.Status
	}
	for i := range 10 {
		if answered[fmt.Sprint(i)] != 200 {
			t.Error(i, answered)
		}
	}
	if f := k.ask("GET", entries+"/"+w.ann, ""); f.Status != 200 {
		t.Error(f)
	}
}

// TestSocketsAreApart: whatever one client sends, others are told each change in order, over sockets and by webhook.
func TestSocketsAreApart(t *testing.T) {
	t.Parallel()
	w := hooked(t, webhook.RingCentral())
	server := listening(t, w)
	access := w.login().str("access_token")
	r := newReceiver(t)
	if a := w.api(access, "POST", subscriptionPath, wanted(r.URL, "")); a.code != 200 {
		t.Fatal(a.text)
	}
	well, _ := w.subscribed(server, access)
	other := w.login().str("access_token")
	text, binary := websocket.MessageText, websocket.MessageBinary
	beat := `[{"type":"Heartbeat","messageId":"1"}]`
	names := []string{}
	for i, c := range []struct {
		kind websocket.MessageType
		what string
		code any // nil: it is closed, and that is all
	}{
		{text, strings.Repeat("x", 10<<20), nil},
		{text, `[{"type":"ClientRequest","messageId":"1","method":"POST","path":"/restapi/v1.0/subscription"},{"x":"` + strings.Repeat("x", 10<<20) + `"}]`, nil},
		{binary, strings.Repeat("\x00", 10<<20), nil}, {binary, beat, "WSG-400"}, {text, strings.Repeat("[", 60000), "WSG-400"}, {text, "\x00", "WSG-400"},
		{text, `[{"type":"ServerNotification","messageId":"1"},{}]`, "WSG-400"}, {text, `[{"type":"ConnectionDetails","messageId":"1"}]`, "WSG-400"},
		{text, `[{"type":"Heartbeat","messageId":"` + strings.Repeat("1", 257) + `"}]`, "WSG-400"},
	} {
		k := w.connected(server, other)
		_ = k.conn.Write(t.Context(), c.kind, []byte(c.what))
		f := k.next()
		if c.code == nil && f.Type != "" || c.code != nil && (f.Type != "Error" || f.body["errorCode"] != c.code) {
			t.Errorf("%.60q: %+v", c.what, f)
		}
		if f := k.next(); f.Type != "" {
			t.Errorf("%.60q: it goes on: %+v", c.what, f)
		}
		names = append(names, fmt.Sprint("Rob", i))
		w.rename(w.bob, names[i])
		well.notified(names[i])
	}
	// What is sent before the greeting waits for it; and answers come to who asked, in whatever order.
	early := dial(t, server, "access_token="+w.socketToken(other))
	early.write(`[{"type":"ClientRequest","messageId":"b","method":"GET","path":"` + subscriptionPath + `"}]`)
	early.write(`[{"type":"ClientRequest","messageId":"a","method":"GET","path":"` + entries + `"}]`)
	if f := early.next(); f.Type != "ConnectionDetails" {
		t.Error(f)
	}
	for range 2 {
		f := early.next()
		records, _ := f.body["records"].([]any)
		if f.Type != "ClientRequest" || f.Status != 200 || len(records) != map[string]int{"a": 2, "b": 2}[f.MessageID] {
			t.Error(f)
		}
	}
	eventually(t, "the webhook", func() bool { return len(r.list()) == len(names) })
	for i, one := range r.list() {
		if one.note.Body.Contacts[0]["firstName"] != names[i] {
			t.Errorf("%d: %s", i, one.body)
		}
	}
}
