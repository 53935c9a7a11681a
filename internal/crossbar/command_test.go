package crossbar_test

import (
	"strings"
	"testing"

	"bugle/internal/crossbar"
)

func TestChannelCommands(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.calls.list[w.account] = []crossbar.Channel{{ID: "a", OtherLeg: "b"}, {ID: "b", OtherLeg: "a"}, {ID: "alone"}, {ID: "moving"}}
	flow := w.must("PUT", w.own("/callflows"), `{"numbers":["1"],"flow":{}}`).str("id")
	user := w.must("PUT", w.own("/users"), `{"first_name":"Ann"}`).str("id")
	device := w.must("PUT", w.own("/devices"), `{"name":"Desk"}`).str("id")
	for _, c := range []struct {
		verb, id, data string
		code           int
		want           string // what was done, or part of the answer
	}{
		{"POST", "a", `{"action":"hangup"}`, 202, "a"},
		{"POST", "a", `{"action":"transfer","target":"1002"}`, 202, "a to 1002 user  device "},
		{"POST", "a", `{"action":"transfer","target":"1002","leg":"bleg","transfer-type":"blind"}`, 202, "b to 1002 user  device "},
		{"POST", "a", `{"action":"callflow","id":"` + flow + `"}`, 202, "a to " + flow + " user  device "},
		{"PUT", "b", `{"action":"metaflow","data":{"module":"transfer","data":{"target":"7"}}}`, 202, "b to 7 user  device "},
		{"PUT", "b", `{"action":"metaflow","data":{"module":"hangup"}}`, 202, "b"},
		{"POST", "a", `{"action":"break"}`, 202, "a cut"},
		{"POST", "alone", `{"action":"break"}`, 400, "nothing is being played"},
		{"POST", "alone", `{"action":"intercept","target_id":"` + user + `","target_type":"user"}`, 202, "alone to  user " + user + " device "},
		{"PUT", "a", `{"action":"metaflow","data":{"module":"intercept","data":{"target_id":"` + device + `","target_type":"device"}}}`, 202,
			"a to  user  device " + device},
		{"POST", "a", `{"action":"intercept","target_id":"` + device + `","target_type":"user"}`, 400, `"target_id":{"not_found"`},
		{"POST", "a", `{"action":"intercept","target_type":"user"}`, 400, `"target_id":{"not_found"`},
		{"POST", "a", `{"action":"intercept","target_id":"` + user + `"}`, 400, `"target_type":{"enum"`},
		{"POST", "a", `{"action":"hold"}`, 400, "action must be hangup, break, transfer, callflow or intercept"},
		{"POST", "a", `{}`, 400, "action must be"},
		{"POST", "a", `{"action":["hangup"]}`, 400, "action must be"},
		{"POST", "a", `{"action":"transfer"}`, 400, `"target":{"required"`},
		{"POST", "a", `{"action":"transfer","target":"1","transfer-type":"attended"}`, 400, `"transfer-type":{"enum"`},
		{"POST", "a", `{"action":"transfer","target":"1","leg":"both"}`, 400, `"leg":{"enum"`},
		{"POST", "a", `{"action":"callflow","id":"` + nowhere + `"}`, 400, `"id":{"not_found"`},
		{"POST", "moving", `{"action":"transfer","target":"1"}`, 400, "being moved already"},
		{"POST", "alone", `{"action":"transfer","target":"1","leg":"bleg"}`, 400, "talks to nobody"},
		{"POST", "gone", `{"action":"hangup"}`, 404, "bad_identifier"},
		{"PUT", "a", `{"action":"hangup"}`, 400, "must be metaflow"},
		{"PUT", "a", `{"action":"metaflow","data":{"module":"record_call"}}`, 400, "action must be"},
	} {
		before := len(w.calls.ends)
		a := w.call(c.verb, w.own("/channels/"+c.id), c.data)
		done := strings.Join(w.calls.ends[before:], ", ")
		if a.code != c.code || a.code == 202 && done != c.want || a.code != 202 && (done != "" || !strings.Contains(string(a.text), c.want)) {
			t.Errorf("%s %s %s: %d, did %q: %s", c.verb, c.id, c.data, a.code, done, a.text)
		}
	}
}
