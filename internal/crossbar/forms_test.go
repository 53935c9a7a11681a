package crossbar_test

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"bugle/internal/crossbar"
)

// TestFormsOfRequests: what KAZOO's clients send besides the plain case.
func TestFormsOfRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *crossbar.Options) { o.PublicURL = "https://pbx.example.com/" })
	auth := "X-Auth-Token: " + w.token
	form := "Content-Type: application/x-www-form-urlencoded"
	// curl -d without a content type sends JSON as a form.
	a := w.raw("PUT", w.own("/menus"), `{"data":{"name":"curl"}}`, auth, form)
	if a.code != 201 || a.header.Get("Location") != "https://pbx.example.com"+w.own("/menus/"+a.str("id")) {
		t.Errorf("%d %s %v", a.code, a.text, a.header)
	}
	if a := w.raw("PUT", w.own("/menus"), `%7B%22data%22%3A%7B%22name%22%3A%22escaped%22%7D%7D`, auth, form); a.code != 201 || a.str("name") != "escaped" {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.raw("PUT", w.own("/menus"), `name=form&retries=5`, auth, form); a.code != 201 || a.str("name") != "form" {
		t.Errorf("%d %s", a.code, a.text)
	}
	// The token may come in five ways; envelope keys are normalised.
	for name, send := range map[string]func() answer{
		"bearer":           func() answer { return w.raw("GET", w.own("/menus"), "", "Authorization: Bearer "+w.token) },
		"authorization":    func() answer { return w.raw("GET", w.own("/menus"), "", "Authorization: "+w.token) },
		"query":            func() answer { return w.raw("GET", w.own("/menus?auth_token="+w.token), "") },
		"envelope":         func() answer { return w.raw("GET", w.own("/menus"), `{"data":{},"Auth-Token":"`+w.token+`"}`) },
		"envelope camelly": func() answer { return w.raw("GET", w.own("/menus"), `{"data":{},"authToken":"`+w.token+`"}`) },
	} {
		if a := send(); a.code != 200 || len(a.rows()) != 3 {
			t.Errorf("%s: %d %s", name, a.code, a.text)
		}
	}
	// A document's own keys are no parameters.
	if a := w.call("PUT", w.own("/menus"), `{"name":"keys","verb":"delete","auth_token":"x","pretty_print":true}`); a.code != 201 || a.str("verb") != "delete" {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.raw("GET", w.own("/menus?page_size=1"), "", auth, "X-Pretty-Print: true"); !bytes.Contains(a.text, []byte("\n  \"data\": [")) {
		t.Errorf("%s", a.text)
	}
	a = w.raw("GET", w.own("/menus?page_size=1&jsonp=app.show"), "", auth)
	if !strings.HasPrefix(string(a.text), "app.show({") || !strings.HasSuffix(string(a.text), "});") || a.header.Get("Content-Type") != "application/javascript" {
		t.Errorf("%s", a.text)
	}
	if a := w.raw("GET", w.own("/menus?jsonp=alert(1)//"), "", auth); a.header.Get("Content-Type") != "application/json" {
		t.Errorf("%s", a.text)
	}
	// GET never changes anything, whatever verb it carries.
	if a := w.raw("GET", w.own("/menus?verb=put"), "", auth); a.code != 200 {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.raw("OPTIONS", w.own("/menus"), "", "Origin: https://ui.example.com", "Access-Control-Request-Method: PUT"); a.code != 200 ||
		len(a.text) != 0 || a.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("%d %s %v", a.code, a.text, a.header)
	}
	if a := w.raw("GET", w.own("/menus"), "", "Origin: https://ui.example.com"); a.code != 401 || a.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("errors need CORS too: %d %v", a.code, a.header)
	}
}

// TestClientsBehindAProxy count by their own address, when the proxy is trusted.
func TestClientsBehindAProxy(t *testing.T) {
	t.Parallel()
	for _, trusted := range []bool{true, false} {
		w := newWorld(t, func(o *crossbar.Options) {
			if trusted {
				o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
			}
		})
		try := func(forwarded string) int {
			return w.raw("PUT", "/v2/user_auth", `{"data":{"credentials":"`+md5Of("x:y")+`","account_name":"acme"}}`, "X-Forwarded-For: "+forwarded).code
		}
		for range 10 {
			// What the client itself wrote into the header stands before what the proxy added.
			if code := try("203.0.113.99, 198.51.100.1"); code != 401 {
				t.Fatal(code)
			}
		}
		if code := try("203.0.113.98, 198.51.100.1"); code != 429 {
			t.Errorf("trusted %v: the same client: %d", trusted, code)
		}
		want := map[bool]int{true: 401, false: 429}[trusted]
		if code := try("203.0.113.99, 198.51.100.2"); code != want {
			t.Errorf("trusted %v: another client: %d", trusted, code)
		}
	}
}

// TestFilesInPartsAndForms: a file is uploaded as itself or in a form, and read in parts.
func TestFilesInPartsAndForms(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.must("PUT", w.own("/media"), `{"name":"M"}`).str("id")
	raw, audio := w.own("/media/"+id+"/raw"), wav(8000)
	auth := "X-Auth-Token: " + w.token
	form := func(parts ...string) string {
		return "--b\r\n" + strings.Join(parts, "\r\n--b\r\n") + "\r\n--b--\r\n"
	}
	file := "Content-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\n" + audio
	field := "Content-Disposition: form-data; name=\"name\"\r\n\r\nFrom a form"
	envelope := "Content-Type: application/json\r\n\r\n{\"data\":{\"name\":\"From JSON\"}}"
	const multipart = "Content-Type: multipart/form-data; boundary=b"
	if a := w.raw("POST", raw, form(file), auth, multipart); a.code != 200 || string(w.raw("GET", raw, "", auth).text) != audio {
		t.Errorf("%d %s", a.code, a.text)
	}
	for _, c := range []struct {
		path, body, contentType string
		want                    int
		name                    string
	}{
		{"/menus", form(field), multipart, 201, "From a form"},
		{"/menus", form(envelope), "Content-Type: multipart/mixed; boundary=b", 201, "From JSON"},
		{"/menus", form(field, file), multipart, 415, ""},
		{"/menus", form(field), "Content-Type: multipart/form-data", 400, ""},
		{"/menus", "--b\r\nhalf", multipart, 400, ""},
		{"/menus", form(strings.Split(strings.Repeat(field+"|", 200), "|")...), multipart, 400, ""},
		{"/menus", "name\r\nx\r\n", "Content-Type: text/csv", 415, ""},
		{"/menus", "x", "Content-Type: application/octet-stream", 415, ""},
	} {
		if a := w.raw("PUT", w.own(c.path), c.body, auth, c.contentType); a.code != c.want || a.str("name") != c.name && c.want == 201 {
			t.Errorf("%s %.40q: %d %s", c.contentType, c.body, a.code, a.text)
		}
	}
	if a := w.raw("POST", raw, form(file, file), auth, multipart); a.code != 400 {
		t.Errorf("two files: %d %s", a.code, a.text)
	}
	for header, c := range map[string]struct {
		code, length int
	}{"bytes=0-3": {206, 4}, "bytes=-4": {206, 4}, "bytes=16000-": {206, len(audio) - 16000}, "bytes=0-1,4-5": {200, len(audio)},
		"bytes=9-2": {200, len(audio)}, "lines=1-2": {200, len(audio)}, "bytes=x": {200, len(audio)}} {
		if a := w.raw("GET", raw, "", auth, "Range: "+header); a.code != c.code || len(a.text) != c.length {
			t.Errorf("%s: %d, %d bytes", header, a.code, len(a.text))
		}
	}
	for _, header := range []string{"bytes=99999-", "bytes=-0"} {
		a := w.raw("GET", raw, "", auth, "Range: "+header)
		if a.code != 416 || a.body["message"] != "range not satisfiable" || a.header.Get("Content-Range") != "bytes */16044" {
			t.Errorf("%s: %d %s %v", header, a.code, a.text, a.header)
		}
	}
	if a := w.raw("HEAD", raw, "", auth, "If-Match: \"x\""); a.code != 412 {
		t.Errorf("%d", a.code)
	}
}
