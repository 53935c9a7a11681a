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
	prepares() bool               // the driver keeps prepared statements by itself
	rebind(query string) string   // ? to the database's own parameter form
	locking() string              // ends a query of documents d in a write transaction, so that they stay as they were read
	unavailable(err error) bool   // the database, its disk or its network failed, not the request
	serialization(err error) bool // the transaction lost against another one and may be run again
	doubtful(err error) bool      // a commit that failed so may have happened
	present() error               // the database is where it was when it was opened
	close() error
}

// statement is one query, prepared or not.
type statement interface {
	QueryContext(ctx context.Context, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, args ...any) *sql.Row
	ExecContext(ctx context.Context, args ...any) (sql.Result, error)
}

// bare is the statement of a driver that prepares by itself.
type bare struct {
	on interface {
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
		QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	}
	query string
}

func (b bare) QueryContext(ctx context.Context, args ...any) (*sql.Rows, error) {
	return b.on.QueryContext(ctx, b.query, args...)
}

func (b bare) QueryRowContext(ctx context.Context, args ...any) *sql.Row {
	return b.on.QueryRowContext(ctx, b.query, args...)
}

func (b bare) ExecContext(ctx context.Context, args ...any) (sql.Result, error) {
	return b.on.ExecContext(ctx, b.query, args...)
}

// pool keeps the statements of one sql.DB, by their text: prepared, or in the database's own parameter form.
type pool struct {
	db *sql.DB
	e  engine

	mu    sync.RWMutex
	stmts map[string]*sql.Stmt
	bound map[string]string
}

func newPool(db *sql.DB, e engine) *pool {
	return &pool{db: db, e: e, stmts: map[string]*sql.Stmt{}, bound: map[string]string{}}
}

// rebound is the query in the database's own form. The texts are a fixed set, so the map does not grow.
func (p *pool) rebound(query string) string {
	p.mu.RLock()
	bound, known := p.bound[query]
	p.mu.RUnlock()
	if !known {
		bound = p.e.rebind(query)
		p.mu.Lock()
		p.bound[query] = bound
		p.mu.Unlock()
	}
	return bound
}

// stmt returns the statement for query.
func (p *pool) stmt(ctx context.Context, query string) (statement, error) {
	if p.e.prepares() {
		return bare{p.db, p.rebound(query)}, nil
	}
	return p.prepared(ctx, query)
}

func (p *pool) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	p.mu.RLock()
	st := p.stmts[query]
	p.mu.RUnlock()
	if st != nil {
		return st, nil
	}
	fresh, err := p.db.PrepareContext(ctx, p.e.rebind(query))
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
	locking() string
	row(ctx context.Context, query string, args ...any) scanner
	rows(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

type scanner interface{ Scan(dest ...any) error }

type failedRow struct{ err error }

func (f failedRow) Scan(...any) error { return f.err }

// firstRow is sql.Row for rows that were asked for more than once.
type firstRow struct{ rows *sql.Rows }

func (f firstRow) Scan(dest ...any) error {
	defer f.rows.Close()
	if !f.rows.Next() {
		if err := f.rows.Err(); err != nil {
			return err
		}
		return sql.ErrNoRows
	}
	if err := f.rows.Scan(dest...); err != nil {
		return err
	}
	return f.rows.Close()
}

// locking: what is read outside of a transaction may change at once.
func (p *pool) locking() string { return "" }

func (p *pool) row(ctx context.Context, query string, args ...any) scanner {
	rows, err := p.rows(ctx, query, args...)
	if err != nil {
		return failedRow{err}
	}
	return firstRow{rows}
}

const readAttempts = 3

// rows asks again when the connection broke: it may have been long dead, and another one is well.
func (p *pool) rows(ctx context.Context, query string, args ...any) (rows *sql.Rows, err error) {
	for attempt := 1; ; attempt++ {
		var st statement
		if st, err = p.stmt(ctx, query); err == nil {
			rows, err = st.QueryContext(ctx, args...)
		}
		if err == nil || attempt == readAttempts || ctx.Err() != nil || !p.e.serialization(err) {
			return rows, err
		}
	}
}

// transaction is a write transaction with the pool's statements.
type transaction struct {
	tx      *sql.Tx
	pool    *pool
	stmts   map[string]statement
	missing []string // prepared for this transaction only; the pool prepares them once its connection is free
}

func (p *pool) begin(ctx context.Context) (*transaction, error) {
	tx, err := p.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	return &transaction{tx: tx, pool: p, stmts: map[string]statement{}}, nil
}

// stmt must not prepare on the pool: its only connection may be this transaction's.
func (t *transaction) stmt(ctx context.Context, query string) (statement, error) {
	if t.pool.e.prepares() {
		return bare{t.tx, t.pool.rebound(query)}, nil
	}
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
		if st, err = t.tx.PrepareContext(ctx, t.pool.e.rebind(query)); err != nil {
			return nil, err
		}
		t.missing = append(t.missing, query)
	}
	t.stmts[query] = st
	return st, nil
}

func (t *transaction) locking() string { return t.pool.e.locking() }

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
		_, _ = t.pool.prepared(context.Background(), query) // the next transaction tries again when it fails
	}
	t.missing = nil
}
