package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bugle"
)

func exerciseOAuth(t *testing.T, o opener) {
	s := o.open(t, Options{})
	now := time.Now().UTC().Truncate(time.Microsecond)
	session := OAuthSession{ID: "s1", AccountID: "acme", UserID: "ann", AppID: "app", Stamp: "x", Created: now, Expires: now.Add(time.Hour)}
	access := OAuthToken{Hash: "h1", Kind: "access", SessionID: "s1", Expires: now.Add(time.Minute), Detail: []byte(`{"a":1}`)}
	code := OAuthToken{Hash: "h2", Kind: "code", Expires: now.Add(time.Minute)}
	write(t, s, func(tx *Tx) error {
		if err := tx.PutOAuthSession(session); err != nil {
			return err
		}
		return tx.AddOAuthTokens(access, code)
	})
	k, got, err := s.OAuthToken(t.Context(), "access", "h1")
	if diff := cmp.Diff(access, k) + cmp.Diff(session, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for _, wrong := range [][2]string{{"access", "h2"}, {"refresh", "h1"}, {"access", "h3"}, {"access", "h\x00"}} {
		if _, _, err := s.OAuthToken(t.Context(), wrong[0], wrong[1]); bugle.KindOf(err) != bugle.KindNotFound {
			t.Error(wrong, err)
		}
	}
	for i, want := range []bool{true, false} {
		write(t, s, func(tx *Tx) error {
			first, err := tx.UseOAuthToken("h2", "s1")
			if first != want {
				t.Error(i, first)
			}
			return err
		})
	}
	if k, got, err := s.OAuthToken(t.Context(), "code", "h2"); err != nil || k.Used.IsZero() || got.ID != "s1" {
		t.Error(k, got, err)
	}
	write(t, s, func(tx *Tx) error { return tx.EndOAuthSession("s1") })
	if _, got, err := s.OAuthToken(t.Context(), "access", "h1"); err != nil || got.Ended.IsZero() {
		t.Error(got, err)
	}
	if err := s.SweepOAuth(t.Context(), now.Add(30*time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.OAuthToken(t.Context(), "code", "h2"); bugle.KindOf(err) != bugle.KindNotFound {
		t.Error(err)
	}
	if _, err := s.OAuthSession(t.Context(), "s1"); err != nil {
		t.Error(err)
	}
}

func exerciseSubscriptions(t *testing.T, o opener) {
	s := o.open(t, Options{})
	now := time.Now().UTC().Truncate(time.Microsecond)
	one := Subscription{ID: "u1", AccountID: "acme", UserID: "ann", AppID: "app", Transport: "WebHook", Expires: now.Add(time.Hour), Follows: true,
		Remind: now.Add(time.Minute), Body: []byte(`{"x":"ä"}`)}
	deaf := one
	deaf.ID, deaf.Follows, deaf.Remind = "u2", false, time.Time{}
	over := one
	over.ID, over.Expires, over.AppID = "u3", now.Add(-time.Hour), ""
	write(t, s, func(tx *Tx) error {
		for _, u := range []Subscription{one, deaf, over} {
			if err := tx.AddSubscription(u); err != nil {
				return err
			}
		}
		n, err := tx.CountSubscriptions("acme", "ann", "app", now)
		if n != 2 {
			t.Error(n)
		}
		return err
	})
	ids := func(list []Subscription, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		out := ""
		for _, u := range list {
			out += u.ID + " "
		}
		return out
	}
	if got, err := s.Subscription(t.Context(), "u1"); err != nil || cmp.Diff(one, got) != "" {
		t.Error(cmp.Diff(one, got), err)
	}
	if got := ids(s.SubscriptionsBehind(t.Context(), "WebHook", now, "", 10)); got != "" {
		t.Error("behind without events:", got)
	}
	write(t, s, func(tx *Tx) error {
		return tx.AppendDirectoryEvents("acme", true, []DirectoryEventRow{{Kind: "Update", ContactID: "c", At: now, Body: []byte("{}")}})
	})
	if got := ids(s.SubscriptionsBehind(t.Context(), "WebHook", now, "", 10)); got != "u1 " {
		t.Error("behind:", got)
	}
	if got := ids(s.SubscriptionsBehind(t.Context(), "WebHook", now, "u1", 10)) + ids(s.SubscriptionsBehind(t.Context(), "WebSocket", now, "", 10)); got != "" {
		t.Error("behind others:", got)
	}
	for i, want := range []bool{true, false} {
		write(t, s, func(tx *Tx) error {
			moved, err := tx.MoveSubscription("u1", 0, 1)
			if moved != want {
				t.Error(i, moved)
			}
			return err
		})
	}
	if got := ids(s.SubscriptionsBehind(t.Context(), "WebHook", now, "", 10)); got != "" {
		t.Error("behind after it was moved:", got)
	}
	if got := ids(s.SubscriptionsDue(t.Context(), now.Add(time.Minute), 10)); got != "u1 u3 " {
		t.Error("due:", got)
	}
	for i, want := range []bool{true, false} {
		write(t, s, func(tx *Tx) error {
			moved, err := tx.RemindSubscription("u1", one.Remind, time.Time{})
			if moved != want {
				t.Error(i, moved)
			}
			return err
		})
	}
	if got := ids(s.SubscriptionsDue(t.Context(), now.Add(time.Minute), 10)); got != "u3 " {
		t.Error("due:", got)
	}
	if got := ids(s.SubscriptionsExpired(t.Context(), now, 10)); got != "u3 " {
		t.Error("expired:", got)
	}
	one.Expires, one.Follows, one.Remind, one.Body = now.Add(2*time.Hour), false, time.Time{}, []byte(`{}`)
	one.Cursor = 1
	write(t, s, func(tx *Tx) error {
		if err := tx.SetSubscription(one); err != nil {
			return err
		}
		if err := tx.SetSubscription(Subscription{ID: "none", Body: []byte("{}")}); bugle.KindOf(err) != bugle.KindNotFound {
			t.Error(err)
		}
		if err := tx.RemoveSubscription("u2"); err != nil {
			return err
		}
		got, err := tx.Subscription("u1")
		if diff := cmp.Diff(one, got); diff != "" {
			t.Error(diff)
		}
		return err
	})
	if got := ids(s.SubscriptionsOf(t.Context(), "acme", "ann", "app")); got != "u1 " {
		t.Error("of ann:", got)
	}
	if _, err := s.Subscription(t.Context(), "u2"); bugle.KindOf(err) != bugle.KindNotFound {
		t.Error(err)
	}
}
