package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"bugle"
	"bugle/internal/crossbar"
	"bugle/internal/event/webhook"
	"bugle/internal/ringcentral"
	"bugle/internal/store"
)

// ringCentralFlags are the flags of the RingCentral API.
type ringCentralFlags struct {
	Rates   string `name:"ringcentral-rates" env:"BUGLE_RINGCENTRAL_RATES" default:"light=50,medium=40,heavy=10,auth=5" help:"Calls of the RingCentral API a minute of one user by one app, by RingCentral's groups."`
	PerUser int    `name:"subscriptions-per-user" env:"BUGLE_SUBSCRIPTIONS_PER_USER" default:"20" help:"Subscriptions to directory changes that one user may have by one app."`
}

// ringCentralSettings are ringCentralFlags as the room wants them.
type ringCentralSettings struct {
	rates   ringcentral.Rates
	perUser int
}

func (f *ringCentralFlags) settings() (s ringCentralSettings, err error) {
	if f.PerUser < 0 || f.PerUser > 1_000_000 {
		return s, fmt.Errorf("--subscriptions-per-user: %d; 1 to 1000000", f.PerUser)
	}
	s.perUser = f.PerUser
	s.rates, err = f.rates()
	return s, err
}

func (f *ringCentralFlags) rates() (r ringcentral.Rates, err error) {
	groups := map[string]*int{"light": &r.Light, "medium": &r.Medium, "heavy": &r.Heavy, "auth": &r.Auth}
	for _, part := range strings.Split(f.Rates, ",") {
		if part == "" {
			continue
		}
		name, number, _ := strings.Cut(strings.TrimSpace(part), "=")
		n, err := strconv.Atoi(number)
		if groups[name] == nil || err != nil || n < 1 || n > 1_000_000_000 {
			return r, fmt.Errorf("--ringcentral-rates: %q; light, medium, heavy or auth, = and a number from 1 to 1000000000", part)
		}
		*groups[name] = n
	}
	return r, nil
}

// openRingCentral wires the RingCentral API and returns what serves it beside the KAZOO API.
func (v *server) openRingCentral(api *crossbar.API, sealer *store.Sealer) http.Handler {
	edge := ringcentral.New(ringcentral.Options{Store: v.store, Sealer: sealer, People: logins{api}, Contacts: v.contacts, Rates: v.ringCentral.rates, PerUser: v.ringCentral.perUser, Post: v.post,
		PublicURL: v.publicURL, Log: v.log, OnPanic: v.meters.onPanic("ringcentral")})
	v.edge.Store(edge)
	v.closing(func(context.Context) { edge.Close() })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ringcentral.Serves(r.URL.Path) {
			edge.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	})
}

// post sends an empty POST through the guard, as all deliveries go.
func (v *server) post(ctx context.Context, address string, header [][2]string) ringcentral.Reached {
	a := v.sender.Send(ctx, webhook.Request{Method: http.MethodPost, URL: address, Header: header})
	return ringcentral.Reached{Status: a.Status, Header: a.Header, Cut: a.Cut, Reason: a.Reason, Refused: a.Refused, Malformed: a.Malformed, Err: a.Err}
}

// subscriptions answer for the endpoints of directory subscriptions. Deliveries are attempted before the API is open: they are
// put off until then.
type subscriptions struct {
	edge *atomic.Pointer[ringcentral.Server]
}

func (s subscriptions) open() (*ringcentral.Server, error) {
	if edge := s.edge.Load(); edge != nil {
		return edge, nil
	}
	return nil, &bugle.Error{Op: "subscriptions", Kind: bugle.KindUnavailable, Message: "the API is not open yet"}
}

func (s subscriptions) Target(ctx context.Context, e store.HookEndpoint) (webhook.Target, error) {
	edge, err := s.open()
	if err != nil {
		return webhook.Target{}, err
	}
	header, secrets, err := edge.Receiver(ctx, e.ID)
	return webhook.Target{Header: header, Secrets: secrets}, ended(err)
}

func (s subscriptions) Probe(ctx context.Context, e store.HookEndpoint) error {
	edge, err := s.open()
	if err != nil {
		return err
	}
	return ended(edge.Probe(ctx, e.ID))
}

// Tell has nothing to do: who asks for a subscription is shown the state of its endpoint, and the engine logs.
func (s subscriptions) Tell(context.Context, store.HookEndpoint, webhook.Transition) {}

// ended is an error of the RingCentral API as the engine of deliveries knows it.
func ended(err error) error {
	switch {
	case errors.Is(err, ringcentral.ErrGone):
		return webhook.ErrGone
	case errors.Is(err, ringcentral.ErrOff):
		return webhook.ErrOff
	}
	return err
}

// describeSubscription is crossbar.Options.SubscriptionTerms.
func describeSubscription(u *store.Subscription) (crossbar.SubscriptionTerms, error) {
	t, err := ringcentral.Describe(u)
	return crossbar.SubscriptionTerms(t), err
}

// logins let the RingCentral API log in the KAZOO API's users, by their passwords, and its apps.
type logins struct{ api *crossbar.API }

func loggedIn(p crossbar.Person, err error) (ringcentral.Person, error) {
	if errors.Is(err, crossbar.ErrDisabled) {
		err = ringcentral.ErrDisabled
	}
	return ringcentral.Person{AccountID: p.AccountID, Company: p.Company, MainNumber: p.MainNumber, UserID: p.UserID, Admin: p.Admin, Stamp: p.Stamp, Credential: p.Credential, Above: p.Above}, err
}

func (p logins) Person(ctx context.Context, accountID, userID string) (ringcentral.Person, error) {
	return loggedIn(p.api.Person(ctx, accountID, userID))
}

func (p logins) UserOfEmail(ctx context.Context, address string) (accountID, userID string, err error) {
	return p.api.UserOfEmail(ctx, address)
}

func (p logins) AccountOfNumber(ctx context.Context, number string) (string, error) {
	return p.api.AccountOfNumber(ctx, number)
}

func (p logins) LogIn(ctx context.Context, client netip.Addr, name, accountID, userID, password string) (ringcentral.Person, time.Duration, error) {
	found, retry, err := p.api.LogIn(ctx, client, name, accountID, userID, password)
	person, err := loggedIn(found, err)
	return person, retry, err
}

func (p logins) App(ctx context.Context, clientID string) (ringcentral.App, error) {
	a, err := p.api.OAuthApp(ctx, clientID)
	if err != nil {
		return ringcentral.App{}, err
	}
	return ringcentral.App{ID: a.ID, AccountID: a.AccountID, Name: a.Name, Public: a.Public, Permissions: a.Permissions, RedirectURIs: a.RedirectURIs,
		HasSecret: a.HasSecret}, nil
}

func (p logins) Assertion(ctx context.Context, assertion, app string) (ringcentral.Person, error) {
	return loggedIn(p.api.Assertion(ctx, assertion, app))
}

func (p logins) Credential(ctx context.Context, accountID, id string) error {
	return p.api.Credential(ctx, accountID, id)
}

func (p logins) Photo(ctx context.Context, accountID, userID string) (content io.ReadCloser, contentType, etag string, err error) {
	return p.api.Photo(ctx, accountID, userID)
}

func (p logins) Client(r *http.Request) netip.Addr { return p.api.ClientAddress(r) }
