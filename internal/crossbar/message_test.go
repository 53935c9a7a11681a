package crossbar_test

import (
	"bytes"
	"context"
	"fmt"
	"mime/multipart"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	"bugle/internal/store"
)

// mailbox makes a box and returns the path of its messages.
func (w *world) mailbox(number string, more string) (id, messages string) {
	w.t.Helper()
	id = w.must("PUT", w.own("/vmboxes"), `{"name":"Box `+number+`","mailbox":"`+number+`"`+more+`}`).str("id")
	return id, w.own("/vmboxes/" + id + "/messages")
}

// deposit leaves a message; the clock moves so that the order is known.
func (w *world) deposit(messages, data string) string {
	w.t.Helper()
	w.clock.advance(time.Second)
	return w.must("PUT", messages, data).str("media_id")
}

func mediaIDs(a answer) []string {
	ids := []string{}
	for _, row := range a.rows() {
		ids = append(ids, row["media_id"].(string))
	}
	return ids
}

func (w *world) counts(box string) string {
	w.t.Helper()
	for _, row := range w.must("GET", w.own("/vmboxes"), "").rows() {
		if row["id"] == box {
			return fmt.Sprint("new ", row["new"], " saved ", row["saved"], " old ", row["old"], " all ", row["messages"])
		}
	}
	return "no such box"
}

func TestMessages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	box, at := w.mailbox("3000", "")
	a := w.must("PUT", at, `{"caller_id_name":"Ann","caller_id_number":"6001","from":"6001@a.example.com","to":"3000@b.example.com",
		"call_id":"x@y","transcription":{"text":"hi","confidence":0.50},"timestamp":63962000000}`)
	first := a.str("media_id")
	if a.code != 201 || a.header.Get("Location") != at+"/"+first || !strings.HasPrefix(first, "202611-") || len(first) != 39 {
		t.Fatalf("%d %s %s", a.code, a.header.Get("Location"), a.text)
	}
	sameJSON(t, w.must("GET", at+"/"+first, "").data(), `{"media_id":"`+first+`","caller_id_name":"Ann","caller_id_number":"6001",
		"from":"6001@a.example.com","to":"3000@b.example.com","call_id":"x@y","transcription":{"text":"hi","confidence":0.50},
		"timestamp":63962000000,"folder":"new","length":0}`)
	second, third := w.deposit(at, `{"caller_id_name":"Bob"}`), w.deposit(at, `{"folder":"saved"}`)
	latestFirst := []string{third, second, first}
	if got := mediaIDs(w.must("GET", at, "")); !slices.Equal(got, latestFirst) {
		t.Errorf("%v, want %v", got, latestFirst)
	}
	if got := mediaIDs(w.must("GET", at+"?ascending=true", "")); !slices.Equal(got, []string{first, second, third}) {
		t.Errorf("%v", got)
	}
	if got := w.counts(box); got != "new 2 saved 1 old 1 all 3" {
		t.Error(got)
	}
	for query, want := range map[string]int{"?folder=saved": 1, "?filter_folder=new": 2, "?filter_caller_id_name=Bob": 1, "?folder=deleted": 0,
		"?created_from=63962000001": 2, "?has_value=transcription": 1} {
		if rows := w.must("GET", at+query, "").rows(); len(rows) != want {
			t.Errorf("%s: %d rows", query, len(rows))
		}
	}
	// Pages.
	var paged []string
	for key := ""; ; {
		page := w.must("GET", at+"?page_size=1"+key, "")
		paged = append(paged, mediaIDs(page)...)
		next, _ := page.body["next_start_key"].(string)
		if next == "" {
			break
		}
		key = "&start_key=" + next
	}
	if !slices.Equal(paged, latestFirst) {
		t.Errorf("by page: %v", paged)
	}
	// Folders, and deletion, which can be undone.
	if a := w.must("POST", at+"/"+first, `{"folder":"saved"}`); a.str("folder") != "saved" || a.str("caller_id_name") != "Ann" {
		t.Errorf("%s", a.text)
	}
	w.must("POST", at+"/"+first+"?folder=new", `{}`)
	if a := w.must("DELETE", at+"/"+first, ""); a.at("_read_only", "deleted") != true || a.str("folder") != "new" {
		t.Errorf("%s", a.text)
	}
	if got := w.counts(box); got != "new 1 saved 1 old 1 all 2" || len(w.must("GET", at+"?folder=deleted", "").rows()) != 1 {
		t.Error(got)
	}
	w.must("POST", at+"/"+first, `{"folder":"new"}`)
	w.must("DELETE", at+"/"+first+"?should_soft_delete=false", "")
	if a := w.call("GET", at+"/"+first, ""); a.code != 404 || a.body["message"] != "bad_identifier" {
		t.Errorf("%d %s", a.code, a.text)
	}
	// Everything at once.
	a = w.must("POST", at, `{"folder":"saved","messages":["`+second+`","`+third+`","`+first+`"]}`)
	if len(stringsOf(a.at("succeeded"))) != 2 || fmt.Sprint(a.at("failed")) != "[map["+first+":not_found]]" {
		t.Errorf("%s", a.text)
	}
	if a := w.must("DELETE", at, `{"messages":["`+second+`","none"]}`); !slices.Equal(stringsOf(a.at("succeeded")), []string{second}) ||
		len(a.at("failed").([]any)) != 1 {
		t.Errorf("%s", a.text)
	}
	if a := w.must("DELETE", at+"?folder=new", ""); len(a.at("succeeded").([]any)) != 0 {
		t.Errorf("%s", a.text)
	}
	if a := w.must("DELETE", at, ""); !slices.Equal(stringsOf(a.at("succeeded")), []string{third}) {
		t.Errorf("%s", a.text)
	}
	// The box's end is its messages'.
	w.must("DELETE", w.own("/vmboxes/"+box), "")
	if a := w.call("GET", at, ""); a.code != 404 {
		t.Errorf("%d", a.code)
	}
	if _, err := w.store.GetMessage(context.Background(), w.account, third); err == nil {
		t.Error("messages outlive their box")
	}
}

func TestMessagesMoveAndCopy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, from := w.mailbox("1", "")
	two, to := w.mailbox("2", "")
	three, also := w.mailbox("3", "")
	id := w.deposit(from, `{"caller_id_name":"Ann"}`)
	w.must("POST", from+"/"+id, `{"source_id":"`+two+`","folder":"saved"}`)
	if a := w.call("GET", from+"/"+id, ""); a.code != 404 {
		t.Errorf("still there: %d", a.code)
	}
	if a := w.must("GET", to+"/"+id, ""); a.str("folder") != "saved" {
		t.Errorf("%s", a.text)
	}
	a := w.must("POST", to+"/"+id, `{"source_id":["`+one+`","`+three+`","`+one+`"]}`)
	if copies := stringsOf(a.at("succeeded")); len(copies) != 2 || slices.Contains(copies, id) {
		t.Errorf("%s", a.text)
	}
	for _, path := range []string{from, to, also} {
		if rows := w.must("GET", path, "").rows(); len(rows) != 1 || rows[0]["caller_id_name"] != "Ann" {
			t.Errorf("%s: %v", path, rows)
		}
	}
	all := w.must("GET", w.own("/vmboxes/messages"), "").rows()
	if len(all) != 3 {
		t.Errorf("%v", all)
	}
	// Bulk.
	more := w.deposit(to, `{}`)
	w.must("POST", to, `{"source_id":"`+three+`","messages":["`+id+`","`+more+`"]}`)
	if rows := w.must("GET", also, "").rows(); len(rows) != 3 {
		t.Errorf("%d", len(rows))
	}
	foreign := w.must("PUT", "/v2/accounts/"+w.newAccount("Rival")+"/vmboxes", `{"name":"R","mailbox":"1"}`).str("id")
	position := len(w.must("GET", also, "").rows())
	for data, field := range map[string]string{
		`{"source_id":"` + foreign + `"}`:                 "source_id",
		`{"source_id":["` + one + `","` + foreign + `"]}`: "source_id",
		`{"source_id":7}`:                                 "source_id",
		`{"source_id":[]}`:                                "source_id",
		`{"source_id":[7]}`:                               "source_id.0",
		`{"folder":"trash"}`:                              "folder",
		`{}`:                                              "folder",
		`{"source_id":"` + one + `","folder":"elsewhere"}`: "folder",
	} {
		if a := w.call("POST", also+"/"+more, data); a.code != 400 || a.at(field) == nil {
			t.Errorf("%s: %d %s", data, a.code, a.text)
		}
	}
	for data, field := range map[string]string{`{"folder":"new"}`: "messages", `{"folder":"new","messages":"x"}`: "messages",
		`{"folder":"new","messages":[1]}`: "messages.0"} {
		if a := w.call("POST", also, data); a.code != 400 || a.at(field) == nil {
			t.Errorf("%s: %d %s", data, a.code, a.text)
		}
	}
	for data, field := range map[string]string{`{"folder":"x"}`: "folder", `{"timestamp":5}`: "timestamp", `{"caller_id_name":7}`: "caller_id_name",
		`{"transcription":[]}`: "transcription", `{"from":"` + strings.Repeat("x", 300) + `"}`: "from"} {
		if a := w.call("PUT", also, data); a.code != 400 || a.at(field) == nil {
			t.Errorf("%s: %d %s", data, a.code, a.text)
		}
	}
	if rows := w.must("GET", also, "").rows(); len(rows) != position {
		t.Error("something was written")
	}
	if a := w.call("PUT", w.own("/vmboxes/"+foreign+"/messages"), `{}`); a.code != 404 {
		t.Errorf("%d", a.code)
	}
	// The account's end is its messages'.
	w.must("DELETE", w.own(""), "")
	if left, _, err := w.store.Messages(context.Background(), store.MessageQuery{AccountID: w.account}); err != nil || len(left) != 0 {
		t.Error(left, err)
	}
}

func TestMessageAudio(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, at := w.mailbox("1", "")
	audio := wav(800)
	token := "X-Auth-Token: " + w.token
	// As a part beside what is known of it.
	var form bytes.Buffer
	parts := multipart.NewWriter(&form)
	for contentType, content := range map[string]string{"application/json": `{"data":{"caller_id_number":"6001"}}`, "audio/x-wav": audio} {
		header := textproto.MIMEHeader{"Content-Type": {contentType}}
		header.Set("Content-Disposition", `form-data; name="content"; filename="x"`)
		part, err := parts.CreatePart(header)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(part, content)
	}
	parts.Close()
	a := w.raw("PUT", at, form.String(), token, "Content-Type: "+parts.FormDataContentType())
	id := a.str("media_id")
	if a.code != 201 || a.str("caller_id_number") != "6001" || fmt.Sprint(a.at("length")) != "100" {
		t.Fatalf("%d %s", a.code, a.text)
	}
	raw := w.raw("GET", at+"/"+id+"/raw", "", token)
	if raw.code != 200 || string(raw.text) != audio || raw.header.Get("Content-Type") != "audio/x-wav" {
		t.Errorf("%d %s", raw.code, raw.header)
	}
	part := w.raw("GET", at+"/"+id+"/raw", "", token, "Range: bytes=4-11")
	if part.code != 206 || string(part.text) != audio[4:12] || part.header.Get("Content-Range") != fmt.Sprintf("bytes 4-11/%d", len(audio)) {
		t.Errorf("%d %q %s", part.code, part.text, part.header)
	}
	// As the body, with what is known of it in the query.
	a = w.raw("PUT", at+"?caller_id_name=Ann&folder=saved", audio, token, "Content-Type: audio/wav")
	if a.code != 201 || a.str("caller_id_name") != "Ann" || a.str("folder") != "saved" {
		t.Errorf("%d %s", a.code, a.text)
	}
	// Later, and again.
	later := w.deposit(at, `{"caller_id_name":"Bob"}`)
	if a := w.call("GET", at+"/"+later+"/raw", ""); a.code != 404 {
		t.Errorf("%d", a.code)
	}
	for _, samples := range []int{400, 1600} {
		a := w.raw("PUT", at+"/"+later+"/raw", wav(samples), token, "Content-Type: audio/x-wav")
		if a.code != 200 || fmt.Sprint(a.at("length")) != fmt.Sprint(samples/8) || a.str("caller_id_name") != "Bob" {
			t.Errorf("%d %s", a.code, a.text)
		}
	}
	// A copy plays too, and a moved one.
	other, to := w.mailbox("2", "")
	copied := stringsOf(w.must("POST", at+"/"+id, `{"source_id":["`+other+`"]}`).at("succeeded"))
	if raw := w.raw("GET", to+"/"+copied[0]+"/raw", "", token); string(raw.text) != audio {
		t.Errorf("%d", raw.code)
	}
	m, err := w.store.GetMessage(context.Background(), w.account, id)
	if used, err2 := w.store.MessageBlob(context.Background(), w.account, m.Blob); err != nil || err2 != nil || !used {
		t.Error(err, err2, used)
	}
	for contentType, body := range map[string]string{"audio/mpeg": audio, "audio/x-wav": "no audio at all", "application/octet-stream": "x"} {
		if a := w.raw("PUT", at, body, token, "Content-Type: "+contentType); a.code != 415 {
			t.Errorf("%s: %d %s", contentType, a.code, a.text)
		}
	}
	if a := w.raw("PUT", at+"/"+later+"/raw", "", token); a.code != 400 {
		t.Errorf("no audio: %d %s", a.code, a.text)
	}
	if rows := w.must("GET", at, "").rows(); len(rows) != 3 {
		t.Errorf("%d messages", len(rows))
	}
}

// TestPlainUserReadsTheOwnMessages, and moves none into, or out of, another's box.
func TestPlainUserReadsTheOwnMessages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	me := w.must("PUT", w.own("/users"), `{"first_name":"Me","username":"me","password":"pw"}`).str("id")
	mine, at := w.mailbox("1", `,"owner_id":"`+me+`"`)
	second, _ := w.mailbox("3", `,"owner_id":"`+me+`"`)
	other, theirs := w.mailbox("2", "")
	id, foreign := w.deposit(at, `{}`), w.deposit(theirs, `{"caller_id_name":"Secret"}`)
	login := w.raw("PUT", "/v2/user_auth", `{"data":{"credentials":"`+md5Of("me:pw")+`","account_name":"acme"}}`)
	token, _ := login.body["auth_token"].(string)
	for _, c := range []struct {
		verb, path, data string
		want             int
	}{
		{"GET", at, "", 200},
		{"GET", at + "/" + id, "", 200},
		{"POST", at + "/" + id, `{"folder":"saved"}`, 200},
		{"POST", at + "/" + id, `{"source_id":["` + other + `"]}`, 400},
		{"POST", at + "/" + id, `{"source_id":["` + second + `"]}`, 200},
		{"GET", theirs, "", 403},
		{"GET", theirs + "/" + foreign, "", 403},
		{"GET", at + "/" + foreign, "", 404},
		{"POST", at + "/" + foreign, `{"source_id":"` + mine + `"}`, 404},
		{"POST", at, `{"messages":["` + foreign + `"],"source_id":"` + mine + `"}`, 200},
		{"DELETE", theirs + "/" + foreign, "", 403},
		{"GET", w.own("/vmboxes/messages"), "", 403},
		{"DELETE", at + "/" + id, "", 200},
	} {
		if a := w.as(token, c.verb, c.path, c.data); a.code != c.want || strings.Contains(string(a.text), "Secret") {
			t.Errorf("%s %s %s: %d, want %d: %s", c.verb, c.path, c.data, a.code, c.want, a.text)
		}
	}
	if rows := w.must("GET", theirs, "").rows(); len(rows) != 1 {
		t.Errorf("%v", rows)
	}
}

// TestMessageHistory: who did what to a message over the API is on record, also when the message is gone.
func TestMessageHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, at := w.mailbox("3000", "")
	two, other := w.mailbox("3001", "")
	id := w.deposit(at, `{"caller_id_name":"Ann"}`)
	w.must("POST", at+"/"+id, `{"folder":"saved"}`)
	if a := w.raw("PUT", at+"/"+id+"/raw", wav(800), "X-Auth-Token: "+w.token, "Content-Type: audio/x-wav"); a.code != 200 {
		t.Fatalf("%d %s", a.code, a.text)
	}
	w.must("POST", at+"/"+id, `{"source_id":"`+two+`"}`)
	copied := w.must("POST", other+"/"+id, `{"source_id":["`+one+`"]}`).at("succeeded").([]any)[0].(string)
	w.must("DELETE", other+"/"+id, "")
	if a := w.call("DELETE", other+"/"+id+"?should_soft_delete=false", ""); a.code != 200 {
		t.Fatalf("%d %s", a.code, a.text)
	}
	var got []string
	for next := ""; ; {
		a := w.must("GET", other+"/"+id+"/history?page_size=4&start_key="+next, "")
		for _, row := range a.rows() {
			in := func(key string) string {
				m := mapOf(row[key])
				folder, _ := m["folder"].(string)
				box, _ := m["source_id"].(string)
				return strings.NewReplacer(one, "one", two, "two").Replace(box) + "/" + folder
			}
			got = append(got, fmt.Sprint(row["action"], " ", in("before"), " ", in("after"), " ", text(row["also_changed"]), " ", mapOf(row["by"])["method"], " ", row["client_ip"]))
		}
		if next, _ = a.body["next_start_key"].(string); next == "" {
			break
		}
	}
	const by = " api_auth 192.0.2.7"
	want := []string{"deleted two/deleted / []" + by, "edited two/saved two/deleted []" + by, "edited one/saved two/saved []" + by,
		`edited one/saved one/saved ["audio"]` + by, "edited one/new one/saved []" + by, "created / one/new []" + by}
	if !slices.Equal(got, want) {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if rows := w.must("GET", at+"/"+copied+"/history", "").rows(); len(rows) != 1 || rows[0]["action"] != "created" {
		t.Errorf("the copy: %s", text(rows))
	}
	// What a call leaves has no history, and what never was is not found.
	if err := w.store.SaveMessage(context.Background(), store.MessageRow{ID: "202611-call", AccountID: w.account, BoxID: one, Folder: "new"}); err != nil {
		t.Fatal(err)
	}
	if rows := w.must("GET", at+"/202611-call/history", "").rows(); len(rows) != 0 {
		t.Errorf("%s", text(rows))
	}
	if a := w.call("GET", at+"/202611-none/history", ""); a.code != 404 {
		t.Errorf("%d %s", a.code, a.text)
	}
}
