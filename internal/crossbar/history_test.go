package crossbar_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestHistory: who, when, from where, by which request, before and after; newest first, in pages, deleted or not;
// secrets masked; for administrators of the account only.
func TestHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	device := w.must("PUT", w.own("/devices"), `{"name":"One","sip":{"username":"one","password":"secret-one"}}`).str("id")
	path := w.own("/devices/" + device)
	user := w.must("PUT", w.own("/users"), `{"first_name":"Ann","username":"ann","password":"pw","priv_level":"admin"}`).str("id")
	plain := w.must("PUT", w.own("/users"), `{"first_name":"Bob","username":"bob","password":"pw"}`).str("id")
	login := func(name string) string {
		a := w.raw("PUT", "/v2/user_auth", `{"data":{"account_name":"Acme","credentials":"`+md5Of(name+":pw")+`"}}`)
		token, _ := a.body["auth_token"].(string)
		return token
	}
	ann, bob := login("ann"), login("bob")
	if a := w.as(ann, "PATCH", path, `{"name":"Two","sip":{"password":"secret-two"}}`, "X-Request-Id: edit-1"); a.code != 200 {
		t.Fatal(a.code, string(a.text))
	}
	if a := w.as(ann, "PATCH", path, `{"name":"Three"}`, "X-Request-Id: edit-2"); a.code != 200 {
		t.Fatal(a.code, string(a.text))
	}
	w.must("DELETE", path, "")
	rows := w.must("GET", path+"/history", "").rows()
	if len(rows) != 4 {
		t.Fatalf("%d rows", len(rows))
	}
	for i, want := range []struct{ action, method, by, request, before, after, password string }{
		{"deleted", "api_auth", "", "r1", "Three", "", ""},
		{"edited", "user_auth", user, "edit-2", "Two", "Three", "********"},
		{"edited", "user_auth", user, "edit-1", "One", "Two", "******** (changed)"},
		{"created", "api_auth", "", "r1", "", "One", "********"},
	} {
		row := rows[i]
		by := mapOf(row["by"])
		id, _ := by["user_id"].(string)
		name := func(key string) string { s, _ := mapOf(row[key])["name"].(string); return s }
		password, _ := mapOf(mapOf(row["after"])["sip"])["password"].(string)
		if row["action"] != want.action || by["method"] != want.method || id != want.by || row["request_id"] != want.request ||
			name("before") != want.before || name("after") != want.after || password != want.password ||
			row["client_ip"] != "192.0.2.7" || row["iso_8601"] != "2026-11-21T16:00:00Z" {
			t.Errorf("%d: %s", i, text(row))
		}
	}
	if all := text(rows); strings.Contains(all, "secret-") || strings.Contains(all, "sealed:") {
		t.Errorf("a secret is shown, sealed or not: %s", all)
	}
	if rows[2]["before"] == nil || rows[3]["before"] != nil || rows[0]["after"] != nil {
		t.Error("before or after are wrong where there is none")
	}
	var actions []string
	for next := ""; ; {
		a := w.must("GET", path+"/history?page_size=3&start_key="+next, "")
		for _, row := range a.rows() {
			actions = append(actions, row["action"].(string))
		}
		if next, _ = a.body["next_start_key"].(string); next == "" {
			break
		}
	}
	if got := strings.Join(actions, " "); got != "deleted edited edited created" {
		t.Errorf("in pages: %s", got)
	}
	rival := w.newAccount("Rival")
	rivalToken := w.keyToken(w.must("GET", "/v2/accounts/"+rival+"/api_key", "").str("api_key"))
	for _, c := range []struct {
		token, path string
		code        int
	}{
		{bob, path + "/history", 403},
		{bob, w.own("/users/" + plain + "/history"), 403},
		{rivalToken, path + "/history", 403},
		{rivalToken, "/v2/accounts/" + rival + "/devices/" + device + "/history", 404},
		{w.token, w.own("/users/" + device + "/history"), 404},
		{w.token, w.own("/devices/" + strings.Repeat("0", 32) + "/history"), 404},
		{w.token, path + "/history?start_key=x", 404},
		{w.token, w.own("/users/" + user + "/history"), 200},
		{w.token, w.own("/history"), 200},
		{ann, w.own("/users/" + plain + "/history"), 200},
	} {
		if a := w.as(c.token, "GET", c.path, ""); a.code != c.code {
			t.Errorf("%s: %d, want %d: %s", c.path, a.code, c.code, a.text)
		}
	}
	for i := range 3 {
		w.must("PATCH", w.own("/users/"+plain), fmt.Sprintf(`{"n":%d}`, i))
	}
	a := w.must("GET", w.own("/users/"+plain+"/history?paginate=false"), "")
	if len(a.rows()) != 4 || strings.Contains(string(a.text), "pw") {
		t.Errorf("%s", a.text)
	}
	if first := w.must("GET", w.own("/users/"+plain+"/history?page_size=1"), ""); first.body["next_start_key"] != nil {
		if a := w.call("GET", path+"/history?start_key="+first.body["next_start_key"].(string), ""); a.code != 404 {
			t.Errorf("a start key of another document: %d", a.code)
		}
	}
	// Secrets inside of lists are masked too.
	room := w.must("PUT", w.own("/conferences"), `{"name":"Room","member":{"pins":["4711","4712"]}}`).str("id")
	w.must("PATCH", w.own("/conferences/"+room), `{"member":{"pins":["4711","9999"]}}`)
	a = w.must("GET", w.own("/conferences/"+room+"/history"), "")
	if pins := text(mapOf(mapOf(a.rows()[0]["after"])["member"])["pins"]); pins != `["********","******** (changed)"]` ||
		strings.Contains(string(a.text), "sealed:") || strings.Contains(string(a.text), `"4711"`) {
		t.Errorf("%s in %s", pins, a.text)
	}
}

// TestHistoryOfDeletedAccount: who deleted an account can read that it was, and what was in it; nobody beside or below it can.
func TestHistoryOfDeletedAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := "/v2/accounts/" + w.must("PUT", w.own(""), `{"name":"Below","realm":"below.example.com"}`).str("id")
	user := w.must("PUT", path+"/users", `{"first_name":"Ann"}`).str("id")
	w.must("PUT", w.own("/users"), `{"first_name":"Ada","username":"ada","password":"pw","priv_level":"admin"}`)
	w.must("PUT", w.own("/users"), `{"first_name":"Bob","username":"bob","password":"pw"}`)
	other := "/v2/accounts/" + w.newAccount("Other")
	w.must("PUT", other+"/users", `{"first_name":"Eve","username":"eve","password":"pw","priv_level":"admin"}`)
	ada, bob, eve := w.loginToken("ada", "pw", "Acme"), w.loginToken("bob", "pw", "Acme"), w.loginToken("eve", "pw", "Other")
	if a := w.as(ada, "DELETE", path, ""); a.code != 200 {
		t.Fatal(a.code, string(a.text))
	}
	for _, test := range []struct {
		who, token, path string
		code             int
	}{
		{"the parent", ada, path + "/history", 200},
		{"the parent", ada, path + "/users/" + user + "/history", 200},
		{"the master", w.token, path + "/history", 200},
		{"a plain user of the parent", bob, path + "/history", 403},
		{"another account", eve, path + "/history", 403},
		{"another account", eve, path + "/users/" + user + "/history", 403},
		{"nobody", "", path + "/history", 401},
		{"the parent", ada, path, 404},
		{"the parent", ada, path + "/users", 404},
		{"the parent", ada, path + "/users/" + user, 404},
		{"the parent", ada, "/v2/accounts/" + strings.Repeat("0", 32) + "/history", 404},
		{"the parent", ada, "/v2/accounts/" + user + "/history", 404},
		{"the parent", ada, "/v2/accounts/x/history", 404},
	} {
		a := w.as(test.token, "GET", test.path, "")
		if a.code != test.code {
			t.Errorf("%s of %s: %d, not %d: %s", test.path, test.who, a.code, test.code, a.text)
		}
		if rows := a.rows(); a.code == 200 && (len(rows) == 0 || rows[0]["action"] != "deleted" || mapOf(rows[0]["by"])["method"] != "user_auth") {
			t.Errorf("%s does not tell of the deletion: %s", test.path, a.text)
		}
	}
}

// TestHistoryOfWhatIsNotShown: a password, an API key, audio, a photo and a move change nothing that a document shows, and are on record
// all the same: that they changed, never their values; of a move, from where to where.
func TestHistoryOfWhatIsNotShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	user := w.must("PUT", w.own("/users"), `{"first_name":"Ann","username":"ann","password":"pw"}`).str("id")
	last := func(path string) map[string]any { return w.must("GET", path+"/history", "").rows()[0] }
	is := func(what string, row map[string]any, want string) {
		t.Helper()
		if got := text(row["also_changed"]); got != want || row["action"] != "edited" {
			t.Errorf("%s: %s, want %s: %s", what, got, want, text(row))
		}
	}
	w.must("PATCH", w.own("/users/"+user), `{"email":"ann@example.com"}`)
	is("an edit that shows", last(w.own("/users/"+user)), `[]`)
	w.must("PATCH", w.own("/users/"+user), `{"username":"ann","password":"other-pw"}`)
	is("a password", last(w.own("/users/"+user)), `["password","tokens"]`)
	child, other := w.newAccount("Child"), w.newAccount("Other")
	w.must("PUT", "/v2/accounts/"+child+"/api_key", "{}")
	is("a key", last("/v2/accounts/"+child), `["api_key","tokens"]`)
	w.must("POST", "/v2/accounts/"+child+"/move", `{"to":"`+other+`"}`)
	is("a move", last("/v2/accounts/"+child), `["parents"]`)
	above := w.master.AccountID
	if got := text(last("/v2/accounts/" + child)["parents"]); got != `{"after":["`+above+`","`+other+`"],"before":["`+above+`"]}` {
		t.Errorf("moved %s", got)
	}
	media := w.must("PUT", w.own("/media"), `{"name":"M"}`).str("id")
	if a := w.raw("POST", w.own("/media/"+media+"/raw"), wav(80), "X-Auth-Token: "+w.token, "Content-Type: audio/x-wav"); a.code != 200 {
		t.Fatalf("%d %s", a.code, a.text)
	}
	is("audio", last(w.own("/media/"+media)), `["audio"]`)
	for _, path := range []string{w.own("/users/" + user), "/v2/accounts/" + child, w.own("/media/" + media)} {
		if all := string(w.must("GET", path+"/history", "").text); strings.Contains(all, "sealed:") || strings.Contains(all, "argon2") ||
			strings.Contains(all, "null,\"before\"") {
			t.Errorf("a secret is shown: %s", all)
		}
	}
}
