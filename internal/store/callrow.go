package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"bugle"
)

// CallRow is what is kept of one call, written once when it has ended.
type CallRow struct {
	ID         string // bugle's own id of the call, unique in the system
	AccountID  string
	SIPCallID  string
	Direction  string // "inbound" or "outbound", as seen from the system
	FromName   string
	FromNumber string
	Dialed     string // what the caller dialled
	ToID       string // id of the user or device that answered, "" when none did
	DeviceID   string // the caller's device
	OwnerID    string // its owner when the call began, "" for none
	OtherLeg   string // Call-ID of the leg that the caller talked to last, "" for none
	CallflowID string
	Started    time.Time
	Answered   time.Time // zero when it never was
	Ended      time.Time
	Cause      string
	Trail      json.RawMessage // the steps that the call took; a JSON array, nil means []
	// On whose behalf bugle started the call itself: a document and its type ("clicktocall", "user", "device"). "" for a call
	// that a phone has made.
	AuthorizingID, AuthorizingType string
	PresenceID                     string
	Variables                      json.RawMessage // custom application variables; a JSON object, nil for none
}

// CallQuery selects calls of one account.
type CallQuery struct {
	AccountID   string
	From, Until time.Time // of Started; From is included, Until is not; zero means without bound
	After       []byte    // what the page before returned as next
	Limit       int       // 1 to 1000; 0 means 50
}

// SaveCall writes one ended call, in a commit that it shares with others. A second row of the same id replaces the
// first, so a caller that is in doubt may save again.
func (s *Store) SaveCall(ctx context.Context, row CallRow) error {
	return s.calls.save(ctx, []CallRow{row})
}

// SubmitCall is SaveCall for a caller that does not wait: done is called once, after the commit or its failure, and must
// not block.
func (s *Store) SubmitCall(row CallRow, done func(error)) { s.calls.submit([]CallRow{row}, done) }

func (s *Store) writeCalls(ctx context.Context, t *transaction, calls []CallRow) error {
	last := make(map[string]*CallRow, len(calls))
	for i := range calls {
		last[clean(calls[i].ID)] = &calls[i]
	}
	var rows [][]any
	for _, id := range slices.Sorted(maps.Keys(last)) {
		c := last[id]
		trail := string(c.Trail)
		if !json.Valid(c.Trail) {
			trail = "[]"
		}
		variables := ""
		if json.Valid(c.Variables) {
			variables = string(c.Variables)
		}
		rows = append(rows, []any{id, clean(c.AccountID), clean(c.SIPCallID), clean(c.Direction), clean(c.FromName),
			clean(c.FromNumber), clean(c.Dialed), clean(c.ToID), clean(c.DeviceID), clean(c.CallflowID), micro(c.Started),
			micro(c.Answered), micro(c.Ended), clean(c.Cause), clean(trail), clean(c.OwnerID), clean(c.OtherLeg),
			clean(c.AuthorizingID), clean(c.AuthorizingType), clean(c.PresenceID), clean(variables)})
	}
	return inBatches(ctx, t, `INSERT INTO calls (`+callColumns+`) VALUES `, ` ON CONFLICT (id) DO UPDATE SET `+
		`account_id = excluded.account_id, sip_call_id = excluded.sip_call_id, direction = excluded.direction, `+
		`from_name = excluded.from_name, from_number = excluded.from_number, dialed = excluded.dialed, `+
		`to_id = excluded.to_id, device_id = excluded.device_id, callflow_id = excluded.callflow_id, `+
		`started = excluded.started, answered = excluded.answered, ended = excluded.ended, `+
		`cause = excluded.cause, trail = excluded.trail, owner_id = excluded.owner_id, `+
		`other_leg_call_id = excluded.other_leg_call_id, authorizing_id = excluded.authorizing_id, `+
		`authorizing_type = excluded.authorizing_type, presence_id = excluded.presence_id, variables = excluded.variables`, rows)
}

const callColumns = `id, account_id, sip_call_id, direction, from_name, from_number, dialed, to_id, device_id, ` +
	`callflow_id, started, answered, ended, cause, trail, owner_id, other_leg_call_id, ` +
	`authorizing_id, authorizing_type, presence_id, variables`

// GetCall returns the row of a call that has ended, else KindNotFound.
func (s *Store) GetCall(ctx context.Context, accountID, id string) (CallRow, error) {
	if !texts(accountID, id) {
		return CallRow{}, notFound("store.GetCall", "call")
	}
	c, err := scanCall(s.readable().row(ctx, `SELECT `+callColumns+` FROM calls WHERE id = ? AND account_id = ?`, id, accountID))
	if errors.Is(err, sql.ErrNoRows) {
		err = notFound("store.GetCall", "call")
	}
	return c, s.fail("store.GetCall", err)
}

// Calls returns one page of an account's calls, the latest first, and where the next begins.
func (s *Store) Calls(ctx context.Context, q CallQuery) (calls []CallRow, next []byte, err error) {
	query, args := `SELECT `+callColumns+` FROM calls WHERE account_id = ?`, []any{q.AccountID}
	if !q.From.IsZero() {
		query, args = query+` AND started >= ?`, append(args, micro(q.From))
	}
	if !q.Until.IsZero() {
		query, args = query+` AND started < ?`, append(args, micro(q.Until))
	}
	if q.After != nil {
		key, id, err := decodeCursor(q.After)
		if err != nil || len(key) != 8 {
			return nil, nil, &bugle.Error{Op: "store.Calls", Kind: bugle.KindInvalid, Field: "start_key",
				Message: "not a key that a page before this one gave"}
		}
		query, args = query+` AND (started, id) < (?, ?)`, append(args, int64(binary.BigEndian.Uint64(key)), id)
	}
	if !text(q.AccountID) {
		return nil, nil, nil
	}
	limit := Query{Limit: q.Limit}.limit()
	rows, err := s.readable().rows(ctx, query+` ORDER BY started DESC, id DESC LIMIT ? + 0`, append(args, limit+1)...)
	if err != nil {
		return nil, nil, s.fail("store.Calls", err)
	}
	defer rows.Close()
	for rows.Next() {
		c, err := scanCall(rows)
		if err != nil {
			return nil, nil, s.fail("store.Calls", err)
		}
		calls = append(calls, c)
	}
	if err := rows.Err(); err != nil {
		return nil, nil, s.fail("store.Calls", err)
	}
	if len(calls) > limit {
		calls = calls[:limit]
		next = calls[limit-1].Place()
	}
	return calls, next, nil
}

// Place is the After of a page that begins behind c.
func (c *CallRow) Place() []byte {
	return encodeCursor(binary.BigEndian.AppendUint64(nil, uint64(micro(c.Started))), c.ID)
}

func scanCall(row scanner) (c CallRow, err error) {
	var started, answered, ended int64
	var variables []byte
	err = row.Scan(&c.ID, &c.AccountID, &c.SIPCallID, &c.Direction, &c.FromName, &c.FromNumber, &c.Dialed, &c.ToID,
		&c.DeviceID, &c.CallflowID, &started, &answered, &ended, &c.Cause, (*[]byte)(&c.Trail),
		&c.OwnerID, &c.OtherLeg, &c.AuthorizingID, &c.AuthorizingType, &c.PresenceID, &variables)
	if len(variables) > 0 {
		c.Variables = variables
	}
	c.Started, c.Answered, c.Ended = timeOf(started), timeOf(answered), timeOf(ended)
	return c, err
}
