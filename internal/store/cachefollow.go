package store

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"bugle"
)

const (
	wantedMax  = 10000
	wantedLong = 200 // documents of a list that is kept current; one of more is loaded anew when it is asked for
)

// How a cache keeps current: from the commits of this process before they are acknowledged, and from the log.

// expect notes the positions of a commit of this process, so that follow leaves them to apply.
func (c *Cache) expect(first, last int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := first; p <= last; p++ {
		c.own[p]++
	}
}

// forget takes expect back: the commit failed, or nobody knows.
func (c *Cache) forget(first, last int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := first; p <= last; p++ {
		c.disown(p)
	}
}

// disown reports whether the change at position p is one of this process, and forgets it. c.mu is held.
func (c *Cache) disown(p int64) bool {
	n := c.own[p]
	if n <= 1 {
		delete(c.own, p)
	} else {
		c.own[p] = n - 1
	}
	return n > 0
}

// apply takes what this process has just committed. The documents are at hand, so entries are renewed, not only
// invalidated: when the database fails in the next moment, the cache knows the change.
func (c *Cache) apply(commits []commit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range commits {
		co := &commits[i]
		ch := &co.change
		position := ch.Position
		fresh := &entry{position: position, err: notFound("store.Get", ch.Type)}
		if co.now != nil {
			fresh = &entry{position: position, docs: []*held{{doc: *co.now}}}
		}
		c.renew(documentKey(ch.AccountID, ch.Type, ch.ID), fresh, c.warm[ch.Type])
		for _, k := range co.keys {
			next := &entry{position: position, err: notFound("store.GetByKey", k.Space)}
			if co.now != nil && slices.Contains(co.now.Keys, k) {
				next.docs, next.err = fresh.docs, nil
			}
			c.renew(uniqueKey(k), next, c.warm[ch.Type])
		}
		for _, of := range [2]string{ch.AccountID, ""} {
			c.renewList(listKey(of, ch.Type, Index{}), co, fresh, false)
			for _, x := range co.index {
				c.renewList(listKey(of, ch.Type, x), co, fresh, true)
			}
		}
	}
}

// renewList puts what a commit made of a document in its place in a list that is at hand, else it marks the list and, when it is
// wanted, has it loaded. c.mu is held.
func (c *Cache) renewList(key cacheKey, co *commit, fresh *entry, wanted bool) {
	c.overtake(key)
	ch, e := &co.change, c.entries[key]
	known := c.entries[documentKey(ch.AccountID, ch.Type, ch.ID)]
	// The document's own entry tells whether a later commit of it was here before; then this one is the past.
	if e == nil || e.dirty.Load() || e.err != nil || len(e.docs) > wantedLong || known != fresh || fresh.position < c.foreign {
		c.soil(key, fresh.position)
		if wanted {
			c.wantList(key, ch.Type)
		}
		return
	}
	docs := make([]*held, 0, len(e.docs)+1)
	for _, h := range e.docs {
		if h.doc.ID != ch.ID {
			docs = append(docs, h)
		}
	}
	if d := co.now; d != nil && (key.c == "" || slices.Contains(d.Index, Index{key.c, key.d})) {
		i, _ := slices.BinarySearchFunc(docs, d, func(h *held, d *Document) int {
			if n := bytes.Compare(h.doc.SortKey, d.SortKey); n != 0 {
				return n
			}
			return strings.Compare(h.doc.ID, d.ID)
		})
		docs = slices.Insert(docs, i, fresh.docs[0])
	}
	// A commit from before this one may still come: nothing is claimed of it.
	next := &entry{docs: docs, position: e.position}
	next.used.Store(e.used.Load())
	c.set(key, next)
}

// renew replaces an entry by what a commit made of it. c.mu is held.
func (c *Cache) renew(key cacheKey, fresh *entry, keep bool) {
	c.overtake(key)
	old := c.entries[key]
	if fresh.position < c.foreign { // another process may have changed it since
		if old != nil && old.position < fresh.position {
			old.dirty.Store(true)
		}
		return
	}
	if old == nil && !keep || old != nil && old.position >= fresh.position {
		return
	}
	c.set(key, fresh)
}

// soil marks an entry that a change may have made wrong; it stays as the last that is known. c.mu is held.
func (c *Cache) soil(key cacheKey, position int64) {
	c.overtake(key)
	if e := c.entries[key]; e != nil && e.position < position {
		e.dirty.Store(true)
	}
}

// soilLists marks the lists of the account, and those over all accounts. c.mu is held.
func (c *Cache) soilLists(account, typ string, index []Index, position int64) {
	for _, of := range [2]string{account, ""} {
		c.soil(listKey(of, typ, Index{}), position)
		for _, x := range index {
			key := listKey(of, typ, x)
			c.soil(key, position)
			c.wantList(key, typ)
		}
	}
}

// wantList is want for a list: who is in a short one is what calls ask; a long one may wait. c.mu is held.
func (c *Cache) wantList(key cacheKey, typ string) {
	if c.entries[key] != nil || key.a != "" {
		c.want(key, typ)
	}
}

// want makes follow load what has changed when its type is warm. c.mu is held.
func (c *Cache) want(key cacheKey, typ string) {
	if c.warm[typ] && len(c.wanted) < wantedMax {
		c.wanted[key] = struct{}{}
	}
}

// fetchWanted loads what is wanted, so that an outage finds it in memory.
func (c *Cache) fetchWanted() {
	if !c.healthy.Load() {
		return
	}
	c.mu.Lock()
	keys := c.wanted
	c.wanted = map[cacheKey]struct{}{}
	c.mu.Unlock()
	for key := range keys {
		c.mu.RLock()
		e := c.entries[key]
		idle := e != nil && !e.dirty.Load() || e == nil && c.bytes > c.opts.MaxBytes/2
		c.mu.RUnlock()
		if _, long := c.long[key]; idle || long || !c.healthy.Load() {
			continue
		}
		f := c.load(key)
		select {
		case <-f.done:
		case <-c.ctx.Done():
			return
		}
		if len(f.docs) > wantedLong || bugle.KindOf(f.err) == bugle.KindTooLarge { // each change of one of so many would read all of them
			if len(c.long) >= wantedMax {
				clear(c.long)
			}
			c.long[key] = struct{}{}
		}
	}
}

// overtake makes sure that nobody keeps what a running load brings. c.mu is held.
func (c *Cache) overtake(key cacheKey) {
	if f := c.flights[key]; f != nil {
		f.dirty = true
		delete(c.flights, key) // whoever asks from now on starts another one
	}
	if c.touched != nil {
		c.touched[key] = struct{}{}
	}
}

// follow reads the log until the cache is closed.
func (c *Cache) follow() {
	nudge, stop := c.s.Subscribe()
	defer stop()
	tick := time.NewTicker(c.opts.Poll)
	defer tick.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-nudge:
			if c.pass() {
				c.fetchWanted()
				continue
			}
		case <-tick.C:
		}
		c.look()
		c.fetchWanted()
	}
}

// look reads what is new in the log.
func (c *Cache) look() {
	defer c.s.recovered()
	ctx, cancel := context.WithTimeout(c.ctx, cacheLoadTimeout)
	defer cancel()
	for {
		failures := c.failures.Load()
		more, err := c.lookOnce(ctx)
		if c.ctx.Err() != nil {
			return
		}
		if err != nil {
			c.failed(err)
			return
		}
		c.followed(failures)
		if !more {
			return
		}
	}
}

// failed notes that the database did not answer.
func (c *Cache) failed(err error) {
	c.mu.Lock()
	c.failures.Add(1)
	was := c.healthy.Swap(false)
	c.mu.Unlock()
	if was {
		c.s.opts.Log.Error("the database does not answer; calls go on with what is cached", "error", err)
	}
}

// followed notes that the log was read. failures is their count before: a look that began before a load failed may have
// been answered before the database went, and says nothing of now.
func (c *Cache) followed(failures uint64) {
	c.mu.Lock()
	was := true
	if c.failures.Load() == failures {
		c.answered()
		was = c.healthy.Swap(true)
	}
	c.mu.Unlock()
	if !was {
		c.s.opts.Log.Info("the cache follows the database")
	}
}

func (c *Cache) lookOnce(ctx context.Context) (more bool, err error) {
	c.mu.RLock()
	seen := c.seen
	c.mu.RUnlock()
	if seen < 0 {
		return false, c.restart(ctx)
	}
	touches, err := c.s.touches(ctx, seen, maxLimit)
	if errors.Is(err, ErrSwept) {
		return false, c.restart(ctx)
	}
	if err != nil {
		return false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range touches {
		c.touch(&touches[i])
	}
	return len(touches) == maxLimit, nil
}

// pass goes over what this process has committed, and reports whether a nudge told of no more than that: then the log need not
// be asked.
func (c *Cache) pass() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen < 0 {
		return false
	}
	list, all := c.s.tail.since(c.seen, maxLimit)
	for i := range list {
		ch := &list[i].change
		c.touch(&touch{ch.Position, ch.AccountID, ch.Type, ch.ID, list[i].keys, list[i].index})
	}
	return all && c.healthy.Load()
}

// touch takes note of one change. c.mu is held.
func (c *Cache) touch(t *touch) {
	if c.seen = t.position; c.disown(t.position) {
		return
	}
	c.foreign = t.position
	c.soil(documentKey(t.account, t.typ, t.id), t.position)
	c.want(documentKey(t.account, t.typ, t.id), t.typ)
	for _, k := range t.keys {
		c.soil(uniqueKey(k), t.position)
		c.want(uniqueKey(k), t.typ)
	}
	c.soilLists(t.account, t.typ, t.index, t.position)
}

// restart begins at the log's end with nothing known for certain.
func (c *Cache) restart(ctx context.Context) error {
	position, err := c.s.Position(ctx)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for key := range c.flights {
		c.overtake(key)
	}
	for _, e := range c.entries {
		e.dirty.Store(true)
	}
	c.seen, c.foreign = position, position
	clear(c.own)
	return nil
}

// touch is what one change may have made wrong.
type touch struct {
	position         int64
	account, typ, id string
	keys             []Key
	index            []Index
}

func (s *Store) touches(ctx context.Context, after int64, limit int) ([]touch, error) {
	fail := func(err error) ([]touch, error) { return nil, s.fail("store.touches", err) }
	r := s.readable()
	rows, err := r.rows(ctx, `SELECT position, account_id, type, document_id, links FROM changes WHERE position > ? `+
		`ORDER BY position LIMIT ? + 0`, after, limit)
	if err != nil {
		return fail(err)
	}
	defer rows.Close()
	var out []touch
	for rows.Next() {
		var t touch
		var links []byte
		if err := rows.Scan(&t.position, &t.account, &t.typ, &t.id, &links); err != nil {
			return fail(err)
		}
		if t.keys, t.index, err = decodeLinks(links); err != nil {
			return fail(err)
		}
		out = append(out, t)
	}
	if err := rows.Err(); err != nil || len(out) > 0 && out[0].position == after+1 {
		return out, s.fail("store.touches", err)
	}
	swept, err := counter(ctx, r, "swept")
	if err == nil && after < swept {
		err = sweptError("store.touches")
	}
	return out, s.fail("store.touches", err)
}

// Warm loads all documents of the given types, with their keys and index lists, so that calls between phones do not
// need the database; it stops at half of MaxBytes. New documents of these types are kept from now on.
func (c *Cache) Warm(ctx context.Context, types ...string) error {
	c.mu.Lock()
	if c.touched != nil {
		c.mu.Unlock()
		return &bugle.Error{Op: "store.Warm", Kind: bugle.KindConflict, Message: "the cache is being warmed already"}
	}
	for _, typ := range types {
		c.warm[typ] = true
	}
	c.touched = map[cacheKey]struct{}{}
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.touched = nil
		c.mu.Unlock()
	}()
	for _, typ := range types {
		if err := c.warmType(ctx, typ); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cache) warmType(ctx context.Context, typ string) error {
	c.mu.Lock()
	position := c.seen
	c.mu.Unlock()
	lists := map[cacheKey][]*held{}
	q := Query{Type: typ, Limit: maxLimit}
	for {
		page, next, err := c.s.List(ctx, q)
		if err != nil {
			return err
		}
		c.mu.Lock()
		for _, d := range page {
			h := &held{doc: d}
			c.fill(documentKey(d.AccountID, typ, d.ID), []*held{h}, position)
			for _, k := range d.Keys {
				c.fill(uniqueKey(k), []*held{h}, position)
			}
			for _, of := range [2]string{d.AccountID, ""} {
				all := listKey(of, typ, Index{})
				lists[all] = append(lists[all], h)
				for _, x := range d.Index {
					list := listKey(of, typ, x)
					lists[list] = append(lists[list], h)
				}
			}
		}
		full := c.bytes > c.opts.MaxBytes/2
		c.mu.Unlock()
		if full {
			c.s.opts.Log.Info("the cache is warm with a part only", "type", typ)
			return nil
		}
		if next == nil {
			break
		}
		q.After = next
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, docs := range lists {
		if len(docs) <= cacheListMax {
			c.fill(key, docs, position)
		}
	}
	return nil
}

// fill sets an entry unless something has changed since Warm began. c.mu is held.
func (c *Cache) fill(key cacheKey, docs []*held, position int64) {
	if _, changed := c.touched[key]; changed || c.flights[key] != nil {
		return
	}
	if old := c.entries[key]; old != nil && (old.position >= position && !old.dirty.Load()) {
		return
	}
	c.set(key, &entry{docs: docs, position: position})
}
