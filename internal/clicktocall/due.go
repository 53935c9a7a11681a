package clicktocall

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"bugle"
	"bugle/internal/store"
)

const (
	tryAgainAfter = 15 * time.Second // when no call is taken, or the documents cannot be read
	giveUpAfter   = 24 * time.Hour   // after the time that was asked for
	tooLate       = time.Hour        // after it was due, when no server was there: nobody waits for it any more
)

// due makes the calls that were scheduled and are due.
func (s *Service) due(ctx context.Context, now time.Time) {
	for {
		rows, err := s.o.Store.ClaimAttempts(ctx, s.node, string(Starting), now, now.Add(leaseTime), claimAtOnce)
		if err != nil {
			if ctx.Err() == nil {
				s.o.Log.Warn("scheduled attempts wait", "error", err)
			}
			return
		}
		for i := range rows {
			h := hold(rows[i])
			s.keepAlways(h)
			s.guarded(func() { s.makeDue(context.WithoutCancel(ctx), h, now) })
		}
		if len(rows) < claimAtOnce {
			return
		}
	}
}

// makeDue judges a scheduled attempt again, since rules and hours may have changed, and makes its call.
func (s *Service) makeDue(ctx context.Context, h *held, now time.Time) {
	row, _ := h.look()
	var a asked
	if err := json.Unmarshal(row.Request, &a); err != nil {
		s.end(h, now, CauseLost)
		return
	}
	if now.Sub(row.Due) > tooLate {
		s.end(h, now, CauseTooLate)
		return
	}
	account, err := s.o.Documents.Account(ctx, row.AccountID)
	var endpoint bugle.ClickToCall
	if err == nil {
		endpoint, err = s.o.Documents.ClickToCall(ctx, row.AccountID, row.EndpointID)
	}
	if err != nil {
		if bugle.KindOf(err) == bugle.KindNotFound {
			s.end(h, now, CauseDeleted)
			return
		}
		s.postpone(h, &a, now, now.Add(tryAgainAfter))
		return
	}
	r := Request{Account: account, Endpoint: endpoint, Contact: a.Contact}
	judged := store.AttemptRow{Created: now}
	contact, err := s.judge(ctx, &r, &judged, a.Stranger)
	var refusal *Refusal
	switch {
	case errors.As(err, &refusal) && refusal.Reason == ReasonQuiet:
		s.postpone(h, &a, now, refusal.Until)
		return
	case errors.As(err, &refusal):
		s.change(h, Refused, now, func(row *store.AttemptRow) { row.Reason, row.Cause = string(refusal.Reason), refusal.Message })
		return
	case err != nil:
		s.postpone(h, &a, now, now.Add(tryAgainAfter))
		return
	}
	wait, err := s.o.Store.TakeThrottle(ctx, row.EndpointID, now, time.Duration(endpoint.Throttle)*time.Second)
	switch {
	case err != nil:
		s.postpone(h, &a, now, now.Add(tryAgainAfter))
		return
	case wait > 0:
		s.postpone(h, &a, now, now.Add(wait))
		return
	}
	callID := newCallID(row.EndpointID)
	h.mu.Lock()
	h.row.CallID, h.row.Started = callID, now
	h.mu.Unlock()
	s.change(h, Starting, now, nil)
	if err := s.begin(h, origination(&account, &endpoint, &contact, judged.Contact, callID, &a)); err != nil {
		if undo := s.o.Store.UnplaceAttempt(ctx, row.EndpointID, "", now); undo != nil {
			s.o.Log.Warn("the throttle of an endpoint was not given back", "endpoint", row.EndpointID, "error", undo)
		}
		s.postpone(h, &a, now, now.Add(tryAgainAfter))
	}
}

// postpone schedules an attempt anew, unless it has been put off for too long.
func (s *Service) postpone(h *held, a *asked, now, until time.Time) {
	if now.Sub(a.At) > giveUpAfter {
		s.end(h, now, string(ReasonCapacity))
		return
	}
	s.change(h, Scheduled, now, func(row *store.AttemptRow) {
		row.Due, row.CallID, row.Started = until.UTC().Truncate(time.Microsecond), "", time.Time{}
	})
}
