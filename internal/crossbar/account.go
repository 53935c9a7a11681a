package crossbar

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"bugle/internal/store"
)

// realmSuffix ends the realms that bugle makes up. RFC 2606 §2: no such domain exists.
const realmSuffix = ".bugle.invalid"

func accounts() *resource {
	r := &resource{noun: "accounts", typ: TypeAccount, schema: "accounts", leading: true,
		about: "PUT on an account creates one below it, PUT on the list one below the token's own. A token reaches its account " +
			"and all below. An account with `enabled` false hands out no tokens and ends those it gave; whoever is above still reaches it. " +
			"`move` with `{\"to\": \"<account id>\"}` puts an account, and all below it, below another; both must be below the token's account, or " +
			"`to` be it. `siblings` is for whoever is above. DELETE refuses (409) while there are accounts below, and deletes everything inside. " +
			"PUT on `api_key` makes a new key and ends the old one with all tokens got by it.",
		summary: func(doc map[string]any) map[string]any {
			row := pick(doc, "name", "realm", "enabled")
			row["flags"] = []any{}
			if flags, ok := doc["flags"].([]any); ok {
				row["flags"] = flags
			}
			return row
		},
		summaryKeys: []string{"name", "realm", "enabled", "flags"},
		order: func(e *edit) []byte {
			return e.req.api.collators.key(stringAt(e.doc, "language"), stringAt(e.doc, "name"))
		},
		complete:   completeAccount,
		references: refersTo("preflow.always", "music_on_hold.media_id"),
		check:      checkAccount,
		written: func(req *request, before, after map[string]any) {
			if before != nil && after != nil && !boolAt(after, "enabled", true) {
				req.flush("") // its phones may not register again either
			}
		},
		keys:  accountKeys,
		index: accountIndex,
		taken: func(key store.Key, _ *store.Document) (string, map[string]any) {
			switch key.Space {
			case KeyRealm:
				return "realm", map[string]any{"message": "Account realm already in use", "cause": key.Value}
			case KeyName:
				return "name", map[string]any{"message": "Account name already in use", "cause": key.Value}
			}
			return "", nil
		},
	}
	descendants := func(index string) map[string]operation {
		return map[string]operation{http.MethodGet: {run: func(req *request) (*reply, error) {
			return req.listOf(r, store.Query{Type: TypeAccount, Index: &store.Index{Name: index, Value: req.account.id}})
		}}}
	}
	r.endpoints = []endpoint{
		{path: "", ops: map[string]operation{
			http.MethodGet: {run: func(req *request) (*reply, error) {
				if !req.identity.account.master {
					return nil, forbidden()
				}
				return req.listOf(r, store.Query{Type: TypeAccount})
			}},
			http.MethodPut: {run: func(req *request) (*reply, error) {
				req.account = req.identity.account
				return req.createAccount(r)
			}}}},
		{path: "{id}", ops: map[string]operation{
			http.MethodGet:    {run: func(req *request) (*reply, error) { return req.documentOrNotModified(r, &req.account.doc) }},
			http.MethodPut:    {run: func(req *request) (*reply, error) { return req.createAccount(r) }},
			http.MethodPost:   {run: func(req *request) (*reply, error) { return req.change(r, replacing) }},
			http.MethodPatch:  {run: func(req *request) (*reply, error) { return req.change(r, merging) }},
			http.MethodDelete: {run: func(req *request) (*reply, error) { return req.removeAccount(r) }, tries: true}}},
		{path: "{id}/children", ops: descendants(IndexParent)},
		{path: "{id}/descendants", ops: descendants(IndexAncestor)},
		{path: "{id}/siblings", ops: map[string]operation{http.MethodGet: {run: func(req *request) (*reply, error) {
			parent, err := req.parentBelow()
			if err != nil {
				return nil, err
			}
			return req.listOf(r, store.Query{Type: TypeAccount, Index: &store.Index{Name: IndexParent, Value: parent}})
		}}}},
		{path: "{id}/move", ops: map[string]operation{http.MethodPost: {run: func(req *request) (*reply, error) { return req.moveAccount(r) }}}},
		{path: "{id}/parents", ops: map[string]operation{http.MethodGet: {run: (*request).accountParents}}},
		{path: "{id}/tree", ops: map[string]operation{http.MethodGet: {run: (*request).accountParents}}},
		{path: "{id}/api_key", ops: map[string]operation{
			http.MethodGet: {run: (*request).readAPIKey}, http.MethodPut: {run: (*request).renewAPIKey}}},
	}
	return r
}

// createAccount makes a child of the account of the path.
func (req *request) createAccount(res *resource) (*reply, error) {
	parent := req.account
	answer, err := req.create(res)
	if err != nil {
		return nil, err
	}
	req.log().Info("account created", "parent", parent.id)
	return answer, nil
}

// normalName is an account's name as logins compare it.
func normalName(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
}

func completeAccount(e *edit) error {
	if e.how == creating {
		parent := e.owner
		tree := make([]any, 0, len(parent.tree)+1)
		for _, id := range parent.tree {
			tree = append(tree, id)
		}
		e.private["tree"] = append(tree, parent.id)
		if err := e.req.api.newAccountSecrets(e.id, e.private, randomHex(32)); err != nil {
			return err
		}
	}
	if realm, ok := e.doc["realm"].(string); ok {
		e.doc["realm"] = strings.ToLower(realm)
	} else if _, given := e.doc["realm"]; !given {
		e.doc["realm"] = randomText(10) + realmSuffix
		if e.before != nil {
			e.doc["realm"] = stringAt(e.before, "realm")
		}
	}
	return nil
}

// newAccountSecrets fills the private part of a new account.
func (a *API) newAccountSecrets(id string, private map[string]any, apiKey string) error {
	private["salt"] = randomHex(16)
	secret, err := a.newTokenSecret(id)
	if err != nil {
		return err
	}
	private["token_secret"] = secret
	return a.setAPIKey(id, private, apiKey)
}

func (a *API) setAPIKey(id string, private map[string]any, apiKey string) error {
	sealed, err := a.opts.Sealer.Seal(apiKey, id, "api_key")
	if err != nil {
		return err
	}
	private["api_key"], private["api_key_hash"] = sealed, hashKey(apiKey)
	return nil
}

func checkAccount(e *edit) error {
	if name := stringAt(e.doc, "name"); name != "" && normalName(name) == "" {
		e.errs.add("name", "invalid", map[string]any{"message": "A name needs a letter or a digit", "value": name})
	}
	plan, _ := e.doc["dial_plan"].(map[string]any)
	for pattern := range plan {
		if pattern == "system" {
			continue
		}
		if _, err := regexp.Compile(pattern); err != nil || len(pattern) > 1000 {
			e.errs.add(fieldPath("dial_plan", pattern), "pattern", map[string]any{
				"message": "The key must be a regular expression (RE2) of at most 1000 characters", "value": clip(pattern, 1000)})
		}
	}
	return nil
}

func accountKeys(e *edit) []store.Key {
	keys := []store.Key{{Space: KeyRealm, Value: stringAt(e.doc, "realm")},
		{Space: KeyName, Value: normalName(stringAt(e.doc, "name"))},
		{Space: KeyAPIKey, Value: stringAt(e.private, "api_key_hash")}}
	if boolAt(e.private, "master", false) {
		keys = append(keys, store.Key{Space: KeyMaster, Value: MasterValue})
	}
	return keys
}

func accountIndex(e *edit) []store.Index {
	tree, _ := e.private["tree"].([]any)
	return treeIndex(tree)
}

// treeIndex finds an account by those above it, whose ids tree holds from the top.
func treeIndex(tree []any) []store.Index {
	var out []store.Index
	for i, id := range tree {
		id, _ := id.(string)
		out = append(out, store.Index{Name: IndexAncestor, Value: id})
		if i == len(tree)-1 {
			out = append(out, store.Index{Name: IndexParent, Value: id})
		}
	}
	return out
}

// accountParents lists the accounts above, from the top, as far down from the caller's own.
func (req *request) accountParents() (*reply, error) {
	rows := []any{}
	visible := req.identity.account.master
	for _, id := range req.account.tree {
		visible = visible || id == req.identity.account.id
		if !visible {
			continue
		}
		above, err := req.api.account(req.ctx, id)
		if err != nil {
			return nil, err
		}
		rows = append(rows, map[string]any{"id": id, "name": above.view.Name})
	}
	return req.listReply(appendTree(nil, rows), &page{whole: true}), nil
}

func (req *request) readAPIKey() (*reply, error) {
	if !req.mayReadSecrets() {
		return nil, forbidden()
	}
	key, err := req.api.opts.Sealer.Open(stringAt(req.account.private, "api_key"), req.account.id, "api_key")
	if err != nil {
		return nil, err
	}
	return &reply{status: http.StatusOK, data: appendTree(nil, map[string]any{"api_key": key})}, nil
}

// renewAPIKey replaces the key; the old one and the tokens got with it end.
func (req *request) renewAPIKey() (*reply, error) {
	if !req.mayReadSecrets() {
		return nil, forbidden()
	}
	key := randomHex(32)
	err := req.api.opts.Store.Write(req.ctx, func(tx *store.Tx) error {
		d, err := tx.Get(req.account.id, TypeAccount, req.account.id)
		if err != nil {
			return req.missing(err, req.account.id)
		}
		private, err := parseObject(d.Private)
		if err != nil {
			return err
		}
		if err := req.api.setAPIKey(d.ID, private, key); err != nil {
			return err
		}
		if private["token_secret"], err = req.api.newTokenSecret(d.ID); err != nil {
			return err
		}
		keys := make([]store.Key, 0, len(d.Keys))
		for _, k := range d.Keys {
			if k.Space == KeyAPIKey {
				k.Value = hashKey(key)
			}
			keys = append(keys, k)
		}
		d.Keys, d.Private = keys, appendTree(nil, private)
		return tx.Put(&d, d.Rev)
	})
	if err != nil {
		return nil, err
	}
	return &reply{status: http.StatusOK, data: appendTree(nil, map[string]any{"api_key": key})}, nil
}

// owned are the resources whose documents are inside an account, in the order in which they go with it: phones first.
func (a *API) owned() []*resource {
	var out []*resource
	for _, r := range a.table {
		switch r.typ {
		case "", TypeAccount:
		case TypeDevice:
			out = slices.Insert(out, 0, r)
		default:
			out = append(out, r)
		}
	}
	return out
}

// privateClosing marks an account that is being deleted: nothing new comes into it.
const privateClosing = "closing"

// removeAccount closes the account, deletes what is inside, in batches so that other writers are not kept waiting, and
// then the account. When it is cut off in the middle the account is still there, and the client repeats the request.
func (req *request) removeAccount(res *resource) (*reply, error) {
	if req.account.master {
		return nil, &fault{status: http.StatusForbidden, message: "forbidden", data: say("the master account cannot be deleted")}
	}
	id := req.account.id
	if req.dryRun() {
		return req.tryRemoveAccount(res)
	}
	if err := req.api.opts.Store.Write(req.ctx, req.closeAccount); err != nil {
		return nil, err
	}
	for _, inside := range req.api.owned() {
		if err := req.api.emptyAccount(req.ctx, id, inside); err != nil {
			return nil, err
		}
	}
	err := req.api.opts.Store.Write(req.ctx, func(tx *store.Tx) error {
		if _, err := tx.Delete(id, TypeAccount, id, store.AnyRev, false); err != nil {
			return req.missing(err, id)
		}
		return tx.RemoveMessages(id, "")
	})
	if err != nil {
		return nil, err
	}
	req.flush("")
	doc, err := req.readable(res, &req.account.doc)
	if err != nil {
		return nil, err
	}
	doc["id"], doc["_read_only"] = id, map[string]any{"deleted": true}
	return &reply{status: http.StatusOK, data: appendTree(nil, doc), revision: req.account.doc.Rev}, nil
}

// tryRemoveAccount tells what removeAccount would do, and how many documents of which type would go with the account.
func (req *request) tryRemoveAccount(res *resource) (*reply, error) {
	id, inside := req.account.id, map[string]any{}
	err := req.api.opts.Store.Write(req.ctx, func(tx *store.Tx) error {
		if err := req.closeAccount(tx); err != nil {
			return err
		}
		for _, r := range req.api.owned() {
			n, err := tx.Count(store.Query{AccountID: id, Type: r.typ})
			if err != nil {
				return err
			}
			if n > 0 {
				inside[r.typ] = int64(n)
			}
		}
		return errDryRun
	})
	if !errors.Is(err, errDryRun) {
		return nil, err
	}
	doc, err := req.readable(res, &req.account.doc)
	if err != nil {
		return nil, err
	}
	doc["id"], doc["_read_only"] = id, map[string]any{"deleted": false, "documents": inside}
	return &reply{status: http.StatusOK, data: appendTree(nil, doc), revision: req.account.doc.Rev}, nil
}

// closeAccount marks the account, unless there are accounts below it or the client's precondition fails.
func (req *request) closeAccount(tx *store.Tx) error {
	d, err := tx.Get(req.account.id, TypeAccount, req.account.id)
	if err != nil {
		return req.missing(err, req.account.id)
	}
	n, err := tx.Count(store.Query{Type: TypeAccount, Index: &store.Index{Name: IndexParent, Value: d.ID}})
	if err != nil {
		return err
	}
	if n > 0 {
		return &fault{status: http.StatusConflict, message: "account_has_descendants",
			data: say("delete the accounts below it first")}
	}
	if err := req.precondition(d.Rev); err != nil {
		return err
	}
	private, err := parseObject(d.Private)
	if err != nil || boolAt(private, privateClosing, false) {
		return err
	}
	private[privateClosing] = true
	d.Private = appendTree(nil, private)
	return tx.Put(&d, d.Rev)
}

func (a *API) emptyAccount(ctx context.Context, accountID string, res *resource) error {
	for {
		more := false
		err := a.opts.Store.Write(ctx, func(tx *store.Tx) error {
			docs, next, err := tx.List(store.Query{AccountID: accountID, Type: res.typ, Limit: 200})
			if err != nil {
				return err
			}
			more = next != nil
			for _, d := range docs {
				if _, err := tx.Delete(accountID, res.typ, d.ID, d.Rev, res.final); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || !more {
			return err
		}
	}
}

// flush forgets registrations after what they belong to has gone. A failure is not the client's: the registrar's own
// look at the documents refuses calls meanwhile.
func (req *request) flush(username string) {
	if req.api.opts.Registrations == nil {
		return
	}
	if _, err := req.api.opts.Registrations.FlushRegistrations(req.ctx, req.account.id, username); err != nil {
		req.log().Warn("registrations not flushed", "account", req.account.id, "error", err)
	}
}
