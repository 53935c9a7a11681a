package store

import (
	"context"
	"database/sql"
	"errors"
	"testing"
)

// TestGivenUp: a transaction whose context ended has closed statements, which is what whoever uses one next is told.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	alive := t.Context()
	ended, end := context.WithCancel(alive)
	end()
	closed := errors.New("sql: statement is closed")
	if err := givenUp(ended, closed); !errors.Is(err, context.Canceled) || !errors.Is(err, closed) {
		t.Errorf("a request that was given up failed with %v", err)
	}
	if err := givenUp(alive, closed); errors.Is(err, context.Canceled) || !errors.Is(err, closed) {
		t.Errorf("a request that goes on failed with %v", err)
	}
	if err := givenUp(ended, nil); err != nil {
		t.Errorf("what succeeded just before became %v", err)
	}
	s := sqliteIn(t.TempDir()).open(t, Options{})
	tx, err := s.begin(alive)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.rollback()
	var n int
	if err := tx.row(ended, `SELECT 1 WHERE 1 = 0`).Scan(&n); !errors.Is(err, context.Canceled) && !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("a row with an ended context is %v", err)
	}
}
