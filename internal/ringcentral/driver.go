package ringcentral

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"bugle"
	"bugle/internal/contact"
	"bugle/internal/store"
)

// HookKind is the kind of the endpoints of webhook subscriptions, whose ids are the subscriptions'.
const HookKind = "ringcentral"

const (
	batch       = 100 // contacts of one notification
	behindPage  = 100 // subscriptions that are brought up to date in one transaction
	eventsPage  = 1000
	lookPause   = time.Second // between two looks that no nudge asked for
	keepExpired = 24 * time.Hour
)

// drive turns what happened in directories into stored deliveries. Any number of nodes may do it at once: a cursor is moved by
// one of them, in the transaction that stores what it was moved over.
func (s *Server) drive() {
	nudge, stop := s.opts.Contacts.Subscribe()
	defer stop()
	look := time.NewTicker(lookPause)
	defer look.Stop()
	swept := time.Time{}
	for timed := true; ; { // what time brings about is not looked for at each of many changes
		now := s.opts.Now()
		if err := s.follow(s.ctx); err != nil && s.ctx.Err() == nil && bugle.KindOf(err) != bugle.KindUnavailable {
			s.opts.Log.Error("ringcentral: subscriptions were not brought up to date", "error", err)
		}
		if timed {
			if err := s.remind(s.ctx, now); err != nil && s.ctx.Err() == nil {
				s.opts.Log.Warn("ringcentral: reminders were not sent", "error", err)
			}
		}
		if now.Sub(swept) >= time.Minute {
			if swept = now; s.sweepExpired(now) != nil && s.ctx.Err() == nil {
				s.opts.Log.Warn("ringcentral: expired subscriptions stay for now")
			}
		}
		select {
		case <-s.ctx.Done():
			return
		case <-nudge:
			timed = false
		case <-look.C:
			timed = true
		}
	}
}

// follow brings the webhook subscriptions up to date that are behind.
func (s *Server) follow(ctx context.Context) error {
	after := ""
	for {
		list, err := s.opts.Store.SubscriptionsBehind(ctx, webHook, s.opts.Now(), after, behindPage)
		if err != nil {
			return err
		}
		if err := s.advance(ctx, list); err != nil {
			return err
		}
		if len(list) < behindPage {
			return nil
		}
		after = list[len(list)-1].ID
	}
}

// step is what one subscription is told, and where its cursor is then.
type step struct {
	u     store.Subscription
	to    int64
	tells []store.HookDelivery
}

func (s *Server) advance(ctx context.Context, list []store.Subscription) error {
	type place struct {
		account string
		cursor  int64
	}
	read := map[place][]contact.Event{} // many subscriptions of an account stand at the same place
	readers := map[string]bool{}        // apps that may read directories
	for len(list) > 0 {
		var steps []step
		var behind []store.Subscription
		for _, u := range list {
			at := place{u.AccountID, u.Cursor}
			events, known := read[at]
			if !known {
				var err error
				if events, err = s.opts.Contacts.Events(ctx, u.AccountID, u.Cursor, eventsPage); errors.Is(err, contact.ErrGone) {
					if events, err = s.skip(ctx, &u); err != nil {
						return err
					}
				}
				if err != nil {
					return err
				}
				read[at] = events
			}
			if len(events) == 0 {
				continue
			}
			st := step{u: u, to: events[len(events)-1].Cursor}
			may, err := s.mayBeTold(ctx, u.AppID, readers)
			if err == nil && may {
				st.tells, err = s.notifications(ctx, &u, events)
			}
			if err != nil {
				return err
			}
			steps = append(steps, st)
			if u.Cursor = st.to; len(events) == eventsPage {
				behind = append(behind, u)
			}
		}
		if len(steps) == 0 {
			return nil
		}
		err := s.opts.Store.Write(ctx, func(tx *store.Tx) error {
			for i := range steps {
				moved, err := tx.MoveSubscription(steps[i].u.ID, steps[i].u.Cursor, steps[i].to)
				if err == nil && moved { // else another node was first
					err = tx.Enqueue(steps[i].tells...)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		list = behind
	}
	return nil
}

// mayBeTold reports whether an app has the permission to read directories now; what happens while it has not, it is not told later. One
// that is gone or disabled is judged when it is delivered to. known is what was found out before.
func (s *Server) mayBeTold(ctx context.Context, appID string, known map[string]bool) (bool, error) {
	if may, is := known[appID]; appID == "" || is {
		return may || appID == "", nil
	}
	app, err := s.opts.People.App(ctx, appID)
	if err != nil && !unauthorized(err) {
		return false, err
	}
	known[appID] = err != nil || slices.Contains(app.Permissions, permReadAccounts)
	return known[appID], nil
}

// skip moves a subscription over events that are not kept any more: it was behind for longer than they are.
func (s *Server) skip(ctx context.Context, u *store.Subscription) ([]contact.Event, error) {
	cursor, _, err := s.opts.Contacts.State(ctx, u.AccountID)
	if err != nil {
		return nil, err
	}
	s.opts.Log.Error("ringcentral: events that a subscription waited for are not kept any more", "subscription", u.ID, "account", u.AccountID,
		"from", u.Cursor, "to", cursor)
	return nil, s.opts.Store.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.MoveSubscription(u.ID, u.Cursor, cursor)
		return err
	})
}

// notice is a notification as clients read it.
type notice struct {
	UUID           string `json:"uuid"`
	Event          string `json:"event"`
	Timestamp      string `json:"timestamp"`
	SubscriptionID string `json:"subscriptionId"`
	OwnerID        string `json:"ownerId"`
	Body           any    `json:"body"`
}

// batches parts events into those of one notification each: no more than a hundred, and no contact twice.
func batches(events []contact.Event) [][]contact.Event {
	var out [][]contact.Event
	first, in := 0, map[string]bool{}
	for i := range events {
		if id := events[i].Contact.ID; in[id] || i-first == batch {
			out = append(out, events[first:i])
			first, in = i, map[string]bool{}
		}
		in[events[i].Contact.ID] = true
	}
	return append(out, events[first:])
}

// told are the events of one notification as its body.
func (s *Server) told(events []contact.Event, t *terms) map[string]any {
	base := cmp.Or(s.opts.PublicURL, t.Base)

	list := make([]map[string]any, len(events))
	for i := range events {
		e := &events[i]
		list[i] = snapshot(&e.Contact, base)
		list[i]["eventType"] = string(e.Kind)
		if !t.IncludeChanges || e.Kind != contact.Update {
			continue
		}
		list[i]["changedFields"] = e.Changed
		if e.Previous != nil {
			before, previous := snapshot(e.Previous, base), map[string]any{}
			for _, field := range e.Changed {
				previous[field] = before[field] // null for what was not there
			}
			list[i]["previous"] = previous
		}
	}
	return map[string]any{"contacts": list}
}

func (s *Server) notifications(ctx context.Context, u *store.Subscription, events []contact.Event) ([]store.HookDelivery, error) {
	t, err := termsOf(u)
	if err != nil {
		return nil, err
	}
	owner, err := s.extensionID(ctx, u.AccountID, u.UserID)
	if err != nil {
		return nil, err
	}
	var out []store.HookDelivery
	for _, part := range batches(events) {
		keys := make([]string, len(part))
		for i := range part {
			keys[i] = part[i].Contact.ID
		}
		d, err := s.delivery(u, &t, notice{Event: t.Directory, OwnerID: owner, Body: s.told(part, &t)})
		if err != nil {
			return nil, err
		}
		d.Keys = keys
		out = append(out, d)
	}
	return out, nil
}

// delivery is a notification whose bytes and id are the same at every attempt from now on.
func (s *Server) delivery(u *store.Subscription, t *terms, n notice) (store.HookDelivery, error) {
	n.UUID, n.Timestamp, n.SubscriptionID = uuid(), stamp(s.opts.Now()), u.ID
	body, err := json.Marshal(n)
	return store.HookDelivery{ID: n.UUID, Endpoint: u.ID, Kind: HookKind, AccountID: u.AccountID, Event: n.Event, Method: "POST", URL: t.Address, Body: body,
		Header: [][2]string{{"Content-Type", "application/json; charset=UTF-8"}, {"Accept", "application/json"}, {"Accept-Encoding", "UTF-8"},
			{"User-Agent", userAgent}}}, err
}

// remind tells owners whose subscriptions are about to expire.
func (s *Server) remind(ctx context.Context, now time.Time) error {
	list, err := s.opts.Store.SubscriptionsDue(ctx, now, behindPage)
	if err != nil {
		return err
	}
	for i := range list {
		u := &list[i]
		t, err := termsOf(u)
		if err != nil {
			return err
		}
		owner, err := s.extensionID(ctx, u.AccountID, u.UserID)
		if err != nil {
			return err
		}
		next := now.Add(time.Duration(t.Interval) * time.Second)
		if t.Interval == 0 || !next.Before(u.Expires) {
			next = time.Time{}
		}
		d, err := s.delivery(u, &t, notice{Event: t.Reminder, OwnerID: owner, Body: map[string]any{"expiresIn": left(u.Expires, now)}})
		if err != nil {
			return err
		}
		err = s.opts.Store.Write(ctx, func(tx *store.Tx) error {
			moved, err := tx.RemindSubscription(u.ID, u.Remind, next)
			if err == nil && moved && u.Expires.After(now) && t.Interval > 0 {
				err = tx.Enqueue(d)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// sweepExpired removes what expired a day ago: until then who asks is told that it has expired.
func (s *Server) sweepExpired(now time.Time) error {
	list, err := s.opts.Store.SubscriptionsExpired(s.ctx, now.Add(-keepExpired), eventsPage)
	for i := range list {
		if err == nil {
			err = s.remove(s.ctx, &list[i])
		}
	}
	return err
}

// What Receiver and Probe return for a subscription that nothing is delivered to.
var (
	ErrGone = errors.New("the subscription is gone")      // what waits is dropped
	ErrOff  = errors.New("its owner may not have it now") // what waits is given up, and may be sent again
)

// Receiver is what goes with each attempt of a subscription's deliveries: headers, and the keys that sign it.
func (s *Server) Receiver(ctx context.Context, subscriptionID string) (header [][2]string, secrets [][]byte, err error) {
	u, t, err := s.alive(ctx, subscriptionID)
	if err != nil {
		return nil, nil, err
	}
	if t.Verification != "" {
		token, err := s.opts.Sealer.Open(t.Verification, u.ID, "verification")
		if err != nil {
			return nil, nil, err
		}
		header = append(header, [2]string{"Verification-Token", token})
	}
	sealed := []string{t.Secret}
	if t.Former != "" && s.opts.Now().Before(t.FormerUntil) {
		sealed = append(sealed, t.Former)
	}
	for _, text := range sealed {
		shown, err := s.opts.Sealer.Open(text, u.ID, "secret")
		if err != nil {
			return nil, nil, err
		}
		secret, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(shown, "whsec_"))
		if err != nil {
			return nil, nil, err
		}
		secrets = append(secrets, secret)
	}
	return header, secrets, nil
}

// alive returns a subscription that may be delivered to now.
func (s *Server) alive(ctx context.Context, id string) (u store.Subscription, t terms, err error) {
	u, err = s.opts.Store.Subscription(ctx, id)
	if err != nil && bugle.KindOf(err) == bugle.KindNotFound || err == nil && !u.Expires.After(s.opts.Now()) {
		return u, t, ErrGone
	}
	if err != nil {
		return u, t, err
	}
	if _, err = s.opts.People.Person(ctx, u.AccountID, u.UserID); err == nil && u.AppID != "" {
		var app App
		if app, err = s.opts.People.App(ctx, u.AppID); err == nil && !slices.Contains(app.Permissions, permWebhook) {
			return u, t, ErrOff
		}
	}
	if unauthorized(err) {
		return u, t, ErrOff
	}
	if err == nil {
		t, err = termsOf(&u)
	}
	return u, t, err
}

// Probe asks a receiver that failed for a long time whether it is well, by the handshake.
func (s *Server) Probe(ctx context.Context, subscriptionID string) error {
	u, t, err := s.alive(ctx, subscriptionID)
	if err != nil {
		return err
	}
	token := ""
	if t.Verification != "" {
		if token, err = s.opts.Sealer.Open(t.Verification, u.ID, "verification"); err != nil {
			return err
		}
	}
	return s.handshake(ctx, t.Address, token)
}
