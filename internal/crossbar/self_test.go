package crossbar_test

import (
	"maps"
	"strings"
	"testing"

	"bugle/internal/crossbar"
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
	w.phones.list[w.account] = []crossbar.Registration{{DeviceID: mine.str("id")}, {DeviceID: theirs}}
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
		{"POST", w.own("/devices/" + mine.str("id") + "/sync"), `{}`, 202},
		{"POST", w.own("/devices/" + theirs + "/sync"), `{}`, 403},
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

// selfService are the routes that a plain user may use, with the verbs; {own} stands for the id of what is theirs.
var selfService = map[string]string{
	"/users": "GET", "/users/{own}": "GET PATCH POST", "/users/{own}/vcard": "GET", "/users/{own}/photo": "DELETE GET POST PUT",
	"/devices": "GET", "/devices/{own}": "GET PATCH POST", "/devices/{own}/sync": "POST", "/users/{own}/devices": "GET",
	"/users/{own}/metaflows": "DELETE GET PATCH POST", "/devices/{own}/metaflows": "DELETE GET PATCH POST",
	"/users/{own}/quickcall/{own}": "GET POST", "/devices/{own}/quickcall/{own}": "GET POST",
	"/vmboxes": "GET", "/vmboxes/{own}": "GET PATCH POST", "/users/{own}/vmboxes": "GET",
	"/vmboxes/{own}/messages": "DELETE GET POST PUT", "/vmboxes/{own}/messages/{own}": "DELETE GET POST",
	"/vmboxes/{own}/messages/{own}/raw": "GET PUT",
	"/directory/contacts":               "GET", "/directory/contacts/{own}": "GET", "/directory/contacts/{other}": "GET", "/directory/changes": "GET",
	"/directory/phonebook/{own}": "GET", "/directory/phonebook/{other}": "GET", "/directory/phonebook/{own}/{own}": "GET",
	"/directory/phonebook/{other}/{other}": "GET",
	"/sites":                               "GET", "/sites/{own}": "GET", "/sites/{other}": "GET",
	"/directories": "GET", "/directories/{own}": "GET", "/directories/{other}": "GET",
}

// TestPlainUserOnEveryRoute walks all routes with a plain user's token: what is not listed above is refused, for the own
// things and for those of others, and no answer holds a secret.
func TestPlainUserOnEveryRoute(t *testing.T) {
	t.Parallel()
	w, _ := callingDirectoryWorld(t)
	ids := w.furnish()
	const secret = "gUeSs-1234"
	w.must("PATCH", w.own("/devices/"+ids["devices"]), `{"sip":{"password":"`+secret+`"}}`)
	w.must("PATCH", w.own("/users/"+ids["users"]), `{"hotdesk":{"pin":"98127634"},"email":"theirs@acme.example.com","presence_id":"1002"}`)
	apiKey := w.must("GET", w.own("/api_key"), "").str("api_key")
	me := w.must("PUT", w.own("/users"), `{"first_name":"Me","username":"me","password":"pw","hotdesk":{"pin":"98127635"}}`).str("id")
	mine := w.must("PUT", w.own("/devices"), `{"name":"Mine","owner_id":"`+me+`","sip":{"password":"`+secret+`"}}`).str("id")
	box := w.must("PUT", w.own("/vmboxes"), `{"name":"Mine","mailbox":"9876","owner_id":"`+me+`","pin":"981276"}`).str("id")
	own := map[string]string{"users": me, "devices": mine, "vmboxes": box}
	login := w.raw("PUT", "/v2/user_auth", `{"data":{"credentials":"`+md5Of("me:pw")+`","account_name":"acme"}}`)
	token, _ := login.body["auth_token"].(string)
	before, walked := w.position(), 0
	for _, r := range w.api.Routes() {
		path, ok := strings.CutPrefix(r.Path, "/v2/accounts/{account}")
		if !ok {
			continue
		}
		for whose, theirs := range map[string]map[string]string{"{own}": own, "{other}": {}} {
			values := maps.Clone(ids)
			maps.Copy(values, theirs)
			named := placeholder.ReplaceAllString(path, whose)
			for _, verb := range r.Methods {
				if verb != "GET" && strings.Contains(selfService[named], verb) {
					continue // an edit, which TestPlainUserServesThemselves tries
				}
				walked++
				a := w.as(token, verb, fill(r.Path, w.account, values), "")
				allowed := strings.Contains(selfService[named], verb)
				if allowed && a.code != 200 && a.code != 202 && a.code != 404 || !allowed && a.code != 403 {
					t.Errorf("%s %s: %d, allowed is %q: %s", verb, named, a.code, selfService[named], a.text)
				}
				for _, hidden := range []string{secret, "981276", apiKey, "theirs@"} {
					if hidden == "theirs@" && strings.HasPrefix(named, "/directory") && !strings.HasPrefix(named, "/directories") {
						continue // a company directory is for the people in it
					}
					if strings.Contains(string(a.text), hidden) {
						t.Errorf("%s %s tells %s: %s", verb, named, hidden, a.text)
					}
				}
			}
		}
	}
	if walked < 100 || w.position() != before {
		t.Errorf("%d routes were walked, position %d, was %d", walked, w.position(), before)
	}
	// What is not shown is not found by filters either.
	for filter, want := range map[string]int{"filter_first_name=Geheim": 1, "filter_presence_id=1002": 1, "filter_email=theirs@acme.example.com": 0,
		"filter_username=me": 0, "has_key=email": 0, "has_key=first_name": 2} {
		if a := w.as(token, "GET", w.own("/users?"+filter), ""); a.code != 200 || len(a.rows()) != want {
			t.Errorf("%s: %d rows, want %d: %s", filter, len(a.rows()), want, a.text)
		}
	}
	for path, data := range map[string]string{"/users/" + me: `{"presence_id":"1"}`, "/devices/" + mine: `{"presence_id":"1"}`} {
		if a := w.as(token, "PATCH", w.own(path), data); a.code != 403 {
			t.Errorf("%s %s: %d %s", path, data, a.code, a.text)
		}
	}
}
