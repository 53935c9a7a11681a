package store

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"bugle/internal/store/pgtest"
)

// The test binary runs itself as the writer that is killed, or watched by strace.
func TestMain(m *testing.M) {
	if dir := os.Getenv("BUGLE_STORE_WRITER"); dir != "" {
		os.Exit(writerMain(dir))
	}
	goleak.VerifyTestMain(pgtest.M{M: m})
}
