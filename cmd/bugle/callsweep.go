package main

import (
	"context"
	"log/slog"
	"time"

	"bugle/internal/store"
)

const sweepCallsEvery = time.Hour

// sweepCalls removes, at once and then now and then until ctx ends, the records of calls that began longer ago than keep.
func sweepCalls(ctx context.Context, s *store.Store, keep time.Duration, log *slog.Logger) {
	ticker := time.NewTicker(sweepCallsEvery)
	defer ticker.Stop()
	for {
		removed, err := s.SweepCalls(ctx, time.Now().Add(-keep))
		if err != nil && ctx.Err() == nil {
			log.Warn("old records of calls stayed", "error", err)
		} else if removed > 0 {
			log.Info("old records of calls were removed", "count", removed)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
