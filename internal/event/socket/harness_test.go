package socket_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"bugle/internal/crossbar"
	"bugle/internal/event/socket"
	"bugle/internal/store"
)

const (
	apiKey   = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	password = "correct horse"
)

// people are the API's, as the program wires them.
type people struct{ *crossbar.API }

func (p people) Holder(ctx context.Context, token string) (socket.Holder, error) {
	h, err := p.API.Holder(ctx, token)
	return socket.Holder{AccountID: h.AccountID, UserID: h.UserID, Admin: h.Admin, Ticket: h}, err
}

func (p people) Follows(ctx context.Context, h socket.Holder, accountID string) error {
	return p.API.Follows(ctx, h.Ticket.(crossbar.Holder), accountID)
}

func (p people) Client(r *http.Request) netip.Addr { return p.ClientAddress(r) }

// world is a server with the master account and two companies, on a store.
type world struct {
	t       testing.TB
	api     *crossbar.API
	store   *store.Store
	sockets *socket.Server
	url     string
	master  string // account
	token   string // the master's
	acme    string // an account, and its administrator's token
	ann     string
	annID   string
	other   string
}

func newWorld(t testing.TB, more ...func(*socket.Options)) *world {
	t.Helper()
	s, err := store.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "bugle.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := serverOn(t, s, more...)
	if _, _, err := w.api.EnsureMaster(t.Context(), password, apiKey, nil); err != nil {
		t.Fatal(err)
	}
	w.found()
	return w
}

// serverOn is a server on a store, which it closes.
func serverOn(t testing.TB, s *store.Store, more ...func(*socket.Options)) *world {
	t.Helper()
	w := &world{t: t, store: s}
	t.Cleanup(func() { _ = s.Close() })
	sealer, err := store.NewSealer(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	if w.api, err = crossbar.New(crossbar.Options{Store: s, Sealer: sealer, HashCost: crossbar.HashCost{Passes: 1, Memory: 8}, Sockets: shown{w},
		Limits: crossbar.Limits{Anonymous: 1_000_000, Tokens: 1_000_000}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.api.Close)
	o := socket.Options{Changes: s, People: people{w.api}, Types: crossbar.DocumentTypes(), Node: "node", OnPanic: func(v any) { t.Error("panic:", v) }}
	for _, change := range more {
		change(&o)
	}
	w.sockets = socket.New(o)
	server := httptest.NewServer(w.sockets)
	w.url = "ws" + strings.TrimPrefix(server.URL, "http") + socket.Path
	t.Cleanup(server.Close)
	t.Cleanup(w.sockets.Close)
	return w
}

// shown shows the API the sockets.
type shown struct{ w *world }

func (s shown) Bindings() map[string][]string { return s.w.sockets.Bindings() }

func (s shown) Sockets(account string) (out []crossbar.Socket) {
	for _, k := range s.w.sockets.Sessions(account) {
		one := crossbar.Socket{ID: k.ID, Name: k.Name, Metadata: k.Metadata, Client: k.Client, Opened: k.Opened}
		for _, b := range k.Bindings {
			one.Bindings = append(one.Bindings, crossbar.SocketBinding{AccountID: b.AccountID, Binding: b.Text})
		}
		out = append(out, one)
	}
	return out
}

// found makes the companies.
func (w *world) found() {
	w.t.Helper()
	made := w.as("", "PUT", "/v2/api_auth", `{"api_key":"`+apiKey+`"}`)
	w.token, w.master = made["auth_token"].(string), made["data"].(map[string]any)["account_id"].(string)
	w.acme = w.make("/v2/accounts", `{"name":"Acme"}`)
	w.other = w.make("/v2/accounts", `{"name":"Other"}`)
	w.annID = w.user(w.acme, "ann", "admin")
	w.ann = w.login("Acme", "ann")
}

// as sends a request to the API; data is JSON, "" for none.
func (w *world) as(token, method, path, data string) map[string]any {
	w.t.Helper()
	body := ""
	if data != "" {
		body = `{"data":` + data + `}`
	}
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("X-Auth-Token", token)
	r.Header.Set("Content-Type", "application/json")
	rec := httptest.NewRecorder()
	w.api.ServeHTTP(rec, r)
	var out map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil || rec.Code >= 300 {
		w.t.Fatal(method, path, rec.Code, rec.Body, err)
	}
	return out
}

func (w *world) do(method, path, data string) map[string]any {
	w.t.Helper()
	return w.as(w.token, method, path, data)
}

func (w *world) make(path, data string) string {
	w.t.Helper()
	return w.do("PUT", path, data)["data"].(map[string]any)["id"].(string)
}

func (w *world) user(account, name, privilege string) string {
	w.t.Helper()
	return w.make("/v2/accounts/"+account+"/users", fmt.Sprintf(`{"first_name":%q,"last_name":"X","username":%q,"password":%q,"priv_level":%q}`,
		name, name, password, privilege))
}

func (w *world) login(company, name string) string {
	w.t.Helper()
	sum := md5.Sum([]byte(name + ":" + password))
	return w.as("", "PUT", "/v2/user_auth", fmt.Sprintf(`{"account_name":%q,"credentials":%q}`, company, hex.EncodeToString(sum[:])))["auth_token"].(string)
}

// client is a client's end of a socket.
type client struct {
	t      testing.TB
	conn   *websocket.Conn
	closed websocket.CloseError // once next returned nil
	events []message            // that came before an answer
	n      int
}

// message is what the server sends.
type message struct {
	Action          string         `json:"action"`
	RequestID       string         `json:"request_id"`
	Status          string         `json:"status"`
	Name            string         `json:"name"`
	RoutingKey      string         `json:"routing_key"`
	SubscribedKey   string         `json:"subscribed_key"`
	SubscriptionKey string         `json:"subscription_key"`
	Data            map[string]any `json:"data"`
}

func (m *message) errors() string {
	list, _ := m.Data["errors"].([]any)
	return fmt.Sprint(list...)
}

func (w *world) dial() *client {
	w.t.Helper()
	conn, res, err := websocket.Dial(w.t.Context(), w.url, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if res.Body != nil {
		res.Body.Close()
	}
	conn.SetReadLimit(1 << 20)
	w.t.Cleanup(func() { conn.CloseNow() })
	return &client{t: w.t, conn: conn}
}

// next is the next message; nil when the socket was closed.
func (k *client) next() *message {
	k.t.Helper()
	if len(k.events) > 0 {
		m := k.events[0]
		k.events = k.events[1:]
		return &m
	}
	return k.read()
}

func (k *client) read() *message {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, text, err := k.conn.Read(ctx)
	if err != nil {
		if errors.As(err, &k.closed); ctx.Err() != nil {
			k.t.Fatal("nothing comes")
		}
		return nil
	}
	var m message
	if err := json.Unmarshal(text, &m); err != nil {
		k.t.Fatalf("%v: %s", err, text)
	}
	return &m
}

func (k *client) write(text string) {
	k.t.Helper()
	if err := k.conn.Write(k.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		k.t.Error(err)
	}
}

// ask sends a message with a request_id of its own and returns the answer. Events that come before are kept.
func (k *client) ask(action, token, data string) message {
	k.t.Helper()
	k.n++
	id := fmt.Sprint("r", k.n)
	k.write(fmt.Sprintf(`{"action":%q,"auth_token":%q,"request_id":%q,"data":%s}`, action, token, id, data))
	for {
		m := k.read()
		switch {
		case m == nil:
			k.t.Fatalf("closed: %v", k.closed)
		case m.Action == "event":
			k.events = append(k.events, *m)
		case m.RequestID != id:
			k.t.Fatalf("an answer to %q: %+v", m.RequestID, m)
		default:
			return *m
		}
	}
}

func (k *client) subscribe(token, account string, bindings ...string) {
	k.t.Helper()
	list, _ := json.Marshal(bindings)
	if m := k.ask("subscribe", token, fmt.Sprintf(`{"account_id":%q,"bindings":%s}`, account, list)); m.Status != "success" {
		k.t.Fatalf("%+v", m)
	}
}

// event is the next message, which has to be an event.
func (k *client) event() message {
	k.t.Helper()
	m := k.next()
	if m == nil || m.Action != "event" {
		k.t.Fatalf("no event but %+v; closed %v", m, k.closed)
	}
	return *m
}

// ends makes sure that the server closes, with what reason, and tells nothing before.
func (k *client) ends(code websocket.StatusCode, reason string) {
	k.t.Helper()
	if m := k.next(); m != nil {
		k.t.Fatalf("told %+v, wanted the end", m)
	}
	if k.closed.Code != code || !strings.Contains(k.closed.Reason, reason) {
		k.t.Errorf("closed with %d %q, want %d %q", k.closed.Code, k.closed.Reason, code, reason)
	}
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t testing.TB, what string, met func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !met(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("in vain:", what)
		}
	}
}
