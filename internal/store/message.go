package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"bugle"
)

// Folders of messages.
const (
	FolderNew     = "new"
	FolderSaved   = "saved"
	FolderDeleted = "deleted" // the message is gone for its owner; SweepMessages removes it
)

// MessageRow is what is kept of one voicemail message. Its audio is a blob.
type MessageRow struct {
	ID            string // unique in the system
	AccountID     string
	BoxID         string
	Folder        string
	Arrived       time.Time
	Changed       time.Time // when folder, box or audio last changed; set by the store
	CallID        string
	FromName      string
	FromNumber    string
	From, To      string // SIP addresses
	Blob          string // SHA-256 of the audio, "" for none yet
	ContentType   string
	Size          int64 // bytes of the audio
	Length        time.Duration
	Transcription json.RawMessage // a JSON object, nil for none
}

// MessageQuery selects messages of one account.
type MessageQuery struct {
	AccountID string
	BoxID     string   // "" means every box
	Folders   []string // none means every folder
	After     []byte   // what the page before returned as next
	Limit     int      // 1 to 1000; 0 means 50
	Ascending bool     // the oldest first
}

const messageColumns = `id, account_id, box_id, folder, arrived, changed, call_id, from_name, from_number, from_uri, to_uri, ` +
	`blob, content_type, size, length, transcription`

// SaveMessage writes a message in a commit that it shares with others. A second row of the same id replaces the first,
// so a caller that is in doubt may save again.
func (s *Store) SaveMessage(ctx context.Context, row MessageRow) error {
	return s.messages.save(ctx, []MessageRow{row})
}

func (s *Store) writeMessages(ctx context.Context, t *transaction, messages []MessageRow) error {
	now := micro(s.now())
	last := make(map[string]int, len(messages))
	for i := range messages {
		last[clean(messages[i].ID)] = i
	}
	var rows [][]any
	for i := range messages {
		m := &messages[i]
		if last[clean(m.ID)] != i {
			continue
		}
		transcription := ""
		if len(m.Transcription) > 0 && object(m.Transcription) {
			transcription = string(m.Transcription)
		}
		rows = append(rows, []any{clean(m.ID), clean(m.AccountID), clean(m.BoxID), clean(m.Folder), micro(m.Arrived), now,
			clean(m.CallID), clean(m.FromName), clean(m.FromNumber), clean(m.From), clean(m.To), clean(m.Blob),
			clean(m.ContentType), m.Size, m.Length.Microseconds(), clean(transcription)})
	}
	// In one order everywhere, so that two groups never wait for each other's rows.
	slices.SortFunc(rows, func(x, y []any) int { return strings.Compare(x[0].(string), y[0].(string)) })
	return inBatches(ctx, t, `INSERT INTO messages (`+messageColumns+`) VALUES `, ` ON CONFLICT (id) DO UPDATE SET `+
		`account_id = excluded.account_id, box_id = excluded.box_id, folder = excluded.folder, arrived = excluded.arrived, `+
		`changed = excluded.changed, call_id = excluded.call_id, from_name = excluded.from_name, `+
		`from_number = excluded.from_number, from_uri = excluded.from_uri, to_uri = excluded.to_uri, blob = excluded.blob, `+
		`content_type = excluded.content_type, size = excluded.size, length = excluded.length, `+
		`transcription = excluded.transcription`, rows)
}

// PutMessages writes messages within the transaction.
func (tx *Tx) PutMessages(rows ...MessageRow) error {
	return tx.fail("store.PutMessages", tx.s.writeMessages(tx.ctx, tx.t, rows))
}

// Log appends a Change of something that is no document, such as a message: what a history tells of it. The transaction gives it
// its time, its place and who asked for it.
func (tx *Tx) Log(change bugle.Change) {
	change.At = tx.at
	tx.record(commit{change: change})
}

// GetMessage returns a message that nobody else changes until the transaction ends; KindNotFound when there is none.
func (tx *Tx) GetMessage(accountID, id string) (MessageRow, error) {
	m, err := getMessage(tx.ctx, tx.t, accountID, id)
	return m, tx.fail("store.GetMessage", err)
}

// RemoveMessage removes a message; removing none is no error.
func (tx *Tx) RemoveMessage(accountID, id string) error {
	_, err := tx.t.exec(tx.ctx, `DELETE FROM messages WHERE account_id = ? AND id = ?`, clean(accountID), clean(id))
	return tx.fail("store.RemoveMessage", err)
}

// RemoveMessages removes all messages of a box, or for "" of an account.
func (tx *Tx) RemoveMessages(accountID, boxID string) error {
	query, args := `DELETE FROM messages WHERE account_id = ?`, []any{clean(accountID)}
	if boxID != "" {
		query, args = query+` AND box_id = ?`, append(args, clean(boxID))
	}
	_, err := tx.t.exec(tx.ctx, query, args...)
	return tx.fail("store.RemoveMessages", err)
}

// GetMessage returns a message, else KindNotFound.
func (s *Store) GetMessage(ctx context.Context, accountID, id string) (MessageRow, error) {
	m, err := getMessage(ctx, s.readable(), accountID, id)
	return m, s.fail("store.GetMessage", err)
}

func getMessage(ctx context.Context, q querier, accountID, id string) (MessageRow, error) {
	if !texts(accountID, id) {
		return MessageRow{}, notFound("store.GetMessage", "message")
	}
	m, err := scanMessage(q.row(ctx, `SELECT `+messageColumns+` FROM messages d WHERE id = ? AND account_id = ?`+q.locking(), id,
		accountID))
	if errors.Is(err, sql.ErrNoRows) {
		err = notFound("store.GetMessage", "message")
	}
	return m, err
}

// Messages returns one page of messages, the latest first, and where the next begins.
func (s *Store) Messages(ctx context.Context, q MessageQuery) (messages []MessageRow, next []byte, err error) {
	if !texts(append([]string{q.AccountID, q.BoxID}, q.Folders...)...) {
		return nil, nil, nil
	}
	query, args := `SELECT `+messageColumns+` FROM messages WHERE account_id = ?`, []any{q.AccountID}
	if q.BoxID != "" {
		query, args = query+` AND box_id = ?`, append(args, q.BoxID)
	}
	if len(q.Folders) > 0 {
		query += ` AND folder IN ` + tuples(1, len(q.Folders))
		for _, folder := range q.Folders {
			args = append(args, folder)
		}
	}
	beyond, order := `<`, ` DESC`
	if q.Ascending {
		beyond, order = `>`, ``
	}
	if q.After != nil {
		key, id, err := decodeCursor(q.After)
		if err != nil || len(key) != 8 {
			return nil, nil, &bugle.Error{Op: "store.Messages", Kind: bugle.KindInvalid, Field: "start_key",
				Message: "not a key that a page before this one gave"}
		}
		query, args = query+` AND (arrived, id) `+beyond+` (?, ?)`, append(args, int64(binary.BigEndian.Uint64(key)), id)
	}
	limit := Query{Limit: q.Limit}.limit()
	rows, err := s.readable().rows(ctx, query+` ORDER BY arrived`+order+`, id`+order+` LIMIT ?`, append(args, limit+1)...)
	if err != nil {
		return nil, nil, s.fail("store.Messages", err)
	}
	defer rows.Close()
	for rows.Next() {
		m, err := scanMessage(rows)
		if err != nil {
			return nil, nil, s.fail("store.Messages", err)
		}
		messages = append(messages, m)
	}
	if err := rows.Err(); err != nil {
		return nil, nil, s.fail("store.Messages", err)
	}
	if len(messages) > limit {
		messages = messages[:limit]
		last := messages[limit-1]
		next = encodeCursor(binary.BigEndian.AppendUint64(nil, uint64(micro(last.Arrived))), last.ID)
	}
	return messages, next, nil
}

// CountMessages returns how many messages the boxes of an account have, by box and folder.
func (s *Store) CountMessages(ctx context.Context, accountID string, boxIDs []string) (map[string]map[string]int, error) {
	out := map[string]map[string]int{}
	for boxes := range slices.Chunk(boxIDs, batches[0]) {
		if !texts(append([]string{accountID}, boxes...)...) {
			continue
		}
		args := []any{accountID}
		for _, box := range boxes {
			args = append(args, box)
		}
		rows, err := s.readable().rows(ctx, `SELECT box_id, folder, count(*) FROM messages WHERE account_id = ? AND box_id IN `+
			tuples(1, len(boxes))+` GROUP BY box_id, folder`, args...)
		if err != nil {
			return nil, s.fail("store.CountMessages", err)
		}
		err = scanCounts(rows, out)
		if err != nil {
			return nil, s.fail("store.CountMessages", err)
		}
	}
	return out, nil
}

func scanCounts(rows *sql.Rows, out map[string]map[string]int) error {
	defer rows.Close()
	for rows.Next() {
		var box, folder string
		var n int
		if err := rows.Scan(&box, &folder, &n); err != nil {
			return err
		}
		if out[box] == nil {
			out[box] = map[string]int{}
		}
		out[box][folder] = n
	}
	return rows.Err()
}

// MessageBlob reports whether a message of the account names the blob.
func (s *Store) MessageBlob(ctx context.Context, accountID, sum string) (bool, error) {
	var n int
	err := s.readable().row(ctx, `SELECT count(*) FROM (SELECT 1 FROM messages WHERE account_id = ? AND blob = ? LIMIT 1) m`,
		clean(accountID), clean(sum)).Scan(&n)
	return n > 0, s.fail("store.MessageBlob", err)
}

// SweepMessages removes the messages that have been in the folder of deleted ones since before a time, in small
// transactions, and returns how many.
func (s *Store) SweepMessages(ctx context.Context, before time.Time) (removed int, err error) {
	for {
		t, err := s.begin(ctx)
		if err != nil {
			return removed, s.fail("store.SweepMessages", err)
		}
		n, err := t.exec(ctx, `DELETE FROM messages WHERE id IN (SELECT id FROM messages WHERE folder = ? AND changed < ? `+
			`ORDER BY changed LIMIT ?)`, FolderDeleted, before.UnixMicro(), sweepBatch)
		if err != nil {
			t.rollback()
			return removed, s.fail("store.SweepMessages", err)
		}
		if err := s.commit(t); err != nil {
			return removed, s.fail("store.SweepMessages", err)
		}
		if removed += int(n); n < sweepBatch {
			return removed, nil
		}
	}
}

func scanMessage(row scanner) (m MessageRow, err error) {
	var arrived, changed, length int64
	var transcription string
	err = row.Scan(&m.ID, &m.AccountID, &m.BoxID, &m.Folder, &arrived, &changed, &m.CallID, &m.FromName, &m.FromNumber, &m.From,
		&m.To, &m.Blob, &m.ContentType, &m.Size, &length, &transcription)
	m.Arrived, m.Changed, m.Length = timeOf(arrived), timeOf(changed), time.Duration(length)*time.Microsecond
	if transcription != "" {
		m.Transcription = json.RawMessage(transcription)
	}
	return m, err
}
