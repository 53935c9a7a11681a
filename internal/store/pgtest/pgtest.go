// Package pgtest starts a private PostgreSQL for tests: Debian's server program on a Unix socket in a temporary directory,
// with fsync on, as a user that is not root.
package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// superuser is the role that the cluster is made with. It needs no password on the socket.
const superuser = "bugle"

// Cluster is one running PostgreSQL.
type Cluster struct {
	dir      string // sockets, data and log
	bin      string
	owner    *syscall.Credential // nil: this process's own user
	settings []string

	mu     sync.Mutex
	server *server
	names  atomic.Int64
}

// server is one run of the server program.
type server struct {
	process *os.Process
	ended   chan struct{}
}

var (
	shared     *Cluster
	sharedOnce sync.Once
	errShared  error
)

// URL makes an empty database in the cluster that this process shares among its tests, and returns its URL. M ends
// the cluster. When PostgreSQL is not installed, the test fails where CI is set and is skipped elsewhere.
func URL(t testing.TB) string {
	t.Helper()
	need(t)
	sharedOnce.Do(func() { shared, errShared = start(nil) })
	if errShared != nil {
		t.Fatal(errShared)
	}
	return shared.URL(t)
}

// M runs the tests and then ends the shared cluster, if one of them has used it.
type M struct{ *testing.M }

// Run is what goleak.VerifyTestMain calls.
func (m M) Run() int {
	code := m.M.Run()
	if shared != nil {
		shared.stop()
	}
	return code
}

// New starts a cluster of the test's own, which it may stop and start again. settings are "name=value".
func New(t testing.TB, settings ...string) *Cluster {
	t.Helper()
	need(t)
	c, err := start(settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.stop)
	return c
}

// need finds the server program, else ends the test.
func need(t testing.TB) {
	t.Helper()
	if _, err := programs(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%v, and CI is set", err)
		}
		t.Skipf("%v: what needs PostgreSQL is not tested", err)
	}
}

// programs is the directory of initdb and postgres. Debian keeps them out of the PATH.
func programs() (string, error) {
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 {
		return "", errors.New("PostgreSQL is not installed (Debian: postgresql-15; test/install-peers installs it)")
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
		return n
	}
	return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })), nil
}

func start(settings []string) (c *Cluster, err error) {
	c = &Cluster{settings: settings}
	defer func() {
		if err != nil {
			c.stop()
		}
	}()
	if c.bin, err = programs(); err != nil {
		return c, err
	}
	if c.dir, err = os.MkdirTemp("", "bugle-pg"); err != nil { // a short path: a socket's has 107 bytes at most
		return c, err
	}
	if os.Geteuid() == 0 { // the server refuses to run as root
		if c.owner, err = someoneElse(); err != nil {
			return c, err
		}
		if err := os.Chown(c.dir, int(c.owner.Uid), int(c.owner.Gid)); err != nil {
			return c, err
		}
	}
	// A locale that does not sort by bytes, so that the tests see what relies on the database's own.
	initdb := exec.Command(filepath.Join(c.bin, "initdb"), "--pgdata="+c.data(), "--username="+superuser, "--auth=trust",
		"--encoding=UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en", "--no-sync")
	initdb.Dir = c.dir
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: c.owner}
	if out, err := initdb.CombinedOutput(); err != nil {
		return c, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	// A role whose password is asked for, for the tests of passwords.
	rules, err := os.ReadFile(filepath.Join(c.data(), "pg_hba.conf"))
	if err != nil {
		return c, err
	}
	rules = append([]byte("local all +secretive scram-sha-256\n"), rules...)
	if err := os.WriteFile(filepath.Join(c.data(), "pg_hba.conf"), rules, 0o600); err != nil {
		return c, err
	}
	if err := c.run(); err != nil {
		return c, err
	}
	return c, c.Exec(context.Background(), "postgres", `CREATE ROLE secretive`)
}

func someoneElse() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(err, err2); err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

// run starts the server program and waits until it answers.
func (c *Cluster) run() error {
	arguments := []string{"-D", c.data(), "-k", c.dir, "-c", "listen_addresses=", "-c", "fsync=on", "-c", "max_connections=500",
		"-c", "shared_buffers=32MB"}
	for _, s := range c.settings {
		arguments = append(arguments, "-c", s)
	}
	log, err := os.OpenFile(filepath.Join(c.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(c.bin, "postgres"), arguments...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.dir, log, log
	// It ends with this process, however that ends; the kernel watches the thread that started it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.owner, Pdeathsig: syscall.SIGQUIT}
	s, started := &server{ended: make(chan struct{})}, make(chan error)
	go func() {
		defer close(s.ended)
		runtime.LockOSThread() // for ever: the thread ends with the goroutine
		err := cmd.Start()
		s.process = cmd.Process
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	c.mu.Lock()
	c.server = s
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	for {
		err := c.Exec(ctx, "postgres", `SELECT 1`)
		if err == nil {
			return nil
		}
		select {
		case <-s.ended:
			return fmt.Errorf("the server ended:\n%s", c.log())
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer: %w\n%s", err, c.log())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (c *Cluster) log() []byte {
	text, _ := os.ReadFile(filepath.Join(c.dir, "log"))
	return bytes.TrimSpace(text)
}

// Halt ends the server as a crash of its machine does, but for what the kernel had not written: it takes no leave of
// its clients and recovers when it starts again ("immediate shutdown").
func (c *Cluster) Halt() {
	c.mu.Lock()
	s := c.server
	c.server = nil
	c.mu.Unlock()
	if s != nil {
		_ = s.process.Signal(syscall.SIGQUIT)
		<-s.ended
	}
}

// Restart starts a server that was halted.
func (c *Cluster) Restart(t testing.TB) {
	t.Helper()
	if err := c.run(); err != nil {
		t.Fatal(err)
	}
}

func (c *Cluster) stop() {
	c.Halt()
	if c.dir != "" {
		_ = os.RemoveAll(c.dir)
	}
}

// Exec runs statements as the superuser.
func (c *Cluster) Exec(ctx context.Context, database, statements string) error {
	conn, err := pgx.Connect(ctx, c.url(database))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.PgConn().Exec(ctx, statements).ReadAll()
	return err
}

func (c *Cluster) url(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User(superuser), Path: "/" + database,
		RawQuery: url.Values{"host": {c.dir}}.Encode()}
	return u.String()
}

// Socket is the directory of the server's socket.
func (c *Cluster) Socket() string { return c.dir }

// URL makes an empty database and returns its URL.
func (c *Cluster) URL(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test%d", c.names.Add(1))
	if err := c.Exec(context.Background(), "postgres", `CREATE DATABASE `+name+` TEMPLATE template0`); err != nil {
		t.Fatal(err)
	}
	return c.url(name)
}

// Secretive makes a role with a password that may do all in the database of a URL, and returns the URL with the role's
// name and without its password.
func Secretive(t testing.TB, database, password string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	name := "secret" + strings.TrimPrefix(u.Path, "/test")
	quoted := strings.ReplaceAll(password, "'", "''")
	if _, err := conn.PgConn().Exec(t.Context(), `CREATE ROLE `+name+` LOGIN PASSWORD '`+quoted+`' IN ROLE secretive; `+
		`ALTER SCHEMA public OWNER TO `+name).ReadAll(); err != nil {
		t.Fatal(err)
	}
	u.User = url.User(name)
	return u.String()
}
