package crossbar

import (
	"net/http"
	"slices"
	"strconv"

	"bugle/internal/store"
)

// editMessages runs a change of messages in one transaction, in which their box stays.
func (req *request) editMessages(change func(tx *store.Tx) error) error {
	return req.api.opts.Store.Write(req.ctx, func(tx *store.Tx) error {
		if _, err := tx.Get(req.account.id, TypeMailbox, req.route.arg()); err != nil {
			return req.missing(err, req.route.arg())
		}
		return change(tx)
	})
}

// messageIn is a message of the path's box that nobody else changes meanwhile.
func (req *request) messageIn(tx *store.Tx, id string) (store.MessageRow, error) {
	m, err := tx.GetMessage(req.account.id, id)
	if err == nil && m.BoxID != req.route.arg() {
		err = badIdentifier(id)
	}
	return m, req.missing(err, id)
}

const maxMessages = 1000 // that one request changes

// namedMessages are the ids of the messages that a bulk request names; ok is false when it names none.
func (req *request) namedMessages() (ids []string, ok bool, err error) {
	data, err := req.object()
	if err != nil {
		return nil, false, err
	}
	given, ok := data["messages"]
	if !ok {
		return nil, false, nil
	}
	list, isList := given.([]any)
	if !isList {
		return nil, false, oneError("messages", "type", "Value did not match type(s): array", given)
	}
	if len(list) > maxMessages {
		return nil, false, oneError("messages", "maxItems", "The list is more than 1000 items", nil)
	}
	for i, v := range list {
		id, isText := v.(string)
		if !isText {
			return nil, false, oneError("messages."+strconv.Itoa(i), "type", "Value did not match type(s): string", v)
		}
		ids = append(ids, id)
	}
	return distinct(ids), true, nil
}

// bulk is what became of several messages.
type bulk struct {
	succeeded []string
	failed    []any
}

func (b bulk) reply() *reply {
	failed := b.failed
	if failed == nil {
		failed = []any{}
	}
	return &reply{status: http.StatusOK, data: appendTree(nil, map[string]any{"succeeded": append([]string{}, b.succeeded...),
		"failed": failed})}
}

// each changes messages one by one in one transaction. Of those that are not there, bulk says so.
func (req *request) each(ids []string, change func(tx *store.Tx, m store.MessageRow) (done []string, err error)) (b bulk, err error) {
	slices.Sort(ids) // in one order, so that two requests do not wait for each other
	err = req.editMessages(func(tx *store.Tx) error {
		b = bulk{}
		for _, id := range ids {
			m, err := req.messageIn(tx, id)
			if f, _ := err.(*fault); f != nil && f.status == http.StatusNotFound {
				b.failed = append(b.failed, map[string]any{clip(id, 128): "not_found"})
				continue
			}
			if err != nil {
				return err
			}
			done, err := change(tx, m)
			if err != nil {
				return err
			}
			b.succeeded = append(b.succeeded, done...)
		}
		return nil
	})
	return b, err
}

// changeMessage answers POST on one message.
func (req *request) changeMessage() (*reply, error) {
	m, err := req.message()
	if err != nil {
		return nil, err
	}
	change, copies, err := req.messageChange()
	if err != nil {
		return nil, err
	}
	b, err := req.each([]string{m.ID}, change)
	if err != nil || copies {
		return b.reply(), err
	}
	if len(b.succeeded) == 0 {
		return nil, badIdentifier(m.ID)
	}
	if m, err = req.api.opts.Store.GetMessage(req.ctx, req.account.id, m.ID); err != nil {
		return nil, req.missing(err, m.ID)
	}
	return messageReply(m), nil
}

// changeMessages answers POST on the messages of a box.
func (req *request) changeMessages() (*reply, error) {
	ids, named, err := req.namedMessages()
	if err != nil {
		return nil, err
	}
	if !named {
		return nil, oneError("messages", "required", "No array of message ids are specified", nil)
	}
	change, _, err := req.messageChange()
	if err != nil {
		return nil, err
	}
	b, err := req.each(ids, change)
	if err != nil {
		return nil, err
	}
	return b.reply(), nil
}

// messageChange reads what a POST wants: another folder, another box (source_id), or copies in other boxes (a list of
// them). A move or copy with a folder does both.
func (req *request) messageChange() (change func(*store.Tx, store.MessageRow) ([]string, error), copies bool, err error) {
	data, err := req.object()
	if err != nil {
		return nil, false, err
	}
	folder, err := req.folder()
	if err != nil {
		return nil, false, err
	}
	var boxes []string
	switch target := data["source_id"].(type) {
	case nil:
		if folder == "" {
			return nil, false, oneError("folder", "required", "Field is required but missing: a folder, or source_id", nil)
		}
	case string:
		boxes = []string{target}
	case []any:
		copies = true
		for i, v := range target {
			id, ok := v.(string)
			if !ok || len(target) > 100 {
				return nil, false, oneError("source_id."+strconv.Itoa(i), "type", "Must be the ids of at most 100 boxes", v)
			}
			boxes = append(boxes, id)
		}
		boxes = distinct(boxes)
	default:
		return nil, false, oneError("source_id", "type", "Value did not match type(s): string, array", shown(target))
	}
	if copies && len(boxes) == 0 {
		return nil, false, oneError("source_id", "minItems", "The list must have at least 1 items", nil)
	}
	return func(tx *store.Tx, m store.MessageRow) ([]string, error) {
		was := m
		if folder != "" {
			m.Folder = folder
		}
		var copied []string
		for _, box := range boxes {
			d, err := tx.Get(req.account.id, TypeMailbox, box)
			if isMissing(err) || err == nil && !req.identity.admin && !ownedByIndex(&d, req.identity.userID) {
				return nil, oneError("source_id", "not_found", "There is no such voicemail box", box)
			}
			if err != nil {
				return nil, err
			}
			m.BoxID = box
			if !copies {
				break
			}
			m.ID = NewMessageID(m.Arrived)
			if err := putMessage(tx, nil, &m); err != nil {
				return nil, err
			}
			copied = append(copied, m.ID)
		}
		if copies {
			return copied, nil
		}
		return []string{m.ID}, putMessage(tx, &was, &m)
	}, copies, nil
}

// hard reports whether a deletion leaves nothing; else the message goes into the folder of deleted ones for a while.
func (req *request) hard() bool {
	s, ok := req.param("should_soft_delete")
	return ok && s == "false"
}

func (req *request) dropMessage(tx *store.Tx, m store.MessageRow) ([]string, error) {
	if req.hard() {
		return []string{m.ID}, putMessage(tx, &m, nil)
	}
	was := m
	m.Folder = store.FolderDeleted
	return []string{m.ID}, putMessage(tx, &was, &m)
}

func (req *request) removeMessage() (*reply, error) {
	m, err := req.message()
	if err != nil {
		return nil, err
	}
	b, err := req.each([]string{m.ID}, req.dropMessage)
	if err != nil {
		return nil, err
	}
	if len(b.succeeded) == 0 {
		return nil, badIdentifier(m.ID)
	}
	tree := messageTree(&m)
	tree["_read_only"] = map[string]any{"deleted": true}
	return &reply{status: http.StatusOK, data: appendTree(nil, tree)}, nil
}

// removeMessages answers DELETE on the messages of a box: those that are named, those of a folder, or all.
func (req *request) removeMessages() (*reply, error) {
	ids, named, err := req.namedMessages()
	if err != nil {
		return nil, err
	}
	if named {
		b, err := req.each(ids, req.dropMessage)
		if err != nil {
			return nil, err
		}
		return b.reply(), nil
	}
	q := store.MessageQuery{AccountID: req.account.id, BoxID: req.route.arg(), Limit: storePage}
	if q.Folders, err = req.wantedFolders(); err != nil {
		return nil, err
	}
	var all bulk
	for more := true; more; more = q.After != nil {
		var messages []store.MessageRow
		if messages, q.After, err = req.api.opts.Store.Messages(req.ctx, q); err != nil {
			return nil, err
		}
		ids := make([]string, len(messages))
		for i := range messages {
			ids[i] = messages[i].ID
		}
		b, err := req.each(ids, req.dropMessage)
		if err != nil {
			return nil, err
		}
		all.succeeded, all.failed = append(all.succeeded, b.succeeded...), append(all.failed, b.failed...)
	}
	return all.reply(), nil
}
