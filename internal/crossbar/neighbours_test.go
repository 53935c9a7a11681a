package crossbar_test

import (
	"context"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bugle/internal/crossbar"
	"bugle/internal/egress"
)

// sameJSON compares a value of an answer with JSON text.
func sameJSON(t *testing.T, got any, want string) {
	t.Helper()
	var w any
	decoder := json.NewDecoder(strings.NewReader(want))
	decoder.UseNumber()
	if err := decoder.Decode(&w); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(w, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestNeighbourDocuments: what is made with the least keys has the defaults and is found, edited and deleted; the row of
// the list has what clients read there; keys that no schema names stay.
func TestNeighbourDocuments(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const u = nowhere
	missing := func(path string) string {
		return `"_read_only":{"references":[{"id":"` + u + `","path":"` + path + `"}]}`
	}
	for _, c := range []struct{ noun, data, doc, row string }{
		{"groups", `{"name":"G"}`, `{"name":"G","endpoints":{}}`, `{"name":"G","endpoints":0,"flags":[]}`},
		{"groups", `{"name":"H","endpoints":{"` + u + `":{"type":"user","weight":"3"}},"x":1.0}`,
			`{"name":"H","endpoints":{"` + u + `":{"type":"user","weight":3}},"x":1.0,` + missing("endpoints."+u) + `}`, `{"name":"H","endpoints":1,"flags":[]}`},
		{"temporal_rules", `{"name":"R","cycle":"weekly","wdays":["wensday"]}`,
			`{"name":"R","cycle":"weekly","wdays":["wensday"],"interval":1,"start_date":62586115200}`,
			`{"name":"R","cycle":"weekly","flags":[]}`},
		{"temporal_rules_sets", `{"name":"S","temporal_rules":["` + u + `"]}`,
			`{"name":"S","temporal_rules":["` + u + `"],` + missing("temporal_rules.0") + `}`,
			`{"name":"S","temporal_rules":["` + u + `"],"flags":[]}`},
		{"conferences", `{"name":"C","conference_numbers":["800"],"member":{}}`,
			`{"name":"C","conference_numbers":["800"],"play_name":false,
			  "member":{"join_deaf":false,"join_muted":true,"numbers":[],"pins":[]},
			  "_read_only":{"is_locked":false,"members":0,"moderators":0,"duration":0,"participants":[]}}`,
			`{"name":"C","conference_numbers":["800"],"flags":[]}`},
		{"blacklists", `{"name":"B","numbers":{"2125550100":{"name":"x"},"+12125550100":{"since":1},"anonymous":{}}}`,
			`{"name":"B","numbers":{"+12125550100":{"name":"x","since":1},"anonymous":{}}}`, `{"name":"B","flags":[]}`},
		{"lists", `{"name":"L","description":"d","org":"o"}`, `{"name":"L","description":"d","org":"o"}`,
			`{"name":"L","description":"d","org":"o"}`},
		{"vmboxes", `{"name":"V","mailbox":"3000","owner_id":"` + u + `"}`,
			`{"name":"V","mailbox":"3000","owner_id":"` + u + `","announcement_only":false,"check_if_owner":true,
			  "delete_after_notify":false,"include_message_on_notify":true,"include_transcription_on_notify":true,"is_setup":false,
			  "is_voicemail_ff_rw_enabled":false,"media_extension":"mp3","not_configurable":false,"notify_email_addresses":[],
			  "oldest_message_first":false,"require_pin":false,"save_after_notify":false,"seek_duration_ms":10000,
			  "skip_envelope":false,"skip_greeting":false,"skip_instructions":false,"transcribe":false,` + missing("owner_id") + `}`,
			`{"name":"V","mailbox":"3000","owner_id":"` + u + `","flags":[],"messages":0,"new":0,"old":0,"saved":0}`},
		{"clicktocall", `{"name":"K","extension":"1000"}`,
			`{"name":"K","extension":"1000","auth_required":true,"custom_application_vars":{}}`, `{"name":"K","extension":"1000"}`},
		{"resources", `{"name":"T","gateways":[{"server":"carrier.example.com"}],"classifiers":{"did_us":{}}}`,
			`{"name":"T","emergency":false,"enabled":true,"flags":[],"from_account_realm":false,"grace_period":5,"rules":[],
			  "rules_test":[],"weight_cost":50,"classifiers":{"did_us":{"emergency":false,"enabled":true,"weight_cost":50}},
			  "gateways":[{"server":"carrier.example.com","channel_selection":"ascending","enabled":true,"endpoint_type":"sip",
			    "force_port":false,"invite_format":"route","port":5060,"skype_rr":true}]}`,
			`{"name":"T","emergency":false,"enabled":true,"weight_cost":50,"flags":[]}`},
		{"webhooks", `{"name":"W","hook":"channel_create","uri":"https://hooks.example.com/a?b=c"}`,
			`{"name":"W","hook":"channel_create","uri":"https://hooks.example.com/a?b=c","enabled":true,"format":"form-data",
			  "http_verb":"post","include_internal_legs":true,"retries":2}`,
			`{"name":"W","hook":"channel_create","uri":"https://hooks.example.com/a?b=c","enabled":true,"format":"form-data",
			  "http_verb":"post","include_internal_legs":true,"retries":2}`},
	} {
		a := w.must("PUT", w.own("/"+c.noun), c.data)
		id := a.str("id")
		if want := w.own("/" + c.noun + "/" + id); a.code != 201 || a.header.Get("Location") != want {
			t.Errorf("%s: %d %s", c.noun, a.code, a.header.Get("Location"))
		}
		got := w.must("GET", w.own("/"+c.noun+"/"+id), "").data().(map[string]any)
		delete(got, "id")
		sameJSON(t, got, c.doc)
		found := false
		for _, row := range w.must("GET", w.own("/"+c.noun), "").rows() {
			if row["id"] == id {
				found = true
				delete(row, "id")
				sameJSON(t, row, c.row)
			}
		}
		if !found {
			t.Errorf("%s: not in the list", c.noun)
		}
		if a := w.must("PATCH", w.own("/"+c.noun+"/"+id), `{"name":"New","ui_metadata":{"origin":"x"}}`); a.str("name") != "New" ||
			a.str("ui_metadata", "origin") != "x" {
			t.Errorf("%s: %s", c.noun, a.text)
		}
		if a := w.must("POST", w.own("/"+c.noun+"/"+id), c.data); a.at("ui_metadata") != nil {
			t.Errorf("%s: %s", c.noun, a.text)
		}
		if a := w.must("DELETE", w.own("/"+c.noun+"/"+id), ""); a.at("_read_only", "deleted") != true {
			t.Errorf("%s: %s", c.noun, a.text)
		}
		if a := w.call("GET", w.own("/"+c.noun+"/"+id), ""); a.code != 404 || a.body["message"] != "bad_identifier" {
			t.Errorf("%s: %d", c.noun, a.code)
		}
	}
}

// TestGroupsOfAUser: those that name it, and no others.
func TestGroupsOfAUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	me := w.must("PUT", w.own("/users"), `{"first_name":"Me"}`).str("id")
	other := w.must("PUT", w.own("/users"), `{"first_name":"Other"}`).str("id")
	member := func(id string) string { return `{"name":"G","endpoints":{"` + id + `":{"type":"user"}}}` }
	mine := w.must("PUT", w.own("/groups"), member(me)).str("id")
	w.must("PUT", w.own("/groups"), member(other))
	w.must("PUT", w.own("/groups"), `{"name":"Empty"}`)
	path := w.own("/users/" + me + "/groups")
	if a := w.must("GET", path, ""); len(a.rows()) != 1 || a.rows()[0]["id"] != mine {
		t.Errorf("%s", a.text)
	}
	w.must("PATCH", w.own("/groups/"+mine), `{"endpoints":{"`+me+`":null}}`)
	if a := w.must("GET", path, ""); len(a.rows()) != 0 {
		t.Errorf("%s", a.text)
	}
	if a := w.call("GET", w.own("/users/"+nowhere+"/groups"), ""); a.code != 404 {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.call("PUT", path, member(me)); a.code != 405 {
		t.Errorf("%d %s", a.code, a.text)
	}
}

// TestAllThatIsWrongWithOneKeyIsTold: KAZOO keeps one error of a field.
func TestAllThatIsWrongWithOneKeyIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.call("PUT", "/v2/accounts", `{"name":"X","realm":"a b"}`)
	if a.code != 400 || a.at("realm", "minLength", "message") == nil || a.at("realm", "pattern", "message") == nil {
		t.Errorf("%d %s", a.code, a.text)
	}
	a = w.call("PUT", w.own("/callflows"), `{"numbers":["`+strings.Repeat("1", 40)+`"],"patterns":["(","("],"flow":{"module":"x"}}`)
	for _, field := range []string{"numbers.0", "patterns", "flow.module"} {
		if a.code != 400 || a.at(field) == nil {
			t.Errorf("%s: %d %s", field, a.code, a.text)
		}
	}
}

// TestConferencesCannotBeHeldYet: nobody is there, and what would act on those who are is not offered.
func TestConferencesCannotBeHeldYet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := w.own("/conferences/" + w.must("PUT", w.own("/conferences"), `{"name":"C"}`).str("id"))
	sameJSON(t, w.must("GET", path, "").at("_read_only"), `{"is_locked":false,"members":0,"moderators":0,"duration":0,"participants":[]}`)
	for at, code := range map[string]int{"": 405, "/participants": 404, "/participants/1": 404} {
		for _, action := range []string{"lock", "dial", "play", "record", "mute"} {
			if a := w.call("PUT", path+at, `{"action":"`+action+`","data":{}}`); a.code != code || a.body["status"] != "error" {
				t.Errorf("%s %s: %d %s", at, action, a.code, a.text)
			}
		}
	}
}

func TestNeighboursRefuse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must("PUT", w.own("/vmboxes"), `{"name":"V","mailbox":"3000"}`)
	w.must("PUT", w.own("/conferences"), `{"conference_numbers":["800"],"moderator":{"numbers":["801"]}}`)
	list := w.must("PUT", w.own("/lists"), `{"name":"L"}`).str("id")
	before := w.dump()
	trunk := func(gateway string) string {
		return `{"name":"T","gateways":[{"server":"c.example.com",` + gateway + `}]}`
	}
	for _, c := range []struct{ noun, data, path, code, message string }{
		{"groups", `{}`, "name", "required", "Field is required but missing"},
		{"groups", `{"name":"G","endpoints":{"00000000000000000000000000000001":{}}}`, "endpoints.00000000000000000000000000000001.type", "required", ""},
		{"groups", `{"name":"G","endpoints":{"00000000000000000000000000000001":{"type":"person"}}}`, "endpoints.00000000000000000000000000000001.type", "enum", ""},
		{"groups", `{"name":"G","endpoints":{"ann":{"type":"user"}}}`, "endpoints.ann", "invalid", ""},
		{"groups", `{"name":"G","id":"00000000000000000000000000000007","endpoints":{"00000000000000000000000000000007":{"type":"group"}}}`,
			"endpoints.00000000000000000000000000000007", "invalid", "A group cannot be in itself"},
		{"temporal_rules", `{"name":"R"}`, "cycle", "required", ""},
		{"temporal_rules", `{"name":"R","cycle":"hourly"}`, "cycle", "enum", ""},
		{"temporal_rules", `{"name":"R","cycle":"monthly","days":[0]}`, "days.0", "minimum", ""},
		{"temporal_rules", `{"name":"R","cycle":"daily","time_window_stop":86401}`, "time_window_stop", "maximum", ""},
		{"temporal_rules_sets", `{"name":"S","temporal_rules":[]}`, "temporal_rules", "minItems", ""},
		{"conferences", `{"conference_numbers":["800"]}`, "conference_numbers", "unique", "Numbers already in use"},
		{"conferences", `{"member":{"numbers":["801"]}}`, "conference_numbers", "unique", "Numbers already in use"},
		{"conferences", `{"conference_numbers":["8x"]}`, "conference_numbers.0", "pattern", "Failed to match pattern '^[0-9]+$'"},
		{"conferences", `{"conference_numbers":["5","5"]}`, "conference_numbers", "uniqueItems", ""},
		{"conferences", `{"owner_id":"x"}`, "owner_id", "minLength", ""},
		{"blacklists", `{"name":"B","numbers":{"":{}}}`, "numbers.", "invalid", ""},
		{"blacklists", `{"name":"B","numbers":["+1"]}`, "numbers", "type", ""},
		{"lists", `{"name":""}`, "name", "minLength", ""},
		{"lists/" + list + "/entries", `{"pattern":"("}`, "pattern", "pattern", ""},
		{"lists/" + list + "/entries", `{"displayname":""}`, "displayname", "minLength", ""},
		{"vmboxes", `{"name":"V"}`, "mailbox", "required", ""},
		{"vmboxes", `{"name":"V","mailbox":"3000"}`, "mailbox", "unique", "Invalid mailbox number or already exists"},
		{"vmboxes", `{"name":"V","mailbox":"1","pin":"123"}`, "pin", "minLength", ""},
		{"vmboxes", `{"name":"V","mailbox":"1","pin":"secret"}`, "pin", "pattern", ""},
		{"vmboxes", `{"name":"V","mailbox":"1","notify_email_addresses":["x"]}`, "notify_email_addresses.0", "wrong_format", ""},
		{"clicktocall", `{"name":"K"}`, "extension", "required", ""},
		{"clicktocall", `{"name":"K","extension":"1","whitelist":["+1"]}`, "whitelist.0", "pattern", ""},
		{"clicktocall", `{"name":"K","extension":"1","dial_first":"me"}`, "dial_first", "enum", ""},
		{"clicktocall", `{"name":"K","extension":"1","custom_application_vars":{"a b":"c"}}`, "custom_application_vars.a b", "additionalProperties", ""},
		{"resources", `{"name":"T"}`, "gateways", "required", ""},
		{"resources", `{"name":"T","gateways":[{}]}`, "gateways.0.server", "required", ""},
		{"resources", trunk(`"port":70000`), "gateways.0.port", "maximum", ""},
		{"resources", trunk(`"codecs":["MP3"]`), "gateways.0.codecs.0", "enum", ""},
		{"resources", trunk(`"route":"sip:x@[::1]:5060;transport=tcp"`), "gateways.0.route", "error", ""},
		{"resources", `{"name":"T","gateways":[],"rules":["^(1"]}`, "rules.0", "pattern", ""},
		{"resources", `{"name":"T","gateways":[],"classifiers":{"did.us":{"regex":"["}}}`, "classifiers.did%2Eus.regex", "pattern", ""},
		{"resources", `{"name":"T","gateways":[{"server":"10.0.0.1"}]}`, "gateways.0.server", "error", ""},
		{"resources", `{"name":"T","gateways":[{"server":"c.example.com"},{"server":"169.254.169.254:80"}]}`, "gateways.1.server", "error", ""},
		{"devices", `{"name":"D","sip":{"route":"sip:x@192.168.1.1"}}`, "sip.route", "error", ""},
		{"webhooks", `{"name":"W","hook":"nothing","uri":"https://a.example.com"}`, "hook", "enum", ""},
		{"webhooks", `{"name":"W","hook":"all","uri":"ftp://a.example.com"}`, "uri", "error", ""},
		{"webhooks", `{"name":"W","hook":"all","uri":"/x"}`, "uri", "error", ""},
		{"webhooks", `{"name":"W","hook":"all","uri":"http://127.0.0.1:8000/"}`, "uri", "error", ""},
		{"webhooks", `{"name":"W","hook":"all","uri":"http://[::ffff:169.254.169.254]/"}`, "uri", "error", ""},
		{"webhooks", `{"name":"W","hook":"all","uri":"http://LOCALHOST./"}`, "uri", "error", ""},
		{"webhooks", `{"name":"W","hook":"all","uri":"http://x@10.1.1.1/"}`, "uri", "error", ""},
		{"webhooks", `{"name":"W","hook":"all","uri":"https://a.example.com","retries":5}`, "retries", "maximum", ""},
	} {
		a := w.call("PUT", w.own("/"+c.noun), c.data)
		detail, _ := a.at(c.path, c.code).(map[string]any)
		if a.code != 400 || detail == nil || c.message != "" && detail["message"] != c.message {
			t.Errorf("%s %s: %d %s", c.noun, c.data, a.code, a.text)
		}
	}
	if after := w.dump(); after != before {
		t.Error("something was written")
	}
	// What others of another account have is free, and so is what was deleted.
	rival := "/v2/accounts/" + w.newAccount("Rival")
	w.must("PUT", rival+"/vmboxes", `{"name":"V","mailbox":"3000"}`)
	w.must("PUT", rival+"/conferences", `{"conference_numbers":["800","801"]}`)
	// One conference may use a number as it likes.
	w.must("PUT", w.own("/conferences"), `{"conference_numbers":["900"],"member":{"numbers":["900"]}}`)
}

func TestAddressesInsideTheOperatorsNetworksPass(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *crossbar.Options) {
		o.Egress = egress.New([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	})
	w.must("PUT", w.own("/webhooks"), `{"name":"W","hook":"all","uri":"http://10.1.1.1:8080/"}`)
	w.must("PUT", w.own("/resources"), `{"name":"T","gateways":[{"server":"10.0.0.1","route":"sip:x@10.9.9.9:5080"}]}`)
	if a := w.call("PUT", w.own("/webhooks"), `{"name":"W","hook":"all","uri":"http://192.168.1.1/"}`); a.code != 400 {
		t.Errorf("%d", a.code)
	}
}

func TestListEntries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.must("PUT", w.own("/lists"), `{"name":"One"}`).str("id")
	two := w.must("PUT", w.own("/lists"), `{"name":"Two"}`).str("id")
	a := w.must("PUT", w.own("/lists/"+one+"/entries"), `{"displayname":"Éva","number":"+1","list_id":"`+two+`"}`)
	id := a.str("id")
	if a.str("list_id") != one || a.header.Get("Location") != w.own("/lists/"+one+"/entries/"+id) {
		t.Errorf("%s %s", a.header.Get("Location"), a.text)
	}
	sameJSON(t, a.at("profile"), `{}`)
	w.must("PUT", w.own("/lists/"+one+"/entries"), `{"displayname":"Zoe"}`)
	w.must("PUT", w.own("/lists/"+one+"/entries"), `{"displayname":"Adam"}`)
	other := w.must("PUT", w.own("/lists/"+two+"/entries"), `{"number":"5"}`).str("id")
	names := ""
	for _, row := range w.must("GET", w.own("/lists/"+one+"/entries"), "").rows() {
		names += row["displayname"].(string) + " "
	}
	if names != "Adam Éva Zoe " {
		t.Errorf("%s", names)
	}
	at := w.own("/lists/" + one + "/entries/" + id)
	if a := w.must("PATCH", at, `{"list_id":"`+two+`","firstname":"E"}`); a.str("list_id") != one || a.str("firstname") != "E" {
		t.Errorf("%s", a.text)
	}
	w.must("POST", at, `{"number":"2"}`)
	for _, c := range []struct {
		verb, path string
		code       int
	}{
		{"GET", w.own("/lists/" + two + "/entries/" + id), 404},
		{"PATCH", w.own("/lists/" + two + "/entries/" + id), 404},
		{"DELETE", w.own("/lists/" + two + "/entries/" + id), 404},
		{"GET", w.own("/entries/" + id), 404},
		{"GET", w.own("/entries"), 404},
		{"GET", w.own("/lists/" + id + "/entries"), 404},
		{"PUT", w.own("/lists/" + id + "/entries"), 404},
		{"GET", w.own("/menus/" + one + "/entries"), 404},
		{"GET", at + "/photo", 404},
		{"GET", at + "/vcard", 200},
		{"GET", w.own("/lists/" + two + "/entries/" + id + "/vcard"), 404},
		{"DELETE", w.own("/lists/" + two + "/entries/" + id + "/photo"), 404},
		{"PUT", at, 405},
		{"GET", at, 200},
		{"DELETE", at, 200},
		{"GET", at, 404},
		{"DELETE", w.own("/lists/" + one + "/entries"), 200},
	} {
		data := ""
		if c.verb != "GET" && c.verb != "DELETE" {
			data = `{"number":"1"}`
		}
		if a := w.call(c.verb, c.path, data); a.code != c.code {
			t.Errorf("%s %s: %d %s", c.verb, c.path, a.code, a.text)
		}
	}
	if rows := w.must("GET", w.own("/lists/"+one+"/entries"), "").rows(); len(rows) != 0 {
		t.Errorf("%v", rows)
	}
	w.must("DELETE", w.own("/lists/"+two), "")
	if _, err := w.store.Get(context.Background(), w.account, crossbar.TypeListEntry, other); err == nil {
		t.Error("the entries outlive their list")
	}
}

// TestSecretsInArrays: a gateway's password and a conference's PINs are sealed wherever they stand, and stay right when
// the list is rearranged.
func TestSecretsInArrays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.must("PUT", w.own("/resources"), `{"name":"T","gateways":[{"server":"a.example.com","password":"alpha-secret"},
		{"server":"b.example.com"},{"server":"c.example.com","password":"gamma-secret"}]}`).str("id")
	body := func() string {
		d, err := w.store.Get(context.Background(), w.account, crossbar.TypeResource, id)
		if err != nil {
			t.Fatal(err)
		}
		return string(d.Body)
	}
	if s := body(); strings.Contains(s, "-secret") {
		t.Fatal("stored in plain:", s)
	}
	passwords := func(a answer) string {
		out := ""
		for _, g := range a.at("gateways").([]any) {
			p, _ := g.(map[string]any)["password"].(string)
			out += p + " "
		}
		return out
	}
	if got := passwords(w.must("GET", w.own("/resources/"+id), "")); got != "alpha-secret  gamma-secret " {
		t.Error(got)
	}
	sealed := body()
	w.must("PATCH", w.own("/resources/"+id), `{"weight_cost":7}`)
	if strings.Replace(body(), `"weight_cost":7`, `"weight_cost":50`, 1) != sealed {
		t.Error("the seal of unchanged passwords changed")
	}
	w.must("PATCH", w.own("/resources/"+id), `{"gateways":[{"server":"c.example.com","password":"gamma-secret"},
		{"server":"a.example.com","password":"alpha-secret"}]}`)
	if got := passwords(w.must("GET", w.own("/resources/"+id), "")); got != "gamma-secret alpha-secret " || strings.Contains(body(), "-secret") {
		t.Error(got)
	}
	if rows := w.must("GET", w.own("/resources?filter_gateways.0.password=gamma-secret"), "").rows(); len(rows) != 0 {
		t.Error("a password can be guessed by a filter")
	}
	history := string(w.must("GET", w.own("/resources/"+id+"/history"), "").text)
	d, err := w.store.Get(context.Background(), w.account, crossbar.TypeResource, id)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(history, sealedPart(string(d.Body))) || sealedPart(string(d.Body)) == "" || !strings.Contains(history, "weight_cost") {
		t.Errorf("a history shows a sealed password: %s", history)
	}
	room := w.must("PUT", w.own("/conferences"), `{"bridge_password":"bridge-secret","member":{"pins":["90210","123456"]}}`)
	if strings.Join(stringsOf(room.at("member", "pins")), " ") != "90210 123456" {
		t.Errorf("%s", room.text)
	}
	d, err = w.store.Get(context.Background(), w.account, crossbar.TypeConference, room.str("id"))
	if err != nil || strings.Contains(string(d.Body), "90210") || strings.Contains(string(d.Body), "bridge-secret") {
		t.Errorf("%v %s", err, d.Body)
	}
	box := w.must("PUT", w.own("/vmboxes"), `{"name":"V","mailbox":"1","pin":"907070"}`)
	d, err = w.store.Get(context.Background(), w.account, crossbar.TypeMailbox, box.str("id"))
	if err != nil || strings.Contains(string(d.Body), "907070") || box.str("pin") != "907070" {
		t.Errorf("%v %s", err, d.Body)
	}
}

func stringsOf(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, e := range list {
		s, _ := e.(string)
		out = append(out, s)
	}
	return out
}

// TestDeletionTakesMembersOut of groups and rule sets.
func TestDeletionTakesMembersOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	directory := w.must("PUT", w.own("/directories"), `{"name":"D"}`).str("id")
	other := w.must("PUT", w.own("/directories"), `{"name":"E"}`).str("id")
	user := w.must("PUT", w.own("/users"), `{"first_name":"A","directories":{"`+directory+`":"c","`+other+`":"c"}}`).str("id")
	device := w.must("PUT", w.own("/devices"), `{"name":"Desk","sip":{"password":"keep-me-safe"}}`).str("id")
	group := w.must("PUT", w.own("/groups"), `{"name":"G","endpoints":{"`+user+`":{"type":"user"},"`+device+`":{"type":"device"}}}`).str("id")
	rule := w.must("PUT", w.own("/temporal_rules"), `{"name":"R","cycle":"daily"}`).str("id")
	set := w.must("PUT", w.own("/temporal_rules_sets"), `{"name":"S","temporal_rules":["`+rule+`","`+nowhere+`"]}`).str("id")
	w.must("DELETE", w.own("/directories/"+directory), "")
	sameJSON(t, w.must("GET", w.own("/users/"+user), "").at("directories"), `{"`+other+`":"c"}`)
	if a := w.must("GET", w.own("/directories/"+other), ""); len(a.at("users").([]any)) != 1 {
		t.Errorf("%s", a.text)
	}
	w.must("DELETE", w.own("/users/"+user), "")
	sameJSON(t, w.must("GET", w.own("/groups/"+group), "").at("endpoints"), `{"`+device+`":{"type":"device"}}`)
	w.must("DELETE", w.own("/devices/"+device), "")
	sameJSON(t, w.must("GET", w.own("/groups/"+group), "").at("endpoints"), `{}`)
	w.must("DELETE", w.own("/temporal_rules/"+rule), "")
	sameJSON(t, w.must("GET", w.own("/temporal_rules_sets/"+set), "").at("temporal_rules"), `["`+nowhere+`"]`)
}

func TestGlobalResources(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.must("PUT", "/v2/resources", `{"name":"T","gateways":[{"server":"c.example.com","password":"pw"}]}`)
	id := a.str("id")
	if a.code != 201 || a.header.Get("Location") != "/v2/resources/"+id {
		t.Errorf("%d %s", a.code, a.header.Get("Location"))
	}
	w.must("PATCH", "/v2/resources/"+id, `{"weight_cost":1}`)
	if rows := w.must("GET", "/v2/resources", "").rows(); len(rows) != 1 {
		t.Errorf("%v", rows)
	}
	for _, path := range []string{w.own("/resources"), "/v2/accounts/" + w.master.AccountID + "/resources"} {
		if rows := w.must("GET", path, "").rows(); len(rows) != 0 {
			t.Errorf("%s: %v", path, rows)
		}
		if a := w.call("GET", path+"/"+id, ""); a.code != 404 {
			t.Errorf("%s: %d", path, a.code)
		}
	}
	own := w.keyToken(w.must("GET", w.own("/api_key"), "").str("api_key"))
	for verb, path := range map[string]string{"GET": "/v2/resources", "PUT": "/v2/resources", "PATCH": "/v2/resources/" + id,
		"DELETE": "/v2/resources/" + id} {
		if a := w.as(own, verb, path, bodyFor("resources")); a.code != 403 {
			t.Errorf("%s %s: %d", verb, path, a.code)
		}
		if a := w.raw(verb, path, ""); a.code != 401 {
			t.Errorf("%s %s without a token: %d", verb, path, a.code)
		}
	}
	w.must("DELETE", "/v2/resources/"+id, "")
}
