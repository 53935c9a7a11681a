package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"bugle/internal/store/pgtest"
)

// TestUpgrade: a database that the first version filled is brought up to date when it is opened, and loses nothing.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	s := sqliteIn(t.TempDir()).open(t, Options{})
	d := user("u1", "Ann")
	d.Keys, d.Index = []Key{{"username", "acme", "ann"}}, []Index{{"owner_id", "x"}}
	d = put(t, s, d, "")
	d.Body = json.RawMessage(`{"name":"Anna"}`)
	d = put(t, s, d, d.Rev)
	began := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	call := CallRow{ID: "c1", AccountID: "acme", Started: began, Ended: began.Add(time.Second), Trail: json.RawMessage(`[]`)}
	if err := s.SaveCall(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	check := func(t *testing.T, up *Store) {
		got, err := up.GetByKey(t.Context(), d.Keys[0])
		if err != nil || !equalDocuments(got, d) {
			t.Errorf("document: %+v, %v", got, err)
		}
		if changes, err := up.History(t.Context(), "acme", "user", "u1", 0, 10); err != nil || len(changes) != 2 {
			t.Errorf("history: %d, %v", len(changes), err)
		}
		if c, err := up.GetCall(t.Context(), "acme", "c1"); err != nil || !c.Ended.Equal(call.Ended) {
			t.Errorf("call: %+v, %v", c, err)
		}
		put(t, up, user("u2", "Bob"), "")
	}
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		dir := sqliteIn(t.TempDir())
		e, err := openSQLite(t.Context(), dir.file(), 1)
		if err != nil {
			t.Fatal(err)
		}
		copyTables(t, s, e.one, e)
		if err := e.close(); err != nil {
			t.Fatal(err)
		}
		check(t, dir.open(t, Options{}))
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		url := postgresAt(pgtest.URL(t))
		config, size, err := parsePostgres(string(url))
		if err != nil {
			t.Fatal(err)
		}
		e, err := openPostgres(t.Context(), config, size, 1)
		if err != nil {
			t.Fatal(err)
		}
		copyTables(t, s, e.write, e)
		if err := e.close(); err != nil {
			t.Fatal(err)
		}
		check(t, url.open(t, Options{}))
	})
}

// copyTables copies the tables and columns that to has.
func copyTables(t *testing.T, from *Store, to *sql.DB, e engine) {
	t.Helper()
	ctx := context.Background()
	for _, table := range archived {
		none, err := to.QueryContext(ctx, `SELECT * FROM `+table+` LIMIT 0`)
		if err != nil {
			continue // a later version's
		}
		columns, err := none.Columns()
		none.Close()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := to.ExecContext(ctx, `DELETE FROM `+table); err != nil { // what a new database begins with
			t.Fatal(err)
		}
		list := strings.Join(columns, ", ")
		rows, err := from.read.db.QueryContext(ctx, `SELECT `+list+` FROM `+table)
		if err != nil {
			t.Fatal(err)
		}
		row, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		insert := e.rebind(`INSERT INTO ` + table + ` (` + list + `) VALUES (` + strings.TrimSuffix(strings.Repeat("?, ", len(row)), ", ") + `)`)
		for rows.Next() {
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			if _, err := to.ExecContext(ctx, insert, row...); err != nil {
				t.Fatal(err)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		rows.Close()
	}
}
