package ringcentral_test

import (
	"context"
	"errors"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"bugle"
	"bugle/internal/contact"
	"bugle/internal/ringcentral"
)

// broken are company directories that fail as they are told to.
type broken struct {
	ringcentral.Contacts
	by atomic.Pointer[error] // nil: they do not
}

func (b *broken) Get(ctx context.Context, accountID, id string) (contact.Contact, error) {
	if err := b.by.Load(); err != nil {
		if *err == nil {
			panic("a defect")
		}
		return contact.Contact{}, *err
	}
	return b.Contacts.Get(ctx, accountID, id)
}

// TestCodesOfFailures: what goes wrong on this side has the code of its kind, by the directory's calls one of their own, and tells
// nothing of what is inside.
func TestCodesOfFailures(t *testing.T) {
	t.Parallel()
	b, panics := &broken{}, atomic.Int64{}
	w := newWorld(t, func(o *ringcentral.Options) {
		b.Contacts = o.Contacts
		o.Contacts, o.OnPanic = b, func(any) { panics.Add(1) }
	})
	token := w.login().str("access_token")
	k := w.connected(listening(t, w), token)
	failing := func(kind bugle.Kind) *error {
		var err error = &bugle.Error{Op: "secret", Kind: kind, Message: "secret", Err: errors.New("secret")}
		return &err
	}
	var defect error
	for _, c := range []struct {
		by             *error
		status         int
		directory, own string
		again          bool
	}{{failing(bugle.KindUnavailable), 503, "ADG-000", "CMN-201", true}, {failing(bugle.KindInternal), 500, "ADG-001", "CMN-203", false},
		{failing(bugle.KindConflict), 429, "CMN-304", "CMN-304", true}, {failing(bugle.KindLimited), 429, "CMN-301", "CMN-301", true}, {&defect, 500, "ADG-001", "CMN-203", false}} {
		b.by.Store(c.by)
		for path, code := range map[string]string{entries + "/" + w.ann: c.directory, "/restapi/v1.0/account/~/extension/~": c.own} {
			a := w.api(token, "GET", path, "")
			a.fails(t, c.status, code)
			if strings.Contains(a.text, "secret") || strings.Contains(a.text, "defect") || (a.header.Get("Retry-After") != "") != c.again {
				t.Error(a.header, a.text)
			}
			if f := k.ask("GET", path, ""); f.Status != c.status || f.body["errorCode"] != code {
				t.Error(f)
			}
		}
	}
	b.by.Store(nil)
	if a := w.api(token, "GET", entries+"/"+w.ann, ""); a.code != 200 || panics.Load() != 4 {
		t.Error(a.text, panics.Load())
	}
}

func TestCodesOfRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.login().str("access_token")
	large := `{"x":"` + strings.Repeat("x", 70000) + `"}`
	for _, c := range []struct {
		method, path, media, body string
		status                    int
		code                      string
	}{
		{"POST", entries + "/search", "", `{}`, 400, "ADG-111"}, {"POST", subscriptionPath, "", `{}`, 400, "CMN-110"},
		{"POST", entries + "/search", "text/plain", `{}`, 415, "ADG-115"}, {"POST", subscriptionPath, "text/plain", `{}`, 415, "CMN-103"},
		{"POST", entries + "/search", "application/json; charset=utf-8", `{`, 400, "ADG-112"}, {"POST", subscriptionPath, "Application/JSON", `{`, 400, "CMN-103"},
		{"POST", entries + "/search", "application/json", large, 413, "ADG-112"}, {"POST", subscriptionPath, "application/json", large, 413, "CMN-104"},
		{"POST", entries + "/search", "application/json", `{"page":"x"}`, 400, "ADG-121"}, {"POST", subscriptionPath, "application/json", `{"eventFilters":1}`, 400, "CMN-101"},
		{"DELETE", entries, "", "", 405, "ADG-102"}, {"DELETE", subscriptionPath, "", "", 405, "CMN-102"},
		{"GET", entries + "/a/b", "", "", 404, "ADG-200"}, {"GET", subscriptionPath + "/a/b", "", "", 404, "CMN-120"},
	} {
		a := w.send(c.method, c.path, c.media, c.body, "Authorization", "Bearer "+token)
		if a.fails(t, c.status, c.code); c.status == 405 && a.header.Get("Allow") == "" {
			t.Error(a.header)
		}
	}
}

// TestCodesOfPeople: who proves to be somebody is told that he is disabled or gone, and who does not, is not.
func TestCodesOfPeople(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	user := "/v2/accounts/" + w.account + "/users/" + w.ann
	const back = "https://crm.example.com/back?x=1"
	code := func() string {
		t.Helper()
		form := url.Values{"username": {annLogin}, "password": {annWord}, "client_id": {w.app}, "redirect_uri": {back}, "response_type": {"code"}}
		a := w.send("POST", "/restapi/oauth/authorize", "application/x-www-form-urlencoded", form.Encode())
		to := regexp.MustCompile(`code=([^&]+)`).FindStringSubmatch(a.header.Get("Location"))
		if to == nil {
			t.Fatal(a.code, a.text)
		}
		return to[1]
	}
	ask := func(fields ...string) answer { return w.form(tokenPath, w.app, w.secret, fields...) }
	exchange := func(code string) answer {
		return ask("grant_type", "authorization_code", "code", code, "redirect_uri", back)
	}
	refresh := func(in answer) answer {
		return ask("grant_type", "refresh_token", "refresh_token", in.str("refresh_token"))
	}
	password := func(word string) answer {
		return ask("grant_type", "password", "username", annLogin, "password", word)
	}
	disabled := func(a answer) {
		t.Helper()
		if a.fails(t, 400, "OAU-236"); a.str("error") != "invalid_grant" {
			t.Error(a.text)
		}
	}
	in, first, second := w.login(), code(), code()
	w.crossbar("PATCH", user, map[string]any{"enabled": false})
	disabled(ask("grant_type", grantJWT, "assertion", w.jwt))
	disabled(password(annWord))
	disabled(refresh(in))
	disabled(exchange(first))
	password("wrong").fails(t, 400, "OAU-140")
	w.api(in.str("access_token"), "GET", entries, "").fails(t, 401, "OAU-213")
	w.crossbar("PATCH", user, map[string]any{"enabled": true})
	if in = refresh(in); in.code != 200 {
		t.Fatal("it was no more than disabled:", in.text)
	}
	w.crossbar("DELETE", user, nil)
	refresh(in).fails(t, 400, "OAU-232")
	exchange(second).fails(t, 400, "OAU-232")
	password(annWord).fails(t, 400, "OAU-140")
	ask("grant_type", grantJWT, "assertion", w.jwt).fails(t, 400, "OAU-213") // which went with its user
	key := w.crossbar("GET", "/v2/accounts/"+w.account+"/api_key", nil)["data"].(map[string]any)["api_key"].(string)
	byKey := ask("grant_type", grantJWT, "assertion", key).str("access_token")
	w.api(byKey, "GET", "/restapi/v1.0/account/~/extension/~", "").fails(t, 401, "CMN-405")
}
