package ringcentral_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bugle/internal/bugletest"
	"bugle/internal/egress"
	"bugle/internal/event/webhook"
	"bugle/internal/ringcentral"
	"bugle/internal/store"
	"bugle/internal/store/pgtest"
)

const subscriptionPath = "/restapi/v1.0/subscription"

// receiver is a webhook: it answers the handshake and keeps what it is sent.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []received
	hands  []http.Header
	fail   bool
	answer func(w http.ResponseWriter, r *http.Request) bool // of the handshake; false: as it should
}

type received struct {
	header http.Header
	body   []byte
	note   struct {
		UUID, Event, Timestamp, SubscriptionID, OwnerID string
		Body                                            struct {
			Contacts  []map[string]any
			ExpiresIn *int
		}
	}
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	if token := req.Header.Get("Validation-Token"); token != "" {
		r.hands = append(r.hands, req.Header)
		if r.answer == nil || !r.answer(w, req) {
			w.Header().Set("Validation-Token", token)
		}
		return
	}
	one := received{header: req.Header, body: body}
	if err := json.Unmarshal(body, &one.note); err != nil {
		w.WriteHeader(400)
		return
	}
	r.got = append(r.got, one)
	if r.fail {
		w.WriteHeader(500)
	}
}

func (r *receiver) list() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received(nil), r.got...)
}

// owner wires the server to the engine of deliveries, as the program does.
type owner struct{ edge func() *ringcentral.Server }

func ended(err error) error {
	switch {
	case errors.Is(err, ringcentral.ErrGone):
		return webhook.ErrGone
	case errors.Is(err, ringcentral.ErrOff):
		return webhook.ErrOff
	}
	return err
}

func (o owner) Target(ctx context.Context, e store.HookEndpoint) (webhook.Target, error) {
	header, secrets, err := o.edge().Receiver(ctx, e.ID)
	return webhook.Target{Header: header, Secrets: secrets}, ended(err)
}

func (o owner) Probe(ctx context.Context, e store.HookEndpoint) error {
	return ended(o.edge().Probe(ctx, e.ID))
}

func (o owner) Tell(context.Context, store.HookEndpoint, webhook.Transition) {}

// hooked is a world whose subscriptions are delivered.
func hooked(t *testing.T, policy webhook.Policy, more ...func(*ringcentral.Options)) *world {
	t.Helper()
	return hook(t, policy, func(more ...func(*ringcentral.Options)) *world { return newWorld(t, more...) }, more...)
}

func hook(t *testing.T, policy webhook.Policy, open func(...func(*ringcentral.Options)) *world, more ...func(*ringcentral.Options)) *world {
	t.Helper()
	return hookBy(t, nil, policy, open, more...)
}

// hookBy is hook with a resolver of names; nil: the system's.
func hookBy(t *testing.T, resolver *net.Resolver, policy webhook.Policy, open func(...func(*ringcentral.Options)) *world, more ...func(*ringcentral.Options)) *world {
	t.Helper()
	sender := webhook.NewSender(egress.New([]netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}), resolver, nil)
	post := func(ctx context.Context, address string, header [][2]string) ringcentral.Reached {
		a := sender.Send(ctx, webhook.Request{Method: "POST", URL: address, Header: header})
		return ringcentral.Reached{Status: a.Status, Header: a.Header, Cut: a.Cut, Reason: a.Reason, Refused: a.Refused, Malformed: a.Malformed, Err: a.Err}
	}
	w := open(append([]func(*ringcentral.Options){func(o *ringcentral.Options) { o.Post = post }}, more...)...)
	engine, err := webhook.Start(t.Context(), webhook.Options{Store: w.store, Send: sender, Alone: true, Spread: time.Millisecond, Poll: 20 * time.Millisecond,
		Log: slog.New(slog.DiscardHandler), Kinds: map[string]webhook.Kind{ringcentral.HookKind: {Policy: policy, Owner: owner{func() *ringcentral.Server { return w.edge }}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		engine.Close(context.Background())
		sender.Close()
	})
	return w
}

// quick is RingCentral's policy in a hurry.
func quick() webhook.Policy {
	p := webhook.RingCentral()
	p.Jitter, p.BlacklistAfter, p.ProbeEvery = 0, 100*time.Millisecond, 50*time.Millisecond
	p.Again = func(_ webhook.Target, _ int, _ webhook.Answer) (time.Duration, bool) {
		return 20 * time.Millisecond, true
	}
	return p
}

func wanted(address, more string) string {
	return fmt.Sprintf(`{"eventFilters":[%q],"deliveryMode":{"transportType":"WebHook","address":%q,"verificationToken":"letmein"}%s}`, entries, address, more)
}

func TestSubscription(t *testing.T) {
	t.Parallel()
	w := hooked(t, webhook.RingCentral())
	r := newReceiver(t)
	token := w.login().str("access_token")
	made := w.api(token, "POST", subscriptionPath+"/", wanted(r.URL+"/hook?x=1", `,"includeChanges":true`))
	if made.code != 200 {
		t.Fatal(made.code, made.text)
	}
	mode := made.body["deliveryMode"].(map[string]any)
	secret, _ := mode["signingSecret"].(string)
	id := made.str("id")
	filter := made.body["eventFilters"].([]any)[0].(string)
	if made.body["expiresIn"] != 604799.0 || made.str("status") != "Active" || mode["address"] != r.URL+"/hook?x=1" || strings.Contains(filter, "~") ||
		made.str("uri") != "http://rc.example"+subscriptionPath+"/"+id || !strings.HasPrefix(secret, "whsec_") || strings.Contains(made.text, "letmein") {
		t.Error(made.text)
	}
	if hands := r.hands; len(hands) != 1 || hands[0].Get("Verification-Token") != "letmein" || hands[0].Get("Content-Length") != "0" {
		t.Error(hands)
	}
	user := "/v2/accounts/" + w.account + "/users/" + w.bob
	w.crossbar("PATCH", user, map[string]any{"first_name": "Robert"})
	w.crossbar("PATCH", user, map[string]any{"profile": map[string]any{"title": "Clerk"}}) // which no event tells
	w.crossbar("PATCH", user, map[string]any{"last_name": "Miller"})
	w.crossbar("DELETE", user, nil)
	eventually(t, "three notifications", func() bool { return len(r.list()) == 3 })
	ids := map[string]bool{}
	for i, want := range []string{"Update Robert Baker", "Update Robert Miller", "Delete Robert Miller"} {
		got := r.list()[i]
		n := got.note
		c := n.Body.Contacts[0]
		if text := fmt.Sprint(c["eventType"], " ", c["name"]); text != want || n.Event != filter || n.SubscriptionID != id || n.OwnerID == "" || n.Timestamp == "" || len(n.Body.Contacts) != 1 {
			t.Errorf("%d: %s", i, got.body)
		}
		ids[n.UUID] = true
		h := got.header
		raw, _ := webhook.ParseSecret(secret)
		var at int64
		fmt.Sscan(h.Get("webhook-timestamp"), &at)
		signed := webhook.Sign(n.UUID, time.Unix(at, 0), got.body, raw)
		if h.Get("Verification-Token") != "letmein" || h.Get("Validation-Token") != "" || h.Get("webhook-id") != n.UUID || h.Get("webhook-signature") != signed[2][1] ||
			h.Get("Content-Type") != "application/json; charset=UTF-8" {
			t.Error(h)
		}
	}
	if len(ids) != 3 {
		t.Error(ids)
	}
	if c := r.list()[0].note.Body.Contacts[0]; fmt.Sprint(c["changedFields"], c["previous"]) != "[firstName name] map[firstName:Bob name:Bob Baker]" {
		t.Error(c["changedFields"], c["previous"])
	}
	// Reading, renewing, changing.
	w.clock.advance(time.Hour)
	if a := w.api(token, "GET", subscriptionPath+"/"+id, ""); a.code != 401 {
		t.Error(a.text)
	}
	token = w.login().str("access_token")
	if a := w.api(token, "GET", subscriptionPath+"/"+id, ""); a.body["expiresIn"] != 601199.0 || strings.Contains(a.text, "signingSecret") {
		t.Error(a.text)
	}
	if a := w.api(token, "POST", subscriptionPath+"/"+id+"/renew", "{}"); a.body["expiresIn"] != 604799.0 {
		t.Error(a.text)
	}
	if a := w.api(token, "PUT", subscriptionPath+"/"+id, `{"expiresIn":1000,"deliveryMode":{"transportType":"WebHook","address":"https://elsewhere.example"}}`); a.body["expiresIn"] != 999.0 ||
		a.body["deliveryMode"].(map[string]any)["address"] != r.URL+"/hook?x=1" {
		t.Error(a.text)
	}
	w.clock.advance(10 * time.Second)
	if a := w.api(token, "PUT", subscriptionPath+"/"+id, ""); a.body["expiresIn"] != 999.0 {
		t.Error("an empty PUT keeps its lifetime:", a.text)
	}
	if a := w.api(token, "GET", subscriptionPath, ""); len(a.body["records"].([]any)) != 1 || a.str("uri") == "" {
		t.Error(a.text)
	}
	rotated := w.api(token, "POST", subscriptionPath+"/"+id+"/secret", "")
	if next, _ := rotated.body["deliveryMode"].(map[string]any)["signingSecret"].(string); next == secret || next == "" {
		t.Error(rotated.text)
	}
	w.token = w.crossbar("PUT", "/v2/api_auth", map[string]any{"api_key": kazooKey})["auth_token"].(string)
	w.crossbar("PATCH", "/v2/accounts/"+w.account+"/users/"+w.ann, map[string]any{"department": "Board"})
	eventually(t, "a fourth notification", func() bool { return len(r.list()) == 4 })
	if both := strings.Fields(r.list()[3].header.Get("webhook-signature")); len(both) != 2 {
		t.Error(both)
	}
	if a := w.api(token, "DELETE", subscriptionPath+"/"+id, "{}"); a.code != 204 || a.text != "" {
		t.Error(a.code, a.text)
	}
	w.api(token, "GET", subscriptionPath+"/"+id, "").fails(t, 404, "CMN-102")
	// Expired: told so for a day.
	brief := w.api(token, "POST", subscriptionPath, wanted(r.URL, `,"expiresIn":60`)).str("id")
	w.clock.advance(time.Minute)
	w.api(token, "GET", subscriptionPath+"/"+brief, "").fails(t, 404, "SUB-507")
	if a := w.api(token, "GET", subscriptionPath, ""); len(a.body["records"].([]any)) != 0 {
		t.Error(a.text)
	}
}

func TestSubscriptionFaults(t *testing.T) {
	t.Parallel()
	w := hooked(t, webhook.RingCentral(), func(o *ringcentral.Options) { o.PerUser = 2 })
	r := newReceiver(t)
	token := w.login().str("access_token")
	eve := w.form(tokenPath, "", "", "grant_type", "password", "username", "eve@example.com", "password", annWord).str("access_token")
	foreign := "/restapi/v1.0/account/" + w.other + "/directory/entries"
	hook := func(filters, more string) string {
		return fmt.Sprintf(`{"eventFilters":[%s],"deliveryMode":{"transportType":"WebHook","address":%q}%s}`, filters, r.URL, more)
	}
	mine := `"` + entries + `"`
	remind := func(query string) string { return `"/restapi/v1.0/subscription/~?` + query + `"` }
	for body, want := range map[string]string{
		`{`: "400 CMN-103", `[]`: "400 CMN-103", ``: "400 CMN-103", `{}`: "400 CMN-101 deliveryMode",
		`{"eventFilters":"x"}`: "400 CMN-101 eventFilters", `{"deliveryMode":{"transportType":"PubNub"}}`: "400 CMN-101 deliveryMode.transportType",
		`{"deliveryMode":{"transportType":"WebSocket"}}`: "400 CMN-101 deliveryMode.transportType", `{"deliveryMode":{"transportType":"WebHook"}}`: "400 CMN-101 deliveryMode.address",
		`{"deliveryMode":{"transportType":"WebHook","address":"ftp://x"}}`: "400 CMN-101 deliveryMode.address", `{"deliveryMode":{"transportType":"WebHook","address":"https://a:b@x"}}`: "400 CMN-101 deliveryMode.address",
		`{"deliveryMode":{"transportType":"WebHook","address":"https://x","verificationToken":"a\r\nb"}}`: "400 CMN-101 deliveryMode.verificationToken",
		hook(``, ``): "400 CMN-101 eventFilters", hook(`"/restapi/v1.0/account/~/presence"`, ``): "400 SUB-508 eventFilters", hook(`"subscription~?threshold=60&interval=15"`, ``): "400 SUB-508 eventFilters",
		hook(`"`+entries+`?x=1"`, ``): "400 SUB-508 eventFilters", hook(`"`+foreign+`"`, ``): "403 SUB-406 eventFilters", hook(`"/restapi/v1.0/account/1/directory/entries"`, ``): "403 SUB-406 eventFilters",
		hook(mine, `,"expiresIn":0`): "400 CMN-101 expiresIn", hook(mine, `,"expiresIn":-5`): "400 CMN-101 expiresIn", hook(mine, `,"expiresIn":700000000`): "400 CMN-101 expiresIn",
		hook(mine, `,"expiresIn":"60"`):              "400 CMN-101 expiresIn",
		hook(remind("threshold=60"), ``):             "400 SUB-516 eventFilters",
		hook(remind("threshold=60&interval=40"), ``): "400 SUB-516 eventFilters", hook(remind("threshold=60&interval=4"), ``): "400 SUB-516 eventFilters",
		hook(remind("threshold=60&interval=15"), `,"expiresIn":100`): "400 SUB-516 eventFilters", hook(remind("threshold=x&interval=15"), ``): "400 SUB-516 eventFilters",
		`{"eventFilters":[` + mine + `],"deliveryMode":{"transportType":"WebHook","address":"http://192.168.7.7/"}}`:      "400 SUB-523 deliveryMode.address",
		`{"eventFilters":[` + mine + `],"deliveryMode":{"transportType":"WebHook","address":"https://127.0.0.2/"}}`:       "400 SUB-521 deliveryMode.address",
		`{"eventFilters":[` + mine + `],"deliveryMode":{"transportType":"WebHook","address":"https://nowhere.invalid/"}}`: "400 SUB-521 deliveryMode.address",
	} {
		a := w.api(token, "POST", subscriptionPath, body)
		if got := strings.TrimSpace(fmt.Sprint(a.code, " ", a.str("errorCode"), " ", a.str("parameterName"))); got != want {
			t.Errorf("%s: %s, want %s\n%s", body, got, want, a.text)
		}
	}
	secure := httptest.NewTLSServer(r)
	defer secure.Close()
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	w.api(token, "POST", subscriptionPath, wanted(secure.URL, "")).fails(t, 400, "SUB-524")
	release := make(chan struct{})
	for name, c := range map[string]struct {
		code   string
		answer func(w http.ResponseWriter, r *http.Request) bool
	}{
		"no header": {"SUB-520", func(http.ResponseWriter, *http.Request) bool { return true }},
		"another header": {"SUB-520", func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Validation-Token", "x")
			return true
		}},
		"201": {"SUB-525", func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Validation-Token", r.Header.Get("Validation-Token"))
			w.WriteHeader(201)
			return true
		}},
		"a redirect": {"SUB-525", func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
			return true
		}},
		"garbage": {"SUB-525", func(w http.ResponseWriter, _ *http.Request) bool {
			if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
				io.WriteString(c, "\x00\x01garbage\r\n\r\n")
				c.Close()
			}
			return true
		}},
		"a large header": {"SUB-525", func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("X", strings.Repeat("x", 20000))
			return true
		}},
		"closing": {"SUB-521", func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }},
		"large": {"SUB-525", func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Validation-Token", r.Header.Get("Validation-Token"))
			io.WriteString(w, strings.Repeat("x", 20000))
			return true
		}},
		"slow": {"SUB-521", func(http.ResponseWriter, *http.Request) bool { <-release; return true }},
	} {
		r.mu.Lock()
		r.answer = c.answer
		r.mu.Unlock()
		a := w.api(token, "POST", subscriptionPath, wanted(r.URL, ""))
		if a.fails(t, 400, c.code); name == "slow" {
			close(release)
		}
		if name == "a redirect" && !strings.Contains(a.text, "must be 200, not 302 Found") {
			t.Error(a.text)
		}
	}
	r.mu.Lock()
	r.answer = nil
	r.mu.Unlock()
	first := w.api(token, "POST", subscriptionPath, hook(mine+","+mine, `,"expiresIn":500000000`))
	if first.code != 200 || first.body["expiresIn"] != 315359999.0 || len(first.body["eventFilters"].([]any)) != 1 {
		t.Fatal(first.text)
	}
	w.api(token, "POST", subscriptionPath, hook(mine, ``))
	w.api(token, "POST", subscriptionPath, hook(mine, ``)).fails(t, 403, "SUB-505")
	id := first.str("id")
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		w.api(eve, method, subscriptionPath+"/"+id, "").fails(t, 404, "CMN-102")
		w.api(token, method, subscriptionPath+"/nothing", "").fails(t, 404, "CMN-102")
	}
	for _, action := range []string{"/renew", "/secret"} {
		w.api(eve, "POST", subscriptionPath+"/"+id+action, "").fails(t, 404, "CMN-102")
	}
	if a := w.api(eve, "GET", subscriptionPath, ""); len(a.body["records"].([]any)) != 0 {
		t.Error(a.text)
	}
	w.api(token, "PATCH", subscriptionPath+"/"+id, "{}").fails(t, 405, "CMN-102")
	app := "/v2/accounts/" + w.account + "/oauth_apps/" + w.app
	w.crossbar("PATCH", app, map[string]any{"permissions": []any{"SubscriptionWebhook"}})
	w.api(token, "DELETE", subscriptionPath+"/"+id, "")
	if a := w.api(token, "POST", subscriptionPath, hook(mine, ``)); a.code != 200 || len(a.body["disabledFilters"].([]any)) != 1 || !strings.Contains(a.text, "SUB-412") {
		t.Error(a.text)
	}
	w.crossbar("PATCH", app, map[string]any{"permissions": []any{"ReadAccounts"}})
	w.api(token, "POST", subscriptionPath, hook(mine, ``)).fails(t, 403, "CMN-401")
}

// TestBlacklist: after long failure nothing but probes is sent; then all that waited comes, in order, with the uuids that it had.
func TestBlacklist(t *testing.T) {
	t.Parallel()
	w := hooked(t, quick())
	r := newReceiver(t)
	token := w.login().str("access_token")
	id := w.api(token, "POST", subscriptionPath, wanted(r.URL, "")).str("id")
	set := func(fail bool) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.fail = fail; fail {
			r.answer = func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(503); return true }
		} else {
			r.answer = nil
		}
	}
	set(true)
	w.crossbar("PATCH", "/v2/accounts/"+w.account+"/users/"+w.bob, map[string]any{"first_name": "Rob"})
	eventually(t, "the blacklist", func() bool {
		a := w.api(token, "GET", subscriptionPath+"/"+id, "")
		data, _ := a.body["blacklistedData"].(map[string]any)
		return a.str("status") == "Blacklisted" && data["reason"] != "" && data["blacklistedAt"] != ""
	})
	before := r.list()
	w.crossbar("PATCH", "/v2/accounts/"+w.account+"/users/"+w.bob, map[string]any{"first_name": "Bert"})
	set(false)
	w.api(token, "POST", subscriptionPath+"/"+id+"/renew", "")
	eventually(t, "what waited", func() bool { return len(r.list()) >= len(before)+2 })
	after := r.list()[len(before):]
	if after[0].note.UUID != before[0].note.UUID || string(after[0].body) != string(before[0].body) || after[1].note.Body.Contacts[0]["firstName"] != "Bert" {
		t.Errorf("%s\n%s", after[0].body, after[1].body)
	}
	// What the receiver is sent may come before it is written that it is well.
	eventually(t, "it is active", func() bool { return w.api(token, "GET", subscriptionPath+"/"+id, "").str("status") == "Active" })
}

// TestNameFlips: the name of a receiver that leads to where it may at the handshake, and inside afterwards. Nothing connects there, not
// for a delivery and not for a probe; when the name leads back, all that waited comes.
func TestNameFlips(t *testing.T) {
	t.Parallel()
	var inside atomic.Bool
	resolver, stop, err := bugletest.Names(func() netip.Addr {
		if inside.Load() {
			return netip.MustParseAddr("127.0.0.3")
		}
		return netip.MustParseAddr("127.0.0.1")
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	w := hookBy(t, resolver, quick(), func(more ...func(*ringcentral.Options)) *world { return newWorld(t, more...) })
	r := newReceiver(t)
	r.answer = func(w http.ResponseWriter, _ *http.Request) bool { w.Header().Set("Connection", "close"); return false }
	port := r.Listener.Addr().(*net.TCPAddr).Port
	var reached atomic.Int64
	trap, err := net.Listen("tcp", fmt.Sprint("127.0.0.3:", port))
	if err != nil {
		t.Fatal(err)
	}
	defer trap.Close()
	go func() {
		for c, err := trap.Accept(); err == nil; c, err = trap.Accept() {
			reached.Add(1)
			c.Close()
		}
	}()
	token := w.login().str("access_token")
	address := fmt.Sprint("http://flip.test:", port, "/hook")
	made := w.api(token, "POST", subscriptionPath, wanted(address, ""))
	if made.code != 200 {
		t.Fatal(made.text)
	}
	id := made.str("id")
	inside.Store(true)
	w.api(token, "POST", subscriptionPath, wanted(address, "")).fails(t, 400, "SUB-523")
	w.rename(w.bob, "Rob")
	w.rename(w.bob, "Bert")
	eventually(t, "the blacklist", func() bool {
		a := w.api(token, "GET", subscriptionPath+"/"+id, "")
		data, _ := a.body["blacklistedData"].(map[string]any)
		reason, _ := data["reason"].(string)
		return a.str("status") == "Blacklisted" && strings.Contains(reason, "may not be connected to") && !strings.Contains(reason, "127.0.0")
	})
	if n := len(r.list()); n != 0 || reached.Load() != 0 {
		t.Errorf("%d notifications arrived, %d connections went inside", n, reached.Load())
	}
	inside.Store(false)
	eventually(t, "what waited", func() bool { return len(r.list()) == 2 })
	if got := r.list(); got[0].note.Body.Contacts[0]["firstName"] != "Rob" || got[1].note.Body.Contacts[0]["firstName"] != "Bert" || reached.Load() != 0 {
		t.Errorf("%s\n%s", got[0].body, got[1].body)
	}
}

func TestReminder(t *testing.T) {
	t.Parallel()
	w := hooked(t, webhook.RingCentral())
	r := newReceiver(t)
	token := w.login().str("access_token")
	const filter = "/restapi/v1.0/subscription/~?threshold=60&interval=15"
	made := w.api(token, "POST", subscriptionPath, fmt.Sprintf(`{"eventFilters":[%q],"expiresIn":120,"deliveryMode":{"transportType":"WebHook","address":%q}}`, filter, r.URL))
	if made.code != 200 || made.body["eventFilters"].([]any)[0] != filter {
		t.Fatal(made.text)
	}
	w.crossbar("PATCH", "/v2/accounts/"+w.account+"/users/"+w.bob, map[string]any{"first_name": "Rob"}) // which it did not ask for
	for i, step := range []time.Duration{61 * time.Second, 15 * time.Second} {
		w.clock.advance(step)
		eventually(t, "a reminder", func() bool { return len(r.list()) == i+1 })
		n := r.list()[i].note
		if n.Event != filter || n.SubscriptionID != made.str("id") || n.Body.ExpiresIn == nil || *n.Body.ExpiresIn > 60 || *n.Body.ExpiresIn < 40 {
			t.Errorf("%s", r.list()[i].body)
		}
	}
	// When it asks for the directory later, it is told what happens from then on.
	token = w.login().str("access_token")
	if a := w.api(token, "PUT", subscriptionPath+"/"+made.str("id"), `{"eventFilters":["`+entries+`"]}`); a.code != 200 {
		t.Fatal(a.text)
	}
	w.crossbar("PATCH", "/v2/accounts/"+w.account+"/users/"+w.bob, map[string]any{"first_name": "Bert"})
	eventually(t, "a change", func() bool { return len(r.list()) == 3 })
	if c := r.list()[2].note.Body.Contacts; len(c) != 1 || c[0]["firstName"] != "Bert" {
		t.Errorf("%s", r.list()[2].body)
	}
}

// TestBatches: what one change does to many contacts comes in notifications of at most a hundred, each contact once, and what happens
// to one contact again and again is never merged.
func TestBatches(t *testing.T) {
	t.Parallel()
	w := hooked(t, webhook.RingCentral())
	r := newReceiver(t)
	base := "/v2/accounts/" + w.account
	site := w.create(base+"/sites", map[string]any{"name": "North"})
	for i := range 130 {
		w.create(base+"/users", map[string]any{"first_name": fmt.Sprint("P", i), "site_id": site})
	}
	w.settled(w.account, 132)
	token := w.login().str("access_token")
	if a := w.api(token, "POST", subscriptionPath, wanted(r.URL, "")); a.code != 200 {
		t.Fatal(a.text)
	}
	seen, most := map[string]int{}, 0
	count := func() (contacts int) {
		clear(seen)
		for _, one := range r.list() {
			in := map[string]bool{}
			for _, c := range one.note.Body.Contacts {
				id := c["id"].(string)
				if in[id] {
					t.Error("twice in one notification:", id)
				}
				in[id] = true
				seen[id]++
				contacts++
			}
			most = max(most, len(one.note.Body.Contacts))
		}
		return contacts
	}
	w.crossbar("PATCH", base+"/sites/"+site, map[string]any{"name": "South"})
	eventually(t, "all of the site", func() bool { return count() == 130 })
	if len(seen) != 130 || most > 100 {
		t.Error(len(seen), most)
	}
	for i := range 25 {
		w.rename(w.bob, fmt.Sprint("Bob", i))
	}
	eventually(t, "every change", func() bool { return count() == 155 })
	i := 0
	for _, one := range r.list() {
		for _, c := range one.note.Body.Contacts {
			if name := c["firstName"].(string); strings.HasPrefix(name, "Bob") {
				if name != fmt.Sprint("Bob", i) {
					t.Error(name, i)
				}
				i++
			}
		}
	}
}

// TestTwoNodes: two servers on one database tell each change once.
func TestTwoNodes(t *testing.T) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		twoNodes(t, hooked(t, webhook.RingCentral()))
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		twoNodes(t, hook(t, webhook.RingCentral(), func(more ...func(*ringcentral.Options)) *world {
			s, err := store.OpenPostgres(t.Context(), pgtest.URL(t), store.Options{})
			if err != nil {
				t.Fatal(err)
			}
			return worldOn(t, s, more...)
		}))
	})
}

func twoNodes(t *testing.T, w *world) {
	second := ringcentral.New(w.options)
	defer second.Close()
	r := newReceiver(t)
	token := w.login().str("access_token")
	if a := w.api(token, "POST", subscriptionPath, wanted(r.URL, "")); a.code != 200 {
		t.Fatal(a.text)
	}
	const changes = 30
	for i := range changes {
		w.rename(w.bob, fmt.Sprint("Bob", i))
	}
	names := func() (out []string) {
		for _, one := range r.list() {
			for _, c := range one.note.Body.Contacts {
				out = append(out, fmt.Sprint(c["firstName"]))
			}
		}
		return out
	}
	eventually(t, "every change", func() bool { return len(names()) >= changes })
	for i, name := range names() {
		if name != fmt.Sprint("Bob", i) {
			t.Fatal(i, names())
		}
	}
	k := dial(t, listening(t, w), "access_token="+w.socketToken(token))
	if hello := k.next(); hello.Type != "ConnectionDetails" {
		t.Fatal(hello)
	}
	if f := k.ask("POST", subscriptionPath, wantSocket); f.Status != 200 {
		t.Fatal(f)
	}
	w.rename(w.bob, "Last")
	k.notified("Last")
	if a := w.api(token, "GET", subscriptionPath, ""); len(a.body["records"].([]any)) != 2 {
		t.Error(a.text)
	}
}
