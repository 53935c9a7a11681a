package kazoo_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"bugle/internal/store/pgtest"
)

// The test binary runs itself as the server that is killed.
func TestMain(m *testing.M) {
	if where := os.Getenv("BUGLE_HOOKS_SERVER"); where != "" {
		os.Exit(serverMain(where))
	}
	goleak.VerifyTestMain(pgtest.M{M: m})
}
