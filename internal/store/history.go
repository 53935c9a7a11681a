package store

import (
	"context"
	"encoding/json"
	"slices"

	"bugle"
)

type actorKey struct{}

// WithActor returns a context whose writes are put down to who asked for them: Change.By.
func WithActor(ctx context.Context, who bugle.Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, who)
}

// encodeActor is the actor of a context as a column takes it.
func encodeActor(ctx context.Context) (any, error) {
	who := actorOf(ctx)
	if who == nil {
		return nil, nil
	}
	text, err := json.Marshal(who)
	return string(text), err
}

// hiddenChanges are the keys of the private part that differ, as Change.Hidden has them.
func hiddenChanges(old, now *Document) map[string]json.RawMessage {
	if string(old.Private) == string(now.Private) {
		return nil
	}
	before, after := privateKeys(old), privateKeys(now)
	changed := map[string]json.RawMessage{}
	for _, keys := range [...]map[string]json.RawMessage{before, after} {
		for key := range keys {
			if string(before[key]) == string(after[key]) {
				continue
			}
			changed[key] = nil
			if slices.Contains(now.Told, key) {
				changed[key], _ = json.Marshal(struct {
					Before json.RawMessage `json:"before"`
					After  json.RawMessage `json:"after"`
				}{before[key], after[key]})
			}
		}
	}
	return changed
}

func privateKeys(d *Document) map[string]json.RawMessage {
	var keys map[string]json.RawMessage
	_ = json.Unmarshal(d.Private, &keys) // Put takes nothing but an object
	return keys
}

// actorOf is the actor of a context, nil for none.
func actorOf(ctx context.Context) *bugle.Actor {
	if who, ok := ctx.Value(actorKey{}).(bugle.Actor); ok {
		return &who
	}
	return nil
}

// History returns up to limit changes (1 to 1000; 0 means 50) of one document, deleted or not, newest first: those with a
// position below before, or the newest for 0. What retention removed is missing at the end.
func (s *Store) History(ctx context.Context, accountID, typ, id string, before int64, limit int) ([]bugle.Change, error) {
	if !texts(accountID, typ, id) {
		return nil, nil
	}
	if before <= 0 {
		before = 1<<63 - 1
	}
	rows, err := s.readable().rows(ctx, `SELECT `+changeColumns+` FROM changes WHERE document_id = ? AND position < ? `+
		`AND account_id = ? AND type = ? ORDER BY position DESC LIMIT ? + 0`, id, before, accountID, typ, Query{Limit: limit}.limit())
	if err != nil {
		return nil, s.fail("store.History", err)
	}
	changes, err := collectChanges(rows)
	return changes, s.fail("store.History", err)
}
