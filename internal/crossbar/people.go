package crossbar

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"bugle"
	"bugle/internal/store"
)

// What follows lets another edge log in the people and programs of this one.

// Person is a user as another edge needs it, or an account itself.
type Person struct {
	AccountID, Company string
	MainNumber         string // the account's external caller id, "" unless it is in E.164
	UserID             string // "" for the account itself
	Admin              bool
	// Stamp changes with the password, or the account's API key: what was got by the old one ends.
	Stamp string
	// Credential is the id of the JWT credential that the person is here by, "" for none.
	Credential string
	Above      []string // the accounts above the person's
}

// App is a registered program.
type App struct {
	ID, AccountID, Name string
	Public              bool
	Permissions         []string
	RedirectURIs        []string
	secretHash          string
	disabled            bool
}

// HasSecret judges a client secret.
func (a *App) HasSecret(secret string) bool {
	return !a.Public && a.secretHash != "" && hashKey(secret) == a.secretHash // hashes of 256 random bits: their comparison tells nothing
}

// ClientAddress is who sends a request, by the same rules as for this API.
func (a *API) ClientAddress(r *http.Request) netip.Addr { return a.clientAddress(r) }

// ErrDisabled, of KindUnauthorized, says of a person that is not let in because it is disabled, or its account is.
var ErrDisabled = &bugle.Error{Op: "crossbar", Kind: bugle.KindUnauthorized, Message: "the user or the account is disabled"}

// Person returns a user, or an account for userID ""; KindUnauthorized for one that is gone, ErrDisabled for one that is disabled.
func (a *API) Person(ctx context.Context, accountID, userID string) (Person, error) {
	who, secret, err := a.signer(ctx, accountID, userID)
	if err != nil {
		if k := bugle.KindOf(err); k == bugle.KindUnavailable {
			return Person{}, err
		}
		f := (*fault)(nil)
		switch {
		case errors.As(err, &f) && f.status == http.StatusUnauthorized:
			return Person{}, ErrDisabled
		case f != nil && f.status < http.StatusInternalServerError, isMissing(err):
			return Person{}, errUnknown
		}
		return Person{}, err
	}
	body, err := parseKeys(who.account.doc.Body, []string{"org"})
	if err != nil {
		return Person{}, err
	}
	stamp, main := sha256.Sum256(secret), bugle.International(who.account.view.CallerID.ExternalNumber)
	if !bugle.IsE164(main) {
		main = ""
	}
	return Person{MainNumber: main, AccountID: accountID, UserID: userID, Company: cmp.Or(stringAt(body, "org"), who.account.view.Name), Admin: who.admin,
		Stamp: hex.EncodeToString(stamp[:16]), Above: who.account.tree}, nil
}

// UserOfEmail finds the user of an e-mail address; "" when there is none, or more than one.
func (a *API) UserOfEmail(ctx context.Context, address string) (accountID, userID string, err error) {
	docs, _, err := a.opts.Store.List(ctx, store.Query{Type: TypeUser, Limit: 2, Index: &store.Index{Name: IndexEmail, Value: strings.ToLower(address)}})
	if err != nil || len(docs) != 1 {
		return "", "", err
	}
	return docs[0].AccountID, docs[0].ID, nil
}

// AccountOfNumber finds the account of a telephone number; "" when there is none.
func (a *API) AccountOfNumber(ctx context.Context, number string) (accountID string, err error) {
	acc, err := (&request{api: a, ctx: ctx}).accountOfNumber(ctx, number)
	if err != nil || acc == nil {
		return "", err
	}
	return acc.id, nil
}

// LogIn judges a user's password. name is what the client called the user, by which failures are counted together with those of
// this API; an empty userID is a user that was not found, and costs the same. KindUnauthorized: it is wrong, or the
// user may not log in. KindLimited with the time until another try: there were too many failures.
func (a *API) LogIn(ctx context.Context, client netip.Addr, name, accountID, userID, password string) (p Person, retry time.Duration, err error) {
	attempt, err := a.failures.begin("user", name, client)
	if err != nil {
		return p, faultOf(err).retry, &bugle.Error{Op: "crossbar.LogIn", Kind: bugle.KindLimited, Message: "too many failed logins, try again later"}
	}
	defer attempt.end()
	username, hashed, salt := "nobody", "", []byte("no such account, but the same work")
	if userID != "" {
		acc, err := a.account(ctx, accountID)
		if err != nil {
			return p, 0, err
		}
		u, err := a.user(ctx, accountID, userID)
		if err != nil {
			return p, 0, err
		}
		username, hashed, salt = u.view.Username, stringAt(u.private, "credentials.sha"), []byte(stringAt(acc.private, "salt"))
	}
	_, form := credentialForms(username, password)
	made, err := a.hasher.hash(ctx, form, salt)
	if err != nil {
		return p, time.Second, err
	}
	if hashed == "" || made != hashed {
		_ = attempt.fail()
		return p, 0, errUnknown
	}
	if p, err = a.Person(ctx, accountID, userID); bugle.KindOf(err) == bugle.KindUnauthorized && err != nil {
		_ = attempt.fail()
	} else if err == nil {
		attempt.succeed()
	}
	return p, 0, err
}

// OAuthApp returns the app of a client id; KindUnauthorized when there is none, or it or its account is disabled.
func (a *API) OAuthApp(ctx context.Context, clientID string) (App, error) {
	d, err := a.getByKey(ctx, store.Key{Space: KeyOAuthApp, Value: clientID})
	if isMissing(err) {
		return App{}, errUnknown
	}
	if err != nil {
		return App{}, err
	}
	app, err := parsedAs(&a.parsed, d, readOAuthApp)
	if err != nil {
		return App{}, err
	}
	acc, err := a.account(ctx, d.AccountID)
	if f := (*fault)(nil); errors.As(err, &f) && f.status == http.StatusNotFound {
		return App{}, errUnknown
	}
	if err != nil {
		return App{}, err
	}
	if !acc.view.Enabled || app.disabled {
		return App{}, errUnknown
	}
	return *app, nil
}

func readOAuthApp(d store.Document) (*App, error) {
	body, private, err := userParts(&d)
	if err != nil {
		return nil, err
	}
	return &App{ID: d.ID, AccountID: d.AccountID, Name: stringAt(body, "name"), Public: boolAt(body, "public", false), secretHash: stringAt(private, "secret_hash"),
		disabled: !boolAt(body, "enabled", true), Permissions: textsAt(body, "permissions"), RedirectURIs: textsAt(body, "redirect_uris")}, nil
}

func textsAt(doc map[string]any, key string) []string {
	var out []string
	list, _ := doc[key].([]any)
	for _, v := range list {
		if text, ok := v.(string); ok {
			out = append(out, text)
		}
	}
	return out
}

// Assertion finds whose a JWT credential is, or an account's API key in its place; app is the client id of who presents it, "" for
// none. KindUnauthorized: it is not known, or over, or not for this app.
func (a *API) Assertion(ctx context.Context, assertion, app string) (Person, error) {
	if raw, err := hex.DecodeString(assertion); err == nil && len(raw) == 32 {
		d, err := a.opts.Store.GetByKey(ctx, store.Key{Space: KeyAPIKey, Value: hashKey(assertion)})
		if isMissing(err) {
			return Person{}, errUnknown
		}
		if err != nil {
			return Person{}, err
		}
		return a.Person(ctx, d.ID, "")
	}
	d, err := a.opts.Store.GetByKey(ctx, store.Key{Space: KeyJWT, Value: hashSecret(assertion)})
	if isMissing(err) {
		return Person{}, errUnknown
	}
	if err != nil {
		return Person{}, err
	}
	body, err := parseObject(d.Body)
	if err != nil {
		return Person{}, err
	}
	if expires, ok := unixAt(body, "expires"); ok && !a.opts.Now().Before(expires) {
		return Person{}, errUnknown
	}
	if apps := textsAt(body, "apps"); len(apps) > 0 && !slices.Contains(apps, app) {
		return Person{}, errUnknown
	}
	p, err := a.Person(ctx, d.AccountID, stringAt(body, "owner_id"))
	p.Credential = d.ID
	return p, err
}

// Credential returns nil while a JWT credential is good, KindUnauthorized when it is gone or over.
func (a *API) Credential(ctx context.Context, accountID, id string) error {
	d, err := a.get(ctx, accountID, TypeJWTCredential, id)
	if isMissing(err) {
		return errUnknown
	}
	if err != nil {
		return err
	}
	body, err := parseKeys(d.Body, []string{"expires"})
	if expires, ok := unixAt(body, "expires"); ok && !a.opts.Now().Before(expires) {
		return errUnknown
	}
	return err
}

// hashSecret is what is stored of a secret of 256 random bits whose letters count.
func hashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
