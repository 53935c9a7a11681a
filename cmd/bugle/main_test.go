package main

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"bugle/internal/store/pgtest"
)

// beBugle makes the test binary the program itself, so that tests run it as its user does, with arguments, an
// environment, signals and an exit status.
const beBugle = "TEST_BE_BUGLE"

func TestMain(m *testing.M) {
	if os.Getenv(beBugle) != "" {
		os.Exit(run(os.Args[1:]))
	}
	goleak.VerifyTestMain(pgtest.M{M: m})
}
