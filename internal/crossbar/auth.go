package crossbar

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"sync"
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
	if acc, ok := known[*account](ctx, a, id, id); ok {
		return acc, nil
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

// goneAccount is an account that was deleted, as whoever was above it may see; err when there never was one.
func (a *API) goneAccount(ctx context.Context, id string, err error) (*account, error) {
	d, missing := a.opts.Store.GetAny(ctx, id, TypeAccount, id)
	switch {
	case isMissing(missing):
		return nil, err
	case missing != nil:
		return nil, missing
	}
	return readAccount(d)
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

func (a *API) user(ctx context.Context, accountID, id string) (*user, error) {
	if u, ok := known[*user](ctx, a, accountID, id); ok {
		return u, nil
	}
	d, err := a.get(ctx, accountID, TypeUser, id)
	if err != nil {
		return nil, err
	}
	return parsedAs(&a.parsed, d, readUser)
}

// identity is who a token stands for.
type identity struct {
	account *account
	userID  string         // "" for an API key
	method  string         // "user_auth" or "api_auth"
	admin   bool           // everything but a user without priv_level admin
	private map[string]any // of the user, or the account for userID ""
	claims  claims         // of a token
}

// claims are what a token says. It is signed with a secret of the user or account that it names, which changes with the
// password or the API key: that is how old tokens end.
type claims struct {
	AccountID string `json:"account_id"`
	OwnerID   string `json:"owner_id,omitempty"`
	Method    string `json:"method"`
	// ImpersonatedBy is the user, or the account, that took this user's place.
	ImpersonatedBy string `json:"impersonated_by,omitempty"`
	jwt.RegisteredClaims
}

// authenticate finds out for whom token stands. A token that is no good is returned as a fault and not as an error:
// paths that need none do not mind.
func (req *request) authenticate(token string) (*fault, error) {
	if token == "" {
		return nil, nil
	}
	who, err := req.identify(token)
	if err != nil {
		// Whether a client is refused decides what of its body is read, so nothing may be assumed here.
		if stale := req.api.opts.Store.Prove(req.ctx); stale != nil {
			return nil, stale
		}
		var f *fault
		if errors.As(err, &f) && f.status < http.StatusInternalServerError {
			return f, nil
		}
		return nil, err
	}
	req.identity = who
	return nil, nil
}

// outside is the token as it stands outside of the body: X-Auth-Token, the parameter auth_token, Authorization, the
// parameter authorization.
func (req *request) outside() string {
	if t := req.http.Header.Get("X-Auth-Token"); t != "" {
		return t
	}
	if t := req.query.Get("auth_token"); t != "" {
		return t
	}
	if t := req.http.Header.Get("Authorization"); t != "" {
		return t
	}
	return req.query.Get("authorization")
}

// inside is the token of the envelope.
func (req *request) inside() string {
	if t, ok := scalar(req.envelope["auth_token"]); ok && t != "" {
		return t
	}
	t, _ := scalar(req.envelope["authorization"])
	return t
}

// identify tells whose a token is, with or without the word Bearer before it, or who logs in with every request (Basic).
func (req *request) identify(token string) (*identity, error) {
	if scheme, rest, ok := strings.Cut(token, " "); ok {
		switch {
		case strings.EqualFold(scheme, "Bearer"):
			token = strings.TrimSpace(rest)
		case strings.EqualFold(scheme, "Basic"):
			return req.basic(strings.TrimSpace(rest))
		default:
			return nil, staleToken()
		}
	}
	who, err := req.api.verify(req.ctx, token)
	if err == nil {
		req.token = token
	}
	return who, err
}

// verify finds out for whom a token was made, whether it is still good, and what its user may do now.
func (a *API) verify(ctx context.Context, token string) (*identity, error) {
	if len(token) > 4096 {
		return nil, staleToken()
	}
	who, c, err := a.bySignature(ctx, token)
	if err != nil {
		if k := bugle.KindOf(err); k == bugle.KindUnavailable {
			return nil, unavailable(err)
		}
		return nil, staleToken()
	}
	who.method, who.claims = c.Method, c
	if who.revoked(c.ID) {
		return nil, staleToken()
	}
	return who, nil
}

// bySignature judges a token's signature and its time. A client sends the same token with every request: one that was found good
// is known again, for as long as the secret that signed it is the same.
func (a *API) bySignature(ctx context.Context, token string) (who *identity, c claims, err error) {
	sum := sha256.Sum256([]byte(token))
	if known, ok := a.tokens.get(sum); ok {
		who, secret, err := a.signer(ctx, known.claims.AccountID, known.claims.OwnerID)
		if err != nil {
			return nil, c, err
		}
		if hmac.Equal(secret, known.secret) && a.opts.Now().Before(known.claims.ExpiresAt.Time) {
			return who, known.claims, nil
		}
	}
	var secret []byte
	_, err = jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired(),
		jwt.WithTimeFunc(a.opts.Now)).ParseWithClaims(token, &c, func(*jwt.Token) (any, error) {
		var err error
		who, secret, err = a.signer(ctx, c.AccountID, c.OwnerID)
		return secret, err
	})
	if err == nil && c.NotBefore == nil {
		a.tokens.put(sum, goodToken{c, secret})
	}
	return who, c, err
}

// tokens are tokens that were found good, by their SHA-256.
type tokens struct {
	mu   sync.Mutex
	good map[[sha256.Size]byte]goodToken
}

type goodToken struct {
	claims claims
	secret []byte // that it was signed with
}

const maxTokens = 4096

func (t *tokens) get(sum [sha256.Size]byte) (goodToken, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	known, ok := t.good[sum]
	return known, ok
}

func (t *tokens) put(sum [sha256.Size]byte, token goodToken) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.good == nil || len(t.good) >= maxTokens {
		t.good = map[[sha256.Size]byte]goodToken{}
	}
	t.good[sum] = token
}

// signer loads the user, or the account for ownerID "", and the secret that signs its tokens. An account that is
// disabled and a user that is disabled or gone sign nothing.
func (a *API) signer(ctx context.Context, accountID, ownerID string) (*identity, []byte, error) {
	acc, err := a.account(ctx, accountID)
	if err != nil {
		return nil, nil, err
	}
	var u *user
	if ownerID != "" {
		if u, err = a.user(ctx, accountID, ownerID); err != nil {
			return nil, nil, err
		}
	}
	return a.signs(acc, ownerID, u)
}

// signs is signer of what has been read; u is nil for ownerID "".
func (a *API) signs(acc *account, ownerID string, u *user) (*identity, []byte, error) {
	who := &identity{account: acc, userID: ownerID, admin: true}
	private, holder := acc.private, acc.id
	if u != nil {
		private, holder = u.private, ownerID
		who.admin = u.view.Privilege == "admin"
		if !u.view.Enabled {
			return nil, nil, staleToken()
		}
	}
	if !acc.view.Enabled {
		return nil, nil, staleToken()
	}
	who.private = private
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
	return req.issueFor(acc, claims{AccountID: acc.id, OwnerID: ownerID, Method: method})
}

func (req *request) issueFor(acc *account, c claims) (*reply, error) {
	who, secret, err := req.api.signer(req.ctx, acc.id, c.OwnerID)
	if err != nil {
		return nil, err
	}
	now := req.api.opts.Now()
	c.RegisteredClaims = jwt.RegisteredClaims{Issuer: "bugle", ID: bugle.NewID(), IssuedAt: jwt.NewNumericDate(now),
		ExpiresAt: jwt.NewNumericDate(now.Add(tokenLife))}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString(secret)
	if err != nil {
		return nil, err
	}
	who.method, who.claims = c.Method, c
	return &reply{status: http.StatusCreated, token: token, data: appendTree(nil, who.describe(req.api))}, nil
}

// describe is the data of an authentication's answer.
func (who *identity) describe(a *API) map[string]any {
	out := map[string]any{"account_id": who.account.id, "account_name": who.account.view.Name,
		"is_master_account": who.account.master, "is_reseller": who.account.master, "apps": []any{}, "method": who.method,
		"capabilities": map[string]any{}, "ui_config": map[string]any{}, "cluster_id": a.opts.Node}
	if who.userID != "" {
		out["owner_id"] = who.userID
	}
	if who.claims.ImpersonatedBy != "" {
		out["impersonated_by"] = who.claims.ImpersonatedBy
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
