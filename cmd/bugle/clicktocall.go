package main

import (
	"context"
	"errors"
	"log/slog"
	"time"
	_ "time/tzdata" // quiet hours have time zones, and not every machine knows them

	"bugle"
	"bugle/internal/callflow"
	"bugle/internal/clicktocall"
	"bugle/internal/crossbar"
	"bugle/internal/egress"
	"bugle/internal/store"
)

// ClickToCall is clicktocall.Documents'.
func (d *documents) ClickToCall(ctx context.Context, accountID, id string) (bugle.ClickToCall, error) {
	doc, err := d.cache.Get(ctx, accountID, crossbar.TypeClickToCall, id)
	return view(d.cache, doc, err, bugle.ParseClickToCall)
}

// originator is the engine as clicktocall asks it.
type originator struct{ *callflow.Engine }

func (o originator) Originate(order callflow.Origination, on func(callflow.OriginationEvent)) (clicktocall.Call, error) {
	begun, err := o.Engine.Originate(order, on)
	if err != nil {
		return nil, err
	}
	return begun, nil
}

// openClickToCall starts the policy of calls that are asked for. It closes before the calls do: what becomes of them is
// written until the store closes.
func (v *server) openClickToCall(guard *egress.Guard) *clicktocall.Service {
	service := clicktocall.New(clicktocall.Options{Store: v.store, Documents: v.documents, DialPlan: v.flows, Originator: originator{v.flows},
		Egress: guard, Limits: v.api.connects, Notify: v.attemptMoved, Log: v.log, OnPanic: v.meters.onPanic("clicktocall")})
	v.closing(func(context.Context) { service.Close() })
	v.background(func(ctx context.Context) { sweepAttempts(ctx, v.store, v.keepCalls, v.log) })
	return service
}

// sweepAttempts removes, at once and then now and then until ctx ends, attempts of click-to-call that were made longer ago
// than keep.
func sweepAttempts(ctx context.Context, s *store.Store, keep time.Duration, log *slog.Logger) {
	ticker := time.NewTicker(sweepCallsEvery)
	defer ticker.Stop()
	for {
		now := time.Now()
		removed, err := s.SweepAttempts(ctx, now.Add(-keep), now)
		if err != nil && !errors.Is(err, context.Canceled) {
			log.Warn("old attempts of click-to-call stayed", "error", err)
		} else if removed > 0 {
			log.Info("old attempts of click-to-call were removed", "count", removed)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
