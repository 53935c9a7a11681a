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

// getByKey is get of the document that holds a key.
func (a *API) getByKey(ctx context.Context, key store.Key) (store.Document, error) {
	if c := a.opts.Cache; c != nil && c.Healthy() {
		return c.GetByKey(ctx, key)
	}
	return a.opts.Store.GetByKey(ctx, key)
}

// known is what was read out of a document the last time, as a premise of the context: the request's next query proves that
// the document is still the same. False: it has to be read.
func known[T any](ctx context.Context, a *API, accountID, id string) (value T, ok bool) {
	a.parsed.mu.Lock()
	kept, there := a.parsed.byID[id]
	a.parsed.mu.Unlock()
	value, ok = kept.value.(T)
	return value, there && ok && kept.accountID == accountID && store.Assume(ctx, id, kept.rev)
}

// parsed remembers what was read out of documents that every request needs: accounts and the users of tokens. An entry
// is good for one revision.
type parsed struct {
	mu   sync.Mutex
	byID map[string]parsedDocument
}

type parsedDocument struct {
	accountID, rev string
	value          any
}

const maxParsed = 4096

// parsedAs is read(d), remembered. The result is shared: it is not written to.
func parsedAs[T any](p *parsed, d store.Document, read func(store.Document) (T, error)) (T, error) {
	p.mu.Lock()
	kept, ok := p.byID[d.ID]
	p.mu.Unlock()
	if value, same := kept.value.(T); ok && same && kept.rev == d.Rev && kept.accountID == d.AccountID {
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
	p.byID[d.ID] = parsedDocument{d.AccountID, d.Rev, value}
	return value, nil
}

// renew reads again what is remembered of a document that was written: whoever wrote it asks again.
func (p *parsed) renew(d *store.Document) {
	p.mu.Lock()
	kept, there := p.byID[d.ID]
	p.mu.Unlock()
	if !there {
		return
	}
	switch kept.value.(type) { // what cannot be read is read, and told, when somebody asks
	case *account:
		_, _ = parsedAs(p, *d, readAccount)
	case *user:
		_, _ = parsedAs(p, *d, readUser)
	}
}
