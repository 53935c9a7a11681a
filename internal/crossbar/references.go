package crossbar

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"bugle"
	"bugle/internal/store"
)

// reference is an id that a document names, and where.
type reference struct{ path, id string }

const (
	maxTold    = 500  // missing references, and referring documents, that one answer lists
	maxIndexed = 3000 // ids of one document by which it is found when they go
)

// refersTo are the ids at dotted paths. What is no id (a URL, a prompt) refers to nothing here.
func refersTo(paths ...string) func(doc map[string]any) []reference {
	return func(doc map[string]any) []reference {
		var out []reference
		for _, path := range paths {
			if id := stringAt(doc, path); bugle.ValidID(id) {
				out = append(out, reference{path, id})
			}
		}
		return out
	}
}

// memberReferences are, beside some paths, what members of directories name: the directories and their callflows.
func memberReferences(paths ...string) func(doc map[string]any) []reference {
	plain := refersTo(paths...)
	return func(doc map[string]any) []reference {
		out := plain(doc)
		listed, _ := doc["directories"].(map[string]any)
		for directory, callflow := range listed {
			for _, id := range [...]any{directory, callflow} {
				if id, _ := id.(string); bugle.ValidID(id) {
					out = append(out, reference{fieldPath("directories", directory), id})
				}
			}
		}
		loggedIn, _ := treeAt(doc, "hotdesk.users").(map[string]any)
		for user := range loggedIn {
			if bugle.ValidID(user) {
				out = append(out, reference{fieldPath("hotdesk", "users", user), user})
			}
		}
		return out
	}
}

// leaveDirectory takes a member out of a directory that goes, and a user who goes off the phones where they logged in. A
// membership whose callflow goes stays: the person is still in the directory.
func leaveDirectory(doc map[string]any, id string) {
	for _, path := range [...]string{"directories", "hotdesk.users"} {
		if entries, ok := treeAt(doc, path).(map[string]any); ok {
			delete(entries, id)
		}
	}
}

// referenceIndex finds a document by the ids that it names.
func referenceIndex(res *resource, doc map[string]any) []store.Index {
	if res.references == nil {
		return nil
	}
	var out []store.Index
	for _, r := range res.references(doc) {
		if out = append(out, store.Index{Name: IndexRefers, Value: r.id}); len(out) == maxIndexed {
			break
		}
	}
	return out
}

// refers reports whether a document names any id.
func refers(d *store.Document) bool {
	return slices.ContainsFunc(d.Index, func(x store.Index) bool { return x.Name == IndexRefers })
}

// named are the documents of an account that have one of the ids. An answer that asks twice reads once.
func (req *request) named(accountID string, ids []string) (map[string]store.Document, error) {
	ids = distinct(ids)
	slices.Sort(ids)
	ids = ids[:min(len(ids), maxTold)]
	if req.asked.account != accountID {
		req.asked = asked{account: accountID, docs: map[string]*store.Document{}}
	}
	fresh := make([]string, 0, len(ids))
	for _, id := range ids {
		if _, known := req.asked.docs[id]; known {
			continue
		}
		if c := req.api.opts.Cache; c != nil {
			if d, ok := c.Held(accountID, id); ok {
				req.asked.docs[id] = &d
				continue
			}
		}
		fresh = append(fresh, id)
	}
	if len(fresh) > 0 {
		docs, err := req.api.opts.Store.Named(req.ctx, accountID, fresh)
		if err != nil {
			return nil, err
		}
		for _, id := range fresh {
			req.asked.docs[id] = nil
		}
		for i := range docs {
			req.asked.docs[docs[i].ID] = &docs[i]
		}
	}
	out := make(map[string]store.Document, len(ids))
	for _, id := range ids {
		if d := req.asked.docs[id]; d != nil {
			out[id] = *d
		}
	}
	return out, nil
}

// asked are the documents of an account that an answer asked for by their ids, nil where there is none.
type asked struct {
	account string
	docs    map[string]*store.Document
}

// tellMissing lists in _read_only.references what a document names and is not there. Clients save in any order, so that
// is no error.
func (req *request) tellMissing(res *resource, d *store.Document, doc map[string]any) error {
	if res.references == nil || !refers(d) {
		return nil
	}
	references := res.references(doc)
	slices.SortFunc(references, func(x, y reference) int {
		if n := strings.Compare(x.path, y.path); n != 0 {
			return n
		}
		return strings.Compare(x.id, y.id)
	})
	references = references[:min(len(references), maxTold)]
	ids := make([]string, len(references))
	for i, r := range references {
		ids[i] = r.id
	}
	there, err := req.named(d.AccountID, ids)
	if err != nil {
		return err
	}
	missing := []any{}
	for _, r := range references {
		if _, ok := there[r.id]; !ok && r.id != d.ID && r.id != d.AccountID {
			missing = append(missing, map[string]any{"path": r.path, "id": r.id})
		}
	}
	if len(missing) > 0 {
		readOnly(doc)["references"] = missing
	}
	return nil
}

// readOnly is the block of a document that bugle computes.
func readOnly(doc map[string]any) map[string]any {
	block, ok := doc["_read_only"].(map[string]any)
	if !ok {
		block = map[string]any{}
		doc["_read_only"] = block
	}
	return block
}

// letGo removes the membership entries that name a document which is about to go, and returns a row for each document
// that named it.
func (e *edit) letGo() ([]any, error) {
	told := []any{}
	for _, res := range e.req.api.owned() {
		if res.references == nil {
			continue
		}
		q := store.Query{AccountID: e.owner.id, Type: res.typ, Index: &store.Index{Name: IndexRefers, Value: e.id}, Limit: storePage}
		for {
			docs, next, err := e.tx.List(q)
			if err != nil {
				return nil, err
			}
			for i := range docs {
				if docs[i].ID == e.id {
					continue
				}
				left, err := e.letGoOf(res, &docs[i])
				if err != nil {
					return nil, err
				}
				if len(told) < maxTold {
					row := describeTarget(&docs[i])
					row["type"], row["id"], row["removed"] = docs[i].Type, docs[i].ID, !left
					delete(row, "pvt_type")
					told = append(told, row)
				}
			}
			if q.After = next; next == nil {
				break
			}
		}
	}
	return told, nil
}

// letGoOf rewrites one document without its membership entries, and reports whether it still names what goes.
func (e *edit) letGoOf(res *resource, d *store.Document) (left bool, err error) {
	if res.detach == nil {
		return true, nil
	}
	member := &edit{req: e.req, res: res, tx: e.tx, how: merging, id: d.ID, owner: e.owner, errs: fieldErrors{}}
	if err := member.load(); err != nil {
		return false, err
	}
	member.doc = cloneTree(member.before).(map[string]any)
	res.detach(member.doc, e.id)
	left = slices.ContainsFunc(res.references(member.doc), func(r reference) bool { return r.id == e.id })
	if string(appendTree(nil, member.doc)) == string(appendTree(nil, member.before)) {
		return left, nil
	}
	return left, member.store(d.Rev)
}

// errDryRun undoes a deletion that was only asked about.
var errDryRun = errors.New("crossbar: dry run")

// dryRun reports whether a deletion shall only be told of. Whatever does not clearly say that it is meant is only told.
func (req *request) dryRun() bool {
	s, ok := req.param("dry_run")
	return ok && !slices.Contains([]string{"false", "0", "no"}, strings.ToLower(s))
}

// remove answers DELETE on a document: it and the membership entries that name it go in one transaction. What else names
// it stays as it is and is told.
func (req *request) remove(res *resource) (*reply, error) {
	id, dry := req.route.arg(), req.dryRun()
	hard := res.final
	if s, ok := req.param("should_soft_delete"); ok && s == "false" {
		hard = true
	}
	var e *edit
	var told []any
	var composed map[string]any
	err := req.api.opts.Store.Write(req.ctx, func(tx *store.Tx) error {
		e = &edit{req: req, res: res, tx: tx, how: deleting, id: id, owner: req.account, errs: fieldErrors{}}
		err := e.load()
		if err == nil {
			err = req.precondition(e.stored.Rev)
		}
		if err == nil && res.compose != nil { // outside the transaction: as it was before
			composed = cloneTree(e.before).(map[string]any)
			err = res.compose(req, e.stored, composed)
		}
		if err == nil {
			told, err = e.letGo()
		}
		if err == nil && dry {
			err = errDryRun
		}
		if err != nil {
			return err
		}
		if _, err := tx.Delete(e.stored.AccountID, res.typ, id, e.stored.Rev, hard); err != nil || res.along == nil {
			return err
		}
		return res.along(e)
	})
	if err != nil && !errors.Is(err, errDryRun) {
		return nil, err
	}
	if res.written != nil && !dry {
		res.written(req, e.before, nil)
	}
	doc, err := req.readable(res, e.stored)
	if err != nil {
		return nil, err
	}
	for _, key := range res.computed {
		if v, ok := composed[key]; ok {
			doc[key] = v
		}
	}
	delete(doc, "_read_only")
	block := readOnly(doc)
	block["deleted"], block["references"] = !dry, told
	doc["id"] = id
	return &reply{status: http.StatusOK, data: appendTree(nil, doc), revision: e.stored.Rev}, nil
}
