package crossbar

import (
	"slices"

	"bugle/internal/store"
)

// inParent answers as if a document did not exist when the path reaches it through a noun that it does not belong to.
func (req *request) inParent(res *resource, d *store.Document) error {
	if req.route.parent == "" || res != req.route.resource || res.typ == "" ||
		slices.Contains(d.Index, store.Index{Name: res.within[req.route.parent], Value: req.route.parentID}) {
		return nil
	}
	return badIdentifier(d.ID)
}

// secretsIn are the paths of the secrets that a document may hold.
func (r *resource) secretsIn(doc map[string]any) []string {
	var out []string
	for _, path := range r.secrets {
		out = append(out, expand(doc, path)...)
	}
	return out
}

// deleteIndexed deletes the documents of one type that share a value, in the transaction in which what they belong to goes.
func deleteIndexed(tx *store.Tx, accountID, typ string, index store.Index) error {
	for {
		docs, next, err := tx.List(store.Query{AccountID: accountID, Type: typ, Index: &index, Limit: storePage})
		if err != nil {
			return err
		}
		for _, d := range docs {
			if _, err := tx.Delete(accountID, typ, d.ID, d.Rev, false); err != nil {
				return err
			}
		}
		if next == nil {
			return nil
		}
	}
}
