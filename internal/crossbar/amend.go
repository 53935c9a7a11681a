package crossbar

import "bugle/internal/store"

// amend changes what uploads write into the document of the path, its private part above all, in one transaction that obeys
// If-Match, and answers with the document. change may run more than once.
func (req *request) amend(res *resource, change func(d *store.Document, private map[string]any) error) (*reply, error) {
	id := req.route.arg()
	var d store.Document
	err := req.api.opts.Store.Write(req.ctx, func(tx *store.Tx) error {
		var err error
		if d, err = tx.Get(req.account.id, res.typ, id); err != nil {
			return req.missing(err, id)
		}
		if err := req.inParent(res, &d); err != nil {
			return err
		}
		if err := req.precondition(d.Rev); err != nil {
			return err
		}
		private, err := parseObject(orEmpty(d.Private))
		if err != nil {
			return err
		}
		if err := change(&d, private); err != nil {
			return err
		}
		d.Private = appendTree(nil, private)
		return tx.Put(&d, d.Rev)
	})
	if err != nil {
		return nil, err
	}
	doc, err := req.readable(res, &d)
	if err != nil {
		return nil, err
	}
	return req.documentReply(res, &d, doc)
}

// orEmpty is a stored object, {} for none.
func orEmpty(object []byte) []byte {
	if len(object) == 0 {
		return []byte("{}")
	}
	return object
}
