package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
)

// engine is what differs between databases. Everything else is SQL of the common subset, written with ? for its
// parameters: row values, ON CONFLICT, RETURNING, text and byte columns, no JSON functions.
type engine interface {
	readers() *sql.DB
	writer() *sql.DB
	rebind(query string) string   // ? to the database's own parameter form
	unavailable(err error) bool   // the database, its disk or its network failed, not the request
	serialization(err error) bool // the transaction lost against another one and may be run again
	present() error               // the database is where it was when it was opened
	close() error
}

// pool keeps the prepared statements of one sql.DB, by their text.
type pool struct {
	db     *sql.DB
	rebind func(string) string

	mu    sync.RWMutex
	stmts map[string]*sql.Stmt
}

func newPool(db *sql.DB, rebind func(string) string) *pool {
	return &pool{db: db, rebind: rebind, stmts: map[string]*sql.Stmt{}}
}

// stmt returns the prepared statement for query. The texts are a fixed set, so the map does not grow.
func (p *pool) stmt(ctx context.Context, query string) (*sql.Stmt, error) {
	p.mu.RLock()
	st := p.stmts[query]
	p.mu.RUnlock()
	if st != nil {
		return st, nil
	}
	fresh, err := p.db.PrepareContext(ctx, p.rebind(query))
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if st := p.stmts[query]; st != nil {
		fresh.Close()
		return st, nil
	}
	p.stmts[query] = fresh
	return fresh, nil
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, st := range p.stmts {
		st.Close()
	}
	clear(p.stmts)
}

// querier reads: the read pool, or the transaction of a write.
type querier interface {
	row(ctx context.Context, query string, args ...any) scanner
	rows(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

type scanner interface{ Scan(dest ...any) error }

type failedRow struct{ err error }

func (f failedRow) Scan(...any) error { return f.err }

func (p *pool) row(ctx context.Context, query string, args ...any) scanner {
	st, err := p.stmt(ctx, query)
	if err != nil {
		return failedRow{err}
	}
	return st.QueryRowContext(ctx, args...)
}

func (p *pool) rows(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	st, err := p.stmt(ctx, query)
	if err != nil {
		return nil, err
	}
	return st.QueryContext(ctx, args...)
}

// transaction is a write transaction with the pool's statements.
type transaction struct {
	tx      *sql.Tx
	pool    *pool
	stmts   map[string]*sql.Stmt
	missing []string // prepared for this transaction only; the pool prepares them once its connection is free
}

func (p *pool) begin(ctx context.Context) (*transaction, error) {
	tx, err := p.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	return &transaction{tx: tx, pool: p, stmts: map[string]*sql.Stmt{}}, nil
}

// stmt must not prepare on the pool: its only connection may be this transaction's.
func (t *transaction) stmt(ctx context.Context, query string) (*sql.Stmt, error) {
	if st := t.stmts[query]; st != nil {
		return st, nil
	}
	t.pool.mu.RLock()
	st := t.pool.stmts[query]
	t.pool.mu.RUnlock()
	if st != nil {
		st = t.tx.StmtContext(ctx, st)
	} else {
		var err error
		if st, err = t.tx.PrepareContext(ctx, t.pool.rebind(query)); err != nil {
			return nil, err
		}
		t.missing = append(t.missing, query)
	}
	t.stmts[query] = st
	return st, nil
}

func (t *transaction) row(ctx context.Context, query string, args ...any) scanner {
	st, err := t.stmt(ctx, query)
	if err != nil {
		return failedRow{givenUp(ctx, err)}
	}
	return givenRow{ctx, st.QueryRowContext(ctx, args...)}
}

func (t *transaction) rows(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	st, err := t.stmt(ctx, query)
	if err != nil {
		return nil, givenUp(ctx, err)
	}
	rows, err := st.QueryContext(ctx, args...)
	return rows, givenUp(ctx, err)
}

// exec returns how many rows were written.
func (t *transaction) exec(ctx context.Context, query string, args ...any) (int64, error) {
	st, err := t.stmt(ctx, query)
	if err != nil {
		return 0, givenUp(ctx, err)
	}
	res, err := st.ExecContext(ctx, args...)
	if err != nil {
		return 0, givenUp(ctx, err)
	}
	return res.RowsAffected()
}

// givenUp makes the context's end the cause of what failed because of it. database/sql closes a transaction's statements
// when its context ends, and who uses one of them next is told only that it is closed.
func givenUp(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil || errors.Is(err, ctx.Err()) {
		return err
	}
	return fmt.Errorf("%w: %w", ctx.Err(), err)
}

type givenRow struct {
	ctx context.Context
	row *sql.Row
}

func (g givenRow) Scan(dest ...any) error {
	err := g.row.Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return err
	}
	return givenUp(g.ctx, err)
}

func (t *transaction) commit() error {
	err := t.tx.Commit()
	t.learn()
	return err
}

func (t *transaction) rollback() {
	_ = t.tx.Rollback() // ErrTxDone when it has ended already; the connection is clean in any case
	t.learn()
}

func (t *transaction) learn() {
	for _, query := range t.missing {
		_, _ = t.pool.stmt(context.Background(), query) // the next transaction tries again when it fails
	}
	t.missing = nil
}
