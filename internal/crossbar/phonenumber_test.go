package crossbar_test

import (
	"fmt"
	"net/url"
	"regexp"
	"testing"

	"bugle/internal/crossbar"
)

func number(w *world, n string) string { return w.own("/phone_numbers/" + url.PathEscape(n)) }

func TestPhoneNumbers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.must("PUT", number(w, "415-555-0100"), `{"cnam":{"display_name":"Acme"},"note":"kept","state":"port_out","used_by":"x"}`)
	if a.code != 201 || a.str("id") != "+14155550100" || a.str("state") != "in_service" || a.at("used_by") != nil || a.str("note") != "kept" ||
		a.str("assigned_to") != w.account || fmt.Sprint(a.at("features")) != "[outbound_cnam]" || fmt.Sprint(a.at("created")) != "63962496000" ||
		a.header.Get("Location") != w.own("/phone_numbers/%2B14155550100") {
		t.Errorf("%d %s %v", a.code, a.text, a.header)
	}
	for _, c := range []struct {
		verb, path, data string
		code             int
		message          string
	}{
		{"PUT", number(w, "+1 415 555 0100"), `{}`, 409, "number_exists"},
		{"PUT", number(w, "1001"), `{}`, 404, "not_reconcilable"},
		{"PUT", number(w, "+1"), `{}`, 404, "not_reconcilable"},
		{"PUT", number(w, "no_match"), `{}`, 404, "not_reconcilable"},
		{"PUT", number(w, "+14155550101"), `{"create_with_state":"port_in"}`, 400, "validation error"},
		{"PUT", number(w, "+14155550101"), `{"e911":{"region":"CA"}}`, 400, "validation error"},
		{"GET", number(w, "+14155550101"), "", 404, "bad_identifier"},
		{"PUT", number(w, "+14155550101") + "/activate", `{}`, 404, "bad_identifier"},
		{"PUT", number(w, "+14155550100") + "/reserve", `{}`, 400, "invalid_state_transition"},
		{"PUT", number(w, "+14155550100") + "/port", `{}`, 501, "not_implemented"},
		{"GET", w.own("/phone_numbers?prefix=415"), "", 501, "not_implemented"},
		{"GET", "/v2/phone_numbers?prefix=415&quantity=2", "", 501, "not_implemented"},
		{"GET", "/v2/phone_numbers/prefix?prefix=415", "", 501, "not_implemented"},
		{"PUT", "/v2/phone_numbers", `{}`, 405, "invalid_method"},
		{"GET", "/v2/phone_numbers/+14155550100", "", 404, "not_found"},
		{"GET", w.own("/phone_numbers/prefix"), "", 501, "not_implemented"},
		{"POST", w.own("/phone_numbers/check"), `{"numbers":[]}`, 501, "not_implemented"},
		{"PUT", w.own("/phone_numbers"), `{}`, 405, "invalid_method"},
	} {
		if a := w.call(c.verb, c.path, c.data); a.code != c.code || a.body["message"] != c.message {
			t.Errorf("%s %s %s: %d, want %d: %s", c.verb, c.path, c.data, a.code, c.code, a.text)
		}
	}
	if a := w.must("PUT", number(w, "+48221234567"), `{"create_with_state":"reserved"}`); a.str("state") != "reserved" {
		t.Errorf("%s", a.text)
	}
	if a := w.must("PUT", number(w, "+48 22 123 45 67")+"/activate", `{}`); a.str("state") != "in_service" {
		t.Errorf("%s", a.text)
	}
	if a := w.must("PATCH", number(w, "+48221234567"), `{"state":"reserved","cnam":{"inbound_lookup":true}}`); a.str("state") != "in_service" ||
		fmt.Sprint(a.at("features")) != "[inbound_cnam]" {
		t.Errorf("%s", a.text)
	}
	if a := w.must("POST", number(w, "+48221234567"), `{"name":"new"}`); a.at("cnam") != nil || a.str("state") != "in_service" || a.at("created") == nil {
		t.Errorf("%s", a.text)
	}
	list := w.must("GET", w.own("/phone_numbers?filter_name=new"), "")
	if numbers, _ := list.at("numbers").(map[string]any); len(numbers) != 1 || list.str("numbers", "+48221234567", "state") != "in_service" ||
		fmt.Sprint(list.at("cascade_quantity")) != "0" {
		t.Errorf("%s", list.text)
	}
	page := w.must("GET", w.own("/phone_numbers?page_size=1"), "")
	next, _ := page.body["next_start_key"].(string)
	if page.at("numbers", "+14155550100") == nil || next == "" {
		t.Errorf("%s", page.text)
	}
	if a := w.must("GET", w.own("/phone_numbers?page_size=1&start_key="+next), ""); a.at("numbers", "+48221234567") == nil || a.body["next_start_key"] != nil {
		t.Errorf("%s", a.text)
	}
	if a := w.must("GET", "/v2/accounts/"+w.master.AccountID+"/phone_numbers", ""); fmt.Sprint(a.at("cascade_quantity")) != "2" {
		t.Errorf("%s", a.text)
	}
}

// TestNumbersBelongToOneAccount: a number is one account's in the whole system, until it is released.
func TestNumbersBelongToOneAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rival := w.newAccount("Rival")
	rivalToken := w.keyToken(w.must("GET", "/v2/accounts/"+rival+"/api_key", "").str("api_key"))
	theirs := func(rest string) string { return "/v2/accounts/" + rival + rest }
	w.must("PUT", number(w, "+14155550100"), `{}`)
	if a := w.as(rivalToken, "PUT", theirs("/phone_numbers/%2B14155550100"), `{}`); a.code != 409 {
		t.Errorf("%d %s", a.code, a.text)
	}
	for verb, path := range map[string]string{"GET": "", "POST": "", "PATCH": "", "DELETE": "", "PUT": "/activate"} {
		if a := w.as(rivalToken, verb, theirs("/phone_numbers/%2B14155550100"+path), `{}`); a.code != 404 {
			t.Errorf("%s: %d %s", verb, a.code, a.text)
		}
	}
	if a := w.as(rivalToken, "GET", theirs("/phone_numbers/4155550100/identify"), ""); a.code != 404 {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.call("GET", theirs("/phone_numbers/4155550100/identify"), ""); a.str("account_id") != w.account || a.str("number") != "+14155550100" {
		t.Errorf("%d %s", a.code, a.text)
	}
	flow := w.as(rivalToken, "PUT", theirs("/callflows"), `{"numbers":["4155550100","+14155550999"],"flow":{}}`)
	if flow.code != 403 || flow.str("message") != "unauthorized to use +14155550100" {
		t.Errorf("%d %s", flow.code, flow.text)
	}
	w.must("DELETE", number(w, "+14155550100"), "")
	if a := w.call("GET", number(w, "+14155550100"), ""); a.code != 404 {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.as(rivalToken, "PUT", theirs("/phone_numbers/%2B14155550100"), `{}`); a.code != 201 {
		t.Errorf("%d %s", a.code, a.text)
	}
	// An account that goes releases its numbers.
	w.must("DELETE", theirs(""), "")
	w.must("PUT", number(w, "+14155550100"), `{}`)
}

func TestUsedByFollowsCallflows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	used := func(n string) string { return w.must("GET", number(w, n), "").str("used_by") }
	w.must("PUT", number(w, "+14155550100"), `{}`)
	flow := w.must("PUT", w.own("/callflows"), `{"numbers":["4155550100","4155550101"],"flow":{}}`).str("id")
	if a := w.must("PUT", number(w, "+14155550101"), `{}`); a.str("used_by") != "callflow" {
		t.Errorf("added after its callflow: %s", a.text)
	}
	if used("+14155550100") != "callflow" {
		t.Error("a new callflow")
	}
	w.must("PATCH", w.own("/callflows/"+flow), `{"numbers":["4155550101","1001"]}`)
	if used("+14155550100") != "" || used("+14155550101") != "callflow" {
		t.Error("an edited callflow")
	}
	if a := w.call("PATCH", w.own("/callflows/"+flow), `{"numbers":["4155550100"],"flow":{"module":"nosuch"}}`); a.code != 400 || used("+14155550100") != "" {
		t.Errorf("a refused edit: %d", a.code)
	}
	w.must("DELETE", w.own("/callflows/"+flow+"?dry_run=true"), "")
	if used("+14155550101") != "callflow" {
		t.Error("a dry run")
	}
	w.must("DELETE", w.own("/callflows/"+flow), "")
	if used("+14155550101") != "" {
		t.Error("a deleted callflow")
	}
	if a := w.must("POST", w.own("/phone_numbers/fix"), ""); a.at("numbers", "+14155550100") == nil {
		t.Errorf("%s", a.text)
	}
}

func TestNumbersInBulk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.call("PUT", w.own("/phone_numbers/collection"), `{"numbers":["4155550100","+14155550101","x",5],"note":"n","create_with_state":"reserved"}`)
	if a.code != 201 || a.str("success", "+14155550100", "note") != "n" || a.str("success", "+14155550101", "state") != "reserved" ||
		fmt.Sprint(a.at("error", "x", "code")) != "404" || a.at("success", "+14155550100", "numbers") != nil {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.call("PUT", w.own("/phone_numbers/collection"), `{"numbers":["4155550100"]}`); a.code != 400 || a.str("error", "4155550100", "error") != "number_exists" {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.call("PUT", w.own("/phone_numbers/collection/activate"), `{"numbers":["4155550100","4155550109"]}`); a.code != 200 ||
		a.str("success", "+14155550100", "state") != "in_service" || a.at("error", "4155550109") == nil {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.must("PATCH", w.own("/phone_numbers/collection"), `{"numbers":["+14155550100"],"note":"m"}`); a.str("success", "+14155550100", "note") != "m" {
		t.Errorf("%s", a.text)
	}
	if a := w.must("DELETE", w.own("/phone_numbers/collection"), `{"numbers":["+14155550100","+14155550101"]}`); len(a.at("success").(map[string]any)) != 2 {
		t.Errorf("%s", a.text)
	}
	if a := w.call("PUT", w.own("/phone_numbers/collection"), `{}`); a.code != 400 || a.at("numbers", "required") == nil {
		t.Errorf("%d %s", a.code, a.text)
	}
}

func TestClassifiers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *crossbar.Options) {
		o.Classifiers = []crossbar.Classifier{{Name: "did_us", Numbers: regexp.MustCompile(`^\+1\d{10}$`)}, {Name: "unknown", Numbers: regexp.MustCompile(``)}}
	})
	if a := w.must("GET", w.own("/phone_numbers/classifiers/4158867900"), ""); a.str("name") != "did_us" || a.str("e164") != "+14158867900" ||
		a.str("friendly_name") != "US DID" || a.str("number") != "4158867900" {
		t.Errorf("%s", a.text)
	}
	if a := w.must("GET", w.own("/phone_numbers/classifiers"), ""); a.str("did_us", "regex") == "" || a.at("unknown") == nil {
		t.Errorf("%s", a.text)
	}
}
