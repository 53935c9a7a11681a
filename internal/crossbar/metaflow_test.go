package crossbar_test

import (
	"strings"
	"sync"
	"testing"
)

func TestMetaflows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	user := w.must("PUT", w.own("/users"), `{"first_name":"A","username":"ann","password":"pw"}`).str("id")
	device := w.must("PUT", w.own("/devices"), `{"name":"D"}`).str("id")
	for parent, path := range map[string]string{"": w.own(""), "users": w.own("/users/" + user), "devices": w.own("/devices/" + device)} {
		at := path + "/metaflows"
		sameJSON(t, w.must("GET", at, "").data(), `{}`)
		before := w.must("GET", path, "")
		sameJSON(t, w.must("POST", at, `{"numbers":{"1":{"module":"hold","x":1}}}`).data(),
			`{"binding_digit":"*","numbers":{"1":{"module":"hold","data":{},"x":1}}}`)
		a := w.must("PATCH", at, `{"numbers":{"2":{"module":"hangup"}},"digit_timeout":700}`)
		sameJSON(t, a.data(), `{"binding_digit":"*","digit_timeout":700,
			"numbers":{"1":{"module":"hold","data":{},"x":1},"2":{"module":"hangup","data":{}}}}`)
		sameJSON(t, w.must("GET", path, "").at("metaflows"), string(dataOf(a)))
		if a.body["revision"] != w.must("GET", path, "").body["revision"] {
			t.Errorf("%s: the revision is not the document's", parent)
		}
		for data, field := range map[string]string{`{"binding_digit":"x"}`: "binding_digit", `{"numbers":{"9":{}}}`: "numbers.9.module",
			`{"numbers":{"a":{"module":"hold"}}}`: "numbers.a", `{"patterns":{"(":{"module":"hold"}}}`: "patterns.("} {
			for _, verb := range []string{"POST", "PATCH"} {
				if a := w.call(verb, at, data); a.code != 400 || a.at(field) == nil {
					t.Errorf("%s %s %s: %d %s", verb, parent, data, a.code, a.text)
				}
			}
		}
		if a := w.call("POST", at, `{}`, `If-Match: "1-0"`); a.code != 412 {
			t.Errorf("%d", a.code)
		}
		sameJSON(t, w.must("POST", at, `{"listen_on":"self"}`).data(), `{"binding_digit":"*","listen_on":"self"}`)
		sameJSON(t, w.must("DELETE", at, "").data(), `{}`)
		sameJSON(t, w.must("GET", path, "").data(), string(dataOf(before)))
		if a := w.call("PUT", at, `{}`); a.code != 405 {
			t.Errorf("PUT: %d", a.code)
		}
		if a := w.call("GET", at+"/x", ""); a.code != 404 {
			t.Errorf("%d", a.code)
		}
	}
	for _, path := range []string{"/users/" + device, "/devices/" + user, "/menus/" + user} {
		for _, verb := range []string{"GET", "POST", "DELETE"} {
			if a := w.call(verb, w.own(path+"/metaflows"), `{}`); a.code != 404 {
				t.Errorf("%s %s: %d", verb, path, a.code)
			}
		}
	}
	// Many at once lose none.
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			w.must("PATCH", w.own("/users/"+user+"/metaflows"), `{"numbers":{"`+strings.Repeat("1", i+1)+`":{"module":"hold"}}}`)
		})
	}
	wg.Wait()
	if numbers := w.must("GET", w.own("/users/"+user+"/metaflows"), "").at("numbers").(map[string]any); len(numbers) != 20 {
		t.Errorf("%d of 20", len(numbers))
	}
}

func dataOf(a answer) []byte {
	_, rest, _ := strings.Cut(string(a.text), `"data":`)
	data, _, _ := strings.Cut(rest, `,"node":`)
	return []byte(data)
}

// TestPlainUserOfTheNeighbours: mailbox and metaflows are the user's own, nothing else is.
func TestPlainUserOfTheNeighbours(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	me := w.must("PUT", w.own("/users"), `{"first_name":"Me","username":"me","password":"pw"}`).str("id")
	other := w.must("PUT", w.own("/users"), `{"first_name":"Other"}`).str("id")
	phone := w.must("PUT", w.own("/devices"), `{"name":"Mine","owner_id":"`+me+`"}`).str("id")
	foreign := w.must("PUT", w.own("/devices"), `{"name":"Theirs","owner_id":"`+other+`"}`).str("id")
	box := w.must("PUT", w.own("/vmboxes"), `{"name":"Mine","mailbox":"1","pin":"4711","owner_id":"`+me+`"}`).str("id")
	theirs := w.must("PUT", w.own("/vmboxes"), `{"name":"Theirs","mailbox":"2","pin":"0815","owner_id":"`+other+`"}`).str("id")
	list := w.must("PUT", w.own("/lists"), `{"name":"L"}`).str("id")
	login := w.raw("PUT", "/v2/user_auth", `{"data":{"credentials":"`+md5Of("me:pw")+`","account_name":"acme"}}`)
	token, _ := login.body["auth_token"].(string)
	for _, c := range []struct {
		verb, path, data string
		want             int
	}{
		{"GET", "/vmboxes", "", 200},
		{"GET", "/users/" + me + "/vmboxes", "", 200},
		{"GET", "/users/" + other + "/vmboxes", "", 403},
		{"GET", "/vmboxes/" + box, "", 200},
		{"GET", "/vmboxes/" + theirs, "", 403},
		{"PATCH", "/vmboxes/" + box, `{"pin":"2222"}`, 200},
		{"PATCH", "/vmboxes/" + box, `{"mailbox":"9"}`, 403},
		{"PATCH", "/vmboxes/" + box, `{"owner_id":"` + other + `"}`, 403},
		{"POST", "/vmboxes/" + box, `{"name":"Mine","mailbox":"1","owner_id":"` + me + `"}`, 200},
		{"DELETE", "/vmboxes/" + box, "", 403},
		{"PUT", "/vmboxes", `{"name":"New","mailbox":"3"}`, 403},
		{"PATCH", "/vmboxes/" + theirs, `{"pin":"2222"}`, 403},
		{"GET", "/users/" + me + "/metaflows", "", 200},
		{"POST", "/users/" + me + "/metaflows", `{}`, 200},
		{"DELETE", "/users/" + me + "/metaflows", "", 200},
		{"GET", "/users/" + other + "/metaflows", "", 403},
		{"POST", "/users/" + other + "/metaflows", `{}`, 403},
		{"PATCH", "/devices/" + phone + "/metaflows", `{}`, 200},
		{"PATCH", "/devices/" + foreign + "/metaflows", `{}`, 403},
		{"GET", "/metaflows", "", 403},
		{"POST", "/metaflows", `{}`, 403},
		{"GET", "/groups", "", 403},
		{"GET", "/lists/" + list + "/entries", "", 403},
		{"PUT", "/lists/" + list + "/entries", `{}`, 403},
		{"GET", "/resources", "", 403},
		{"GET", "/webhooks", "", 403},
		{"GET", "/conferences", "", 403},
		{"GET", "/users/" + me + "/conferences", "", 403},
		{"GET", "/search?t=user&q=name&v=o", "", 403},
	} {
		if a := w.as(token, c.verb, w.own(c.path), c.data); a.code != c.want || strings.Contains(string(a.text), `"pin"`) {
			t.Errorf("%s %s %s: %d, want %d: %s", c.verb, c.path, c.data, a.code, c.want, a.text)
		}
	}
	if rows := w.as(token, "GET", w.own("/vmboxes"), "").rows(); len(rows) != 1 || rows[0]["id"] != box {
		t.Errorf("%v", rows)
	}
	if a := w.must("GET", w.own("/vmboxes/"+box), ""); a.str("pin") != "2222" {
		t.Errorf("the PIN was lost: %s", a.text)
	}
	for _, path := range []string{"/v2/search?t=account&q=name&v=a", "/v2/resources"} {
		if a := w.as(token, "GET", path, ""); a.code != 403 {
			t.Errorf("%s: %d", path, a.code)
		}
	}
}
