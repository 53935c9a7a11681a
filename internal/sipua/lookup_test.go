package sipua

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestALookupEndsWithItsRequestOrInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx := &lookup{}
		if ctx.Err() != nil || ctx.inner != nil {
			t.Error("a timer runs before anybody waits")
		}
		child, cancel := context.WithTimeout(ctx, time.Hour)
		defer cancel()
		begin := time.Now()
		<-child.Done()
		if waited := time.Since(begin); waited != lookupTimeout || !errors.Is(child.Err(), context.DeadlineExceeded) ||
			!errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Errorf("%v after %v, %v", child.Err(), waited, ctx.Err())
		}
		ctx.end()

		ctx = &lookup{}
		child, cancel = context.WithCancel(ctx)
		defer cancel()
		ctx.end()
		<-child.Done()
		if !errors.Is(ctx.Err(), context.Canceled) {
			t.Errorf("ended: %v", ctx.Err())
		}

		ctx = &lookup{}
		ctx.end() // as most do
		ctx.end()
		<-ctx.Done()
		if !errors.Is(ctx.Err(), context.Canceled) {
			t.Errorf("ended before anybody waited: %v", ctx.Err())
		}
	})
}
