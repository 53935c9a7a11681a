package main

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"bugle/internal/crossbar"
	"bugle/internal/ringcentral"
	"bugle/internal/store"
)

// ringCentralFlags are the flags of the RingCentral API.
type ringCentralFlags struct {
	Rates string `name:"ringcentral-rates" env:"BUGLE_RINGCENTRAL_RATES" default:"light=50,medium=40,heavy=10,auth=5" help:"Calls of the RingCentral API a minute of one user by one app, by RingCentral's groups."`
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
	edge := ringcentral.New(ringcentral.Options{Store: v.store, Sealer: sealer, People: logins{api}, Contacts: v.contacts, Rates: v.ringCentral,
		PublicURL: v.publicURL, Log: v.log, OnPanic: v.meters.onPanic("ringcentral")})
	v.closing(func(context.Context) { edge.Close() })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ringcentral.Serves(r.URL.Path) {
			edge.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	})
}

// logins let the RingCentral API log in the KAZOO API's users, by their passwords, and its apps.
type logins struct{ api *crossbar.API }

func loggedIn(p crossbar.Person) ringcentral.Person {
	return ringcentral.Person{AccountID: p.AccountID, Company: p.Company, UserID: p.UserID, Admin: p.Admin, Stamp: p.Stamp, Credential: p.Credential, Above: p.Above}
}

func (p logins) Person(ctx context.Context, accountID, userID string) (ringcentral.Person, error) {
	found, err := p.api.Person(ctx, accountID, userID)
	return loggedIn(found), err
}

func (p logins) UserOfEmail(ctx context.Context, address string) (accountID, userID string, err error) {
	return p.api.UserOfEmail(ctx, address)
}

func (p logins) AccountOfNumber(ctx context.Context, number string) (string, error) {
	return p.api.AccountOfNumber(ctx, number)
}

func (p logins) LogIn(ctx context.Context, client netip.Addr, name, accountID, userID, password string) (ringcentral.Person, time.Duration, error) {
	found, retry, err := p.api.LogIn(ctx, client, name, accountID, userID, password)
	return loggedIn(found), retry, err
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
	found, err := p.api.Assertion(ctx, assertion, app)
	return loggedIn(found), err
}

func (p logins) Credential(ctx context.Context, accountID, id string) error {
	return p.api.Credential(ctx, accountID, id)
}

func (p logins) Client(r *http.Request) netip.Addr { return p.api.ClientAddress(r) }
