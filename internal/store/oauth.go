package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// OAuthSession is a login of a person, or of an account itself, by an app or by none.
type OAuthSession struct {
	ID        string
	AccountID string
	UserID    string // "": the account itself
	AppID     string // "": no app
	// Stamp is what the session hangs on. The store does not judge it.
	Stamp   string
	Created time.Time
	Expires time.Time // of the last refresh token
	Ended   time.Time // zero: not yet
}

// OAuthToken is something that a client holds, as it is kept: by its hash.
type OAuthToken struct {
	Hash      string // unique in the system
	Kind      string // "access", "refresh", "code", "socket"
	SessionID string // "": of a code that was not used
	Expires   time.Time
	Used      time.Time // of what is good for once; zero: not yet
	Detail    []byte    // a JSON object; nil means {}
}

const (
	sessionColumns = `id, account_id, user_id, app_id, stamp, created, expires, ended`
	tokenColumns   = `hash, kind, session_id, expires, used, detail`
)

// PutOAuthSession writes a session over the one of its id.
func (tx *Tx) PutOAuthSession(o OAuthSession) error {
	_, err := tx.t.exec(tx.ctx, `INSERT INTO oauth_sessions (`+sessionColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE `+
		`SET stamp = excluded.stamp, expires = excluded.expires, ended = excluded.ended`, o.ID, o.AccountID, o.UserID, clean(o.AppID), o.Stamp,
		micro(o.Created), micro(o.Expires), micro(o.Ended))
	return tx.fail("store.PutOAuthSession", err)
}

// AddOAuthTokens writes tokens.
func (tx *Tx) AddOAuthTokens(tokens ...OAuthToken) error {
	for i := range tokens {
		k := &tokens[i]
		if _, err := tx.t.exec(tx.ctx, `INSERT INTO oauth_tokens (`+tokenColumns+`) VALUES (?, ?, ?, ?, ?, ?)`, k.Hash, k.Kind, k.SessionID,
			micro(k.Expires), micro(k.Used), string(orObject(k.Detail))); err != nil {
			return tx.fail("store.AddOAuthTokens", err)
		}
	}
	return nil
}

func orObject(detail []byte) []byte {
	if len(detail) == 0 {
		return []byte("{}")
	}
	return detail
}

// UseOAuthToken marks a token as used and reports whether it was not before; of two transactions one is the first.
// A session that is not "" is noted as the one that the token led to.
func (tx *Tx) UseOAuthToken(hash, sessionID string) (first bool, err error) {
	n, err := tx.t.exec(tx.ctx, `UPDATE oauth_tokens SET used = ?, session_id = CASE WHEN ? = '' THEN session_id ELSE ? END `+
		`WHERE hash = ? AND used = 0`, tx.at.UnixMicro(), sessionID, sessionID, clean(hash))
	return n == 1, tx.fail("store.UseOAuthToken", err)
}

// EndOAuthSession ends a session, and with it all that clients hold of it; ending it again is no error.
func (tx *Tx) EndOAuthSession(id string) error {
	_, err := tx.t.exec(tx.ctx, `UPDATE oauth_sessions SET ended = ? WHERE id = ? AND ended = 0`, tx.at.UnixMicro(), clean(id))
	return tx.fail("store.EndOAuthSession", err)
}

// OAuthToken returns a token of a kind with its session, which may have ended; KindNotFound when there is no such token. The
// session of a code that was not used is empty.
func (s *Store) OAuthToken(ctx context.Context, kind, hash string) (k OAuthToken, o OAuthSession, err error) {
	if !texts(kind, hash) {
		return k, o, notFound("store.OAuthToken", "token")
	}
	var expires, used int64
	err = s.readable().row(ctx, `SELECT `+tokenColumns+` FROM oauth_tokens WHERE hash = ? AND kind = ?`, hash, kind).Scan(&k.Hash, &k.Kind,
		&k.SessionID, &expires, &used, &k.Detail)
	if errors.Is(err, sql.ErrNoRows) {
		return k, o, notFound("store.OAuthToken", "token")
	}
	if err != nil {
		return k, o, s.fail("store.OAuthToken", err)
	}
	k.Expires, k.Used = timeOf(expires), timeOf(used)
	if k.SessionID != "" {
		o, err = s.OAuthSession(ctx, k.SessionID)
	}
	return k, o, err
}

// OAuthSession returns a session, which may have ended, else KindNotFound.
func (s *Store) OAuthSession(ctx context.Context, id string) (o OAuthSession, err error) {
	if !text(id) {
		return o, notFound("store.OAuthSession", "session")
	}
	var created, expires, ended int64
	err = s.readable().row(ctx, `SELECT `+sessionColumns+` FROM oauth_sessions WHERE id = ?`, id).Scan(&o.ID, &o.AccountID, &o.UserID, &o.AppID,
		&o.Stamp, &created, &expires, &ended)
	if errors.Is(err, sql.ErrNoRows) {
		err = notFound("store.OAuthSession", "session")
	}
	o.Created, o.Expires, o.Ended = timeOf(created), timeOf(expires), timeOf(ended)
	return o, s.fail("store.OAuthSession", err)
}

// SweepOAuth removes the tokens and sessions that expired before a time, in small transactions.
func (s *Store) SweepOAuth(ctx context.Context, before time.Time) error {
	for _, query := range [...]string{
		`DELETE FROM oauth_tokens WHERE hash IN (SELECT hash FROM oauth_tokens WHERE expires < ? LIMIT ? + 0)`,
		`DELETE FROM oauth_sessions WHERE id IN (SELECT id FROM oauth_sessions WHERE expires < ? LIMIT ? + 0)`} {
		if _, err := s.sweepRows(ctx, query, before); err != nil {
			return s.fail("store.SweepOAuth", err)
		}
	}
	return nil
}

// ExtendOAuthSession sets until when the last refresh token of a session is good.
func (tx *Tx) ExtendOAuthSession(id string, expires time.Time) error {
	_, err := tx.t.exec(tx.ctx, `UPDATE oauth_sessions SET expires = ? WHERE id = ?`, micro(expires), clean(id))
	return tx.fail("store.ExtendOAuthSession", err)
}
