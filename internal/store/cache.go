package store

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"bugle"
)

// CacheOptions configure a Cache. The zero value is good.
type CacheOptions struct {
	MaxBytes int64         // of documents kept; 0: 128 MiB
	Stale    time.Duration // how long the cache answers without a database; 0: 10 minutes
	Poll     time.Duration // of the change log, beside the nudges; 0: 500 ms
}

const (
	cacheLoadTimeout = 3 * time.Second
	cacheListMax     = 10000
)

// CacheStats count since the start.
type CacheStats struct {
	Entries   int
	Bytes     int64
	Hits      uint64
	Misses    uint64
	Stale     uint64 // answers given while the database did not answer
	Evictions uint64
	Failures  uint64 // loads and looks at the log that the database did not answer
}

// Cache keeps the documents that calls need in memory: by id, by unique key and as whole lists by index. What this
// process wrote is seen before Write returns, what others wrote within Poll. While the database does not answer it gives
// what it last knew, for Stale at most, then KindUnavailable. Documents are shared: do not write into them. It is safe
// for concurrent use.
type Cache struct {
	s      *Store
	opts   CacheOptions
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	healthy atomic.Bool
	answers atomic.Int64 // when the database last answered, in nanoseconds since 1970

	hits, misses, stale, evictions, failures atomic.Uint64

	mu      sync.RWMutex
	entries map[cacheKey]*entry
	flights map[cacheKey]*flight
	bytes   int64
	seen    int64                 // the log was followed up to here
	own     map[int64]int         // positions of commits of this process that follow has not passed yet
	foreign int64                 // the last change of another process
	warm    map[string]bool       // types whose new documents are kept without having been asked for
	touched map[cacheKey]struct{} // what changed while Warm reads; nil otherwise
	wanted  map[cacheKey]struct{} // of warm types: what changed and is to be loaded before anybody asks
	closed  bool

	long map[cacheKey]struct{} // lists that are not loaded before they are asked for; only follow touches it
}

// cacheKey names an entry: a document by account, type and id; a unique key by space, scope and value; a list by
// account, type, index name and value.
type cacheKey struct {
	kind       byte
	a, b, c, d string
}

// clone copies what the caller may write over later, as the text of a SIP message is.
func (k cacheKey) clone() cacheKey {
	return cacheKey{k.kind, strings.Clone(k.a), strings.Clone(k.b), strings.Clone(k.c), strings.Clone(k.d)}
}

func documentKey(account, typ, id string) cacheKey { return cacheKey{'d', account, typ, id, ""} }
func uniqueKey(k Key) cacheKey                     { return cacheKey{'k', k.Space, k.Scope, k.Value, ""} }
func listKey(account, typ string, x Index) cacheKey {
	return cacheKey{'l', account, typ, x.Name, x.Value}
}

// held is a document in memory, shared by the entries that lead to it. refs is guarded by the cache's lock.
type held struct {
	doc  Document
	refs int
	view atomic.Pointer[any]
}

func (h *held) size() int64 {
	d := &h.doc
	return int64(400 + len(d.Body) + len(d.Private) + len(d.SortKey) + 100*(len(d.Keys)+len(d.Index)))
}

const entrySize = 250

// entry is what a key leads to. It is replaced, never changed, except for dirty and used.
type entry struct {
	docs     []*held
	err      error // KindNotFound: it is known that there is none
	position int64 // every change up to here is in it
	dirty    atomic.Bool
	used     atomic.Bool
}

// flight is one load that many may wait for.
type flight struct {
	done  chan struct{}
	docs  []*held
	err   error
	dirty bool // overtaken by a change: good for those who wait, not for keeping
}

// NewCache starts a cache that follows the change log until Close.
func NewCache(s *Store, opts CacheOptions) *Cache {
	if opts.MaxBytes <= 0 {
		opts.MaxBytes = 128 << 20
	}
	if opts.Stale <= 0 {
		opts.Stale = 10 * time.Minute
	}
	if opts.Poll <= 0 {
		opts.Poll = 500 * time.Millisecond
	}
	c := &Cache{s: s, opts: opts, entries: map[cacheKey]*entry{}, flights: map[cacheKey]*flight{}, seen: -1,
		own: map[int64]int{}, warm: map[string]bool{}, wanted: map[cacheKey]struct{}{}, long: map[cacheKey]struct{}{}}
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	unhook := s.hook(c)
	c.look()
	c.wg.Go(func() {
		defer unhook()
		c.follow()
	})
	return c
}

// Close ends following. The cache is not used afterwards.
func (c *Cache) Close() {
	c.cancel()
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.wg.Wait()
}

// Healthy reports whether the database answered when it was last asked, at most Poll ago.
func (c *Cache) Healthy() bool { return c.healthy.Load() }

// Stats returns the counts.
func (c *Cache) Stats() CacheStats {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return CacheStats{Entries: len(c.entries), Bytes: c.bytes, Hits: c.hits.Load(), Misses: c.misses.Load(),
		Stale: c.stale.Load(), Evictions: c.evictions.Load(), Failures: c.failures.Load()}
}

// Get is Store.Get.
func (c *Cache) Get(ctx context.Context, accountID, typ, id string) (Document, error) {
	docs, err := c.find(ctx, documentKey(accountID, typ, id))
	if err != nil {
		return Document{}, err
	}
	return docs[0].doc, nil
}

// GetByKey is Store.GetByKey. That nobody holds the key is remembered too.
func (c *Cache) GetByKey(ctx context.Context, key Key) (Document, error) {
	docs, err := c.find(ctx, uniqueKey(key))
	if err != nil {
		return Document{}, err
	}
	return docs[0].doc, nil
}

// ListByIndex returns all documents of an account's index value in the order of their sort keys; accountID "" means those
// of all accounts, the zero Index all of the type. It refuses more than 10,000 with KindTooLarge: page through the store instead.
func (c *Cache) ListByIndex(ctx context.Context, accountID, typ string, index Index) ([]Document, error) {
	docs, err := c.find(ctx, listKey(accountID, typ, index))
	if err != nil {
		return nil, err
	}
	out := make([]Document, len(docs))
	for i, h := range docs {
		out[i] = h.doc
	}
	return out, nil
}

// Held returns the living document of an account that an id names, whatever its type, when it is in memory as one of a type
// that was warmed. False says nothing of the database.
func (c *Cache) Held(accountID, id string) (Document, bool) {
	if !c.healthy.Load() {
		return Document{}, false
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	for typ := range c.warm {
		if e := c.entries[documentKey(accountID, typ, id)]; e != nil && e.err == nil && !e.dirty.Load() {
			return e.docs[0].doc, true
		}
	}
	return Document{}, false
}

// View returns the typed view of a document that the cache gave, parsed once for as long as the cache holds that
// revision. The view is shared: do not write into its maps and slices.
func View[T any](c *Cache, d Document, parse func(id string, body []byte) (T, error)) (T, error) {
	var h *held
	c.mu.RLock()
	if e := c.entries[documentKey(d.AccountID, d.Type, d.ID)]; e != nil && len(e.docs) == 1 && e.docs[0].doc.Rev == d.Rev {
		h = e.docs[0]
	}
	c.mu.RUnlock()
	if h != nil {
		if p := h.view.Load(); p != nil {
			if v, ok := (*p).(T); ok {
				return v, nil
			}
		}
	}
	v, err := parse(d.ID, d.Body)
	if err == nil && h != nil {
		var kept any = v
		h.view.Store(&kept)
	}
	return v, err
}

// find answers from memory, else from the database.
func (c *Cache) find(ctx context.Context, key cacheKey) ([]*held, error) {
	c.mu.RLock()
	e := c.entries[key]
	c.mu.RUnlock()
	healthy := c.healthy.Load()
	if e != nil && (!e.dirty.Load() || !healthy) {
		return c.answer(e, healthy)
	}
	c.misses.Add(1)
	if !healthy { // following the log finds out when the database is back; calls do not wait for that
		return nil, c.unavailable(nil)
	}
	f := c.load(key)
	select {
	case <-f.done:
	case <-ctx.Done():
		return nil, c.s.fail("store.Cache", ctx.Err())
	}
	if f.err != nil && bugle.KindOf(f.err) == bugle.KindUnavailable {
		c.mu.RLock()
		e = c.entries[key] // what was replaced, but is the last that is known
		c.mu.RUnlock()
		if e != nil {
			return c.answer(e, false)
		}
	}
	return f.docs, f.err
}

func (c *Cache) answer(e *entry, healthy bool) ([]*held, error) {
	if !healthy {
		if c.s.opts.Now().Sub(time.Unix(0, c.answers.Load())) > c.opts.Stale {
			return nil, c.unavailable(nil)
		}
		c.stale.Add(1)
	}
	if !e.used.Load() {
		e.used.Store(true)
	}
	c.hits.Add(1)
	return e.docs, e.err
}

func (c *Cache) unavailable(err error) error {
	return &bugle.Error{Op: "store.Cache", Kind: bugle.KindUnavailable,
		Message: "the database is not available, try again later", Err: err}
}

// load joins the load of key, or starts it.
func (c *Cache) load(key cacheKey) *flight {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.flights[key]; f != nil {
		return f
	}
	key = key.clone()
	f := &flight{done: make(chan struct{})}
	if c.closed {
		f.err = c.unavailable(nil)
		close(f.done)
		return f
	}
	c.flights[key] = f
	position := c.seen
	c.wg.Go(func() {
		defer close(f.done)
		defer func() {
			if v := recover(); v != nil {
				c.s.opts.OnPanic(v)
				f.err = &bugle.Error{Op: "store.Cache", Kind: bugle.KindInternal}
			}
			c.land(key, f, position)
		}()
		// Not the context of the first who asked: others wait for this load too.
		ctx, cancel := context.WithTimeout(c.ctx, cacheLoadTimeout)
		defer cancel()
		f.docs, f.err = c.fetch(ctx, key)
	})
	return f
}

func (c *Cache) fetch(ctx context.Context, key cacheKey) ([]*held, error) {
	var d Document
	var err error
	switch key.kind {
	case 'd':
		d, err = c.s.Get(ctx, key.a, key.b, key.c)
	case 'k':
		d, err = c.s.GetByKey(ctx, Key{key.a, key.b, key.c})
	default:
		return c.fetchList(ctx, key)
	}
	if err != nil {
		return nil, err
	}
	return []*held{{doc: d}}, nil
}

func (c *Cache) fetchList(ctx context.Context, key cacheKey) ([]*held, error) {
	q := Query{AccountID: key.a, Type: key.b, Limit: maxLimit}
	if key.c != "" {
		q.Index = &Index{key.c, key.d}
	}
	docs := []*held{}
	for {
		page, next, err := c.s.List(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, d := range page {
			docs = append(docs, &held{doc: d})
		}
		if next == nil {
			return docs, nil
		}
		if len(docs) >= cacheListMax {
			return nil, &bugle.Error{Op: "store.ListByIndex", Kind: bugle.KindTooLarge,
				Message: "too many documents of " + key.b + " for one list"}
		}
		q.After = next
	}
}

// land keeps what a load found, unless a change has overtaken it.
func (c *Cache) land(key cacheKey, f *flight, position int64) {
	failed := f.err != nil && (lost(f.err) || errors.Is(f.err, context.DeadlineExceeded))
	switch {
	case failed && c.ctx.Err() == nil:
		c.failed(f.err)
	case !failed:
		c.answered()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flights[key] == f {
		delete(c.flights, key)
	}
	if f.dirty || f.err != nil && bugle.KindOf(f.err) != bugle.KindNotFound {
		return
	}
	// A document that came by its key or in a list is the same in memory as the one by its id.
	for i, h := range f.docs {
		id := documentKey(h.doc.AccountID, h.doc.Type, h.doc.ID)
		if known := c.entries[id]; known != nil && len(known.docs) == 1 && known.docs[0].doc.Rev == h.doc.Rev {
			f.docs[i] = known.docs[0]
		}
	}
	c.set(key, &entry{docs: f.docs, err: f.err, position: position})
	if key.kind == 'k' && len(f.docs) == 1 {
		d := &f.docs[0].doc
		id := documentKey(d.AccountID, d.Type, d.ID)
		if known := c.entries[id]; known == nil && c.flights[id] == nil {
			c.set(id, &entry{docs: f.docs, position: position})
		}
	}
}

func (c *Cache) answered() {
	c.answers.Store(c.s.opts.Now().UnixNano())
}

// set puts an entry in its place and makes room. c.mu is held.
func (c *Cache) set(key cacheKey, e *entry) {
	c.drop(key)
	c.entries[key] = e
	c.bytes += entrySize + int64(8*len(e.docs))
	for _, h := range e.docs {
		if h.refs++; h.refs == 1 {
			c.bytes += h.size()
		}
	}
	// Second chance, with the map's own random order as the clock's hand; after some looks the next one goes anyway.
	for looks := 0; c.bytes > c.opts.MaxBytes && len(c.entries) > 1; {
		for k, victim := range c.entries {
			looks++
			if victim != e && (!victim.used.Swap(false) || looks > 64) {
				c.drop(k)
				c.evictions.Add(1)
				break
			}
		}
	}
}

// drop forgets an entry. c.mu is held.
func (c *Cache) drop(key cacheKey) {
	e := c.entries[key]
	if e == nil {
		return
	}
	delete(c.entries, key)
	c.bytes -= entrySize + int64(8*len(e.docs))
	for _, h := range e.docs {
		if h.refs--; h.refs == 0 {
			c.bytes -= h.size()
		}
	}
}
