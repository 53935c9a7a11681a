package ringcentral

import (
	"net/http"
	"net/url"

	"bugle"
	"bugle/internal/store"
)

// byRefresh gives new tokens for a refresh token, which is good once: whoever presents one again ends the session, because one
// of the two who did has stolen it. RFC 9700 §4.14.2
func (c *call) byRefresh(form url.Values, app App) (*answer, error) {
	s := c.server
	hash := hashOf(form.Get("refresh_token"))
	kept, session, err := s.opts.Store.OAuthToken(c.ctx, tokenRefresh, hash)
	unknown := invalidGrant("OAU-213", "Token not found")
	if err != nil && bugle.KindOf(err) == bugle.KindNotFound {
		return nil, unknown
	}
	if err != nil {
		return nil, err
	}
	switch {
	case session.AppID != app.ID:
		return nil, invalidGrant("OAU-213", "The refresh token is of another application")
	case !session.Ended.IsZero():
		return nil, invalidGrant("OAU-213", "Token not found: the session has ended")
	case !kept.Used.IsZero():
		return nil, c.reused(session.ID)
	case !s.opts.Now().Before(kept.Expires):
		return nil, invalidGrant("OAU-210", "The refresh token is over")
	}
	if _, err := s.judge(c.ctx, session.ID); err != nil {
		switch f := faultOf(err); {
		case unauthorized(f.err):
			return nil, notThere(err)
		case f.status == http.StatusUnauthorized:
			return nil, invalidGrant(f.code, f.message)
		}
		return nil, err
	}
	access, refresh := lives(form)
	now, given := s.opts.Now(), tokens{newSecret(), newSecret(), access, refresh}
	session.Expires = now.Add(refresh)
	first := false
	err = s.opts.Store.Write(c.ctx, func(tx *store.Tx) error {
		var err error
		if first, err = tx.UseOAuthToken(hash, ""); err != nil || !first {
			return err
		}
		if err := tx.ExtendOAuthSession(session.ID, session.Expires); err != nil {
			return err
		}
		return given.add(tx, session.ID, now)
	})
	if err != nil {
		return nil, err
	}
	if !first {
		return nil, c.reused(session.ID)
	}
	return c.granted(session, app, given)
}

func (c *call) reused(sessionID string) error {
	c.server.opts.Log.Warn("ringcentral: a refresh token was used twice, its session is ended", "session", sessionID)
	if err := c.server.opts.Store.Write(c.ctx, func(tx *store.Tx) error { return tx.EndOAuthSession(sessionID) }); err != nil {
		return err
	}
	return invalidGrant("OAU-213", "The refresh token was used before; its session is ended")
}

// revoke ends the session of an access or refresh token, RFC 7009 §2.1: who presents the token may, and a token that is not known
// is as good as revoked.
func (c *call) revoke() (*answer, error) {
	form, err := c.form()
	if err != nil {
		return nil, err
	}
	app, known, err := c.client(form)
	if err != nil {
		return nil, err
	}
	token := form.Get("token")
	if token == "" {
		token = c.http.URL.Query().Get("token")
	}
	if token == "" {
		return nil, refuseToken(http.StatusBadRequest, "OAU-250", "invalid_request", "token is required")
	}
	for _, kind := range [...]string{tokenAccess, tokenRefresh} {
		_, session, err := c.server.opts.Store.OAuthToken(c.ctx, kind, hashOf(token))
		if err != nil && bugle.KindOf(err) == bugle.KindNotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		if session.AppID != "" && (!known || app.ID != session.AppID) {
			return nil, refuseToken(http.StatusUnauthorized, "OAU-127", "invalid_client", "The token is of another application")
		}
		if err := c.server.opts.Store.Write(c.ctx, func(tx *store.Tx) error { return tx.EndOAuthSession(session.ID) }); err != nil {
			return nil, err
		}
		break
	}
	return &answer{status: http.StatusOK}, nil
}

// socketToken answers with what opens a socket.
func (c *call) socketToken() (*answer, error) {
	if !c.who.may(permSocket) {
		return nil, noPermission("SUB-528", permSocket)
	}
	token := newSecret()
	now := c.server.opts.Now()
	err := c.server.opts.Store.Write(c.ctx, func(tx *store.Tx) error {
		return tx.AddOAuthTokens(store.OAuthToken{Hash: hashOf(token), Kind: tokenSocket, SessionID: c.who.session.ID, Expires: now.Add(socketLife)})
	})
	if err != nil {
		return nil, err
	}
	at, err := url.Parse(c.base())
	if err != nil {
		return nil, err
	}
	at.Scheme, at.Path = map[string]string{"http": "ws", "https": "wss"}[at.Scheme], "/ws"
	return ok(map[string]any{"uri": at.String(), "ws_access_token": token, "expires_in": int(socketLife.Seconds())})
}
