package crossbar_test

import (
	"crypto/sha1"
	"encoding/hex"
	"strings"
	"testing"
	"time"
)

func TestUserLogsInWithHashedCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	created := w.must("PUT", w.own("/users"), `{"first_name":"Ada","last_name":"King","username":"Ada.King","password":"s3cret","priv_level":"admin"}`)
	if created.str("username") != "ada.king" || created.at("password") != nil {
		t.Fatalf("%s", created.text)
	}
	if strings.Contains(string(created.text), "s3cret") {
		t.Fatal("the password came back")
	}
	sha := sha1.Sum([]byte("ada.king:s3cret"))
	for name, data := range map[string]string{
		"md5 by name":  `{"credentials":"` + md5Of("ada.king:s3cret") + `","account_name":"A c m e!"}`,
		"md5 by realm": `{"credentials":"` + md5Of("ada.king:s3cret") + `","realm":"ACME.example.com"}`,
		"sha":          `{"credentials":"` + hex.EncodeToString(sha[:]) + `","method":"sha","account_name":"acme"}`,
	} {
		a := w.raw("PUT", "/v2/user_auth", `{"data":`+data+`}`)
		if a.code != 201 || a.str("owner_id") != created.str("id") || a.str("account_id") != w.account {
			t.Errorf("%s: %d %s", name, a.code, a.text)
			continue
		}
		token, _ := a.body["auth_token"].(string)
		if got := w.as(token, "GET", w.own("/users/"+created.str("id")), ""); got.code != 200 || got.str("first_name") != "Ada" {
			t.Errorf("%s: %d %s", name, got.code, got.text)
		}
		// Another account's things stay out of reach.
		if got := w.as(token, "GET", "/v2/accounts/"+w.master.AccountID+"/users", ""); got.code != 403 {
			t.Errorf("%s: master's users: %d %s", name, got.code, got.text)
		}
	}
	for name, data := range map[string]string{
		"wrong password":  `{"credentials":"` + md5Of("ada.king:wrong") + `","account_name":"acme"}`,
		"unknown user":    `{"credentials":"` + md5Of("nobody:s3cret") + `","account_name":"acme"}`,
		"unknown account": `{"credentials":"` + md5Of("ada.king:s3cret") + `","account_name":"nosuch"}`,
		"other account":   `{"credentials":"` + md5Of("ada.king:s3cret") + `","account_name":"master"}`,
	} {
		a := w.raw("PUT", "/v2/user_auth", `{"data":`+data+`}`)
		if a.code != 401 || a.body["message"] != "invalid_credentials" || a.str("message") != "invalid credentials" {
			t.Errorf("%s: %d %s", name, a.code, a.text)
		}
	}
}

func TestPasswordChangeEndsTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.must("PUT", w.own("/users"), `{"first_name":"Ada","username":"ada","password":"one","priv_level":"admin"}`).str("id")
	login := func(password string) (string, int) {
		a := w.raw("PUT", "/v2/user_auth", `{"data":{"credentials":"`+md5Of("ada:"+password)+`","account_name":"acme"}}`)
		token, _ := a.body["auth_token"].(string)
		return token, a.code
	}
	token, _ := login("one")
	path := w.own("/users/" + id)
	if a := w.as(token, "GET", path, ""); a.code != 200 {
		t.Fatalf("%d %s", a.code, a.text)
	}
	w.must("PATCH", path, `{"timezone":"Europe/Warsaw"}`)
	if a := w.as(token, "GET", path, ""); a.code != 200 {
		t.Fatalf("an edit ended the token: %d %s", a.code, a.text)
	}
	w.must("PATCH", path, `{"password":"two"}`)
	if a := w.as(token, "GET", path, ""); a.code != 401 || a.body["message"] != "invalid credentials" {
		t.Fatalf("%d %s", a.code, a.text)
	}
	if _, code := login("one"); code != 401 {
		t.Fatal("the old password still works")
	}
	token, code := login("two")
	if code != 201 {
		t.Fatal(code)
	}
	w.must("PATCH", path, `{"enabled":false}`)
	if a := w.as(token, "GET", path, ""); a.code != 401 {
		t.Fatalf("a disabled user still reads: %d", a.code)
	}
	w.must("PATCH", path, `{"enabled":true}`)
	if a := w.as(token, "GET", path, ""); a.code != 200 {
		t.Fatalf("%d", a.code)
	}
	w.clock.advance(61 * time.Minute)
	if a := w.as(token, "GET", path, ""); a.code != 401 {
		t.Fatalf("an expired token: %d", a.code)
	}
}

func TestUsernameAndPasswordGoTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if a := w.call("PUT", w.own("/users"), `{"first_name":"A","username":"abc"}`); a.code != 400 || a.at("password", "required") == nil {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.call("PUT", w.own("/users"), `{"first_name":"A","password":"abc"}`); a.code != 400 || a.at("username", "required") == nil {
		t.Errorf("%d %s", a.code, a.text)
	}
	id := w.must("PUT", w.own("/users"), `{"first_name":"A","username":"abc","password":"pw"}`).str("id")
	if a := w.call("PUT", w.own("/users"), `{"first_name":"B","username":"ABC","password":"x"}`); a.code != 400 || a.at("username", "unique") == nil {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.call("PATCH", w.own("/users/"+id), `{"username":"abcd"}`); a.code != 400 || a.at("password", "required") == nil {
		t.Errorf("%d %s", a.code, a.text)
	}
	// What GET returned can be sent back: the password stays.
	w.must("POST", w.own("/users/"+id), `{"first_name":"A2","username":"abc"}`)
	if a := w.raw("PUT", "/v2/user_auth", `{"data":{"credentials":"`+md5Of("abc:pw")+`","account_name":"acme"}}`); a.code != 201 {
		t.Errorf("%d %s", a.code, a.text)
	}
	// The name is free again after the user is gone, in this account; and free in others all the time.
	w.must("DELETE", w.own("/users/"+id), "")
	w.must("PUT", w.own("/users"), `{"first_name":"C","username":"abc","password":"pw"}`)
	w.must("PUT", "/v2/accounts/"+w.newAccount("Umbrella")+"/users", `{"first_name":"C","username":"abc","password":"pw"}`)
}

func TestUserNeedsOneNameOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, data := range []string{`{"first_name":"Zendaya"}`, `{"last_name":"Cher"}`} {
		w.must("PUT", w.own("/users"), data)
	}
	for _, data := range []string{`{}`, `{"first_name":" "}`, `{"email":"a@b.example"}`} {
		a := w.call("PUT", w.own("/users"), data)
		if a.code != 400 || a.at("first_name", "required") == nil || a.at("last_name", "required") == nil {
			t.Errorf("%s: %d %s", data, a.code, a.text)
		}
	}
}

func TestGuessingIsSlowedDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must("PUT", w.own("/users"), `{"first_name":"A","username":"abc","password":"pw"}`)
	try := func(password, account, from string) answer {
		return w.raw("PUT", "/v2/user_auth", `{"data":{"credentials":"`+md5Of("abc:"+password)+`","account_name":"`+account+`"}}`)
	}
	for i := range 10 {
		if a := try("wrong", "acme", ""); a.code != 401 {
			t.Fatalf("attempt %d: %d %s", i, a.code, a.text)
		}
	}
	a := try("pw", "acme", "")
	if a.code != 429 || a.body["message"] != "too_many_requests" || a.header.Get("Retry-After") != "60" {
		t.Fatalf("%d %s %v", a.code, a.text, a.header)
	}
	if a := try("pw", "umbrella", ""); a.code != 401 {
		t.Fatalf("another name is kept out too: %d", a.code)
	}
	w.clock.advance(61 * time.Second)
	if a := try("pw", "acme", ""); a.code != 201 {
		t.Fatalf("%d %s", a.code, a.text)
	}
}
