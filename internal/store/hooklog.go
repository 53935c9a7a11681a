package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"bugle"
)

// Deliveries returns one page of deliveries in the order of their positions, the latest first, and where the next begins.
func (s *Store) Deliveries(ctx context.Context, q HookQuery) (list []HookDelivery, next []byte, err error) {
	if !texts(q.AccountID, q.Endpoint) {
		return nil, nil, nil
	}
	if none, err := s.boundPositions(ctx, &q); none || err != nil {
		return nil, nil, s.fail("store.Deliveries", err)
	}
	where, args := q.deliveries()
	beyond, order := `<`, ` DESC`
	if q.Ascending {
		beyond, order = `>`, ``
	}
	if q.After != nil {
		place, _, err := hookPlace(q.After)
		if err != nil {
			return nil, nil, err
		}
		where, args = where+` AND position `+beyond+` ?`, append(args, place)
	}
	limit := Query{Limit: q.Limit}.limit()
	list, err = s.deliveries(ctx, `SELECT `+deliveryColumns+` FROM hook_deliveries WHERE account_id = ? AND position IN (SELECT position FROM `+
		`hook_deliveries WHERE `+where+` ORDER BY position`+order+` LIMIT ? + 0) ORDER BY position`+order,
		append(append([]any{q.AccountID}, args...), limit+1)...)
	if err == nil && len(list) > limit {
		list = list[:limit]
		next = encodeCursor(binary.BigEndian.AppendUint64(nil, uint64(list[limit-1].Position)), list[limit-1].ID)
	}
	return list, next, s.fail("store.Deliveries", err)
}

// skew is how far the order of deliveries and that of their times may differ: servers have clocks of their own.
const skew = time.Hour

// boundPositions bounds the positions of a query that bounds times, so that not all that is older or newer is read.
func (s *Store) boundPositions(ctx context.Context, q *HookQuery) (none bool, err error) {
	bound := func(where string, at time.Time, better func(position int64)) {
		if at.IsZero() || none || err != nil {
			return
		}
		var position int64
		switch err = s.readable().row(ctx, `SELECT position FROM hook_deliveries WHERE account_id = ? AND `+where, q.AccountID, micro(at)).Scan(&position); {
		case err == nil:
			better(position)
		case errors.Is(err, sql.ErrNoRows):
			none, err = true, nil
		}
	}
	if !q.From.IsZero() {
		bound(`created >= ? ORDER BY created, position LIMIT 1`, q.From.Add(-skew), func(position int64) { q.First = max(q.First, position) })
	}
	if !q.Until.IsZero() {
		bound(`created < ? ORDER BY created DESC, position DESC LIMIT 1`, q.Until.Add(skew), func(position int64) {
			if q.Last == 0 || q.Last > position {
				q.Last = position
			}
		})
	}
	return none, err
}

// deliveries is the condition of a query of deliveries. What only waits or is dead is looked for by its state: among many
// that were delivered it is little.
func (q *HookQuery) deliveries() (where string, args []any) {
	byState := len(q.States) > 0 && !slices.Contains(q.States, HookDelivered) && !slices.Contains(q.States, HookDropped)
	switch {
	case q.Endpoint != "" && byState:
		where, args = `endpoint_id = ? AND account_id || '' = ?`, []any{q.Endpoint, q.AccountID}
	case q.Endpoint != "":
		where, args = `account_id = ? AND endpoint_id = ?`, []any{q.AccountID, q.Endpoint}
	case byState: // of an endpoint that is gone nothing waits or is dead
		where, args = `endpoint_id IN (SELECT id FROM hook_endpoints WHERE account_id = ?)`, []any{q.AccountID}
	default:
		where, args = `account_id = ?`, []any{q.AccountID}
	}
	if len(q.States) > 0 {
		where += ` AND state IN ` + tuples(1, len(q.States))
		for _, state := range q.States {
			args = append(args, int64(state))
		}
	}
	if q.Delivery != "" {
		where, args = where+` AND id = ?`, append(args, clean(q.Delivery))
	}
	for _, bound := range []struct {
		condition string
		value     int64
	}{{` AND position >= ?`, q.First}, {` AND position <= ?`, q.Last}, {` AND +created >= ?`, micro(q.From)}, {` AND +created < ?`, micro(q.Until)}} {
		if bound.value > 0 {
			where, args = where+bound.condition, append(args, bound.value)
		}
	}
	return where, args
}

// HookBacklog is what has not reached the receiver of an endpoint.
type HookBacklog struct {
	Waiting int
	Oldest  time.Time // of what waits: when it was enqueued
	Dead    int
}

// HookBacklogs returns the backlogs of endpoints of an account, by id; one that has none is not in it.
func (s *Store) HookBacklogs(ctx context.Context, accountID string, ids []string) (map[string]HookBacklog, error) {
	out := map[string]HookBacklog{}
	for part := range slices.Chunk(ids, batches[0]) {
		args := make([]any, 0, len(part)+1)
		for _, id := range part {
			args = append(args, clean(id))
		}
		err := each(ctx, s.readable(), `SELECT g.endpoint_id, g.state, g.n, d.created FROM (SELECT endpoint_id, state, count(*) AS n, min(position) AS head FROM `+
			`hook_deliveries WHERE state IN (0, 2) AND endpoint_id IN `+tuples(1, len(part))+` GROUP BY endpoint_id, state) g JOIN hook_deliveries d ON `+
			`d.endpoint_id = g.endpoint_id AND d.position = g.head WHERE d.account_id || '' = ?`, append(args, accountID), func(rows *sql.Rows) error {
			var id string
			var state, created int64
			var n int
			if err := rows.Scan(&id, &state, &n, &created); err != nil {
				return err
			}
			b := out[id]
			if HookState(state) == HookWaiting {
				b.Waiting, b.Oldest = n, timeOf(created)
			} else {
				b.Dead = n
			}
			out[id] = b
			return nil
		})
		if err != nil {
			return nil, s.fail("store.HookBacklogs", err)
		}
	}
	return out, nil
}

// HookEndpoints returns those endpoints of an account that anything was enqueued for or that were paused, by id.
func (s *Store) HookEndpoints(ctx context.Context, accountID string, ids []string) (map[string]HookEndpoint, error) {
	out := map[string]HookEndpoint{}
	for part := range slices.Chunk(ids, batches[0]) {
		args := make([]any, 0, len(part)+1)
		for _, id := range part {
			args = append(args, clean(id))
		}
		list, err := endpoints(ctx, s.readable(), `id IN `+tuples(1, len(part))+` AND account_id = ?`, append(args, accountID)...)
		if err != nil {
			return nil, s.fail("store.HookEndpoints", err)
		}
		for _, e := range list {
			out[e.ID] = e
		}
	}
	return out, nil
}

// PauseHook stops an endpoint of a kind, or resumes it; what waits goes on waiting, and is due once it is resumed. A pause
// lasts until then, whatever ends or begins meanwhile. One that is paused already stays so since when it was.
func (tx *Tx) PauseHook(accountID, endpoint, kind string, paused bool) error {
	if !named(accountID) || !named(endpoint) || !named(kind) {
		return &bugle.Error{Op: "store.PauseHook", Kind: bugle.KindInvalid, Message: "a pause needs an account, an endpoint and its kind"}
	}
	at := tx.at.UnixMicro()
	if _, err := tx.t.exec(tx.ctx, `INSERT INTO hook_endpoints (`+endpointColumns+`) VALUES `+tuples(1, 11)+` ON CONFLICT (id) DO NOTHING`,
		endpoint, accountID, kind, "", 0, 0, 0, 0, 0, "", 0); err != nil {
		return tx.fail("store.PauseHook", err)
	}
	if paused {
		return tx.touch("store.PauseHook", accountID, endpoint, `paused = CASE WHEN paused = 0 THEN ? ELSE paused END`, at)
	}
	return tx.touch("store.PauseHook", accountID, endpoint, `resumed = CASE WHEN paused > 0 THEN ? ELSE resumed END, paused = 0`, at)
}

// resendable is a further condition of what can be sent again.
const resendable = ` AND state <> 3 AND endpoint_id IN (SELECT id FROM hook_endpoints WHERE account_id = ?)`

// resendBatch is how many deliveries are sent again in one transaction.
const resendBatch = 500

// Resend makes deliveries wait for an attempt at once, in a new round: those of q, of every state unless it names some, in
// small transactions, the earliest first. It returns how many; those whose endpoint is gone are not sent again, and those
// that are enqueued meanwhile are left alone. Their ids and bytes stay as they are.
func (s *Store) Resend(ctx context.Context, q HookQuery) (sent int, err error) {
	if !texts(q.AccountID, q.Endpoint, q.Delivery) {
		return 0, nil
	}
	last, err := s.HooksQueued(ctx)
	if err != nil {
		return 0, err
	}
	if q.Last == 0 || q.Last > last {
		q.Last = last
	}
	if none, err := s.boundPositions(ctx, &q); none || err != nil {
		return 0, s.fail("store.Resend", err)
	}
	for {
		var n int
		var reached int64
		if err := s.Write(ctx, func(tx *Tx) (err error) {
			n, reached, err = tx.resend(q)
			return tx.fail("store.Resend", err)
		}); err != nil {
			return sent, err
		}
		sent += n
		if reached == 0 {
			return sent, nil
		}
		q.First = reached + 1
	}
}

// resend sends some again, and returns how many and, when there may be more, the position of the last.
func (tx *Tx) resend(q HookQuery) (n int, reached int64, err error) {
	where, args := q.deliveries()
	args = append(args, q.AccountID)
	// A transaction that sends again writes no document: it would count in another order.
	last, err := tx.count([]any{deliveriesCounter, 1})
	if err != nil {
		return 0, 0, err
	}
	var positions []any
	if err := each(tx.ctx, tx.t, `SELECT position FROM hook_deliveries WHERE `+where+resendable+` ORDER BY position LIMIT ? + 0`,
		append(args, resendBatch), func(rows *sql.Rows) error {
			err := rows.Scan(&reached)
			positions = append(positions, reached)
			return err
		}); err != nil || len(positions) == 0 {
		return 0, 0, err
	}
	for part := range slices.Chunk(positions, batches[0]) {
		changed, err := tx.t.exec(tx.ctx, `UPDATE hook_deliveries SET state = 0, queued = ?, began = 0, due = ?, finished = 0, tries = 0 WHERE `+
			`account_id = ? AND state <> 3 AND position IN `+tuples(1, len(part)), append([]any{last[deliveriesCounter], tx.at.UnixMicro(), q.AccountID}, part...)...)
		if err != nil {
			return 0, 0, err
		}
		n += int(changed)
	}
	tx.resent = true
	if len(positions) < resendBatch {
		reached = 0
	}
	return n, reached, nil
}
