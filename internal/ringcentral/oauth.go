package ringcentral

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"bugle"
	"bugle/internal/contact"
	"bugle/internal/store"
)

// Kinds of tokens as they are kept, and how long they live.
const (
	tokenAccess  = "access"
	tokenRefresh = "refresh"
	tokenCode    = "code"
	tokenSocket  = "socket"

	accessLife  = time.Hour
	refreshLife = 7 * 24 * time.Hour
	shortest    = time.Minute // that a client may ask for
	codeLife    = time.Minute
	socketLife  = 10 * time.Minute
)

// permissions are what an app may do; a login without an app may do all of it.
var permissions = []string{permReadAccounts, permWebhook, permSocket}

const (
	permReadAccounts = "ReadAccounts"
	permWebhook      = "SubscriptionWebhook"
	permSocket       = "WebSocketsSubscription"
)

// login is who makes a call, by what.
type login struct {
	Person
	session     store.OAuthSession
	permissions []string
}

func (w *login) may(permission string) bool { return slices.Contains(w.permissions, permission) }

// counted is under which name calls are counted: a user's by each app.
func (w *login) counted() string { return w.AccountID + "/" + w.UserID + "/" + w.session.AppID }

func newSecret() string {
	var b [32]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

func refuseToken(status int, code, name, message string) *fault {
	return &fault{status: status, code: code, oauth: name, message: message}
}

func denied(code, message string) error { return refuse(http.StatusUnauthorized, code, message) }

// authenticate finds out who makes a call.
func (c *call) authenticate() error {
	if c.socket != nil {
		who, err := c.server.judge(c.ctx, c.socket.session)
		c.who = who
		return err
	}
	scheme, token, _ := strings.Cut(strings.TrimSpace(c.http.Header.Get("Authorization")), " ")
	switch {
	case scheme == "":
		return denied("OAU-149", "Unparsable access token: there is no Authorization header")
	case !strings.EqualFold(scheme, "Bearer"):
		return denied("OAU-151", "Authorization method not supported, it must be Bearer")
	}
	token = strings.TrimSpace(token)
	if raw, err := base64.RawURLEncoding.DecodeString(token); err != nil || len(raw) != 32 {
		return denied("OAU-129", "Access token corrupted")
	}
	kept, session, err := c.server.opts.Store.OAuthToken(c.ctx, tokenAccess, hashOf(token))
	if err != nil && bugle.KindOf(err) == bugle.KindNotFound {
		return denied("OAU-213", "Token not found")
	}
	if err != nil {
		return err
	}
	if !c.server.opts.Now().Before(kept.Expires) {
		return denied("OAU-128", "Access token expired")
	}
	c.who, err = c.server.judgeSession(c.ctx, session)
	return err
}

// judge returns who a session is of, while it has not ended: by its client, by a new password, by the app or the person being
// disabled, by its credential being deleted.
func (s *Server) judge(ctx context.Context, sessionID string) (*login, error) {
	session, err := s.opts.Store.OAuthSession(ctx, sessionID)
	if err != nil && bugle.KindOf(err) == bugle.KindNotFound {
		return nil, denied("OAU-213", "Token not found: the session has ended")
	}
	if err != nil {
		return nil, err
	}
	return s.judgeSession(ctx, session)
}

func (s *Server) judgeSession(ctx context.Context, session store.OAuthSession) (*login, error) {
	over := refuse(http.StatusUnauthorized, "OAU-213", "Token not found: the session has ended")
	if !session.Ended.IsZero() {
		return nil, over
	}
	person, err := s.opts.People.Person(ctx, session.AccountID, session.UserID)
	stamp, credential, _ := strings.Cut(session.Stamp, " ")
	if unauthorized(err) {
		over.err = err
		return nil, over
	}
	if err == nil && credential != "" {
		err = s.opts.People.Credential(ctx, session.AccountID, credential)
	}
	if unauthorized(err) || err == nil && person.Stamp != stamp {
		return nil, over
	}
	if err != nil {
		return nil, err
	}
	who := &login{Person: person, session: session, permissions: permissions}
	if session.AppID == "" {
		return who, nil
	}
	app, err := s.opts.People.App(ctx, session.AppID)
	if unauthorized(err) || err == nil && !app.Serves(person) {
		return nil, denied("OAU-127", "Invalid client application: it is gone, or disabled")
	}
	who.permissions = app.Permissions
	return who, err
}

func unauthorized(err error) bool { return err != nil && bugle.KindOf(err) == bugle.KindUnauthorized }

// notThere is the answer to whoever proves to be a person that may not log in any more.
func notThere(err error) error {
	if errors.Is(err, ErrDisabled) {
		return invalidGrant("OAU-236", "Extension is disabled")
	}
	return invalidGrant("OAU-232", "Extension not found")
}

// form is a form of a body, each field once.
func (c *call) form() (url.Values, error) {
	media, _, _ := mime.ParseMediaType(c.http.Header.Get("Content-Type"))
	if media != "application/x-www-form-urlencoded" {
		return nil, refuseToken(http.StatusBadRequest, "OAU-250", "invalid_request", "The body must be application/x-www-form-urlencoded")
	}
	form, err := url.ParseQuery(string(c.body))
	if err != nil {
		return nil, refuseToken(http.StatusBadRequest, "OAU-250", "invalid_request", "The body is no form")
	}
	for name, values := range form {
		if len(values) > 1 {
			return nil, refuseToken(http.StatusBadRequest, "OAU-250", "invalid_request", "The parameter "+strconv.Quote(name)+" is there more than once")
		}
	}
	return form, nil
}

// client finds the app that calls a token endpoint, by Basic or by the form; known is false when none is named.
func (c *call) client(form url.Values) (app App, known bool, err error) {
	id, secret, basic := c.http.BasicAuth()
	if basic { // RFC 6749 §2.3.1 has both form-encoded
		if plain, err := url.QueryUnescape(id); err == nil {
			id = plain
		}
		if plain, err := url.QueryUnescape(secret); err == nil {
			secret = plain
		}
		if given := form.Get("client_id"); given != "" && given != id {
			return app, false, refuseToken(http.StatusUnauthorized, "OAU-146", "invalid_client", "Invalid client: client_id is another than that of Authorization")
		}
	} else {
		id, secret = form.Get("client_id"), form.Get("client_secret")
	}
	if id == "" && !basic {
		return app, false, nil
	}
	app, err = c.server.opts.People.App(c.ctx, id)
	switch {
	case err != nil && bugle.KindOf(err) == bugle.KindUnauthorized:
		return app, false, refuseToken(http.StatusUnauthorized, "OAU-127", "invalid_client", "Invalid client application")
	case err != nil:
		return app, false, err
	case app.Public && secret == "", !app.Public && app.HasSecret(secret):
		return app, true, nil
	}
	return app, false, refuseToken(http.StatusUnauthorized, "OAU-146", "invalid_client", "Invalid client credentials")
}

const grantJWT = "urn:ietf:params:oauth:grant-type:jwt-bearer" // RFC 7523 §2.1

// token answers the token endpoint, RFC 6749 §3.2.
func (c *call) token() (*answer, error) {
	form, err := c.form()
	if err != nil {
		return nil, err
	}
	from := c.server.opts.People.Client(c.http)
	if err := c.server.counters.take(c.header, "login "+form.Get("client_id")+c.http.Header.Get("Authorization")+" "+from.String(), auth); err != nil {
		return nil, err
	}
	app, known, err := c.client(form)
	if err != nil {
		return nil, err
	}
	grant := form.Get("grant_type")
	if !known && grant != "password" && grant != "refresh_token" {
		return nil, refuseToken(http.StatusUnauthorized, "OAU-127", "invalid_client", "Invalid client application: name one by Authorization, or by client_id")
	}
	var person Person
	switch grant {
	case grantJWT:
		person, err = c.byAssertion(form, app)
	case "password":
		person, err = c.byPassword(form.Get("username"), form.Get("extension"), form.Get("password"))
	case "authorization_code":
		return c.byCode(form, app)
	case "refresh_token":
		return c.byRefresh(form, app)
	default:
		err = refuseToken(http.StatusBadRequest, "OAU-250", "unsupported_grant_type",
			"grant_type must be "+grantJWT+", authorization_code, refresh_token or password")
	}
	if err != nil {
		return nil, err
	}
	if known && !app.Serves(person) {
		return nil, invalidGrant("OAU-213", "This application does not serve the account")
	}
	return c.begin(form, app, person, "")
}

func invalidGrant(code, message string) error {
	return refuseToken(http.StatusBadRequest, code, "invalid_grant", message)
}

func (c *call) byAssertion(form url.Values, app App) (Person, error) {
	assertion := form.Get("assertion")
	if assertion == "" || len(assertion) > 4096 {
		return Person{}, refuseToken(http.StatusBadRequest, "OAU-250", "invalid_request", "assertion must be a JWT credential")
	}
	p, err := c.server.opts.People.Assertion(c.ctx, assertion, app.ID)
	switch {
	case errors.Is(err, ErrDisabled):
		err = notThere(err)
	case unauthorized(err):
		err = invalidGrant("OAU-213", "The assertion is not known, is over, or is for other applications")
	}
	return p, err
}

// byPassword logs in by e-mail address or by telephone number and extension, as number*extension or by itself.
func (c *call) byPassword(username, extension, password string) (p Person, err error) {
	if username == "" || password == "" || len(username) > 320 || len(password) > 1024 {
		return p, refuseToken(http.StatusBadRequest, "OAU-250", "invalid_request", "username and password are required")
	}
	people := c.server.opts.People
	var accountID, userID string
	name, ext, starred := strings.Cut(username, "*")
	if !starred {
		ext = extension
	}
	switch {
	case strings.Contains(username, "@"):
		accountID, userID, err = people.UserOfEmail(c.ctx, username)
	case ext != "":
		if accountID, err = people.AccountOfNumber(c.ctx, name); err == nil && accountID != "" {
			userID, err = c.server.userOfExtension(c.ctx, accountID, ext)
		}
	}
	if err != nil {
		return p, err
	}
	p, retry, err := people.LogIn(c.ctx, people.Client(c.http), username, accountID, userID, password)
	switch {
	case err == nil:
		return p, nil
	case bugle.KindOf(err) == bugle.KindLimited:
		return p, &fault{status: http.StatusTooManyRequests, code: "CMN-301", oauth: "invalid_request", message: "Too many failed logins, try again later",
			retry: max(retry, time.Second)}
	case errors.Is(err, ErrDisabled): // the password is right
		return p, notThere(err)
	case unauthorized(err): // whether there is such an extension is not told
		return p, invalidGrant("OAU-140", "Invalid resource owner credentials")
	}
	return p, err
}

// userOfExtension finds the person of an extension, "" when there is none or more than one.
func (s *Server) userOfExtension(ctx context.Context, accountID, extension string) (userID string, err error) {
	page, err := s.opts.Contacts.List(ctx, contact.Query{AccountID: accountID, Types: []contact.Type{contact.User}, Search: extension,
		Fields: []string{"extensionNumber"}})
	if err != nil {
		return "", err
	}
	for i := range page.Contacts {
		if page.Contacts[i].Extension != extension {
			continue
		}
		if userID != "" {
			return "", nil
		}
		userID = page.Contacts[i].ID
	}
	return userID, nil
}

// codeDetail is what an authorization code stands for.
type codeDetail struct {
	Account   string `json:"account"`
	User      string `json:"user"`
	App       string `json:"app"`
	Stamp     string `json:"stamp"`
	Redirect  string `json:"redirect"`
	Challenge string `json:"challenge,omitempty"`
}

func (c *call) byCode(form url.Values, app App) (*answer, error) {
	s := c.server
	hash := hashOf(form.Get("code"))
	code, session, err := s.opts.Store.OAuthToken(c.ctx, tokenCode, hash)
	if err != nil && bugle.KindOf(err) == bugle.KindNotFound {
		return nil, invalidGrant("OAU-211", "The code is not known")
	}
	if err != nil {
		return nil, err
	}
	var d codeDetail
	if err := json.Unmarshal(code.Detail, &d); err != nil {
		return nil, err
	}
	switch {
	case d.App != app.ID:
		return nil, invalidGrant("OAU-211", "The code is of another application")
	case !code.Used.IsZero():
		// Whoever comes second may be a thief, or the one who was robbed. RFC 6749 §10.5
		if err := s.opts.Store.Write(c.ctx, func(tx *store.Tx) error { return tx.EndOAuthSession(session.ID) }); err != nil {
			return nil, err
		}
		return nil, invalidGrant("OAU-211", "The code was used before; what was got by it is ended")
	case !s.opts.Now().Before(code.Expires):
		return nil, invalidGrant("OAU-211", "The code is over")
	case form.Get("redirect_uri") != d.Redirect:
		return nil, invalidGrant("OAU-109", "redirect_uri must be the one that the code was sent to")
	case d.Challenge != "" && !verifies(form.Get("code_verifier"), d.Challenge), d.Challenge == "" && form.Get("code_verifier") != "":
		return nil, invalidGrant("OAU-211", "code_verifier is not that of code_challenge")
	}
	p, err := s.opts.People.Person(c.ctx, d.Account, d.User)
	switch {
	case unauthorized(err):
		return nil, notThere(err)
	case err != nil:
		return nil, err
	case p.Stamp != d.Stamp:
		return nil, invalidGrant("OAU-211", "The user has another password since")
	}
	return c.begin(form, app, p, hash)
}

// verifies judges a code verifier, RFC 7636 §4.6.
func verifies(verifier, challenge string) bool {
	if len(verifier) < 43 || len(verifier) > 128 {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:]) == challenge
}

// lives are how long what is given lives; a client may ask for less, and what it asks beyond reason is not held against it.
func lives(form url.Values) (access, refresh time.Duration) {
	access, refresh = accessLife, refreshLife
	for name, life := range map[string]*time.Duration{"access_token_ttl": &access, "refresh_token_ttl": &refresh} {
		if n, err := strconv.ParseInt(form.Get(name), 10, 64); err == nil && n > 0 && n < int64(*life/time.Second) {
			*life = max(shortest, time.Duration(n)*time.Second)
		}
	}
	return access, refresh
}

// begin makes a session; code is the hash of an authorization code that it uses up, "" for none.
func (c *call) begin(form url.Values, app App, p Person, code string) (*answer, error) {
	access, refresh := lives(form)
	now := c.server.opts.Now()
	session := store.OAuthSession{ID: bugle.NewID(), AccountID: p.AccountID, UserID: p.UserID, AppID: app.ID, Stamp: p.Stamp, Created: now,
		Expires: now.Add(refresh)}
	if p.Credential != "" {
		session.Stamp += " " + p.Credential
	}
	given := tokens{newSecret(), newSecret(), access, refresh}
	err := c.server.opts.Store.Write(c.ctx, func(tx *store.Tx) error {
		if code != "" {
			if first, err := tx.UseOAuthToken(code, session.ID); err != nil || !first {
				if err == nil {
					err = invalidGrant("OAU-211", "The code was used before")
				}
				return err
			}
		}
		if err := tx.PutOAuthSession(session); err != nil {
			return err
		}
		return given.add(tx, session.ID, now)
	})
	if err != nil {
		return nil, err
	}
	c.server.opts.Log.Info("ringcentral: logged in", "account", p.AccountID, "user", p.UserID, "app", app.ID, "grant", form.Get("grant_type"))
	return c.granted(session, app, given)
}

type tokens struct {
	access, refresh         string
	accessLife, refreshLife time.Duration
}

func (t tokens) add(tx *store.Tx, sessionID string, now time.Time) error {
	return tx.AddOAuthTokens(store.OAuthToken{Hash: hashOf(t.access), Kind: tokenAccess, SessionID: sessionID, Expires: now.Add(t.accessLife)},
		store.OAuthToken{Hash: hashOf(t.refresh), Kind: tokenRefresh, SessionID: sessionID, Expires: now.Add(t.refreshLife)})
}

// granted is the answer with tokens.
func (c *call) granted(session store.OAuthSession, app App, t tokens) (*answer, error) {
	owner, err := c.server.extensionID(c.ctx, session.AccountID, session.UserID)
	if err != nil {
		return nil, err
	}
	scope := permissions
	if session.AppID != "" {
		scope = app.Permissions
	}
	return ok(map[string]any{"access_token": t.access, "token_type": "bearer", "expires_in": int(t.accessLife.Seconds()), "refresh_token": t.refresh,
		"refresh_token_expires_in": int(t.refreshLife.Seconds()), "scope": strings.Join(scope, " "), "owner_id": owner, "endpoint_id": session.ID,
		"session_id": session.ID})
}
