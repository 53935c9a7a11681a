package main

import (
	"cmp"
	"context"
	"log/slog"
	"strconv"
	"time"

	"bugle"
	"bugle/internal/call"
	"bugle/internal/clicktocall"
	"bugle/internal/crossbar"
	"bugle/internal/egress"
	"bugle/internal/event/kazoo"
	"bugle/internal/event/webhook"
	"bugle/internal/ringcentral"
	"bugle/internal/store"
)

const (
	keepDeliveries  = 35 * 24 * time.Hour // what was delivered, given up or dropped, and its attempts
	sweepDeliveries = time.Hour
)

// beforeDeliveries, when set, alters how deliveries are made: tests have days pass in seconds. It is set before the program runs.
var beforeDeliveries func(o *webhook.Options)

// openWebhooks begins to tell webhooks of changes and calls, and to deliver what waits.
func (v *server) openWebhooks(ctx context.Context, cache *store.Cache, guard *egress.Guard) (err error) {
	v.hooks, err = kazoo.Start(ctx, kazoo.Options{Store: v.store, Documents: cache, Disable: v.disableWebhook,
		Ancestor: crossbar.IndexAncestor, Cluster: v.node, Log: v.log, OnPanic: v.meters.onPanic("webhooks")})
	if err != nil {
		return err
	}
	v.closing(func(context.Context) { v.hooks.Close() })
	v.sender = webhook.NewSender(guard, nil, nil)
	options := webhook.Options{Store: v.store, Send: v.sender, Alone: v.place.Store == "", Log: v.log,
		Meter: v.meters, OnPanic: v.meters.onPanic("webhooks"),
		Kinds: map[string]webhook.Kind{kazoo.Kind: {Policy: webhook.Kazoo(), Owner: v.hooks},
			ringcentral.HookKind: {Policy: webhook.RingCentral(), Owner: subscriptions{&v.edge}}}}
	if beforeDeliveries != nil {
		beforeDeliveries(&options)
	}
	if v.deliverer, err = webhook.Start(ctx, options); err != nil {
		return err
	}
	v.closing(func(ctx context.Context) {
		v.deliverer.Close(ctx)
		v.sender.Close()
	})
	v.background(func(ctx context.Context) { sweepHooks(ctx, v.store, v.log) })
	return nil
}

// disableWebhook is kazoo.Options.Disable: webhooks are told of before the API is open.
func (v *server) disableWebhook(ctx context.Context, accountID, id, reason string) error {
	api := v.crossbar.Load()
	if api == nil {
		return &bugle.Error{Op: "webhooks.disable", Kind: bugle.KindUnavailable, Message: "the API is not open yet"}
	}
	return api.DisableWebhook(ctx, accountID, id, reason)
}

// attemptMoved tells webhooks of the states of an attempt that they know; who was refused or gave up before its time has
// called nobody.
func (v *server) attemptMoved(e clicktocall.Event) {
	state, known := map[clicktocall.State]string{clicktocall.Ringing: "ringing", clicktocall.Answered: "answered",
		clicktocall.Bridged: "bridged", clicktocall.Ended: "ended", clicktocall.Unanswered: "ended"}[e.State]
	if known {
		v.hooks.Attempt(kazoo.Attempt{ID: e.AttemptID, AccountID: e.AccountID, Endpoint: e.EndpointID, Contact: e.Contact,
			CallID: e.CallID, State: state, Cause: e.Cause, At: e.At})
	}
}

func sweepHooks(ctx context.Context, s *store.Store, log *slog.Logger) {
	tick := time.NewTicker(sweepDeliveries)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if n, err := s.SweepHooks(ctx, time.Now().Add(-keepDeliveries)); err != nil {
			log.Warn("old deliveries of webhooks could not be removed", "error", err)
		} else if n > 0 {
			log.Info("old deliveries of webhooks removed", "count", n)
		}
	}
}

// Attempt is webhook.Meter's.
func (m *meters) Attempt(kind, outcome string, took time.Duration) {
	m.hooks.WithLabelValues(kind, outcome).Inc()
	m.hookTime.Observe(took.Seconds())
}

// Transition is webhook.Meter's.
func (m *meters) Transition(kind string, t webhook.Transition) {
	m.hookMoves.WithLabelValues(kind, string(t)).Inc()
}

// channelEvents are KAZOO's names of a leg's moments.
var channelEvents = map[call.Moment]string{call.LegCreated: kazoo.EventCreate, call.LegAnswered: kazoo.EventAnswer,
	call.LegBridged: kazoo.EventBridge, call.LegHeld: kazoo.EventHold, call.LegResumed: kazoo.EventResume, call.LegDestroyed: kazoo.EventDestroy,
	call.LegParked: kazoo.EventParked, call.LegRetrieved: kazoo.EventRetrieved, call.LegAbandoned: kazoo.EventAbandoned}

// legMoved tells webhooks and WebSockets of a leg. It runs on the call's loop and does not block.
func (v *server) legMoved(r call.LegReport) {
	if !v.hooks.Listens() && !v.sockets.Listens(r.Call.AccountID) {
		return
	}
	event, known := channelEvents[r.Moment]
	if !known {
		return
	}
	about, leg := &r.Call, &r.Leg
	c := kazoo.Channel{Event: event, AccountID: about.AccountID, At: r.At, CallID: leg.ID, OtherLeg: r.Other.ID, AuthorizingID: leg.DeviceID,
		OwnerID: leg.UserID, Direction: "outbound", CallerName: about.Caller.Name, CallerNumber: about.Caller.Number,
		CalleeName: leg.Name, CalleeNumber: leg.Number, Internal: r.Internal, Created: leg.Started,
		OriginalNumber: about.Dialed, OtherLegNumber: r.Other.Number}
	if leg.Inbound && about.Origin == nil {
		c.Direction = "inbound"
	}
	if leg.Inbound { // the caller: who is called is known once somebody has answered
		c.CalleeName, c.CalleeNumber = r.Other.Name, cmp.Or(r.Other.Number, r.Number, about.Dialed)
	}
	if leg.DeviceID != "" {
		c.AuthorizingType = "device"
	}
	if o := about.Origin; o != nil {
		c.Variables = o.Variables
		if leg.DeviceID == "" {
			c.AuthorizingID, c.AuthorizingType = o.ID, o.Type
		}
	}
	at := func(user string) string {
		if user == "" || about.Realm == "" {
			return user
		}
		return user + "@" + about.Realm
	}
	c.From, c.To, c.Request = at(c.CallerNumber), at(about.Dialed), at(about.Dialed)
	if r.Moment == call.LegDestroyed {
		c.HangupCause, c.HangupCode = string(r.Cause), "sip:"+strconv.Itoa(r.Cause.Status())
		c.Duration = r.At.Sub(leg.Started)
		c.Ringing = c.Duration
		if !r.Answered.IsZero() {
			c.Billing, c.Ringing = r.At.Sub(r.Answered), r.Answered.Sub(leg.Started)
		}
	}
	c.Slot = r.Slot
	v.channelMoved(c)
}
