package crossbar_test

import (
	"encoding/json"
	"strings"
	"testing"

	"bugle"
)

// TestFlowsOfUIs: monster-ui sends what its fields hold, "20" for the seconds of a timeout and "true" for a box. KAZOO's schemas take it.
func TestFlowsOfUIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const flow = `{"numbers":["1001"],"flow":{"module":"menu","data":{},"children":{"1":{"module":"user","children":{},` +
		`"data":{"id":"0123456789abcdef0123456789abcdef","timeout":"20","can_call_self":"false"}},` +
		`"2":{"module":"user","children":{},"data":{"id":"0123456789abcdef0123456789abcdef","timeout":3e1}}}}}`
	a := w.must("PUT", w.own("/callflows"), flow)
	for path, want := range map[string]any{"1.data.timeout": json.Number("20"), "1.data.can_call_self": false, "2.data.timeout": json.Number("30")} {
		if got := a.at(append([]string{"flow", "children"}, strings.Split(path, ".")...)...); got != want {
			t.Errorf("%s is %v (%T), want %v", path, got, got, want)
		}
	}
	d, err := w.store.Get(t.Context(), w.account, "callflow", a.str("id"))
	if err != nil || !strings.Contains(string(d.Body), `"timeout":20}`) || !strings.Contains(string(d.Body), `"timeout":30}`) {
		t.Errorf("%v %s", err, d.Body)
	}
	// What is wrong besides is told, and then nothing is mended.
	b := w.call("PUT", w.own("/callflows"), `{"numbers":["1002"],"flow":{"module":"user","data":{"timeout":"20"}}}`)
	if b.code != 400 || b.at("flow.data.id", "required") == nil || b.at("flow.data.timeout", "type") == nil {
		t.Errorf("%d %s", b.code, b.text)
	}
	c := w.call("PUT", w.own("/callflows"), `{"numbers":["1002"],"flow":{"module":"user","data":{"id":"x","timeout":12345678901234567890}}}`)
	if c.code != 400 || c.at("flow.data.timeout", "maximum") == nil {
		t.Errorf("%d %s", c.code, c.text)
	}
}

// TestWholeNumbers: however a client writes a whole number, what reads the document understands it; one that nothing could use is
// refused.
func TestWholeNumbers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for written, want := range map[string]int{"4": 4, "4.0": 4, "0.4e1": 4, `"4.0"`: 4, "4E0": 4} {
		a := w.must("PUT", w.own("/directories"), `{"name":"D","min_dtmf":`+written+`}`)
		d, err := w.store.Get(t.Context(), w.account, "directory", a.str("id"))
		if err != nil {
			t.Fatal(err)
		}
		read, err := bugle.ParseDirectory(d.ID, d.Body)
		if err != nil || read.MinDTMF != want {
			t.Errorf("%s is read as %d, %v", written, read.MinDTMF, err)
		}
	}
	for _, written := range []string{"1e400", "9223372036854775808", `"9223372036854775808"`, "4.5", "-1e300"} {
		a := w.call("PUT", w.own("/directories"), `{"name":"D","min_dtmf":`+written+`}`)
		if a.code != 400 || a.at("min_dtmf") == nil {
			t.Errorf("%s: %d %s", written, a.code, a.text)
		}
	}
	// What no schema speaks of stays as it was written.
	a := w.must("PUT", w.own("/directories"), `{"name":"D","mine":4.0,"large":123456789012345678901234567890}`)
	d, err := w.store.Get(t.Context(), w.account, "directory", a.str("id"))
	if err != nil || !strings.Contains(string(d.Body), `"mine":4.0`) || !strings.Contains(string(d.Body), `"large":123456789012345678901234567890`) {
		t.Errorf("%v %s", err, d.Body)
	}
}

// TestHalfSurrogates: an escape that is no character is refused, rather than stored as another.
func TestHalfSurrogates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for text, ok := range map[string]bool{`\ud83d\ude00`: true, "\ufffd": true, `\ufffd`: true, `\\ud800`: true, `\u0041\ufffd`: true,
		`\ud800`: false, `\udc00`: false, `\ud83dx`: false, `\ud83d\u0041`: false, `\ude00\ud83d`: false, `a\ud800\ud800\udc00`: false} {
		a := w.call("PUT", w.own("/menus"), `{"name":"`+text+`"}`)
		if (a.code == 201) != ok || !ok && a.at("json", "invalid") == nil {
			t.Errorf("%s: %d %s", text, a.code, a.text)
			continue
		}
		var want string
		if ok && json.Unmarshal([]byte(`"`+text+`"`), &want) == nil && a.str("name") != want {
			t.Errorf("%s became %q", text, a.str("name"))
		}
	}
}

// TestErrorsOfOneField: two numbers that others have are both told.
func TestErrorsOfOneField(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.must("PUT", w.own("/callflows"), `{"name":"One","numbers":["1001"]}`).str("id")
	two := w.must("PUT", w.own("/callflows"), `{"name":"Two","numbers":["1002"]}`).str("id")
	a := w.call("PUT", w.own("/callflows"), `{"numbers":["1001","1002","1003"]}`)
	if a.code != 400 || a.str("numbers", "unique", "cause") != "1001" ||
		a.str("numbers", "unique", "message") != "Number 1001 exists in callflow "+one+" One" {
		t.Errorf("%d %s", a.code, a.text)
	}
	also, _ := a.at("numbers", "unique", "also").([]any)
	if len(also) != 1 || also[0].(map[string]any)["message"] != "Number 1002 exists in callflow "+two+" Two" {
		t.Errorf("%s", a.text)
	}
	b := w.call("PUT", w.own("/callflows"), `{"patterns":["(","[","^1$"]}`)
	also, _ = b.at("patterns", "pattern", "also").([]any)
	if b.code != 400 || len(also) != 1 {
		t.Errorf("%d %s", b.code, b.text)
	}
}

// TestVersionWord: KAZOO takes a first word that is no version for v2.
func TestVersionWord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for word, code := range map[string]int{"v2": 200, "V2": 200, "api": 200, "v1": 410, "v3": 404, "v22": 404} {
		if a := w.call("GET", "/"+word+"/accounts/"+w.account, ""); a.code != code {
			t.Errorf("%s: %d %s", word, a.code, a.text)
		}
	}
}

// TestTagOfWhatIsComposed: the answer of a document that is composed of others too matches If-None-Match until one of them changes, and
// its tag is good for If-Match while the document itself is the same.
func TestTagOfWhatIsComposed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	user := w.must("PUT", w.own("/users"), `{"first_name":"Ann","last_name":"Lee"}`).str("id")
	dir := w.must("PUT", w.own("/directories"), `{"name":"D"}`).str("id")
	flow := w.must("PUT", w.own("/callflows"), `{"numbers":["1001"],"flow":{"module":"user","data":{"id":"`+user+`"}}}`).str("id")
	lost := w.must("PUT", w.own("/devices"), `{"name":"Lost","owner_id":"00000000000000000000000000000007"}`).str("id")
	change := map[string]func(){
		"/directories/" + dir: func() { w.must("PATCH", w.own("/users/"+user), `{"directories":{"`+dir+`":"`+flow+`"}}`) },
		"/callflows/" + flow:  func() { w.must("PATCH", w.own("/users/"+user), `{"first_name":"Anna"}`) },
		"/devices/" + lost: func() {
			w.must("PUT", w.own("/users"), `{"id":"00000000000000000000000000000007","first_name":"Found"}`)
		},
	}
	for path, other := range change {
		first := w.call("GET", w.own(path), "")
		tag := first.header.Get("Etag")
		if !strings.HasPrefix(tag, `"`+first.body["revision"].(string)) {
			t.Errorf("%s has the tag %s, its revision is %v", path, tag, first.body["revision"])
		}
		if again := w.call("GET", w.own(path), "", "If-None-Match: "+tag); again.code != 304 || again.header.Get("Etag") != tag {
			t.Errorf("%s: %d %s", path, again.code, again.header.Get("Etag"))
		}
		other()
		if now := w.call("GET", w.own(path), "", "If-None-Match: "+tag); now.code != 200 || now.header.Get("Etag") == tag ||
			now.body["revision"] != first.body["revision"] {
			t.Errorf("%s: %d %s", path, now.code, now.text)
		}
		if a := w.call("PATCH", w.own(path), `{"x":1}`, "If-Match: "+tag); a.code != 200 {
			t.Errorf("%s: %d %s", path, a.code, a.text)
		}
		if a := w.call("PATCH", w.own(path), `{"x":2}`, "If-Match: "+tag); a.code != 412 {
			t.Errorf("%s: %d %s", path, a.code, a.text)
		}
	}
}
