package ringcentral

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"bugle"
	"bugle/internal/store"
)

const (
	webHook   = "WebHook"
	webSocket = "WebSocket"

	defaultExpires = 7 * 24 * time.Hour
	maxExpires     = 315_360_000 * time.Second // what is asked beyond is cut
	mostAsked      = 630_720_000
	secretOverlap  = 24 * time.Hour
	userAgent      = "bugle-RingCentral-Webhook/8.3"
)

// terms are what is kept of a subscription beside its columns.
type terms struct {
	Filters        []string  `json:"filters"`
	Disabled       []string  `json:"disabled,omitempty"`
	Directory      string    `json:"directory,omitempty"` // the filter that its events name
	Reminder       string    `json:"reminder,omitempty"`
	Threshold      int64     `json:"threshold,omitempty"` // seconds
	Interval       int64     `json:"interval,omitempty"`
	ExpiresIn      int64     `json:"expires_in"` // its own lifetime in seconds
	Created        time.Time `json:"created"`
	Address        string    `json:"address,omitempty"`
	Verification   string    `json:"verification,omitempty"` // sealed, as the secrets
	Secret         string    `json:"secret,omitempty"`
	Former         string    `json:"former,omitempty"`
	FormerUntil    time.Time `json:"former_until,omitzero"`
	IncludeChanges bool      `json:"include_changes,omitempty"`
	Base           string    `json:"base,omitempty"` // what its owner called the server: links in events begin with it
}

func (t *terms) set(f filters) {
	t.Filters, t.Disabled, t.Directory = f.list, f.disabled, f.directory
	t.Reminder, t.Threshold, t.Interval = f.reminder, int64(f.threshold/time.Second), int64(f.interval/time.Second)
}

func (t *terms) life() time.Duration { return time.Duration(t.ExpiresIn) * time.Second }

// renew gives a subscription its lifetime anew.
func (t *terms) renew(u *store.Subscription, now time.Time) {
	if u.Transport == webSocket { // which lives as long as its socket
		return
	}
	u.Expires, u.Remind = now.Add(t.life()), time.Time{}
	if t.Interval > 0 {
		u.Remind = u.Expires.Add(-time.Duration(t.Threshold) * time.Second)
	}
}

func (t *terms) put(u *store.Subscription) (err error) {
	u.Body, err = json.Marshal(t)
	return err
}

func termsOf(u *store.Subscription) (t terms, err error) {
	err = json.Unmarshal(u.Body, &t)
	return t, err
}

// Terms are what a subscription asks for, without its secrets.
type Terms struct {
	Address           string // "" over WebSocket
	Filters, Disabled []string
	Created           time.Time
	IncludeChanges    bool
}

// Describe reads the terms of a subscription.
func Describe(u *store.Subscription) (Terms, error) {
	t, err := termsOf(u)
	return Terms{t.Address, t.Filters, t.Disabled, t.Created, t.IncludeChanges}, err
}

type subscriptionRequest struct {
	EventFilters   []string `json:"eventFilters"`
	ExpiresIn      *int64   `json:"expiresIn"`
	IncludeChanges *bool    `json:"includeChanges"`
	DeliveryMode   *struct {
		TransportType     string          `json:"transportType"`
		Address           string          `json:"address"`
		VerificationToken string          `json:"verificationToken"`
		Encryption        json.RawMessage `json:"encryption"`
	} `json:"deliveryMode"`
}

// life is how long it shall live, given how long it does when nothing is said.
func (r *subscriptionRequest) life(preset time.Duration) (time.Duration, error) {
	if r.ExpiresIn == nil {
		return preset, nil
	}
	if *r.ExpiresIn < 1 || *r.ExpiresIn > mostAsked {
		return 0, badParameter("expiresIn", *r.ExpiresIn, "it must be a number of seconds from 1 to 315360000")
	}
	return min(time.Duration(*r.ExpiresIn)*time.Second, maxExpires), nil
}

// transport judges how notifications shall come.
func (c *call) transport(r *subscriptionRequest) error {
	if r.DeliveryMode == nil {
		return badParameter("deliveryMode", nil, "it is required")
	}
	allowed := "it must be WebHook, or WebSocket over a socket"
	switch r.DeliveryMode.TransportType {
	case webHook:
		if !c.who.may(permWebhook) {
			return noPermission("CMN-401", permWebhook)
		}
		if token := r.DeliveryMode.VerificationToken; len(token) > 1024 || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return badParameter("deliveryMode.verificationToken", nil, "it has at most 1024 visible characters of ASCII")
		}
		return checkAddress(r.DeliveryMode.Address)
	case webSocket:
		if c.socket != nil {
			return nil // whoever has one may
		}
	}
	return badParameter("deliveryMode.transportType", clip(r.DeliveryMode.TransportType), allowed)
}

func (c *call) createSubscription() (*answer, error) {
	var r subscriptionRequest
	if err := c.object(&r, false); err != nil {
		return nil, err
	}
	if err := c.transport(&r); err != nil {
		return nil, err
	}
	f, err := c.readFilters(r.EventFilters)
	if err != nil {
		return nil, err
	}
	life, err := r.life(defaultExpires)
	if err != nil {
		return nil, err
	}
	if err := f.remindWithin(life); err != nil {
		return nil, err
	}
	now := c.server.opts.Now()
	t := terms{ExpiresIn: int64(life / time.Second), Created: now, IncludeChanges: r.IncludeChanges != nil && *r.IncludeChanges, Base: c.base()}
	t.set(f)
	u := store.Subscription{ID: uuid(), AccountID: c.who.AccountID, UserID: c.who.UserID, AppID: c.who.session.AppID, Transport: r.DeliveryMode.TransportType,
		Follows: f.follows()}
	// Before the handshake, which takes a while: what happens meanwhile is told.
	if u.Cursor, _, err = c.server.opts.Contacts.State(c.ctx, u.AccountID); err != nil {
		return nil, err
	}
	if u.Transport == webSocket {
		return c.socket.subscribe(c, u, t)
	}
	secret := ""
	if secret, t.Secret, err = c.server.newSigningSecret(u.ID); err != nil {
		return nil, err
	}
	t.Address = r.DeliveryMode.Address
	if token := r.DeliveryMode.VerificationToken; token != "" {
		if t.Verification, err = c.server.opts.Sealer.Seal(token, u.ID, "verification"); err != nil {
			return nil, err
		}
	}
	if err := c.within(u); err != nil {
		return nil, err
	}
	if err := c.server.handshake(c.ctx, t.Address, r.DeliveryMode.VerificationToken); err != nil {
		return nil, err
	}
	t.renew(&u, c.server.opts.Now())
	if err := t.put(&u); err != nil {
		return nil, err
	}
	err = c.server.opts.Store.Write(c.ctx, func(tx *store.Tx) error {
		if err := tx.AddSubscription(u); err != nil {
			return err
		}
		n, err := tx.CountSubscriptions(u.AccountID, u.UserID, u.AppID, now)
		if err == nil && n > c.server.opts.PerUser {
			err = c.tooManySubscriptions()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	c.server.opts.Log.Info("ringcentral: subscribed", "account", u.AccountID, "user", u.UserID, "app", u.AppID, "subscription", u.ID)
	shown, err := c.shown(&u, &t)
	if err != nil {
		return nil, err
	}
	shown["deliveryMode"].(map[string]any)["signingSecret"] = secret
	return ok(shown)
}

func (c *call) tooManySubscriptions() error {
	return &fault{status: http.StatusForbidden, code: "SUB-505", message: "Subscriptions limit exceeded", extra: map[string]any{"limit": c.server.opts.PerUser}}
}

// within refuses, before anything is sent, who has enough.
func (c *call) within(u store.Subscription) error {
	list, err := c.server.opts.Store.SubscriptionsOf(c.ctx, u.AccountID, u.UserID, u.AppID)
	n, now := 0, c.server.opts.Now()
	for i := range list {
		if list[i].Expires.After(now) {
			n++
		}
	}
	if err == nil && n >= c.server.opts.PerUser {
		err = c.tooManySubscriptions()
	}
	return err
}

// uuid returns a random id in the form of a UUID of version 4, RFC 9562 §5.4.
func uuid() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	const hex = "0123456789abcdef"
	out := make([]byte, 0, 36)
	for i, v := range b {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			out = append(out, '-')
		}
		out = append(out, hex[v>>4], hex[v&15])
	}
	return string(out)
}

// newSigningSecret is a secret of Standard Webhooks, as it is shown once and as it is kept.
func (s *Server) newSigningSecret(id string) (shown, sealed string, err error) {
	var b [32]byte
	rand.Read(b[:])
	shown = "whsec_" + base64.StdEncoding.EncodeToString(b[:])
	sealed, err = s.opts.Sealer.Seal(shown, id, "secret")
	return shown, sealed, err
}

// stamp is a time as RingCentral writes it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// left are the whole seconds that are left of a lifetime: at its beginning one less than it has.
func left(expires, now time.Time) int64 { return max(0, int64((expires.Sub(now)-1)/time.Second)) }

// shown is a subscription as clients read it.
func (c *call) shown(u *store.Subscription, t *terms) (map[string]any, error) {
	mode := map[string]any{"transportType": u.Transport, "encryption": false}
	if u.Transport == webHook {
		mode["address"] = t.Address
	}
	out := map[string]any{"uri": c.base() + "/restapi/v1.0/subscription/" + u.ID, "id": u.ID, "eventFilters": t.Filters, "creationTime": stamp(t.Created),
		"expirationTime": stamp(u.Expires), "expiresIn": left(u.Expires, c.server.opts.Now()), "status": "Active", "deliveryMode": mode}
	if t.IncludeChanges {
		out["includeChanges"] = true
	}
	disabled := []map[string]any{}
	filters := t.Disabled
	if t.Directory != "" && len(filters) == 0 && !c.who.may(permReadAccounts) { // taken away since
		filters = []string{t.Directory}
	}
	for _, filter := range filters {
		disabled = append(disabled, map[string]any{"filter": filter, "reason": "SUB-412", "message": "The application has no permission " + permReadAccounts})
	}
	if len(disabled) > 0 {
		out["disabledFilters"] = disabled
	}
	if u.Transport != webHook {
		return out, nil
	}
	state, err := c.server.opts.Store.GetHookEndpoint(c.ctx, u.AccountID, u.ID)
	switch {
	case err != nil && bugle.KindOf(err) == bugle.KindNotFound: // nothing was sent yet
		return out, nil
	case err != nil:
		return nil, err
	case !state.Paused.IsZero(): // by an administrator: nothing is sent, not even to ask a blacklisted receiver
		out["status"] = "Suspended"
	case !state.Blacklisted.IsZero():
		out["status"], out["blacklistedData"] = "Blacklisted", map[string]any{"blacklistedAt": stamp(state.Blacklisted), "reason": state.Reason}
	}
	return out, nil
}

// own returns a subscription of the caller.
func (c *call) own(id string) (u store.Subscription, t terms, err error) {
	u, err = c.server.opts.Store.Subscription(c.ctx, id)
	if err != nil && bugle.KindOf(err) != bugle.KindNotFound {
		return u, t, err
	}
	if err != nil || u.AccountID != c.who.AccountID || u.UserID != c.who.UserID || u.AppID != c.who.session.AppID {
		return u, t, noResource("subscriptionId")
	}
	if !u.Expires.After(c.server.opts.Now()) {
		return u, t, &fault{status: http.StatusNotFound, code: "SUB-507", message: "The subscription has expired", extra: map[string]any{"parameterName": "subscriptionId"}}
	}
	t, err = termsOf(&u)
	return u, t, err
}

func (c *call) listSubscriptions() (*answer, error) {
	list, err := c.server.opts.Store.SubscriptionsOf(c.ctx, c.who.AccountID, c.who.UserID, c.who.session.AppID)
	if err != nil {
		return nil, err
	}
	records := []map[string]any{}
	now := c.server.opts.Now()
	for i := range list {
		if !list[i].Expires.After(now) {
			continue
		}
		t, err := termsOf(&list[i])
		if err != nil {
			return nil, err
		}
		shown, err := c.shown(&list[i], &t)
		if err != nil {
			return nil, err
		}
		records = append(records, shown)
	}
	return ok(map[string]any{"uri": c.base() + "/restapi/v1.0/subscription", "records": records})
}

func (c *call) getSubscription() (*answer, error) {
	u, t, err := c.own(c.args[0])
	if err != nil {
		return nil, err
	}
	shown, err := c.shown(&u, &t)
	if err != nil {
		return nil, err
	}
	return ok(shown)
}

// change reads, alters and writes a subscription in one transaction, and has a blacklisted receiver asked at once how it is.
func (c *call) change(alter func(tx *store.Tx, u *store.Subscription, t *terms) error) (u store.Subscription, t terms, err error) {
	if u, t, err = c.own(c.args[0]); err != nil {
		return u, t, err
	}
	state, missing := c.server.opts.Store.GetHookEndpoint(c.ctx, u.AccountID, u.ID)
	err = c.server.opts.Store.Write(c.ctx, func(tx *store.Tx) error {
		var err error
		if u, err = tx.Subscription(u.ID); err != nil {
			if bugle.KindOf(err) == bugle.KindNotFound {
				err = noResource("subscriptionId")
			}
			return err
		}
		if t, err = termsOf(&u); err != nil {
			return err
		}
		if err := alter(tx, &u, &t); err != nil {
			return err
		}
		if err := t.put(&u); err != nil {
			return err
		}
		if missing == nil && !state.Blacklisted.IsZero() {
			if err := tx.ProbeHook(u.AccountID, u.ID); err != nil {
				return err
			}
		}
		return tx.SetSubscription(u)
	})
	return u, t, err
}

func (c *call) updateSubscription() (*answer, error) {
	var r subscriptionRequest
	if err := c.object(&r, true); err != nil {
		return nil, err
	}
	var f filters
	present, _, err := c.server.opts.Contacts.State(c.ctx, c.who.AccountID)
	if err != nil {
		return nil, err
	}
	if r.EventFilters != nil {
		if f, err = c.readFilters(r.EventFilters); err != nil {
			return nil, err
		}
	}
	u, t, err := c.change(func(tx *store.Tx, u *store.Subscription, t *terms) error {
		life, err := r.life(t.life())
		if err != nil {
			return err
		}
		if r.EventFilters != nil {
			if f.follows() && !u.Follows { // it is told what happens from now on
				if _, err := tx.MoveSubscription(u.ID, u.Cursor, present); err != nil {
					return err
				}
			}
			t.set(f)
			u.Follows = f.follows()
		}
		now := filters{threshold: time.Duration(t.Threshold) * time.Second, interval: time.Duration(t.Interval) * time.Second}
		if err := now.remindWithin(life); err != nil {
			return err
		}
		if r.IncludeChanges != nil {
			t.IncludeChanges = *r.IncludeChanges
		}
		t.ExpiresIn = int64(life / time.Second)
		t.renew(u, c.server.opts.Now())
		return nil
	})
	return c.changed(u, t, "", err)
}

func (c *call) changed(u store.Subscription, t terms, secret string, err error) (*answer, error) {
	if err != nil {
		return nil, err
	}
	shown, err := c.shown(&u, &t)
	if err != nil {
		return nil, err
	}
	if secret != "" {
		shown["deliveryMode"].(map[string]any)["signingSecret"] = secret
	}
	return ok(shown)
}

func (c *call) renewSubscription() (*answer, error) {
	u, t, err := c.change(func(_ *store.Tx, u *store.Subscription, t *terms) error {
		t.renew(u, c.server.opts.Now())
		return nil
	})
	return c.changed(u, t, "", err)
}

// rotateSecret makes a new signing secret; for a day both sign.
func (c *call) rotateSecret() (*answer, error) {
	if u, _, err := c.own(c.args[0]); err != nil {
		return nil, err
	} else if u.Transport != webHook {
		return nil, badParameter("subscriptionId", nil, "only what is delivered to a webhook is signed")
	}
	secret, sealed, err := c.server.newSigningSecret(c.args[0])
	if err != nil {
		return nil, err
	}
	u, t, err := c.change(func(_ *store.Tx, _ *store.Subscription, t *terms) error {
		t.Former, t.FormerUntil, t.Secret = t.Secret, c.server.opts.Now().Add(secretOverlap), sealed
		return nil
	})
	return c.changed(u, t, secret, err)
}

func (c *call) deleteSubscription() (*answer, error) {
	u, _, err := c.own(c.args[0])
	if err != nil {
		return nil, err
	}
	if err := c.server.remove(c.ctx, &u); err != nil {
		return nil, err
	}
	return &answer{status: http.StatusNoContent}, nil
}

// remove removes a subscription and what waits to be delivered for it.
func (s *Server) remove(ctx context.Context, u *store.Subscription) error {
	return s.opts.Store.Write(ctx, func(tx *store.Tx) error {
		if err := tx.RemoveSubscription(u.ID); err != nil {
			return err
		}
		return tx.DropHook(u.AccountID, u.ID)
	})
}
