package crossbar_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"bugle/internal/crossbar"
)

// from sends a request as a client of the address.
func (w *world) from(address, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.RemoteAddr = address
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	rec := httptest.NewRecorder()
	w.api.ServeHTTP(rec, r)
	return rec
}

func TestTokenBucketOfAccountAndAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *crossbar.Options) {
		o.Limits = crossbar.Limits{Tokens: 20, TokensPerSecond: 2, Anonymous: 100}
	})
	w.clock.advance(time.Minute)
	other := w.keyToken(w.must("GET", w.own("/api_key"), "").str("api_key"))
	get := func(address, token string) *httptest.ResponseRecorder {
		return w.from(address, "GET", w.own("/menus"), "", "X-Auth-Token: "+token)
	}
	for i := range 19 { // one went to /api_key
		a := get("192.0.2.7:1", w.token)
		want := fmt.Sprintf(`"tokens":{"consumed":1,"remaining":%d}`, 18-i)
		if a.Code != 200 || !strings.Contains(a.Body.String(), want) {
			t.Fatalf("%d: %d %s, want %s", i, a.Code, a.Body, want)
		}
	}
	a := get("192.0.2.7:2", w.token)
	if a.Code != 429 || a.Header().Get("Retry-After") != "1" || !strings.Contains(a.Body.String(), `"message":"too_many_requests"`) ||
		!strings.Contains(a.Body.String(), `"tokens":{"consumed":0,"remaining":0}`) {
		t.Errorf("%d %s %v", a.Code, a.Body, a.Header())
	}
	// The token may stand in the envelope; it is the same bucket.
	if a := w.from("192.0.2.7:2", "GET", w.own("/menus"), `{"data":{},"auth_token":"`+w.token+`"}`); a.Code != 429 {
		t.Errorf("%d %s", a.Code, a.Body)
	}
	for name, code := range map[string]int{"another address": get("192.0.2.8:1", w.token).Code, "another account": get("192.0.2.7:1", other).Code,
		"preflight": w.from("192.0.2.7:1", "OPTIONS", w.own("/menus"), "", "Origin: https://a.example").Code} {
		if code != 200 {
			t.Errorf("%s: %d", name, code)
		}
	}
	w.clock.advance(1500 * time.Millisecond)
	for i, want := range []int{200, 200, 200, 429} {
		if a := get("192.0.2.7:1", w.token); a.Code != want {
			t.Errorf("after a while, %d: %d", i, a.Code)
		}
	}
}

func TestAnonymousClientsAreCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *crossbar.Options) { o.Limits = crossbar.Limits{} })
	get := func(address, path string, headers ...string) int {
		return w.from(address, "GET", path, "", headers...).Code
	}
	for i := range 60 {
		path, want := "/v2/schemas", 200
		switch i % 4 {
		case 1:
			path, want = "/v2/nosuch", 404
		case 2:
			path, want = w.own("/menus"), 401
		case 3:
			path, want = "/v1/menus", 410
		}
		if code := get("[2001:db8::1]:1", path); code != want {
			t.Fatalf("%d: %s: %d", i, path, code)
		}
	}
	// One host has a whole /64.
	a := w.from("[2001:db8::2]:1", "GET", "/v2/schemas", "")
	if a.Code != 429 || a.Header().Get("Retry-After") != "1" {
		t.Errorf("%d %s %v", a.Code, a.Body, a.Header())
	}
	for path, want := range map[string]int{"/v1/menus": 429, w.own("/menus"): 429, "/healthz": 200} {
		if code := get("[2001:db8::1]:1", path); code != want {
			t.Errorf("%s: %d, want %d", path, code, want)
		}
	}
	if code := get("[2001:db8::1]:1", w.own("/menus"), "X-Auth-Token: bad"); code != 429 {
		t.Errorf("a bad token is none: %d", code)
	}
	if code := get("[2001:db8::1]:1", w.own("/menus"), "X-Auth-Token: "+w.token); code != 200 {
		t.Errorf("who is known is not counted with the anonymous: %d", code)
	}
	if code := get("[2001:db8:0:1::1]:1", "/v2/schemas"); code != 200 {
		t.Errorf("another network: %d", code)
	}
	w.clock.advance(time.Minute)
	if code := get("[2001:db8::1]:1", "/v2/schemas"); code != 200 {
		t.Errorf("a minute later: %d", code)
	}
}

// TestOnlyWhoIsKnownSendsMuch: before a token was seen a body is read up to 64 KiB.
func TestOnlyWhoIsKnownSendsMuch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	large := `{"data":{"name":"x","note":"` + strings.Repeat("x", 70_000) + `"}`
	for name, c := range map[string]struct {
		body    string
		headers []string
		want    int
		says    string
	}{
		"anonymous":            {large + `}`, nil, 413, "65536"},
		"token in a large one": {large + `,"auth_token":"` + w.token + `"}`, nil, 413, "Without a token in a header"},
		"token in a small one": {`{"data":{"name":"x"},"auth_token":"` + w.token + `"}`, nil, 201, ""},
		"token in a header":    {large + `}`, []string{"X-Auth-Token: " + w.token}, 201, ""},
		"bearer":               {large + `}`, []string{"Authorization: Bearer " + w.token}, 201, ""},
		"bad token":            {large + `}`, []string{"X-Auth-Token: bad"}, 401, "invalid credentials"},
		"no length told":       {large + `}`, []string{"Transfer-Encoding: chunked"}, 413, "65536"},
	} {
		if a := w.raw("PUT", w.own("/menus"), c.body, c.headers...); a.code != c.want || !strings.Contains(string(a.text), c.says) {
			t.Errorf("%s: %d %.300s", name, a.code, a.text)
		}
	}
}
