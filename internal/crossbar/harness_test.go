package crossbar_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bugle"
	"bugle/internal/crossbar"
	"bugle/internal/egress"
	"bugle/internal/store"
)

// world is an API on a real store with an account of its own below the master.
type world struct {
	t       testing.TB
	api     *crossbar.API
	store   *store.Store
	sealer  *store.Sealer
	clock   *clock
	phones  *phones
	calls   *calls
	master  crossbar.Credentials
	token   string // master's
	account string // the test's own account
	panics  []any
	mu      sync.Mutex
}

const (
	testPassword = "correct horse"
	testAPIKey   = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
)

// testStart is when each test begins.
var testStart = time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC)

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

// phones are registrations as a test wants them.
type phones struct {
	mu      sync.Mutex
	list    map[string][]crossbar.Registration
	flushed []string
	synced  []string
	deaf    error // what SyncDevice fails with
}

func (p *phones) SyncDevice(accountID, deviceID string, reboot bool) (n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.list[accountID] {
		if r.DeviceID == deviceID {
			n++
		}
	}
	p.synced = append(p.synced, fmt.Sprint(accountID, "/", deviceID, " ", reboot))
	return n, p.deaf
}

func (p *phones) Registrations(accountID string) []crossbar.Registration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.list[accountID])
}

func (p *phones) FlushRegistrations(_ context.Context, accountID, username string) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flushed = append(p.flushed, accountID+"/"+username)
	before := len(p.list[accountID])
	p.list[accountID] = slices.DeleteFunc(p.list[accountID], func(r crossbar.Registration) bool {
		return username == "" || r.Username == username
	})
	return before - len(p.list[accountID]), nil
}

// calls are channels as a test wants them.
type calls struct {
	mu   sync.Mutex
	list map[string][]crossbar.Channel
	ends []string
	park map[string][]crossbar.ParkedCall
}

func (c *calls) Parked(accountID string) []crossbar.ParkedCall {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.park[accountID])
}

func (c *calls) Channels(accountID string) []crossbar.Channel {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.list[accountID])
}

func (c *calls) HangupChannel(_, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ends = append(c.ends, id)
	return nil
}

func (c *calls) MoveChannel(_ context.Context, _, id string, to crossbar.Destination) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id == "moving" {
		return &bugle.Error{Kind: bugle.KindInvalid, Message: "the channel is being moved already"}
	}
	c.ends = append(c.ends, fmt.Sprintf("%s to %s%s user %s device %s", id, to.Number, to.CallflowID, to.UserID, to.DeviceID))
	return nil
}

func (c *calls) BreakChannel(_ context.Context, _, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id == "alone" {
		return &bugle.Error{Kind: bugle.KindInvalid, Message: "nothing is being played"}
	}
	c.ends = append(c.ends, id+" cut")
	return nil
}

// flows knows three modules: hangup, user (data.id is required, data.timeout is an integer) and menu.
type flows struct{}

func (flows) ModuleSchemas() map[string]json.RawMessage {
	return map[string]json.RawMessage{"callflows.user": json.RawMessage(
		`{"$schema":"http://json-schema.org/draft-04/schema#","type":"object","required":["id"],"properties":{"id":{"type":"string"},
			"timeout":{"type":"integer"},"can_call_self":{"type":"boolean"}}}`)}
}

func (f flows) CheckFlow(flow json.RawMessage) []crossbar.FlowProblem {
	var problems []crossbar.FlowProblem
	var walk func(path string, node bugle.Flow)
	walk = func(path string, node bugle.Flow) {
		switch node.Module {
		case "hangup", "menu", "":
		case "user":
			if node.Data.String("id") == "" {
				problems = append(problems, crossbar.FlowProblem{Path: path + "data.id", Code: "required",
					Message: "Field is required but missing"})
			}
			if raw := node.Data["timeout"]; len(raw) > 0 && raw[0] == '"' {
				problems = append(problems, crossbar.FlowProblem{Path: path + "data.timeout", Code: "type",
					Message: "Value did not match type(s): integer", Target: "integer"})
			}
		default:
			problems = append(problems, crossbar.FlowProblem{Path: path + "module", Code: "enum",
				Message: "Value not found in enumerated list of values", Target: []string{"hangup", "menu", "user"}, Value: node.Module})
		}
		for key, child := range node.Children {
			walk(path+"children."+key+".", child)
		}
	}
	var root bugle.Flow
	if err := json.Unmarshal(flow, &root); err != nil {
		return []crossbar.FlowProblem{{Code: "type", Message: err.Error()}}
	}
	walk("", root)
	return problems
}

func (flows) CheckPattern(pattern string) (string, error) {
	if _, err := regexp.Compile(pattern); err != nil {
		return "", &bugle.Error{Kind: bugle.KindInvalid, Message: "Not a regular expression: " + err.Error()}
	}
	return "", nil
}

var northAmerican = regexp.MustCompile(`^(\+?1)?([2-9][0-9]{2}[2-9][0-9]{6})$`)

func (flows) NormaliseNumber(_ bugle.Account, number string) string {
	if m := northAmerican.FindStringSubmatch(number); m != nil {
		return "+1" + m[2]
	}
	return number
}

func newWorld(t testing.TB, more ...func(*crossbar.Options)) *world {
	t.Helper()
	clock, file := &clock{at: testStart}, filepath.Join(t.TempDir(), "bugle.db")
	master, account := begun(t, file)
	s, err := store.OpenSQLite(context.Background(), file, store.Options{Now: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	cache := store.NewCache(s, store.CacheOptions{})
	t.Cleanup(func() {
		cache.Close()
		s.Close()
	})
	w := serverOn(t, s, clock, append([]func(*crossbar.Options){func(o *crossbar.Options) { o.Cache = cache }}, more...)...)
	w.master, w.account, w.token = master, account, w.keyToken(testAPIKey)
	return w
}

// serverOn is an API on a store that may have others.
func serverOn(t testing.TB, s *store.Store, clock *clock, more ...func(*crossbar.Options)) *world {
	t.Helper()
	w := &world{t: t, store: s, clock: clock, phones: &phones{list: map[string][]crossbar.Registration{}},
		calls: &calls{list: map[string][]crossbar.Channel{}}}
	var err error
	if w.sealer, err = store.NewSealer(bytes.Repeat([]byte{7}, 32)); err != nil {
		t.Fatal(err)
	}
	blobs, err := store.NewBlobs(filepath.Join(t.TempDir(), "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	opts := crossbar.Options{Store: w.store, Sealer: w.sealer, Blobs: blobs, ReadAudio: readTestAudio, Flows: flows{},
		SubscriptionTerms: func(u *store.Subscription) (t crossbar.SubscriptionTerms, err error) {
			return t, json.Unmarshal(u.Body, &t)
		},
		Egress: egress.New(nil), Channels: w.calls, Registrations: w.phones, Now: w.clock.now, Version: "1.0.0-test", Node: "node",
		Limits: crossbar.Limits{Tokens: 1_000_000, Anonymous: 1_000_000}, HashCost: cheapHash,
		OnPanic: func(v any) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.panics = append(w.panics, v)
		}}
	for _, change := range more {
		change(&opts)
	}
	if w.api, err = crossbar.New(opts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.api.Close)
	t.Cleanup(func() {
		if len(w.panics) > 0 {
			t.Error("panics:", w.panics)
		}
	})
	return w
}

// answer is one response.
type answer struct {
	code   int
	header http.Header
	text   []byte
	body   map[string]any // the envelope
}

func (a answer) data() any { return a.body["data"] }

// at is the value at a path of keys in data.
func (a answer) at(path ...string) any {
	v := a.data()
	for _, key := range path {
		o, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = o[key]
	}
	return v
}

func (a answer) str(path ...string) string {
	s, _ := a.at(path...).(string)
	return s
}

func (a answer) rows() []map[string]any {
	list, _ := a.data().([]any)
	var out []map[string]any
	for _, v := range list {
		row, _ := v.(map[string]any)
		out = append(out, row)
	}
	return out
}

// raw sends a request as it is; headers are "Name: value".
func (w *world) raw(method, path, body string, headers ...string) answer {
	w.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.RemoteAddr = "192.0.2.7:40000"
	r.Header.Set("X-Request-Id", "r1")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "X-Request-Id" {
			r.Header.Set(name, value)
			continue
		}
		r.Header.Add(name, value)
	}
	rec := httptest.NewRecorder()
	w.api.ServeHTTP(rec, r)
	a := answer{code: rec.Code, header: rec.Header(), text: rec.Body.Bytes()}
	if strings.HasPrefix(rec.Header().Get("Content-Type"), "application/json") {
		decoder := json.NewDecoder(bytes.NewReader(a.text))
		decoder.UseNumber()
		if err := decoder.Decode(&a.body); err != nil && err != io.EOF {
			w.t.Errorf("%s %s: body is no JSON: %v\n%s", method, path, err, a.text)
		}
	}
	return a
}

// call sends data (JSON text, "" for no body) as the master.
func (w *world) call(method, path, data string, headers ...string) answer {
	w.t.Helper()
	return w.as(w.token, method, path, data, headers...)
}

func (w *world) as(token, method, path, data string, headers ...string) answer {
	w.t.Helper()
	body := ""
	if data != "" {
		body = `{"data":` + data + `}`
	}
	return w.raw(method, path, body, append(headers, "X-Auth-Token: "+token, "Content-Type: application/json")...)
}

// own is a path below the test's account.
func (w *world) own(rest string) string { return "/v2/accounts/" + w.account + rest }

// must is call that has to end with a code below 300.
func (w *world) must(method, path, data string) answer {
	w.t.Helper()
	a := w.call(method, path, data)
	if a.code >= 300 {
		w.t.Fatalf("%s %s %s: %d\n%s", method, path, data, a.code, a.text)
	}
	return a
}

func (w *world) newAccount(name string) string {
	w.t.Helper()
	return w.must("PUT", "/v2/accounts", `{"name":"`+name+`","realm":"`+strings.ToLower(name)+`.example.com"}`).str("id")
}

func (w *world) keyToken(key string) string {
	w.t.Helper()
	a := w.raw("PUT", "/v2/api_auth", `{"data":{"api_key":"`+key+`"}}`)
	token, _ := a.body["auth_token"].(string)
	if a.code != http.StatusCreated || token == "" {
		w.t.Fatalf("api_auth: %d %s", a.code, a.text)
	}
	return token
}

func md5Of(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}
