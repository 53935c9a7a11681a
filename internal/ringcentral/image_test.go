package ringcentral_test

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"net/http/httptest"
	"strings"
	"testing"

	"bugle/internal/event/webhook"
	"bugle/internal/ringcentral"
)

// photograph gives a user a picture, or takes it away for width 0.
func (w *world) photograph(user string, width int) {
	w.t.Helper()
	var body bytes.Buffer
	method := "DELETE"
	if width > 0 {
		method = "POST"
		if err := png.Encode(&body, image.NewNRGBA(image.Rect(0, 0, width, 9))); err != nil {
			w.t.Fatal(err)
		}
	}
	r := httptest.NewRequest(method, "/v2/accounts/"+w.account+"/users/"+user+"/photo", &body)
	r.Header.Set("X-Auth-Token", w.token)
	r.Header.Set("Content-Type", "image/png")
	rec := httptest.NewRecorder()
	if w.kazoo.ServeHTTP(rec, r); rec.Code != 200 {
		w.t.Fatal(rec.Code, rec.Body)
	}
}

// TestProfileImage: what a list, an entry and an event say of a picture is a URL that their reader can get.
func TestProfileImage(t *testing.T) {
	t.Parallel()
	w := hooked(t, webhook.RingCentral())
	r := newReceiver(t)
	token := w.login().str("access_token")
	if a := w.api(token, "POST", subscriptionPath, strings.Replace(wanted(r.URL, ""), "{", `{"includeChanges":true,`, 1)); a.code != 200 {
		t.Fatal(a.text)
	}
	k, _ := w.subscribed(listening(t, w), token)
	shown := func() (uri, etag string) {
		t.Helper()
		entry := w.api(token, "GET", entries+"/"+w.bob, "")
		_, all := records(t, w.api(token, "GET", entries, ""))
		if fmt.Sprint(entry.body["profileImage"]) != fmt.Sprint(all[1]["profileImage"]) {
			t.Error(entry.text, all[1])
		}
		is, _ := all[1]["profileImage"].(map[string]any)
		uri, _ = is["uri"].(string)
		etag, _ = is["etag"].(string)
		return uri, etag
	}
	told := func(n int) map[string]any {
		t.Helper()
		eventually(t, "an event", func() bool { return len(r.list()) == n })
		return r.list()[n-1].note.Body.Contacts[0]
	}
	if uri, etag := shown(); uri+etag != "" {
		t.Error(uri, etag)
	}
	w.photograph(w.bob, 16)
	first := told(1)
	uri, etag := shown()
	if fmt.Sprint(first["profileImage"]) != fmt.Sprint(map[string]any{"uri": uri, "etag": etag}) || fmt.Sprint(first["changedFields"]) != "[profileImage]" {
		t.Error(first, uri, etag)
	}
	over, _ := k.next().body["body"].(map[string]any)["contacts"].([]any)[0].(map[string]any)["profileImage"].(map[string]any)
	if over["etag"] != etag || !strings.HasSuffix(uri, strings.TrimPrefix(fmt.Sprint(over["uri"]), "http://"+k.at)) {
		t.Error(over, uri)
	}
	path, absolute := strings.CutPrefix(uri, "http://rc.example")
	got := w.api(token, "GET", path, "")
	img, err := png.Decode(strings.NewReader(got.text))
	if err != nil || !absolute || img.Bounds().Dx() != 16 || got.header.Get("Content-Type") != "image/png" || got.header.Get("ETag") != `"`+etag+`"` {
		t.Fatal(uri, got.code, got.header, err)
	}
	if a := w.api(token, "GET", path, "", "If-None-Match", `"`+etag+`"`); a.code != 304 || a.text != "" {
		t.Error(a.code, a.text)
	}
	w.send("GET", path, "", "").fails(t, 401, "OAU-149")
	eve := w.form(tokenPath, "", "", "grant_type", "password", "username", "eve@example.com", "password", annWord).str("access_token")
	w.api(eve, "GET", path, "").fails(t, 404, "ADG-107")
	w.api(token, "GET", "/restapi/v1.0/account/~/extension/~/profile-image", "").fails(t, 404, "CMN-102") // Ann has none
	w.api(token, "GET", "/restapi/v1.0/account/~/extension/7/profile-image", "").fails(t, 404, "CMN-102")
	if f := k.ask("GET", path, ""); f.Status != 501 || f.body["errorCode"] != "CMN-202" {
		t.Error(f)
	}
	w.photograph(w.bob, 16) // the same again is no change
	w.photograph(w.bob, 17)
	second := told(2)["profileImage"].(map[string]any)
	if second["uri"] != uri || second["etag"] == etag || w.api(token, "GET", path, "", "If-None-Match", `"`+etag+`"`).code != 200 {
		t.Error(second)
	}
	w.photograph(w.bob, 0)
	if third := told(3); third["profileImage"] != nil || third["previous"].(map[string]any)["profileImage"].(map[string]any)["etag"] != second["etag"] {
		t.Error(third)
	}
	w.api(token, "GET", path, "").fails(t, 404, "CMN-102")
	// Whom the directory does not show, nobody sees.
	w.photograph(w.bob, 18)
	w.crossbar("PATCH", "/v2/accounts/"+w.account+"/users/"+w.bob, map[string]any{"contact_list": map[string]any{"exclude": true}})
	told(5)
	w.api(token, "GET", path, "").fails(t, 404, "CMN-102")
	w.crossbar("PATCH", "/v2/accounts/"+w.account+"/oauth_apps/"+w.app, map[string]any{"permissions": []any{"SubscriptionWebhook", "WebSocketsSubscription"}})
	w.api(token, "GET", path, "").fails(t, 403, "CMN-401")
}

// TestPublicURL: links begin with what clients reach the server by, also those in events.
func TestPublicURL(t *testing.T) {
	t.Parallel()
	w := hooked(t, webhook.RingCentral(), func(o *ringcentral.Options) { o.PublicURL = "https://pbx.example.com/" })
	r := newReceiver(t)
	token := w.login().str("access_token")
	made := w.api(token, "POST", subscriptionPath, wanted(r.URL, ""))
	if !strings.HasPrefix(made.str("uri"), "https://pbx.example.com/restapi/v1.0/subscription/") {
		t.Fatal(made.text)
	}
	if a := w.api(token, "POST", "/restapi/oauth/wstoken", ""); a.str("uri") != "wss://pbx.example.com/ws" {
		t.Error(a.text)
	}
	w.photograph(w.bob, 16)
	eventually(t, "an event", func() bool { return len(r.list()) == 1 })
	for _, c := range []map[string]any{r.list()[0].note.Body.Contacts[0], w.api(token, "GET", entries+"/"+w.bob, "").body} {
		uri, _ := c["profileImage"].(map[string]any)["uri"].(string)
		path, begins := strings.CutPrefix(uri, "https://pbx.example.com")
		if a := w.api(token, "GET", path, ""); !begins || a.code != 200 {
			t.Error(uri, a.code)
		}
	}
}

// TestMainNumber: the account's own number is that which it shows to others, and a list with another one is another list.
func TestMainNumber(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.login().str("access_token")
	account := func() map[string]any {
		t.Helper()
		return w.api(token, "GET", entries+"/"+w.ann, "").body["account"].(map[string]any)
	}
	before := w.api(token, "GET", entries, "").header.Get("ETag")
	if is := account(); is["mainNumber"] != nil || is["companyName"] != "Acme" {
		t.Error(is)
	}
	set := func(number string) {
		w.crossbar("PATCH", "/v2/accounts/"+w.account, map[string]any{"caller_id": map[string]any{"external": map[string]any{"number": number}}})
	}
	set("+15551239999")
	if is := account()["mainNumber"]; fmt.Sprint(is) != "map[formattedPhoneNumber:+1 555-123-9999 phoneNumber:+15551239999]" {
		t.Error(is)
	}
	if a := w.api(token, "GET", entries, "", "If-None-Match", before); a.code != 200 {
		t.Error(a.code)
	}
	if a := w.api(token, "GET", "/restapi/v1.0/account/~", ""); a.str("mainNumber") != "+15551239999" || a.str("companyName") != "Acme" || a.str("status") != "Confirmed" {
		t.Error(a.text)
	}
	set("100") // no telephone number
	if is := account()["mainNumber"]; is != nil {
		t.Error(is)
	}
}
