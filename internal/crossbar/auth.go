package crossbar

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"bugle"
	"bugle/internal/store"
)

// tokenLife is how long a token is good.
const tokenLife = time.Hour

// account is an account as authorisation needs it.
type account struct {
	id      string
	doc     store.Document
	view    bugle.Account
	private map[string]any
	tree    []string // the accounts above, from the top
	master  bool
}

func (a *API) account(ctx context.Context, id string) (*account, error) {
	if id == "" {
		return nil, &fault{status: http.StatusNotFound, message: "bad_identifier", data: say("missing account_id")}
	}
	if len(id) != 32 {
		return nil, &fault{status: http.StatusNotFound, message: "bad_identifier",
			data: say("invalid account_id '" + string(clip(id, 64)) + "'")}
	}
	d, err := a.get(ctx, id, TypeAccount, id)
	if isMissing(err) {
		return nil, badIdentifier(id)
	}
	if err != nil {
		return nil, err
	}
	return parsedAs(&a.parsed, d, readAccount)
}

func clip(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}

func readAccount(d store.Document) (*account, error) {
	acc := &account{id: d.ID, doc: d, private: map[string]any{}}
	var err error
	if acc.view, err = bugle.ParseAccount(d.ID, d.Body); err != nil {
		return nil, err
	}
	if len(d.Private) > 0 {
		if acc.private, err = parseObject(d.Private); err != nil {
			return nil, err
		}
	}
	if tree, ok := acc.private["tree"].([]any); ok {
		for _, id := range tree {
			if id, ok := id.(string); ok {
				acc.tree = append(acc.tree, id)
			}
		}
	}
	acc.master = boolAt(acc.private, "master", false)
	return acc, nil
}

// user is a user as authentication needs it.
type user struct {
	view    bugle.User
	private map[string]any
}

func readUser(d store.Document) (*user, error) {
	view, err := bugle.ParseUser(d.ID, d.Body)
	if err != nil {
		return nil, err
	}
	private, err := parseObject(d.Private)
	return &user{view, private}, err
}

// identity is who a token stands for.
type identity struct {
	account *account
	userID  string // "" for an API key
	method  string // "user_auth" or "api_auth"
	admin   bool   // everything but a user without priv_level admin
}

// claims are what a token says. It is signed with a secret of the user or account that it names, which changes with the
// password or the API key: that is how old tokens end.
type claims struct {
	AccountID string `json:"account_id"`
	OwnerID   string `json:"owner_id,omitempty"`
	Method    string `json:"method"`
	jwt.RegisteredClaims
}

// authenticate reads the token. A token that is no good is returned as a fault and not as an error: paths that need none
// do not mind.
func (req *request) authenticate() (*fault, error) {
	if req.identity != nil {
		return nil, nil
	}
	req.token = req.presented()
	if req.token == "" {
		return nil, nil
	}
	who, err := req.api.verify(req.ctx, req.token)
	if err != nil {
		var f *fault
		if errors.As(err, &f) {
			return f, nil
		}
		return nil, err
	}
	req.identity = who
	return nil, nil
}

func (req *request) presented() string {
	if t := req.http.Header.Get("X-Auth-Token"); t != "" {
		return t
	}
	if t, ok := req.outerParam("auth_token"); ok && t != "" {
		return t
	}
	header := req.http.Header.Get("Authorization")
	if header == "" {
		header, _ = req.outerParam("authorization")
	}
	scheme, rest, ok := strings.Cut(header, " ")
	switch {
	case !ok:
		return header
	case strings.EqualFold(scheme, "Bearer"):
		return strings.TrimSpace(rest)
	}
	return ""
}

// verify finds out for whom a token was made, whether it is still good, and what its user may do now.
func (a *API) verify(ctx context.Context, token string) (*identity, error) {
	if len(token) > 4096 {
		return nil, staleToken()
	}
	var who *identity
	var c claims
	_, err := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired(),
		jwt.WithTimeFunc(a.opts.Now)).ParseWithClaims(token, &c, func(*jwt.Token) (any, error) {
		var secret []byte
		var err error
		who, secret, err = a.signer(ctx, c.AccountID, c.OwnerID)
		return secret, err
	})
	if err != nil {
		if k := bugle.KindOf(err); k == bugle.KindUnavailable {
			return nil, unavailable(err)
		}
		return nil, staleToken()
	}
	who.method = c.Method
	return who, nil
}

// signer loads the user, or the account for ownerID "", and the secret that signs its tokens. An account that is
// disabled and a user that is disabled or gone sign nothing.
func (a *API) signer(ctx context.Context, accountID, ownerID string) (*identity, []byte, error) {
	acc, err := a.account(ctx, accountID)
	if err != nil {
		return nil, nil, err
	}
	who := &identity{account: acc, userID: ownerID, admin: true}
	private, holder := acc.private, acc.id
	if ownerID != "" {
		d, err := a.get(ctx, accountID, TypeUser, ownerID)
		if err != nil {
			return nil, nil, err
		}
		user, err := parsedAs(&a.parsed, d, readUser)
		if err != nil {
			return nil, nil, err
		}
		private, holder = user.private, d.ID
		who.admin = user.view.Privilege == "admin"
		if !user.view.Enabled {
			return nil, nil, staleToken()
		}
	}
	if !acc.view.Enabled {
		return nil, nil, staleToken()
	}
	secret, err := a.opts.Sealer.Open(stringAt(private, "token_secret"), holder, "token_secret")
	if err != nil {
		return nil, nil, err
	}
	key, err := base64.RawStdEncoding.DecodeString(secret)
	if err != nil || len(key) < 32 {
		return nil, nil, staleToken()
	}
	return who, key, nil
}

// newTokenSecret returns a fresh sealed secret for signing tokens of a user or account.
func (a *API) newTokenSecret(holder string) (string, error) {
	var b [32]byte
	rand.Read(b[:])
	return a.opts.Sealer.Seal(base64.RawStdEncoding.EncodeToString(b[:]), holder, "token_secret")
}

// issue makes a token for a user, or an account for ownerID "", and the reply that carries it.
func (req *request) issue(acc *account, ownerID, method string) (*reply, error) {
	who, secret, err := req.api.signer(req.ctx, acc.id, ownerID)
	if err != nil {
		return nil, err
	}
	who.method = method
	now := req.api.opts.Now()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{AccountID: acc.id, OwnerID: ownerID, Method: method,
		RegisteredClaims: jwt.RegisteredClaims{Issuer: "bugle", ID: bugle.NewID(), IssuedAt: jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(tokenLife))}}).SignedString(secret)
	if err != nil {
		return nil, err
	}
	return &reply{status: http.StatusCreated, token: token, data: appendTree(nil, describe(who))}, nil
}

// describe is the data of an authentication's answer.
func describe(who *identity) map[string]any {
	out := map[string]any{"account_id": who.account.id, "account_name": who.account.view.Name,
		"is_master_account": who.account.master, "is_reseller": who.account.master, "apps": []any{}, "method": who.method,
		"capabilities": map[string]any{}, "ui_config": map[string]any{}}
	if who.userID != "" {
		out["owner_id"] = who.userID
	}
	if who.account.view.Language != "" {
		out["language"] = who.account.view.Language
	}
	if len(who.account.tree) > 0 {
		out["reseller_id"] = who.account.tree[0]
	} else {
		out["reseller_id"] = who.account.id
	}
	return out
}

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
	acc, err := req.accountNamed(data)
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

// accountNamed finds the account that a login names, by realm before name; nil when there is none.
func (req *request) accountNamed(data map[string]any) (*account, error) {
	key := store.Key{}
	if realm := firstOf(data, "account_realm", "realm"); realm != "" {
		key = store.Key{Space: KeyRealm, Value: strings.ToLower(realm)}
	} else if name := normalName(stringAt(data, "account_name")); name != "" {
		key = store.Key{Space: KeyName, Value: name}
	} else {
		return nil, nil
	}
	d, err := req.api.opts.Store.GetByKey(req.ctx, key)
	if isMissing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return readAccount(d)
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

// authResources are the ways to get a token and to look at one.
func authResources() []*resource {
	tokenDetails := func(req *request) (*reply, error) {
		return &reply{status: http.StatusOK, data: appendTree(nil, describe(req.identity))}, nil
	}
	return []*resource{
		{noun: "user_auth", leading: true,
			about: "The token is `auth_token` of the answer. Ten failures in a minute of one account name from one address are answered " +
				"with 429. GET tells whose the token is.",
			endpoints: []endpoint{
				{path: "", ops: map[string]operation{
					http.MethodPut: {run: (*request).userAuth, open: true}, http.MethodGet: {run: tokenDetails}}}}},
		{noun: "api_auth", leading: true, endpoints: []endpoint{
			{path: "", ops: map[string]operation{http.MethodPut: {run: (*request).apiAuth, open: true}}}}},
		{noun: "token_auth", leading: true, endpoints: []endpoint{
			{path: "", ops: map[string]operation{http.MethodGet: {run: tokenDetails}}}}},
	}
}
