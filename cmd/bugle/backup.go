package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bugle/internal/store"
)

// placeFlags say where a server keeps what it keeps, as serve's flags of the same names do.
type placeFlags struct {
	DataDir string `env:"BUGLE_DATA_DIR" default:"./bugle-data" help:"Directory of the database, audio and keys." type:"path"`
	Store   string `env:"BUGLE_STORE" placeholder:"URL" help:"PostgreSQL database, postgres://user@host/name; without it the SQLite database in DATA-DIR."`
	BlobDir string `env:"BUGLE_BLOB_DIR" help:"Directory of the audio; DATA-DIR/blobs by default." type:"path"`
}

func (f *placeFlags) blobs() (*store.Blobs, error) {
	if f.BlobDir != "" {
		return store.NewBlobs(f.BlobDir)
	}
	return store.NewBlobs(filepath.Join(f.DataDir, "blobs"))
}

func (f *placeFlags) database() string { return filepath.Join(f.DataDir, "bugle.db") }

// backupCommand writes a backup while the server serves, or while it does not.
type backupCommand struct {
	placeFlags
	File string `arg:"" help:"File to write; it must not exist. - writes to standard output."`
}

// Help is shown by bugle backup --help.
func (*backupCommand) Help() string {
	return `Writes all documents, records and audio as they are at one moment; a running server goes on meanwhile. Passwords are in it
sealed, and the key is not: keep a copy of DATA-DIR/key elsewhere. A backup of SQLite can be restored to PostgreSQL and the
other way round.`
}

// Run is the command.
func (c *backupCommand) Run(ctx context.Context) error {
	if _, err := os.Stat(c.DataDir); err != nil && (c.Store == "" || c.BlobDir == "") {
		return fmt.Errorf("--data-dir: there is no directory %s", c.DataDir)
	}
	blobs, err := c.blobs()
	if err != nil {
		return err
	}
	write := func(w io.Writer) (store.Contents, error) {
		if c.Store != "" {
			return store.BackupPostgres(ctx, c.Store, blobs, version(), w)
		}
		return store.BackupSQLite(ctx, c.database(), blobs, version(), w)
	}
	if c.File == "-" {
		_, err := write(os.Stdout)
		return err
	}
	have, err := writeNew(c.File, write)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %s\n", c.File, contents(have))
	return nil
}

// writeNew writes a file that only its owner reads. It appears under its name when it is whole and on disk, and never in
// the place of another.
func writeNew(path string, write func(io.Writer) (store.Contents, error)) (have store.Contents, err error) {
	if _, err := os.Lstat(path); err == nil {
		return have, fmt.Errorf("%s exists already", path)
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".backup-*") // mode 0600
	if err != nil {
		return have, err
	}
	defer os.Remove(file.Name())
	have, err = write(file)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return have, err
	}
	if err := os.Link(file.Name(), path); err != nil { // unlike a renaming, never over another file
		return have, err
	}
	return have, syncDirectory(filepath.Dir(path))
}

// contents is "3 accounts …" as far as tables tell.
func contents(c store.Contents) string {
	var parts []string
	for _, table := range slices.Sorted(maps.Keys(c.Rows)) {
		parts = append(parts, fmt.Sprintf("%d %s", c.Rows[table], table))
	}
	return strings.Join(append(parts, fmt.Sprintf("%d files of audio", c.Blobs)), ", ")
}

// restoreCommand makes a database of a backup.
type restoreCommand struct {
	placeFlags
	SecretKeyFile string `env:"BUGLE_SECRET_KEY_FILE" help:"Key that the backup's secrets were sealed with; DATA-DIR/key by default." type:"path"`
	File          string `arg:"" help:"Backup to read; - reads standard input."`
}

// Help is shown by bugle restore --help.
func (*restoreCommand) Help() string {
	return `Fills an empty data directory, or an empty PostgreSQL database, with a backup: all of it, or nothing when something fails. Put
the key of the server that was backed up at DATA-DIR/key (or --secret-key-file) before or after.`
}

// Run is the command.
func (c *restoreCommand) Run(ctx context.Context) error {
	in := io.ReadCloser(os.Stdin)
	if c.File != "-" {
		file, err := os.Open(c.File)
		if err != nil {
			return err
		}
		in = file
	}
	defer in.Close()
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return fmt.Errorf("--data-dir: %w", err)
	}
	blobs, err := c.blobs()
	if err != nil {
		return err
	}
	var have store.Contents
	if c.Store != "" {
		have, err = store.RestorePostgres(ctx, c.Store, blobs, in)
	} else {
		have, err = store.RestoreSQLite(ctx, c.database(), blobs, in)
	}
	if err != nil {
		return err
	}
	fmt.Println("restored:", contents(have))
	return c.checkKey(ctx)
}

// checkKey tells at once what the next start would complain of.
func (c *restoreCommand) checkKey(ctx context.Context) error {
	path := c.SecretKeyFile
	if path == "" {
		path = filepath.Join(c.DataDir, "key")
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		fmt.Printf("Before you start the server, put its key at %s: the secrets in the backup are sealed with it.\n", path)
		return nil
	}
	s, _, err := c.open(ctx, path, store.Options{})
	if err != nil {
		return fmt.Errorf("all is restored, but the key at %s does not open it: %w", path, err)
	}
	return s.Close()
}

// open opens the database with the key at path.
func (f *placeFlags) open(ctx context.Context, path string, opts store.Options) (*store.Store, *store.Sealer, error) {
	key, err := store.LoadKey(path)
	if err != nil {
		return nil, nil, err
	}
	sealer, err := store.NewSealer(key)
	if err != nil {
		return nil, nil, err
	}
	opts.Sealer = sealer
	open := func() (*store.Store, error) {
		if f.Store != "" {
			return store.OpenPostgres(ctx, f.Store, opts)
		}
		return store.OpenSQLite(ctx, f.database(), opts)
	}
	s, err := open()
	return s, sealer, err
}
