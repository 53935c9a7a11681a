package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"
	"golang.org/x/sys/unix"
	"modernc.org/sqlite"

	"bugle"
)

//go:embed migrations/sqlite/*.sql
var sqliteMigrations embed.FS

// oldestSQLite is the first version without the WAL-reset corruption, which needs just what this program has: two
// connections and a checkpoint (https://sqlite.org/wal.html#walresetbug).
const oldestSQLite = "3.51.3"

const sqliteReaders = 8

type sqliteEngine struct {
	path   string
	lock   *os.File
	file   os.FileInfo // the database and its log as they were opened
	wal    os.FileInfo
	reader *sql.DB
	one    *sql.DB
	anchor *sql.Conn
}

// OpenSQLite opens the database file at path, creates it and its directory when they do not exist, and brings its
// tables up to date. The directory belongs to one process: a second one is refused with KindConflict. Other errors:
// KindUnavailable when the file cannot be opened, KindInvalid when Options.Sealer has another key than the one that the
// database was sealed with, or when the database was written by a newer program.
func OpenSQLite(ctx context.Context, path string, opts Options) (*Store, error) {
	e, err := openSQLite(ctx, path, 0)
	if err != nil {
		return nil, unopened("store.OpenSQLite", path, err)
	}
	return sealedStore(ctx, newStore(e, opts))
}

// unopened is the error of an Open: its own, or that the database called name cannot be opened.
func unopened(op, name string, err error) error {
	var known *bugle.Error
	if errors.As(err, &known) {
		return err
	}
	return &bugle.Error{Op: op, Kind: bugle.KindUnavailable, Message: "the database " + name + " cannot be opened", Err: err}
}

// sealedStore returns s, whose secrets its key opens, else closes it.
func sealedStore(ctx context.Context, s *Store) (*Store, error) {
	if s.opts.Sealer != nil {
		if err := s.checkSealer(ctx, s.opts.Sealer); err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

// openSQLite migrates the tables to a version, 0 for the newest.
func openSQLite(ctx context.Context, path string, version int64) (_ *sqliteEngine, err error) {
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	e := &sqliteEngine{path: path}
	defer func() {
		if err != nil {
			e.close()
		}
	}()
	if e.lock, err = lockDirectory(filepath.Dir(path)); err != nil {
		return nil, err
	}
	// SQLite would create it with the umask's mode, and gives its -wal and -shm files the mode of the database.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	// A new file's name must be as safe as what is written to it.
	if err := errors.Join(f.Chmod(0o600), f.Close(), syncDirectory(filepath.Dir(path))); err != nil {
		return nil, err
	}
	if e.one, err = openPool(path, 1, "&_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=journal_size_limit(67108864)"); err != nil {
		return nil, err
	}
	if err := e.checkVersion(ctx); err != nil {
		return nil, err
	}
	if err := migrate(ctx, e.one, goose.DialectSQLite3, sqliteMigrations, "migrations/sqlite", version); err != nil {
		return nil, err
	}
	if e.reader, err = openPool(path, sqliteReaders+1, "&_pragma=query_only(1)"); err != nil {
		return nil, err
	}
	if err := e.drop(ctx); err != nil {
		return nil, err
	}
	return e, e.remember()
}

// drop drops the anchor: one connection that nobody uses and that stays. A connection whose query was cancelled is
// closed, and when the last one closes, SQLite removes the log's file, which present would take for a loss.
func (e *sqliteEngine) drop(ctx context.Context) (err error) {
	if e.anchor, err = e.reader.Conn(ctx); err != nil {
		return err
	}
	var n int
	return e.anchor.QueryRowContext(ctx, `SELECT count(*) FROM settings`).Scan(&n) // a first read takes the file's lock
}

// openPool opens connections that live as long as the pool: a connection holds its prepared statements and page cache.
// None creates the file: one that is opened while the file is away must fail, not begin an empty database.
func openPool(path string, size int, more string) (*sql.DB, error) {
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: "mode=rw&_pragma=busy_timeout(10000)&_pragma=synchronous(FULL)" +
		"&_pragma=temp_store(MEMORY)&_pragma=cache_size(-8192)" + more}
	c, err := sqlite.NewConnector(dsn.String())
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	return db, nil
}

// lockDirectory takes the lock that ends with the process, however it ends.
func lockDirectory(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, &bugle.Error{Op: "store.OpenSQLite", Kind: bugle.KindConflict,
				Message: "the directory " + dir + " is in use by another process"}
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return f, nil
}

func (e *sqliteEngine) checkVersion(ctx context.Context) error {
	var version, journal string
	var synchronous int
	if err := errors.Join(e.one.QueryRowContext(ctx, `SELECT sqlite_version()`).Scan(&version),
		e.one.QueryRowContext(ctx, `PRAGMA journal_mode`).Scan(&journal),
		e.one.QueryRowContext(ctx, `PRAGMA synchronous`).Scan(&synchronous)); err != nil {
		return err
	}
	if olderVersion(version, oldestSQLite) {
		return fmt.Errorf("SQLite %s corrupts databases; at least %s is needed", version, oldestSQLite)
	}
	if journal != "wal" || synchronous != 2 {
		return fmt.Errorf("the file system does not allow what durability needs: journal_mode=%s synchronous=%d", journal, synchronous)
	}
	return nil
}

func olderVersion(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		an, _ := strconv.Atoi(as[i])
		bn, _ := strconv.Atoi(bs[i])
		if an != bn {
			return an < bn
		}
	}
	return len(as) < len(bs)
}

func (e *sqliteEngine) walPath() string { return e.path + "-wal" }

func (e *sqliteEngine) remember() (err error) {
	if e.file, err = os.Stat(e.path); err != nil {
		return err
	}
	e.wal, err = os.Stat(e.walPath())
	return err
}

var errGone = errors.New("the database file is not where it was opened")

// present compares the files with those that were opened. It costs two system calls, a thousandth of a synced commit.
func (e *sqliteEngine) present() error {
	for path, opened := range map[string]os.FileInfo{e.path: e.file, e.walPath(): e.wal} {
		now, err := os.Stat(path)
		if err != nil || !os.SameFile(now, opened) {
			return errGone
		}
	}
	return nil
}

func (e *sqliteEngine) readers() *sql.DB { return e.reader }
func (e *sqliteEngine) writer() *sql.DB  { return e.one }

func (e *sqliteEngine) rebind(query string) string { return query }

func (e *sqliteEngine) prepares() bool { return false }

// locking: there is one writer.
func (e *sqliteEngine) locking() string { return "" }

// doubtful: SQLite knows what it has committed.
func (e *sqliteEngine) doubtful(error) bool { return false }

// serialization: with one writer no transaction loses against another.
func (e *sqliteEngine) serialization(error) bool { return false }

// Result codes of SQLite that speak of the file, the disk or memory (https://sqlite.org/rescode.html).
func (e *sqliteEngine) unavailable(err error) bool {
	var failure *sqlite.Error
	if !errors.As(err, &failure) {
		return false
	}
	switch failure.Code() & 0xff {
	case 3, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 26: // PERM BUSY LOCKED NOMEM READONLY INTERRUPT IOERR CORRUPT FULL CANTOPEN PROTOCOL NOTADB
		return true
	}
	return false
}

func (e *sqliteEngine) close() error {
	err := e.closePools()
	if e.lock != nil {
		err = errors.Join(err, e.lock.Close())
		e.lock = nil
	}
	return err
}

func (e *sqliteEngine) closePools() error {
	var errs []error
	if e.anchor != nil {
		errs = append(errs, e.anchor.Close())
	}
	for _, db := range []*sql.DB{e.reader, e.one} { // the writer last: it leaves a clean file without a log
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	e.anchor, e.reader, e.one = nil, nil, nil
	return errors.Join(errs...)
}
