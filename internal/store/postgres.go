package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"bugle"
)

//go:embed migrations/postgres/*.sql
var postgresMigrations embed.FS

const (
	postgresConnections = 20 // without the one that listens; pool_max_conns in the URL
	postgresConnect     = 5 * time.Second
	poolSetting         = "pool_max_conns"
)

// postgresSession is what every connection is set to, whatever the database's defaults are. What is read with a lock and
// what is numbered by a counter's row need no more than READ COMMITTED. A client that has gone, or hangs, must not keep
// the counters' rows.
const postgresSession = `SET default_transaction_isolation = 'read committed'; SET statement_timeout = '60s'; ` +
	`SET idle_in_transaction_session_timeout = '15s'`

type postgresEngine struct {
	config *pgx.ConnConfig
	reader *sql.DB
	write  *sql.DB
}

// OpenPostgres opens the database that a URL names (postgres://user@host:5432/bugle) and brings its tables up to date.
// Many processes may have one database open. A password is better in PGPASSWORD or in a file (passfile=PATH in the URL)
// than in the URL; no error repeats it. Errors: KindInvalid when the URL is malformed, when the database is not in UTF-8,
// when Options.Sealer has another key than the one that the database was sealed with, or when it was written by a newer
// program; KindUnavailable when the database does not answer.
func OpenPostgres(ctx context.Context, url string, opts Options) (*Store, error) {
	config, size, err := parsePostgres(url)
	if err != nil {
		return nil, err
	}
	e, err := openPostgres(ctx, config, size, 0)
	if err != nil {
		return nil, unopened("store.OpenPostgres", postgresName(config), err)
	}
	s, err := sealedStore(ctx, newStore(e, opts))
	if err != nil {
		return nil, err
	}
	e.warnOfLoss(ctx, s)
	s.announce = make(chan struct{}, 1)
	s.wg.Go(func() { e.announceCommits(s) })
	s.wg.Go(func() { e.listen(s) })
	return s, nil
}

// IsPostgres reports whether a URL names a PostgreSQL database.
func IsPostgres(url string) bool {
	return strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://")
}

func postgresName(c *pgx.ConnConfig) string { return c.Database + " on " + c.Host }

func parsePostgres(url string) (config *pgx.ConnConfig, size int, err error) {
	invalid := func(message string, err error) error {
		return &bugle.Error{Op: "store.OpenPostgres", Kind: bugle.KindInvalid, Message: message, Err: err}
	}
	if !IsPostgres(url) {
		return nil, 0, invalid("a database's URL begins with postgres://, as postgres://bugle@db.example.com/bugle", nil)
	}
	if config, err = pgx.ParseConfig(url); err != nil {
		return nil, 0, invalid("the database's URL is malformed", err)
	}
	size = postgresConnections
	if given, ok := config.RuntimeParams[poolSetting]; ok {
		delete(config.RuntimeParams, poolSetting)
		if size, err = strconv.Atoi(given); err != nil || size < 2 || size > 1000 {
			return nil, 0, invalid(poolSetting+" is "+given+"; from 2 to 1000", nil)
		}
	}
	if !strings.Contains(url, "connect_timeout=") {
		config.ConnectTimeout = postgresConnect
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "bugle"
	}
	return config, size, nil
}

// openPostgres migrates the tables to a version, 0 for the newest.
func openPostgres(ctx context.Context, config *pgx.ConnConfig, size int, version int64) (_ *postgresEngine, err error) {
	e := &postgresEngine{config: config}
	defer func() {
		if err != nil {
			e.close()
		}
	}()
	// A transaction may look outside of itself, so readers never wait for writers' connections.
	writers := max(1, size*2/5)
	e.reader, e.write = e.openPool(size-writers), e.openPool(writers)
	var encoding string
	if err := e.write.QueryRowContext(ctx, `SHOW server_encoding`).Scan(&encoding); err != nil {
		return nil, err
	}
	if encoding != "UTF8" {
		return nil, &bugle.Error{Op: "store.OpenPostgres", Kind: bugle.KindInvalid,
			Message: "the database " + postgresName(config) + " is in " + encoding + "; it must be created with ENCODING 'UTF8'"}
	}
	return e, e.migrate(ctx, version)
}

func (e *postgresEngine) migrate(ctx context.Context, version int64) error {
	// A table row as the lock: another process that migrates is waited for, one that died is for half a minute.
	locker, err := lock.NewPostgresTableLocker(lock.WithTableLockTimeout(200*time.Millisecond, 600))
	if err != nil {
		return err
	}
	db := e.openPool(2) // the lock has one for itself; a small pool of writers may have no other
	defer db.Close()
	return migrate(ctx, db, goose.DialectPostgres, postgresMigrations, "migrations/postgres", version, goose.WithLocker(locker))
}

func (e *postgresEngine) openPool(size int) *sql.DB {
	db := stdlib.OpenDB(*e.config, stdlib.OptionAfterConnect(setSession))
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	db.SetConnMaxIdleTime(5 * time.Minute)
	db.SetConnMaxLifetime(time.Hour) // whoever leads behind a changed name is found
	return db
}

func setSession(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.PgConn().Exec(ctx, postgresSession).ReadAll()
	return err
}

// warnOfLoss tells the operator that the database is set to lose what it has acknowledged. A session can mend the one
// setting, and setSession would overrule a stricter one.
func (e *postgresEngine) warnOfLoss(ctx context.Context, s *Store) {
	for _, name := range []string{"fsync", "full_page_writes", "synchronous_commit"} {
		var value string
		if err := e.reader.QueryRowContext(ctx, `SHOW `+name).Scan(&value); err == nil && value == "off" {
			s.opts.Log.Warn("the database may lose what it has acknowledged", "setting", name, "value", value)
		}
	}
}

func (e *postgresEngine) readers() *sql.DB { return e.reader }
func (e *postgresEngine) writer() *sql.DB  { return e.write }

// prepares: pgx keeps the statements of each connection.
func (e *postgresEngine) prepares() bool { return true }

// locking: a transaction decides by what it read, and under READ COMMITTED only a locked row stays.
func (e *postgresEngine) locking() string { return " FOR UPDATE OF d" }

// rebind turns each ? into $1, $2 and so on. No text of the store has a ? inside quotes.
func (e *postgresEngine) rebind(query string) string {
	var b strings.Builder
	n := 0
	for {
		before, after, found := strings.Cut(query, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		n++
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n))
		query = after
	}
}

// present: whether the database is there, its answers tell.
func (e *postgresEngine) present() error { return nil }

// Codes are those of https://www.postgresql.org/docs/15/errcodes-appendix.html.
func (e *postgresEngine) unavailable(err error) bool {
	var failure *pgconn.PgError
	if !errors.As(err, &failure) {
		return disconnected(err)
	}
	switch failure.Code[:2] {
	case "08", "28", "3D", "53", "57", "58", "XX": // connection, role, no such database, resources, operator, system, damage
		return true
	}
	switch failure.Code {
	case "25006", "25P03", "25P04", "42P01", "55P03": // standby, timeouts, tables gone, lock not available
		return true
	}
	return e.serialization(err) // lost too often
}

// disconnected reports whether err is of the connection, not an answer of the database.
func disconnected(err error) bool {
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, driver.ErrBadConn) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || pgconn.SafeToRetry(err)
}

// serialization: besides what lost against others, what broke with its connection was rolled back; there may be another
// connection. One that cannot be made is not tried again.
func (e *postgresEngine) serialization(err error) bool {
	var failure *pgconn.PgError
	if errors.As(err, &failure) {
		switch failure.Code {
		case "40001", "40P01", "57P01", "57P02": // serialization, deadlock; the server or someone ended the session
			return true
		}
		return false
	}
	var connect *pgconn.ConnectError
	return disconnected(err) && !errors.As(err, &connect)
}

// doubtful: the answer to a COMMIT may be lost after it happened.
func (e *postgresEngine) doubtful(err error) bool { return e.unavailable(err) }

func (e *postgresEngine) close() error {
	var errs []error
	for _, db := range []*sql.DB{e.reader, e.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}
