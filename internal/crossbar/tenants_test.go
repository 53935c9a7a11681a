package crossbar_test

import (
	"strings"
	"testing"

	"bugle/internal/crossbar"
)

// bodyFor is what a document of the noun needs at least.
func bodyFor(noun string) string {
	switch noun {
	case "users":
		return `{"first_name":"X"}`
	case "callflows":
		return `{"numbers":["7777"],"flow":{}}`
	}
	return `{"name":"X"}`
}

// TestTenantsDoNotSeeEachOther walks every route of another account with an account's own token.
func TestTenantsDoNotSeeEachOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rival := w.newAccount("Rival")
	rivalKey := w.must("GET", "/v2/accounts/"+rival+"/api_key", "").str("api_key")
	rivalToken := w.keyToken(rivalKey)
	w.phones.list[w.account] = []crossbar.Registration{{Username: "user_1", DeviceID: "d"}}
	w.calls.list[w.account] = []crossbar.Channel{{ID: "call-1"}}
	ids := map[string]string{"channels": "call-1", "registrations": "user_1"}
	for _, noun := range []string{"users", "devices", "callflows", "directories", "menus", "media"} {
		ids[noun] = w.must("PUT", w.own("/"+noun), bodyFor(noun)).str("id")
	}
	before := w.dump()
	walked := 0
	for _, r := range w.api.Routes() {
		if !strings.Contains(r.Path, "{account}") {
			continue
		}
		noun, _, _ := strings.Cut(strings.TrimPrefix(r.Path, "/v2/accounts/{account}/"), "/")
		path := strings.NewReplacer("{id}", ids[noun], "{username}", ids[noun]).Replace(r.Path)
		theirs := strings.Replace(path, "{account}", w.account, 1)
		for _, verb := range r.Methods {
			walked++
			for name, token := range map[string]string{"rival": rivalToken, "nobody": ""} {
				a := w.as(token, verb, theirs, bodyFor(noun))
				want := 403
				if token == "" {
					want = 401
				}
				if a.code != want {
					t.Errorf("%s: %s %s: %d %s", name, verb, theirs, a.code, a.text)
				}
			}
			// The same ids under the rival's own account are not there.
			if strings.Contains(path, "{account}") && path != "/v2/accounts/{account}" && ids[noun] != "" &&
				strings.Contains(path, ids[noun]) && noun != "registrations" {
				a := w.as(rivalToken, verb, strings.Replace(path, "{account}", rival, 1), bodyFor(noun))
				if a.code != 404 && !(verb == "POST" && a.code == 400) {
					t.Errorf("under its own account: %s %s: %d %s", verb, path, a.code, a.text)
				}
			}
		}
	}
	if walked < 40 {
		t.Errorf("only %d routes were walked", walked)
	}
	if after := w.dump(); after != before {
		t.Errorf("something changed:\n%s\n%s", before, after)
	}
	// The account above reaches down, the one below does not reach up.
	for _, c := range []struct {
		token, account string
		want           int
	}{{w.token, rival, 200}, {rivalToken, rival, 200}, {rivalToken, w.master.AccountID, 403}} {
		if a := w.as(c.token, "GET", "/v2/accounts/"+c.account+"/users", ""); a.code != c.want {
			t.Errorf("%d, want %d: %s", a.code, c.want, a.text)
		}
	}
	if a := w.as(rivalToken, "GET", "/v2/accounts", ""); a.code != 403 {
		t.Errorf("GET /accounts: %d", a.code)
	}
	grandchild := w.as(rivalToken, "PUT", "/v2/accounts", `{"name":"Below Rival"}`).str("id")
	if a := w.as(rivalToken, "GET", "/v2/accounts/"+grandchild+"/parents", ""); len(a.rows()) != 1 || a.rows()[0]["id"] != rival {
		t.Errorf("parents: %s", a.text)
	}
	if a := w.call("GET", "/v2/accounts/"+w.master.AccountID+"/descendants", ""); len(a.rows()) != 3 {
		t.Errorf("descendants: %s", a.text)
	}
	if a := w.call("GET", "/v2/accounts/"+w.master.AccountID+"/children", ""); len(a.rows()) != 2 {
		t.Errorf("children: %s", a.text)
	}
}

// TestIDsOfOthersCannotBeTaken: ids are unique in the whole system.
func TestIDsOfOthersCannotBeTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rival := w.newAccount("Rival")
	id := w.must("PUT", w.own("/menus"), `{"name":"mine"}`).str("id")
	for _, path := range []string{"/v2/accounts/" + rival + "/menus", w.own("/menus"), w.own("/directories")} {
		if a := w.call("PUT", path, `{"name":"theirs","id":"`+id+`"}`); a.code != 400 || a.at("id", "unique") == nil {
			t.Errorf("%s: %d %s", path, a.code, a.text)
		}
	}
	// A document of another type is not there.
	if a := w.call("GET", w.own("/directories/"+id), ""); a.code != 404 || a.body["message"] != "bad_identifier" {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.call("POST", w.own("/menus/"+id), `{"name":"x","id":"00000000000000000000000000000000"}`); a.code != 400 {
		t.Errorf("%d %s", a.code, a.text)
	}
}

// dump is all that the API shows of the test's account.
func (w *world) dump() string {
	var b strings.Builder
	for _, noun := range []string{"users", "devices", "callflows", "directories", "menus", "media"} {
		for _, row := range w.must("GET", w.own("/"+noun), "").rows() {
			a := w.must("GET", w.own("/"+noun+"/"+row["id"].(string)), "")
			b.WriteString(a.body["revision"].(string) + "\n")
		}
	}
	a := w.must("GET", w.own(""), "")
	return b.String() + a.body["revision"].(string)
}
