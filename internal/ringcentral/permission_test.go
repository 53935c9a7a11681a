package ringcentral_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"bugle/internal/event/webhook"
	"bugle/internal/store"
)

// permit gives the app these permissions and no others.
func (w *world) permit(permissions ...any) {
	w.t.Helper()
	w.crossbar("PATCH", "/v2/accounts/"+w.account+"/oauth_apps/"+w.app, map[string]any{"permissions": permissions})
}

// reached is the last event that a client was told, by the token that it comes back with.
func (w *world) reached(k *wire) (cursor int64) {
	w.t.Helper()
	sealed, err := base64.RawURLEncoding.DecodeString(k.last.Token)
	if err != nil {
		w.t.Fatal(err)
	}
	text, err := w.sealer.Open(string(sealed), "ringcentral.wsc")
	if err != nil {
		w.t.Fatal(err)
	}
	var place struct{ C int64 }
	if err := json.Unmarshal([]byte(text), &place); err != nil {
		w.t.Fatal(err)
	}
	return place.C
}

// TestPermissions: each call takes the one that it takes at RingCentral, and what takes none goes without.
func TestPermissions(t *testing.T) {
	t.Parallel()
	w := hooked(t, webhook.RingCentral())
	r := newReceiver(t)
	token := w.login().str("access_token")
	mine := w.api(token, "POST", subscriptionPath, wanted(r.URL, "")).str("id")
	const account = "/restapi/v1.0/account/~"
	all := []any{"ReadAccounts", "SubscriptionWebhook", "WebSocketsSubscription"}
	for _, c := range []struct{ method, path, body, permission, code string }{
		{"GET", entries, "", "ReadAccounts", "CMN-401"}, {"GET", entries + "/" + w.ann, "", "ReadAccounts", "CMN-401"},
		{"POST", entries + "/search", "{}", "ReadAccounts", "CMN-401"}, {"GET", account, "", "ReadAccounts", "CMN-401"},
		{"GET", account + "/extension/~", "", "ReadAccounts", "CMN-401"}, {"GET", account + "/directory/federation", "", "ReadAccounts", "CMN-401"},
		{"GET", account + "/extension/~/profile-image", "", "ReadAccounts", "CMN-401"},
		{"POST", subscriptionPath, wanted(r.URL, ""), "SubscriptionWebhook", "CMN-401"}, {"POST", "/restapi/oauth/wstoken", "", "WebSocketsSubscription", "SUB-528"},
		{"GET", subscriptionPath, "", "", ""}, {"GET", subscriptionPath + "/" + mine, "", "", ""}, {"POST", subscriptionPath + "/" + mine + "/renew", "", "", ""},
		{"PUT", subscriptionPath + "/" + mine, "{}", "", ""}, {"POST", subscriptionPath + "/" + mine + "/secret", "", "", ""},
	} {
		for _, missing := range all {
			var rest []any
			for _, p := range all {
				if p != missing {
					rest = append(rest, p)
				}
			}
			w.permit(rest...)
			a := w.api(token, c.method, c.path, c.body)
			if missing != c.permission {
				if a.code == 403 {
					t.Errorf("%s %s without %s: %s", c.method, c.path, missing, a.text)
				}
				continue
			}
			a.fails(t, 403, c.code)
			list, _ := a.body["errors"].([]any)
			if a.str("permissionName") != c.permission || len(list) != 1 || list[0].(map[string]any)["permissionName"] != c.permission {
				t.Errorf("%s %s without %s: %s", c.method, c.path, missing, a.text)
			}
		}
	}
}

// TestPermissionsThatAreTakenAway: who may not read the directory any more is told nothing of it, by whatever way.
func TestPermissionsThatAreTakenAway(t *testing.T) {
	t.Parallel()
	w := hooked(t, webhook.RingCentral())
	r := newReceiver(t)
	token := w.login().str("access_token")
	mine := w.api(token, "POST", subscriptionPath, wanted(r.URL, "")).str("id")
	k, _ := w.subscribed(listening(t, w), token)
	names := func() string {
		var out []string
		for _, one := range r.list() {
			out = append(out, fmt.Sprint(one.note.Body.Contacts[0]["firstName"]))
		}
		return strings.Join(out, " ")
	}
	disabled := func() int {
		list, _ := w.api(token, "GET", subscriptionPath+"/"+mine, "").body["disabledFilters"].([]any)
		return len(list)
	}
	caught := func(events int64) { // everything up to these is behind the subscription
		t.Helper()
		eventually(t, "the cursor", func() bool {
			u, err := w.store.Subscription(t.Context(), mine)
			return err == nil && u.Cursor >= events
		})
	}
	w.permit("SubscriptionWebhook", "WebSocketsSubscription")
	if disabled() != 1 {
		t.Error("the filter is not disabled")
	}
	w.rename(w.bob, "Secret")
	w.settled(w.account, 3)
	caught(3)
	// The socket looks at least once a second.
	eventually(t, "the socket's place", func() bool {
		k.write(`[{"type":"Heartbeat","messageId":"1"}]`)
		if f := k.next(); f.Type != "Heartbeat" {
			t.Fatal(f)
		}
		return w.reached(k) == 3
	})
	w.permit("ReadAccounts", "SubscriptionWebhook", "WebSocketsSubscription")
	w.rename(w.bob, "Shown")
	k.notified("Shown")
	eventually(t, "the webhook", func() bool { return names() != "" })
	if names() != "Shown" || disabled() != 0 {
		t.Error(names(), disabled())
	}
	// Without the permission of webhooks nothing is sent; what happened is given up, and an administrator may have it sent.
	w.permit("ReadAccounts", "WebSocketsSubscription")
	w.rename(w.bob, "Kept")
	k.notified("Kept")
	caught(5)
	eventually(t, "it is given up", func() bool {
		list, _, err := w.store.Deliveries(t.Context(), store.HookQuery{AccountID: w.account, Endpoint: mine, Limit: 10})
		return err == nil && len(list) == 2 && list[0].State == store.HookDead
	})
	if names() != "Shown" {
		t.Error(names())
	}
}
