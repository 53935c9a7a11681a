package crossbar

import (
	"slices"

	"bugle"
	"bugle/internal/store"
)

// above reports whether the token's account is the account or one above it, as allowed does for the path.
func (who *identity) above(acc *account) bool {
	return who.account.master || who.account.id == acc.id || slices.Contains(acc.tree, who.account.id)
}

// parentBelow is the account right above the path's, when the token reaches that one: siblings are others' accounts.
func (req *request) parentBelow() (string, error) {
	if len(req.account.tree) == 0 {
		return "", badIdentifier(req.account.id) // the master has neither parent nor siblings
	}
	parent := req.account.tree[len(req.account.tree)-1]
	if !req.identity.account.master && !slices.Contains(req.account.tree, req.identity.account.id) {
		return "", forbidden()
	}
	return parent, nil
}

// moveAccount puts an account and all below it below another one, in one transaction.
func (req *request) moveAccount(res *resource) (*reply, error) {
	data, err := req.object()
	if err != nil {
		return nil, err
	}
	to, _ := data["to"].(string)
	if !bugle.ValidID(to) {
		return nil, oneError("to", "required", "The id of the account to move below, 32 characters 0-9 and a-f", data["to"])
	}
	id := req.account.id
	if req.account.master || !req.identity.account.master && req.identity.account.id == id {
		return nil, forbidden() // nobody moves the account that they stand on
	}
	var moved store.Document
	err = req.api.opts.Store.Write(req.ctx, func(tx *store.Tx) error {
		d, err := tx.Get(id, TypeAccount, id)
		if err != nil {
			return req.missing(err, id)
		}
		if err := req.precondition(d.Rev); err != nil {
			return err
		}
		target, err := tx.Get(to, TypeAccount, to)
		if err != nil {
			return req.missing(err, to)
		}
		parent, err := readAccount(target)
		if err != nil {
			return err
		}
		switch {
		case !req.identity.above(parent) || boolAt(parent.private, privateClosing, false):
			return badIdentifier(to)
		case to == id || slices.Contains(parent.tree, id):
			return oneError("to", "invalid", "An account cannot be below itself", to)
		}
		trunk := append(slices.Clone(parent.tree), to)
		if moved, err = req.plant(tx, d, trunk); err != nil {
			return err
		}
		return req.plantBelow(tx, id, trunk)
	})
	if err != nil {
		return nil, err
	}
	req.log().Info("account moved", "account", id, "to", to)
	doc, err := req.readable(res, &moved)
	if err != nil {
		return nil, err
	}
	return req.documentReply(res, &moved, doc)
}

// plantBelow gives all accounts below id their new way up.
func (req *request) plantBelow(tx *store.Tx, id string, trunk []string) error {
	q := store.Query{Type: TypeAccount, Index: &store.Index{Name: IndexAncestor, Value: id}, Limit: storePage}
	for {
		docs, next, err := tx.List(q)
		if err != nil {
			return err
		}
		for i := range docs {
			below, err := readAccount(docs[i])
			if err != nil {
				return err
			}
			tree := append(slices.Clone(trunk), below.tree[slices.Index(below.tree, id):]...)
			if _, err := req.plant(tx, docs[i], tree); err != nil {
				return err
			}
		}
		if q.After = next; next == nil {
			return nil
		}
	}
}

// plant writes an account's new way up.
func (req *request) plant(tx *store.Tx, d store.Document, tree []string) (store.Document, error) {
	private, err := parseObject(d.Private)
	if err != nil {
		return d, err
	}
	above := make([]any, len(tree))
	for i, id := range tree {
		above[i] = id
	}
	private["tree"], d.Told = above, []string{"tree"}
	d.Private = appendTree(nil, private)
	index := slices.DeleteFunc(slices.Clone(d.Index), func(x store.Index) bool { return x.Name == IndexAncestor || x.Name == IndexParent })
	d.Index = append(index, treeIndex(above)...)
	return d, tx.Put(&d, d.Rev)
}
