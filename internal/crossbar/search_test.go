package crossbar_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"bugle/internal/crossbar"
)

func found(a answer) string {
	var out []string
	for _, row := range a.rows() {
		name, _ := row["name"].(string)
		if name == "" {
			name, _ = row["first_name"].(string)
		}
		out = append(out, name)
	}
	return strings.Join(out, " ")
}

func TestSearch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must("PUT", w.own("/users"), `{"first_name":"Änne","last_name":"Zander","username":"azander","password":"x","presence_id":"1010"}`)
	w.must("PUT", w.own("/users"), `{"first_name":"Bob","last_name":"Annan","caller_id":{"internal":{"number":"2020"}}}`)
	w.must("PUT", w.own("/users"), `{"first_name":"Cay","email":"annex@example.com"}`)
	w.must("PUT", w.own("/callflows"), `{"name":"Main","numbers":["2125550100","100"],"flow":{}}`)
	w.must("PUT", w.own("/vmboxes"), `{"name":"Box","mailbox":"1000"}`)
	child := w.must("PUT", "/v2/accounts/"+w.account, `{"name":"Acme West","realm":"west.example.com"}`).str("id")
	w.must("PUT", "/v2/accounts/"+child+"/users", `{"first_name":"Anne of the child"}`)
	for query, want := range map[string]string{
		"t=user&q=name&v=ann":                "Bob Cay Änne",
		"t=users&q=name&v=ANNE":              "Cay Änne",
		"t=user&q=name&v=z":                  "Änne",
		"t=user&q=name&v=azan":               "Änne",
		"t=user&q=number&v=10":               "Änne",
		"t=user&q=name_and_number&v=20":      "Bob",
		"t=user&q=name&v=nobody":             "",
		"t=callflow&q=number&v=212":          "",
		"t=callflow&q=number&v=1212":         "Main",
		"t=callflow&q=number&v=%2B1212":      "Main",
		"t=callflow&q=number&v=2125550100":   "Main",
		"t=callflow&q=name_and_number&v=mai": "Main",
		"t=vmbox&q=number&v=1":               "Box",
		"t=account&q=name&v=acme":            "Acme West",
		"t=account&q=realm&v=west":           "Acme West",
		"t=account&q=id&v=" + child[:8]:      "Acme West",
	} {
		a := w.must("GET", w.own("/search?"+query), "")
		if got := strings.Fields(found(a)); len(got) != len(strings.Fields(want)) || !sameWords(found(a), want) {
			t.Errorf("%s: %q, want %q", query, found(a), want)
		}
	}
	if a := w.must("GET", "/v2/search?t=account&q=name&v=acme", ""); !sameWords(found(a), "Acme Acme West") {
		t.Errorf("%s", a.text)
	}
	a := w.must("GET", w.own("/search/multi?t=user&by_name=bob&by_number=1010&x=y"), "")
	if name, _ := a.at("name").([]any); len(name) != 1 {
		t.Errorf("%s", a.text)
	}
	if number, _ := a.at("number").([]any); len(number) != 1 {
		t.Errorf("%s", a.text)
	}
	for query, field := range map[string]string{"": "t", "?t=user": "q", "?t=user&q=name": "v", "?t=user&q=realm&v=x": "q",
		"?t=secret&q=name&v=x": "t", "/multi?by_name=x": "t", "/multi?t=user": "multi", "/multi?t=user&by_password=x": "q"} {
		if a := w.call("GET", w.own("/search"+query), ""); a.code != 400 || a.at(field) == nil {
			t.Errorf("%s: %d %s", query, a.code, a.text)
		}
	}
	if a := w.call("GET", "/v2/search?t=user&q=name&v=x", ""); a.code != 400 || a.at("t", "enum") == nil {
		t.Errorf("%d %s", a.code, a.text)
	}
}

func sameWords(a, b string) bool {
	return fmt.Sprint(sortedWords(a)) == fmt.Sprint(sortedWords(b))
}

func sortedWords(s string) map[string]int {
	words := map[string]int{}
	for _, word := range strings.Fields(s) {
		words[word]++
	}
	return words
}

func TestSearchPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 7 {
		w.must("PUT", w.own("/menus"), fmt.Sprintf(`{"name":"M%d"}`, i))
		w.must("PUT", w.own("/menus"), fmt.Sprintf(`{"name":"X%d"}`, i))
	}
	got, key := "", ""
	for range 10 {
		a := w.must("GET", w.own("/search?t=menu&q=name&v=m&page_size=2"+key), "")
		got += found(a) + " "
		next, _ := a.body["next_start_key"].(string)
		if next == "" {
			break
		}
		key = "&start_key=" + next
	}
	if got != "M0 M1 M2 M3 M4 M5 M6 " {
		t.Errorf("%q", got)
	}
}

func TestEventLists(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *crossbar.Options) { o.Sockets = listeners{} })
	a := w.raw("GET", "/v2/webhooks", "")
	if a.code != 200 || len(a.rows()) != 11 || a.rows()[8]["id"] != "object" || a.rows()[8]["modifiers"] == nil {
		t.Errorf("%d %s", a.code, a.text)
	}
	var hooks []string
	for _, row := range a.rows() {
		hooks = append(hooks, row["id"].(string))
	}
	if schema := w.raw("GET", "/v2/schemas/webhooks", ""); !slices.Equal(hooks, stringsOf(schema.at("properties", "hook", "enum"))) {
		t.Errorf("the events are %v, the schema has %v", hooks, schema.at("properties", "hook"))
	}
	if a := w.raw("GET", "/v2/websockets", ""); a.code != 200 || len(stringsOf(a.at("call"))) == 0 {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.raw("PUT", "/v2/webhooks", `{"data":{}}`); a.code != 405 {
		t.Errorf("%d", a.code)
	}
	sameJSON(t, w.must("GET", w.own("/parked_calls"), "").data(), `{"slots":{}}`)
	sameJSON(t, w.must("GET", w.own("/websockets"), "").data(), `[]`)
	id := w.must("PUT", w.own("/clicktocall"), bodyFor("clicktocall")).str("id")
	for _, path := range []string{"/clicktocall/" + id + "/nowhere", "/queues", "/faxes"} {
		if a := w.call("GET", w.own(path), ""); a.code != 404 || a.body["message"] != "not_found" {
			t.Errorf("%s: %d %s", path, a.code, a.text)
		}
	}
}
