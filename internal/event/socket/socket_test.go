package socket_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"bugle/internal/event/kazoo"
	"bugle/internal/event/socket"
)

// TestChangesAreTold: what is written is told once, in order, in KAZOO's form, and to nobody in another account.
func TestChangesAreTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k, legacy, all, elsewhere := w.dial(), w.dial(), w.dial(), w.dial()
	k.subscribe(w.ann, w.acme, "object.*.user", "object.doc_created.menu")
	legacy.subscribe(w.ann, w.acme, "doc_edited.*.user.*")
	all.subscribe(w.token, "*", "object.*.*")
	elsewhere.subscribe(w.token, w.other, "object.*.*")
	id := w.user(w.acme, "bob", "user")
	path := "/v2/accounts/" + w.acme + "/users/" + id
	w.do("PATCH", path, `{"first_name":"Robert"}`)
	menu := w.make("/v2/accounts/"+w.acme+"/menus", `{"name":"M"}`)
	w.do("PATCH", "/v2/accounts/"+w.acme+"/menus/"+menu, `{"name":"N"}`)
	w.do("DELETE", path, "")
	theirs := w.make("/v2/accounts/"+w.other+"/menus", `{"name":"O"}`)

	database := "account%2F" + w.acme[:2] + "%2F" + w.acme[2:4] + "%2F" + w.acme[4:]
	for _, want := range [][4]string{{"doc_created", "user", id, "object.*.user"}, {"doc_edited", "user", id, "object.*.user"},
		{"doc_created", "menu", menu, "object.doc_created.menu"}, {"doc_deleted", "user", id, "object.*.user"}} {
		m := k.event()
		action := "*"
		if want[1] == "menu" {
			action = want[0]
		}
		if m.Name != want[0] || m.SubscribedKey != want[3] || m.RoutingKey != want[0]+"."+database+"."+want[1]+"."+want[2] ||
			m.SubscriptionKey != action+"."+database+"."+want[1]+".*" {
			t.Errorf("%+v, want %v", m, want)
		}
		for key, value := range map[string]any{"id": want[2], "type": want[1], "action": want[0], "event_name": want[0], "account_id": w.acme,
			"event_category": "configuration", "node": "node", "database": database, "is_soft_deleted": want[0] == "doc_deleted"} {
			if m.Data[key] != value {
				t.Errorf("%s is %v, want %v", key, m.Data[key], value)
			}
		}
		if m.Data["rev"] == "" || m.Data["date_modified"].(float64) < 63_000_000_000 || m.Data["doc"] != nil {
			t.Errorf("%v", m.Data)
		}
	}
	if m := legacy.event(); m.Name != "doc_edited" || m.SubscribedKey != "doc_edited.*.user.*" || m.Data["id"] != id {
		t.Errorf("%+v", m)
	}
	var told []string
	for m := all.event(); ; m = all.event() {
		if m.SubscriptionKey != "*.*.*.*" {
			t.Errorf("%+v", m)
		}
		if told = append(told, fmt.Sprint(m.Name, m.Data["type"])); m.Data["id"] == theirs {
			break
		}
	}
	if want := []string{"doc_createduser", "doc_editeduser", "doc_createdmenu", "doc_editedmenu", "doc_deleteduser", "doc_createdmenu"}; !slices.Equal(told, want) {
		t.Errorf("%q", told)
	}
	if m := elsewhere.event(); m.Data["id"] != theirs {
		t.Errorf("the other account is told %+v", m)
	}
	// Nothing more waits for anybody.
	for _, k := range []*client{k, legacy, all, elsewhere} {
		if m := k.ask("ping", "", "{}"); m.Data["response"] != "pong" || len(k.events) > 0 {
			t.Errorf("%+v %+v", m, k.events)
		}
	}
}

// TestCallsAreTold: legs of calls in KAZOO's form, by event, by Call-ID, and to those who may know.
func TestCallsAreTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob := w.user(w.acme, "bob", "user")
	every, one, user, elsewhere := w.dial(), w.dial(), w.dial(), w.dial()
	const id = "a.b*c@d+e/f%2E"
	every.subscribe(w.ann, w.acme, "call.*.*", "call.CHANNEL_DESTROY.*")
	one.subscribe(w.ann, w.acme, "call.CHANNEL_HOLD."+id, "call.PARK_PARKED.a%2Eb%2Ac%40d%2Be%2Ff%252E", "call.CHANNEL_UNHOLD.other")
	user.subscribe(w.login("Acme", "bob"), w.acme, "call.*.*")
	elsewhere.subscribe(w.token, w.other, "call.*.*")
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	leg := kazoo.Channel{AccountID: w.acme, At: at, CallID: id, OtherLeg: "b", AuthorizingID: "dev", AuthorizingType: "device", Direction: "inbound",
		CallerName: "Ann", CallerNumber: "1001", CalleeNumber: "1002", From: "1001@x", To: "1002@x", Request: "1002@x", Created: at, HangupCause: "NORMAL_CLEARING",
		HangupCode: "sip:200", Duration: 5 * time.Second, Billing: 3 * time.Second, Ringing: 2 * time.Second}
	events := []string{"channel_create", "channel_answer", "channel_bridge", "channel_hold", "channel_unhold", "park_parked", "channel_destroy"}
	for _, event := range events {
		leg.Event = event
		w.sockets.Call(leg)
	}
	leg.Event = "channel_unknown"
	w.sockets.Call(leg)
	leg.Event, leg.OwnerID, leg.CallID = "channel_create", bob, "last"
	w.sockets.Call(leg)
	for _, event := range append(events, "channel_create") {
		name, encoded := strings.ToUpper(event), "a%2Eb%2Ac%40d%2Be%2Ff%252E"
		m := every.event()
		if event == "channel_destroy" { // two subscriptions are for it
			other := every.event()
			if keys := []string{m.SubscribedKey, other.SubscribedKey}; !slices.Contains(keys, "call.*.*") || !slices.Contains(keys, "call.CHANNEL_DESTROY.*") {
				t.Errorf("%v", keys)
			}
			if m.Data["hangup_cause"] != "NORMAL_CLEARING" || m.Data["duration_seconds"] != 5.0 || m.Data["billing_seconds"] != 3.0 {
				t.Errorf("%v", m.Data)
			}
		}
		if m.Data["call_id"] == "last" {
			encoded = "last"
		}
		if m.Name != name || m.RoutingKey != "call."+w.acme+"."+name+"."+encoded || m.SubscriptionKey != "call."+w.acme+"."+name+".*" {
			t.Errorf("%+v", m)
		}
		for key, value := range map[string]any{"event_name": name, "event_category": "call_event", "account_id": w.acme, "call_direction": "inbound",
			"caller_id_number": "1001", "callee_id_number": "1002", "other_leg_call_id": "b", "from": "1001@x", "timestamp": float64(at.Unix() + 62167219200)} {
			if m.Data[key] != value {
				t.Errorf("%s: %s is %v, want %v", name, key, m.Data[key], value)
			}
		}
		if m.Data["hook_event"] != nil || m.Data["custom_channel_vars"].(map[string]any)["authorizing_id"] != "dev" {
			t.Errorf("%v", m.Data)
		}
	}
	if a, b := one.event(), one.event(); a.Name != "CHANNEL_HOLD" || b.Name != "PARK_PARKED" || a.SubscriptionKey != "call."+w.acme+".CHANNEL_HOLD.a%2Eb%2Ac%40d%2Be%2Ff%252E" {
		t.Errorf("%+v %+v", a, b)
	}
	if m := user.event(); m.Data["call_id"] != "last" {
		t.Errorf("a user is told of another's call: %+v", m)
	}
	for _, k := range []*client{every, one, user, elsewhere} {
		if m := k.ask("ping", "", "{}"); m.Status != "success" || len(k.events) > 0 {
			t.Errorf("%+v %+v", m, k.events)
		}
	}
}

// TestWhoMaySubscribe: the token's account and those below it, everybody for the master, and a user who is no administrator the own.
func TestWhoMaySubscribe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bobID := w.user(w.acme, "bob", "user")
	bob, below := w.login("Acme", "bob"), w.make("/v2/accounts/"+w.acme, `{"name":"Below"}`)
	w.user(w.master, "mary", "user")
	masters := w.as(w.token, "GET", "/v2/accounts/"+w.master, "")["data"].(map[string]any)["name"].(string)
	k := w.dial()
	for name, c := range map[string]struct{ token, account, want string }{
		"the own":                      {w.ann, w.acme, ""},
		"one below":                    {w.ann, below, ""},
		"the master's":                 {w.ann, w.master, "unauthorized account id"},
		"another's":                    {w.ann, w.other, "unauthorized account id"},
		"nobody's":                     {w.ann, strings.Repeat("0", 32), "unauthorized account id"},
		"nobody's, by the master":      {w.token, strings.Repeat("0", 32), "unauthorized account id"},
		"all":                          {w.ann, "*", "unauthorized wildcard account id"},
		"all, by the master":           {w.token, "*", ""},
		"all, by a user of the master": {w.login(masters, "mary"), "*", "unauthorized wildcard account id"},
		"another's, by the master":     {w.token, w.other, ""},
		"a user's own":                 {bob, w.acme, ""},
		"below a user's":               {bob, below, "unauthorized account id"},
	} {
		m := k.ask("subscribe", c.token, fmt.Sprintf(`{"account_id":%q,"binding":"object.doc_edited.user"}`, c.account))
		if (m.Status == "success") != (c.want == "") || !strings.Contains(m.errors(), c.want) {
			t.Errorf("%s: %+v", name, m)
		}
	}
	// A user is told of the own document and of the own devices.
	own := w.dial()
	own.subscribe(bob, w.acme, "object.*.*")
	w.do("PATCH", "/v2/accounts/"+w.acme+"/users/"+w.annID, `{"first_name":"Anna"}`)
	w.make("/v2/accounts/"+w.acme+"/devices", `{"name":"d","owner_id":"`+w.annID+`"}`)
	w.make("/v2/accounts/"+w.acme+"/menus", `{"name":"M"}`)
	w.do("PATCH", "/v2/accounts/"+w.acme+"/users/"+bobID, `{"first_name":"Bobby"}`)
	device := w.make("/v2/accounts/"+w.acme+"/devices", `{"name":"e","owner_id":"`+bobID+`"}`)
	if a, b := own.event(), own.event(); a.Data["id"] != bobID || b.Data["id"] != device {
		t.Errorf("%+v %+v", a, b)
	}
}

// TestTheEndOfATokenEndsItsSession: at once, with the reason, and nothing is told after.
func TestTheEndOfATokenEndsItsSession(t *testing.T) {
	t.Parallel()
	const out = "the token has ended"
	for name, c := range map[string]struct {
		end    func(w *world, token string)
		reason string
	}{
		"logout":      {func(w *world, token string) { w.as(token, "DELETE", "/v2/token_auth", "") }, out},
		"password":    {func(w *world, _ string) { w.do("PATCH", w.bob(), `{"password":"another horse"}`) }, out},
		"disabled":    {func(w *world, _ string) { w.do("PATCH", w.bob(), `{"enabled":false}`) }, out},
		"deleted":     {func(w *world, _ string) { w.do("DELETE", w.bob(), "") }, out},
		"no admin":    {func(w *world, _ string) { w.do("PATCH", w.bob(), `{"priv_level":"user"}`) }, out},
		"company off": {func(w *world, _ string) { w.do("PATCH", "/v2/accounts/"+w.acme, `{"enabled":false}`) }, out},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.user(w.acme, "bob", "admin")
			token := w.login("Acme", "bob")
			k, stays := w.dial(), w.dial()
			k.subscribe(token, w.acme, "object.*.menu", "call.*.*")
			stays.subscribe(w.token, w.acme, "object.*.menu")
			c.end(w, token)
			menu := w.make("/v2/accounts/"+w.acme+"/menus", `{"name":"M"}`)
			k.ends(websocket.StatusPolicyViolation, c.reason)
			if m := stays.event(); m.Data["id"] != menu {
				t.Errorf("%+v", m)
			}
			again := w.dial()
			if m := again.ask("subscribe", token, `{"account_id":"`+w.acme+`","binding":"call.*.*"}`); name != "company off" && name != "no admin" &&
				!strings.Contains(m.errors(), "failed to authenticate token") {
				t.Errorf("%+v", m)
			}
			eventually(t, "the session is forgotten", func() bool { return w.sockets.Stats().Sessions == 2 })
		})
	}
}

// bob is the path of the user of that name.
func (w *world) bob() string {
	w.t.Helper()
	rows := w.do("GET", "/v2/accounts/"+w.acme+"/users?filter_username=bob", "")["data"].([]any)
	return "/v2/accounts/" + w.acme + "/users/" + rows[0].(map[string]any)["id"].(string)
}

// TestAnAccountThatIsTakenAway: who was above it is told of the change that took it away, and nothing after.
func TestAnAccountThatIsTakenAway(t *testing.T) {
	t.Parallel()
	for name, take := range map[string]func(w *world, below string){
		"moved":   func(w *world, below string) { w.do("POST", "/v2/accounts/"+below+"/move", `{"to":"`+w.other+`"}`) },
		"deleted": func(w *world, below string) { w.do("DELETE", "/v2/accounts/"+below, "") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			below := w.make("/v2/accounts/"+w.acme, `{"name":"Below"}`)
			k := w.dial()
			k.subscribe(w.ann, below, "object.*.*")
			take(w, below)
			told := 0
			for m := k.next(); m != nil; m = k.next() { // a deletion is noted in the account first
				if told++; m.Data["type"] != "account" || m.Data["id"] != below {
					t.Errorf("%+v", m)
				}
			}
			if told < 1 || told > 2 {
				t.Errorf("%d events", told)
			}
			k.ends(websocket.StatusPolicyViolation, "not the token's to see")
		})
	}
}

// TestBadMessages: each has its error, and leaves the session as it was.
func TestBadMessages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := w.dial()
	k.subscribe(w.ann, w.acme, "object.*.menu")
	sub := func(data string) string {
		return `{"action":"subscribe","auth_token":"` + w.ann + `","data":` + data + `}`
	}
	own := func(binding string) string { return sub(`{"account_id":"` + w.acme + `","binding":"` + binding + `"}`) }
	for name, c := range map[string][2]string{
		"not JSON":                       {"hello", "a message is a JSON object"},
		"nothing":                        {"", "a message is a JSON object"},
		"null":                           {"null", "a message is a JSON object"},
		"an array":                       {`[{"action":"ping"}]`, "a message is a JSON object"},
		"deep":                           {strings.Repeat("[", 60000), "a message is a JSON object"},
		"deep data":                      {`{"action":"ping","data":` + strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9000) + "}", ""},
		"no action":                      {"{}", "unknown action: one of subscribe, unsubscribe, ping"},
		"an unknown action":              {`{"action":"shout"}`, "unknown action"},
		"an action that is none":         {`{"action":{"a":1}}`, "unknown action"},
		"another case":                   {`{"Action":"ping"}`, "unknown action"},
		"data that is none":              {`{"action":"subscribe","data":[1]}`, "data must be an object"},
		"no token":                       {`{"action":"subscribe","data":{"account_id":"` + w.acme + `","binding":"call.*.*"}}`, "auth_token is missing"},
		"a token that is none":           {`{"action":"subscribe","auth_token":7,"data":{}}`, "auth_token is missing"},
		"an invented token":              {`{"action":"subscribe","auth_token":"x.y.z","data":{"account_id":"` + w.acme + `","binding":"call.*.*"}}`, "failed to authenticate token"},
		"a long token":                   {`{"action":"subscribe","auth_token":"` + strings.Repeat("x", 50000) + `","data":{"account_id":"` + w.acme + `","binding":"call.*.*"}}`, "failed to authenticate token"},
		"a tampered token":               {`{"action":"subscribe","auth_token":"` + w.ann[:len(w.ann)-4] + `AAAA","data":{"account_id":"` + w.acme + `","binding":"call.*.*"}}`, "failed to authenticate token"},
		"no data":                        {`{"action":"subscribe","auth_token":"` + w.ann + `"}`, "missing required keys in data: account_id, binding or bindings"},
		"no account":                     {sub(`{"binding":"call.*.*"}`), "missing required keys in data: account_id"},
		"no binding":                     {sub(`{"account_id":"` + w.acme + `"}`), "missing required keys in data: binding"},
		"an account that is none":        {sub(`{"account_id":"acme","binding":"call.*.*"}`), "account_id must be"},
		"an account of a number":         {sub(`{"account_id":5,"binding":"call.*.*"}`), "account_id must be"},
		"a binding of a number":          {sub(`{"account_id":"` + w.acme + `","binding":5}`), "binding must be text"},
		"bindings of text":               {sub(`{"account_id":"` + w.acme + `","bindings":"call.*.*"}`), "bindings must be an array"},
		"bindings of null":               {sub(`{"account_id":"` + w.acme + `","bindings":["call.*.*",null]}`), "bindings must be an array"},
		"a family not offered":           {own("fax.status.*"), `"fax.status.*" is of no family that is offered; call.EVENT.CALL-ID and object.ACTION.TYPE are`},
		"conferences":                    {own("conference.event.*.*"), "no family that is offered"},
		"no family":                      {own("call"), "invalid format for call subscription"},
		"half a call":                    {own("call.CHANNEL_CREATE"), "invalid format for call subscription"},
		"an unknown event":               {own("call.CHANNEL_SNEEZE.*"), "event \"CHANNEL_SNEEZE\" not supported; one of CHANNEL_ANSWER"},
		"an unknown action of documents": {own("object.doc_read.user"), "one of doc_created, doc_deleted, doc_edited"},
		"an unknown type":                {own("object.doc_edited.spaceship"), "type \"spaceship\" not supported; one of account"},
		"half an object":                 {own("object.doc_edited"), "invalid format for object subscription"},
		"too much of an object":          {own("object.doc_edited.user.x"), "invalid format for object subscription"},
		"another's database":             {own("doc_edited.account%2Fxx.user.*"), "invalid format for doc_edited subscription"},
		"a long binding":                 {own("call.CHANNEL_CREATE." + strings.Repeat("x", 600)), "at most 512"},
		"one bad of many":                {sub(`{"account_id":"` + w.acme + `","bindings":["object.*.user","fax.a"]}`), "no family"},
		"many bad":                       {sub(`{"account_id":"` + w.acme + `","bindings":[` + strings.Repeat(`"fax.1","fax.2","fax.3","fax.4","fax.5","fax.6","fax.7",`, 1) + `"fax.8","fax.9","fax.10","fax.11","fax.12"]}`), "and more"},
		"a long name":                    {sub(`{"account_id":"` + w.acme + `","binding":"call.*.*","name":"` + strings.Repeat("n", 200) + `"}`), "name must be text"},
		"metadata of text":               {sub(`{"account_id":"` + w.acme + `","binding":"call.*.*","metadata":"m"}`), "metadata must be an object"},
		"large metadata":                 {sub(`{"account_id":"` + w.acme + `","binding":"call.*.*","metadata":{"a":"` + strings.Repeat("n", 3000) + `"}}`), "metadata must be an object"},
		"unsubscribe a number":           {`{"action":"unsubscribe","data":{"binding":1}}`, "binding must be text"},
	} {
		k.write(c[0])
		m := k.read()
		if m == nil {
			t.Fatalf("%s: closed: %v", name, k.closed)
		}
		if want := map[bool]string{true: "success", false: "error"}[c[1] == ""]; m.Status != want || !strings.Contains(m.errors(), c[1]) || m.Action != "reply" || m.RequestID == "" {
			t.Errorf("%s: %+v", name, m)
		}
	}
	menu := w.make("/v2/accounts/"+w.acme+"/menus", `{"name":"M"}`)
	if m := k.event(); m.Data["id"] != menu {
		t.Errorf("%+v", m)
	}
	if got := w.sockets.Stats().Subscriptions; got != 1 {
		t.Errorf("%d subscriptions", got)
	}
	// What is no message at all ends the session.
	large, binary := w.dial(), w.dial()
	_ = large.conn.Write(t.Context(), websocket.MessageText, []byte(`{"action":"ping","data":{"x":"`+strings.Repeat("x", 10<<20)+`"}}`)) // which may be cut off
	large.ends(websocket.StatusMessageTooBig, "")
	if err := binary.conn.Write(t.Context(), websocket.MessageBinary, []byte(`{"action":"ping"}`)); err != nil {
		t.Error(err)
	}
	binary.ends(websocket.StatusUnsupportedData, "a message is text")
}

// TestRequestIDs: answers repeat what the client gave, a number as text, and have one of their own else.
func TestRequestIDs(t *testing.T) {
	t.Parallel()
	k := newWorld(t).dial()
	for given, want := range map[string]string{`"a b"`: "a b", `17`: "17", `""`: "", `null`: "", `{"a":1}`: "", `"` + strings.Repeat("x", 200) + `"`: ""} {
		k.write(`{"action":"ping","request_id":` + given + `}`)
		if m := k.read(); m.Status != "success" || want != "" && m.RequestID != want || want == "" && len(m.RequestID) != 32 {
			t.Errorf("%s: %+v", given, m)
		}
	}
}

// TestSubscriptions: they are listed in answers and over the API, are not doubled, and end one by one or all at once.
func TestSubscriptions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := w.dial()
	m := k.ask("subscribe", w.ann, `{"account_id":"`+w.acme+`","binding":"call.*.*","bindings":["object.*.user"],"name":"desk","metadata":{"room":7}}`)
	if fmt.Sprint(m.Data["subscribed"], m.Data["subscriptions"]) != "[call.*.*] [call.*.*]" {
		t.Errorf("%+v", m) // binding goes before bindings
	}
	m = k.ask("subscribe", "Bearer "+w.ann, `{"account_id":"`+w.acme+`","bindings":["object.*.user","call.*.*","object.*.user"]}`)
	if fmt.Sprint(m.Data["subscribed"], m.Data["subscriptions"]) != "[call.*.* object.*.user] [call.*.* object.*.user]" {
		t.Errorf("%+v", m)
	}
	k.subscribe(w.token, w.other, "object.*.menu")
	rows := w.as(w.ann, "GET", "/v2/accounts/"+w.acme+"/websockets", "")["data"].([]any)
	if len(rows) != 1 {
		t.Fatalf("%v", rows)
	}
	row := rows[0].(map[string]any)
	if row["name"] != "desk" || fmt.Sprint(row["metadata"], row["bindings"], row["account_ids"]) != "map[room:7] [call.*.* object.*.user] ["+w.acme+"]" ||
		row["source"] != "127.0.0.1" || row["timestamp"].(float64) < 63_000_000_000 || strings.Contains(fmt.Sprint(row), w.ann) {
		t.Errorf("%v", row)
	}
	one := w.as(w.ann, "GET", "/v2/accounts/"+w.acme+"/websockets/"+row["websocket_session_id"].(string), "")["data"].([]any)
	if len(one) != 1 || !maps.EqualFunc(one[0].(map[string]any), row, func(a, b any) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
		t.Errorf("%v", one)
	}
	if rows := w.do("GET", "/v2/accounts/"+w.master+"/websockets", "")["data"].([]any); fmt.Sprint(rows[0].(map[string]any)["bindings"]) != "[object.*.menu]" {
		t.Errorf("%v", rows)
	}
	if rows := w.do("GET", "/v2/accounts/"+w.other+"/websockets", "")["data"].([]any); len(rows) != 0 {
		t.Errorf("who is above is shown to those below: %v", rows)
	}
	offered := w.as("", "GET", "/v2/websockets", "")["data"].(map[string]any)
	for _, family := range []string{"call", "object"} {
		for _, binding := range offered[family].([]any) {
			k.subscribe(w.ann, w.acme, binding.(string))
		}
	}
	m = k.ask("unsubscribe", "", `{"account_id":"`+w.acme+`","bindings":["call.*.*","object.*.nothing"]}`)
	if fmt.Sprint(m.Data["unsubscribed"]) != "[call.*.*]" || m.Status != "success" {
		t.Errorf("%+v", m)
	}
	if m = k.ask("unsubscribe", "", `{"account_id":"`+w.acme+`"}`); fmt.Sprint(m.Data["subscribed"]) != "[object.*.menu]" {
		t.Errorf("%+v", m)
	}
	if m = k.ask("unsubscribe", "", `{}`); fmt.Sprint(m.Data["unsubscribed"], m.Data["subscribed"]) != "[object.*.menu] []" {
		t.Errorf("%+v", m)
	}
	w.make("/v2/accounts/"+w.other+"/menus", `{"name":"M"}`)
	if m = k.ask("ping", "", "{}"); len(k.events) > 0 || m.Status != "success" || w.sockets.Listens(w.acme) {
		t.Errorf("told after the end: %+v", k.events)
	}
	if got := w.sockets.Stats(); got.Subscriptions != 0 || got.Sessions != 1 {
		t.Errorf("%+v", got)
	}
}

// TestLimits: of sessions, subscriptions and messages; who keeps to them is not disturbed.
func TestLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *socket.Options) {
		o.Limits = socket.Limits{PerAddress: 4, PerAccount: 2, Subscriptions: 3, AccountBindings: 4, Burst: 10, PerSecond: 1}
	})
	a, b, c, d := w.dial(), w.dial(), w.dial(), w.dial()
	_, res, err := websocket.Dial(t.Context(), w.url, nil)
	if err == nil || res.StatusCode != 429 || res.Header.Get("Retry-After") == "" {
		t.Errorf("one session too many: %v %v", res, err)
	}
	a.subscribe(w.ann, w.acme, "object.*.menu", "call.*.*", "object.*.user")
	refused := func(k *client, token, binding, want string) {
		t.Helper()
		if m := k.ask("subscribe", token, `{"account_id":"`+w.acme+`","binding":"`+binding+`"}`); !strings.Contains(m.errors(), want) {
			t.Errorf("%+v, want %q", m, want)
		}
	}
	refused(a, w.ann, "object.*.group", "a session has at most 3")
	b.subscribe(w.ann, w.acme, "object.*.menu")
	refused(b, w.ann, "object.*.group", "the tokens of an account have at most 4 subscriptions")
	b.ask("unsubscribe", "", "{}")
	a.ask("unsubscribe", "", `{"binding":"call.*.*"}`)
	b.subscribe(w.ann, w.acme, "object.*.menu")
	refused(c, w.ann, "object.*.menu", "the tokens of an account have at most 2 sessions")
	c.subscribe(w.token, w.acme, "object.*.menu")
	for range 300 {
		if d.conn.Write(t.Context(), websocket.MessageText, []byte(`{"action":"ping","request_id":"p"}`)) != nil {
			break
		}
	}
	pongs, refusals := 0, 0
	for m := d.read(); m != nil; m = d.read() {
		if m.Status == "success" {
			pongs++
		} else if strings.Contains(m.errors(), "too many messages") {
			refusals++
		}
	}
	if pongs < 10 || pongs > 20 || d.closed.Code != websocket.StatusPolicyViolation || d.closed.Reason != "too many messages" {
		t.Errorf("%d pongs, %d refusals, %v", pongs, refusals, d.closed)
	}
	eventually(t, "its place is free", func() bool { return w.sockets.Stats().Sessions == 3 })
	w.dial()
	menu := w.make("/v2/accounts/"+w.acme+"/menus", `{"name":"M"}`)
	for _, k := range []*client{a, b, c} {
		if m := k.event(); m.Data["id"] != menu {
			t.Errorf("%+v", m)
		}
	}
}

// TestTimes: a session that is not used, one that has lasted long enough, and a client that is gone.
func TestTimes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *socket.Options) { o.Times = socket.Times{Unused: 2 * time.Second} })
	used := w.dial()
	used.subscribe(w.ann, w.acme, "call.*.*")
	w.dial().ends(websocket.StatusPolicyViolation, "nothing is subscribed to")
	if m := used.ask("ping", "", "{}"); m.Status != "success" {
		t.Errorf("%+v", m)
	}
	w = newWorld(t, func(o *socket.Options) { o.Times = socket.Times{Life: 100 * time.Millisecond} })
	w.dial().ends(websocket.StatusGoingAway, "connect again")
	w = newWorld(t, func(o *socket.Options) {
		o.Times = socket.Times{Ping: 50 * time.Millisecond, Pong: 50 * time.Millisecond}
	})
	w.dial() // it reads nothing, so it answers no ping
	eventually(t, "who is gone is forgotten", func() bool { return w.sockets.Stats().Sessions == 0 })
}
