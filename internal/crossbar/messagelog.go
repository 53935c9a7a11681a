package crossbar

import (
	"encoding/json"

	"bugle"
	"bugle/internal/store"
)

// TypeMessage is the type under which the change log has what clients do to voicemail messages. They are no documents, and those that
// calls leave are not in the log.
const TypeMessage = "mailbox_message"

// putMessage writes a message, or removes it for now nil, and its Change.
func putMessage(tx *store.Tx, was, now *store.MessageRow) error {
	change := bugle.Change{Kind: bugle.Edited, Type: TypeMessage, Before: loggedMessage(was), After: loggedMessage(now)}
	switch {
	case was == nil:
		change.Kind = bugle.Created
	case now == nil:
		change.Kind = bugle.Deleted
	case was.Blob != now.Blob:
		change.Hidden = map[string]json.RawMessage{PrivateBlob: nil}
	}
	at := now
	if now == nil {
		at = was
	}
	change.AccountID, change.ID = at.AccountID, at.ID
	tx.Log(change)
	if now == nil {
		return tx.RemoveMessage(was.AccountID, was.ID)
	}
	return tx.PutMessages(*now)
}

// loggedMessage is a message as its history has it, with its box.
func loggedMessage(m *store.MessageRow) json.RawMessage {
	if m == nil {
		return nil
	}
	tree := messageTree(m)
	tree["source_id"] = m.BoxID
	return appendTree(nil, tree)
}

// messageHistory answers GET on the history of a message.
func (req *request) messageHistory() (*reply, error) {
	return req.historyOf(&resource{typ: TypeMessage}, req.account.id, req.route.args[1], func() error {
		_, err := req.api.opts.Store.GetMessage(req.ctx, req.account.id, req.route.args[1])
		return err
	})
}
