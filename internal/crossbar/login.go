package crossbar

import (
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"

	"bugle"
	"bugle/internal/store"
)

// userAuth answers PUT /user_auth: credentials are the MD5 or SHA-1 of "username:password".
func (req *request) userAuth() (*reply, error) {
	data, err := req.object()
	if err != nil {
		return nil, err
	}
	if errs := req.api.schemas.apply("user_auth", data); len(errs) > 0 {
		return nil, errs.fault()
	}
	credentials := strings.ToLower(stringAt(data, "credentials"))
	space, size := KeyCredentialMD5, 16
	if stringAt(data, "method") == "sha" {
		space, size = KeyCredentialSHA, 20
	}
	if raw, err := hex.DecodeString(credentials); err != nil || len(raw) != size {
		return nil, oneError("credentials", "invalid", "credentials must be the hexadecimal MD5 (or, with method sha, SHA-1)"+
			" of username:password", nil)
	}
	name := firstOf(data, "account_realm", "realm", "account_name", "phone_number")
	if name == "" {
		return nil, oneError("account_name", "required", "account_name, account_realm or phone_number is required", nil)
	}
	attempt, err := req.api.failures.begin("user", name, req.client)
	if err != nil {
		return nil, err
	}
	defer attempt.end()
	acc, err := req.accountNamed(req.ctx, data)
	if err != nil {
		return nil, err
	}
	salt := []byte("no such account, but the same work")
	if acc != nil {
		salt = []byte(stringAt(acc.private, "salt"))
	}
	hashed, err := req.api.hasher.hash(req.ctx, credentials, salt)
	if err != nil {
		return nil, err
	}
	if acc == nil {
		return nil, attempt.fail()
	}
	d, err := req.api.opts.Store.GetByKey(req.ctx, store.Key{Space: space, Scope: acc.id, Value: hashed})
	if isMissing(err) {
		return nil, attempt.fail()
	}
	if err != nil {
		return nil, err
	}
	if !acc.view.Enabled {
		return nil, oneError("account", "disabled", "account disabled", nil)
	}
	answer, err := req.issue(acc, d.ID, "user_auth")
	if f := (*fault)(nil); errors.As(err, &f) && f.status == http.StatusUnauthorized {
		return nil, attempt.fail()
	}
	if err == nil {
		attempt.succeed()
	}
	return answer, err
}

func firstOf(data map[string]any, keys ...string) string {
	for _, key := range keys {
		if s := stringAt(data, key); s != "" {
			return s
		}
	}
	return ""
}

// accountNamed finds the account that a login names, by phone number before realm before name; nil when there is none.
func (req *request) accountNamed(ctx context.Context, data map[string]any) (*account, error) {
	key := store.Key{}
	if number := stringAt(data, "phone_number"); number != "" {
		return req.accountOfNumber(ctx, number)
	} else if realm := firstOf(data, "account_realm", "realm"); realm != "" {
		key = store.Key{Space: KeyRealm, Value: strings.ToLower(realm)}
	} else if name := normalName(stringAt(data, "account_name")); name != "" {
		key = store.Key{Space: KeyName, Value: name}
	} else {
		return nil, nil
	}
	d, err := req.api.opts.Store.GetByKey(ctx, key)
	if isMissing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return readAccount(d)
}

// accountOfNumber finds the account that has a phone number, or the only one with a callflow for it.
func (req *request) accountOfNumber(ctx context.Context, number string) (*account, error) {
	plain := strings.Map(func(r rune) rune {
		if r == '+' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, number)
	if plain = req.api.opts.Flows.NormaliseNumber(bugle.Account{}, plain); !strings.HasPrefix(plain, "+") {
		return nil, nil
	}
	d, err := req.api.opts.Store.GetByKey(ctx, store.Key{Space: KeyPhoneNumber, Value: plain})
	docs := []store.Document{d}
	if isMissing(err) {
		docs, _, err = req.api.opts.Store.List(ctx, store.Query{Type: TypeCallflow, Limit: 2,
			Index: &store.Index{Name: IndexE164, Value: plain}})
	}
	if err != nil || len(docs) == 0 || len(docs) > 1 {
		return nil, err
	}
	acc, err := req.api.account(ctx, docs[0].AccountID)
	if f, ok := err.(*fault); ok && f.status == http.StatusNotFound {
		return nil, nil
	}
	return acc, err
}

// apiAuth answers PUT /api_auth.
func (req *request) apiAuth() (*reply, error) {
	data, err := req.object()
	if err != nil {
		return nil, err
	}
	if errs := req.api.schemas.apply("api_auth", data); len(errs) > 0 {
		return nil, errs.fault()
	}
	key := stringAt(data, "api_key")
	// The key is its own name: a client that repeats a wrong one does not keep its neighbours out, and guessing 256 bits is
	// not what is feared.
	attempt, err := req.api.failures.begin("api", hashKey(key), req.client)
	if err != nil {
		return nil, err
	}
	defer attempt.end()
	d, err := req.api.opts.Store.GetByKey(req.ctx, store.Key{Space: KeyAPIKey, Value: hashKey(key)})
	if isMissing(err) {
		_ = attempt.fail()
		return nil, badIdentifier([]any{key})
	}
	if err != nil {
		return nil, err
	}
	acc, err := readAccount(d)
	if err != nil {
		return nil, err
	}
	if !acc.view.Enabled {
		return nil, oneError("account", "disabled", "account disabled", nil)
	}
	attempt.succeed()
	return req.issue(acc, "", "api_auth")
}

// authResources are the ways to get a token, to look at one and to end it.
func authResources() []*resource {
	ownToken := func(req *request) (*reply, error) {
		return &reply{status: http.StatusOK, data: appendTree(nil, req.identity.describe(req.api))}, nil
	}
	return []*resource{
		{noun: "user_auth", leading: true,
			about: "The token is `auth_token` of the answer. Ten failures in a minute of one account name from one address are answered " +
				"with 429. GET tells whose the token is. PUT on `recovery` has a link mailed to the user, the same answer whether or not there " +
				"is one; POST `{\"reset_id\": …}` with what the link has after `recovery=` gives a token, once and within an hour, " +
				"and sets `require_password_update`. PUT `{\"action\": \"impersonate_user\"}` below a user gives an administrator of an " +
				"account above that user's token; it is logged.",
			under: map[string]*endpoint{"users": {ops: map[string]operation{http.MethodPut: {run: (*request).impersonate}}}},
			endpoints: []endpoint{
				{path: "", ops: map[string]operation{
					http.MethodPut: {run: (*request).userAuth, open: true}, http.MethodGet: {run: ownToken}}},
				{path: "recovery", ops: map[string]operation{
					http.MethodPut: {run: (*request).recover, open: true}, http.MethodPost: {run: (*request).redeem, open: true}}},
				{path: "{token}", ops: map[string]operation{http.MethodGet: {run: (*request).tokenDetails, open: true}}}}},
		{noun: "api_auth", leading: true, endpoints: []endpoint{
			{path: "", ops: map[string]operation{http.MethodPut: {run: (*request).apiAuth, open: true}}}}},
		{noun: "token_auth", leading: true, about: "GET tells whose the token is, DELETE ends it before its hour is over.",
			endpoints: []endpoint{
				{path: "", ops: map[string]operation{http.MethodGet: {run: ownToken}, http.MethodDelete: {run: (*request).endToken}}}}},
	}
}
