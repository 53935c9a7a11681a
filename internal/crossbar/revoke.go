package crossbar

import (
	"encoding/json"
	"net/http"
	"strconv"

	"bugle/internal/store"
)

// maxRevoked is how many tokens of one user are remembered as ended, an hour each; one more ends them all.
const maxRevoked = 500

// revoked reports whether a token was ended by DELETE. The list is in the private part of whom the token is for, which
// every request reads anyway.
func (who *identity) revoked(tokenID string) bool {
	list, _ := who.private["revoked"].(map[string]any)
	_, ended := list[tokenID]
	return ended
}

// endToken answers DELETE /token_auth: this token is good for nothing from now on.
func (req *request) endToken() (*reply, error) {
	who := req.identity
	if who.claims.ID == "" {
		return nil, oneError("auth_token", "invalid", "There is no token to end: the request was made with Basic", nil)
	}
	typ, id := TypeAccount, who.account.id
	if who.userID != "" {
		typ, id = TypeUser, who.userID
	}
	err := req.api.opts.Store.Write(req.ctx, func(tx *store.Tx) error {
		d, err := tx.Get(who.account.id, typ, id)
		if err != nil {
			return req.missing(err, id)
		}
		private, err := parseObject(d.Private)
		if err != nil {
			return err
		}
		list := map[string]any{who.claims.ID: json.Number(strconv.FormatInt(who.claims.ExpiresAt.Unix(), 10))}
		old, _ := private["revoked"].(map[string]any)
		for token, expiry := range old {
			n, _ := expiry.(json.Number)
			if at, err := n.Int64(); err == nil && at >= req.started.Unix() {
				list[token] = expiry
			}
		}
		if len(list) > maxRevoked {
			list = map[string]any{}
			if private["token_secret"], err = req.api.newTokenSecret(id); err != nil {
				return err
			}
		}
		private["revoked"] = list
		d.Private = appendTree(nil, private)
		return tx.Put(&d, d.Rev)
	})
	if err != nil {
		return nil, err
	}
	token := req.token
	req.token = ""
	return &reply{status: http.StatusOK, data: appendTree(nil, map[string]any{"auth_token": token})}, nil
}

// tokenDetails answers GET /user_auth/{token}: whose a token is, to whoever has it.
func (req *request) tokenDetails() (*reply, error) {
	who, err := req.api.verify(req.ctx, req.route.arg())
	if err != nil {
		return nil, err
	}
	return &reply{status: http.StatusOK, data: appendTree(nil, who.describe(req.api))}, nil
}
