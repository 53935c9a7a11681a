package crossbar_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bugle/internal/crossbar"
	"bugle/internal/store"
)

func TestDeviceGetsCredentialsAndKeepsThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.must("PUT", w.own("/devices"), `{"name":"Desk"}`)
	id, username, password := a.str("id"), a.str("sip", "username"), a.str("sip", "password")
	if !strings.HasPrefix(username, "user_") || len(password) < 16 || a.str("sip", "method") != "password" {
		t.Fatalf("%s", a.text)
	}
	d, err := w.store.GetByKey(context.Background(), store.Key{Space: crossbar.KeySIPUsername, Scope: w.account, Value: username})
	if err != nil || d.ID != id {
		t.Fatal(err, d.ID)
	}
	if strings.Contains(string(d.Body), password) {
		t.Fatal("the password is stored in plain")
	}
	if a := w.must("POST", w.own("/devices/"+id), `{"name":"Desk 2"}`); a.str("sip", "username") != username || a.str("sip", "password") != password {
		t.Errorf("a replacement changed the credentials: %s", a.text)
	}
	sealed := d.Body
	w.must("PATCH", w.own("/devices/"+id), `{"name":"Desk 3"}`)
	d, _ = w.store.GetByKey(context.Background(), store.Key{Space: crossbar.KeySIPUsername, Scope: w.account, Value: username})
	if got, want := sealedPart(string(d.Body)), sealedPart(string(sealed)); got != want || got == "" {
		t.Errorf("the seal of an unchanged password changed: %s, %s", got, want)
	}
	if a := w.call("PUT", w.own("/devices"), `{"name":"Twin","sip":{"username":"`+username+`"}}`); a.code != 400 ||
		a.at("sip.username", "unique", "message") != "SIP credentials already in use" {
		t.Errorf("%d %s", a.code, a.text)
	}
	// In another realm the name is free.
	w.must("PUT", "/v2/accounts/"+w.newAccount("Umbrella")+"/devices", `{"name":"Twin","sip":{"username":"`+username+`"}}`)
	if len(w.phones.flushed) != 0 {
		t.Error("flushed", w.phones.flushed)
	}
	w.must("PATCH", w.own("/devices/"+id), `{"enabled":false}`)
	if !slices.Equal(w.phones.flushed, []string{w.account + "/" + username}) {
		t.Error("not flushed", w.phones.flushed)
	}
	// A plain user does not read it.
	user := w.must("PUT", w.own("/users"), `{"first_name":"U","username":"plain","password":"pw"}`).str("id")
	w.must("PATCH", w.own("/devices/"+id), `{"owner_id":"`+user+`"}`)
	login := w.raw("PUT", "/v2/user_auth", `{"data":{"credentials":"`+md5Of("plain:pw")+`","account_name":"acme"}}`)
	token, _ := login.body["auth_token"].(string)
	if a := w.as(token, "GET", w.own("/devices/"+id), ""); a.code != 200 || a.at("sip", "password") != nil {
		t.Errorf("%d %s", a.code, a.text)
	}
}

func sealedPart(body string) string {
	_, rest, _ := strings.Cut(body, `"password":"`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

func TestDeviceByAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for data, path := range map[string]string{
		`{"name":"Gateway","sip":{"method":"ip"}}`:                              "sip.ip",
		`{"name":"Gateway","sip":{"method":"ip","ip":"300.1.1.1"}}`:             "sip.ip",
		`{"name":"Gateway","sip":{"method":"ip","ip":"0.0.0.0"}}`:               "sip.ip",
		`{"name":"Desk","sip":{"realm":"umbrella.example.com"}}`:                "sip.realm",
		`{"name":"Desk","sip":{"username":"a b"}}`:                              "sip.username",
		`{"name":"Desk","mac_address":"xyz"}`:                                   "mac_address",
		`{"name":"Desk","owner_id":"short"}`:                                    "owner_id",
		`{"name":"Desk","sip":{"password":"1234"}}`:                             "sip.password",
		`{"name":"Desk","sip":"none"}`:                                          "sip",
		`{"name":"Desk","media":{"audio":{"codecs":["PCMU","PCMU"]}}}`:          "media.audio.codecs",
		`{"name":"Desk","media":{"audio":{"codecs":["PCMU","MP3"]}}}`:           "media.audio.codecs.1",
		`{"name":"Desk","directories":{"00000000000000000000000000000000":[]}}`: "directories.00000000000000000000000000000000",
	} {
		if a := w.call("PUT", w.own("/devices"), data); a.code != 400 || a.at(path) == nil {
			t.Errorf("%s: %d %s", data, a.code, a.text)
		}
	}
	a := w.must("PUT", w.own("/devices"), `{"name":"Gateway","sip":{"method":"ip","ip":"198.51.100.7"}}`)
	if a.at("sip", "password") != nil {
		t.Errorf("%s", a.text)
	}
	other := "/v2/accounts/" + w.newAccount("Umbrella") + "/devices"
	if a := w.call("PUT", other, `{"name":"Gateway","sip":{"method":"ip","ip":"::ffff:198.51.100.7"}}`); a.code != 400 || a.at("sip.ip", "unique") == nil {
		t.Errorf("%d %s", a.code, a.text)
	}
	w.must("PUT", w.own("/devices"), `{"name":"One","mac_address":"00-1B-44-11-3A-B7"}`)
	if a := w.call("PUT", other, `{"name":"Two","mac_address":"001b44113ab7"}`); a.code != 400 || a.at("mac_address", "unique") == nil {
		t.Errorf("%d %s", a.code, a.text)
	}
	user := w.must("PUT", w.own("/users"), `{"first_name":"U"}`).str("id")
	mine := w.must("PUT", w.own("/devices"), `{"name":"Mine","owner_id":"`+user+`"}`).str("id")
	if a := w.must("GET", w.own("/users/"+user+"/devices"), ""); len(a.rows()) != 1 || a.rows()[0]["id"] != mine {
		t.Errorf("%s", a.text)
	}
	if a := w.call("GET", w.own("/users/00000000000000000000000000000000/devices"), ""); a.code != 404 {
		t.Errorf("%d %s", a.code, a.text)
	}
}

func TestDirectoryShowsAllMembers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.must("PUT", w.own("/directories"), `{"name":"All"}`).str("id")
	var want []string
	for i := range 60 {
		want = append(want, w.must("PUT", w.own("/users"), fmt.Sprintf(`{"first_name":"U%d","directories":{"%s":"flow%d"}}`, i, id, i)).str("id"))
	}
	want = append(want, w.must("PUT", w.own("/devices"), `{"name":"Lobby","directories":{"`+id+`":"flow"}}`).str("id"))
	slices.Sort(want)
	members := func() []string {
		var got []string
		list, _ := w.must("GET", w.own("/directories/"+id), "").at("users").([]any)
		for _, m := range list {
			got = append(got, m.(map[string]any)["user_id"].(string))
		}
		return got
	}
	if got := members(); !slices.Equal(got, want) {
		t.Fatalf("%d members, want %d", len(got), len(want))
	}
	last := want[0]
	kind := "/users/"
	if a := w.call("GET", w.own(kind+last), ""); a.code != 200 {
		kind = "/devices/"
	}
	w.must("PATCH", w.own(kind+last), `{"directories":{"`+id+`":null}}`)
	w.must("DELETE", w.own("/users/"+slices.DeleteFunc(slices.Clone(want[1:]), func(id string) bool {
		return w.call("GET", w.own("/users/"+id), "").code != 200
	})[0]), "")
	if got := members(); len(got) != len(want)-2 {
		t.Fatalf("%d members", len(got))
	}
	// GET, edit, POST works although users is computed.
	text := string(w.must("GET", w.own("/directories/"+id), "").text)
	_, rest, _ := strings.Cut(text, `"data":`)
	data, _, _ := strings.Cut(rest, `,"node"`)
	if a := w.must("POST", w.own("/directories/"+id), data); len(a.at("users").([]any)) != len(want)-2 {
		t.Fatalf("%s", a.text)
	}
}

func TestMediaUpload(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.must("PUT", w.own("/media"), `{"name":"Greeting","prompt_id":"dir-intro","content_length":5}`).str("id")
	raw := w.own("/media/" + id + "/raw")
	if a := w.call("GET", raw, ""); a.code != 404 {
		t.Errorf("%d %s", a.code, a.text)
	}
	send := func(contentType, body string) answer {
		return w.raw("POST", raw, body, "X-Auth-Token: "+w.token, "Content-Type: "+contentType)
	}
	for contentType, body := range map[string]string{"audio/mpeg": "ID3", "audio/x-wav": "RIFFnothing", "application/octet-stream": "x", "text/plain": "x"} {
		a := send(contentType, body)
		if message := a.str("message"); a.code != 415 || !strings.Contains(message, "WAV") {
			t.Errorf("%s: %d %s", contentType, a.code, a.text)
		}
	}
	if a := send("audio/x-wav", ""); a.code != 400 {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := send("audio/x-wav", strings.Repeat("x", 11_534_337)); a.code != 413 || a.at("file", "maxSize") == nil {
		t.Errorf("%d %s", a.code, a.text)
	}
	for name, body := range map[string]string{"MP3 inside WAV": wavOf(0x55, 16, 8000, 100), "24 bits": wavOf(1, 24, 8000, 99),
		"96 kHz": wavOf(1, 16, 96000, 100), "4 kHz": wavOf(1, 16, 4000, 100), "no samples": wav(0)} {
		if a := send("audio/x-wav", body); a.code != 415 || a.str("message") == "" {
			t.Errorf("%s: %d %s", name, a.code, a.text)
		}
	}
	for name, body := range map[string]string{"A-law": wavOf(6, 8, 8000, 800), "µ-law": wavOf(7, 8, 8000, 800), "8 bits": wavOf(1, 8, 11025, 800),
		"48 kHz": wavOf(1, 16, 48000, 4800)} {
		if a := send("audio/wav", body); a.code != 200 {
			t.Errorf("%s: %d %s", name, a.code, a.text)
		}
	}
	audio := wav(8000)
	if a := send("audio/x-wav", audio); a.code != 200 || fmt.Sprint(a.at("content_length")) != fmt.Sprint(len(audio)) {
		t.Fatalf("%d %s", a.code, a.text)
	}
	got := w.raw("GET", raw, "", "X-Auth-Token: "+w.token)
	if got.code != 200 || string(got.text) != audio || got.header.Get("Content-Type") != "audio/x-wav" {
		t.Errorf("%d %d bytes %v", got.code, len(got.text), got.header)
	}
	if got := w.raw("GET", raw, "", "X-Auth-Token: "+w.token, "Range: bytes=0-3"); got.code != 206 || string(got.text) != "RIFF" {
		t.Errorf("%d %q", got.code, got.text)
	}
	// The document's own path takes and gives the audio too, when the types say so.
	if a := w.raw("POST", w.own("/media/"+id), audio, "X-Auth-Token: "+w.token, "Content-Type: audio/x-wav"); a.code != 200 {
		t.Errorf("%d %s", a.code, a.text)
	}
	if got := w.raw("GET", w.own("/media/"+id), "", "X-Auth-Token: "+w.token, "Accept: audio/*"); string(got.text) != audio {
		t.Errorf("%d %s", got.code, got.text)
	}
	// An edit neither loses the audio nor lies about it.
	a := w.must("POST", w.own("/media/"+id), `{"name":"Greeting 2","content_length":1,"prompt_id":"dir-intro"}`)
	if fmt.Sprint(a.at("content_length")) != fmt.Sprint(len(audio)) {
		t.Errorf("%s", a.text)
	}
	if got := w.raw("GET", raw, "", "X-Auth-Token: "+w.token); string(got.text) != audio {
		t.Error("the audio was lost")
	}
	if a := w.call("PUT", w.own("/media"), `{"name":"Other","prompt_id":"Dir-Intro","language":"EN-us"}`); a.code != 400 || a.at("prompt_id", "unique") == nil {
		t.Errorf("%d %s", a.code, a.text)
	}
	w.must("PUT", w.own("/media"), `{"name":"Other","prompt_id":"dir-intro","language":"pl-pl"}`)
	if a := w.must("GET", w.own("/media"), ""); len(a.rows()) != 2 || a.rows()[0]["is_prompt"] != true {
		t.Errorf("%s", a.text)
	}
}

func TestRegistrationsAndChannels(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := w.clock.now()
	w.phones.list[w.account] = []crossbar.Registration{
		{DeviceID: "d1", OwnerID: "u1", Username: "user_1", Realm: "acme.example.com", Contact: "sip:user_1@10.0.0.1:5060",
			Source: "192.0.2.9:5071", Registered: now, ExpiresAt: now.Add(90 * time.Second)},
		{DeviceID: "d1", Username: "user_1"}, {DeviceID: "d2", Username: "user_2"}}
	a := w.must("GET", w.own("/registrations"), "")
	if rows := a.rows(); len(rows) != 3 || rows[0]["contact_ip"] != "192.0.2.9" || fmt.Sprint(rows[0]["contact_port"]) != "5071" ||
		fmt.Sprint(rows[0]["expires"]) != "90" || rows[0]["account_name"] != "Acme" {
		t.Errorf("%s", a.text)
	}
	if a := w.must("GET", w.own("/registrations/count"), ""); fmt.Sprint(a.at("count")) != "3" {
		t.Errorf("%s", a.text)
	}
	if a := w.must("GET", w.own("/devices/status"), ""); len(a.rows()) != 2 {
		t.Errorf("%s", a.text)
	}
	if a := w.must("DELETE", w.own("/registrations/user_1"), ""); a.data() != "ok" {
		t.Errorf("%s", a.text)
	}
	if a := w.must("GET", w.own("/registrations/count"), ""); fmt.Sprint(a.at("count")) != "1" {
		t.Errorf("%s", a.text)
	}
	w.must("DELETE", w.own("/registrations"), "")
	if a := w.must("GET", w.own("/registrations/count"), ""); fmt.Sprint(a.at("count")) != "0" {
		t.Errorf("%s", a.text)
	}

	w.calls.list[w.account] = []crossbar.Channel{{ID: "a/b@host", Answered: true, Direction: "inbound", Started: now.Add(-5 * time.Second),
		Variables: map[string]string{"page": "pricing"}}}
	if a := w.must("GET", w.own("/channels"), ""); len(a.rows()) != 1 || fmt.Sprint(a.rows()[0]["elapsed_s"]) != "5" {
		t.Errorf("%s", a.text)
	}
	one := w.own("/channels/a%2Fb@host")
	if a := w.must("GET", one, ""); a.str("uuid") != "a/b@host" || a.at("custom_application_vars", "page") != "pricing" {
		t.Errorf("%s", a.text)
	}
	if a := w.call("POST", one, `{"action":"fly"}`); a.code != 400 || a.body["message"] != "invalid data" {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.call("POST", one, `{"action":"hangup"}`); a.code != http.StatusAccepted || a.body["status"] != "success" {
		t.Errorf("%d %s", a.code, a.text)
	}
	if !slices.Equal(w.calls.ends, []string{"a/b@host"}) {
		t.Error(w.calls.ends)
	}
	if a := w.call("POST", w.own("/channels/gone"), `{"action":"hangup"}`); a.code != 404 {
		t.Errorf("%d %s", a.code, a.text)
	}
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.must("PUT", "/v2/accounts/"+w.account, `{"name":"Branch"}`)
	branch, realm := a.str("id"), a.str("realm")
	if !strings.HasSuffix(realm, ".bugle.invalid") {
		t.Errorf("%s", a.text)
	}
	if a := w.call("PUT", "/v2/accounts", `{"name":"branch!","realm":"ACME.example.com"}`); a.code != 400 ||
		a.at("realm", "unique", "message") != "Account realm already in use" || a.at("name", "unique") == nil {
		t.Errorf("%d %s", a.code, a.text)
	}
	// A replacement without a realm keeps it: phones are registered there.
	if a := w.must("POST", "/v2/accounts/"+branch, `{"name":"Branch","language":"pl"}`); a.str("realm") != realm {
		t.Errorf("%s", a.text)
	}
	key := w.must("GET", "/v2/accounts/"+branch+"/api_key", "").str("api_key")
	token := w.keyToken(key)
	renewed := w.must("PUT", "/v2/accounts/"+branch+"/api_key", "").str("api_key")
	if renewed == key || len(renewed) != 64 {
		t.Error(key, renewed)
	}
	if a := w.as(token, "GET", "/v2/accounts/"+branch, ""); a.code != 401 {
		t.Errorf("a token of the old key: %d", a.code)
	}
	if a := w.raw("PUT", "/v2/api_auth", `{"data":{"api_key":"`+key+`"}}`); a.code != 404 {
		t.Errorf("the old key: %d", a.code)
	}
	token = w.keyToken(renewed)
	if a := w.as(token, "PUT", "/v2/accounts/"+w.account, `{"name":"Up"}`); a.code != 403 {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.call("DELETE", w.own(""), ""); a.code != 409 || a.body["message"] != "account_has_descendants" {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.call("DELETE", "/v2/accounts/"+w.master.AccountID, ""); a.code != 403 {
		t.Errorf("%d %s", a.code, a.text)
	}
	w.must("PUT", "/v2/accounts/"+branch+"/devices", `{"name":"G","sip":{"method":"ip","ip":"198.51.100.8"}}`)
	w.must("PATCH", "/v2/accounts/"+branch, `{"enabled":false}`)
	if a := w.as(token, "GET", "/v2/accounts/"+branch, ""); a.code != 401 {
		t.Errorf("a disabled account: %d", a.code)
	}
	if a := w.must("DELETE", "/v2/accounts/"+branch, ""); a.at("_read_only", "deleted") != true {
		t.Errorf("%s", a.text)
	}
	if a := w.call("GET", "/v2/accounts/"+branch+"/devices", ""); a.code != 404 {
		t.Errorf("%d %s", a.code, a.text)
	}
	// What it held is free.
	w.must("PUT", w.own("/devices"), `{"name":"G","sip":{"method":"ip","ip":"198.51.100.8"}}`)
	w.must("PUT", "/v2/accounts", `{"name":"Branch","realm":"`+realm+`"}`)
}

func TestEnsureMasterTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	again, created, err := w.api.EnsureMaster(context.Background(), "another password", "", nil)
	if err != nil || created || again.Password != "" || again.APIKey != "" || again.AccountID != w.master.AccountID {
		t.Error(again, created, err)
	}
	a := w.raw("PUT", "/v2/user_auth", `{"data":{"credentials":"`+md5Of("admin:"+testPassword)+`","account_name":"master"}}`)
	if a.code != 201 || a.at("is_master_account") != true {
		t.Errorf("%d %s", a.code, a.text)
	}
	if _, _, err := w.api.EnsureMaster(context.Background(), "", "zz", nil); err == nil {
		t.Error("a bad key was taken")
	}
}

// TestPatchesAtOnceLoseNone: each of a hundred clients adds a key of its own.
func TestPatchesAtOnceLoseNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.must("PUT", w.own("/menus"), `{"name":"Busy"}`).str("id")
	var wait sync.WaitGroup
	for i := range 100 {
		wait.Go(func() {
			if a := w.call("PATCH", w.own("/menus/"+id), fmt.Sprintf(`{"ui_metadata":{"k%d":%d}}`, i, i)); a.code != 200 {
				t.Errorf("%d %s", a.code, a.text)
			}
		})
	}
	wait.Wait()
	a := w.must("GET", w.own("/menus/"+id), "")
	if kept, _ := a.at("ui_metadata").(map[string]any); len(kept) != 100 {
		t.Errorf("%d of 100 survived", len(kept))
	}
	if rev, _ := a.body["revision"].(string); !strings.HasPrefix(rev, "101-") {
		t.Error(rev)
	}
}

// TestOneNumberIsWonOnce: of many that want a number at once one gets it, and the others are told who.
func TestOneNumberIsWonOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var wait sync.WaitGroup
	var mu sync.Mutex
	codes := map[int]int{}
	for i := range 20 {
		wait.Go(func() {
			a := w.call("PUT", w.own("/callflows"), fmt.Sprintf(`{"name":"f%d","numbers":["1001"],"flow":{}}`, i))
			mu.Lock()
			defer mu.Unlock()
			codes[a.code]++
			if message, _ := a.at("numbers", "unique", "message").(string); a.code == 400 && !strings.HasPrefix(message, "Number 1001 exists in callflow ") {
				t.Errorf("%s", a.text)
			}
		})
	}
	wait.Wait()
	if codes[201] != 1 || codes[400] != 19 {
		t.Error(codes)
	}
}

func TestIfMatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.must("PUT", w.own("/menus"), `{"name":"M"}`)
	path, etag := w.own("/menus/"+a.str("id")), a.header.Get("Etag")
	for _, verb := range []string{"POST", "PATCH", "DELETE"} {
		if a := w.call(verb, path, `{"name":"N"}`, `If-Match: "1-0123"`); a.code != 412 {
			t.Errorf("%s: %d %s", verb, a.code, a.text)
		}
	}
	// Validation comes first.
	if a := w.call("PATCH", path, `{"name":""}`, `If-Match: "1-0123"`); a.code != 400 {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.call("PATCH", path, `{"name":"N"}`, `If-Match: "other", `+etag); a.code != 200 {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.call("GET", path, "", "If-None-Match: "+etag); a.code != 200 {
		t.Errorf("%d", a.code)
	}
	etag = w.call("GET", path, "").header.Get("Etag")
	if a := w.call("GET", path, "", "If-None-Match: "+etag); a.code != 304 || len(a.text) != 0 {
		t.Errorf("%d %s", a.code, a.text)
	}
	list := w.call("GET", w.own("/menus"), "").header.Get("Etag")
	if a := w.call("GET", w.own("/menus"), "", "If-None-Match: "+list); a.code != 304 {
		t.Errorf("%d", a.code)
	}
}

// TestDocumentGrowsBeyondOneBody: what many PATCHes have put together can still be read, and edited.
func TestDocumentGrowsBeyondOneBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.must("PUT", w.own("/menus"), `{"name":"Big"}`).str("id")
	for i := range 3 {
		w.must("PATCH", w.own("/menus/"+id), fmt.Sprintf(`{"n%d":[1%s]}`, i, strings.Repeat(",1", 60_000)))
	}
	w.must("PATCH", w.own("/menus/"+id), `{"name":"Bigger"}`)
	if list, _ := w.must("GET", w.own("/menus/"+id), "").at("n2").([]any); len(list) != 60_001 {
		t.Error(len(list))
	}
}

// TestDeletedAccountKeepsNothing: what is created while the account is being deleted goes too, or is refused.
func TestDeletedAccountKeepsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	doomed := w.newAccount("Doomed")
	var wait sync.WaitGroup
	started := make(chan struct{}, 100)
	for i := range 8 {
		wait.Go(func() {
			for j := range 2000 {
				a := w.call("PUT", "/v2/accounts/"+doomed+"/devices", fmt.Sprintf(`{"name":"D","sip":{"method":"ip","ip":"10.0.%d.%d"}}`, i, j%250+1))
				if a.code == 404 {
					return
				}
				if a.code != 201 && a.code != 400 {
					t.Errorf("%d %s", a.code, a.text)
					return
				}
				select {
				case started <- struct{}{}:
				default:
				}
			}
		})
	}
	<-started
	if a := w.call("DELETE", "/v2/accounts/"+doomed, ""); a.code != 200 {
		t.Errorf("%d %s", a.code, a.text)
	}
	wait.Wait()
	docs, _, err := w.store.List(context.Background(), store.Query{AccountID: doomed, Type: crossbar.TypeDevice})
	if err != nil || len(docs) != 0 {
		t.Errorf("%d devices are left, %v", len(docs), err)
	}
}
