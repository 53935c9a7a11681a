package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"bugle"
	"bugle/internal/store/pgtest"
)

func TestPostgres(t *testing.T) {
	t.Parallel()
	exercise(t, func(t *testing.T) opener { return postgresAt(pgtest.URL(t)) })
}

type postgresAt string

func (url postgresAt) open(t *testing.T, opts Options) *Store {
	t.Helper()
	if opts.OnPanic == nil {
		opts.OnPanic = func(v any) { t.Errorf("panic: %v", v) }
	}
	s, err := OpenPostgres(t.Context(), string(url), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestPostgresRefused(t *testing.T) {
	t.Parallel()
	good := pgtest.URL(t)
	for name, c := range map[string]struct {
		url  string
		kind bugle.Kind
	}{
		"another scheme":      {"mysql://u:hush@h/d", bugle.KindInvalid},
		"a malformed port":    {"postgres://u:hush@h:x/d", bugle.KindInvalid},
		"a malformed mode":    {"postgres://u:hush@h/d?sslmode=hush", bugle.KindInvalid},
		"a malformed escape":  {"postgres://u:hush%zz@h/d", bugle.KindInvalid},
		"too few connections": {good + "&pool_max_conns=1", bugle.KindInvalid},
		"nobody there":        {"postgres://u:hush@127.0.0.1:1/d", bugle.KindUnavailable},
		"no such database":    {strings.Replace(good, "/test", "/absent", 1), bugle.KindUnavailable},
	} {
		_, err := OpenPostgres(t.Context(), c.url, Options{})
		if err == nil || bugle.KindOf(err) != c.kind || strings.Contains(err.Error(), "hush@") || strings.Contains(err.Error(), ":hush") {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := postgresAt(good).open(t, Options{})
	if _, err := s.write.db.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)`); err != nil {
		t.Fatal(err)
	}
	_, err := OpenPostgres(t.Context(), good, Options{})
	wantKind(t, err, bugle.KindInvalid)
	if !strings.Contains(err.Error(), "newer") {
		t.Errorf("tables of a newer program: %v", err)
	}
	if _, err := s.write.db.Exec(`CREATE DATABASE latin TEMPLATE template0 ENCODING LATIN1 LOCALE 'C' LOCALE_PROVIDER libc`); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(good)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/latin"
	_, err = OpenPostgres(t.Context(), u.String(), Options{})
	wantKind(t, err, bugle.KindInvalid)
	if !strings.Contains(err.Error(), "UTF8") {
		t.Errorf("a database in Latin-1: %v", err)
	}
}

// TestPostgresSession: what the database's defaults would loosen is set by each connection.
func TestPostgresSession(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	admin := postgresAt(url).open(t, Options{})
	for _, statement := range []string{`SET default_transaction_isolation = 'serializable'`, `SET statement_timeout = 0`} {
		var name string
		if err := admin.write.db.QueryRow(`SELECT current_database()`).Scan(&name); err != nil {
			t.Fatal(err)
		}
		if _, err := admin.write.db.Exec(`ALTER DATABASE ` + name + ` ` + statement); err != nil {
			t.Fatal(err)
		}
	}
	s := postgresAt(url).open(t, Options{})
	for name, want := range map[string]string{"default_transaction_isolation": "read committed", "statement_timeout": "1min",
		"idle_in_transaction_session_timeout": "15s", "application_name": "bugle"} {
		var read, written string
		err, err2 := s.read.db.QueryRow(`SHOW `+name).Scan(&read), s.write.db.QueryRow(`SHOW `+name).Scan(&written)
		if read != want || written != want || err != nil || err2 != nil {
			t.Errorf("%s is %s and %s, %v %v; want %s", name, read, written, err, err2, want)
		}
	}
}

func TestPostgresErrors(t *testing.T) {
	t.Parallel()
	e := &postgresEngine{}
	code := func(c string) error { return fmt.Errorf("wrapped: %w", &pgconn.PgError{Code: c}) }
	for _, c := range []struct {
		err                error
		unavailable, again bool
	}{
		{code("40001"), true, true}, {code("40P01"), true, true}, // lost against others, once too often
		{code("57P01"), true, true}, {code("57P02"), true, true}, {code("57P03"), true, false}, // ended, starting
		{code("53100"), true, false}, {code("53300"), true, false}, {code("58030"), true, false}, // disk full, connections, I/O
		{code("28P01"), true, false}, {code("3D000"), true, false}, {code("25006"), true, false}, // password, database, standby
		{code("57014"), true, false}, {code("42P01"), true, false}, {code("XX001"), true, false}, // timeout, tables gone, damage
		{code("23505"), false, false}, {code("22021"), false, false}, {code("42601"), false, false}, {code("54000"), false, false},
		{driver.ErrBadConn, true, true}, {io.ErrUnexpectedEOF, true, true}, {net.ErrClosed, true, true},
		{&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, true, true}, {&pgconn.ConnectError{}, true, false},
		{errors.New("something else"), false, false}, {errAgain, false, false},
	} {
		if got, again := e.unavailable(c.err), e.serialization(c.err); got != c.unavailable || again != c.again {
			t.Errorf("%v: unavailable %v, again %v; want %v, %v", c.err, got, again, c.unavailable, c.again)
		}
	}
	if got := e.rebind(`a = ? AND b IN (?, ?)`); got != `a = $1 AND b IN ($2, $3)` {
		t.Errorf("rebound: %s", got)
	}
}

// queries notes what is asked of the database.
type queries struct {
	mu   sync.Mutex
	seen []pgx.TraceQueryStartData
}

func (q *queries) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	q.mu.Lock()
	q.seen = append(q.seen, data)
	q.mu.Unlock()
	return ctx
}

func (q *queries) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// TestPostgresReads: what the API reads is one query each, and reads by an index.
func TestPostgresReads(t *testing.T) {
	t.Parallel()
	config, size, err := parsePostgres(pgtest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	asked := &queries{}
	config.Tracer = asked
	e, err := openPostgres(t.Context(), config, size, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := newStore(e, Options{})
	t.Cleanup(func() { s.Close() })
	if err := s.Write(t.Context(), func(tx *Tx) error {
		for i := range 2000 {
			d := user(fmt.Sprintf("u%04d", i), fmt.Sprintf("name %d", i%77))
			d.AccountID = fmt.Sprint("account", i%20)
			d.Keys, d.Index = []Key{{"number", d.AccountID, d.ID}}, []Index{{"owner_id", fmt.Sprint(i % 300)}}
			if err := tx.Put(&d, ""); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.write.db.Exec(`ANALYZE`); err != nil {
		t.Fatal(err)
	}
	_, next, err := s.List(t.Context(), Query{AccountID: "account1", Type: "user"})
	if err != nil {
		t.Fatal(err)
	}
	for name, read := range map[string]func() error{
		"by id":  func() error { _, err := s.Get(t.Context(), "account1", "user", "u0001"); return err },
		"by key": func() error { _, err := s.GetByKey(t.Context(), Key{"number", "account1", "u0001"}); return err },
		"a list": func() error { _, _, err := s.List(t.Context(), Query{AccountID: "account1", Type: "user"}); return err },
		"its second": func() error {
			_, _, err := s.List(t.Context(), Query{AccountID: "account1", Type: "user", After: next})
			return err
		},
		"backwards": func() error {
			_, _, err := s.List(t.Context(), Query{AccountID: "account1", Type: "user", After: next, Descending: true})
			return err
		},
		"by index": func() error {
			_, _, err := s.List(t.Context(), Query{AccountID: "account1", Type: "user", Index: &Index{"owner_id", "1"}})
			return err
		},
		"a number's beginning": func() error { _, err := s.KeyBegins(t.Context(), "number", "account1", "u0"); return err },
	} {
		asked.mu.Lock()
		asked.seen = nil
		asked.mu.Unlock()
		if err := read(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		asked.mu.Lock()
		seen := slices.Clone(asked.seen)
		asked.mu.Unlock()
		seen = slices.DeleteFunc(seen, func(q pgx.TraceQueryStartData) bool { return !strings.HasPrefix(q.SQL, "SELECT") })
		if len(seen) != 1 {
			t.Errorf("%s took %d queries", name, len(seen))
			continue
		}
		args := seen[0].Args
		if len(args) > 0 {
			if _, is := args[0].(pgx.QueryResultFormatsByOID); is {
				args = args[1:]
			}
		}
		rows, err := s.read.db.Query(`EXPLAIN `+seen[0].SQL, args...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var plan strings.Builder
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			plan.WriteString(line + "\n")
		}
		rows.Close()
		if strings.Contains(plan.String(), "Seq Scan") || !strings.Contains(plan.String(), "Index") {
			t.Errorf("%s is not read by an index:\n%s\n%s", name, seen[0].SQL, &plan)
		}
	}
}
