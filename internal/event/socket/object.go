package socket

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/coder/websocket"

	"bugle"
	"bugle/internal/event"
	"bugle/internal/store"
)

// Types of documents whose changes say something of tokens, and those that a user may read who is no administrator.
const (
	typeAccount = "account"
	typeUser    = "user"
	typeDevice  = "device"
	typeMailbox = "vmbox"
)

// follow runs add while the change log is followed: from before what add does, and for as long as anybody has subscribed.
func (s *Server) follow(ctx context.Context, add func() error) error {
	s.following.Lock()
	defer s.following.Unlock()
	if s.follower == nil {
		at, err := s.opts.Changes.Position(ctx)
		if err != nil {
			return err
		}
		s.told = at
		s.follower = event.Follow(event.Options{Log: s.opts.Changes, After: at, Name: "websockets", Logger: s.opts.Log, Handle: s.handle,
			Lost: s.skip, IsLost: func(err error) bool { return errors.Is(err, store.ErrSwept) }, OnPanic: s.opts.OnPanic})
	}
	return add()
}

// rest ends the follower when nobody has subscribed: then changes cost nothing.
func (s *Server) rest() {
	s.following.Lock()
	defer s.following.Unlock()
	s.mu.RLock()
	idle := s.subscribed == 0
	s.mu.RUnlock()
	if idle && s.follower != nil {
		s.follower.Close()
		s.follower = nil
	}
}

// skip goes on behind changes that are no longer kept.
func (s *Server) skip(ctx context.Context) (int64, error) {
	now, err := s.opts.Changes.Position(ctx)
	if err != nil {
		return 0, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for k := range s.sessions {
		k.end(websocket.StatusTryAgainLater, "changes were lost: connect again, and read what you need", true)
	}
	return now, nil
}

// handle tells of changes, each once: a batch that comes again goes on behind what was told.
func (s *Server) handle(ctx context.Context, changes []bugle.Change) error {
	for i := range changes {
		c := &changes[i]
		if c.Position <= s.told {
			continue
		}
		var outside []*session
		if c.Type == typeUser || c.Type == typeAccount {
			var err error
			if outside, err = s.judge(ctx, c.ID); err != nil {
				return err
			}
		}
		s.publish(s.changed(c))
		for _, k := range outside { // the change that took the account away was the last that was theirs
			k.end(websocket.StatusPolicyViolation, "an account is not the token's to see any more: connect again", false)
		}
		s.told = c.Position
	}
	return nil
}

// judge asks again who may follow what, after a change of an account or user. Whose token has ended is told nothing more; whose
// account is outside is returned.
func (s *Server) judge(ctx context.Context, id string) (outside []*session, err error) {
	type claim struct {
		holder  Holder
		account string
	}
	claims := map[claim]map[*session]bool{}
	s.mu.RLock()
	for k := range s.concerned[id] {
		for key, sub := range k.subs {
			c := claim{sub.holder, key.account}
			if claims[c] == nil {
				claims[c] = map[*session]bool{}
			}
			claims[c][k] = true
		}
	}
	s.mu.RUnlock()
	for c, sessions := range claims {
		err := s.opts.People.Follows(ctx, c.holder, c.account)
		if err != nil && !unauthorized(err) && !forbidden(err) {
			return nil, err
		}
		for k := range sessions {
			switch {
			case unauthorized(err):
				k.end(websocket.StatusPolicyViolation, "the token has ended: log in and connect again", true)
			case forbidden(err):
				outside = append(outside, k)
			}
		}
	}
	return outside, nil
}

// changed is a change as clients are told of it.
func (s *Server) changed(c *bugle.Change) *occurrence {
	e := &occurrence{account: c.AccountID, family: familyObject, event: actions[c.Kind], kind: c.Type, id: c.ID}
	switch c.Type {
	case typeUser:
		e.owners = func() [2]string { return [2]string{c.ID} }
	case typeDevice, typeMailbox:
		e.owners = func() [2]string { return [2]string{owner(c.Before), owner(c.After)} }
	}
	e.tells = func() map[string]any {
		data := map[string]any{"event_category": "configuration", "event_name": e.event, "action": e.event, "account_id": c.AccountID,
			"id": c.ID, "type": c.Type, "rev": c.Rev, "database": database(c.AccountID), "date_modified": gregorian(c.At),
			"is_soft_deleted": c.Kind == bugle.Deleted}
		return s.common(data)
	}
	return e
}

// common adds what every event tells.
func (s *Server) common(data map[string]any) map[string]any {
	data["app_name"], data["msg_id"] = "bugle", bugle.NewID()
	if s.opts.Node != "" {
		data["node"] = s.opts.Node
	}
	return data
}

// owner is the owner_id of a document, "" for none.
func owner(body json.RawMessage) string {
	if body == nil {
		return ""
	}
	doc, _ := object(body)
	id, _ := text(doc["owner_id"])
	return id
}
