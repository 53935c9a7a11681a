package crossbar_test

import (
	"fmt"
	"testing"
)

const nowhere = "00000000000000000000000000000001"

func TestMissingReferencesAreTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	user := w.must("PUT", w.own("/users"), `{"first_name":"A","directories":{"`+nowhere+`":"`+nowhere+`"}}`)
	missing, _ := user.at("_read_only", "references").([]any)
	if len(missing) != 2 || fmt.Sprint(missing[0]) != "map[id:"+nowhere+" path:directories."+nowhere+"]" {
		t.Errorf("%s", user.text)
	}
	flow := w.must("PUT", w.own("/callflows"), `{"numbers":["1"],"owner_id":"`+user.str("id")+`","flow":{"module":"menu","data":{"id":"`+
		nowhere+`"},"children":{"`+user.str("id")+`":{"module":"user","data":{"id":"`+user.str("id")+`"}}}}}`)
	path := w.own("/callflows/" + flow.str("id"))
	if got := fmt.Sprint(w.must("GET", path, "").at("_read_only", "references")); got != "[map[id:"+nowhere+" path:flow.data.id]]" {
		t.Errorf("missing: %s", got)
	}
	// It is computed: what is sent back is not kept, and once the thing is there nothing is missing.
	w.must("PATCH", path, `{"_read_only":{"references":["x"]}}`)
	w.must("PUT", w.own("/menus"), `{"name":"M","id":"`+nowhere+`"}`)
	if a := w.must("GET", path, ""); a.at("_read_only") != nil || a.str("metadata", nowhere, "name") != "M" {
		t.Errorf("%s", a.text)
	}
	// Another account's document is not there for this one.
	rival := w.newAccount("Rival")
	theirs := w.must("PUT", "/v2/accounts/"+rival+"/menus", `{"name":"Secret"}`).str("id")
	w.must("PATCH", path, `{"flow":{"data":{"id":"`+theirs+`"}}}`)
	if a := w.must("GET", path, ""); fmt.Sprint(a.at("_read_only", "references")) != "[map[id:"+theirs+" path:flow.data.id]]" ||
		a.at("metadata", theirs) != nil {
		t.Errorf("%s", a.text)
	}
}

func TestDeletionTakesMembershipsAlong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d1 := w.must("PUT", w.own("/directories"), `{"name":"One"}`).str("id")
	d2 := w.must("PUT", w.own("/directories"), `{"name":"Two"}`).str("id")
	flow := w.must("PUT", w.own("/callflows"), `{"name":"F","numbers":["1"],"flow":{"module":"menu","data":{"id":"`+d1+`"}}}`).str("id")
	body := `{"first_name":"A","username":"a","password":"pw","hotdesk":{"pin":"4711"},"directories":{"` + d1 + `":"` + flow + `","` + d2 + `":"` + flow + `"}}`
	user := w.must("PUT", w.own("/users"), body).str("id")
	device := w.must("PUT", w.own("/devices"), `{"name":"D","owner_id":"`+user+`","directories":{"`+d1+`":"`+flow+`"}}`)
	before := w.dump()

	dry := w.must("DELETE", w.own("/directories/"+d1+"?dry_run=true"), "")
	told := map[string]map[string]any{}
	rows, _ := dry.at("_read_only", "references").([]any)
	for _, row := range rows {
		row := row.(map[string]any)
		told[row["type"].(string)] = row
	}
	if len(rows) != 3 || told["callflow"]["id"] != flow || told["callflow"]["removed"] != false || told["callflow"]["name"] != "F" ||
		told["user"]["removed"] != true || told["device"]["removed"] != true || dry.at("_read_only", "deleted") != false {
		t.Errorf("%s", dry.text)
	}
	if w.dump() != before {
		t.Error("a dry run wrote something")
	}
	gone := w.must("DELETE", w.own("/directories/"+d1), "")
	if fmt.Sprint(gone.at("_read_only", "references")) != fmt.Sprint(dry.at("_read_only", "references")) ||
		gone.at("_read_only", "deleted") != true || len(gone.at("users").([]any)) != 2 {
		t.Errorf("%s", gone.text)
	}
	if a := w.must("GET", w.own("/users/"+user), ""); a.at("directories", d1) != nil || a.str("directories", d2) != flow ||
		a.str("hotdesk", "pin") != "4711" {
		t.Errorf("%s", a.text)
	}
	if a := w.raw("PUT", "/v2/user_auth", `{"data":{"credentials":"`+md5Of("a:pw")+`","account_name":"acme"}}`); a.code != 201 {
		t.Errorf("the member lost its login: %d %s", a.code, a.text)
	}
	if a := w.must("GET", w.own("/devices/"+device.str("id")), ""); a.at("directories", d1) != nil || a.str("sip", "password") != device.str("sip", "password") {
		t.Errorf("%s", a.text)
	}
	if a := w.must("GET", w.own("/callflows/"+flow), ""); a.str("flow", "data", "id") != d1 {
		t.Errorf("the tree was edited: %s", a.text)
	}
	// A callflow's deletion leaves the people in their directories, and the owner's deletion leaves the device.
	if a := w.must("DELETE", w.own("/callflows/"+flow), ""); len(a.at("_read_only", "references").([]any)) != 1 {
		t.Errorf("%s", a.text)
	}
	if a := w.must("GET", w.own("/users/"+user), ""); a.str("directories", d2) != flow {
		t.Errorf("%s", a.text)
	}
	w.must("DELETE", w.own("/users/"+user), "")
	if a := w.must("GET", w.own("/devices/"+device.str("id")), ""); fmt.Sprint(a.at("_read_only", "references")) != "[map[id:"+user+" path:owner_id]]" {
		t.Errorf("%s", a.text)
	}
}
