package ringcentral

import (
	"context"
	"sync"
)

// extensionID is the numeric id of a user, or of an account itself.
func (s *Server) extensionID(ctx context.Context, accountID, userID string) (string, error) {
	kind, id := kindContact, userID
	if userID == "" {
		kind, id = kindAccount, accountID
	}
	return s.numbers.get(accountID+"/"+id, func() (string, error) { return s.opts.Contacts.Numeric(ctx, accountID, kind, id) })
}

const maxNumbers = 20_000 // each takes about 150 bytes

// numbers remember numeric ids, which never change, of who has subscriptions.
type numbers struct {
	mu    sync.Mutex
	known map[string]string
}

func (n *numbers) get(key string, ask func() (string, error)) (string, error) {
	n.mu.Lock()
	number, known := n.known[key]
	n.mu.Unlock()
	if known {
		return number, nil
	}
	number, err := ask()
	if err != nil {
		return "", err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known == nil || len(n.known) >= maxNumbers {
		n.known = map[string]string{}
	}
	n.known[key] = number
	return number, nil
}
