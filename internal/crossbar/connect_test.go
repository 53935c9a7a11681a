package crossbar_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bugle"
	"bugle/internal/call"
	"bugle/internal/callflow"
	"bugle/internal/clicktocall"
	"bugle/internal/crossbar"
	"bugle/internal/egress"
	"bugle/internal/store"
)

// dialPlan is the documents that a call's number is looked up in, as the store has them.
type dialPlan struct {
	callflow.Documents // what else a call needs
	store              *store.Store
}

func (d dialPlan) CallflowByNumber(ctx context.Context, accountID, number string) (bugle.Callflow, error) {
	doc, err := d.store.GetByKey(ctx, store.Key{Space: crossbar.KeyNumber, Scope: accountID, Value: number})
	if err != nil {
		return bugle.Callflow{}, err
	}
	return bugle.ParseCallflow(doc.ID, doc.Body)
}

func (d dialPlan) CallflowsWithPatterns(context.Context, string) ([]bugle.Callflow, error) {
	return nil, nil
}

func (d dialPlan) Account(ctx context.Context, id string) (bugle.Account, error) {
	doc, err := d.store.Get(ctx, id, crossbar.TypeAccount, id)
	if err != nil {
		return bugle.Account{}, err
	}
	return bugle.ParseAccount(id, doc.Body)
}

func (d dialPlan) ClickToCall(ctx context.Context, accountID, id string) (bugle.ClickToCall, error) {
	doc, err := d.store.Get(ctx, accountID, crossbar.TypeClickToCall, id)
	if err != nil {
		return bugle.ClickToCall{}, err
	}
	return bugle.ParseClickToCall(id, doc.Body)
}

// exchange makes calls as a test wants them: each goes through the states and ends, or stays up.
type exchange struct {
	mu     sync.Mutex
	full   bool
	states []callflow.OriginationState
	cause  call.Cause // "" to stay up
	placed []*placedCall
}

type placedCall struct {
	callflow.Origination
	on   func(callflow.OriginationEvent)
	once sync.Once
}

func (c *placedCall) Hangup() { c.end(call.OriginatorCancel) }

func (c *placedCall) end(cause call.Cause) {
	c.once.Do(func() { c.on(callflow.OriginationEvent{State: callflow.OriginationEnded, Cause: cause, At: testStart}) })
}

func (x *exchange) Originate(o callflow.Origination, on func(callflow.OriginationEvent)) (clicktocall.Call, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.full {
		return nil, &bugle.Error{Kind: bugle.KindLimited}
	}
	c := &placedCall{Origination: o, on: on}
	x.placed = append(x.placed, c)
	states, cause := x.states, x.cause
	go func() {
		for _, state := range states {
			on(callflow.OriginationEvent{State: state, At: testStart})
		}
		if cause != "" {
			c.end(cause)
		}
	}()
	return c, nil
}

func (x *exchange) calls() []*placedCall {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.placed)
}

func (x *exchange) goes(cause call.Cause, states ...callflow.OriginationState) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.states, x.cause = states, cause
}

// callingWorld is a world whose click-to-calls call.
func callingWorld(t *testing.T, more ...func(*crossbar.Options)) (*world, *exchange) {
	t.Helper()
	x := &exchange{}
	w := newWorld(t, append([]func(*crossbar.Options){func(o *crossbar.Options) {
		documents := dialPlan{store: o.Store}
		o.ClickToCall = clicktocall.New(clicktocall.Options{Store: o.Store, Documents: documents, Originator: x, Egress: egress.New(nil), Now: o.Now,
			DialPlan: callflow.New(callflow.Options{Documents: documents}), OnPanic: o.OnPanic})
		o.Quickcall = x
		t.Cleanup(o.ClickToCall.Close)
	}}, more...)...)
	return w, x
}

// connectingWorld is a callingWorld with the extension 1001.
func connectingWorld(t *testing.T, more ...func(*crossbar.Options)) (*world, *exchange) {
	t.Helper()
	w, x := callingWorld(t, more...)
	w.must("PUT", w.own("/callflows"), `{"numbers":["1001"],"flow":{"module":"hangup","data":{}}}`)
	return w, x
}

// endpoint makes a click-to-call of more keys and returns its path.
func (w *world) endpoint(keys string) string {
	w.t.Helper()
	return w.own("/clicktocall/") + w.must("PUT", w.own("/clicktocall"), `{"name":"Sales","extension":"1001"`+keys+`}`).str("id")
}

// visitor sends data without a token.
func (w *world) visitor(method, path, data string, headers ...string) answer {
	w.t.Helper()
	body := ""
	if data != "" {
		body = `{"data":` + data + `}`
	}
	return w.raw(method, path, body, append(headers, "Content-Type: application/json")...)
}

// eventually waits until the rows of a history are as wanted.
func (w *world) eventually(path string, ok func(rows []map[string]any) bool) []map[string]any {
	w.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		rows := w.must("GET", path+"/history", "").rows()
		if ok(rows) {
			return rows
		}
		if time.Now().After(end) {
			w.t.Fatalf("the history stays %v", rows)
		}
	}
}

// TestConnectAsPublished: the answer has the keys of KAZOO's published sample.
func TestConnectAsPublished(t *testing.T) {
	t.Parallel()
	w, x := connectingWorld(t)
	path := w.endpoint("")
	id := path[strings.LastIndexByte(path, '/')+1:]
	for _, c := range []struct{ verb, query, data string }{{"GET", "?contact=4158867900", ""}, {"POST", "?contact=4158867900", "{}"},
		{"GET", "?contact=+14158867900", ""}, {"GET", "?contact=%2B14158867900", ""}} {
		a := w.call(c.verb, w.own("/clicktocall/"+id+"/connect"+c.query), c.data)
		data, _ := a.data().(map[string]any)
		callID := a.str("outbound_call_id")
		if a.code != 202 || !strings.HasPrefix(callID, "c2c-"+id+"-") || len(a.str("id")) != 32 || a.str("state") == "" {
			t.Fatalf("%d %s", a.code, a.text)
		}
		delete(data, "id")
		delete(data, "state")
		contact := strings.TrimPrefix(strings.ReplaceAll(c.query, "%2B", "+"), "?contact=")
		sameJSON(t, data, `{"application_data":{"route":"`+contact+`"},"application_name":"transfer","continue_on_fail":true,
			"custom_application_vars":{"contact":"`+strings.Replace(contact, "+", map[bool]string{true: "+", false: " "}[strings.Contains(c.query, "%2B")], 1)+`"},
			"custom_channel_vars":{"account_id":"`+w.account+`","authorizing_id":"`+id+`","authorizing_type":"clicktocall","auto_answer_loopback":true,
			  "from_uri":"1001@acme.example.com","inherit_codec":false,"loopback_request_uri":"+14158867900@acme.example.com",
			  "request_uri":"+14158867900@acme.example.com","retain_cid":true},
			"dial_endpoint_method":"single",
			"endpoints":[{"invite_format":"loopback","route":"1001","to_did":"1001","to_realm":"acme.example.com"}],
			"export_custom_channel_vars":["Account-ID","Authorizing-ID","Authorizing-Type","Loopback-Request-URI","From-URI","Request-URI"],
			"ignore_early_media":true,"loopback_bowout":"false","outbound_call_id":"`+callID+`","outbound_callee_id_name":"1001",
			"outbound_callee_id_number":"1001","outbound_caller_id_name":"Sales","outbound_caller_id_number":"+14158867900",
			"simplify_loopback":"false","start_control_process":"false","timeout":30}`)
	}
	if n := len(x.calls()); n != 4 {
		t.Errorf("%d calls", n)
	}
	a := w.call("POST", path+"/connect", `{}`)
	if a.code != 400 || a.str("contact", "required", "message") != "The contact extension for this click to call has not been set" {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.call("HEAD", path+"/connect?contact=1001", ""); a.code != 405 {
		t.Errorf("HEAD: %d", a.code)
	}
	if n := len(x.calls()); n != 4 {
		t.Errorf("%d calls", n)
	}
}

// TestConnectParameters: data goes before the query string, and that before the envelope; every spelling of a boolean.
func TestConnectParameters(t *testing.T) {
	t.Parallel()
	w, x := connectingWorld(t)
	x.goes(call.UserBusy)
	path := w.endpoint(`,"custom_application_vars":{"a":"doc","b":"doc"},"whitelist":["1001","sip:.*"],"dial_first":"contact","timeout":7,` +
		`"caller_id_number":"2125550100","custom_sip_headers":{"out":{"X-A":"b"}},"ringback":"r","music_on_hold":{"media_id":"m"},"presence_id":"p",` +
		`"bypass_media":"auto","media":{"ignore_early_media":false},"outbound_callee_id_name":"Acme"`)
	last := func() *placedCall { c := x.calls(); return c[len(c)-1] }
	a := w.raw("POST", path+"/connect?contact=1002&b=query&auto_answer=no&utm.x=1", `{"data":{"contact":"1001","custom_application_vars":{"c":"data","n":7}},"contact":"1003"}`,
		"X-Auth-Token: "+w.token)
	if a.code != 202 || last().First.Number != "1001" || last().AutoAnswer {
		t.Fatalf("%d %s", a.code, a.text)
	}
	sameJSON(t, a.at("custom_application_vars"), `{"a":"doc","b":"query","c":"data","n":"7","contact":"1002"}`)
	sameJSON(t, a.at("custom_sip_headers"), `{"X-A":"b"}`)
	for key, want := range map[string]string{"ringback": "r", "hold_media": "m", "presence_id": "p", "bypass_media": "auto", "outbound_caller_id_name": "Acme",
		"outbound_callee_id_name": "Sales", "outbound_callee_id_number": "2125550100"} {
		if a.str(key) != want {
			t.Errorf("%s is %q", key, a.str(key))
		}
	}
	if a.str("application_data", "route") != "1001" || a.at("timeout") != any(json.Number("7")) || a.at("ignore_early_media") != any(false) ||
		a.str("custom_channel_vars", "request_uri") != "2125550100@acme.example.com" {
		t.Errorf("%s", a.text)
	}
	if a := w.raw("POST", path+"/connect", `{"data":{},"contact":"1001"}`, "X-Auth-Token: "+w.token); a.code != 202 {
		t.Errorf("in the envelope: %d %s", a.code, a.text)
	}
	if a := w.raw("POST", path+"/connect", `contact=1001&blocking=false`, "X-Auth-Token: "+w.token, "Content-Type: application/x-www-form-urlencoded"); a.code != 202 {
		t.Errorf("a form: %d %s", a.code, a.text)
	}
	for text, blocking := range map[string]bool{"?blocking": true, "?blocking=": true, "?blocking=true": true, "?blocking=TRUE": true, "?blocking=1": true,
		"?blocking=yes": true, "?blocking=on": true, "": false, "?blocking=false": false, "?blocking=0": false, "?blocking=no": false, "?blocking=off": false} {
		a := w.call("POST", path+"/connect"+text, `{"contact":"1001"}`)
		if blocking != (a.code == 200) || !blocking && a.code != 202 || blocking && (a.str("result") != "error" || a.str("cause") != "USER_BUSY") {
			t.Errorf("%q: %d %s", text, a.code, a.text)
		}
	}
	for _, value := range []string{"true", `"true"`, "1"} {
		if a := w.call("POST", path+"/connect", `{"contact":"1001","blocking":`+value+`}`); a.code != 200 {
			t.Errorf("%s: %d %s", value, a.code, a.text)
		}
	}
	n := len(x.calls())
	for field, data := range map[string]string{"blocking": `"maybe"`, "auto_answer": `[]`, "custom_application_vars": `"x"`, "at": `"tomorrow"`} {
		a := w.call("POST", path+"/connect", `{"contact":"1001","`+field+`":`+data+`}`)
		if fields, _ := a.data().(map[string]any); a.code != 400 || fields[field] == nil {
			t.Errorf("%s: %d %s", field, a.code, a.text)
		}
	}
	if len(x.calls()) != n {
		t.Error("somebody was called")
	}
}

// TestBlockingConnect: an answer of 200 with the item of the history, whatever became of the call.
func TestBlockingConnect(t *testing.T) {
	t.Parallel()
	w, x := connectingWorld(t)
	path := w.endpoint("")
	for _, cause := range []call.Cause{call.UserBusy, call.NoAnswer, call.CallRejected, call.SubscriberAbsent, call.UnallocatedNumber} {
		x.goes(cause, callflow.FirstRinging)
		w.clock.advance(time.Second)
		a := w.call("POST", path+"/connect", `{"contact":"1001","blocking":true}`)
		if a.code != 200 || a.body["status"] != "success" || a.str("result") != "error" || a.str("cause") != string(cause) || a.str("state") != "unanswered" ||
			a.str("contact") != "1001" || a.str("call_id") == "" {
			t.Errorf("%s: %d %s", cause, a.code, a.text)
		}
		if told := w.must("GET", path+"/history", "").rows()[0]; told["id"] != a.str("id") || told["cause"] != string(cause) {
			t.Errorf("the history says of what was just answered: %v", told)
		}
	}
	x.goes("", callflow.FirstRinging, callflow.FirstAnswered, callflow.SecondRinging, callflow.Bridged)
	w.clock.advance(time.Second)
	a := w.call("POST", path+"/connect", `{"contact":"1001","blocking":true}`)
	if a.code != 200 || a.str("result") != "success" || a.str("state") != "bridged" || a.at("cause") != nil || a.str("bridged") == "" {
		t.Errorf("%d %s", a.code, a.text)
	}
	// It is in the history with its records.
	callID := a.str("call_id")
	x.calls()[5].end(call.NormalClearing)
	for i, id := range []string{callID, callID + "-b"} {
		if err := w.store.SaveCall(t.Context(), store.CallRow{ID: strings.Repeat(fmt.Sprint(i), 32), AccountID: w.account, SIPCallID: id, Started: testStart}); err != nil {
			t.Fatal(err)
		}
	}
	rows := w.eventually(path, func(rows []map[string]any) bool { return rows[0]["state"] == "ended" })
	if len(rows) != 6 || rows[0]["result"] != "success" || rows[0]["cause"] != "NORMAL_CLEARING" {
		t.Fatalf("%v", rows)
	}
	cdrs, _ := rows[0]["cdrs"].([]any)
	if len(cdrs) != 2 {
		t.Fatalf("%v", rows[0])
	}
	for _, id := range cdrs {
		w.must("GET", w.own("/cdrs/"+id.(string)), "")
	}
	by, _ := rows[0]["by"].(map[string]any)
	if by["method"] != "api_auth" || by["client_ip"] != "192.0.2.7" || by["request_id"] != "r1" || rows[0]["timestamp"] == nil {
		t.Errorf("%v", rows[0])
	}
}

// TestPublicConnect: a stranger is told an id and a state, and nothing else.
func TestPublicConnect(t *testing.T) {
	t.Parallel()
	w, x := connectingWorld(t)
	path := w.endpoint(`,"auth_required":false,"origins":["https://www.example.com"],"custom_application_vars":{"a":"doc"}`)
	post := func(data string, headers ...string) answer {
		return w.visitor("POST", path+"/connect", data, headers...)
	}
	a := post(`{"contact":"1001","auto_answer":true,"custom_application_vars":{"a":"visitor","page":"/p"}}`)
	data, _ := a.data().(map[string]any)
	if a.code != 202 || len(data) != 2 || a.str("id") == "" || a.str("state") != "starting" {
		t.Fatalf("%d %s", a.code, a.text)
	}
	if strings.Contains(string(a.text), w.account) || strings.Contains(string(a.text), "acme.example") || a.body["version"] != nil {
		t.Errorf("a stranger is told %s", a.text)
	}
	c := x.calls()[0]
	if c.AutoAnswer || c.Variables["a"] != "doc" || c.Variables["page"] != "/p" {
		t.Errorf("%+v", c.Origination)
	}
	follow := path + "/connect/" + a.str("id")
	c.on(callflow.OriginationEvent{State: callflow.FirstRinging, At: testStart})
	a = w.visitor("GET", follow+"?state=starting&wait=20", "")
	if data, _ := a.data().(map[string]any); a.code != 200 || len(data) != 2 || a.str("state") != "ringing" {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.visitor("GET", follow+"?wait=26", ""); a.code != 400 {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.visitor("DELETE", follow, ""); a.code != 200 || a.str("state") != "unanswered" {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.call("GET", follow, ""); a.code != 200 || a.str("cause") != "ORIGINATOR_CANCEL" {
		t.Errorf("%d %s", a.code, a.text)
	}
	// Nothing else is open.
	staff := w.must("POST", path+"/connect", `{"contact":"1001"}`).str("id")
	for _, c := range []struct {
		verb, path, data string
		code             int
	}{
		{"GET", path, "", 401}, {"GET", path + "/history", "", 401}, {"POST", path + "/token", `{"contact":"1001"}`, 401}, {"GET", path + "/changes", "", 401},
		{"DELETE", path, "", 401}, {"GET", path + "/connect/" + nowhere, "", 404}, {"GET", path + "/connect/" + staff, "", 401}, {"DELETE", path + "/connect/" + staff, "", 401},
		{"PUT", path + "/connect", `{"contact":"1001"}`, 405}, {"POST", path + "/connect?verb=delete", `{"contact":"1001"}`, 405},
		{"POST", path + "/connect/x/y", `{}`, 404}, {"POST", w.own("/clicktocall/" + nowhere + "/connect"), `{"contact":"1001"}`, 401},
		{"POST", w.endpoint("") + "/connect", `{"contact":"1001"}`, 401}, {"GET", w.endpoint("") + "/connect/" + nowhere, "", 401},
	} {
		if a := w.visitor(c.verb, c.path, c.data); a.code != c.code {
			t.Errorf("%s %s: %d, want %d: %s", c.verb, c.path, a.code, c.code, a.text)
		}
	}
	// A link is no call.
	n := len(x.calls())
	a = w.visitor("GET", path+"/connect?contact=1001", "")
	if a.code != 405 || a.header.Get("Allow") != "POST, OPTIONS" || !strings.HasPrefix(a.str("link"), "/c2c/") {
		t.Errorf("%d %v %s", a.code, a.header, a.text)
	}
	if a := w.visitor("POST", path+"/connect?verb=get&contact=1001", `{}`); a.code != 405 {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.visitor("HEAD", path+"/connect?contact=1001", ""); a.code != 405 || len(x.calls()) != n {
		t.Errorf("%d", a.code)
	}
	w.must("PATCH", path, `{"allow_get":true}`)
	if a := w.visitor("GET", path+"/connect?contact=1001", ""); a.code != 202 || len(x.calls()) != n+1 {
		t.Errorf("%d %s", a.code, a.text)
	}
	w.must("DELETE", path, "")
	if a := post(`{"contact":"1001"}`); a.code != 401 {
		t.Errorf("a deleted endpoint: %d %s", a.code, a.text)
	}
}

func TestConnectOrigins(t *testing.T) {
	t.Parallel()
	w, x := connectingWorld(t, func(o *crossbar.Options) { o.PublicURL = "https://pbx.example.com" })
	public := w.endpoint(`,"auth_required":false,"origins":["https://www.example.com","http://localhost:3000"]`)
	private := w.endpoint("")
	for _, c := range []struct {
		path, origin string
		code         int
		allowed      string
	}{
		{public, "https://www.example.com", 202, "https://www.example.com"},
		{public, "http://localhost:3000", 202, "http://localhost:3000"},
		{public, "https://evil.example", 403, ""},
		{public, "http://www.example.com", 403, ""},
		{public, "null", 403, ""},
		{public, "https://pbx.example.com", 202, ""}, // its own pages
		{public, "http://example.com", 202, ""},      // the Host of the request
		{public, "", 202, ""},
	} {
		var headers []string
		if c.origin != "" {
			headers = append(headers, "Origin: "+c.origin)
		}
		w.clock.advance(time.Minute)
		before := len(x.calls())
		a := w.visitor("POST", c.path+"/connect", `{"contact":"1001"}`, headers...)
		if a.code != c.code || a.header.Get("Access-Control-Allow-Origin") != c.allowed || (len(x.calls()) > before) != (c.code == 202) {
			t.Errorf("%s: %d %v", c.origin, a.code, a.header)
		}
		if c.origin != "" && a.header.Get("Vary") != "Origin" {
			t.Errorf("%s: %v", c.origin, a.header)
		}
	}
	for _, c := range []struct{ path, origin, headers, allowed string }{
		{public, "https://www.example.com", "content-type, idempotency-key", "https://www.example.com"},
		{public, "https://evil.example", "content-type", ""},
		{public, "https://evil.example", "content-type,X-Auth-Token", "*"}, // who has a token may come from anywhere
		{private, "https://evil.example", "content-type", "*"},
		{w.own("/clicktocall/" + nowhere), "https://evil.example", "content-type", "*"},
	} {
		for _, rest := range []string{"/connect", "/connect/" + nowhere} {
			verb := map[bool]string{true: "POST", false: "GET"}[rest == "/connect"]
			a := w.raw("OPTIONS", c.path+rest, "", "Origin: "+c.origin, "Access-Control-Request-Method: "+verb, "Access-Control-Request-Headers: "+c.headers)
			if a.code != 200 || a.header.Get("Access-Control-Allow-Origin") != c.allowed {
				t.Errorf("%s %s: %d %v", rest, c.origin, a.code, a.header)
			}
			if c.allowed != "" && !strings.Contains(a.header.Get("Access-Control-Allow-Headers"), "idempotency-key") {
				t.Errorf("%v", a.header)
			}
		}
	}
	if a := w.call("POST", public+"/connect", `{"contact":"1001"}`, "Origin: https://evil.example"); a.code != 202 || a.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("%d %v", a.code, a.header)
	}
}

// TestConnectRefused: KAZOO's error shape, nobody is called, and the reason is in the history.
func TestConnectRefused(t *testing.T) {
	t.Parallel()
	w, x := connectingWorld(t)
	path := w.endpoint(`,"auth_required":false`)
	listed := w.endpoint(`,"whitelist":["2\\d\\d\\d"]`)
	inside := w.endpoint(`,"auth_required":false,"whitelist":["sip:.*"]`)
	other := w.newAccount("Other")
	w.must("PUT", "/v2/accounts/"+other+"/users", `{"first_name":"E","username":"eve","password":"secret-of-eve","priv_level":"admin"}`)
	foreign := w.loginToken("eve", "secret-of-eve", "Other")
	for _, c := range []struct {
		path, contact string
		code          int
		want, reason  string
	}{
		{path, ``, 400, `"contact":{"required"`, "contact_required"},
		{path, `"contact":""`, 400, `"contact":{"required"`, "contact_required"},
		{path, `"contact":{}`, 400, `"contact":{"required"`, "contact_required"},
		{path, `"contact":"` + strings.Repeat("1", 10_000) + `"`, 400, `"contact":{"invalid"`, "contact_invalid"},
		{path, `"contact":"1001\r\nX-Evil: 1"`, 400, `"contact":{"invalid"`, "contact_invalid"},
		{path, `"contact":"1001%0d%0aX: 1"`, 400, `"contact":{"invalid"`, "contact_invalid"},
		{path, `"contact":"911"`, 400, `"contact":{"forbidden"`, "emergency"},
		{path, `"contact":"19005551234"`, 400, `"contact":{"forbidden"`, "premium"},
		{path, `"contact":"+442071234567"`, 400, `"contact":{"forbidden"`, "international"},
		{path, `"contact":"4158867900"`, 400, `"contact":{"forbidden"`, "not_an_extension"},
		{listed, `"contact":"4158867900"`, 400, `"data":"+14158867900"`, "whitelist"},
		{inside, `"contact":"sip:root@127.0.0.1"`, 400, `"contact":{"forbidden"`, "address"},
		{inside, `"contact":"sip:root@169.254.169.254"`, 400, `"contact":{"forbidden"`, "address"},
		{path, `"contact":"1001","custom_application_vars":{"a b":"c"}`, 400, `"custom_application_vars":{"invalid"`, "variables_invalid"},
		{path, `"contact":"1001","at":"2020-01-01T00:00:00Z"`, 400, `"at":{"invalid"`, "at_invalid"},
		{path, `"contact":"1001","at":"soon"`, 400, `"at":{"invalid"`, "parameters_invalid"},
		{path, `"contact":"1001","token":"x.y.z"`, 401, `"cause":"token"`, "token"},
	} {
		send := w.visitor
		if c.path == listed {
			send = w.call
		}
		before := len(w.must("GET", c.path+"/history", "").rows())
		a := send("POST", c.path+"/connect", `{`+c.contact+`}`)
		if a.code != c.code || !strings.Contains(string(a.text), c.want) || a.body["status"] != "error" {
			t.Errorf("%.60s: %d %.300s", c.contact, a.code, a.text)
		}
		rows := w.eventually(c.path, func(rows []map[string]any) bool { return len(rows) == before+1 })
		found := slices.ContainsFunc(rows, func(row map[string]any) bool {
			return row["reason"] == c.reason && row["state"] == "refused" && row["result"] == "error" && row["cause"] != ""
		})
		if !found {
			t.Errorf("%.60s: %v", c.contact, rows)
		}
	}
	for _, c := range []struct {
		token, path string
		code        int
	}{
		{foreign, path, 403}, {foreign, listed, 403}, {"rubbish", path, 401},
		{w.token, w.own("/clicktocall/" + nowhere), 404}, {w.token, w.own("/clicktocall/not-an-id"), 404},
	} {
		if a := w.as(c.token, "POST", c.path+"/connect", `{"contact":"1001"}`); a.code != c.code || a.body["status"] != "error" {
			t.Errorf("%s: %d %s", c.path, a.code, a.text)
		}
	}
	gone := w.endpoint(`,"auth_required":false`)
	w.must("DELETE", gone, "")
	for _, a := range []answer{w.visitor("POST", gone+"/connect", `{"contact":"1001"}`), w.call("POST", gone+"/connect", `{"contact":"1001"}`)} {
		if a.code != 404 && a.code != 401 || a.body["status"] != "error" {
			t.Errorf("a deleted endpoint: %d %s", a.code, a.text)
		}
	}
	evil, began := w.endpoint(`,"auth_required":false,"whitelist":["(1+)+2","(1|1?)+2","(.*)*x"]`), time.Now()
	if a := w.visitor("POST", evil+"/connect", `{"contact":"`+strings.Repeat("1", 60)+`"}`); a.code != 400 || time.Since(began) > 5*time.Second {
		t.Errorf("an expression that takes others for ever: %d in %s", a.code, time.Since(began))
	}
	x.mu.Lock()
	x.full = true
	x.mu.Unlock()
	if a := w.visitor("POST", path+"/connect", `{"contact":"1001"}`); a.code != 503 || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", a.code, a.text)
	}
	if n := len(x.calls()); n != 0 {
		t.Errorf("%d calls", n)
	}
}

func TestConnectLimits(t *testing.T) {
	t.Parallel()
	w, x := connectingWorld(t)
	path := w.endpoint(`,"auth_required":false`)
	for i := range 8 {
		a := w.visitor("POST", path+"/connect", `{"contact":"1001"}`)
		if want := map[bool]int{true: 202, false: 429}[i < 5]; a.code != want || (a.code == 429) != (a.header.Get("Retry-After") == "12") {
			t.Errorf("%d: %d %v %s", i, a.code, a.header, a.text)
		}
	}
	token := w.must("POST", path+"/token", `{"contact":"1001"}`)
	if a := w.visitor("POST", path+"/connect", `{"contact":"1001","token":"`+token.str("token")+`"}`); a.code != 202 {
		t.Errorf("a token lifts them: %d %s", a.code, a.text)
	}
	throttled := w.endpoint(`,"throttle":30`)
	w.must("POST", throttled+"/connect", `{"contact":"1001"}`)
	n := len(x.calls())
	if a := w.call("POST", throttled+"/connect", `{"contact":"1001"}`); a.code != 429 || a.header.Get("Retry-After") != "30" || a.str("cause") != "throttle" {
		t.Errorf("%d %v %s", a.code, a.header, a.text)
	}
	w.clock.advance(30 * time.Second)
	w.must("POST", throttled+"/connect", `{"contact":"1001"}`)
	// A double click is one call.
	keyed := w.endpoint("")
	first := w.call("POST", keyed+"/connect", `{"contact":"1001"}`, "Idempotency-Key: k")
	again := w.call("POST", keyed+"/connect", `{"contact":"1001"}`, "Idempotency-Key: k")
	if first.code != 202 || again.code != 202 || again.str("id") != first.str("id") || len(x.calls()) != n+2 {
		t.Errorf("%s\n%s", first.text, again.text)
	}
	if a := w.call("POST", keyed+"/connect", `{"contact":"4158867900"}`, "Idempotency-Key: k"); a.code != 409 {
		t.Errorf("%d %s", a.code, a.text)
	}
	quiet := w.endpoint(`,"quiet_hours":{"from":"15:00","to":"17:00","timezone":"UTC"}`) // it is 16:00
	a := w.call("POST", quiet+"/connect", `{"contact":"1001"}`)
	if a.code != 403 || a.str("until") != "2026-11-21T17:00:00Z" || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %v %s", a.code, a.header, a.text)
	}
	if a := w.call("POST", quiet+"/connect", `{"contact":"1001","at":"2026-11-21T18:30:00+01:00"}`); a.code != 202 || a.str("state") != "scheduled" ||
		a.str("due") != "2026-11-21T17:30:00Z" {
		t.Errorf("%d %s", a.code, a.text)
	} else if a = w.call("DELETE", quiet+"/connect/"+a.str("id"), ""); a.code != 200 || a.str("state") != "canceled" {
		t.Errorf("%d %s", a.code, a.text)
	}
	if len(x.calls()) != n+2 {
		t.Error("somebody was called")
	}
}

func TestConnectTokens(t *testing.T) {
	t.Parallel()
	w, x := connectingWorld(t)
	path, other := w.endpoint(""), w.endpoint("")
	fresh := func() string { return w.must("POST", path+"/token", `{"contact":"1001"}`).str("token") }
	use := func(path, contact, token string) answer {
		return w.visitor("POST", path+"/connect", `{"contact":"`+contact+`","token":"`+token+`"}`, "Origin: https://any.example")
	}
	token := fresh()
	a := use(path, "1001", token)
	if data, _ := a.data().(map[string]any); a.code != 202 || len(data) != 2 {
		t.Fatalf("%d %s", a.code, a.text)
	}
	if a := w.visitor("GET", path+"/connect/"+a.str("id"), ""); a.code != 200 || a.str("state") == "" {
		t.Errorf("%d %s", a.code, a.text)
	}
	for name, a := range map[string]answer{
		"used twice":           use(path, "1001", token),
		"for another contact":  use(path, "4158867900", fresh()),
		"for another endpoint": use(other, "1001", fresh()),
		"rubbish":              use(path, "1001", "rubbish"),
		"empty":                use(path, "1001", ""),
		"unsigned":             use(path, "1001", "eyJhbGciOiJub25lIn0.eyJjb250YWN0IjoiMTAwMSIsImp0aSI6IngiLCJleHAiOjQxMDI0NDQ4MDB9."),
		"of the API":           use(path, "1001", w.token),
		"as one of the API":    w.as(fresh(), "GET", path, ""),
		"by GET":               w.visitor("GET", path+"/connect?contact=1001&token="+fresh(), ""),
	} {
		if want := map[bool]int{true: 405, false: 401}[name == "by GET"]; a.code != want {
			t.Errorf("%s: %d %s", name, a.code, a.text)
		}
	}
	token = fresh()
	w.clock.advance(5*time.Minute + time.Second)
	if a := use(path, "1001", token); a.code != 401 {
		t.Errorf("after five minutes: %d %s", a.code, a.text)
	}
	token = fresh()
	w.must("PUT", w.own("/api_key"), "")
	if a := use(path, "1001", token); a.code != 401 {
		t.Errorf("after the account's key was changed: %d %s", a.code, a.text)
	}
	if a := w.call("POST", path+"/token", `{"contact":"911"}`); a.code != 400 {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.call("POST", path+"/token", `{}`); a.code != 400 || a.at("contact", "required") == nil {
		t.Errorf("%d %s", a.code, a.text)
	}
	if n := len(x.calls()); n != 1 {
		t.Errorf("%d calls", n)
	}
}

func TestAttemptHistory(t *testing.T) {
	t.Parallel()
	w, x := connectingWorld(t)
	x.goes(call.NoAnswer)
	path := w.endpoint("")
	var want []string
	for range 5 {
		w.clock.advance(time.Minute)
		want = append([]string{w.must("POST", path+"/connect", `{"contact":"1001"}`).str("id")}, want...)
	}
	w.eventually(path, func(rows []map[string]any) bool { return len(rows) == 5 })
	var got []string
	for start := ""; ; {
		a := w.must("GET", path+"/history?page_size=2"+start, "")
		for _, row := range a.rows() {
			got = append(got, row["id"].(string))
		}
		next, _ := a.body["next_start_key"].(string)
		if next == "" {
			break
		}
		start = "&start_key=" + next
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	from := testStart.Add(2*time.Minute).Unix() + 62167219200
	if rows := w.must("GET", fmt.Sprintf("%s/history?created_from=%d&created_to=%d", path, from, from+60), "").rows(); len(rows) != 2 || rows[1]["id"] != want[3] {
		t.Errorf("%v", rows)
	}
	for query, code := range map[string]int{"?created_from=1&created_to=99999999999": 400, "?start_key=x": 404, "?page_size=0": 404} {
		if a := w.call("GET", path+"/history"+query, ""); a.code != code {
			t.Errorf("%s: %d %s", query, a.code, a.text)
		}
	}
	if a := w.call("GET", path+"/history", "", "Accept: text/csv"); a.code != 200 || !strings.Contains(string(a.text), "NO_ANSWER") {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.call("GET", w.own("/clicktocall/"+nowhere+"/history"), ""); a.code != 404 {
		t.Errorf("%d", a.code)
	}
}

func TestClickToCallDocuments(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for keys, field := range map[string]string{
		`"extension":"  "`: "extension", `"extension":""`: "extension", `"extension":"1\u0007"`: "extension",
		`"whitelist":["("]`: "whitelist.0", `"whitelist":[""]`: "whitelist.0", `"whitelist":["x{1001}"]`: "whitelist.0",
		`"quiet_hours":{"from":"22:00"}`: "quiet_hours.to", `"quiet_hours":{"from":"22:00","to":"25:00"}`: "quiet_hours.to",
		`"quiet_hours":{"from":"22:00","to":"07:00","timezone":"Mars/X"}`: "quiet_hours.timezone",
		`"bypass_media":"yes"`: "bypass_media", `"bypass_media":1`: "bypass_media",
		`"origins":["www.example.com"]`: "origins.0", `"origins":["https://a.example/path"]`: "origins.0", `"origins":["javascript:x"]`: "origins.0",
		`"custom_sip_headers":{"in":{"X-A":"b"}}`:          "custom_sip_headers.in",
		`"custom_sip_headers":{"out":{"X-A":"b\r\nX: y"}}`: "custom_sip_headers.out.X-A",
		`"custom_sip_headers":{"X A":"b"}`:                 "custom_sip_headers.X A",
		`"custom_sip_headers":{"out":{"X-A":1}}`:           "custom_sip_headers.out.X-A",
		`"caller_id_number":"1\r\n"`:                       "caller_id_number", `"throttle":-1`: "throttle", `"timeout":0`: "timeout", `"timeout":601`: "timeout",
	} {
		a := w.call("PUT", w.own("/clicktocall"), `{"name":"N","extension":"1001",`+keys+`}`)
		if strings.HasPrefix(keys, `"extension"`) {
			a = w.call("PUT", w.own("/clicktocall"), `{"name":"N",`+keys+`}`)
		}
		if fields, _ := a.data().(map[string]any); a.code != 400 || fields[field] == nil {
			t.Errorf("%s: %d %s", keys, a.code, a.text)
		}
	}
	w.must("PUT", w.own("/clicktocall"), `{"name":"N","extension":"*411","bypass_media":"auto","origins":["*","https://a.example:8443"],
		"quiet_hours":{"from":"22:00","to":"07:00","timezone":"Europe/Berlin"},"custom_sip_headers":{"in":{},"out":{"X-A":"b"},"X-B":"c"},"allow_get":true}`)
}

func TestConnectWithoutCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := w.endpoint("")
	for _, a := range []answer{w.call("POST", path+"/connect", `{"contact":"1"}`), w.call("POST", path+"/token", `{"contact":"1"}`)} {
		if a.code != 501 {
			t.Errorf("%d %s", a.code, a.text)
		}
	}
}

func TestQuickcall(t *testing.T) {
	t.Parallel()
	w, x := connectingWorld(t)
	user := w.must("PUT", w.own("/users"), `{"first_name":"A","username":"ann","password":"secret-of-ann","priv_level":"user"}`).str("id")
	device := w.must("PUT", w.own("/devices"), `{"name":"D","owner_id":"`+user+`"}`).str("id")
	stranger := w.must("PUT", w.own("/devices"), `{"name":"S"}`).str("id")
	a := w.call("GET", w.own("/devices/"+device+"/quickcall/4158867900?auto_answer=false&cid-name=Ann&x=y"), "")
	c := x.calls()[0]
	if a.code != 202 || c.First.DeviceID != device || c.Second.Number != "4158867900" || c.By != (callflow.Authorizing{ID: device, Type: "device"}) || c.AutoAnswer ||
		c.First.Caller != (call.Party{Name: "Ann", Number: "4158867900"}) || c.Variables["x"] != "y" || a.str("outbound_call_id") != c.CallID ||
		a.str("application_data", "route") != "4158867900" || a.str("custom_channel_vars", "authorizing_type") != "device" {
		t.Errorf("%d %s\n%+v", a.code, a.text, c.Origination)
	}
	a = w.call("POST", w.own("/users/"+user+"/quickcall/*97"), `{"cid-number":"7","timeout":12,"media":{"ignore_early_media":false},"custom_application_vars":{"a":"b"}}`)
	c = x.calls()[1]
	if a.code != 202 || c.First.UserID != user || c.Second.Number != "*97" || !c.AutoAnswer || c.Timeout != 12*time.Second || !c.EarlyMedia ||
		c.First.Caller != (call.Party{Name: "Device QuickCall", Number: "7"}) || c.Variables["a"] != "b" {
		t.Errorf("%d %s\n%+v", a.code, a.text, c.Origination)
	}
	ann := w.loginToken("ann", "secret-of-ann", "Acme")
	for _, c := range []struct {
		token, verb, path, data string
		code                    int
	}{
		{ann, "GET", "/devices/" + device + "/quickcall/1001", "", 202}, {ann, "GET", "/users/" + user + "/quickcall/1001", "", 202},
		{ann, "GET", "/devices/" + stranger + "/quickcall/1001", "", 403},
		{w.token, "HEAD", "/devices/" + device + "/quickcall/1001", "", 405}, {w.token, "GET", "/devices/" + nowhere + "/quickcall/1001", "", 404},
		{w.token, "GET", "/devices/" + user + "/quickcall/1001", "", 404}, {w.token, "GET", "/devices/" + device + "/quickcall/abc", "", 400},
		{w.token, "GET", "/devices/" + device + "/quickcall/1%0d%0a", "", 400}, {w.token, "GET", "/devices/" + device + "/quickcall/sip:a@b.example", "", 400},
		{w.token, "POST", "/devices/" + device + "/quickcall/1001", `{"timeout":601}`, 400}, {w.token, "POST", "/devices/" + device + "/quickcall/1001", `{"cid-name":"a\r\nb"}`, 400},
		{w.token, "POST", "/devices/" + device + "/quickcall/1001", `{"media":{"ignore_early_media":"x"}}`, 400},
		{w.token, "POST", "/devices/" + device + "/quickcall/1001", `{"auto_answer":"x"}`, 400},
	} {
		before := len(x.calls())
		a := w.as(c.token, c.verb, w.own(c.path), c.data)
		if a.code != c.code || (len(x.calls()) > before) != (c.code == 202) {
			t.Errorf("%s %s %s: %d %s", c.verb, c.path, c.data, a.code, a.text)
		}
	}
	if a := w.visitor("GET", w.own("/devices/"+device+"/quickcall/1001"), ""); a.code != 401 {
		t.Errorf("%d", a.code)
	}
	x.mu.Lock()
	x.full = true
	x.mu.Unlock()
	if a := w.call("GET", w.own("/devices/"+device+"/quickcall/1001"), ""); a.code != 503 {
		t.Errorf("%d %s", a.code, a.text)
	}
	x.mu.Lock()
	x.full = false
	x.mu.Unlock()
	w.must("PATCH", w.own(""), `{"enabled":false}`)
	if a := w.call("GET", w.own("/devices/"+device+"/quickcall/1001"), ""); a.code != 403 {
		t.Errorf("of an account that is switched off: %d %s", a.code, a.text)
	}
}
