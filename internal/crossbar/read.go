package crossbar

import (
	"context"
	"sync"

	"bugle/internal/store"
)

// get reads a living document, from memory when a cache was given. While the database does not answer the cache could
// still tell what it knew; a client of the API is told the truth instead.
func (a *API) get(ctx context.Context, accountID, typ, id string) (store.Document, error) {
	if c := a.opts.Cache; c != nil && c.Healthy() {
		return c.Get(ctx, accountID, typ, id)
	}
	return a.opts.Store.Get(ctx, accountID, typ, id)
}

// parsed remembers what was read out of documents that every request needs: accounts and the users of tokens. An entry
// is good for one revision.
type parsed struct {
	mu   sync.Mutex
	byID map[string]parsedDocument
}

type parsedDocument struct {
	rev   string
	value any
}

const maxParsed = 4096

// parsedAs is read(d), remembered. The result is shared: it is not written to.
func parsedAs[T any](p *parsed, d store.Document, read func(store.Document) (T, error)) (T, error) {
	p.mu.Lock()
	known, ok := p.byID[d.ID]
	p.mu.Unlock()
	if value, same := known.value.(T); ok && same && known.rev == d.Rev {
		return value, nil
	}
	value, err := read(d)
	if err != nil {
		return value, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byID == nil || len(p.byID) >= maxParsed {
		p.byID = map[string]parsedDocument{}
	}
	p.byID[d.ID] = parsedDocument{d.Rev, value}
	return value, nil
}
