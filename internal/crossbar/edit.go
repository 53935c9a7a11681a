package crossbar

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"bugle"
	"bugle/internal/store"
)

// edit is one document on its way into the store: what was there, what shall be there, and what is wrong with it.
type edit struct {
	req      *request
	res      *resource
	tx       *store.Tx
	how      mode
	id       string
	owner    *account        // the account that the document belongs to; of a new account, itself
	stored   *store.Document // as it was, nil when it is new
	before   map[string]any  // its public part with opened secrets, nil when it is new
	doc      map[string]any  // the public part to be, secrets open
	private  map[string]any  // the private part to be
	errs     fieldErrors
	prepared any // what resource.prepare returned

	result store.Document
}

// errAgain asks for another attempt: what prepare worked from has changed meanwhile.
var errAgain = errors.New("crossbar: the document changed while the request was prepared")

const writeAttempts = 8

// accountOf is the account id under which a resource's documents of this request are kept.
func (req *request) accountOf(res *resource, id string) string {
	if res.typ == TypeAccount {
		return id
	}
	return req.account.id
}

// create answers PUT on a list.
func (req *request) create(res *resource) (*reply, error) {
	data, err := req.document()
	if err != nil {
		return nil, err
	}
	id := bugle.NewID()
	if given, ok := data["id"]; ok {
		wanted, _ := given.(string)
		if !bugle.ValidID(wanted) {
			return nil, oneError("id", "invalid", "An id has 32 characters 0-9 and a-f", given)
		}
		id = wanted
	}
	e, err := req.write(res, id, creating, data)
	if err != nil {
		return nil, err
	}
	answer, err := e.answer()
	if err != nil {
		return nil, err
	}
	answer.status = http.StatusCreated
	answer.location = req.createdPath(res, id)
	return answer, nil
}

func (req *request) createdPath(res *resource, id string) string {
	switch {
	case res.typ == TypeAccount:
		return "/v2/accounts/" + id
	case res.ofMaster:
		return "/v2/" + res.noun + "/" + id
	case res.nested:
		return "/v2/accounts/" + req.account.id + "/" + req.route.parent + "/" + req.route.parentID + "/" + res.noun + "/" + id
	}
	return "/v2/accounts/" + req.account.id + "/" + res.noun + "/" + id
}

// change answers POST and PATCH on a document.
func (req *request) change(res *resource, how mode) (*reply, error) {
	id := req.route.arg()
	data, err := req.document()
	if err != nil {
		return nil, err
	}
	if given, ok := data["id"]; ok && given != any(id) {
		return nil, oneError("id", "invalid", "The id must be the one in the path", given)
	}
	e, err := req.write(res, id, how, data)
	if err != nil {
		return nil, err
	}
	return e.answer()
}

func oneError(path, code, message string, value any) error {
	errs := fieldErrors{}
	errs.add(path, code, map[string]any{"message": message, "value": shown(value)})
	return errs.fault()
}

// write runs the edit in one transaction, again when it lost against another.
func (req *request) write(res *resource, id string, how mode, data map[string]any) (*edit, error) {
	var e *edit
	var err error
	for range writeAttempts {
		var prepared any
		if res.prepare != nil {
			if prepared, err = res.prepare(req, id, how, data); err != nil {
				return nil, err
			}
		}
		err = req.api.opts.Store.Write(req.ctx, func(tx *store.Tx) error {
			e = &edit{req: req, res: res, tx: tx, how: how, id: id, owner: req.account, errs: fieldErrors{},
				prepared: prepared}
			return e.run(data)
		})
		if err == nil {
			req.api.parsed.renew(&e.result)
			if res.written != nil {
				res.written(req, e.before, e.doc)
			}
			return e, nil
		}
		if bugle.KindOf(err) == bugle.KindUnique {
			if conflicts := e.conflicts(err); conflicts != nil {
				return nil, conflicts
			}
			continue // whoever held the value has let go of it
		}
		if !errors.Is(err, errAgain) && bugle.KindOf(err) != bugle.KindConflict {
			return nil, err
		}
	}
	if errors.Is(err, errAgain) {
		err = &bugle.Error{Op: "crossbar.write", Kind: bugle.KindConflict, Err: err}
	}
	return nil, err
}

func (e *edit) run(data map[string]any) error {
	doc := cloneTree(data).(map[string]any)
	delete(doc, "id")
	dropPrivate(doc)
	for _, key := range e.res.computed {
		delete(doc, key)
	}
	e.doc, e.private = doc, map[string]any{}
	if e.how == creating {
		if err := e.ownerLives(); err != nil {
			return err
		}
	} else {
		if err := e.load(); err != nil {
			return err
		}
		switch e.how {
		case merging:
			e.doc = cloneTree(e.before).(map[string]any)
			mergeTree(e.doc, doc)
		case setting:
			e.doc = cloneTree(e.before).(map[string]any)
			setKeys(e.doc, doc)
		}
	}
	if e.res.parentKey != "" {
		e.doc[e.res.parentKey] = e.req.route.parentID
	}
	e.keepSecrets()
	if e.res.complete != nil {
		if err := e.res.complete(e); err != nil {
			return err
		}
	}
	if e.res.schema != "" {
		for path, codes := range e.req.api.schemas.apply(e.res.schema, e.doc) {
			for code, detail := range codes {
				e.errs.add(path, code, detail)
			}
		}
	}
	if e.req.needsBody && !e.req.bodied {
		e.errs.add("data", "required", map[string]any{"message": "Field is required but missing: the request has no body"})
	}
	e.checkAddresses()
	if slices.Contains(metaflowTypes[:], e.res.typ) {
		e.checkMetaflows()
	}
	if e.res.check != nil {
		if err := e.res.check(e); err != nil {
			return err
		}
	}
	if err := e.errs.err(); err != nil {
		return err
	}
	if err := e.fixed(); err != nil {
		return err
	}
	if err := e.put(); err != nil || e.res.along == nil {
		return err
	}
	return e.res.along(e)
}

// ownerLives refuses what would come into an account, or below it, that was deleted since the request began.
func (e *edit) ownerLives() error {
	d, err := e.tx.Get(e.owner.id, TypeAccount, e.owner.id)
	if err != nil {
		return e.req.missing(err, e.owner.id)
	}
	owner, err := parsedAs(&e.req.api.parsed, d, readAccount)
	if err == nil && boolAt(owner.private, privateClosing, false) {
		err = badIdentifier(e.owner.id)
	}
	if err == nil {
		e.owner = owner // it may have moved since the request began
	}
	if err == nil && e.res.parentKey != "" {
		_, err = e.tx.Get(e.owner.id, e.req.api.resources[e.req.route.parent].typ, e.req.route.parentID)
		err = e.req.missing(err, e.req.route.parentID)
	}
	return err
}

// load reads what is there and checks the client's precondition.
func (e *edit) load() error {
	d, err := e.tx.Get(e.req.accountOf(e.res, e.id), e.res.typ, e.id)
	if err != nil {
		return e.req.missing(err, e.id)
	}
	if err := e.req.inParent(e.res, &d); err != nil {
		return err
	}
	e.stored = &d
	if e.before, err = e.req.api.opened(e.res, &d); err != nil {
		return err
	}
	if len(d.Private) > 0 {
		if e.private, err = parseObject(d.Private); err != nil {
			return err
		}
	}
	return nil
}

// missing turns the store's KindNotFound into KAZOO's body.
func (req *request) missing(err error, id string) error {
	if bugle.KindOf(err) == bugle.KindNotFound {
		return badIdentifier(id)
	}
	return err
}

// opened is the public part of a stored document with its secrets readable.
func (a *API) opened(res *resource, d *store.Document) (map[string]any, error) {
	doc, err := parseObject(d.Body)
	if err != nil {
		return nil, err
	}
	for _, path := range res.secretsIn(doc) {
		if sealed := stringAt(doc, path); sealed != "" {
			plain, err := a.opts.Sealer.Open(sealed, d.ID, path)
			if err != nil {
				return nil, &bugle.Error{Op: "crossbar.opened", Message: "secret " + path + " of " + d.ID, Err: err}
			}
			setAt(doc, path, plain)
		}
	}
	return doc, nil
}

// sealed is doc as it is stored. A secret that did not change keeps its sealed form.
func (e *edit) sealed() (map[string]any, error) {
	secrets := e.res.secretsIn(e.doc)
	if !slices.ContainsFunc(secrets, func(path string) bool { return stringAt(e.doc, path) != "" }) {
		return e.doc, nil
	}
	doc := cloneTree(e.doc).(map[string]any)
	var old map[string]any
	if e.stored != nil {
		var err error
		if old, err = parseObject(e.stored.Body); err != nil {
			return nil, err
		}
	}
	for _, path := range secrets {
		plain := stringAt(doc, path)
		if plain == "" {
			continue
		}
		if e.before != nil && stringAt(e.before, path) == plain {
			setAt(doc, path, stringAt(old, path))
			continue
		}
		sealed, err := e.req.api.opts.Sealer.Seal(plain, e.id, path)
		if err != nil {
			return nil, err
		}
		setAt(doc, path, sealed)
	}
	return doc, nil
}

func (e *edit) put() error {
	rev := ""
	if e.stored != nil {
		rev = e.stored.Rev
	}
	if err := e.req.precondition(rev); err != nil {
		return err
	}
	return e.store(rev)
}

// store writes the document over revision rev.
func (e *edit) store(rev string) error {
	body, err := e.sealed()
	if err != nil {
		return err
	}
	d := store.Document{AccountID: e.req.accountOf(e.res, e.id), Type: e.res.typ, ID: e.id, Body: appendTree(nil, body)}
	if len(e.private) > 0 {
		d.Private = appendTree(nil, e.private)
	}
	if e.res.keys != nil {
		d.Keys = distinct(e.res.keys(e))
	}
	if e.res.index != nil {
		d.Index = e.res.index(e)
	}
	d.Index = distinct(append(d.Index, referenceIndex(e.res, e.doc)...))
	if e.res.order != nil {
		d.SortKey = e.res.order(e)
	}
	e.result = d
	return e.tx.Put(&e.result, rev)
}

func distinct[T comparable](list []T) []T {
	seen := make(map[T]bool, len(list))
	out := list[:0]
	for _, v := range list {
		if !seen[v] {
			seen[v] = true
			out = append(out, v)
		}
	}
	return out
}

// conflicts says which of the document's unique values are taken, all of them. It returns nil when none is any more.
func (e *edit) conflicts(err error) error {
	var unique *bugle.Error
	if errors.As(err, &unique) && unique.Field == "id" {
		return oneError("id", "unique", "The id is taken", e.id)
	}
	errs := fieldErrors{}
	for _, key := range e.result.Keys {
		holder, err := e.req.api.opts.Store.GetByKey(e.req.ctx, key)
		if bugle.KindOf(err) == bugle.KindNotFound && err != nil || err == nil && holder.ID == e.id {
			continue
		}
		if err != nil {
			return err
		}
		path, detail := key.Space, map[string]any{"message": "Value is taken", "cause": key.Value}
		if e.res.taken != nil {
			if p, d := e.res.taken(key, &holder); p != "" {
				path, detail = p, d
			}
		}
		errs.add(path, "unique", detail)
	}
	return errs.err()
}

// answer is the document after the write.
func (e *edit) answer() (*reply, error) {
	if !e.req.mayReadSecrets() {
		for _, path := range e.res.secrets {
			removeAt(e.doc, path)
		}
	}
	return e.req.documentReply(e.res, &e.result, e.doc)
}

// documentReply finishes a document for its reader: computed keys, id, revision.
func (req *request) documentReply(res *resource, d *store.Document, doc map[string]any) (*reply, error) {
	if res.compose != nil {
		if err := res.compose(req, d, doc); err != nil {
			return nil, err
		}
	}
	if err := req.tellMissing(res, d, doc); err != nil {
		return nil, err
	}
	doc["id"] = d.ID
	return &reply{status: http.StatusOK, data: appendTree(nil, doc), revision: d.Rev}, nil
}

// mayReadSecrets: a plain user reads nobody's sip.password.
func (req *request) mayReadSecrets() bool { return req.identity != nil && req.identity.admin }

// fetch answers GET on a document.
func (req *request) fetch(res *resource) (*reply, error) {
	id := req.route.arg()
	d, err := req.api.get(req.ctx, req.accountOf(res, id), res.typ, id)
	if err != nil {
		return nil, req.missing(err, id)
	}
	if err := req.inParent(res, &d); err != nil {
		return nil, err
	}
	return req.documentOrNotModified(res, &d)
}

func (req *request) documentOrNotModified(res *resource, d *store.Document) (*reply, error) {
	if res.compose == nil && !refers(d) && req.matches(d.Rev) {
		return &reply{status: http.StatusNotModified, revision: d.Rev}, nil
	}
	if res.compose == nil && len(res.secrets) == 0 && !refers(d) && len(d.Body) > 2 && d.Body[0] == '{' {
		data := make([]byte, 0, len(d.Body)+44)
		data = append(append(append(data, `{"id":"`...), d.ID...), `",`...)
		return &reply{status: http.StatusOK, data: append(data, d.Body[1:]...), revision: d.Rev}, nil
	}
	doc, err := req.readable(res, d)
	if err != nil {
		return nil, err
	}
	answer, err := req.documentReply(res, d, doc)
	if err != nil {
		return nil, err
	}
	_, told := doc["_read_only"]
	req.tag(answer, told || res.compose != nil)
	return answer, nil
}

// readable is a document as this reader may see it.
func (req *request) readable(res *resource, d *store.Document) (map[string]any, error) {
	if req.mayReadSecrets() {
		return req.api.opened(res, d)
	}
	doc, err := parseObject(d.Body)
	if err != nil {
		return nil, err
	}
	for _, path := range res.secrets {
		removeAt(doc, path)
	}
	return doc, nil
}

// gregorian is a time as KAZOO counts it, in seconds of the year 0.
func gregorian(t time.Time) int64 { return t.Unix() + 62167219200 }
