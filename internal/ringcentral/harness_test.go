package ringcentral_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"bugle/internal/crossbar"
	"bugle/internal/event"
	"bugle/internal/ringcentral"
	"bugle/internal/store"
)

const (
	kazooKey = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	annLogin = "ann@example.com"
	annWord  = "correct horse"
)

// logins are crossbar's people, as the program wires them.
type logins struct{ *crossbar.API }

func person(p crossbar.Person, err error) (ringcentral.Person, error) {
	if errors.Is(err, crossbar.ErrDisabled) {
		err = ringcentral.ErrDisabled
	}
	return ringcentral.Person{AccountID: p.AccountID, Company: p.Company, MainNumber: p.MainNumber, UserID: p.UserID, Admin: p.Admin, Stamp: p.Stamp, Credential: p.Credential, Above: p.Above}, err
}

func (l logins) Person(ctx context.Context, accountID, userID string) (ringcentral.Person, error) {
	return person(l.API.Person(ctx, accountID, userID))
}

func (l logins) LogIn(ctx context.Context, client netip.Addr, name, accountID, userID, password string) (ringcentral.Person, time.Duration, error) {
	p, retry, err := l.API.LogIn(ctx, client, name, accountID, userID, password)
	who, err := person(p, err)
	return who, retry, err
}

func (l logins) App(ctx context.Context, clientID string) (ringcentral.App, error) {
	a, err := l.API.OAuthApp(ctx, clientID)
	return ringcentral.App{ID: a.ID, AccountID: a.AccountID, Name: a.Name, Public: a.Public, Permissions: a.Permissions, RedirectURIs: a.RedirectURIs,
		HasSecret: a.HasSecret}, err
}

func (l logins) Assertion(ctx context.Context, assertion, app string) (ringcentral.Person, error) {
	return person(l.API.Assertion(ctx, assertion, app))
}

func (l logins) Client(r *http.Request) netip.Addr { return l.ClientAddress(r) }

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// world is a server with one company: Ann and Bob, an app, and another company beside.
type world struct {
	t              *testing.T
	kazoo          *crossbar.API
	edge           *ringcentral.Server
	store          *store.Store
	sealer         *store.Sealer
	contacts       *event.Contacts
	clock          *clock
	options        ringcentral.Options
	token          string // the master's, of the KAZOO API
	account, other string
	ann, bob, eve  string
	app, secret    string
	jwt            string // Ann's
}

func newWorld(t *testing.T, more ...func(*ringcentral.Options)) *world {
	t.Helper()
	s, err := store.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "bugle.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return worldOn(t, s, more...)
}

// worldOn is a world on a new, empty store, which it closes.
func worldOn(t *testing.T, s *store.Store, more ...func(*ringcentral.Options)) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{at: time.Now().UTC().Truncate(time.Second)}}
	var err error
	w.store = s
	t.Cleanup(func() { _ = w.store.Close() })
	if w.sealer, err = store.NewSealer(bytes.Repeat([]byte{7}, 32)); err != nil {
		t.Fatal(err)
	}
	blobs, err := store.NewBlobs(filepath.Join(t.TempDir(), "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	if w.kazoo, err = crossbar.New(crossbar.Options{Store: w.store, Blobs: blobs, Sealer: w.sealer, Now: w.clock.now, HashCost: crossbar.HashCost{Passes: 1, Memory: 8},
		Limits: crossbar.Limits{Anonymous: 1_000_000}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.kazoo.Close)
	projector := event.Project(event.ProjectorOptions{Store: w.store})
	t.Cleanup(projector.Close)
	w.contacts = event.NewContacts(w.store)
	eventually(t, "the directories are loaded", func() bool { // what was there before makes no events
		_, _, err := w.contacts.State(t.Context(), "")
		return err == nil
	})
	if _, _, err = w.kazoo.EnsureMaster(t.Context(), annWord, kazooKey, nil); err != nil {
		t.Fatal(err)
	}
	w.token = w.crossbar("PUT", "/v2/api_auth", map[string]any{"api_key": kazooKey})["auth_token"].(string)
	w.account = w.create("/v2/accounts", map[string]any{"name": "Acme"})
	w.other = w.create("/v2/accounts", map[string]any{"name": "Other"})
	w.ann = w.create("/v2/accounts/"+w.account+"/users", map[string]any{"first_name": "Ann", "last_name": "Archer", "username": annLogin, "email": annLogin,
		"password": annWord, "priv_level": "admin", "department": "Sales", "profile": map[string]any{"title": "Boss"}})
	w.bob = w.create("/v2/accounts/"+w.account+"/users", map[string]any{"first_name": "Bob", "last_name": "Baker", "username": "bob", "email": "bob@example.com",
		"password": annWord})
	w.eve = w.create("/v2/accounts/"+w.other+"/users", map[string]any{"first_name": "Eve", "username": "eve", "email": "eve@example.com", "password": annWord})
	app := w.crossbar("PUT", "/v2/accounts/"+w.account+"/oauth_apps", map[string]any{"name": "CRM", "redirect_uris": []any{"https://crm.example.com/back?x=1"}})
	data := app["data"].(map[string]any)
	w.app, w.secret = data["id"].(string), data["client_secret"].(string)
	made := w.crossbar("PUT", "/v2/accounts/"+w.account+"/users/"+w.ann+"/jwt_credentials", map[string]any{"name": "sync"})
	w.jwt = made["data"].(map[string]any)["jwt"].(string)
	w.options = ringcentral.Options{Store: w.store, Sealer: w.sealer, People: logins{w.kazoo}, Contacts: w.contacts, Now: w.clock.now,
		Rates: ringcentral.Rates{Light: 1e6, Medium: 1e6, Heavy: 1e6, Auth: 1e6}, OnPanic: func(v any) { t.Error("panic:", v) }}
	for _, change := range more {
		change(&w.options)
	}
	w.edge = ringcentral.New(w.options)
	t.Cleanup(func() { w.edge.Close() })
	w.settled(w.account, 2)
	w.settled(w.other, 1)
	return w
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t *testing.T, what string, met func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !met() {
		if time.Now().After(deadline) {
			t.Fatal("in vain:", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// settled waits until an account has had so many directory events.
func (w *world) settled(account string, events int64) {
	w.t.Helper()
	eventually(w.t, "directory events", func() bool {
		cursor, _, err := w.contacts.State(w.t.Context(), account)
		return err == nil && cursor >= events
	})
}

func (w *world) crossbar(method, path string, doc map[string]any) map[string]any {
	w.t.Helper()
	body := []byte(nil)
	if doc != nil {
		body, _ = json.Marshal(map[string]any{"data": doc})
	}
	r := httptest.NewRequest(method, path, bytes.NewReader(body))
	r.Header.Set("X-Auth-Token", w.token)
	r.Header.Set("Content-Type", "application/json")
	rec := httptest.NewRecorder()
	w.kazoo.ServeHTTP(rec, r)
	var out map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil || rec.Code >= 300 {
		w.t.Fatal(method, path, rec.Code, rec.Body, err)
	}
	return out
}

func (w *world) create(path string, doc map[string]any) string {
	w.t.Helper()
	return w.crossbar("PUT", path, doc)["data"].(map[string]any)["id"].(string)
}

// answer is what the server gave.
type answer struct {
	code   int
	header http.Header
	text   string
	body   map[string]any
}

func (a answer) str(key string) string { s, _ := a.body[key].(string); return s }

// fails makes sure of an error in both its forms.
func (a answer) fails(t *testing.T, status int, code string) {
	t.Helper()
	list, _ := a.body["errors"].([]any)
	if a.code != status || a.str("errorCode") != code || a.str("message") == "" || len(list) != 1 || list[0].(map[string]any)["errorCode"] != code {
		t.Errorf("got %d %s, want %d %s", a.code, a.text, status, code)
	}
}

func (w *world) send(method, path, contentType, body string, header ...string) answer {
	w.t.Helper()
	r := httptest.NewRequest(method, "http://rc.example"+path, strings.NewReader(body))
	r.RemoteAddr = "192.0.2.9:4000"
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.edge.ServeHTTP(rec, r)
	text, _ := io.ReadAll(rec.Body)
	a := answer{code: rec.Code, header: rec.Header(), text: string(text)}
	if strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(text, &a.body); err != nil {
			w.t.Error(method, path, err, a.text)
		}
	}
	return a
}

// form posts to the token endpoint as an app, or without for client "".
func (w *world) form(path, client, secret string, fields ...string) answer {
	w.t.Helper()
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	r := httptest.NewRequest("POST", path, nil)
	r.SetBasicAuth(client, secret)
	if client == "" {
		return w.send("POST", path, "application/x-www-form-urlencoded", form.Encode())
	}
	return w.send("POST", path, "application/x-www-form-urlencoded", form.Encode(), "Authorization", r.Header.Get("Authorization"))
}

const (
	tokenPath = "/restapi/oauth/token"
	grantJWT  = "urn:ietf:params:oauth:grant-type:jwt-bearer"
)

// login is Ann by her JWT credential and the app.
func (w *world) login() answer {
	w.t.Helper()
	a := w.form(tokenPath, w.app, w.secret, "grant_type", grantJWT, "assertion", w.jwt)
	if a.code != 200 {
		w.t.Fatal(a.code, a.text)
	}
	return a
}

// api is a call with a token; body is JSON text, "" for none.
func (w *world) api(token, method, path, body string, header ...string) answer {
	w.t.Helper()
	contentType := ""
	if body != "" {
		contentType = "application/json"
	}
	return w.send(method, path, contentType, body, append(header, "Authorization", "bearer "+token)...)
}
