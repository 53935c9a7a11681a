package crossbar_test

import (
	"slices"
	"testing"

	"bugle/internal/crossbar"
)

func names(a answer) []string {
	var out []string
	for _, row := range a.rows() {
		name, _ := row["name"].(string)
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func TestAccountsMove(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	below := func(parent, name string) string {
		return w.must("PUT", "/v2/accounts/"+parent, `{"name":"`+name+`"}`).str("id")
	}
	at := func(id, rest string) string { return "/v2/accounts/" + id + rest }
	east, west := below(w.account, "East"), below(w.account, "West")
	shop := below(east, "Shop")
	till := below(shop, "Till")
	outside := w.newAccount("Outside")
	token := w.keyToken(w.must("GET", at(w.account, "/api_key"), "").str("api_key"))
	shopToken := w.keyToken(w.must("GET", at(shop, "/api_key"), "").str("api_key"))
	eastToken := w.keyToken(w.must("GET", at(east, "/api_key"), "").str("api_key"))
	before := w.position()
	for name, c := range map[string]struct {
		token, id, to string
		code          int
	}{
		"to nothing":        {token, shop, "", 400},
		"to a word":         {token, shop, "West", 400},
		"to no account":     {token, shop, nowhere, 404},
		"below itself":      {token, shop, shop, 400},
		"below its own":     {token, shop, till, 400},
		"the ground":        {token, w.account, west, 403},
		"one's own":         {shopToken, shop, west, 403},
		"out of reach":      {token, shop, outside, 404},
		"another's account": {eastToken, west, east, 403},
		"the master":        {w.token, w.master.AccountID, w.account, 403},
	} {
		if a := w.as(c.token, "POST", at(c.id, "/move"), `{"to":"`+c.to+`"}`); a.code != c.code {
			t.Errorf("%s: %d, want %d: %s", name, a.code, c.code, a.text)
		}
	}
	if w.position() != before {
		t.Error("a refused move wrote something")
	}
	if a := w.as(token, "POST", at(shop, "/move"), `{"to":"`+west+`"}`); a.code != 200 || a.str("name") != "Shop" {
		t.Errorf("%d %s", a.code, a.text)
	}
	if got := names(w.must("GET", at(west, "/descendants"), "")); !slices.Equal(got, []string{"Shop", "Till"}) {
		t.Errorf("below West: %v", got)
	}
	if got := names(w.must("GET", at(east, "/descendants"), "")); len(got) != 0 {
		t.Errorf("below East: %v", got)
	}
	if got := names(w.must("GET", at(till, "/parents"), "")); !slices.Equal(got, []string{"Acme", "Shop", "West", "master"}) {
		t.Errorf("above Till: %v", got)
	}
	// Who is above now reaches it, who was does not any more.
	if a := w.as(eastToken, "GET", at(till, ""), ""); a.code != 403 {
		t.Errorf("East: %d", a.code)
	}
	if a := w.as(w.keyToken(w.must("GET", at(west, "/api_key"), "").str("api_key")), "GET", at(till, ""), ""); a.code != 200 {
		t.Errorf("West: %d", a.code)
	}
	if got := names(w.as(token, "GET", at(west, "/siblings"), "")); !slices.Equal(got, []string{"East", "West"}) {
		t.Errorf("siblings: %v", got)
	}
	if a := w.as(eastToken, "GET", at(east, "/siblings"), ""); a.code != 403 {
		t.Errorf("siblings told to one of them: %d %s", a.code, a.text)
	}
	if a := w.call("DELETE", at(west, ""), ""); a.code != 409 || a.body["message"] != "account_has_descendants" {
		t.Errorf("%d %s", a.code, a.text)
	}
}

func TestDisabledAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.must("GET", w.own("/api_key"), "").str("api_key")
	token := w.keyToken(key)
	w.phones.list[w.account] = []crossbar.Registration{{Username: "user_1"}}
	w.must("PATCH", w.own(""), `{"enabled":false}`)
	if a := w.as(token, "GET", w.own(""), ""); a.code != 401 {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.raw("PUT", "/v2/api_auth", `{"data":{"api_key":"`+key+`"}}`); a.code != 400 || a.at("account", "disabled") == nil {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.must("GET", w.own("/registrations"), ""); len(a.rows()) != 0 {
		t.Errorf("its phones are registered still: %s", a.text)
	}
	w.must("PATCH", w.own(""), `{"enabled":true}`)
	if a := w.as(token, "GET", w.own(""), ""); a.code != 200 {
		t.Errorf("%d %s", a.code, a.text)
	}
}
