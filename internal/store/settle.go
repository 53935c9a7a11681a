package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"bugle"
)

// How long a commit whose answer was lost is looked for: a server that crashed recovers in less.
const (
	settleTimeout = 10 * time.Second
	settlePause   = 100 * time.Millisecond
)

// settle finds out what became of a commit whose answer was lost with cause: nil when it happened, errAgain when it did
// not. When the database does not come back soon, nobody knows.
func (s *Store) settle(ctx context.Context, last bugle.Change, cause error) error {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	for {
		happened, err := s.happened(ctx, last)
		switch {
		case err == nil && happened:
			s.opts.Log.Warn("the answer to a commit was lost; it happened", "position", last.Position, "error", cause)
			return nil
		case err == nil:
			return errAgain
		case ctx.Err() != nil || s.closed.Load() || !s.engine.unavailable(err):
			// cause is not in the chain: this error must not be taken for one after which all may be run again.
			return &bugle.Error{Op: "store.Write", Kind: bugle.KindUnavailable, Message: "the database went away during " +
				"the commit: whether the change was made is not known, read it again", Err: errors.New(cause.Error())}
		}
		rest(ctx, settlePause)
	}
}

// happened looks for a change. The counter's row belongs to the transaction that numbered it until that has ended, so
// whoever gets the row sees what became of it.
func (s *Store) happened(ctx context.Context, change bugle.Change) (bool, error) {
	t, err := s.begin(ctx)
	if err != nil {
		return false, err
	}
	defer t.rollback()
	var position int64
	err = t.row(ctx, `SELECT d.n FROM counters d WHERE d.name = ?`+t.locking(), "position").Scan(&position)
	if errors.Is(err, sql.ErrNoRows) || err == nil && position < change.Position {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var id, rev string
	err = t.row(ctx, `SELECT document_id, rev FROM changes WHERE position = ?`, change.Position).Scan(&id, &rev)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return id == change.ID && rev == change.Rev, err
}
