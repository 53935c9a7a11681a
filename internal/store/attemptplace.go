package store

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
)

// Placing is what an attempt has to pass, at once with its being written.
type Placing struct {
	Throttle     time.Duration // since the endpoint last placed a call; 0 for none. An attempt with a Due is not placed yet
	Token        string        // id of a token that is good for one attempt, "" for none
	TokenExpires time.Time     // after which its id need not be known
	MostDue      int           // attempts of the endpoint that may be scheduled at once; 0 for any number
	MostToOne    int           // of these to one contact; 0 for any number
}

// Placed is what became of an attempt that was to be placed. Unless Written, nothing was changed.
type Placed struct {
	Written   bool
	Earlier   *AttemptRow   // the endpoint's attempt with the same key, when there is one
	Spent     bool          // the token was used before
	Throttled time.Duration // until the throttle lets the next call pass
	Full      bool          // as many attempts are scheduled as may be
}

// attemptWrite is one member of a group: a row that replaces the one of its id, one that is to be placed, or what is taken
// back.
type attemptWrite struct {
	row    AttemptRow
	place  *Placing
	placed Placed
	undo   bool
}

// PlaceAttempt writes a new attempt unless something forbids it, in a commit that it shares with others; on one database
// all servers agree. When ctx ends first, it may still be written.
func (s *Store) PlaceAttempt(ctx context.Context, row AttemptRow, p Placing) (Placed, error) {
	w := &attemptWrite{row: row, place: &p}
	if err := s.attempts.save(ctx, []*attemptWrite{w}); err != nil {
		return Placed{}, err
	}
	return w.placed, nil
}

// UnplaceAttempt gives back what an attempt took at a time, after its call could not be begun: the throttle, and the token
// unless it is "".
func (s *Store) UnplaceAttempt(ctx context.Context, endpointID, token string, at time.Time) error {
	return s.attempts.save(ctx, []*attemptWrite{{row: AttemptRow{EndpointID: endpointID, Created: at}, place: &Placing{Token: token}, undo: true}})
}

// TakeThrottle is the throttle of Placing for an attempt that was scheduled and is placed now; 0 when it may be.
func (s *Store) TakeThrottle(ctx context.Context, endpointID string, now time.Time, throttle time.Duration) (wait time.Duration, err error) {
	if throttle <= 0 {
		return 0, nil
	}
	t, err := s.begin(ctx)
	if err != nil {
		return 0, s.fail("store.TakeThrottle", err)
	}
	if wait, err = takeThrottle(ctx, t, clean(endpointID), now, throttle); err != nil || wait > 0 {
		t.rollback()
		return wait, s.fail("store.TakeThrottle", err)
	}
	return 0, s.fail("store.TakeThrottle", s.commit(t))
}

func takeThrottle(ctx context.Context, t *transaction, endpointID string, now time.Time, throttle time.Duration) (time.Duration, error) {
	n, err := t.exec(ctx, `INSERT INTO placements (endpoint_id, placed) VALUES (?, ?) ON CONFLICT (endpoint_id) DO UPDATE `+
		`SET placed = excluded.placed WHERE placements.placed <= ?`, endpointID, micro(now), now.Add(-throttle).UnixMicro())
	if err != nil || n > 0 {
		return 0, err
	}
	var placed int64
	if err := t.row(ctx, `SELECT placed FROM placements WHERE endpoint_id = ?`, endpointID).Scan(&placed); err != nil {
		return 0, err
	}
	return max(time.Microsecond, timeOf(placed).Add(throttle).Sub(now)), nil
}

func (s *Store) writeAttempts(ctx context.Context, t *transaction, writes []*attemptWrite) error {
	// In one order everywhere, so that two groups never wait for each other's rows.
	placing := slices.DeleteFunc(slices.Clone(writes), func(w *attemptWrite) bool { return w.place == nil })
	slices.SortStableFunc(placing, func(x, y *attemptWrite) int { return strings.Compare(x.row.EndpointID, y.row.EndpointID) })
	for _, w := range placing {
		var err error
		if w.undo {
			err = unplaceAttempt(ctx, t, w)
		} else {
			w.placed, err = placeAttempt(ctx, t, &w.row, w.place)
		}
		if err != nil {
			return err
		}
	}
	last := make(map[string]*AttemptRow, len(writes))
	for _, w := range writes {
		if w.place == nil {
			last[clean(w.row.ID)] = &w.row
		}
	}
	var rows [][]any
	for _, id := range slices.Sorted(maps.Keys(last)) {
		rows = append(rows, last[id].values())
	}
	return inBatches(ctx, t, `INSERT INTO attempts (`+attemptColumns+`) VALUES `, ` ON CONFLICT (id) DO UPDATE SET `+
		`contact = excluded.contact, state = excluded.state, reason = excluded.reason, cause = excluded.cause, `+
		`call_id = excluded.call_id, started = excluded.started, answered = excluded.answered, bridged = excluded.bridged, `+
		`ended = excluded.ended, due = excluded.due, node = excluded.node, lease = excluded.lease`, rows)
}

func placeAttempt(ctx context.Context, t *transaction, row *AttemptRow, p *Placing) (placed Placed, err error) {
	endpoint := clean(row.EndpointID)
	if row.Key != "" {
		earlier, err := attemptByKey(ctx, t, endpoint, clean(row.Key))
		if err == nil {
			return Placed{Earlier: &earlier}, nil
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return Placed{}, err
		}
	}
	if !row.Due.IsZero() {
		if full, err := scheduleFull(ctx, t, row, p); err != nil || full {
			return Placed{Full: full}, err
		}
	}
	if p.Token != "" {
		n, err := t.exec(ctx, `INSERT INTO spent_tokens (id, expires) VALUES (?, ?) ON CONFLICT (id) DO NOTHING`, clean(p.Token),
			micro(p.TokenExpires))
		if err != nil || n == 0 {
			return Placed{Spent: err == nil}, err
		}
	}
	if p.Throttle > 0 && row.Due.IsZero() {
		wait, err := takeThrottle(ctx, t, endpoint, row.Created, p.Throttle)
		if err == nil && wait > 0 && p.Token != "" {
			_, err = t.exec(ctx, `DELETE FROM spent_tokens WHERE id = ?`, clean(p.Token))
		}
		if err != nil || wait > 0 {
			return Placed{Throttled: wait}, err
		}
	}
	values := row.values()
	n, err := t.exec(ctx, `INSERT INTO attempts (`+attemptColumns+`) VALUES `+tuples(1, len(values))+` ON CONFLICT DO NOTHING`, values...)
	if err == nil && n == 0 { // another server was first with the key
		err = errAgain
	}
	return Placed{Written: err == nil}, err
}

func scheduleFull(ctx context.Context, t *transaction, row *AttemptRow, p *Placing) (bool, error) {
	var all, same int
	err := t.row(ctx, `SELECT count(*), COALESCE(SUM(CASE WHEN contact = ? THEN 1 ELSE 0 END), 0) FROM attempts `+
		`WHERE endpoint_id = ? AND state = 'scheduled'`, clean(row.Contact), clean(row.EndpointID)).Scan(&all, &same)
	return p.MostDue > 0 && all >= p.MostDue || p.MostToOne > 0 && same >= p.MostToOne, err
}

func unplaceAttempt(ctx context.Context, t *transaction, w *attemptWrite) error {
	if w.place.Token != "" {
		if _, err := t.exec(ctx, `DELETE FROM spent_tokens WHERE id = ?`, clean(w.place.Token)); err != nil {
			return err
		}
	}
	_, err := t.exec(ctx, `DELETE FROM placements WHERE endpoint_id = ? AND placed = ?`, clean(w.row.EndpointID), micro(w.row.Created))
	return err
}

// ClaimAttempts gives node up to limit scheduled attempts that are due at now, the longest due first, as rows of its own in
// the given state with a lease. Each is given once, whichever server asks.
func (s *Store) ClaimAttempts(ctx context.Context, node, state string, now, lease time.Time, limit int) ([]AttemptRow, error) {
	var due int
	err := s.readable().row(ctx, `SELECT count(*) FROM (SELECT 1 FROM attempts WHERE state = 'scheduled' AND due <= ? LIMIT 1) d`,
		micro(now)).Scan(&due)
	if err != nil || due == 0 { // almost always: no write for it
		return nil, s.fail("store.ClaimAttempts", err)
	}
	rows, err := s.updateAttempts(ctx, `UPDATE attempts SET state = ?, node = ?, lease = ? WHERE id IN (SELECT id FROM attempts `+
		`WHERE state = 'scheduled' AND due <= ? ORDER BY due, id LIMIT ? + 0) AND state = 'scheduled' RETURNING `+attemptColumns,
		clean(state), clean(node), micro(lease), micro(now), limit)
	return rows, s.fail("store.ClaimAttempts", err)
}

// CancelScheduled ends an attempt that is still scheduled; false when it is not.
func (s *Store) CancelScheduled(ctx context.Context, id, state, cause string, now time.Time) (bool, error) {
	rows, err := s.updateAttempts(ctx, `UPDATE attempts SET state = ?, cause = ?, ended = ? WHERE id = ? AND state = 'scheduled' RETURNING `+
		attemptColumns, clean(state), clean(cause), micro(now), clean(id))
	return len(rows) > 0, s.fail("store.CancelScheduled", err)
}

// updateAttempts runs one statement that returns what it changed.
func (s *Store) updateAttempts(ctx context.Context, query string, args ...any) ([]AttemptRow, error) {
	t, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := s.attemptRows(ctx, t, query, args...)
	if err != nil {
		t.rollback()
		return nil, err
	}
	return rows, s.commit(t)
}

// RenewAttempts prolongs the lease of attempts that node holds.
func (s *Store) RenewAttempts(ctx context.Context, node string, ids []string, lease time.Time) error {
	for some := range slices.Chunk(ids, batches[0]) {
		t, err := s.begin(ctx)
		if err != nil {
			return s.fail("store.RenewAttempts", err)
		}
		args := []any{micro(lease), clean(node)}
		for _, id := range some {
			args = append(args, clean(id))
		}
		if _, err := t.exec(ctx, `UPDATE attempts SET lease = ? WHERE node = ? AND id IN `+tuples(1, len(some)), args...); err != nil {
			t.rollback()
			return s.fail("store.RenewAttempts", err)
		}
		if err := s.commit(t); err != nil {
			return s.fail("store.RenewAttempts", err)
		}
	}
	return nil
}

// EndLostAttempts ends the attempts whose lease is over, because the process that held them is gone: in one state those
// whose parties talked, and in another the rest. It returns them as they are now.
func (s *Store) EndLostAttempts(ctx context.Context, now time.Time, talked, otherwise, cause string) ([]AttemptRow, error) {
	var lost int
	err := s.readable().row(ctx, `SELECT count(*) FROM (SELECT 1 FROM attempts WHERE node <> '' AND lease < ? LIMIT 1) l`, micro(now)).Scan(&lost)
	if err != nil || lost == 0 {
		return nil, s.fail("store.EndLostAttempts", err)
	}
	rows, err := s.updateAttempts(ctx, `UPDATE attempts SET state = CASE WHEN bridged <> 0 THEN ? ELSE ? END, cause = ?, ended = ?, `+
		`node = '', lease = 0 WHERE node <> '' AND lease < ? RETURNING `+attemptColumns, clean(talked), clean(otherwise), clean(cause),
		micro(now), micro(now))
	return rows, s.fail("store.EndLostAttempts", err)
}

// SweepAttempts removes the attempts that were made before a time and are over, and the tokens that have expired at now, in
// small transactions, and returns how many attempts.
func (s *Store) SweepAttempts(ctx context.Context, before, now time.Time) (removed int, err error) {
	removed, err = s.sweepRows(ctx, `DELETE FROM attempts WHERE id IN (SELECT id FROM attempts WHERE created < ? AND node = '' `+
		`AND state <> 'scheduled' LIMIT ? + 0)`, before)
	if err == nil {
		_, err = s.sweepRows(ctx, `DELETE FROM spent_tokens WHERE id IN (SELECT id FROM spent_tokens WHERE expires < ? LIMIT ? + 0)`, now)
	}
	return removed, s.fail("store.SweepAttempts", err)
}

// sweepRows runs a deletion of up to so many rows from before a time until there are none.
func (s *Store) sweepRows(ctx context.Context, query string, before time.Time) (removed int, err error) {
	for {
		t, err := s.begin(ctx)
		if err != nil {
			return removed, err
		}
		n, err := t.exec(ctx, query, before.UnixMicro(), sweepBatch)
		if err != nil {
			t.rollback()
			return removed, err
		}
		if err := s.commit(t); err != nil {
			return removed, err
		}
		if removed += int(n); n < sweepBatch {
			return removed, nil
		}
	}
}
