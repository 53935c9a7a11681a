package socket_test

import (
	"testing"

	"go.uber.org/goleak"

	"bugle/internal/store/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.M{M: m}) }
