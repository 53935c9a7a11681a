package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pressly/goose/v3"

	"bugle"
)

// RestoreSQLite makes the database file at path, which must not exist, of a backup, and puts its audio into blobs. When
// it fails there is no database: nothing is restored by half. Errors: KindConflict when there is a database, or another
// process uses the directory; KindInvalid when r is no backup, a damaged one, or one of a newer program.
func RestoreSQLite(ctx context.Context, path string, blobs *Blobs, r io.Reader) (_ Contents, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return Contents{}, err
	}
	a, err := newArchiveReader(r)
	if err != nil {
		return Contents{}, err
	}
	// Under another name until it is whole.
	partial := path + ".restoring"
	if err := removeDatabase(partial); err != nil {
		return Contents{}, unopened("store.RestoreSQLite", partial, err)
	}
	e, err := openSQLite(ctx, partial, a.manifest.Tables)
	if err != nil {
		return Contents{}, unopened("store.RestoreSQLite", partial, err)
	}
	defer func() { err = errors.Join(err, e.close(), removeDatabase(partial)) }()
	if _, err := os.Stat(path); err == nil {
		return Contents{}, &bugle.Error{Op: "store.RestoreSQLite", Kind: bugle.KindConflict,
			Message: "there is a database already: " + path + "; restore into an empty directory"}
	}
	have, err := restore(ctx, e.one, e, a, blobs)
	if err != nil {
		return Contents{}, err
	}
	if err := migrate(ctx, e.one, goose.DialectSQLite3, sqliteMigrations, "migrations/sqlite", 0); err != nil {
		return Contents{}, err
	}
	// The last connection leaves one file, with the log in it.
	if err := e.closePools(); err != nil {
		return Contents{}, unopened("store.RestoreSQLite", partial, err)
	}
	if err := errors.Join(os.Rename(partial, path), syncDirectory(filepath.Dir(path))); err != nil {
		return Contents{}, unopened("store.RestoreSQLite", path, err)
	}
	return have, nil
}

func removeDatabase(path string) error {
	for _, end := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + end); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// RestorePostgres fills the database that a URL names, which must hold nothing of bugle's, or nothing at all.
func RestorePostgres(ctx context.Context, url string, blobs *Blobs, r io.Reader) (_ Contents, err error) {
	config, size, err := parsePostgres(url)
	if err != nil {
		return Contents{}, err
	}
	a, err := newArchiveReader(r)
	if err != nil {
		return Contents{}, err
	}
	e, err := openPostgres(ctx, config, size, a.manifest.Tables)
	if err != nil {
		return Contents{}, unopened("store.RestorePostgres", postgresName(config), err)
	}
	defer func() { err = errors.Join(err, e.close()) }()
	have, err := restore(ctx, e.write, e, a, blobs)
	if err != nil {
		return Contents{}, err
	}
	return have, e.migrate(ctx, 0)
}

// restore fills empty tables in one transaction, which is the last thing to happen: audio that nothing names is swept.
func restore(ctx context.Context, db *sql.DB, e engine, a *archiveReader, blobs *Blobs) (Contents, error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return Contents{}, err
	}
	defer func() { _ = tx.Rollback() }()
	if _, ok := e.(*postgresEngine); ok {
		if err := atLeisure(ctx, tx); err != nil {
			return Contents{}, err
		}
	}
	if err := clearForRestore(ctx, tx, a.manifest.Tables); err != nil {
		return Contents{}, err
	}
	have := Contents{Rows: map[string]int64{}}
	for {
		head, err := a.next()
		if err != nil {
			return Contents{}, err
		}
		kind, rest, _ := strings.Cut(head.Name, "/")
		name, file, _ := strings.Cut(rest, "/")
		switch {
		case head.Name == "end.json":
			var told Contents
			if err := a.document(&told); err != nil {
				return Contents{}, err
			}
			if told.Blobs != have.Blobs || !maps.Equal(told.Rows, have.Rows) {
				return Contents{}, archiveInvalid(fmt.Sprintf("the backup is damaged: it should hold %v, it holds %v", told, have), nil)
			}
			if err := a.end(); err != nil {
				return Contents{}, err
			}
			if err := moveCursors(ctx, tx, a.manifest.Tables, time.Now()); err != nil {
				return Contents{}, err
			}
			return have, tx.Commit()
		case kind == "tables" && slices.Contains(archived, name) && head.Size <= chunkLimit:
			n, err := restoreChunk(ctx, tx, e, name, a)
			if err != nil {
				return Contents{}, err
			}
			have.Rows[name] += n
		case kind == "blobs":
			blob, err := blobs.Put(ctx, name, a.tar, head.Size)
			if err != nil {
				return Contents{}, err
			}
			if blob.SHA256 != file {
				return Contents{}, archiveInvalid("the backup is damaged: audio "+head.Name+" has changed", nil)
			}
			have.Blobs++
		default:
			return Contents{}, archiveInvalid("the backup holds "+head.Name+", which this program does not know", nil)
		}
	}
}

// moveCursors numbers the events of company directories anew, behind all numbers that they ever had. Clients keep cursors of what happened after
// the backup was made; the same numbers are about to be given to other events, and who asks with such a cursor has to be told that it is gone.
// There is less than one event in a microsecond, so the time is behind them all, also when one backup is restored twice.
func moveCursors(ctx context.Context, tx *sql.Tx, tables int64, now time.Time) error {
	have := archivedAt(tables)
	for _, move := range [...]struct{ table, set string }{
		{"directory_events", `sequence = sequence + %d`}, {"contact_accounts", `sequence = sequence + %[1]d, swept = swept + %[1]d`},
		// Where there was no event yet, they begin at 1.
		{"subscriptions", `cursor = cursor + %d WHERE account_id IN (SELECT account_id FROM contact_accounts)`},
	} {
		if !slices.Contains(have, move.table) {
			continue
		}
		if _, err := tx.ExecContext(ctx, `UPDATE `+move.table+` SET `+fmt.Sprintf(move.set, now.UnixMicro())); err != nil {
			return err
		}
	}
	return nil
}

// clearForRestore makes sure that nothing is overwritten. Opening a database writes settings; they come from the backup.
func clearForRestore(ctx context.Context, tx *sql.Tx, tables int64) error {
	var version int64
	if err := tx.QueryRowContext(ctx, `SELECT max(version_id) FROM goose_db_version`).Scan(&version); err != nil {
		return err
	}
	if version != tables {
		return &bugle.Error{Op: "store.Restore", Kind: bugle.KindConflict, Message: fmt.Sprintf(
			"the database has tables of version %d, the backup of version %d; restore into a database without tables", version, tables)}
	}
	for _, table := range archivedAt(tables) {
		if table == "settings" || table == "counters" || table == "projections" {
			if _, err := tx.ExecContext(ctx, `DELETE FROM `+table); err != nil {
				return err
			}
			continue
		}
		var n int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT 1 FROM `+table+` LIMIT 1) AS found`).Scan(&n); err != nil {
			return err
		}
		if n > 0 {
			return &bugle.Error{Op: "store.Restore", Kind: bugle.KindConflict,
				Message: "the database is in use: its table " + table + " holds rows; restore into an empty one"}
		}
	}
	return nil
}

func restoreChunk(ctx context.Context, tx *sql.Tx, e engine, table string, a *archiveReader) (int64, error) {
	c, err := a.chunk()
	if err != nil {
		return 0, err
	}
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(c.Columns)), ", ")
	st, err := tx.PrepareContext(ctx, e.rebind(`INSERT INTO `+table+` (`+strings.Join(c.Columns, ", ")+`) VALUES (`+marks+`)`))
	if err != nil {
		return 0, archiveInvalid("the backup's table "+table+" is not this program's", err)
	}
	defer st.Close()
	for _, row := range c.Rows {
		if _, err := st.ExecContext(ctx, row...); err != nil {
			return 0, err
		}
	}
	return int64(len(c.Rows)), nil
}
