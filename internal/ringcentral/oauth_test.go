package ringcentral_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"bugle/internal/ringcentral"
)

const entries = "/restapi/v1.0/account/~/directory/entries"

func TestLogIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.login()
	if in.str("token_type") != "bearer" || in.body["expires_in"] != 3600.0 || in.body["refresh_token_expires_in"] != 604800.0 || in.str("owner_id") == "" ||
		in.str("scope") != "ReadAccounts SubscriptionWebhook WebSocketsSubscription" || in.str("endpoint_id") == "" {
		t.Error(in.text)
	}
	if list := w.api(in.str("access_token"), "GET", entries, ""); list.code != 200 {
		t.Error(list.code, list.text)
	}
	// An API key, a password without an app, and one with.
	w.form(tokenPath, w.app, w.secret, "grant_type", grantJWT, "assertion", kazooKey).fails(t, 400, "OAU-213") // of the account above
	key := w.crossbar("GET", "/v2/accounts/"+w.account+"/api_key", nil)["data"].(map[string]any)["api_key"].(string)
	if a := w.form(tokenPath, w.app, w.secret, "grant_type", grantJWT, "assertion", key); a.code != 200 {
		t.Error(a.text)
	} else if a := w.api(a.str("access_token"), "GET", "/restapi/v1.0/account/~/extension/~", ""); a.code != 401 {
		t.Error(a.text)
	}
	for _, client := range [][2]string{{"", ""}, {w.app, w.secret}} {
		if a := w.form(tokenPath, client[0], client[1], "grant_type", "password", "username", "ANN@example.com", "password", annWord); a.code != 200 {
			t.Error(client, a.text)
		}
	}
	for name, c := range map[string]struct {
		client, secret string
		fields         []string
		status         int
		code, oauth    string
	}{
		"no such client":      {"nobody", "x", []string{"grant_type", grantJWT, "assertion", w.jwt}, 401, "OAU-127", "invalid_client"},
		"wrong secret":        {w.app, "x", []string{"grant_type", grantJWT, "assertion", w.jwt}, 401, "OAU-146", "invalid_client"},
		"no client":           {"", "", []string{"grant_type", grantJWT, "assertion", w.jwt}, 401, "OAU-127", "invalid_client"},
		"two clients":         {w.app, w.secret, []string{"grant_type", grantJWT, "assertion", w.jwt, "client_id", "x"}, 401, "OAU-146", "invalid_client"},
		"no such grant":       {w.app, w.secret, []string{"grant_type", "client_credentials"}, 400, "OAU-250", "unsupported_grant_type"},
		"no assertion":        {w.app, w.secret, []string{"grant_type", grantJWT}, 400, "OAU-250", "invalid_request"},
		"wrong assertion":     {w.app, w.secret, []string{"grant_type", grantJWT, "assertion", w.jwt + "x"}, 400, "OAU-213", "invalid_grant"},
		"wrong password":      {"", "", []string{"grant_type", "password", "username", annLogin, "password", "x"}, 400, "OAU-140", "invalid_grant"},
		"nobody":              {"", "", []string{"grant_type", "password", "username", "x@example.com", "password", "x"}, 400, "OAU-140", "invalid_grant"},
		"no password":         {"", "", []string{"grant_type", "password", "username", annLogin}, 400, "OAU-250", "invalid_request"},
		"of another company":  {w.app, w.secret, []string{"grant_type", "password", "username", "eve@example.com", "password", annWord}, 400, "OAU-213", "invalid_grant"},
		"invented code":       {w.app, w.secret, []string{"grant_type", "authorization_code", "code", "x"}, 400, "OAU-211", "invalid_grant"},
		"invented refresh":    {w.app, w.secret, []string{"grant_type", "refresh_token", "refresh_token", "x"}, 400, "OAU-213", "invalid_grant"},
		"of another app":      {"", "", []string{"grant_type", "refresh_token", "refresh_token", in.str("refresh_token")}, 400, "OAU-213", "invalid_grant"},
		"number and nobody":   {"", "", []string{"grant_type", "password", "username", "+15550001*101", "password", annWord}, 400, "OAU-140", "invalid_grant"},
		"a name and no more":  {"", "", []string{"grant_type", "password", "username", "bob", "password", annWord}, 400, "OAU-140", "invalid_grant"},
		"nothing at all told": {"", "", nil, 401, "OAU-127", "invalid_client"},
	} {
		a := w.form(tokenPath, c.client, c.secret, c.fields...)
		a.fails(t, c.status, c.code)
		if a.str("error") != c.oauth || a.str("error_description") == "" {
			t.Error(name, a.text)
		}
	}
	if a := w.send("POST", tokenPath, "application/json", "{}"); a.code != 400 {
		t.Error(a.text)
	}
	if a := w.send("POST", tokenPath, "application/x-www-form-urlencoded", "grant_type=password&username=a&username=b"); a.code != 400 || !strings.Contains(a.text, "more than once") {
		t.Error(a.text)
	}
	w.send("GET", tokenPath, "", "").fails(t, 405, "CMN-102")
	for header, code := range map[string]string{"": "OAU-149", "Basic eDp5": "OAU-151", "Bearer x": "OAU-129",
		"Bearer " + base64.RawURLEncoding.EncodeToString(make([]byte, 32)): "OAU-213", "Bearer " + in.str("refresh_token"): "OAU-213"} {
		w.send("GET", entries, "", "", "Authorization", header).fails(t, 401, code)
	}
	w.clock.advance(time.Hour)
	w.api(in.str("access_token"), "GET", entries, "").fails(t, 401, "OAU-128")
}

func TestSharedEmailLogsInNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("/v2/accounts/"+w.other+"/users", map[string]any{"first_name": "Mallory", "username": "mallory", "email": annLogin, "password": annWord})
	w.form(tokenPath, "", "", "grant_type", "password", "username", annLogin, "password", annWord).fails(t, 400, "OAU-140")
}

func TestNumberAndExtension(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("/v2/accounts/"+w.account+"/callflows", map[string]any{"numbers": []any{"101", "+15551230001"}, "flow": map[string]any{"module": "user",
		"data": map[string]any{"id": w.bob}, "children": map[string]any{}}})
	w.settled(w.account, 3)
	for _, form := range [][]string{{"username", "+15551230001*101"}, {"username", "+15551230001", "extension", "101"}} {
		a := w.form(tokenPath, w.app, w.secret, append(form, "grant_type", "password", "password", annWord)...)
		if a.code != 200 {
			t.Fatal(form, a.text)
		}
		if me := w.api(a.str("access_token"), "GET", "/restapi/v1.0/account/~/extension/~", ""); me.str("name") != "Bob Baker" || me.str("extensionNumber") != "101" {
			t.Error(me.text)
		}
	}
	w.form(tokenPath, w.app, w.secret, "grant_type", "password", "password", annWord, "username", "+15551230001*10").fails(t, 400, "OAU-140")
	// Ten failures a minute, of one name.
	for range 9 {
		w.form(tokenPath, w.app, w.secret, "grant_type", "password", "password", "x", "username", "+15551230001*101").fails(t, 400, "OAU-140")
	}
	w.form(tokenPath, w.app, w.secret, "grant_type", "password", "password", "x", "username", "+15551230001*101").fails(t, 400, "OAU-140")
	late := w.form(tokenPath, w.app, w.secret, "grant_type", "password", "password", annWord, "username", "+15551230001*101")
	late.fails(t, 429, "CMN-301")
	if late.header.Get("Retry-After") == "" {
		t.Error(late.header)
	}
}

func TestRefreshRotates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.login()
	refresh := func(token string) answer {
		return w.form(tokenPath, w.app, w.secret, "grant_type", "refresh_token", "refresh_token", token, "access_token_ttl", "-1", "refresh_token_ttl", "604800")
	}
	second := refresh(in.str("refresh_token"))
	if second.code != 200 || second.body["expires_in"] != 3600.0 || second.str("endpoint_id") != in.str("endpoint_id") || second.str("refresh_token") == in.str("refresh_token") {
		t.Fatal(second.text)
	}
	if a := w.api(second.str("access_token"), "GET", entries, ""); a.code != 200 {
		t.Error(a.text)
	}
	// The server starts anew: nothing is lost.
	w.edge.Close()
	w.edge = ringcentral.New(w.options)
	if a := w.api(second.str("access_token"), "GET", entries, ""); a.code != 200 {
		t.Error("after a restart:", a.text)
	}
	// Someone uses the old one again: all ends.
	refresh(in.str("refresh_token")).fails(t, 400, "OAU-213")
	for _, token := range []string{in.str("access_token"), second.str("access_token")} {
		w.api(token, "GET", entries, "").fails(t, 401, "OAU-213")
	}
	refresh(second.str("refresh_token")).fails(t, 400, "OAU-213")
	old := w.login()
	w.clock.advance(8 * 24 * time.Hour)
	refresh(old.str("refresh_token")).fails(t, 400, "OAU-210")
	short := w.form(tokenPath, w.app, w.secret, "grant_type", grantJWT, "assertion", w.jwt, "access_token_ttl", "600", "refresh_token_ttl", "9999999999")
	if short.body["expires_in"] != 600.0 || short.body["refresh_token_expires_in"] != 604800.0 {
		t.Error(short.text)
	}
}

func TestWhatEndsASession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	user, app := "/v2/accounts/"+w.account+"/users/"+w.ann, "/v2/accounts/"+w.account+"/oauth_apps/"+w.app
	byPassword := func() string {
		a := w.form(tokenPath, w.app, w.secret, "grant_type", "password", "username", annLogin, "password", annWord)
		if a.code != 200 {
			t.Fatal(a.text)
		}
		return a.str("access_token")
	}
	alive := func(token string) {
		t.Helper()
		if a := w.api(token, "GET", entries, ""); a.code != 200 {
			t.Fatal(a.text)
		}
	}
	for name, c := range map[string]struct{ end, again func() }{
		"a new password": {func() { w.crossbar("PATCH", user, map[string]any{"password": "something new"}) },
			func() { w.crossbar("PATCH", user, map[string]any{"password": annWord}) }},
		"a disabled user": {func() { w.crossbar("PATCH", user, map[string]any{"enabled": false}) }, func() { w.crossbar("PATCH", user, map[string]any{"enabled": true}) }},
	} {
		token := byPassword()
		alive(token)
		c.end()
		if a := w.api(token, "GET", entries, ""); a.code != 401 || a.str("errorCode") != "OAU-213" {
			t.Error(name, a.text)
		}
		c.again()
	}
	token := byPassword()
	w.crossbar("PATCH", app, map[string]any{"enabled": false})
	w.api(token, "GET", entries, "").fails(t, 401, "OAU-127")
	w.crossbar("PATCH", app, map[string]any{"enabled": true})
	alive(token)
	w.crossbar("PATCH", app, map[string]any{"permissions": []any{"SubscriptionWebhook"}})
	denied := w.api(token, "GET", entries, "")
	denied.fails(t, 403, "CMN-401")
	if denied.str("permissionName") != "ReadAccounts" {
		t.Error(denied.text)
	}
	w.crossbar("PATCH", app, map[string]any{"permissions": []any{"ReadAccounts"}})
	alive(token)
	if a := w.form("/restapi/oauth/revoke", w.app, w.secret, "token", token); a.code != 200 {
		t.Error(a.text)
	}
	w.api(token, "GET", entries, "").fails(t, 401, "OAU-213")
	if a := w.form("/restapi/oauth/revoke", w.app, w.secret, "token", "invented"); a.code != 200 {
		t.Error(a.text)
	}
	other := byPassword()
	w.form("/restapi/oauth/revoke", "", "", "token", other).fails(t, 401, "OAU-127")
	alive(other)
	in := w.login()
	w.crossbar("DELETE", user+"/jwt_credentials/"+w.crossbar("GET", user+"/jwt_credentials", nil)["data"].([]any)[0].(map[string]any)["id"].(string), nil)
	w.api(in.str("access_token"), "GET", entries, "").fails(t, 401, "OAU-213")
	w.form(tokenPath, w.app, w.secret, "grant_type", "refresh_token", "refresh_token", in.str("refresh_token")).fails(t, 400, "OAU-213")
}

func TestSignInPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const path, back = "/restapi/oauth/authorize", "https://crm.example.com/back?x=1"
	verifier := strings.Repeat("v", 43)
	sum := sha256.Sum256([]byte(verifier))
	query := func(change ...string) url.Values {
		q := url.Values{"response_type": {"code"}, "client_id": {w.app}, "redirect_uri": {back}, "state": {`"><script>`},
			"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}}
		for i := 0; i < len(change); i += 2 {
			q.Set(change[i], change[i+1])
		}
		return q
	}
	page := w.send("GET", path+"?"+query().Encode(), "", "")
	policy := page.header.Get("Content-Security-Policy")
	if page.code != 200 || strings.Contains(page.text, "<script") || !strings.Contains(page.text, "Sign in to CRM") || !strings.Contains(policy, "default-src 'none'") ||
		!strings.Contains(policy, "form-action 'self' https://crm.example.com;") || !strings.Contains(policy, "frame-ancestors 'none'") || page.header.Get("Access-Control-Allow-Origin") != "" {
		t.Error(page.code, page.header, page.text)
	}
	// The form as a browser would send it.
	form := url.Values{"username": {annLogin}, "password": {annWord}}
	for _, m := range regexp.MustCompile(`type="hidden" name="([^"]*)" value="([^"]*)"`).FindAllStringSubmatch(page.text, -1) {
		form.Set(m[1], strings.NewReplacer("&#34;", `"`, "&gt;", ">", "&lt;", "<", "&#43;", "+", "&amp;", "&").Replace(m[2]))
	}
	submit := func(form url.Values, header ...string) answer {
		return w.send("POST", path, "application/x-www-form-urlencoded", form.Encode(), header...)
	}
	done := submit(form)
	to, err := url.Parse(done.header.Get("Location"))
	if err != nil || done.code != 303 || to.Host != "crm.example.com" || to.Query().Get("x") != "1" || to.Query().Get("state") != `"><script>` {
		t.Fatal(done.code, done.header, done.text)
	}
	code := to.Query().Get("code")
	exchange := func(code, redirect, verifier string) answer {
		return w.form(tokenPath, w.app, w.secret, "grant_type", "authorization_code", "code", code, "redirect_uri", redirect, "code_verifier", verifier)
	}
	exchange(code, back+"&y=2", verifier).fails(t, 400, "OAU-109")
	exchange(code, back, strings.Repeat("w", 43)).fails(t, 400, "OAU-211")
	exchange(code, back, "").fails(t, 400, "OAU-211")
	in := exchange(code, back, verifier)
	if in.code != 200 {
		t.Fatal(in.text)
	}
	if a := w.api(in.str("access_token"), "GET", entries, ""); a.code != 200 {
		t.Error(a.text)
	}
	exchange(code, back, verifier).fails(t, 400, "OAU-211")
	w.api(in.str("access_token"), "GET", entries, "").fails(t, 401, "OAU-213") // used twice: what was got by it is ended
	old := url.Values(form)
	late, _ := url.Parse(submit(old).header.Get("Location"))
	w.clock.advance(2 * time.Minute)
	exchange(late.Query().Get("code"), back, verifier).fails(t, 400, "OAU-211")

	form.Set("password", "wrong")
	if a := submit(form); a.code != 400 || !strings.Contains(a.text, `role="alert"`) || !strings.Contains(a.text, annLogin) || strings.Contains(a.text, "wrong") {
		t.Error(a.code, a.text)
	}
	form.Set("password", annWord)
	if a := submit(form, "Sec-Fetch-Site", "cross-site"); a.code != 403 {
		t.Error(a.code)
	}
	form.Set("username", "eve@example.com")
	if a := submit(form); a.code != 403 || a.header.Get("Location") != "" {
		t.Error("of another company:", a.code, a.header)
	}
	for _, broken := range []url.Values{query("client_id", "x"), query("redirect_uri", back+"/"), query("redirect_uri", "https://evil.example")} {
		if a := w.send("GET", path+"?"+broken.Encode(), "", ""); a.code != 400 || a.header.Get("Location") != "" {
			t.Error(broken, a.code, a.header)
		}
	}
	for want, wrong := range map[string]url.Values{"unsupported_response_type": query("response_type", "token"), "invalid_request": query("code_challenge_method", "plain")} {
		a := w.send("GET", path+"?"+wrong.Encode(), "", "")
		if to, _ := url.Parse(a.header.Get("Location")); a.code != 303 || to.Query().Get("error") != want {
			t.Error(wrong, a.code, a.header)
		}
	}
	// A public app has no secret and must use PKCE.
	public := w.create("/v2/accounts/"+w.account+"/oauth_apps", map[string]any{"name": "Page", "public": true, "redirect_uris": []any{back}})
	without := query("client_id", public)
	without.Del("code_challenge")
	without.Del("code_challenge_method")
	if a := w.send("GET", path+"?"+without.Encode(), "", ""); !strings.Contains(a.header.Get("Location"), "error=invalid_request") {
		t.Error(a.code, a.header)
	}
	form = query("client_id", public, "username", annLogin, "password", annWord)
	to, _ = url.Parse(submit(form).header.Get("Location"))
	a := w.form(tokenPath, "", "", "client_id", public, "grant_type", "authorization_code", "code", to.Query().Get("code"), "redirect_uri", back, "code_verifier", verifier)
	if a.code != 200 {
		t.Error(a.text)
	}
}

func TestRates(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *ringcentral.Options) { o.Rates = ringcentral.Rates{Medium: 2, Auth: 3} })
	token := w.login().str("access_token")
	for i, left := range []string{"1", "0"} {
		a := w.api(token, "GET", entries, "")
		h := a.header
		if a.code != 200 || h.Get("X-Rate-Limit-Group") != "medium" || h.Get("X-Rate-Limit-Limit") != "2" || h.Get("X-Rate-Limit-Remaining") != left || h.Get("X-Rate-Limit-Window") != "60" {
			t.Error(i, a.code, h)
		}
	}
	late := w.api(token, "GET", entries, "")
	late.fails(t, 429, "CMN-301")
	if late.header.Get("Retry-After") != "60" {
		t.Error(late.header)
	}
	if a := w.api(token, "GET", "/restapi/v1.0/account/~", ""); a.code != 200 {
		t.Error("another group:", a.text)
	}
	w.clock.advance(40 * time.Second)
	w.api(token, "GET", entries, "").fails(t, 429, "CMN-301") // which begins the minute anew
	w.clock.advance(40 * time.Second)
	w.api(token, "GET", entries, "").fails(t, 429, "CMN-301")
	w.clock.advance(61 * time.Second)
	if a := w.api(token, "GET", entries, ""); a.code != 200 {
		t.Error(a.text)
	}
	w.login()
	w.login()
	w.login()
	w.form(tokenPath, w.app, w.secret, "grant_type", grantJWT, "assertion", w.jwt).fails(t, 429, "CMN-301")
	for i := range 51 { // of the sign-in page, whatever the names
		a := w.send("POST", "/restapi/oauth/authorize", "application/x-www-form-urlencoded", "username=x"+strings.Repeat("y", i)+"&password=z")
		if want := map[bool]int{false: 400, true: 429}[i == 50]; a.code != want {
			t.Fatal(i, a.code, a.text)
		}
	}
}
