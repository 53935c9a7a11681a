package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"bugle"
)

// AttemptScheduled is the state of an attempt that waits until it is due. The other states are their owner's business.
const AttemptScheduled = "scheduled"

// AttemptRow is what is kept of one attempt to have two people called: one that was made, refused, or is yet to be made.
type AttemptRow struct {
	ID         string // unique in the system
	AccountID  string
	EndpointID string // of the document that it was made through
	Created    time.Time
	Contact    string
	State      string
	Reason     string // why it was refused, "" when it was not
	Cause      string
	CallID     string          // of the call's first half, "" when there was none
	Requester  json.RawMessage // who asked, a JSON object; nil means {}
	Request    json.RawMessage // what it takes to place it, a JSON object; nil means {}
	Key        string          // unique within the endpoint, "" for none
	Started    time.Time       // of the call; zero when it never was, as those that follow
	Answered   time.Time       // by the first party
	Bridged    time.Time       // with the second party
	Ended      time.Time
	Due        time.Time // when it is to be made, zero for at once
	Node       string    // process that holds the call, "" for none
	Lease      time.Time // when Node is taken to be dead unless it renews
}

// AttemptQuery selects attempts through one endpoint.
type AttemptQuery struct {
	AccountID, EndpointID string
	From, Until           time.Time // of Created; From is included, Until is not; zero means without bound
	After                 []byte    // what the page before returned as next
	Limit                 int       // 1 to 1000; 0 means 50
}

const attemptColumns = `id, account_id, endpoint_id, created, contact, state, reason, cause, call_id, requester, request, ` +
	`idempotency_key, started, answered, bridged, ended, due, node, lease`

// SubmitAttempt writes an attempt in a commit that it shares with others; a row of the same id is replaced. done is
// called once, after the commit or its failure, and must not block.
func (s *Store) SubmitAttempt(row AttemptRow, done func(error)) {
	s.attempts.submit([]*attemptWrite{{row: row}}, done)
}

// GetAttempt returns an attempt through an endpoint, else KindNotFound.
func (s *Store) GetAttempt(ctx context.Context, accountID, endpointID, id string) (AttemptRow, error) {
	if !texts(accountID, endpointID, id) {
		return AttemptRow{}, notFound("store.GetAttempt", "attempt")
	}
	a, err := scanAttempt(s.readable().row(ctx, `SELECT `+attemptColumns+` FROM attempts WHERE id = ? AND account_id = ? `+
		`AND endpoint_id = ?`, id, accountID, endpointID))
	if errors.Is(err, sql.ErrNoRows) {
		err = notFound("store.GetAttempt", "attempt")
	}
	return a, s.fail("store.GetAttempt", err)
}

// AttemptByKey returns the attempt through an endpoint that has the key, else KindNotFound.
func (s *Store) AttemptByKey(ctx context.Context, endpointID, key string) (AttemptRow, error) {
	if !texts(endpointID, key) {
		return AttemptRow{}, notFound("store.AttemptByKey", "attempt")
	}
	a, err := attemptByKey(ctx, s.readable(), endpointID, key)
	if errors.Is(err, sql.ErrNoRows) {
		err = notFound("store.AttemptByKey", "attempt")
	}
	return a, s.fail("store.AttemptByKey", err)
}

func attemptByKey(ctx context.Context, q querier, endpointID, key string) (AttemptRow, error) {
	return scanAttempt(q.row(ctx, `SELECT `+attemptColumns+` FROM attempts WHERE endpoint_id = ? AND idempotency_key = ? `+
		`AND idempotency_key <> ''`, endpointID, key))
}

// Attempts returns one page of the attempts through an endpoint, the latest first, and where the next begins.
func (s *Store) Attempts(ctx context.Context, q AttemptQuery) (attempts []AttemptRow, next []byte, err error) {
	if !texts(q.AccountID, q.EndpointID) {
		return nil, nil, nil
	}
	query, args := `SELECT `+attemptColumns+` FROM attempts WHERE account_id = ? AND endpoint_id = ?`, []any{q.AccountID, q.EndpointID}
	if !q.From.IsZero() {
		query, args = query+` AND created >= ?`, append(args, micro(q.From))
	}
	if !q.Until.IsZero() {
		query, args = query+` AND created < ?`, append(args, micro(q.Until))
	}
	if q.After != nil {
		key, id, err := decodeCursor(q.After)
		if err != nil || len(key) != 8 {
			return nil, nil, &bugle.Error{Op: "store.Attempts", Kind: bugle.KindInvalid, Field: "start_key",
				Message: "not a key that a page before this one gave"}
		}
		query, args = query+` AND (created, id) < (?, ?)`, append(args, int64(binary.BigEndian.Uint64(key)), id)
	}
	limit := Query{Limit: q.Limit}.limit()
	attempts, err = s.attemptRows(ctx, s.readable(), query+` ORDER BY created DESC, id DESC LIMIT ? + 0`, append(args, limit+1)...)
	if err != nil {
		return nil, nil, s.fail("store.Attempts", err)
	}
	if len(attempts) > limit {
		attempts = attempts[:limit]
		last := &attempts[limit-1]
		next = encodeCursor(binary.BigEndian.AppendUint64(nil, uint64(micro(last.Created))), last.ID)
	}
	return attempts, next, nil
}

func (s *Store) attemptRows(ctx context.Context, q querier, query string, args ...any) (out []AttemptRow, err error) {
	rows, err := q.rows(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		a, err := scanAttempt(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, rows.Err()
}

func scanAttempt(row scanner) (a AttemptRow, err error) {
	var created, started, answered, bridged, ended, due, lease int64
	err = row.Scan(&a.ID, &a.AccountID, &a.EndpointID, &created, &a.Contact, &a.State, &a.Reason, &a.Cause, &a.CallID,
		(*[]byte)(&a.Requester), (*[]byte)(&a.Request), &a.Key, &started, &answered, &bridged, &ended, &due, &a.Node, &lease)
	for _, at := range [...]struct {
		to *time.Time
		us int64
	}{{&a.Created, created}, {&a.Started, started}, {&a.Answered, answered}, {&a.Bridged, bridged}, {&a.Ended, ended},
		{&a.Due, due}, {&a.Lease, lease}} {
		*at.to = timeOf(at.us)
	}
	return a, err
}

func (a *AttemptRow) values() []any {
	valid := func(text json.RawMessage) string {
		if len(text) == 0 || !object(text) {
			return "{}"
		}
		return clean(string(text))
	}
	return []any{clean(a.ID), clean(a.AccountID), clean(a.EndpointID), micro(a.Created), clean(a.Contact), clean(a.State),
		clean(a.Reason), clean(a.Cause), clean(a.CallID), valid(a.Requester), valid(a.Request), clean(a.Key), micro(a.Started),
		micro(a.Answered), micro(a.Bridged), micro(a.Ended), micro(a.Due), clean(a.Node), micro(a.Lease)}
}

// CallOfAttempt is the record of one half of an attempt's call, as far as it is needed to find it.
type CallOfAttempt struct {
	ID      string
	Started time.Time
}

// CallsOfAttempts returns the records of calls by their Call-IDs, which begin with "c2c-"; those that have no record, or
// none yet, are left out.
func (s *Store) CallsOfAttempts(ctx context.Context, accountID string, callIDs []string) (map[string]CallOfAttempt, error) {
	out := make(map[string]CallOfAttempt, len(callIDs))
	for some := range slices.Chunk(callIDs, batches[0]) {
		args := []any{clean(accountID)}
		for _, id := range some {
			args = append(args, clean(id))
		}
		if err := s.callsOfAttempts(ctx, out, tuples(1, len(some)), args); err != nil {
			return nil, s.fail("store.CallsOfAttempts", err)
		}
	}
	return out, nil
}

func (s *Store) callsOfAttempts(ctx context.Context, out map[string]CallOfAttempt, list string, args []any) error {
	// The bounds are those of the index.
	rows, err := s.readable().rows(ctx, `SELECT sip_call_id, id, started FROM calls WHERE account_id = ? AND sip_call_id IN `+list+
		` AND sip_call_id >= 'c2c-' AND sip_call_id < 'c2c.'`, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var callID, id string
		var started int64
		if err := rows.Scan(&callID, &id, &started); err != nil {
			return err
		}
		out[callID] = CallOfAttempt{ID: id, Started: timeOf(started)}
	}
	return rows.Err()
}
