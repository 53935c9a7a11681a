package crossbar

import (
	"context"
	"encoding/hex"
	"net/http"
	"net/url"

	"bugle"
	"bugle/internal/store"
)

// Credentials are what opens the master account. They are shown once; what is stored does not give the password back.
type Credentials struct {
	AccountID   string
	AccountName string
	Realm       string
	Username    string
	Password    string
	APIKey      string
}

// EnsureMaster creates the account master with the user admin when there is no master account yet, and reports whether
// it did. An empty password or API key is made up; a given key has 64 hexadecimal digits. When the account is there
// already, nothing is changed and the credentials hold no secrets. tell, when not nil, is given the credentials before the
// account is written, and its error keeps the account from being made: what is told may come to nothing, but no account
// comes to be whose password nobody was told.
func (a *API) EnsureMaster(ctx context.Context, password, apiKey string, tell func(Credentials) error) (Credentials, bool, error) {
	invalid := func(message string) error {
		return &bugle.Error{Op: "crossbar.EnsureMaster", Kind: bugle.KindInvalid, Message: message}
	}
	if password == "" {
		password = randomText(24)
	}
	if apiKey == "" {
		apiKey = randomHex(32)
	}
	if raw, err := hex.DecodeString(apiKey); err != nil || len(raw) != 32 {
		return Credentials{}, false, invalid("an API key has 64 hexadecimal digits")
	}
	if len(password) < 6 || len(password) > 1024 {
		return Credentials{}, false, invalid("a password has 6 to 1024 characters")
	}
	if known, err := a.master(ctx); err != nil || known.AccountID != "" {
		return known, false, err
	}
	c := Credentials{AccountID: bugle.NewID(), AccountName: "master", Realm: "master" + realmSuffix, Username: "admin",
		Password: password, APIKey: apiKey}
	acc := &account{id: c.AccountID, private: map[string]any{"master": true, "tree": []any{}}, master: true}
	if err := a.newAccountSecrets(acc.id, acc.private, apiKey); err != nil {
		return Credentials{}, false, err
	}
	req := &request{api: a, http: &http.Request{Header: http.Header{}, URL: &url.URL{}}, ctx: ctx, account: acc,
		id: bugle.NewID(), identity: &identity{account: acc, admin: true}}
	userData := map[string]any{"first_name": "Master", "last_name": "Administrator", "username": c.Username,
		"password": password, "priv_level": "admin"}
	prepared, err := prepareUser(req, "", creating, userData)
	if err != nil {
		return Credentials{}, false, err
	}
	if tell != nil {
		if err := tell(c); err != nil {
			return Credentials{}, false, err
		}
	}
	err = a.opts.Store.Write(ctx, func(tx *store.Tx) error {
		top := &edit{req: req, res: a.resources["accounts"], tx: tx, how: creating, id: c.AccountID, owner: acc,
			errs: fieldErrors{}}
		if err := top.runPrivate(map[string]any{"name": c.AccountName, "realm": c.Realm}, acc.private); err != nil {
			return err
		}
		admin := &edit{req: req, res: a.resources["users"], tx: tx, how: creating, id: bugle.NewID(), owner: acc,
			errs: fieldErrors{}, prepared: prepared}
		return admin.run(userData)
	})
	if bugle.KindOf(err) == bugle.KindUnique && err != nil { // another process was first
		known, err := a.master(ctx)
		return known, false, err
	}
	return c, err == nil, err
}

// master finds the master account; AccountID is "" when there is none.
func (a *API) master(ctx context.Context) (Credentials, error) {
	d, err := a.opts.Store.GetByKey(ctx, store.Key{Space: KeyMaster, Value: MasterValue})
	if isMissing(err) {
		return Credentials{}, nil
	}
	if err != nil {
		return Credentials{}, err
	}
	acc, err := readAccount(d)
	if err != nil {
		return Credentials{}, err
	}
	return Credentials{AccountID: acc.id, AccountName: acc.view.Name, Realm: acc.view.Realm, Username: "admin"}, nil
}

// MasterKey returns the API key of the master account, for who holds the database and its key. KindNotFound when there is
// no master account yet.
func (a *API) MasterKey(ctx context.Context) (string, error) {
	d, err := a.opts.Store.GetByKey(ctx, store.Key{Space: KeyMaster, Value: MasterValue})
	if isMissing(err) {
		return "", &bugle.Error{Op: "crossbar.MasterKey", Kind: bugle.KindNotFound,
			Message: "there is no master account yet; the first start of the server makes it"}
	}
	if err != nil {
		return "", err
	}
	acc, err := readAccount(d)
	if err != nil {
		return "", err
	}
	return a.opts.Sealer.Open(stringAt(acc.private, "api_key"), acc.id, "api_key")
}

// runPrivate stores a new document whose private part is given.
func (e *edit) runPrivate(doc, private map[string]any) error {
	e.doc, e.private = doc, private
	if err := e.req.api.schemas.apply(e.res.schema, e.doc).err(); err != nil {
		return err
	}
	return e.put()
}
