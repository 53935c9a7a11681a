package crossbar_test

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"bugle/internal/crossbar"
	"bugle/internal/store"
)

// bodies are what documents need beside or instead of a name. A resource that a name is enough for is not listed.
var bodies = map[string]string{
	"users":         `{"first_name":"Geheim"}`,
	"callflows":     `{"name":"Geheim","numbers":["7777"],"flow":{}}`,
	"phone_numbers": `{"name":"Geheim"}`,

	"temporal_rules": `{"name":"Geheim","cycle":"daily"}`,
	"vmboxes":        `{"name":"Geheim","mailbox":"100"}`,
	"clicktocall":    `{"name":"Geheim","extension":"100"}`,
	"resources":      `{"name":"Geheim","gateways":[{"server":"carrier.example.com"}]}`,
	"webhooks":       `{"name":"Geheim","hook":"object","uri":"https://hooks.example.com/x"}`,
}

// bodyFor is what a document of the noun needs at least.
func bodyFor(noun string) string {
	if body, ok := bodies[noun]; ok {
		return body
	}
	return `{"name":"Geheim"}`
}

// placeholder is a variable part of a route's path.
var placeholder = regexp.MustCompile(`\{[^/]*\}`)

// fill puts ids, by the noun before them, in the place of a route's variable parts.
func fill(path, account string, ids map[string]string) string {
	words := strings.Split(path, "/")
	for i, word := range words {
		switch {
		case word == "{account}":
			words[i] = account
		case placeholder.MatchString(word):
			noun := words[i-1]
			for j := i - 1; j > 0 && ids[noun] == ""; j-- {
				noun = words[j]
			}
			words[i] = url.PathEscape(cmp.Or(ids[noun], nowhere))
		}
	}
	return strings.Join(words, "/")
}

// furnish makes a document of every resource that takes one, and returns the ids by noun. A row that is added to the
// table is walked without a word here, unless its documents need more than a name.
func (w *world) furnish() map[string]string {
	w.t.Helper()
	ids := map[string]string{"channels": "call-1", "registrations": "user_1", "quickcall": "1001"}
	w.phones.list[w.account] = []crossbar.Registration{{Username: "user_1", DeviceID: "d"}}
	w.calls.list[w.account] = []crossbar.Channel{{ID: "call-1"}}
	for _, r := range w.api.Routes() {
		noun, ok := strings.CutPrefix(r.Path, "/v2/accounts/{account}/")
		switch {
		case noun == "phone_numbers":
			ids[noun] = w.must("PUT", w.own("/"+noun+"/+14155550100"), bodyFor(noun)).str("id")
		case ok && !strings.Contains(noun, "/") && slices.Contains(r.Methods, "PUT") && slices.Contains(r.Methods, "GET") && noun != "api_key":
			ids[noun] = w.must("PUT", w.own("/"+noun), bodyFor(noun)).str("id")
		}
	}
	ids["entries"] = w.must("PUT", w.own("/lists/"+ids["lists"]+"/entries"), `{"displayname":"Geheim"}`).str("id")
	ids["jwt_credentials"] = w.must("PUT", w.own("/users/"+ids["users"]+"/jwt_credentials"), `{"name":"Geheim"}`).str("id")
	ids["messages"] = w.must("PUT", w.own("/vmboxes/"+ids["vmboxes"]+"/messages"), `{"caller_id_name":"Geheim"}`).str("media_id")
	ids["subscriptions"] = w.subscribe("geheim")
	ids["deliveries"] = ids["subscriptions"] + "-0"
	w.told(w.account, ids["subscriptions"], 1)
	return ids
}

// subscribe makes a subscription of the RingCentral API, and returns its id.
func (w *world) subscribe(id string) string {
	w.t.Helper()
	if err := w.store.Write(context.Background(), func(tx *store.Tx) error {
		return tx.AddSubscription(store.Subscription{ID: id, AccountID: w.account, Transport: "WebHook", Expires: w.clock.now().Add(time.Hour), Body: []byte(`{"address":"https://u:Geheim@receiver.example/in?token=Geheim&b=1"}`)})
	}); err != nil {
		w.t.Fatal(err)
	}
	return id
}

// position is where the log of all changes stands: it moves with every write.
func (w *world) position() int64 {
	w.t.Helper()
	n, err := w.store.Position(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// ownAnyway are the paths with an id of another account that say something about the id itself and nothing about the
// account.
var ownAnyway = []string{"/classifiers/", "/media/languages/", "/media/prompts/"}

// TestTenantsDoNotSeeEachOther walks every route of another account with an account's own token, and every route of the
// account with the other's ids.
func TestTenantsDoNotSeeEachOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rival := w.newAccount("Rival")
	rivalKey := w.must("GET", "/v2/accounts/"+rival+"/api_key", "").str("api_key")
	rivalToken := w.keyToken(rivalKey)
	ids := w.furnish()
	before := w.position()
	walked := 0
	for _, r := range w.api.Routes() {
		if !strings.Contains(r.Path, "{account}") {
			continue
		}
		theirs := fill(r.Path, w.account, ids)
		for _, verb := range r.Methods {
			walked++
			for name, token := range map[string]string{"rival": rivalToken, "nobody": ""} {
				a := w.as(token, verb, theirs, `{"name":"X"}`)
				want := 403
				if token == "" {
					want = 401
				}
				if a.code != want {
					t.Errorf("%s: %s %s: %d %s", name, verb, theirs, a.code, a.text)
				}
			}
			// The same ids under the rival's own account are not there.
			mine := fill(r.Path, rival, ids)
			if strings.Count(r.Path, "{") < 2 || strings.HasPrefix(r.Path, "/v2/accounts/{account}/registrations/") {
				continue
			}
			a := w.as(rivalToken, verb, mine, `{"name":"X"}`)
			if a.code < 400 && !slices.ContainsFunc(ownAnyway, func(s string) bool { return strings.Contains(mine, s) }) {
				t.Errorf("under its own account: %s %s: %d %s", verb, mine, a.code, a.text)
			}
			if strings.Contains(string(a.text), "Geheim") || strings.Contains(string(a.text), w.account) {
				t.Errorf("%s %s tells of another account: %s", verb, mine, a.text)
			}
		}
	}
	if walked < 160 {
		t.Errorf("only %d routes were walked", walked)
	}
	if after := w.position(); after != before {
		t.Errorf("something was written: %d, was %d", after, before)
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

// dump changes with every write.
func (w *world) dump() string { return fmt.Sprint(w.position()) }
