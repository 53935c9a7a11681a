package store

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"

	"bugle"
)

// migrate brings the tables up to date with the files of a directory, or up to a version of them that is not 0. Tables of
// a newer program are left alone.
func migrate(ctx context.Context, db *sql.DB, dialect goose.Dialect, files fs.FS, dir string, version int64, more ...goose.ProviderOption) error {
	files, err := fs.Sub(files, dir)
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(dialect, db, files, append(more, goose.WithDisableGlobalRegistry(true))...)
	if err != nil {
		return err
	}
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if current > target {
		return &bugle.Error{Op: "store.Open", Kind: bugle.KindInvalid, Message: fmt.Sprintf(
			"the database has the tables of a newer bugle (version %d, this program knows %d)", current, target)}
	}
	if version > target {
		return &bugle.Error{Op: "store.Open", Kind: bugle.KindInvalid, Message: fmt.Sprintf(
			"the backup is of a newer bugle (version %d, this program knows %d)", version, target)}
	}
	if version == 0 {
		version = target
	}
	if current >= version {
		return nil
	}
	_, err = p.UpTo(ctx, version)
	return err
}
