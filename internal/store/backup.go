package store

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"bugle"
)

// BackupSQLite writes what the database file at path and blobs hold at one moment. A server may run on it: it is neither
// stopped nor slowed, except that its log grows meanwhile. Errors: KindNotFound when there is no such file, w's own.
func BackupSQLite(ctx context.Context, path string, blobs *Blobs, program string, w io.Writer) (Contents, error) {
	if _, err := os.Stat(path); err != nil {
		return Contents{}, &bugle.Error{Op: "store.BackupSQLite", Kind: bugle.KindNotFound, Message: "there is no database " + path, Err: err}
	}
	db, err := openPool(path, 1, "&_pragma=query_only(1)")
	if err != nil {
		return Contents{}, unopened("store.BackupSQLite", path, err)
	}
	defer db.Close()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return Contents{}, unopened("store.BackupSQLite", path, err)
	}
	return backup(ctx, tx, blobs, program, w)
}

// BackupPostgres is BackupSQLite for the database that a URL names.
func BackupPostgres(ctx context.Context, url string, blobs *Blobs, program string, w io.Writer) (Contents, error) {
	config, _, err := parsePostgres(url)
	if err != nil {
		return Contents{}, err
	}
	e := &postgresEngine{config: config}
	db := e.openPool(1)
	defer db.Close()
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return Contents{}, unopened("store.BackupPostgres", postgresName(config), err)
	}
	if err := atLeisure(ctx, tx); err != nil {
		return Contents{}, errors.Join(err, tx.Rollback())
	}
	return backup(ctx, tx, blobs, program, w)
}

// atLeisure lets a transaction take as long as the file that it is written to, or read from.
func atLeisure(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, `SET LOCAL statement_timeout = 0`)
	if err == nil {
		_, err = tx.ExecContext(ctx, `SET LOCAL idle_in_transaction_session_timeout = 0`)
	}
	return err
}

// backup writes all that tx sees, and ends it.
func backup(ctx context.Context, tx *sql.Tx, blobs *Blobs, program string, w io.Writer) (Contents, error) {
	defer func() { _ = tx.Rollback() }() // it has only read
	m := Manifest{Format: archiveFormat, Written: time.Now().UTC(), Program: program}
	if err := tx.QueryRowContext(ctx, `SELECT max(version_id) FROM goose_db_version`).Scan(&m.Tables); err != nil {
		return Contents{}, err
	}
	a, err := newArchiveWriter(w, m)
	if err != nil {
		return Contents{}, err
	}
	for _, table := range archivedAt(m.Tables) {
		if err := backupTable(ctx, tx, table, a); err != nil {
			return Contents{}, err
		}
	}
	_ = tx.Rollback()
	if err := backupBlobs(ctx, blobs, a); err != nil {
		return Contents{}, err
	}
	return a.have, a.end()
}

func backupTable(ctx context.Context, tx *sql.Tx, table string, a *archiveWriter) error {
	rows, err := tx.QueryContext(ctx, `SELECT * FROM `+table)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	row, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range row {
		into[i] = &row[i]
	}
	var text []byte
	var n int64
	part := 0
	flush := func() error {
		if n == 0 {
			return nil
		}
		err := a.rows(table, part, columns, text, n)
		part, n, text = part+1, 0, text[:0]
		return err
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if n++; n > 1 {
			text = append(text, ',')
		}
		if text, err = appendRow(text, row); err != nil {
			return err
		}
		if len(text) >= chunkTarget {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return errors.Join(rows.Err(), flush())
}

// backupBlobs writes the audio. What came since the moment of the tables is in it too, and is swept after a restore.
func backupBlobs(ctx context.Context, blobs *Blobs, a *archiveWriter) error {
	return filepath.WalkDir(blobs.dir, func(path string, entry fs.DirEntry, err error) error {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		account := filepath.Base(filepath.Dir(path))
		if !entry.Type().IsRegular() {
			return nil
		}
		if named, err := blobs.path(account, entry.Name()); err != nil || named != path {
			return nil // an upload under way
		}
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) { // swept, because nothing named it
			return nil
		}
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		return a.blob(account, entry.Name(), info.Size(), f)
	})
}
