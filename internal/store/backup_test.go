package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bugle"
	"bugle/internal/store/pgtest"
)

// place is a database that backups are made of and restored to.
type place interface {
	opener
	backup(ctx context.Context, blobs *Blobs, w io.Writer) (Contents, error)
	restore(ctx context.Context, blobs *Blobs, r io.Reader) (Contents, error)
}

func (dir sqliteIn) file() string { return filepath.Join(string(dir), "bugle.db") }

func (dir sqliteIn) backup(ctx context.Context, blobs *Blobs, w io.Writer) (Contents, error) {
	return BackupSQLite(ctx, dir.file(), blobs, "test", w)
}

func (dir sqliteIn) restore(ctx context.Context, blobs *Blobs, r io.Reader) (Contents, error) {
	return RestoreSQLite(ctx, dir.file(), blobs, r)
}

func (url postgresAt) backup(ctx context.Context, blobs *Blobs, w io.Writer) (Contents, error) {
	return BackupPostgres(ctx, string(url), blobs, "test", w)
}

func (url postgresAt) restore(ctx context.Context, blobs *Blobs, r io.Reader) (Contents, error) {
	return RestorePostgres(ctx, string(url), blobs, r)
}

func blobsIn(t *testing.T) *Blobs {
	t.Helper()
	blobs, err := NewBlobs(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return blobs
}

func TestBackup(t *testing.T) {
	t.Parallel()
	kinds := map[string]func(t *testing.T) place{
		"SQLite":     func(t *testing.T) place { return sqliteIn(t.TempDir()) },
		"PostgreSQL": func(t *testing.T) place { return postgresAt(pgtest.URL(t)) },
	}
	for from, source := range kinds {
		for to, target := range kinds {
			t.Run(from+" to "+to, func(t *testing.T) {
				t.Parallel()
				backupAndRestore(t, source(t), target(t))
			})
		}
	}
}

// backupAndRestore: a backup under load is one moment, and what is restored is a store to go on with.
func backupAndRestore(t *testing.T, from, to place) {
	key := bytes.Repeat([]byte{7}, keySize)
	sealer, err := NewSealer(key)
	if err != nil {
		t.Fatal(err)
	}
	s := from.open(t, Options{Sealer: sealer})
	odd := user("odd", "Łukasz \\ \" \u2028 \U0001F4DE")
	odd.Private, odd.SortKey = json.RawMessage(`{"hash":"x"}`), []byte{0, 255, 1}
	odd.Keys, odd.Index = []Key{{"username", "acme", "łukasz"}}, []Index{{"owner_id", "x"}}
	odd = put(t, s, odd, "")
	large := put(t, s, Document{AccountID: "acme", Type: "menu", ID: "large",
		Body: json.RawMessage(`{"x":"` + strings.Repeat("0123456789", chunkTarget/8) + `"}`)}, "")
	gone := remove(t, s, put(t, s, user("gone", "x"), ""), false)
	began := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	if err := s.SaveCall(t.Context(), CallRow{ID: "c1", AccountID: "acme", Started: began, Ended: began.Add(time.Second),
		Trail: json.RawMessage(`[]`)}); err != nil {
		t.Fatal(err)
	}
	blobs, restored := blobsIn(t), blobsIn(t)
	sound, err := blobs.Put(t.Context(), strings.Repeat("a", 32), strings.NewReader("sound"), 10)
	if err != nil {
		t.Fatal(err)
	}
	stop := twins(t, s)
	var file bytes.Buffer
	have, err := from.backup(t.Context(), blobs, &file)
	stop()
	if err != nil || have.Blobs != 1 || have.Rows["calls"] != 1 {
		t.Fatalf("backup: %+v, %v", have, err)
	}
	for _, secret := range []string{string(key), fmt.Sprintf("%x", key)} {
		if bytes.Contains(file.Bytes(), []byte(secret)) {
			t.Error("the key is in the backup")
		}
	}
	got, err := to.restore(t.Context(), restored, bytes.NewReader(file.Bytes()))
	if err != nil || fmt.Sprint(got) != fmt.Sprint(have) {
		t.Fatalf("restore: %+v, %v; the backup had %+v", got, err, have)
	}
	if _, err := to.restore(t.Context(), restored, bytes.NewReader(file.Bytes())); bugle.KindOf(err) != bugle.KindConflict {
		t.Errorf("a second restore: %v", err)
	}
	r := to.open(t, Options{Sealer: sealer})
	for _, want := range []Document{odd, large} {
		d, err := r.Get(t.Context(), "acme", want.Type, want.ID)
		if err != nil || !equalDocuments(d, want) {
			t.Errorf("%s: %v", want.ID, err)
		}
	}
	if d, err := r.GetByKey(t.Context(), odd.Keys[0]); err != nil || d.ID != "odd" {
		t.Errorf("by key: %s, %v", d.ID, err)
	}
	if _, err := r.Get(t.Context(), "acme", "user", gone.ID); bugle.KindOf(err) != bugle.KindNotFound {
		t.Errorf("deleted: %v", err)
	}
	if f, err := restored.Open(t.Context(), sound.AccountID, sound.SHA256); err != nil {
		t.Error(err)
	} else {
		f.Close()
	}
	one, err1 := r.Get(t.Context(), "acme", "twin", "one")
	two, err2 := r.Get(t.Context(), "acme", "twin", "two")
	if err1 != nil || err2 != nil || string(one.Body) != string(two.Body) {
		t.Errorf("two documents of one transaction: %s %v, %s %v", one.Body, err1, two.Body, err2)
	}
	before, err := r.Position(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	put(t, r, user("later", "x"), "")
	if after, err := r.Position(t.Context()); err != nil || after != before+1 {
		t.Errorf("the log goes on from %d to %d, %v", before, after, err)
	}
}

// twins writes two documents in one transaction again and again, until stop.
func twins(t *testing.T, s *Store) (stop func()) {
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	began := make(chan struct{})
	wg.Go(func() {
		revs := map[string]string{}
		for n := 0; ctx.Err() == nil; n++ {
			fresh := map[string]string{}
			err := s.Write(ctx, func(tx *Tx) error {
				for _, id := range []string{"one", "two"} {
					d := Document{AccountID: "acme", Type: "twin", ID: id, Body: json.RawMessage(fmt.Sprintf(`{"n":%d}`, n))}
					if err := tx.Put(&d, revs[id]); err != nil {
						return err
					}
					fresh[id] = d.Rev
				}
				return nil
			})
			if err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
			if revs = fresh; n == 3 {
				close(began)
			}
		}
	})
	<-began
	return func() {
		cancel()
		wg.Wait()
	}
}

func equalDocuments(a, b Document) bool {
	return a.AccountID == b.AccountID && a.Rev == b.Rev && bytes.Equal(a.Body, b.Body) && bytes.Equal(a.Private, b.Private) &&
		bytes.Equal(a.SortKey, b.SortKey) && a.Created.Equal(b.Created) && a.Modified.Equal(b.Modified) &&
		slices.Equal(a.Keys, b.Keys) && slices.Equal(a.Index, b.Index)
}

// TestRestoredCursors: a client that was told of more than the backup knows is not told of other things as if they were what follows; who was
// told of less, as the backup knows it, goes on.
func TestRestoredCursors(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]func(t *testing.T) place{
		"SQLite":     func(t *testing.T) place { return sqliteIn(t.TempDir()) },
		"PostgreSQL": func(t *testing.T) place { return postgresAt(pgtest.URL(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from := source(t)
			s := from.open(t, Options{})
			happen := func(s *Store, account string, times int) {
				t.Helper()
				list := make([]DirectoryEventRow, times)
				for i := range list {
					list[i] = DirectoryEventRow{AccountID: account, At: time.Now(), Kind: "Update", ContactID: "c", Body: []byte(`{}`)}
				}
				if err := s.Write(t.Context(), func(tx *Tx) error { return tx.AppendDirectoryEvents(account, true, list) }); err != nil {
					t.Fatal(err)
				}
			}
			happen(s, "acme", 3)
			if err := s.Write(t.Context(), func(tx *Tx) error {
				for account, cursor := range map[string]int64{"acme": 2, "beta": 0} {
					if err := tx.AddSubscription(Subscription{ID: account, AccountID: account, Transport: "WebHook", Cursor: cursor, Follows: true,
						Expires: time.Now().Add(time.Hour), Body: []byte(`{}`)}); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			var file bytes.Buffer
			if _, err := from.backup(t.Context(), blobsIn(t), &file); err != nil {
				t.Fatal(err)
			}
			happen(s, "acme", 5)
			cursor, _, _, err := s.DirectoryState(t.Context(), "acme")
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // the same backup twice, in two lives
				to := source(t)
				if _, err := to.restore(t.Context(), blobsIn(t), bytes.NewReader(file.Bytes())); err != nil {
					t.Fatal(err)
				}
				r := to.open(t, Options{})
				happen(r, "acme", 10)
				happen(r, "beta", 1)
				for _, after := range []int64{0, 2, 3, cursor} {
					if _, err := r.DirectoryEvents(t.Context(), "acme", after, 100); !errors.Is(err, ErrSwept) {
						t.Errorf("after %d: %v", after, err)
					}
				}
				list, err := r.SubscriptionsBehind(t.Context(), "WebHook", time.Now(), "", 10)
				if err != nil || len(list) != 2 {
					t.Fatal(list, err)
				}
				for i, want := range []int{11, 1} {
					if events, err := r.DirectoryEvents(t.Context(), list[i].AccountID, list[i].Cursor, 100); err != nil || len(events) != want {
						t.Errorf("%s is told of %d, want %d: %v", list[i].ID, len(events), want, err)
					}
				}
				if cursor, _, _, err = r.DirectoryState(t.Context(), "acme"); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestBackupTables: a table that a migration adds is in backups too.
func TestBackupTables(t *testing.T) {
	t.Parallel()
	s := sqliteIn(t.TempDir()).open(t, Options{})
	rows, err := s.read.db.Query(`SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'goose%' AND name NOT LIKE 'sqlite%' ORDER BY name`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var have []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		have = append(have, name)
	}
	if want := slices.Sorted(slices.Values(archived)); !slices.Equal(have, want) {
		t.Errorf("tables are %v, a backup has %v", have, want)
	}
}

// TestRestoreDamaged: of a file that is not whole, nothing is restored.
func TestRestoreDamaged(t *testing.T) {
	t.Parallel()
	from := sqliteIn(t.TempDir())
	s := from.open(t, Options{})
	for i := range 20 {
		put(t, s, user(fmt.Sprint("u", i), "x"), "")
	}
	blobs := blobsIn(t)
	if _, err := blobs.Put(t.Context(), strings.Repeat("a", 32), strings.NewReader(strings.Repeat("sound", 999)), 1<<20); err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if _, err := from.backup(t.Context(), blobs, &file); err != nil {
		t.Fatal(err)
	}
	whole := file.Bytes()
	damaged := map[string][]byte{"empty": nil, "other": []byte("hello"), "almost": whole[:len(whole)-1]}
	for i := 1; i < 7; i++ {
		damaged[fmt.Sprint("cut ", i)] = whole[:len(whole)*i/7]
		flipped := slices.Clone(whole)
		flipped[len(whole)*i/7] ^= 0x10
		damaged[fmt.Sprint("flipped ", i)] = flipped
	}
	for name, content := range damaged {
		to := sqliteIn(t.TempDir())
		_, err := to.restore(t.Context(), blobsIn(t), bytes.NewReader(content))
		if err == nil {
			t.Errorf("%s: restored", name)
		}
		if left, _ := filepath.Glob(to.file() + "*"); len(left) != 0 {
			t.Errorf("%s: left %v", name, left)
		}
	}
	to := sqliteIn(t.TempDir())
	if err := os.WriteFile(to.file(), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := to.restore(t.Context(), blobsIn(t), bytes.NewReader(whole)); bugle.KindOf(err) != bugle.KindConflict {
		t.Errorf("over a database: %v", err)
	}
	if _, err := sqliteIn(t.TempDir()).backup(t.Context(), blobs, io.Discard); bugle.KindOf(err) != bugle.KindNotFound {
		t.Errorf("of no database: %v", err)
	}
	full := errors.New("disk full")
	if _, err := from.backup(t.Context(), blobs, failing{full}); !errors.Is(err, full) {
		t.Errorf("to a full disk: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
