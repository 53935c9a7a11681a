package socket

import (
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"bugle"
)

// nobody has no good token.
type nobody struct{}

func (nobody) Holder(context.Context, string) (Holder, error) {
	return Holder{}, &bugle.Error{Kind: bugle.KindUnauthorized}
}

func (nobody) Follows(context.Context, Holder, string) error {
	return &bugle.Error{Kind: bugle.KindUnauthorized}
}

func (nobody) Client(*http.Request) netip.Addr { return netip.Addr{} }

// FuzzMessage: whatever a client sends has exactly one answer, which is JSON with a request_id of bounded length.
func FuzzMessage(f *testing.F) {
	for _, seed := range []string{"", "null", "[]", "{}", `{"action":"ping","request_id":1e400}`, `{"action":"ping","request_id":"\ud800"}`,
		`{"action":"subscribe","auth_token":"x","data":{"account_id":"*","binding":"call.*.*"}}`,
		`{"action":"subscribe","auth_token":"x","data":{"account_id":"00000000000000000000000000000000","bindings":["object.*.user","doc_edited.*.user.*",""],"name":"","metadata":{}}}`,
		`{"action":"unsubscribe","data":{"bindings":[]}}`, `{"action":"unsubscribe","data":null}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		s := &Server{opts: Options{People: nobody{}, Types: []string{"user"}, Limits: Limits{}.orDefault(), Times: Times{}.orDefault()}}
		k := newSession(s, netip.Addr{})
		k.take(t.Context(), message)
		var m struct {
			Action    string `json:"action"`
			RequestID string `json:"request_id"`
			Status    string `json:"status"`
		}
		if len(k.queue) != 1 || json.Unmarshal(k.queue[0], &m) != nil || m.Action != "reply" || m.RequestID == "" || len(m.RequestID) > 3*maxRequestID ||
			m.Status != "success" && m.Status != "error" {
			t.Errorf("%q is answered %q", message, k.queue)
		}
	})
}

// FuzzBinding: a binding that is taken is for an event that has its words, and for none with another event or type.
func FuzzBinding(f *testing.F) {
	for _, seed := range []string{"call.*.*", "call.CHANNEL_CREATE.a.b%2Ec", "object.doc_edited.user", "object.*.*", "doc_edited.*.user.1", "call..", "object..", "*.*.*"} {
		f.Add(seed)
	}
	types := []string{"menu", "user"}
	f.Fuzz(func(t *testing.T, text string) {
		b, err := parseBinding(text, types)
		if err != nil {
			if strings.Contains(text, "\n") && strings.Contains(err.Error(), "\n") {
				t.Errorf("%q: the error has line breaks: %q", text, err)
			}
			return
		}
		e := occurrence{account: "a", family: b.family, event: b.event, kind: b.kind, id: b.id}
		if b.event == anything {
			e.event = map[string]string{familyCall: callEvents[0], familyObject: actionNames[0]}[b.family]
		}
		if b.kind == anything {
			e.kind = types[0]
		}
		if !b.fits(&e) || b.text != text {
			t.Errorf("%q is not for %+v", text, e)
		}
		if b.event != anything {
			other := e
			other.event = "another"
			if b.fits(&other) {
				t.Errorf("%q is for %+v", text, other)
			}
		}
		if b.family == familyObject && b.kind != anything && !slices.Contains(types, b.kind) {
			t.Errorf("%q has the type %q", text, b.kind)
		}
		if key := b.subscriptionKey("a", &e); strings.Count(key, ".") != 3 {
			t.Errorf("%q has the key %q", text, key)
		}
	})
}
