package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bugle"
)

func TestSQLiteVersion(t *testing.T) {
	t.Parallel()
	s := sqliteIn(t.TempDir()).open(t, Options{})
	var version string
	if err := s.read.db.QueryRow(`SELECT sqlite_version()`).Scan(&version); err != nil || olderVersion(version, oldestSQLite) {
		t.Errorf("SQLite %s, %v; at least %s is needed", version, err, oldestSQLite)
	}
	for _, c := range []struct {
		a, b string
		want bool
	}{{"3.51.2", "3.51.3", true}, {"3.51.3", "3.51.3", false}, {"3.53.4", "3.51.3", false}, {"3.9.0", "3.51.3", true},
		{"4.0", "3.51.3", false}, {"3.51", "3.51.3", true}} {
		if got := olderVersion(c.a, c.b); got != c.want {
			t.Errorf("%s is older than %s: %v", c.a, c.b, got)
		}
	}
	for _, c := range []struct {
		pool, pragma, want string
	}{{"read", "journal_mode", "wal"}, {"read", "synchronous", "2"}, {"read", "query_only", "1"}, {"read", "busy_timeout", "10000"},
		{"write", "journal_mode", "wal"}, {"write", "synchronous", "2"}, {"write", "busy_timeout", "10000"}} {
		db := s.read.db
		if c.pool == "write" {
			db = s.write.db
		}
		var got string
		if err := db.QueryRow(`PRAGMA ` + c.pragma).Scan(&got); err != nil || got != c.want {
			t.Errorf("%s of the %s pool is %s, %v, want %s", c.pragma, c.pool, got, err, c.want)
		}
	}
}

// TestLibcVersion: modernc.org/sqlite is generated code for exactly one version of modernc.org/libc
// (https://gitlab.com/cznic/sqlite/-/issues/177); a newer one may corrupt silently.
func TestLibcVersion(t *testing.T) {
	t.Parallel()
	list := func(format, module string) string {
		out, err := exec.Command("go", "list", "-m", "-f", format, module).Output()
		if err != nil {
			t.Fatalf("go list %s: %v", module, err)
		}
		return strings.TrimSpace(string(out))
	}
	used := list("{{.Version}}{{with .Replace}} replaced by {{.}}{{end}}", "modernc.org/libc")
	mod, err := os.ReadFile(filepath.Join(list("{{.Dir}}", "modernc.org/sqlite"), "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	pin := regexp.MustCompile(`(?m)^\s*modernc\.org/libc\s+(\S+)`).FindSubmatch(mod)
	if pin == nil || used != string(pin[1]) {
		t.Errorf("modernc.org/libc is %s, modernc.org/sqlite pins %s", used, pin)
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	o := sqliteIn(filepath.Join(t.TempDir(), "a", "b # c%20?x=1")) // a name that is hard on URIs
	s := o.open(t, Options{})
	put(t, s, user("u1", "Ann"), "")
	if info, err := os.Stat(string(o)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory: %v, %v", info.Mode(), err)
	}
	files, err := os.ReadDir(string(o))
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, f := range files {
		info, err := f.Info()
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f.Name(), info.Mode(), err)
		}
		names = append(names, f.Name())
	}
	if got := strings.Join(names, " "); got != "bugle.db bugle.db-shm bugle.db-wal lock" {
		t.Errorf("files: %s", got)
	}
	_, err = OpenSQLite(t.Context(), o.path(), Options{})
	wantKind(t, err, bugle.KindConflict)
	if !strings.Contains(err.Error(), "in use by another process") || !strings.Contains(err.Error(), string(o)) {
		t.Errorf("a second process hears: %v", err)
	}
	s.Close()
	o.open(t, Options{}).Close()
	if _, err := os.Stat(o.path() + "-wal"); err == nil {
		t.Error("a clean end leaves a log behind")
	}
	// An older umask or a careless copy is mended.
	if err := os.Chmod(o.path(), 0o644); err != nil {
		t.Fatal(err)
	}
	o.open(t, Options{}).Close()
	if info, _ := os.Stat(o.path()); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	// Tables of a newer program are left alone.
	s = o.open(t, Options{})
	if _, err := s.write.db.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)`); err != nil {
		t.Fatal(err)
	}
	s.Close()
	_, err = OpenSQLite(t.Context(), o.path(), Options{})
	wantKind(t, err, bugle.KindInvalid)
	if err := os.WriteFile(o.path(), []byte(strings.Repeat("this is no database ", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = OpenSQLite(t.Context(), o.path(), Options{})
	wantKind(t, err, bugle.KindUnavailable)
	_, err = OpenSQLite(t.Context(), "/proc/nowhere/bugle.db", Options{})
	wantKind(t, err, bugle.KindUnavailable)
}

// TestFileLost takes the files of a running store away: it must notice, since SQLite itself would go on with the
// removed file and acknowledge writes that nobody will ever find.
func TestFileLost(t *testing.T) {
	t.Parallel()
	for _, suffix := range []string{"", "-wal"} {
		t.Run("database"+suffix, func(t *testing.T) {
			t.Parallel()
			o := sqliteIn(t.TempDir())
			s := o.open(t, Options{})
			d := put(t, s, user("u1", "Ann"), "")
			c := NewCache(s, CacheOptions{Poll: 1})
			defer c.Close()
			if _, err := c.Get(t.Context(), "acme", "user", "u1"); err != nil {
				t.Fatal(err)
			}
			path := o.path() + suffix
			if err := os.Rename(path, path+".away"); err != nil {
				t.Fatal(err)
			}
			write := func() error {
				d := user("u2", "Bea")
				return s.Write(t.Context(), func(tx *Tx) error { return tx.Put(&d, "") })
			}
			_, err := s.Get(t.Context(), "acme", "user", "u1")
			for _, err := range []error{err, write(), s.Ping(t.Context()), s.SaveCall(t.Context(), CallRow{ID: "c"})} {
				wantKind(t, err, bugle.KindUnavailable)
			}
			until(t, "the cache notices", func() bool { return !c.Healthy() })
			if got, err := c.Get(t.Context(), "acme", "user", "u1"); err != nil || got.Rev != d.Rev {
				t.Errorf("from the cache: %v, %v", got.Rev, err)
			}
			// Lost in the middle of a transaction.
			if err := os.Rename(path+".away", path); err != nil {
				t.Fatal(err)
			}
			err = s.Write(t.Context(), func(tx *Tx) error {
				d := user("u3", "Cay")
				return errors.Join(tx.Put(&d, ""), os.Rename(path, path+".away"))
			})
			wantKind(t, err, bugle.KindUnavailable)
			if err2 := os.Rename(path+".away", path); err2 != nil {
				t.Fatal(err2, err)
			}
			if err := write(); err != nil {
				t.Errorf("after its return: %v", err)
			}
			until(t, "the cache notices", c.Healthy)
			checkIntegrity(t, s)
			if n := len(wantLog(t, s)); n != 2 {
				t.Errorf("%d changes, want 2", n)
			}
		})
	}
}

// TestConnectionsGo closes every connection that is not in use, as cancelled requests do.
func TestConnectionsGo(t *testing.T) {
	t.Parallel()
	s := sqliteIn(t.TempDir()).open(t, Options{})
	for i := range 3 {
		put(t, s, user(fmt.Sprint("u", i), "Ann"), "")
		for _, db := range []*sql.DB{s.read.db, s.write.db} {
			db.SetMaxIdleConns(0)
			db.SetMaxIdleConns(sqliteReaders)
		}
		if _, err := s.Get(t.Context(), "acme", "user", "u0"); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFileDamaged overwrites the database under a running store.
func TestFileDamaged(t *testing.T) {
	t.Parallel()
	o := sqliteIn(t.TempDir())
	s := o.open(t, Options{})
	put(t, s, user("u1", "Ann"), "")
	if _, err := s.write.db.Exec(`PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(o.path(), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, _ := f.Stat()
	_, err = f.WriteAt([]byte(strings.Repeat("garbage ", int(info.Size())/8)), 0)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	// A connection without a page cache of its own reads what is there.
	s.read.db.SetMaxIdleConns(0)
	s.read.close()
	_, err = s.Get(t.Context(), "acme", "user", "u1")
	wantKind(t, err, bugle.KindUnavailable)
}

// TestFullDisk fills a small file system: writes must fail as unavailable and leave nothing half done, reads go on, and
// all is well when there is room again.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=16m,mode=0700"); err != nil {
		t.Skipf("a 16 MB tmpfs cannot be mounted here (root may): %v; a full disk is not tested", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	o := sqliteIn(dir)
	s := o.open(t, Options{})
	t.Cleanup(func() { s.Close() }) // before the file system goes
	c := NewCache(s, CacheOptions{Poll: 1})
	defer c.Close()
	blobs, err := NewBlobs(filepath.Join(dir, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	written := 0
	write := func() error {
		d := user(fmt.Sprintf("u%06d", written), "x")
		d.Body = []byte(`{"pad":"` + strings.Repeat("x", 40000) + `"}`)
		d.Keys, d.Index = []Key{{"number", "acme", d.ID}}, []Index{{"all", "1"}}
		err := s.Write(context.Background(), func(tx *Tx) error { return tx.Put(&d, "") })
		if err == nil {
			written++
		}
		return err
	}
	for err = write(); err == nil; err = write() {
	}
	wantKind(t, err, bugle.KindUnavailable)
	filler := filepath.Join(dir, "filler")
	fill(t, filler)
	// The log's file has room inside until it comes to its end, so what is smaller may still succeed; it must then be kept.
	failures, bindings := 0, 0
	for i := 0; failures < 12; i++ {
		row := BindingRow{DeviceID: fmt.Sprint(i), UserAgent: strings.Repeat("x", 40000)}
		saved := s.SaveBindings(t.Context(), []BindingRow{row}, nil)
		if saved == nil {
			bindings++
		}
		for _, err := range []error{write(), saved} {
			if err != nil {
				failures++
				wantKind(t, err, bugle.KindUnavailable)
			} else if i > 5000 {
				t.Fatal("the disk never fills")
			}
		}
		_, err := blobs.Put(t.Context(), "acme", strings.NewReader(strings.Repeat("x", 100000)), 1<<20)
		wantKind(t, err, bugle.KindUnavailable)
		if _, err := s.Get(t.Context(), "acme", "user", "u000000"); err != nil {
			t.Fatalf("reading on a full disk: %v", err)
		}
		if _, err := c.GetByKey(t.Context(), Key{"number", "acme", "u000001"}); err != nil || !c.Healthy() {
			t.Fatalf("the cache on a full disk: %v", err)
		}
	}
	if n, err := s.Count(t.Context(), Query{Type: "user"}); err != nil || n != written {
		t.Errorf("%d documents, %d were acknowledged, %v", n, written, err)
	}
	checkIntegrity(t, s)
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size=32m"); err != nil {
		t.Fatal(err)
	}
	if err := write(); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if _, err := blobs.Put(t.Context(), "acme", strings.NewReader("x"), 10); err != nil {
		t.Errorf("a blob with room again: %v", err)
	}
	s.Close()
	s = o.open(t, Options{})
	if n := len(loadBindings(t, s)); n != bindings {
		t.Errorf("after reopening %d bindings of %d", n, bindings)
	}
	if n, err := s.Count(t.Context(), Query{Type: "user"}); err != nil || n != written {
		t.Errorf("after reopening %d documents, %d were acknowledged, %v", n, written, err)
	}
	var verdict string
	if err := s.read.db.QueryRow(`PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity_check: %s, %v", verdict, err)
	}
	s.Close()
}

// fill writes a file until nothing fits any more.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 16; size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, unix.ENOSPC) {
			t.Fatal(err)
		}
	}
}
