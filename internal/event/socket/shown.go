package socket

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// Session is one client's WebSocket, with what tokens of one account have subscribed to.
type Session struct {
	ID, Name string
	Metadata []byte // a JSON object, nil for none
	Client   netip.Addr
	Opened   time.Time
	Bindings []Binding // in order
}

// Binding is what a session has subscribed to: in an account, "*" for all.
type Binding struct{ AccountID, Text string }

// Sessions are those on this node that tokens of an account have subscribed with, oldest first.
func (s *Server) Sessions(accountID string) []Session {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []Session
	for k := range s.concerned[accountID] {
		shown := Session{ID: k.id, Name: k.name, Metadata: k.metadata, Client: k.client, Opened: k.opened}
		for key, sub := range k.subs {
			if sub.holder.AccountID == accountID && sub.live {
				shown.Bindings = append(shown.Bindings, Binding{key.account, key.text})
			}
		}
		if len(shown.Bindings) == 0 {
			continue
		}
		slices.SortFunc(shown.Bindings, func(a, b Binding) int {
			return cmp.Or(cmp.Compare(a.AccountID, b.AccountID), cmp.Compare(a.Text, b.Text))
		})
		out = append(out, shown)
	}
	slices.SortFunc(out, func(a, b Session) int { return cmp.Or(a.Opened.Compare(b.Opened), cmp.Compare(a.ID, b.ID)) })
	return out
}
