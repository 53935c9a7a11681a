package store

import (
	"testing"

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
