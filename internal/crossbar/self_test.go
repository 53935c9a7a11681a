package crossbar_test

import (
	"strings"
	"testing"
)

// TestPlainUserServesThemselves: a user without priv_level admin edits what is theirs, reads the directory, and nothing
// else.
func TestPlainUserServesThemselves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	me := w.must("PUT", w.own("/users"), `{"first_name":"Me","username":"me","password":"pw","hotdesk":{"pin":"4321"}}`).str("id")
	other := w.must("PUT", w.own("/users"), `{"first_name":"Other","email":"o@acme.example.com"}`).str("id")
	mine := w.must("PUT", w.own("/devices"), `{"name":"Mine","owner_id":"`+me+`"}`)
	theirs := w.must("PUT", w.own("/devices"), `{"name":"Theirs","owner_id":"`+other+`"}`).str("id")
	directory := w.must("PUT", w.own("/directories"), `{"name":"All"}`).str("id")
	flow := w.must("PUT", w.own("/callflows"), `{"numbers":["1"],"flow":{}}`).str("id")
	child := w.must("PUT", "/v2/accounts/"+w.account, `{"name":"Child"}`).str("id")
	login := w.raw("PUT", "/v2/user_auth", `{"data":{"credentials":"`+md5Of("me:pw")+`","account_name":"acme"}}`)
	token, _ := login.body["auth_token"].(string)
	for _, c := range []struct {
		verb, path, data string
		want             int
	}{
		{"GET", w.own("/users/" + me), "", 200},
		{"PATCH", w.own("/users/" + me), `{"nickname":"Myself","do_not_disturb":{"enabled":true}}`, 200},
		{"POST", w.own("/users/" + me), `{"first_name":"Me","username":"me","nickname":"M"}`, 200},
		{"PATCH", w.own("/users/" + me), `{"priv_level":"admin"}`, 403},
		{"PATCH", w.own("/users/" + me), `{"caller_id":{"internal":{"number":"1"}}}`, 403},
		{"PATCH", w.own("/users/" + me), `{"username":"boss","password":"pw"}`, 403},
		{"DELETE", w.own("/users/" + me), "", 403},
		{"GET", w.own("/users/" + other), "", 403},
		{"PATCH", w.own("/users/" + other), `{"nickname":"x"}`, 403},
		{"PUT", w.own("/users"), `{"first_name":"New"}`, 403},
		{"GET", w.own("/users"), "", 200},
		{"GET", w.own("/users/" + me + "/devices"), "", 200},
		{"GET", w.own("/users/" + other + "/devices"), "", 403},
		{"GET", w.own("/devices"), "", 200},
		{"GET", w.own("/devices/" + mine.str("id")), "", 200},
		{"PATCH", w.own("/devices/" + mine.str("id")), `{"do_not_disturb":{"enabled":true}}`, 200},
		{"PATCH", w.own("/devices/" + mine.str("id")), `{"sip":{"password":"guessable"}}`, 403},
		{"PATCH", w.own("/devices/" + mine.str("id")), `{"owner_id":null}`, 403},
		{"GET", w.own("/devices/" + theirs), "", 403},
		{"PATCH", w.own("/devices/" + theirs), `{"owner_id":"` + me + `"}`, 403},
		{"GET", w.own("/devices/status"), "", 403},
		{"GET", w.own("/directories/" + directory), "", 200},
		{"PATCH", w.own("/directories/" + directory), `{"name":"x"}`, 403},
		{"GET", w.own("/callflows"), "", 403},
		{"DELETE", w.own("/callflows/" + flow), "", 403},
		{"POST", w.own("/callflows/" + flow + "?verb=delete"), `{}`, 403},
		{"GET", w.own("/registrations"), "", 403},
		{"GET", w.own("/channels"), "", 403},
		{"GET", w.own("/api_key"), "", 403},
		{"GET", w.own(""), "", 403},
		{"PUT", "/v2/accounts", `{"name":"New"}`, 403},
		{"PUT", w.own(""), `{"name":"New"}`, 403},
		{"GET", "/v2/accounts/" + child + "/users", "", 403},
		{"GET", "/v2/token_auth", "", 200},
	} {
		if a := w.as(token, c.verb, c.path, c.data); a.code != c.want {
			t.Errorf("%s %s %s: %d, want %d: %s", c.verb, c.path, c.data, a.code, c.want, a.text)
		}
	}
	if a := w.as(token, "GET", w.own("/users"), ""); len(a.rows()) != 2 || strings.Contains(string(a.text), "acme.example.com") {
		t.Errorf("%s", a.text)
	}
	if a := w.as(token, "GET", w.own("/devices"), ""); len(a.rows()) != 1 {
		t.Errorf("%s", a.text)
	}
	// What could not be read was not lost by sending the document back.
	if a := w.must("GET", w.own("/users/"+me), ""); a.str("hotdesk", "pin") != "4321" || a.str("nickname") != "M" {
		t.Errorf("%s", a.text)
	}
	if a := w.must("GET", w.own("/devices/"+mine.str("id")), ""); a.str("sip", "password") != mine.str("sip", "password") {
		t.Errorf("%s", a.text)
	}
}
