package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// SweepCalls removes the rows of calls that began before a time, in small transactions, so that no writer waits long,
// and returns how many.
func (s *Store) SweepCalls(ctx context.Context, before time.Time) (removed int, err error) {
	// Account by account: that is how calls are indexed.
	for account := ""; ; {
		for {
			n, err := s.sweepCallsOf(ctx, account, before.UnixMicro())
			removed += n
			if err != nil {
				return removed, s.fail("store.SweepCalls", err)
			}
			if n < sweepBatch {
				break
			}
		}
		err := s.readable().row(ctx, `SELECT account_id FROM calls WHERE account_id > ? ORDER BY account_id LIMIT 1`, account).Scan(&account)
		if errors.Is(err, sql.ErrNoRows) {
			return removed, nil
		}
		if err != nil {
			return removed, s.fail("store.SweepCalls", err)
		}
	}
}

func (s *Store) sweepCallsOf(ctx context.Context, account string, before int64) (int, error) {
	var old int
	err := s.readable().row(ctx, `SELECT count(*) FROM (SELECT 1 FROM calls WHERE account_id = ? AND started < ? LIMIT 1) o`,
		account, before).Scan(&old)
	if err != nil || old == 0 { // most accounts, most of the time: no write for them
		return 0, err
	}
	t, err := s.begin(ctx)
	if err != nil {
		return 0, err
	}
	n, err := t.exec(ctx, `DELETE FROM calls WHERE id IN (SELECT id FROM calls WHERE account_id = ? AND started < ? `+
		`ORDER BY started, id LIMIT ? + 0)`, account, before, sweepBatch)
	if err != nil {
		t.rollback()
		return 0, err
	}
	return int(n), s.commit(t)
}
