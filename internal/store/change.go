package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"bugle"
)

// ErrSwept is in the chain of the error that Changes and AccountChanges return when retention has removed a change
// after the given place: the reader must start over from the documents.
var ErrSwept = errors.New("changes after this place are no longer kept")

const (
	sweepEvery = time.Hour
	sweepBatch = 500 // changes removed in one transaction, so that writers do not wait long
)

// appendChanges numbers the transaction's changes and writes them, last thing before the commit. The counter rows are
// what makes the numbers ascend in commit order: a second writer waits at the row until the first has committed.
// Accounts in order, then the position, so that two writers cannot wait for each other.
func (tx *Tx) appendChanges() error {
	if len(tx.changes) == 0 {
		return nil
	}
	perAccount := map[string]int64{}
	for i := range tx.changes {
		perAccount["account/"+tx.changes[i].change.AccountID]++
	}
	var counters []any
	for _, name := range slices.Sorted(maps.Keys(perAccount)) {
		counters = append(counters, name, perAccount[name])
	}
	counters = append(counters, "position", len(tx.changes))
	last, err := tx.count(counters)
	if err != nil {
		return err
	}
	position := last["position"] - int64(len(tx.changes))
	for name, n := range perAccount {
		last[name] -= n
	}
	actor, err := encodeActor(tx.ctx)
	if err != nil {
		return err
	}
	by := actorOf(tx.ctx)
	rows := make([][]any, len(tx.changes))
	for i := range tx.changes {
		c := &tx.changes[i].change
		name := "account/" + c.AccountID
		last[name]++
		c.Position, c.Sequence, c.By = position+int64(i)+1, last[name], by
		dead := 0
		if c.BeforeDead {
			dead = 1
		}
		rows[i] = []any{c.Position, c.AccountID, c.Sequence, string(c.Kind), c.Type, c.ID, c.Rev, c.At.UnixMicro(),
			textOrNull(c.Before), textOrNull(c.After), dead, tx.changes[i].links,
			actor, textOrNull(tx.changes[i].hidden)}
	}
	return inBatches(tx.ctx, tx.t, `INSERT INTO changes (position, account_id, sequence, kind, type, document_id, rev, at, before, `+
		`after, before_dead, links, actor, hidden) VALUES `, ``, rows)
}

// count adds to counters, given as name and number by turns, in their order, and returns them.
func (tx *Tx) count(counters []any) (map[string]int64, error) {
	rows, err := tx.t.rows(tx.ctx, `INSERT INTO counters (name, n) VALUES `+tuples(len(counters)/2, 2)+
		` ON CONFLICT (name) DO UPDATE SET n = counters.n + excluded.n RETURNING name, n`, counters...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	now := make(map[string]int64, len(counters)/2)
	for rows.Next() {
		var name string
		var n int64
		if err := rows.Scan(&name, &n); err != nil {
			return nil, err
		}
		now[name] = n
	}
	return now, rows.Err()
}

func textOrNull(b []byte) any {
	if b == nil {
		return nil
	}
	return string(b)
}

const changeColumns = `position, account_id, sequence, kind, type, document_id, rev, at, before, after, before_dead, actor, hidden`

func scanChange(rows *sql.Rows, more ...any) (bugle.Change, error) {
	var c bugle.Change
	var kind string
	var at, dead int64
	var actor, hidden []byte
	err := rows.Scan(append([]any{&c.Position, &c.AccountID, &c.Sequence, &kind, &c.Type, &c.ID, &c.Rev, &at,
		(*[]byte)(&c.Before), (*[]byte)(&c.After), &dead, &actor, &hidden}, more...)...)
	if err == nil && actor != nil {
		c.By = &bugle.Actor{}
		err = json.Unmarshal(actor, c.By)
	}
	if err == nil && hidden != nil {
		err = json.Unmarshal(hidden, &c.Hidden)
	}
	c.Kind, c.At, c.BeforeDead = bugle.ChangeKind(kind), fromMicro(at), dead != 0
	return c, err
}

// Position returns the last position of the log: where a reader begins that loads the documents after asking for it.
func (s *Store) Position(ctx context.Context) (int64, error) {
	n, err := counter(ctx, s.readable(), "position")
	return n, s.fail("store.Position", err)
}

// Changes returns up to limit changes of all accounts (1 to 1000; 0 means 50) after a position, in commit order. A
// change that appears later never has a position before one that was returned. ErrSwept (KindNotFound) says that
// changes after that position are gone.
func (s *Store) Changes(ctx context.Context, after int64, limit int) ([]bugle.Change, error) {
	fail := func(err error) ([]bugle.Change, error) { return nil, s.fail("store.Changes", err) }
	r := s.readable()
	rows, err := r.rows(ctx, `SELECT `+changeColumns+` FROM changes WHERE position > ? ORDER BY position LIMIT ? + 0`, after,
		Query{Limit: limit}.limit())
	if err != nil {
		return fail(err)
	}
	changes, err := collectChanges(rows)
	if err != nil || len(changes) > 0 && changes[0].Position == after+1 { // retention removes from the beginning
		return changes, s.fail("store.Changes", err)
	}
	// After the rows: what was swept between the two queries is not missed this way.
	swept, err := counter(ctx, r, "swept")
	if err != nil {
		return fail(err)
	}
	if after < swept {
		return fail(sweptError("store.Changes"))
	}
	return changes, nil
}

// AccountChanges is Changes for one account, by its gap-free sequence.
func (s *Store) AccountChanges(ctx context.Context, accountID string, after int64, limit int) ([]bugle.Change, error) {
	fail := func(err error) ([]bugle.Change, error) { return nil, s.fail("store.AccountChanges", err) }
	if !text(accountID) {
		return nil, nil
	}
	r := s.readable()
	last, err := counter(ctx, r, "account/"+accountID)
	if err != nil {
		return fail(err)
	}
	rows, err := r.rows(ctx, `SELECT `+changeColumns+
		` FROM changes WHERE account_id = ? AND sequence > ? ORDER BY sequence LIMIT ? + 0`, accountID, after,
		Query{Limit: limit}.limit())
	if err != nil {
		return fail(err)
	}
	changes, err := collectChanges(rows)
	if err != nil {
		return fail(err)
	}
	if len(changes) == 0 && last > after || len(changes) > 0 && changes[0].Sequence != after+1 {
		return fail(sweptError("store.AccountChanges"))
	}
	return changes, nil
}

func sweptError(op string) error {
	return &bugle.Error{Op: op, Kind: bugle.KindNotFound, Message: "changes after this place are no longer kept",
		Err: ErrSwept}
}

func collectChanges(rows *sql.Rows) ([]bugle.Change, error) {
	defer rows.Close()
	var changes []bugle.Change
	for rows.Next() {
		c, err := scanChange(rows)
		if err != nil {
			return nil, err
		}
		changes = append(changes, c)
	}
	return changes, rows.Err()
}

func counter(ctx context.Context, r querier, name string) (n int64, err error) {
	err = r.row(ctx, `SELECT n FROM counters WHERE name = ?`, name).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return n, err
}

// Sweep removes the changes that are older than the retention, oldest first, and returns how many. The store does so
// by itself every hour.
func (s *Store) Sweep(ctx context.Context) (removed int, err error) {
	limit := s.now().Add(-s.opts.Retention).UnixMicro()
	for {
		n, err := s.sweepBatch(ctx, limit)
		removed += n
		if err != nil || n < sweepBatch {
			return removed, s.fail("store.Sweep", err)
		}
	}
}

// sweepBatch removes a prefix of the log, never a change from its middle, so that what is left has no gap.
func (s *Store) sweepBatch(ctx context.Context, limit int64) (removed int, err error) {
	t, err := s.begin(ctx)
	if err != nil {
		return 0, err
	}
	rows, err := t.rows(ctx, `SELECT position, at FROM changes ORDER BY position LIMIT ? + 0`, sweepBatch)
	if err != nil {
		t.rollback()
		return 0, err
	}
	var last int64
	for rows.Next() {
		var position, at int64
		if err = rows.Scan(&position, &at); err != nil || at >= limit {
			break
		}
		last, removed = position, removed+1
	}
	rows.Close()
	if err == nil {
		err = rows.Err()
	}
	if err == nil && removed > 0 {
		_, err = t.exec(ctx, `DELETE FROM changes WHERE position <= ?`, last)
	}
	if err == nil && removed > 0 {
		// Another server may have swept farther meanwhile.
		_, err = t.exec(ctx, `INSERT INTO counters (name, n) VALUES ('swept', ?) ON CONFLICT (name) DO UPDATE SET n = `+
			`CASE WHEN excluded.n > counters.n THEN excluded.n ELSE counters.n END`, last)
	}
	if err != nil || removed == 0 {
		t.rollback()
		return 0, err
	}
	if err := s.commit(t); err != nil {
		return removed, err
	}
	s.tail.forget(last)
	return removed, nil
}

func (s *Store) sweepNowAndThen() {
	defer s.recovered()
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		if n, err := s.Sweep(s.ctx); err != nil {
			s.opts.Log.Warn("old changes could not be removed", "error", err)
		} else if n > 0 {
			s.opts.Log.Info("old changes removed", "count", n)
		}
	}
}
