package event_test

import (
	"flag"
	"os"
	"testing"

	"go.uber.org/goleak"

	"bugle/internal/store/pgtest"
)

// TestMain: with BUGLE_EVENT_WRITER the test binary is a server that is going to be killed.
func TestMain(m *testing.M) {
	if where := os.Getenv("BUGLE_EVENT_WRITER"); where != "" {
		os.Exit(writerMain(where))
	}
	_ = flag.Set("rapid.checks", "8") // each has a database of its own; the command line may ask for more
	goleak.VerifyTestMain(pgtest.M{M: m})
}
