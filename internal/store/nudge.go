package store

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// How the servers on one PostgreSQL nudge each other. A notification is sent after the commit, by one goroutine: inside
// the transaction it would take a lock of the whole database at each commit. It may be lost; followers poll.

const (
	nudgeChannel = "bugle_changes"
	nudgeRest    = 20 * time.Millisecond // commits within it share a notification
	nudgeTimeout = 5 * time.Second
	listenPause  = time.Second
)

// announceCommits tells the other servers of commits until the store closes.
func (e *postgresEngine) announceCommits(s *Store) {
	defer s.recovered()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.announce:
		}
		ctx, cancel := context.WithTimeout(s.ctx, nudgeTimeout)
		_, err := e.reader.ExecContext(ctx, `SELECT pg_notify($1, $2)`, nudgeChannel, s.name)
		cancel()
		if unsupported(err) {
			s.opts.Log.Info("the database sends no notifications: other servers see changes when they poll", "error", err)
			return
		}
		rest(s.ctx, nudgeRest)
	}
}

// listen nudges the followers of this process when another one has committed, until the store closes.
func (e *postgresEngine) listen(s *Store) {
	defer s.recovered()
	for s.ctx.Err() == nil {
		err := e.listenOnce(s)
		if unsupported(err) {
			return // announceCommits says so
		}
		if s.ctx.Err() == nil {
			s.opts.Log.Debug("notifications of the database ended; listening again", "error", err)
		}
		rest(s.ctx, listenPause)
	}
}

func (e *postgresEngine) listenOnce(s *Store) error {
	conn, err := pgx.ConnectConfig(s.ctx, e.config.Copy())
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	if _, err := conn.Exec(s.ctx, `LISTEN `+nudgeChannel); err != nil {
		return err
	}
	s.nudge() // for what was missed
	for {
		n, err := conn.WaitForNotification(s.ctx)
		if err != nil {
			return err
		}
		if n.Payload != s.name {
			s.nudge()
		}
	}
}

// unsupported: the database has no such statement, like CockroachDB.
func unsupported(err error) bool {
	var failure *pgconn.PgError
	return errors.As(err, &failure) && (failure.Code == "0A000" || strings.HasPrefix(failure.Code, "42"))
}

// rest waits for d, or less when ctx ends.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
