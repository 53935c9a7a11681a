package crossbar

import (
	"net/http"
	"slices"
)

// impersonate answers PUT /accounts/{A}/users/{U}/user_auth: an administrator of an account above, or of the master,
// gets a token of a user below.
func (req *request) impersonate() (*reply, error) {
	data, err := req.object()
	if err != nil {
		return nil, err
	}
	if action := stringAt(data, "action"); action != "impersonate_user" {
		return nil, oneError("action", "enum", "action must be impersonate_user", clip(action, 64))
	}
	who := req.identity
	if !who.admin || !who.account.master && !slices.Contains(req.account.tree, who.account.id) {
		return nil, &fault{status: http.StatusForbidden, message: "forbidden",
			data: say("only an administrator of an account above takes a user's place")}
	}
	id := req.route.parentID
	d, err := req.api.get(req.ctx, req.account.id, TypeUser, id)
	if err != nil {
		return nil, req.missing(err, id)
	}
	by := who.userID
	if by == "" {
		by = who.account.id
	}
	answer, err := req.issueFor(req.account, claims{AccountID: req.account.id, OwnerID: d.ID, Method: "impersonate_user",
		ImpersonatedBy: by})
	if f, ok := err.(*fault); ok && f.status == http.StatusUnauthorized {
		return nil, oneError("user", "disabled", "the user or the account is disabled", id)
	}
	if err != nil {
		return nil, err
	}
	req.log().Warn("a user is impersonated", "account", req.account.id, "user", id, "by", by, "by_account", who.account.id,
		"client", req.client.String())
	return answer, nil
}
