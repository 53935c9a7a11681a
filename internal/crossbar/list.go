package crossbar

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"bugle"
	"bugle/internal/store"
)

const (
	defaultPage = 50
	maxPage     = 10_000  // documents of one page that a client may ask for
	maxWhole    = 100_000 // documents of a list without pages
	maxChunk    = 50      // rows of a chunk
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
	keep, err := req.filters(res)
	if err != nil {
		return nil, err
	}
	return req.listWhere(res, q, keep)
}

// listWhere answers with the rows of q that keep lets pass, a nil one all.
func (req *request) listWhere(res *resource, q store.Query, keep filter) (*reply, error) {
	p := &page{}
	size, err := req.pageSize(p)
	if err != nil {
		return nil, err
	}
	q.Descending = req.flag("descending", false) || !req.flag("ascending", true)
	place := listPlace(q) // the same with the filters and without
	if keep != nil {
		q = req.byDatabase(req.byIndex(res, q))
	}
	if p.startKey != "" {
		if q.After, err = openStartKey(place, p.startKey); err != nil {
			return nil, err
		}
	}
	var end []byte
	if p.endKey != "" {
		if end, err = openStartKey(place, p.endKey); err != nil {
			return nil, faultyRequest("invalid end key")
		}
		if _, err = (&store.Document{}).Beyond(end, false); err != nil {
			return nil, faultyRequest("invalid end key")
		}
	}
	docs, next, err := req.rows(q, size, end, keep)
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
	data, err := req.appendRows(make([]byte, 0, 2+400*len(docs)), res, docs)
	if err != nil {
		return nil, err
	}
	if res.annotate != nil {
		return req.listReply(data, p), nil
	}
	// The rows are made of the documents alone, whose revisions are shorter.
	of := fmt.Appendf(make([]byte, 0, 80*len(docs)), "%q %v ", req.api.opts.Version, req.identity.admin)
	for i := range docs {
		of = append(append(append(of, docs[i].ID...), ' '), docs[i].Rev...)
	}
	return req.listReplyOf(data, p, of), nil
}

// listReply is a list's answer. Its revision is made of what it says and how, so that If-None-Match can match.
func (req *request) listReply(data []byte, p *page) *reply { return req.listReplyOf(data, p, data) }

// listReplyOf is listReply for data that follows from what of says.
func (req *request) listReplyOf(data []byte, p *page, of []byte) *reply {
	sum := sha256.New()
	_, _ = io.WriteString(sum, req.accepts+p.after)
	_, _ = sum.Write(of)
	r := &reply{status: http.StatusOK, data: data, list: p, revision: hex.EncodeToString(sum.Sum(nil)[:16])}
	if req.matches(r.revision) {
		r.status = http.StatusNotModified
	}
	return r
}

// pageSize reads what a client says about pages. CSV is for keeping, so that it comes whole unless a page is asked for.
func (req *request) pageSize(p *page) (int, error) {
	number := func(name, invalid string, otherwise, most int) (int, error) {
		s, ok := req.param(name)
		if !ok {
			return otherwise, nil
		}
		n, err := strconv.Atoi(s)
		switch {
		case err != nil:
			return 0, faultyRequest(invalid)
		case n < 1:
			return 0, faultyRequest(strings.TrimPrefix(invalid, "invalid ") + " must be at least 1")
		case n > most:
			return 0, faultyRequest(strings.TrimPrefix(invalid, "invalid ") + " must be at most " + strconv.Itoa(most))
		}
		return n, nil
	}
	size, err := number("page_size", "invalid page size", defaultPage, maxPage)
	if err != nil {
		return 0, err
	}
	chunk, err := number("chunk_size", "invalid chunk size", maxChunk, maxChunk)
	if err != nil {
		return 0, err
	}
	if req.flag("is_chunked", false) {
		p.chunk = chunk
	}
	p.endKey, _ = req.param("end_key")
	_, sized := req.param("page_size")
	p.startKey, _ = req.param("start_key")
	if s, ok := req.param("paginate"); ok && strings.EqualFold(s, "false") || req.accepts == typeCSV && !sized && p.startKey == "" {
		p.whole, p.startKey = true, ""
		return maxWhole, nil
	}
	return size, nil
}

// rows reads up to size documents that pass, up to the place end (nil for none), and where the next page begins, nil at
// the end.
func (req *request) rows(q store.Query, size int, end []byte, keep filter) ([]store.Document, []byte, error) {
	var out []store.Document
	chunk := min(size+1, storePage) // of a filtered list, which grows while few rows pass; one row tells that there are more
	for {
		q.Limit = min(size-len(out), storePage)
		if keep != nil {
			q.Limit, chunk = chunk, min(2*chunk+10, storePage)
		}
		docs, next, err := req.upTo(q, end)
		if err != nil {
			return nil, nil, err
		}
		if out == nil {
			out = docs[:0] // a row moves forward at most
		}
		for i := range docs {
			if keep != nil && !keep(&docs[i]) {
				continue
			}
			if out = append(out, docs[i]); len(out) < size {
				continue
			}
			after := next
			if i < len(docs)-1 {
				after = docs[i].Place()
			}
			if after == nil || keep == nil && end == nil {
				return out, after, nil
			}
			if slices.ContainsFunc(docs[i+1:], func(d store.Document) bool { return keep == nil || keep(&d) }) {
				return out, after, nil
			}
			more, err := req.furtherRow(q, next, end, keep)
			if !more {
				after = nil
			}
			return out, after, err
		}
		if next == nil {
			return out, nil, nil
		}
		q.After = next
	}
}

// upTo is one page of the store without what stands behind the place end.
func (req *request) upTo(q store.Query, end []byte) ([]store.Document, []byte, error) {
	q.Plain = true
	docs, next, err := req.api.opts.Store.List(req.ctx, q)
	if err != nil || end == nil {
		return docs, next, err
	}
	for i := range docs {
		beyond, err := docs[i].Beyond(end, q.Descending)
		if err != nil {
			return nil, nil, err
		}
		if beyond {
			return docs[:i], nil, nil
		}
	}
	return docs, next, nil
}

// furtherRow reports whether there is a row behind after that passes.
func (req *request) furtherRow(q store.Query, after, end []byte, keep filter) (bool, error) {
	for q.After, q.Limit = after, 10; q.After != nil; q.Limit = min(2*q.Limit, storePage) {
		docs, next, err := req.upTo(q, end)
		if err != nil {
			return false, err
		}
		for i := range docs {
			if keep == nil || keep(&docs[i]) {
				return true, nil
			}
		}
		q.After = next
	}
	return false, nil
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

// isMissing reports KindNotFound.
func isMissing(err error) bool { return err != nil && bugle.KindOf(err) == bugle.KindNotFound }
