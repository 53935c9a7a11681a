package crossbar_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"

	"bugle/internal/store/pgtest"
)

func TestMain(m *testing.M) {
	// Each check of a property here writes to a database several times; -rapid.checks asks for more.
	if err := flag.Set("rapid.checks", "15"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(pgtest.M{M: m})
}
