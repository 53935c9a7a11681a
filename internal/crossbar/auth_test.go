package crossbar_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"bugle/internal/crossbar"
)

func (w *world) login(data string) answer {
	w.t.Helper()
	return w.raw("PUT", "/v2/user_auth", `{"data":`+data+`}`)
}

func (w *world) loginToken(username, password, account string) string {
	w.t.Helper()
	a := w.login(`{"credentials":"` + md5Of(username+":"+password) + `","account_name":"` + account + `"}`)
	token, _ := a.body["auth_token"].(string)
	if a.code != 201 {
		w.t.Fatalf("%s: %d %s", username, a.code, a.text)
	}
	return token
}

func TestBasicAuthentication(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.must("PUT", w.own("/users"), `{"first_name":"Ada","username":"ada","password":"one"}`).str("id")
	key := w.must("GET", w.own("/api_key"), "").str("api_key")
	sha := sha1.Sum([]byte("ada:one"))
	basic := func(account, hash string) string {
		return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(account+":"+hash))
	}
	me := w.own("/users/" + id)
	for name, c := range map[string]struct {
		header string
		want   int
	}{
		"md5":              {basic(w.account, md5Of("ada:one")), 200},
		"upper case":       {basic(w.account, strings.ToUpper(md5Of("ada:one"))), 200},
		"sha":              {basic(w.account, hex.EncodeToString(sha[:])), 200},
		"API key":          {basic(w.account, md5Of(key)), 200},
		"wrong password":   {basic(w.account, md5Of("ada:two")), 401},
		"other account":    {basic(w.master.AccountID, md5Of("ada:one")), 401},
		"unknown account":  {basic(strings.Repeat("0", 32), md5Of("ada:one")), 401},
		"key itself":       {basic(w.account, key), 401},
		"no colon":         {"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(w.account)), 401},
		"not base64":       {"Authorization: Basic %%%", 401},
		"an unknown way":   {"Authorization: Digest x", 401},
		"bearer of nobody": {"Authorization: Bearer x", 401},
	} {
		for range 2 { // the second time is remembered
			a := w.raw("GET", me, "", c.header)
			if a.code != c.want || c.want == 200 && (a.str("first_name") != "Ada" || a.body["auth_token"] != nil) {
				t.Errorf("%s: %d %s", name, a.code, a.text)
			}
		}
	}
	// A plain user stays one; a changed password or key ends what was remembered.
	good := basic(w.account, md5Of("ada:one"))
	if a := w.raw("GET", w.own("/callflows"), "", good); a.code != 403 {
		t.Errorf("%d %s", a.code, a.text)
	}
	w.must("PATCH", me, `{"password":"two"}`)
	if a := w.raw("GET", me, "", good); a.code != 401 {
		t.Errorf("the old password still opens: %d", a.code)
	}
	w.must("PUT", w.own("/api_key"), `{}`)
	if a := w.raw("GET", me, "", basic(w.account, md5Of(key))); a.code != 401 {
		t.Errorf("the old key still opens: %d", a.code)
	}
	w.must("PATCH", me, `{"enabled":false}`)
	if a := w.raw("GET", me, "", basic(w.account, md5Of("ada:two"))); a.code != 401 {
		t.Errorf("a disabled user: %d", a.code)
	}
	for range 10 {
		w.raw("GET", me, "", basic(w.account, md5Of("ada:guess")))
	}
	if a := w.raw("GET", me, "", basic(w.account, md5Of("ada:guess"))); a.code != 429 {
		t.Errorf("guessing is not slowed down: %d", a.code)
	}
}

func TestTokensAreShownAndEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.must("PUT", w.own("/users"), `{"first_name":"Ada","username":"ada","password":"one","priv_level":"admin"}`).str("id")
	token, other := w.loginToken("ada", "one", "acme"), w.loginToken("ada", "one", "acme")
	for _, path := range []string{"/v2/user_auth/" + token, "/v2/token_auth", "/v2/user_auth"} {
		header := "X-Auth-Token: " + token
		if strings.Contains(path, token) {
			header = "X-None: 1" // who has the token may look at it
		}
		if a := w.raw("GET", path, "", header); a.code != 200 || a.str("owner_id") != id || a.str("account_id") != w.account ||
			a.str("account_name") != "Acme" || a.str("cluster_id") == "" {
			t.Errorf("%s: %d %s", path, a.code, a.text)
		}
	}
	if a := w.raw("GET", "/v2/user_auth/x.y.z", ""); a.code != 401 {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.raw("DELETE", "/v2/token_auth", ""); a.code != 401 {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.as(token, "DELETE", "/v2/token_auth", ""); a.code != 200 || a.body["auth_token"] != nil {
		t.Fatalf("%d %s", a.code, a.text)
	}
	for path, want := range map[string]int{"/v2/token_auth": 401, w.own("/users"): 401, "/v2/user_auth/" + token: 401} {
		if a := w.as(token, "GET", path, ""); a.code != want {
			t.Errorf("an ended token: %s: %d %s", path, a.code, a.text)
		}
	}
	if a := w.as(other, "GET", w.own("/users"), ""); a.code != 200 {
		t.Errorf("another token of the same user ended too: %d", a.code)
	}
	// An API key's token ends too; an edit of the document keeps what has ended.
	key := w.keyToken(testAPIKey)
	if a := w.as(key, "DELETE", "/v2/token_auth", ""); a.code != 200 {
		t.Fatalf("%d %s", a.code, a.text)
	}
	w.must("PATCH", w.own("/users/"+id), `{"nickname":"A"}`)
	for _, ended := range []string{key, token} {
		if a := w.as(ended, "GET", "/v2/token_auth", ""); a.code != 401 {
			t.Errorf("%d %s", a.code, a.text)
		}
	}
}

func TestLoginByPhoneNumber(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rival := w.newAccount("Rival")
	w.must("PUT", w.own("/users"), `{"first_name":"Ada","username":"ada","password":"one"}`)
	w.must("PUT", w.own("/callflows"), `{"numbers":["2125551234","1001","+442071838750"],"flow":{}}`)
	w.must("PUT", "/v2/accounts/"+rival+"/callflows", `{"numbers":["+442071838750"],"flow":{}}`)
	w.must("PUT", w.own("/phone_numbers/+12125550100"), `{}`)
	for number, want := range map[string]int{"+12125551234": 201, "212-555-0100": 201, "(212) 555-1234": 201, "1001": 401, "+12125550000": 401,
		"+442071838750": 401, "x": 401} {
		a := w.login(`{"credentials":"` + md5Of("ada:one") + `","phone_number":"` + number + `"}`)
		if a.code != want {
			t.Errorf("%s: %d %s", number, a.code, a.text)
		}
	}
}

func TestImpersonation(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	var mu sync.Mutex
	w := newWorld(t, func(o *crossbar.Options) { o.Log = slog.New(slog.NewTextHandler(locked{&mu, &log}, nil)) })
	child := w.must("PUT", "/v2/accounts/"+w.account, `{"name":"Child"}`).str("id")
	w.must("PUT", w.own("/users"), `{"first_name":"Boss","username":"boss","password":"pw","priv_level":"admin"}`)
	w.must("PUT", w.own("/users"), `{"first_name":"Plain","username":"plain","password":"pw"}`)
	ada := w.must("PUT", "/v2/accounts/"+child+"/users", `{"first_name":"Ada"}`).str("id")
	peer := w.must("PUT", w.own("/users"), `{"first_name":"Peer"}`).str("id")
	rival := w.keyToken(w.must("GET", "/v2/accounts/"+w.newAccount("Rival")+"/api_key", "").str("api_key"))
	boss, plain := w.loginToken("boss", "pw", "acme"), w.loginToken("plain", "pw", "acme")
	theirs, own := "/v2/accounts/"+child+"/users/"+ada+"/user_auth", w.own("/users/"+peer+"/user_auth")
	const action = `{"action":"impersonate_user"}`
	for name, c := range map[string]struct {
		token, verb, path, data string
		want                    int
	}{
		"account above":   {boss, "PUT", theirs, action, 201},
		"master":          {w.token, "PUT", theirs, action, 201},
		"master, peer":    {w.token, "PUT", own, action, 201},
		"own account":     {boss, "PUT", own, action, 403},
		"plain user":      {plain, "PUT", theirs, action, 403},
		"plain user, own": {plain, "PUT", own, action, 403},
		"rival":           {rival, "PUT", theirs, action, 403},
		"nobody":          {"", "PUT", theirs, action, 401},
		"no action":       {boss, "PUT", theirs, `{}`, 400},
		"no user":         {boss, "PUT", "/v2/accounts/" + child + "/users/x/user_auth", action, 404},
		"other verb":      {boss, "GET", theirs, "", 405},
	} {
		a := w.as(c.token, c.verb, c.path, c.data)
		if a.code != c.want {
			t.Errorf("%s: %d %s", name, a.code, a.text)
		}
		if token, _ := a.body["auth_token"].(string); c.want == 201 {
			if a := w.as(token, "GET", "/v2/token_auth", ""); a.code != 200 || a.str("impersonated_by") == "" {
				t.Errorf("%s: %d %s", name, a.code, a.text)
			}
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if n := strings.Count(log.String(), "a user is impersonated"); n != 3 || !strings.Contains(log.String(), "user="+ada) {
		t.Errorf("%d in the log:\n%s", n, log.String())
	}
}

type locked struct {
	mu  *sync.Mutex
	out *bytes.Buffer
}

func (l locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(b)
}

// letter is a mail that the API sent.
type letter struct{ to, subject, text string }

type postman chan letter

func (p postman) SendMail(_ context.Context, to, subject, text string) error {
	p <- letter{to, subject, text}
	return nil
}

// inVain is told of each recovery that is mailed to nobody.
type inVain chan string

func (inVain) Enabled(context.Context, slog.Level) bool { return true }

func (v inVain) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "a recovery was asked for in vain" {
		v <- r.Message
	}
	return nil
}

func (v inVain) WithAttrs([]slog.Attr) slog.Handler { return v }

func (v inVain) WithGroup(string) slog.Handler { return v }

var resetLink = regexp.MustCompile(`https?://\S+`)

func TestRecovery(t *testing.T) {
	t.Parallel()
	mail := make(postman, 100)
	vain := make(inVain, 100)
	w := newWorld(t, func(o *crossbar.Options) {
		o.Mail, o.UIURLs, o.Log = mail, []string{"https://ui.example.com/app"}, slog.New(vain)
	})
	w.must("PATCH", w.own(""), `{"ui_urls":["https://portal.acme.example/"]}`)
	me := w.own("/users/" + w.must("PUT", w.own("/users"),
		`{"first_name":"Ada","username":"ada","password":"one","email":"ada@acme.example"}`).str("id"))
	w.must("PUT", w.own("/users"), `{"first_name":"Bob","username":"bob@acme.example","password":"one"}`)
	w.must("PUT", w.own("/users"), `{"first_name":"No Mail","username":"nomail","password":"one"}`)
	ask := func(username, account, ui string) answer {
		return w.raw("PUT", "/v2/user_auth/recovery", `{"data":{"username":"`+username+`","account_name":"`+account+`","ui_url":"`+ui+`"}}`)
	}
	const ui = "https://ui.example.com/app/login?theme=dark"
	said := ask("Ada", "acme", ui)
	first := <-mail
	if said.code != 200 || first.to != "ada@acme.example" {
		t.Fatalf("%d %s %v", said.code, said.text, first)
	}
	link, err := url.Parse(resetLink.FindString(first.text))
	if err != nil || link.Host != "ui.example.com" || link.Path != "/app/login" || link.Query().Get("theme") != "dark" {
		t.Fatalf("%v %v", link, err)
	}
	// The same answer for who does not exist, has no address, or was just written to.
	for _, c := range [][2]string{{"nobody", "acme"}, {"ada", "nosuch"}, {"nomail", "acme"}, {"ada", "acme"}} {
		if a := ask(c[0], c[1], ui); a.code != 200 || a.data() != said.data() {
			t.Errorf("%v: %d %s", c, a.code, a.text)
		}
		<-vain // before the clock moves
	}
	if ask("bob@acme.example", "acme", "https://portal.acme.example/x"); (<-mail).to != "bob@acme.example" {
		t.Error("nobody else's mail should be there")
	}
	for _, bad := range []string{"https://evil.example/app", "https://ui.example.com.evil.example/app", "https://ui.example.com/application",
		"https://ui.example.com/app/../../x", "http://ui.example.com/app", "https://u@ui.example.com/app", "javascript:alert(1)", "//ui.example.com/app",
		`https://ui.example.com\\@evil.example/app`, "https://ui.example.com:444/app"} {
		if a := ask("ada", "acme", bad); a.code != 400 || a.at("ui_url") == nil {
			t.Errorf("%s: %d %s", bad, a.code, a.text)
		}
		w.clock.advance(time.Minute)
	}
	redeem := func(id string) answer {
		return w.raw("POST", "/v2/user_auth/recovery", `{"data":{"reset_id":"`+id+`"}}`)
	}
	if a := redeem("x"); a.code != 400 {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := redeem(strings.Repeat("0", 64)); a.code != 401 {
		t.Errorf("%d %s", a.code, a.text)
	}
	// An edit in between keeps it, a second mail replaces the first; it opens once.
	w.must("PATCH", me, `{"nickname":"A"}`)
	ask("ada", "acme", ui)
	second, err := url.Parse(resetLink.FindString((<-mail).text))
	if err != nil {
		t.Fatal(err)
	}
	if a := redeem(link.Query().Get("recovery")); a.code != 401 {
		t.Errorf("the first link still opens: %d", a.code)
	}
	a := redeem(second.Query().Get("recovery"))
	token, _ := a.body["auth_token"].(string)
	if a.code != 200 || token == "" {
		t.Fatalf("%d %s", a.code, a.text)
	}
	if a := redeem(second.Query().Get("recovery")); a.code != 401 {
		t.Errorf("the link opens twice: %d", a.code)
	}
	if a := w.as(token, "GET", me, ""); a.at("require_password_update") != true {
		t.Errorf("%s", a.text)
	}
	if a := w.as(token, "PATCH", me, `{"password":"new"}`); a.code != 200 || a.at("require_password_update") != false {
		t.Errorf("%d %s", a.code, a.text)
	}
	w.loginToken("ada", "new", "acme")
	// An hour, and no longer.
	w.clock.advance(time.Minute)
	ask("ada", "acme", ui)
	late, _ := url.Parse(resetLink.FindString((<-mail).text))
	w.clock.advance(time.Hour)
	if a := redeem(late.Query().Get("recovery")); a.code != 401 {
		t.Errorf("after an hour: %d", a.code)
	}
	for range 11 {
		a = ask("nobody", "acme", ui)
	}
	if a.code != 429 {
		t.Errorf("%d %s", a.code, a.text)
	}
	select {
	case l := <-mail:
		t.Errorf("a mail too many: %v", l)
	default:
	}
}

func TestRecoveryWithoutMail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.raw("PUT", "/v2/user_auth/recovery", `{"data":{"username":"admin","account_name":"master","ui_url":"https://x.example"}}`)
	if a.code != 501 || a.body["message"] != "not_implemented" || !strings.Contains(a.str("message"), "--smtp") {
		t.Errorf("%d %s", a.code, a.text)
	}
}
