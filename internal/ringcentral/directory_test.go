package ringcentral_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func records(t *testing.T, a answer) (ids []string, all []map[string]any) {
	t.Helper()
	if a.code != 200 {
		t.Fatal(a.code, a.text)
	}
	for _, r := range a.body["records"].([]any) {
		r := r.(map[string]any)
		all = append(all, r)
		name := r["firstName"]
		if name == nil {
			name = r["name"]
		}
		ids = append(ids, fmt.Sprint(name))
	}
	return ids, all
}

func TestDirectory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	base := "/v2/accounts/" + w.account
	site := w.create(base+"/sites", map[string]any{"name": "Nord", "code": "7"})
	menu := w.create(base+"/menus", map[string]any{"name": "Welcome"})
	w.create(base+"/callflows", map[string]any{"numbers": []any{"100"}, "flow": map[string]any{"module": "menu", "data": map[string]any{"id": menu}, "children": map[string]any{}}})
	w.create(base+"/callflows", map[string]any{"numbers": []any{"101", "+15551230001"}, "flow": map[string]any{"module": "user", "data": map[string]any{"id": w.ann}, "children": map[string]any{}}})
	w.crossbar("PATCH", base+"/users/"+w.bob, map[string]any{"site_id": site, "enabled": false})
	w.settled(w.account, 5)
	token := w.login().str("access_token")
	list := w.api(token, "GET", entries, "")
	names, all := records(t, list)
	if strings.Join(names, " ") != "Ann Bob Welcome" {
		t.Fatal(names)
	}
	ann := all[0]
	text, _ := json.Marshal(ann)
	for _, want := range []string{`"jobTitle":"Boss"`, `"department":"Sales"`, `"extensionNumber":"101"`, `"companyName":"Acme"`, `"status":"Enabled"`, `"type":"User"`,
		`"phoneNumber":"+15551230001"`, `"formattedPhoneNumber":"+1 555-123-0001"`, `"usageType":"DirectNumber"`, `"site":{"id":"main-site","name":"Main Site"}`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s has no %s", text, want)
		}
	}
	if all[1]["status"] != "Disabled" || all[1]["site"].(map[string]any)["code"] != "7" || all[2]["type"] != "IvrMenu" {
		t.Error(all)
	}
	if p := list.body["paging"].(map[string]any); fmt.Sprint(p["page"], p["perPage"], p["totalPages"], p["totalElements"], p["pageStart"], p["pageEnd"]) != "1 1000 1 3 0 2" {
		t.Error(p)
	}
	tag := list.header.Get("ETag")
	if a := w.api(token, "GET", entries, "", "If-None-Match", tag); a.code != 304 || tag == "" || a.text != "" {
		t.Error(a.code, tag, a.text)
	}
	if a := w.api(token, "GET", entries+"?type=User", "", "If-None-Match", tag); a.code != 200 {
		t.Error("another query, the same tag")
	}
	siteID := all[1]["site"].(map[string]any)["id"].(string)
	annID, account := ann["id"].(string), ann["account"].(map[string]any)["id"].(string)
	for query, want := range map[string]string{"?perPage=2": "Ann Bob", "?perPage=2&page=2": "Welcome", "?page=9": "", "?type=User": "Ann Bob", "?type=User&type=IvrMenu": "Ann Bob Welcome",
		"?typeGroup=NonUser": "Welcome", "?typeGroup=User": "Ann Bob", "?type=User&typeGroup=NonUser": "", "?siteId=" + siteID: "Bob", "?siteId=" + site: "Bob", "?siteId=main-site": "Ann Welcome",
		"?siteId=77": "", "?type=Announcement": "", "?perPage=max": "Ann Bob Welcome"} {
		if got, _ := records(t, w.api(token, "GET", entries+query, "")); strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", query, got, want)
		}
	}
	last := w.api(token, "GET", entries+"?perPage=2&page=2", "").body["paging"].(map[string]any)
	if fmt.Sprint(last["pageStart"], last["pageEnd"], last["totalPages"]) != "2 2 2" {
		t.Error(last)
	}
	if p := w.api(token, "GET", entries+"?page=9", "").body["paging"].(map[string]any); p["page"] != nil || p["pageStart"] != nil || p["totalElements"] != 3.0 {
		t.Error(p)
	}
	if _, all := records(t, w.api(token, "GET", entries+"?showFederated=false", "")); all[0]["account"] != nil {
		t.Error(all[0])
	}
	for _, bad := range []string{"?page=0", "?page=x", "?perPage=0", "?perPage=2001", "?type=Person", "?typeGroup=x", "?showFederated=maybe", "?accessibleSitesOnly=2"} {
		w.api(token, "GET", entries+bad, "").fails(t, 400, "ADG-121")
	}
	for _, at := range []string{"~", account, w.account} {
		for _, id := range []string{annID, w.ann} {
			if a := w.api(token, "GET", "/restapi/v1.0/account/"+at+"/directory/entries/"+id, ""); a.code != 200 || a.str("id") != annID {
				t.Error(at, id, a.text)
			}
		}
	}
	w.api(token, "GET", entries+"/12345", "").fails(t, 404, "ADG-122")
	w.api(token, "GET", "/restapi/v1.0/account/~/directory/federation", "").fails(t, 404, "ADG-105")
	w.api(token, "GET", "/restapi/v1.0/account/~/directory/nothing", "").fails(t, 404, "ADG-200")
	w.api(token, "GET", "/restapi/v1.0/nothing", "").fails(t, 404, "CMN-120")
	w.api(token, "GET", "/restapi/v1.0/account/~/extension/77", "").fails(t, 404, "CMN-102")
	if me := w.api(token, "GET", "/restapi/v1.0/account/~/extension/~", ""); fmt.Sprintf("%.0f", me.body["id"]) != annID || me.str("extensionNumber") != "101" {
		t.Error(me.text)
	}
	// Another company's account is not there, by any of its names, and neither are its contacts.
	eve := w.form(tokenPath, "", "", "grant_type", "password", "username", "eve@example.com", "password", annWord).str("access_token")
	for _, at := range []string{account, w.account, "1", "0", "-1", "x", "99999999999999999999"} {
		w.api(eve, "GET", "/restapi/v1.0/account/"+at+"/directory/entries", "").fails(t, 404, "ADG-107")
	}
	for _, id := range []string{annID, w.ann} {
		w.api(eve, "GET", entries+"/"+id, "").fails(t, 404, "ADG-122")
	}
	if names, _ := records(t, w.api(eve, "GET", entries+"?siteId="+siteID, "")); len(names) != 0 {
		t.Error(names)
	}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("/v2/accounts/"+w.account+"/users", map[string]any{"first_name": "Zoë", "last_name": "Baker", "email": "zoe@example.com", "mobile_number": "+15557770001", "activation": "pending"})
	w.settled(w.account, 3)
	token := w.login().str("access_token")
	const path = entries + "/search"
	for body, want := range map[string]string{
		``: "Ann Bob Zoë", `{}`: "Ann Bob Zoë", `{"searchString":"zoe"}`: "Zoë", `{"searchString":"BAKER"}`: "Bob Zoë", `{"searchString":"baker","searchFields":["firstName"]}`: "",
		`{"searchString":"boss"}`: "Ann", `{"searchString":"777-0001"}`: "Zoë", `{"perPage":1,"page":2}`: "Bob", `{"extensionType":"Department"}`: "",
		`{"orderBy":[{"fieldName":"firstName","direction":"Desc"}]}`: "Zoë Bob Ann", `{"orderBy":[{"index":2,"fieldName":"firstName","direction":"Desc"},{"index":1,"fieldName":"lastName"}]}`: "Ann Zoë Bob",
		`{"orderBy":[{"fieldName":"firstName"}],"perPage":1,"page":3}`: "Zoë", `{"extensionStatuses":["NotActivated"]}`: "Zoë", `{"department":"sales"}`: "Ann", `{"siteIds":["main-site"]}`: "Ann Bob Zoë",
		`{"unknown":{"x":1}}`: "Ann Bob Zoë",
	} {
		if got, _ := records(t, w.api(token, "POST", path, body)); strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", body, got, want)
		}
	}
	for body, code := range map[string]string{`{"searchFields":["x"]}`: "ADG-121", `{"page":0}`: "ADG-121", `{"perPage":2001}`: "ADG-121", `{"orderBy":[{"fieldName":"x"}]}`: "ADG-121",
		`{"orderBy":[{"fieldName":"email"},{"fieldName":"lastName"}]}`: "ADG-121", `{"orderBy":[{"fieldName":"email","direction":"up"}]}`: "ADG-121", `{"extensionType":"x"}`: "ADG-121",
		`{"extensionStatuses":["x"]}`: "ADG-121", `{"searchString":7}`: "ADG-121", `{"searchString":`: "ADG-112", `[]`: "ADG-112", `{"searchString":"` + strings.Repeat("x", 201) + `"}`: "ADG-121"} {
		w.api(token, "POST", path, body).fails(t, 400, code)
	}
	w.api(token, "POST", path, `{"x":"`+strings.Repeat("x", 70000)+`"}`).fails(t, 413, "ADG-112")
	w.send("POST", path, "text/plain", "{}", "Authorization", "Bearer "+token).fails(t, 415, "ADG-115")
}
