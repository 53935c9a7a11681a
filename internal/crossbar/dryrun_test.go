package crossbar_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestDryRunDeletesNothing walks every deletion that there is: with dry_run, however it is asked for, it tells or is refused, and
// nothing is gone.
func TestDryRunDeletesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.furnish()
	w.must("PATCH", w.own("/users/"+ids["users"]), `{"metaflows":{"binding_digit":"9"}}`)
	message := w.own("/vmboxes/" + ids["vmboxes"] + "/messages/" + ids["messages"])
	before, walked := w.position(), 0
	for _, r := range w.api.Routes() {
		if !slices.Contains(r.Methods, "DELETE") {
			continue
		}
		path := fill(r.Path, w.account, ids)
		for _, ask := range []struct{ query, body string }{{"?dry_run=true", ""}, {"?dry_run", ""}, {"?dry_run=TRUE", ""}, {"?dry_run=please", ""},
			{"", `{"dry_run":true}`}} {
			if strings.HasSuffix(path, "/collection") {
				ask.body = `{"numbers":["` + ids["phone_numbers"] + `"],"dry_run":true}`
			}
			a := w.call("DELETE", path+ask.query, ask.body)
			switch deleted := a.at("_read_only", "deleted"); {
			case a.code == 200 && (deleted == false || strings.Contains(path, "/collection")):
			case a.code == 400 && a.at("dry_run", "invalid") != nil:
			case a.code == 404: // of a photo or a call's attempt that is not there
			default:
				t.Errorf("DELETE %s%s %s: %d %s", r.Path, ask.query, ask.body, a.code, a.text)
			}
			walked++
		}
	}
	if now := w.position(); now != before || walked < 100 {
		t.Errorf("%d deletions wrote %d changes", walked, now-before)
	}
	if a := w.call("GET", message, ""); a.str("folder") != "new" {
		t.Errorf("%d %s", a.code, a.text)
	}
	if len(w.phones.list[w.account]) != 1 {
		t.Error("registrations are gone")
	}
	if a := w.call("GET", "/v2/token_auth", ""); a.code != 200 {
		t.Errorf("the token has ended: %s", a.text)
	}
	// Who says that it is meant, means it.
	for _, query := range []string{"?dry_run=false", "?dry_run=0", ""} {
		id := w.must("PUT", w.own("/menus"), `{"name":"M"}`).str("id")
		if a := w.call("DELETE", w.own("/menus/"+id+query), ""); a.code != 200 || a.at("_read_only", "deleted") != true {
			t.Errorf("%s: %d %s", query, a.code, a.text)
		}
	}
}

// TestDryRunOfAnAccount: it tells what would go with the account, and what stands in the way.
func TestDryRunOfAnAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	top := w.newAccount("Top")
	for range 3 {
		w.must("PUT", "/v2/accounts/"+top+"/menus", `{"name":"M"}`)
	}
	path := "/v2/accounts/" + top + "?dry_run=true"
	if a := w.call("DELETE", path, ""); a.code != 200 || fmt.Sprint(a.at("_read_only")) != "map[deleted:false documents:map[menu:3]]" {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.call("DELETE", path, "", `If-Match: "1-x"`); a.code != 412 {
		t.Errorf("%d %s", a.code, a.text)
	}
	w.must("PUT", "/v2/accounts/"+top, `{"name":"Below"}`)
	if a := w.call("DELETE", path, ""); a.code != 409 {
		t.Errorf("%d %s", a.code, a.text)
	}
	w.must("GET", "/v2/accounts/"+top, "")
}
