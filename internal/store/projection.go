package store

import (
	"context"
	"errors"
	"time"

	"bugle"
)

// Projection is how far the projector of company directories has followed the change log.
type Projection struct {
	Position int64 // of the last change that was carried out
	// Partial is the position of a change that was carried out for the contacts up to the id Step only, 0 for none.
	Partial int64
	Step    string
	State   string // ProjectionNew, ProjectionReady or ProjectionLost
	Holder  string // who loads, "" for nobody
	Until   time.Time
}

// States of a projection.
const (
	ProjectionNew   = "new"   // documents were never loaded
	ProjectionReady = "ready" // it follows the log
	ProjectionLost  = "lost"  // documents have to be loaded anew: the log was swept before it was read
)

// ErrDirectoryNotReady is in the chain of errors while directories are loaded for the first time.
var ErrDirectoryNotReady = errors.New("the company directories are being prepared, try again later")

// Projection returns the state of the projector, which no other transaction changes before this one ends.
func (tx *Tx) Projection() (Projection, error) {
	p, err := projection(tx.ctx, tx.t)
	return p, tx.fail("store.Projection", err)
}

// Projection returns the state of the projector.
func (s *Store) Projection(ctx context.Context) (Projection, error) {
	p, err := projection(ctx, s.readable())
	return p, s.fail("store.Projection", err)
}

func projection(ctx context.Context, q querier) (p Projection, err error) {
	var until int64
	err = q.row(ctx, `SELECT position, partial, step, state, holder, until FROM projections d WHERE name = 'contacts'`+q.locking()).Scan(
		&p.Position, &p.Partial, &p.Step, &p.State, &p.Holder, &until)
	p.Until = timeOf(until)
	return p, err
}

// SetProjection writes the state of the projector; this transaction has read it.
func (tx *Tx) SetProjection(p Projection) error {
	return tx.fail("store.SetProjection", tx.update(`UPDATE projections SET position = ?, partial = ?, step = ?, state = ?, holder = ?, `+
		`until = ? WHERE name = 'contacts'`, []any{p.Position, p.Partial, p.Step, p.State, p.Holder, micro(p.Until)}))
}

// SweepDirectoryEvents removes the events of changes before a time, oldest first, in small transactions, and returns how many.
// What is left of an account has no gap.
func (s *Store) SweepDirectoryEvents(ctx context.Context, before time.Time) (removed int, err error) {
	for {
		n, err := s.sweepEvents(ctx, before)
		if removed += n; err != nil || n == 0 {
			return removed, s.fail("store.SweepDirectoryEvents", err)
		}
	}
}

// sweepEvents takes the account of the oldest event, and of that account what came before the first that stays.
func (s *Store) sweepEvents(ctx context.Context, before time.Time) (int, error) {
	var old []string
	err := each(ctx, s.readable(), `SELECT account_id FROM directory_events WHERE at < ? ORDER BY at LIMIT 1`, []any{before.UnixMicro()},
		scanText(&old))
	if err != nil || len(old) == 0 { // most of the time: no write for nothing
		return 0, err
	}
	t, err := s.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer t.rollback()
	account := old[0]
	// Clocks may go back: the last old one of the first events counts, so that a sweep always gets on.
	var last int64
	err = t.row(ctx, `SELECT coalesce(max(sequence), 0) FROM (SELECT sequence, at FROM directory_events WHERE account_id = ? `+
		`ORDER BY sequence LIMIT ? + 0) AS first WHERE at < ?`, account, sweepBatch, before.UnixMicro()).Scan(&last)
	if err != nil {
		return 0, err
	}
	if last == 0 { // the old one lies behind younger ones: it goes when they do
		return 0, nil
	}
	n, err := t.exec(ctx, `DELETE FROM directory_events WHERE account_id = ? AND sequence <= ?`, account, last)
	if err == nil {
		_, err = t.exec(ctx, `UPDATE contact_accounts SET swept = CASE WHEN swept < ? THEN ? ELSE swept END WHERE account_id = ?`, last, last,
			account)
	}
	if err != nil {
		return 0, err
	}
	return int(n), s.commit(t)
}

// DirectoryReady returns ErrDirectoryNotReady (KindUnavailable) before the directories were loaded once.
func (s *Store) DirectoryReady(ctx context.Context) error {
	p, err := s.Projection(ctx)
	if err == nil && p.State == ProjectionNew {
		err = &bugle.Error{Op: "store.DirectoryReady", Kind: bugle.KindUnavailable, Message: ErrDirectoryNotReady.Error(),
			Err: ErrDirectoryNotReady}
	}
	return err
}
