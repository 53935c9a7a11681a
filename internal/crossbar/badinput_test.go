package crossbar_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestBadBodies: each is refused with the code and, when one is named, the field; nothing is written.
func TestBadBodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	menu := w.must("PUT", w.own("/menus"), `{"name":"M","greedy":1}`).str("id")
	before := w.dump()
	for _, c := range badBodies(menu) {
		var headers []string
		if c.code == 412 {
			headers = append(headers, `If-Match: "1-0"`)
		}
		a := w.raw(c.verb, strings.ReplaceAll(w.own(c.path), " ", "%20"), c.body, append(headers, "X-Auth-Token: "+w.token)...)
		if a.code != c.code || a.body["status"] != "error" || a.body["error"] != fmt.Sprint(c.code) {
			t.Errorf("%s: %d %.300s", c.name, a.code, a.text)
			continue
		}
		if len(a.text) > 200_000 {
			t.Errorf("%s: an answer of %d bytes", c.name, len(a.text))
		}
		if fields, _ := a.data().(map[string]any); c.field != "" && fields[c.field] == nil {
			t.Errorf("%s: no error of field %s: %.300s", c.name, c.field, a.text)
		}
	}
	if after := w.dump(); after != before {
		t.Errorf("something was written:\n%s\n%s", before, after)
	}
}

type badBody struct {
	name, verb, path, body string
	code                   int
	field                  string
}

func badBodies(menu string) []badBody {
	deep := strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000)
	return []badBody{
		{"empty envelope", "PUT", "/menus", `{}`, 400, "data"},
		{"array envelope", "PUT", "/menus", `[{"data":{"name":"x"}}]`, 400, "json"},
		{"string envelope", "PUT", "/menus", `"data"`, 400, "json"},
		{"data null", "PUT", "/menus", `{"data":null}`, 400, "data"},
		{"data string", "PUT", "/menus", `{"data":"x"}`, 400, "data"},
		{"data array", "PUT", "/menus", `{"data":[1]}`, 400, "data"},
		{"data array PATCH", "PATCH", "/menus/" + menu, `{"data":[]}`, 400, "data"},
		{"no body", "PUT", "/menus", ``, 400, "name"},
		{"no body PUT", "PUT", "/menus", ``, 400, "data"},
		{"no body POST", "POST", "/menus/" + menu, ``, 400, "data"},
		{"no body PATCH", "PATCH", "/menus/" + menu, ``, 400, "data"},
		{"no body tunnelled", "POST", "/menus/" + menu + "?verb=patch", ``, 400, "data"},
		{"truncated", "PUT", "/menus", `{"data":{"name":"x"`, 400, "json"},
		{"trailing", "PUT", "/menus", `{"data":{"name":"x"}} {}`, 400, "json"},
		{"comment", "PUT", "/menus", `{"data":{/**/"name":"x"}}`, 400, "json"},
		{"single quotes", "PUT", "/menus", `{'data':{'name':'x'}}`, 400, "json"},
		{"duplicate key", "PUT", "/menus", `{"data":{"name":"x","name":"y"}}`, 400, "json"},
		{"duplicate data", "PUT", "/menus", `{"data":{"name":"x"},"data":{}}`, 400, "json"},
		{"bad UTF-8", "PUT", "/menus", "{\"data\":{\"name\":\"\xff\xfe\"}}", 400, "json"},
		{"control character", "PUT", "/menus", "{\"data\":{\"name\":\"a\nb\"}}", 400, "json"},
		{"bad escape", "PUT", "/menus", `{"data":{"name":"\x41"}}`, 400, "json"},
		{"leading zero", "PUT", "/menus", `{"data":{"name":"x","n":01}}`, 400, "json"},
		{"bare minus", "PUT", "/menus", `{"data":{"name":"x","n":-}}`, 400, "json"},
		{"NaN", "PUT", "/menus", `{"data":{"name":"x","n":NaN}}`, 400, "json"},
		{"huge exponent", "PUT", "/menus", `{"data":{"name":"x","retries":1e999999999}}`, 400, "json"},
		{"long number", "PUT", "/menus", `{"data":{"name":"x","retries":` + strings.Repeat("9", 100_000) + `}}`, 400, "json"},
		{"deep", "PUT", "/menus", `{"data":` + deep + `}`, 400, "json"},
		{"deep arrays", "PUT", "/menus", `{"data":{"name":` + strings.Repeat("[", 1_000_000) + `}}`, 400, "json"},
		{"too many values", "PUT", "/menus", `{"data":{"name":[` + strings.Repeat("1,", 1_000_000) + `1]}}`, 400, "json"},
		{"too many errors", "PUT", "/callflows", `{"data":{"numbers":[` + strings.Repeat("1,", 4_000) + `1],"flow":{}}}`, 400, "numbers.0"},
		{"too many patterns", "PUT", "/callflows", `{"data":{"patterns":["x"` + strings.Repeat(`,"x"`, 50_000) + `],"flow":{}}}`, 400, "patterns"},
		{"10 MB", "PUT", "/menus", `{"data":{"name":"` + strings.Repeat("x", 10_000_000) + `"}}`, 413, "file"},
		{"document too large", "PUT", "/menus", `{"data":{"name":"x","note":"` + strings.Repeat("x", 5_000_000) + `"}}`, 413, "file"},
		{"wrong type", "PUT", "/menus", `{"data":{"name":7}}`, 400, "name"},
		{"null", "PUT", "/menus", `{"data":{"name":null}}`, 400, "name"},
		{"PATCH null on required", "PATCH", "/menus/" + menu, `{"data":{"name":null}}`, 400, "name"},
		{"another's id", "PUT", "/menus", `{"data":{"name":"x","id":"../../x"}}`, 400, "id"},
		{"id of a number", "PUT", "/menus", `{"data":{"name":"x","id":5}}`, 400, "id"},
		{"unknown id", "PATCH", "/menus/00000000000000000000000000000000", `{"data":{"name":"x"}}`, 404, ""},
		{"no id", "POST", "/menus/x", `{"data":{"name":"x"}}`, 404, ""},
		{"path trick", "PATCH", "/menus/..%2F..%2Fusers", `{"data":{"name":"x"}}`, 404, ""},
		{"path trick plain", "PATCH", "/menus/../users", `{"data":{"name":"x"}}`, 404, ""},
		{"SQL", "PATCH", "/menus/'%20OR%20'1'='1", `{"data":{"name":"x"}}`, 404, ""},
		{"NUL in the path", "PATCH", "/menus/%00", `{"data":{"name":"x"}}`, 404, ""},
		{"bad UTF-8 in the path", "PATCH", "/menus/%ff%fe", `{"data":{"name":"x"}}`, 404, ""},
		{"NUL in a number", "PUT", "/callflows", `{"data":{"numbers":["1\u00002"],"flow":{}}}`, 400, "numbers"},
		{"long pattern", "PUT", "/callflows", `{"data":{"patterns":["` + strings.Repeat("a", 5000) + `"],"flow":{}}}`, 400, "patterns"},
		{"number of a number", "PUT", "/callflows", `{"data":{"numbers":[1001],"flow":{}}}`, 400, "numbers.0"},
		{"flow of a string", "PUT", "/callflows", `{"data":{"numbers":["1"],"flow":"hangup"}}`, 400, "flow"},
		{"child of a string", "PUT", "/callflows", `{"data":{"numbers":["1"],"flow":{"module":"hangup","children":{"_":"x"}}}}`, 400, "flow.children._"},
		{"children of an array", "PUT", "/callflows", `{"data":{"numbers":["1"],"flow":{"module":"hangup","children":[]}}}`, 400, "flow.children"},
		{"NUL in a username", "PUT", "/users", `{"data":{"first_name":"x","username":"a\u0000","password":"x"}}`, 400, "username"},
		{"password of a number", "PUT", "/users", `{"data":{"first_name":"x","username":"a","password":5}}`, 400, "password"},
		{"long password", "PUT", "/users", `{"data":{"first_name":"x","username":"a","password":"` + strings.Repeat("p", 2000) + `"}}`, 400, "password"},
		{"directories of an array", "PUT", "/users", `{"data":{"first_name":"x","directories":["a"]}}`, 400, "directories"},
		{"email", "PUT", "/users", `{"data":{"first_name":"x","email":"nobody"}}`, 400, "email"},
		{"realm", "PUT", "", `{"data":{"name":"x","realm":"a b c d"}}`, 400, "realm"},
		{"name without letters", "PUT", "", `{"data":{"name":"!!!"}}`, 400, "name"},
		{"dial plan", "PUT", "", `{"data":{"name":"x","dial_plan":{"(":{}}}}`, 400, "dial_plan.("},
		{"If-Match on a list", "PUT", "/menus", `{"data":{"name":"x"}}`, 412, ""},
	}
}

// TestWritesWithoutABody: a document is not created, replaced or merged by a request that says nothing, even one whose keys
// may all be left out. An empty object says something.
func TestWritesWithoutABody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.furnish()
	before, walked := w.position(), 0
	for _, r := range w.api.Routes() {
		path := fill(r.Path, w.account, ids)
		for _, verb := range r.Methods {
			last := r.Path[strings.LastIndex(r.Path, "/")+1:]
			switch {
			case !strings.Contains(r.Path, "{account}"), verb == "GET", verb == "DELETE", last == "collection":
				continue
			case verb == "PATCH", last == "metaflows", verb == "POST" && (last == "{id}" || last == "{account}") && r.Schema != "",
				verb == "PUT" && ids[last] != "" && r.Schema != "" && last != "messages" && last != "deliveries": // which take actions
			default:
				continue
			}
			walked++
			if a := w.call(verb, path, ""); a.code != 400 || a.body["message"] != "validation error" || a.at("data", "required", "message") == nil {
				t.Errorf("%s %s: %d %s", verb, r.Path, a.code, a.text)
			}
		}
	}
	if walked < 50 || w.position() != before {
		t.Errorf("%d were tried, something was written: %v", walked, w.position() != before)
	}
	if a := w.must("PATCH", w.own("/menus/"+ids["menus"]), `{}`); a.str("name") != "Geheim" {
		t.Errorf("%s", a.text)
	}
	w.must("PUT", w.own("/conferences"), `{}`)
}

func TestBadLogins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := md5Of("admin:" + testPassword)
	for name, c := range map[string]struct {
		path, data string
		code       int
	}{
		"no credentials":  {"user_auth", `{"account_name":"master"}`, 400},
		"no account":      {"user_auth", `{"credentials":"` + good + `"}`, 400},
		"not hexadecimal": {"user_auth", `{"credentials":"' OR 1=1 --","account_name":"master"}`, 400},
		"md5 as sha":      {"user_auth", `{"credentials":"` + good + `","account_name":"master","method":"sha"}`, 400},
		"method":          {"user_auth", `{"credentials":"` + good + `","account_name":"master","method":"crc"}`, 400},
		"phone number":    {"user_auth", `{"credentials":"` + good + `","phone_number":"+12125551234"}`, 401},
		"name of symbols": {"user_auth", `{"credentials":"` + good + `","account_name":"%%%"}`, 401},
		"array":           {"user_auth", `[]`, 400},
		"key of a number": {"api_auth", `{"api_key":5}`, 400},
		"empty key":       {"api_auth", `{}`, 400},
	} {
		if a := w.raw("PUT", "/v2/"+c.path, `{"data":`+c.data+`}`); a.code != c.code || a.body["auth_token"] != nil {
			t.Errorf("%s: %d %s", name, a.code, a.text)
		}
	}
	head, rest, _ := strings.Cut(w.token, ".")
	claims, signature, _ := strings.Cut(rest, ".")
	for name, token := range map[string]string{
		"unsigned":        "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0." + claims + ".",
		"no signature":    head + "." + claims + ".",
		"other signature": head + "." + claims + "." + signature[:len(signature)-4] + "AAAA",
		"long":            strings.Repeat("a", 100_000),
		"words":           "x y z",
		"empty claims":    head + ".e30." + signature,
	} {
		if a := w.as(token, "GET", w.own("/users"), ""); a.code != 401 || a.body["auth_token"] != nil {
			t.Errorf("%s: %d %s", name, a.code, a.text)
		}
	}
	// A stale token in the header does not keep anybody from logging in.
	if a := w.as("stale", "PUT", "/v2/user_auth", `{"credentials":"`+good+`","account_name":"master"}`); a.code != 201 {
		t.Errorf("%d %s", a.code, a.text)
	}
}

func TestRequestIDCannotInject(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, id := range []string{"a\r\nSet-Cookie: x=1", "a b", strings.Repeat("x", 200), "\x00", "żółw"} {
		a := w.raw("GET", "/v2/schemas", "", "X-Request-Id: "+id)
		if got := a.header.Get("X-Request-Id"); got == id || len(got) != 32 {
			t.Errorf("%q became %q", id, got)
		}
	}
}

// TestErrorOrder: of several things that are wrong with one request, KAZOO's order decides which is told.
func TestErrorOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rival := w.newAccount("Rival")
	theirs := "/v2/accounts/" + rival
	rivalToken := w.keyToken(w.must("GET", theirs+"/api_key", "").str("api_key"))
	type request struct {
		verb, path, body, token string
		headers                 []string
	}
	all := request{"PATCH", "/v1/accounts/0/menus", `{"nodata":1}`, "bad", []string{"Accept: image/png"}}
	for i, step := range []struct {
		code int
		mend func(*request)
	}{
		{410, func(r *request) { r.path = "/v2/accounts/0/menus" }},                                    // version
		{400, func(r *request) { r.body = `{"data":{"name":""}}` }},                                    // envelope
		{401, func(r *request) { r.token = "" }},                                                       // token that is no good
		{405, func(r *request) { r.verb = "PUT" }},                                                     // method
		{404, func(r *request) { r.path = w.own("/menus") }},                                           // account id
		{401, func(r *request) { r.token = rivalToken }},                                               // authentication
		{403, func(r *request) { r.path = theirs + "/menus"; r.headers[0] = "Content-Type: a/b" }},     // authorisation
		{415, func(r *request) { r.headers[0] = "X-None: 1" }},                                         // content type
		{400, func(r *request) { r.body = `{"data":{"name":"x"}}`; r.headers[0] = `If-Match: "1-0"` }}, // validation
		{412, func(r *request) { r.headers = nil }},                                                    // precondition
		{201, func(*request) {}},
	} {
		headers := all.headers
		if all.token != "" {
			headers = append(headers, "X-Auth-Token: "+all.token)
		}
		if a := w.raw(all.verb, all.path, all.body, headers...); a.code != step.code {
			t.Errorf("step %d: %d, want %d: %s", i, a.code, step.code, a.text)
		}
		step.mend(&all)
	}
}

func TestLostDatabaseAnswers503(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	menu := w.must("PUT", w.own("/menus"), `{"name":"M"}`).str("id")
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][3]string{{"GET", w.own("/menus/" + menu), ""}, {"GET", w.own("/menus"), ""}, {"PUT", w.own("/menus"), `{"name":"N"}`},
		{"PUT", "/v2/api_auth", `{"api_key":"` + testAPIKey + `"}`},
		{"PUT", "/v2/user_auth", `{"account_name":"master","credentials":"` + md5Of("admin:"+testPassword) + `"}`}} {
		a := w.call(c[0], c[1], c[2])
		if a.code != 503 || a.header.Get("Retry-After") == "" || a.body["status"] != "error" {
			t.Errorf("%v: %d %s", c, a.code, a.text)
		}
	}
	if a := w.raw("GET", "/healthz", ""); a.code != 200 {
		t.Errorf("%d", a.code)
	}
}

// FuzzEnvelope: whatever the body, the answer is an envelope and never a 500.
func FuzzEnvelope(f *testing.F) {
	for _, seed := range []string{`{"data":{"name":"x"}}`, `{"data":{"numbers":["1"],"flow":{"module":"user","data":{"id":"x"}}}}`,
		`{"verb":"delete","data":{}}`, `data=x`, `{"data":{"first_name":"Ą","directories":{"a":null}},"auth_token":"x"}`,
		`{"data":{"name":"x","sip":{"method":"ip","ip":"1.2.3.4"}},"page_size":1}`, `[1,2`, `{"data":[[[[]]]]}`,
		`{"data":{"a":1e400,"b":-0.0,"c":"\ud800"}}`} {
		for i := range 6 {
			f.Add(seed, uint8(i))
		}
	}
	w := newWorld(f)
	nouns := []string{"menus", "users", "devices", "callflows", "directories", "media"}
	ids := map[string]string{}
	for _, noun := range nouns {
		ids[noun] = w.must("PUT", w.own("/"+noun), bodyFor(noun)).str("id")
	}
	f.Fuzz(func(t *testing.T, body string, choice uint8) {
		w.t = t
		noun := nouns[int(choice)%len(nouns)]
		for _, c := range [][2]string{{"PUT", "/" + noun}, {"POST", "/" + noun + "/" + ids[noun]}, {"PATCH", "/" + noun + "/" + ids[noun]}} {
			a := w.raw(c[0], w.own(c[1]), body, "X-Auth-Token: "+w.token)
			if a.code >= 500 || a.body["status"] == nil || !utf8.Valid(a.text) {
				t.Fatalf("%s %s %q: %d %s", c[0], c[1], body, a.code, a.text)
			}
			if a.code == 200 && a.at("_read_only", "deleted") != nil { // a tunnelled DELETE
				ids[noun] = w.must("PUT", w.own("/"+noun), bodyFor(noun)).str("id")
			} else if a.code == 201 {
				w.must("DELETE", w.own("/"+noun+"/"+a.str("id")), "")
			}
		}
	})
}

// FuzzQuery: whatever the query string, a list answers with an envelope and never a 500.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{"page_size=2&start_key=x", "filter_name=M", "filter_a.b.c=[", "has_key=.", "created_from=99999999999999999999",
		"paginate=false&descending=true", "jsonp=alert(1)", "jsonp=a.b&pretty_print=true", "%zz", "accept=pdf&verb=DELETE"} {
		f.Add(seed)
	}
	w := newWorld(f)
	w.must("PUT", w.own("/menus"), `{"name":"M"}`)
	f.Fuzz(func(t *testing.T, query string) {
		w.t = t
		target := w.own("/menus?") + strings.Map(func(r rune) rune {
			if r <= ' ' || r >= 0x7f {
				return '+'
			}
			return r
		}, query)
		a := w.raw("GET", target, "", "X-Auth-Token: "+w.token)
		if a.code >= 500 {
			t.Fatalf("%s: %d %s", target, a.code, a.text)
		}
	})
}
