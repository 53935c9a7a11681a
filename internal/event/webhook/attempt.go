package webhook

import (
	"context"
	"errors"
	"net/http"
	"time"

	"bugle/internal/store"
)

// keptAnswer is how many bytes of an answer the log of attempts keeps.
const keptAnswer = 1024

// outcome is what one attempt came to.
type outcome struct {
	at     time.Time
	target Target
	answer Answer
	err    error // no attempt was made
}

// attempt runs outside of the loop.
func (e *Engine) attempt(ctx context.Context, q *queue, it *item, endpoint store.HookEndpoint, d store.HookDelivery) {
	o := outcome{err: errPanic}
	defer func() {
		if v := recover(); v != nil {
			e.opts.OnPanic(v)
		}
		e.post(func() { e.arrived(ctx, q, it, o) })
	}()
	o = e.try(ctx, q.kind, endpoint, d)
}

var errPanic = errors.New("the owner panicked")

func (e *Engine) try(ctx context.Context, kind Kind, endpoint store.HookEndpoint, d store.HookDelivery) (o outcome) {
	if o.target, o.err = kind.Owner.Target(ctx, endpoint); o.err != nil {
		return o
	}
	if d.Body == nil {
		stored, err := e.opts.Store.GetDelivery(ctx, d.AccountID, d.ID)
		if err != nil {
			o.err = err
			return o
		}
		d.Body = stored.Body
	}
	o.at = time.Now()
	header := append(d.Header[:len(d.Header):len(d.Header)], o.target.Header...)
	if len(o.target.Secrets) > 0 {
		header = append(header, Sign(d.ID, o.at, d.Body, o.target.Secrets...)...)
	}
	limited, cancel := context.WithTimeout(ctx, kind.Policy.Timeout)
	defer cancel()
	o.answer = e.opts.Send.Send(limited, Request{Method: d.Method, URL: d.URL, Header: header, Body: d.Body, Plain: kind.Policy.Plain})
	if o.answer.Status == 0 && ctx.Err() != nil {
		o.err = ctx.Err() // the program ends: that is not the receiver's failure
	}
	return o
}

// arrived takes an outcome into the loop.
func (e *Engine) arrived(ctx context.Context, q *queue, it *item, o outcome) {
	e.flying--
	switch {
	case q.lost:
		q.land(it)
		return
	case errors.Is(o.err, ErrGone):
		q.land(it)
		e.gone(ctx, q)
		return
	case errors.Is(o.err, ErrOff):
		it.State, it.Finished, it.Reason = store.HookDead, time.Now(), o.err.Error()
		e.save(q, it, nil)
		q.land(it)
		e.done(q, it)
	case o.err != nil:
		if ctx.Err() == nil {
			e.opts.Log.Warn("webhooks: an attempt was put off", "delivery", it.ID, "endpoint", it.Endpoint, "error", o.err)
		}
		it.Due = time.Now().Add(postponed)
		q.land(it)
	default:
		a := e.judge(ctx, q, it, o)
		e.save(q, it, a)
		q.land(it)
		if it.State != store.HookWaiting {
			e.done(q, it)
		}
	}
	e.refill(ctx, q)
	e.schedule(q)
}

// done takes a delivery that has ended out of the queue.
func (e *Engine) done(q *queue, it *item) {
	q.remove(it)
	e.bytes -= len(it.Body)
	if it.Queued >= e.queued {
		e.passed[it.ID] = it.Queued
	}
}

// judge says what an attempt means for its delivery and its endpoint.
func (e *Engine) judge(ctx context.Context, q *queue, it *item, o outcome) *store.HookAttempt {
	p, now := q.kind.Policy, time.Now()
	it.Attempts, it.Tries, it.Status = it.Attempts+1, it.Tries+1, o.answer.Status
	if it.Began.IsZero() {
		it.Began = o.at
	}
	a := &store.HookAttempt{Delivery: it.ID, Number: it.Attempts, Endpoint: it.Endpoint, AccountID: it.AccountID, At: o.at,
		Took: o.answer.Took, Status: o.answer.Status, Answer: o.answer.Body[:min(len(o.answer.Body), keptAnswer)]}
	if o.answer.Status != 0 && p.Success(it.Method, o.answer.Status) {
		a.Success = true
		it.State, it.Finished, it.Reason = store.HookDelivered, now, ""
		q.failures = nil
		e.count(q, "delivered", o.answer.Took)
		e.well(ctx, q, now)
		return a
	}
	if a.Error = o.answer.Reason; a.Error == "" {
		a.Error = answered(o.answer.Status)
	}
	e.opts.Log.Info("webhooks: an attempt failed", "delivery", it.ID, "endpoint", it.Endpoint, "account", it.AccountID,
		"attempt", it.Attempts, "reason", a.Error, "error", o.answer.Err)
	it.Reason, q.endpoint.Reason = a.Error, a.Error
	if q.endpoint.Failing.IsZero() {
		q.endpoint.Failing = o.at
	}
	pause, again := p.Again(o.target, it.Tries, o.answer)
	it.Due = o.at.Add(jittered(pause, p.Jitter))
	if wait := retryAfter(o.answer, now, p.MaxRetryAfter); wait > 0 {
		q.hold = now.Add(wait)
		if again && q.hold.After(it.Due) {
			it.Due = q.hold
		}
	}
	if end := it.Began.Add(p.GiveUp); p.GiveUp > 0 && it.Due.After(end) {
		it.Due, again = end, again && o.at.Before(end)
	}
	if !again {
		it.State, it.Finished = store.HookDead, now
		e.count(q, "dead", o.answer.Took)
	} else {
		a.RetryAt = it.Due
		e.count(q, "failed", o.answer.Took)
	}
	e.endure(ctx, q, o, now)
	return a
}

// endure draws the consequences of a failure for the endpoint.
func (e *Engine) endure(ctx context.Context, q *queue, o outcome, now time.Time) {
	p := q.kind.Policy
	gone := o.answer.Status == http.StatusGone // Standard Webhooks 1.0.0: send no more
	if gone && p.BlacklistAfter == 0 {
		e.tell(ctx, q, GoneAway)
	}
	if p.BlacklistAfter > 0 && q.endpoint.Blacklisted.IsZero() && (gone || now.Sub(q.endpoint.Failing) >= p.BlacklistAfter) {
		q.endpoint.Blacklisted = now
		q.probeAt = now.Add(p.ProbeEvery)
		e.tell(ctx, q, Blacklisted)
	}
	if p.DisableFailures > 0 {
		q.failures = append(q.failures, now)
		if extra := len(q.failures) - p.DisableFailures; extra > 0 {
			q.failures = q.failures[extra:]
		}
		if len(q.failures) == p.DisableFailures && now.Sub(q.failures[0]) <= p.DisableWithin {
			q.failures = nil
			e.tell(ctx, q, Disabled)
		}
	}
}

func (e *Engine) count(q *queue, outcome string, took time.Duration) {
	if e.opts.Meter != nil {
		e.opts.Meter.Attempt(q.endpoint.Kind, outcome, took)
	}
}

func (e *Engine) tell(ctx context.Context, q *queue, t Transition) {
	if e.opts.Meter != nil {
		e.opts.Meter.Transition(q.endpoint.Kind, t)
	}
	endpoint, owner := q.endpoint, q.kind.Owner
	e.opts.Log.Warn("webhooks: "+string(t), "endpoint", endpoint.ID, "account", endpoint.AccountID, "reason", endpoint.Reason)
	e.wg.Go(func() {
		defer e.recovered()
		owner.Tell(ctx, endpoint, t)
	})
}

func (e *Engine) recovered() {
	if v := recover(); v != nil {
		e.opts.OnPanic(v)
	}
}

// save writes what became of a delivery; it is attempted again only when that is written. it is nil for the endpoint alone.
func (e *Engine) save(q *queue, it *item, a *store.HookAttempt) {
	r := &store.HookResult{Attempt: a, Endpoint: q.endpoint}
	if it != nil {
		r.Delivery = it.HookDelivery
		it.saving = true
	}
	q.saving++
	e.unsaved++
	e.submit(q, it, r)
}

func (e *Engine) submit(q *queue, it *item, r *store.HookResult) {
	e.opts.Store.SubmitHookResult(r, func(err error) { e.post(func() { e.saved(q, it, r, err) }) })
}

func (e *Engine) saved(q *queue, it *item, r *store.HookResult, err error) {
	if err != nil {
		e.opts.Log.Warn("webhooks: the result of an attempt is not written yet", "endpoint", q.endpoint.ID, "error", err)
		time.AfterFunc(postponed, func() {
			e.post(func() {
				r.Endpoint = q.endpoint
				e.submit(q, it, r)
			})
		})
		return
	}
	q.saving--
	e.unsaved--
	if r.Lost && !q.lost {
		e.opts.Log.Info("webhooks: another node delivers for an endpoint", "endpoint", q.endpoint.ID)
		e.lose(q)
	}
	if it != nil {
		it.saving = false
		if q.items[it.ID] == it {
			q.settle(it)
		}
	}
	e.schedule(q)
}

// lose forgets an endpoint; what is under way lands unseen.
func (e *Engine) lose(q *queue) {
	q.lost = true
	for _, it := range q.items {
		e.bytes -= len(it.Body)
	}
	delete(e.queues, q.endpoint.ID)
}

func (e *Engine) loseAll() {
	for _, q := range e.queues {
		e.lose(q)
	}
}

// gone ends an endpoint that its owner does not know any more.
func (e *Engine) gone(ctx context.Context, q *queue) {
	e.lose(q)
	endpoint := q.endpoint
	e.wg.Go(func() {
		err := e.opts.Store.Write(ctx, func(tx *store.Tx) error { return tx.DropHook(endpoint.AccountID, endpoint.ID) })
		if err != nil && ctx.Err() == nil {
			e.opts.Log.Warn("webhooks: what waits for an endpoint that is gone stays for now", "endpoint", endpoint.ID, "error", err)
		}
	})
}

// probe asks a blacklisted endpoint's owner whether it is well.
func (e *Engine) probe(ctx context.Context, q *queue) {
	q.probing = true
	endpoint, owner := q.endpoint, q.kind.Owner
	e.wg.Go(func() {
		err := errPanic
		defer func() {
			if v := recover(); v != nil {
				e.opts.OnPanic(v)
			}
			e.post(func() { e.probed(ctx, q, err) })
		}()
		err = owner.Probe(ctx, endpoint)
	})
}

func (e *Engine) probed(ctx context.Context, q *queue, err error) {
	q.probing = false
	now := time.Now()
	switch {
	case q.lost:
		return
	case errors.Is(err, ErrGone):
		e.gone(ctx, q)
		return
	case err != nil:
		q.probeAt = now.Add(q.kind.Policy.ProbeEvery)
		e.expire(ctx, q, now)
	default:
		e.well(ctx, q, now)
		e.save(q, nil, nil)
	}
	e.schedule(q)
}

// well: the receiver takes what it is sent. What waits for a blacklisted one is due.
func (e *Engine) well(ctx context.Context, q *queue, now time.Time) {
	blacklisted := !q.endpoint.Blacklisted.IsZero()
	q.endpoint.Blacklisted, q.endpoint.Failing, q.endpoint.Reason = time.Time{}, time.Time{}, ""
	if !blacklisted {
		return
	}
	q.hold = time.Time{}
	for _, it := range q.items {
		it.Due = now
		q.settle(it)
	}
	e.tell(ctx, q, Recovered)
}

// expire gives up what has waited for too long behind a blacklisted endpoint.
func (e *Engine) expire(ctx context.Context, q *queue, now time.Time) {
	for _, it := range q.items {
		began := it.Began
		if began.IsZero() {
			began = it.Created
		}
		if began.Before(q.endpoint.Resumed) {
			began = q.endpoint.Resumed
		}
		if q.kind.Policy.GiveUp > 0 && now.Sub(began) > q.kind.Policy.GiveUp {
			e.giveUp(q, it, now, it.Reason)
		}
	}
	e.refill(ctx, q)
}

// refill reads more of what waits when there is room, since what was given up leaves nothing behind that would ask for it.
func (e *Engine) refill(ctx context.Context, q *queue) {
	if len(q.items) < e.opts.Window/2 && !q.whole {
		e.load(ctx, q)
	}
}

// expirePaused gives up what has waited behind a pause for longer than anything is kept.
func (e *Engine) expirePaused(ctx context.Context, q *queue, now time.Time) {
	for _, it := range q.items {
		if now.Sub(it.Created) > KeepPaused {
			e.giveUp(q, it, now, "it waited for too long while the endpoint was paused")
		}
	}
	e.refill(ctx, q)
}

func (e *Engine) giveUp(q *queue, it *item, now time.Time, reason string) {
	if it.flying || it.saving {
		return
	}
	it.State, it.Finished, it.Reason = store.HookDead, now, reason
	e.save(q, it, nil)
	e.done(q, it)
}

// resume makes what waited behind a pause due, in a new round.
func (e *Engine) resume(q *queue, now time.Time) {
	q.failures = nil
	q.forgive()
	for _, it := range q.items {
		q.refresh(&it.HookDelivery)
		it.Due = now
		q.settle(it)
	}
}
