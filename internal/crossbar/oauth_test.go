package crossbar_test

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"bugle"
)

// TestPeopleForAnotherEdge: apps and credentials show their secrets once, and what they open ends with them.
func TestPeopleForAnotherEdge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	here := netip.MustParseAddr("192.0.2.8")
	base := w.own("")
	call := func(method, path string, doc map[string]any) answer {
		data, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		if doc == nil {
			data = nil
		}
		return w.call(method, path, string(data))
	}
	user := func(name, email string) string {
		return call("PUT", base+"/users", map[string]any{"first_name": name, "username": strings.ToLower(name), "password": "s3cret-" + name, "email": email}).str("id")
	}
	ann, bob := user("Ann", "Ann@Example.com"), user("Bob", "shared@example.com")
	user("Eve", "SHARED@example.com")

	app := call("PUT", base+"/oauth_apps", map[string]any{"name": "CRM", "redirect_uris": []any{"https://crm.example.com/back"}})
	appID, secret := app.str("id"), app.str("client_secret")
	known, err := w.api.OAuthApp(t.Context(), appID)
	if err != nil || !known.HasSecret(secret) || known.HasSecret("") || known.HasSecret(secret+"0") || len(known.Permissions) != 3 {
		t.Fatal(known, err, secret)
	}
	if again := call("GET", base+"/oauth_apps/"+appID, nil); strings.Contains(string(again.text), "secret") {
		t.Error(string(again.text))
	}
	renewed := call("PUT", base+"/oauth_apps/"+appID+"/secret", nil).str("client_secret")
	if known, _ = w.api.OAuthApp(t.Context(), appID); known.HasSecret(secret) || !known.HasSecret(renewed) {
		t.Error("the old secret is good, or the new is not")
	}
	for _, bad := range []string{"/relative", "https://a/#b", "http://example.com/", "javascript:alert(1)", "https://a/;b", "data:x"} {
		if r := call("PUT", base+"/oauth_apps", map[string]any{"name": "x", "redirect_uris": []any{bad}}); r.code != 400 || !strings.Contains(string(r.text), "redirect_uris.0") {
			t.Error(bad, r.code, string(r.text))
		}
	}

	made := call("PUT", base+"/users/"+ann+"/jwt_credentials", map[string]any{"name": "sync", "apps": []any{appID}})
	assertion := made.str("jwt")
	if again := call("GET", base+"/users/"+ann+"/jwt_credentials/"+made.str("id"), nil); strings.Contains(string(again.text), `"jwt"`) || strings.Contains(string(again.text), "hash") {
		t.Error(string(again.text))
	}
	p, err := w.api.Assertion(t.Context(), assertion, appID)
	if err != nil || p.UserID != ann || p.Credential != made.str("id") {
		t.Error(p, err)
	}
	for _, wrong := range [][2]string{{assertion, ""}, {assertion, bugle.NewID()}, {assertion[1:], appID}, {"", appID}, {strings.Repeat("0f", 32), appID}} {
		if _, err := w.api.Assertion(t.Context(), wrong[0], wrong[1]); bugle.KindOf(err) != bugle.KindUnauthorized {
			t.Error(wrong, err)
		}
	}
	if err := w.api.Credential(t.Context(), w.account, p.Credential); err != nil {
		t.Error(err)
	}
	call("PATCH", base+"/users/"+ann+"/jwt_credentials/"+p.Credential, map[string]any{"expires": w.clock.now().Add(-time.Second).Unix()})
	if err := w.api.Credential(t.Context(), w.account, p.Credential); bugle.KindOf(err) != bugle.KindUnauthorized {
		t.Error("over:", err)
	}
	call("PATCH", base+"/users/"+ann+"/jwt_credentials/"+p.Credential, map[string]any{"expires": nil})

	for address, want := range map[string]string{"ann@example.COM": ann, "shared@example.com": "", "nobody@example.com": "", "ann": ""} {
		if _, got, err := w.api.UserOfEmail(t.Context(), address); err != nil || got != want {
			t.Error(address, got, err)
		}
	}
	in, _, err := w.api.LogIn(t.Context(), here, "ann@example.com", w.account, ann, "s3cret-Ann")
	if err != nil || in.UserID != ann || in.Stamp != p.Stamp || in.Stamp == "" {
		t.Error(in, err)
	}
	call("PATCH", base+"/users/"+ann, map[string]any{"password": "another-one"})
	if now, err := w.api.Person(t.Context(), w.account, ann); err != nil || now.Stamp == in.Stamp {
		t.Error("the stamp outlives the password:", err)
	}
	for range 10 {
		if _, _, err := w.api.LogIn(t.Context(), here, "bob", w.account, bob, "wrong"); bugle.KindOf(err) != bugle.KindUnauthorized {
			t.Error(err)
		}
	}
	if _, retry, err := w.api.LogIn(t.Context(), here, "bob", w.account, bob, "s3cret-Bob"); bugle.KindOf(err) != bugle.KindLimited || retry <= 0 {
		t.Error("after ten failures:", retry, err)
	}
	call("DELETE", base+"/users/"+ann, nil)
	if _, err := w.api.Assertion(t.Context(), assertion, appID); bugle.KindOf(err) != bugle.KindUnauthorized {
		t.Error("of a deleted user:", err)
	}
	call("PATCH", base+"/oauth_apps/"+appID, map[string]any{"enabled": false})
	if _, err := w.api.OAuthApp(t.Context(), appID); bugle.KindOf(err) != bugle.KindUnauthorized {
		t.Error("a disabled app:", err)
	}
}
