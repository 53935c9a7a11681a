package crossbar

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"

	"bugle"
	"bugle/internal/store"
)

const (
	defaultPage = 50
	maxPage     = 10_000  // documents of one page that a client may ask for
	maxWhole    = 100_000 // documents of a list without pages
	storePage   = 500     // documents read at once when the list is filtered or long
)

// list answers GET on a list of documents.
func (req *request) list(res *resource) (*reply, error) {
	q := store.Query{AccountID: req.account.id, Type: res.typ}
	if req.route.parent != "" {
		if err := req.parentExists(); err != nil {
			return nil, err
		}
		q.Index = &store.Index{Name: res.within[req.route.parent], Value: req.route.parentID}
	}
	if !req.identity.admin && res.self.ownedIndex != "" {
		q.Index = &store.Index{Name: res.self.ownedIndex, Value: req.identity.userID}
	}
	return req.listOf(res, q)
}

// parentExists checks the noun between account and resource.
func (req *request) parentExists() error {
	parent := req.api.resources[req.route.parent]
	_, err := req.api.get(req.ctx, req.account.id, parent.typ, req.route.parentID)
	return req.missing(err, req.route.parentID)
}

// listOf answers with the rows of q that the request's filters let pass.
func (req *request) listOf(res *resource, q store.Query) (*reply, error) {
	p := &page{}
	size, err := req.pageSize(p)
	if err != nil {
		return nil, err
	}
	q.Descending = req.flag("descending", false) || !req.flag("ascending", true)
	place := listPlace(q)
	if p.startKey != "" {
		if q.After, err = openStartKey(place, p.startKey); err != nil {
			return nil, err
		}
	}
	keep, err := req.filters()
	if err != nil {
		return nil, err
	}
	docs, next, err := req.rows(q, size, keep)
	if err != nil {
		return nil, err
	}
	if next != nil {
		if p.whole {
			return nil, &fault{status: http.StatusRequestedRangeNotSatisfiable, message: "range not satisfiable",
				data: say("the list is too long to be sent in whole, use pages")}
		}
		p.after = sealStartKey(place, next)
	}
	p.size = len(docs)
	data := []byte{'['}
	for i := range docs {
		if i > 0 {
			data = append(data, ',')
		}
		row := map[string]any{}
		if res.summary != nil {
			doc, err := parseKeys(docs[i].Body, res.summaryKeys)
			if err != nil {
				return nil, err
			}
			row = res.summary(doc)
			if !req.identity.admin && len(res.self.summary) > 0 {
				row = pick(row, res.self.summary...)
			}
		}
		row["id"] = docs[i].ID
		data = appendTree(data, row)
	}
	return req.listReply(append(data, ']'), p), nil
}

func (req *request) listReply(data []byte, p *page) *reply {
	sum := sha256.Sum256(data)
	r := &reply{status: http.StatusOK, data: data, list: p, revision: hex.EncodeToString(sum[:16])}
	if req.matches(r.revision) {
		r.status = http.StatusNotModified
	}
	return r
}

func (req *request) pageSize(p *page) (int, error) {
	if s, ok := req.param("paginate"); ok && strings.EqualFold(s, "false") {
		p.whole = true
		return maxWhole, nil
	}
	if s, ok := req.param("start_key"); ok {
		p.startKey = s
	}
	s, ok := req.param("page_size")
	if !ok {
		return defaultPage, nil
	}
	n, err := strconv.Atoi(s)
	switch {
	case err != nil:
		return 0, faultyRequest("invalid page size")
	case n < 1:
		return 0, faultyRequest("page size must be at least 1")
	case n > maxPage:
		return 0, faultyRequest("page size must be at most " + strconv.Itoa(maxPage))
	}
	return n, nil
}

// rows reads up to size documents that pass, and where the next page begins, nil at the end.
func (req *request) rows(q store.Query, size int, keep filter) ([]store.Document, []byte, error) {
	out := make([]store.Document, 0, min(size, storePage))
	chunk := min(size, storePage) // of a filtered list, which grows while few rows pass
	for {
		q.Limit = min(size-len(out), storePage)
		if keep != nil {
			q.Limit, chunk = chunk, min(2*chunk+10, storePage)
		}
		docs, next, err := req.api.opts.Store.List(req.ctx, q)
		if err != nil {
			return nil, nil, err
		}
		for i := range docs {
			if keep != nil && !keep(&docs[i]) {
				continue
			}
			out = append(out, docs[i])
			if len(out) < size {
				continue
			}
			if i == len(docs)-1 {
				return req.furtherRow(q, out, next, keep)
			}
			// The place behind a row in the middle of what was read.
			part := q
			part.Limit = i + 1
			_, after, err := req.api.opts.Store.List(req.ctx, part)
			if err != nil {
				return nil, nil, err
			}
			return req.furtherRow(q, out, after, keep)
		}
		if next == nil {
			return out, nil, nil
		}
		q.After = next
	}
}

// furtherRow returns after as the next page's beginning when there is a row behind it that passes.
func (req *request) furtherRow(q store.Query, out []store.Document, after []byte, keep filter) ([]store.Document, []byte, error) {
	if after == nil || keep == nil {
		return out, after, nil
	}
	q.After, q.Limit = after, 10
	for q.After != nil {
		docs, next, err := req.api.opts.Store.List(req.ctx, q)
		if err != nil {
			return nil, nil, err
		}
		for i := range docs {
			if keep(&docs[i]) {
				return out, after, nil
			}
		}
		q.After, q.Limit = next, min(2*q.Limit, storePage)
	}
	return out, nil, nil
}

// listPlace names a list in its start keys, so that a key of one list (or of another account) is refused by another.
func listPlace(q store.Query) []byte {
	name := q.AccountID + "\x00" + q.Type + "\x00" + strconv.FormatBool(q.Descending)
	if q.Index != nil {
		name += "\x00" + q.Index.Name + "\x00" + q.Index.Value
	}
	sum := sha256.Sum256([]byte(name))
	return sum[:6]
}

func sealStartKey(place, cursor []byte) string {
	return base64.RawURLEncoding.EncodeToString(append(append([]byte(nil), place...), cursor...))
}

func openStartKey(place []byte, key string) ([]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(key)
	if err != nil || len(b) <= len(place) || string(b[:len(place)]) != string(place) {
		return nil, faultyRequest("invalid start key")
	}
	return b[len(place):], nil
}

// pick copies some keys of a document into a row of a list.
func pick(doc map[string]any, keys ...string) map[string]any {
	row := make(map[string]any, len(keys)+1)
	for _, key := range keys {
		if v, ok := doc[key]; ok {
			row[key] = v
		}
	}
	return row
}

// picking is a summary of some keys and flags, which is [] when unset.
func picking(keys ...string) func(map[string]any) map[string]any {
	return func(doc map[string]any) map[string]any {
		row := pick(doc, keys...)
		row["flags"] = []any{}
		if flags, ok := doc["flags"].([]any); ok {
			row["flags"] = flags
		}
		return row
	}
}

// isMissing reports KindNotFound.
func isMissing(err error) bool { return err != nil && bugle.KindOf(err) == bugle.KindNotFound }
