package crossbar

import (
	"bytes"
	"net/http"
	"slices"

	"bugle/internal/store"
)

// selfService says what a user without priv_level admin may do with a resource of the own account. KAZOO lets every
// user edit everything; here the role means something.
type selfService struct {
	list       bool                                        // the list may be read
	summary    []string                                    // keys of its rows that are shown; empty for all
	ownedIndex string                                      // narrows the list to what the user owns
	read       bool                                        // every document may be read
	owned      func(d *store.Document, userID string) bool // these may be read and edited
	paths      []string                                    // below a document that is the user's own, where every verb may be used
	shared     []string                                    // below the noun, what every user of the account may read
	byParent   bool                                        // what is below a noun that is the user's own is the user's
	fixed      []string                                    // dotted paths that an edit must leave as they are
}

// serveSelf refuses what a plain user may not do.
func (req *request) serveSelf() error {
	res := req.route.resource
	if !req.route.scoped {
		if res.leading && res.typ == "" { // a token's own details
			return nil
		}
		return forbidden()
	}
	if req.account.id != req.identity.account.id || res.self == nil {
		return forbidden()
	}
	owner, id := res, req.route.arg()
	switch {
	case req.route.parent != "" && res.self.byParent:
		owner, id = req.api.resources[req.route.parent], req.route.parentID
	case slices.Contains(res.self.paths, req.route.endpoint.path):
	case req.route.endpoint.path == "" && req.verb == http.MethodGet && res.self.list &&
		(req.route.parent == "" || req.route.parentID == req.identity.userID):
		return nil
	case slices.Contains(res.self.shared, req.route.endpoint.path) && req.verb == http.MethodGet:
		return nil
	case req.route.endpoint.path != "{id}":
		return forbidden()
	case req.verb == http.MethodGet && res.self.read:
		return nil
	case res.self.owned == nil || req.verb != http.MethodGet && req.verb != http.MethodPost && req.verb != http.MethodPatch:
		return forbidden()
	}
	d, err := req.api.get(req.ctx, req.account.id, owner.typ, id)
	if err != nil {
		return req.missing(err, id)
	}
	if owner.self == nil || owner.self.owned == nil || !owner.self.owned(&d, req.identity.userID) {
		return forbidden()
	}
	return nil
}

// keepSecrets restores what a plain user could not read and therefore did not send back.
func (e *edit) keepSecrets() {
	if e.how != replacing || e.req.mayReadSecrets() {
		return
	}
	for _, path := range e.res.secretsIn(e.before) {
		if _, sent := lookUp(e.doc, path); !sent {
			if kept := stringAt(e.before, path); kept != "" {
				setAt(e.doc, path, kept)
			}
		}
	}
}

// fixed refuses an edit by a plain user of what only an administrator changes.
func (e *edit) fixed() error {
	if e.req.identity.admin || e.res.self == nil {
		return nil
	}
	for _, path := range e.res.self.fixed {
		old, _ := lookUp(e.before, path)
		now, _ := lookUp(e.doc, path)
		if !bytes.Equal(appendTree(nil, old), appendTree(nil, now)) {
			return &fault{status: http.StatusForbidden, message: "forbidden", data: say("only an administrator changes " + path)}
		}
	}
	return nil
}
