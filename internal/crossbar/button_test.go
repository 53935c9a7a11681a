package crossbar_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"bugle/internal/call"
	"bugle/internal/callflow"
	"bugle/internal/crossbar"
)

// buttonWorld has a public click-to-call; page is its page.
func buttonWorld(t *testing.T, keys string) (w *world, x *exchange, path, page string) {
	t.Helper()
	w, x = connectingWorld(t)
	path = w.endpoint(`,"auth_required":false` + keys)
	return w, x, path, "/c2c" + path[strings.LastIndexByte(path, '/'):]
}

// TestButton: the script is small, is for the listed origins, and tells the name and nothing else.
func TestButton(t *testing.T) {
	t.Parallel()
	w, _, path, page := buttonWorld(t, `,"origins":["https://www.example.com"],"whitelist":["1001"]`)
	a := w.raw("GET", page+".js", "", "Origin: https://www.example.com")
	h := a.header
	if a.code != 200 || len(a.text) >= 10_000 || !strings.HasPrefix(h.Get("Content-Type"), "text/javascript") || h.Get("X-Content-Type-Options") != "nosniff" ||
		h.Get("Access-Control-Allow-Origin") != "https://www.example.com" || h.Get("Vary") != "Origin" || h.Get("Cache-Control") != "public, max-age=300" ||
		h.Get("Cross-Origin-Resource-Policy") != "cross-origin" {
		t.Fatalf("%d, %d bytes, %v", a.code, len(a.text), h)
	}
	if !strings.Contains(string(a.text), `"name":"Sales"`) || strings.Contains(string(a.text), "(ABOUT)") {
		t.Errorf("%s", a.text[len(a.text)-300:])
	}
	if found := regexp.MustCompile(`(?m)^[ /].*`).FindString(string(a.text)); found != "" {
		t.Errorf("the script is sent with %q", found)
	}
	t.Logf("%d bytes", len(a.text))
	for _, secret := range []string{w.account, "acme", "www.example.com", "1001"} {
		if strings.Contains(string(a.text), secret) {
			t.Errorf("the script tells %s", secret)
		}
	}
	if again := w.raw("GET", page+".js", "", "If-None-Match: "+h.Get("Etag")); again.code != 304 || again.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("again: %d %v", again.code, again.header)
	}
	if a := w.raw("GET", page+".js", "", "Origin: https://evil.example"); a.code != 200 || a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("another origin: %d %v", a.code, a.header)
	}
	for _, path := range []string{page, page + ".js"} {
		if a := w.raw("POST", path, "{}"); a.code != 405 || a.header.Get("Allow") != "GET, HEAD" {
			t.Errorf("POST %s: %d", path, a.code)
		}
		if a := w.raw("HEAD", path, ""); a.code != 200 || len(a.text) != 0 {
			t.Errorf("HEAD %s: %d", path, a.code)
		}
	}
	// A name cannot leave its place.
	w.must("PATCH", path, `{"name":"</script><img src=x onerror=alert(1)>\u2028"}`)
	for _, path := range []string{page, page + ".js"} {
		if a := w.raw("GET", path, ""); a.code != 200 || strings.Contains(string(a.text), "<img") || strings.Contains(string(a.text), "</script><") {
			t.Errorf("%s: %d %s", path, a.code, a.text)
		}
	}
}

// TestButtonPage: the page has no inline code, speaks the visitor's language and is in no index.
func TestButtonPage(t *testing.T) {
	t.Parallel()
	w, _, _, page := buttonWorld(t, "")
	for _, c := range []struct{ query, accept, want string }{{"", "", "en"}, {"", "fr-CA,fr;q=0.9,en;q=0.5", "fr"}, {"", "ja", "en"}, {"", "pt,de;q=0.5", "de"},
		{"?lang=es", "fr", "es"}, {"?lang=%3Cx%3E", "de", "de"}} {
		a := w.raw("GET", page+c.query, "", "Accept-Language: "+c.accept)
		h, policy := a.header, a.header.Get("Content-Security-Policy")
		if a.code != 200 || !strings.HasPrefix(h.Get("Content-Type"), "text/html") || !strings.Contains(string(a.text), `<html lang="`+c.want+`">`) ||
			!strings.Contains(string(a.text), "<title>Sales</title>") || !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") ||
			h.Get("X-Robots-Tag") != "noindex" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Vary") != "Accept-Language" || h.Get("Etag") == "" {
			t.Errorf("%+v: %d %v\n%s", c, a.code, h, a.text)
		}
		if found := regexp.MustCompile(`(?i)<script>|\son\w+=|style="|https?://|acme|` + w.account).FindString(string(a.text)); found != "" {
			t.Errorf("the page has %q", found)
		}
	}
	if a := w.raw("GET", "/c2c/c2c.css", ""); a.code != 200 || !strings.HasPrefix(a.header.Get("Content-Type"), "text/css") {
		t.Errorf("%d %v", a.code, a.header)
	}
}

// TestButtonConnects: connect of the page is that of the API.
func TestButtonConnects(t *testing.T) {
	t.Parallel()
	w, x, _, page := buttonWorld(t, `,"origins":["https://www.example.com"]`)
	x.goes("", callflow.FirstRinging)
	pre := w.raw("OPTIONS", page+"/connect", "", "Origin: https://www.example.com", "Access-Control-Request-Method: POST",
		"Access-Control-Request-Headers: content-type,idempotency-key")
	if h := pre.header; pre.code != 200 || h.Get("Access-Control-Allow-Origin") != "https://www.example.com" || !strings.Contains(h.Get("Access-Control-Allow-Headers"), "idempotency-key") {
		t.Errorf("%d %v", pre.code, h)
	}
	if a := w.visitor("POST", page+"/connect", `{"contact":"1001"}`, "Origin: https://evil.example"); a.code != 403 || a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%d %v", a.code, a.header)
	}
	if a := w.visitor("GET", page+"/connect?contact=1001", ""); a.code != 405 || a.str("link") != page {
		t.Errorf("%d %s", a.code, a.text)
	}
	a := w.visitor("POST", page+"/connect", `{"contact":"1001"}`, "Origin: https://www.example.com", "Idempotency-Key: k1")
	data, _ := a.data().(map[string]any)
	if a.code != 202 || len(data) != 2 || a.header.Get("Access-Control-Allow-Origin") != "https://www.example.com" {
		t.Fatalf("%d %s", a.code, a.text)
	}
	if again := w.visitor("POST", page+"/connect", `{"contact":"1001"}`, "Idempotency-Key: k1"); again.code != 202 || again.str("id") != a.str("id") || len(x.calls()) != 1 {
		t.Errorf("%d %s, %d calls", again.code, again.text, len(x.calls()))
	}
	attempt := page + "/connect/" + a.str("id")
	if a := w.visitor("GET", attempt+"?state=starting&wait=20", ""); a.code != 200 || a.str("state") != "ringing" {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.visitor("DELETE", attempt, ""); a.code != 200 {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.visitor("GET", attempt+"?state=ringing&wait=20", ""); a.str("state") != "unanswered" {
		t.Errorf("%d %s", a.code, a.text)
	}
	x.goes(call.UserBusy)
	for _, below := range []string{"", "/history", "/token", "/changes", "/connectx", "/connect/../history", "/connect%2f..%2fhistory"} {
		if a := w.raw("GET", page+below, "", "X-Auth-Token: "+w.token); below != "" && a.code != 404 {
			t.Errorf("%s: %d %s", below, a.code, a.text)
		}
	}
}

// TestButtonOfNone: an id that is not public, or is none, is not found, in the same words and the same time.
func TestButtonOfNone(t *testing.T) {
	t.Parallel()
	w, x, path, page := buttonWorld(t, "")
	private := w.endpoint("")
	hidden := "/c2c" + private[strings.LastIndexByte(private, '/'):]
	flow := w.must("PUT", w.own("/callflows"), `{"numbers":["1009"],"flow":{"module":"hangup","data":{}}}`).str("id")
	paths := []string{"/c2c/" + nowhere, hidden, "/c2c/" + flow, "/c2c/" + w.account, "/c2c/x", "/c2c/", "/c2c/a/b"}
	for _, p := range paths {
		for _, suffix := range []string{"", ".js"} {
			if a := w.raw("GET", p+suffix, ""); a.code != 404 || suffix == "" && strings.Count(p, "/") == 2 && string(a.text) != "404 page not found\n" || a.header.Get("Etag") != "" {
				t.Errorf("%s%s: %d %s", p, suffix, a.code, a.text)
			}
		}
		if a := w.visitor("POST", p+"/connect", `{"contact":"1001"}`); a.code != 404 || a.body["message"] != "not_found" {
			t.Errorf("%s: %d %s", p, a.code, a.text)
		}
	}
	if len(x.calls()) != 0 {
		t.Error("somebody was called")
	}
	took := map[string][]time.Duration{}
	for range 200 {
		for _, p := range paths[:2] {
			w.clock.advance(time.Second)
			begun := time.Now()
			w.raw("GET", p, "")
			took[p] = append(took[p], time.Since(begun))
		}
	}
	fast := make([]time.Duration, 2)
	for i, p := range paths[:2] {
		slices.Sort(took[p])
		fast[i] = took[p][len(took[p])/4]
	}
	if fast[0] > 2*fast[1] || fast[1] > 2*fast[0] {
		t.Errorf("an unknown id takes %v, one that is not public %v", fast[0], fast[1])
	}
	t.Logf("an unknown id takes %v, one that is not public %v", fast[0], fast[1])
	w.must("PATCH", path, `{"auth_required":true}`)
	if a := w.raw("GET", page+".js", ""); a.code != 404 {
		t.Errorf("no longer public: %d", a.code)
	}
	w.must("PATCH", path, `{"auth_required":false}`)
	if a := w.raw("GET", page, ""); a.code != 200 {
		t.Errorf("public again: %d", a.code)
	}
	w.must("DELETE", w.own(""), "")
	if a := w.raw("GET", page, ""); a.code != 404 {
		t.Errorf("of an account that is deleted: %d", a.code)
	}
}

// TestButtonLimit: an address may load ten times as many pages as it may ask the API.
func TestButtonLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *crossbar.Options) { o.Limits.Anonymous = 1 })
	for i := range 11 {
		a := w.raw("GET", "/c2c/"+nowhere, "")
		if want := map[bool]int{false: 404, true: 429}[i == 10]; a.code != want || want == 429 && a.header.Get("Retry-After") == "" {
			t.Errorf("page %d: %d %v", i, a.code, a.header)
		}
	}
	w.clock.advance(time.Minute)
	if a := w.raw("GET", "/c2c/"+nowhere, ""); a.code != 404 {
		t.Errorf("a minute later: %d", a.code)
	}
}
