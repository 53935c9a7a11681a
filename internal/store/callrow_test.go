package store

import (
	"database/sql"
	"testing"

	"bugle/internal/store/pgtest"
)

// TestRecordsOfOldCalls: what was written before there were columns for the owner and the other leg is kept, without them.
func TestRecordsOfOldCalls(t *testing.T) {
	t.Parallel()
	const before = 3 // version of the tables
	written := func(t *testing.T, db *sql.DB) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), `INSERT INTO calls (id, account_id, sip_call_id, direction, from_name, from_number, `+
			`dialed, to_id, device_id, callflow_id, started, answered, ended, cause, trail) VALUES `+
			`('c', 'acme', 's', 'inbound', '', '1001', '411', '', 'd1', '', 1, 2, 3, 'NORMAL_CLEARING', '[]')`); err != nil {
			t.Fatal(err)
		}
	}
	kept := func(t *testing.T, o opener) {
		t.Helper()
		c, err := o.open(t, Options{}).GetCall(t.Context(), "acme", "c")
		if err != nil || c.Dialed != "411" || c.DeviceID != "d1" || c.OwnerID != "" || c.OtherLeg != "" {
			t.Errorf("%+v, %v", c, err)
		}
	}
	t.Run("sqlite", func(t *testing.T) {
		o := sqliteIn(t.TempDir())
		e, err := openSQLite(t.Context(), o.path(), before)
		if err != nil {
			t.Fatal(err)
		}
		written(t, e.one)
		e.close()
		kept(t, o)
	})
	t.Run("postgres", func(t *testing.T) {
		url := pgtest.URL(t)
		config, size, err := parsePostgres(url)
		if err != nil {
			t.Fatal(err)
		}
		e, err := openPostgres(t.Context(), config, size, before)
		if err != nil {
			t.Fatal(err)
		}
		written(t, e.write)
		e.close()
		kept(t, postgresAt(url))
	})
}
