package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"bugle"
)

// A write that takes longer is given up: SQLite has one writer, and the others wait behind it.
const writeTimeout = 30 * time.Second

const writeAttempts = 8

// errAgain ends an attempt that lost against another transaction without the database saying so.
var errAgain = errors.New("another transaction was first")

// Tx is one write transaction. It is used by one goroutine, until the function that it was given to returns.
type Tx struct {
	s       *Store
	ctx     context.Context
	t       *transaction
	at      time.Time
	changes []pending
	lost    bool      // errAgain was returned
	told    bool      // something changed in a company directory
	got     *Document // what Get has last returned, as it is still

	deliveries []HookDelivery
	touched    []string // endpoints
	resent     bool
}

// pending is a change that the commit will number.
type pending struct {
	commit
	links  []byte
	hidden []byte // Change.Hidden
}

// Write runs fn in one transaction: all that it wrote is durable when Write returns nil, and none of it exists when
// Write returns an error, except that KindUnavailable leaves it open when the database went away during the commit and
// did not come back soon. fn may be called again after losing against another transaction, so it must start over each
// time. What it reads through tx by id, by key or in a list stays as it is until the end. An error of fn is returned as it
// is.
func (s *Store) Write(ctx context.Context, fn func(tx *Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		err := s.writeOnce(ctx, fn)
		if err == nil || attempt == writeAttempts || !s.again(ctx, attempt, err) {
			return err
		}
	}
}

// again reports whether a transaction that failed with err did not happen and may be run again, after a pause in which
// the others end.
func (s *Store) again(ctx context.Context, attempt int, err error) bool {
	if !errors.Is(err, errAgain) && !s.engine.serialization(err) {
		return false
	}
	rest(ctx, rand.N(time.Duration(attempt)*5*time.Millisecond))
	return ctx.Err() == nil
}

func (s *Store) writeOnce(ctx context.Context, fn func(tx *Tx) error) error {
	t, err := s.begin(ctx)
	if err != nil {
		return s.fail("store.Write", err)
	}
	ended := false
	defer func() {
		if !ended { // an error, or a panic of fn on its way up
			t.rollback()
		}
	}()
	tx := &Tx{s: s, ctx: ctx, t: t, at: s.now()}
	failed := func(err error) error { return tx.fail("store.Write", err) }
	if err := fn(tx); err != nil {
		return err
	}
	if tx.lost {
		return failed(errAgain)
	}
	if err := prove(ctx, t); err != nil { // unless something that fn read has proven them
		return failed(err)
	}
	if err := tx.appendChanges(); err != nil {
		return failed(err)
	}
	if err := tx.numberHooks(); err != nil {
		return failed(err)
	}
	ended = true
	if len(tx.changes) == 0 {
		err = s.commit(t)
	} else {
		err = s.commitChanges(ctx, t, tx.changes)
	}
	if err == nil && tx.told {
		s.directoryCommitted()
	}
	if err == nil && (tx.resent || tx.hooked()) {
		s.hooksCommitted()
	}
	return failed(err)
}

// commitChanges commits and tells the hooks.
func (s *Store) commitChanges(ctx context.Context, t *transaction, changes []pending) error {
	first, last := changes[0].change.Position, changes[len(changes)-1].change.Position
	commits := ownCopy(changes)
	hooks := s.hooked()
	for _, h := range hooks {
		h.expect(first, last)
	}
	err := s.commit(t)
	if err != nil && s.engine.doubtful(err) {
		err = s.settle(ctx, changes[len(changes)-1].change, err)
	}
	if err != nil {
		for _, h := range hooks {
			h.forget(first, last)
		}
		return err
	}
	for _, h := range hooks {
		h.apply(commits)
	}
	s.tail.put(commits)
	s.committed()
	return nil
}

func (s *Store) begin(ctx context.Context) (*transaction, error) {
	if err := s.engine.present(); err != nil {
		return nil, err
	}
	return s.write.begin(ctx)
}

// commit looks once more where the database is: what is committed to a file that was removed in between would be lost
// with the process.
func (s *Store) commit(t *transaction) error {
	if err := s.engine.present(); err != nil {
		t.rollback()
		return err
	}
	return t.commit()
}

// Get returns a living document as this transaction sees it.
func (tx *Tx) Get(accountID, typ, id string) (Document, error) {
	d, err := get(tx.ctx, tx.t, accountID, typ, id, false)
	tx.keep(&d, err)
	return d, tx.fail("store.Get", err)
}

// GetAny returns a document even when it is soft-deleted.
func (tx *Tx) GetAny(accountID, typ, id string) (Document, error) {
	d, err := get(tx.ctx, tx.t, accountID, typ, id, true)
	tx.keep(&d, err)
	return d, tx.fail("store.GetAny", err)
}

// keep remembers what was read: it stays so until this transaction writes, and who reads a document mostly puts it next. What was
// returned is the caller's to write over.
func (tx *Tx) keep(d *Document, err error) {
	tx.got = nil
	if err == nil {
		c := *d
		c.Body, c.SortKey, c.Keys, c.Index = slices.Clone(d.Body), slices.Clone(d.SortKey), slices.Clone(d.Keys), slices.Clone(d.Index)
		c.Private = slices.Clone(d.Private)
		tx.got = &c
	}
}

// GetByKey returns the document that holds a unique key.
func (tx *Tx) GetByKey(key Key) (Document, error) {
	d, err := getByKey(tx.ctx, tx.t, key)
	return d, tx.fail("store.GetByKey", err)
}

// List is Store.List within the transaction.
func (tx *Tx) List(q Query) (docs []Document, next []byte, err error) {
	docs, next, err = list(tx.ctx, tx.t, q)
	return docs, next, tx.fail("store.List", err)
}

// Count is Store.Count within the transaction.
func (tx *Tx) Count(q Query) (int, error) {
	n, err := count(tx.ctx, tx.t, q)
	return n, tx.fail("store.Count", err)
}

// Put writes a document and its Change, and sets doc's Rev, Created (when it was zero) and Modified.
//
// ifRev guards it: "" creates, also over a soft-deleted document of the same id; a revision replaces exactly that one,
// and that of a soft-deleted document brings it back; AnyRev takes what is there. Errors: KindConflict when the
// document has another revision or is gone; KindUnique with Holder and Field when a key is taken (Field is the key's
// Space) or the id is (Field "id").
func (tx *Tx) Put(doc *Document, ifRev string) error {
	return tx.fail("store.Put", tx.put(doc, ifRev))
}

func (tx *Tx) put(doc *Document, ifRev string) error {
	if err := doc.check(); err != nil {
		return err
	}
	old, exists, err := tx.holder(doc.ID)
	if err != nil {
		return err
	}
	tx.got = nil
	if exists && (old.AccountID != doc.AccountID || old.Type != doc.Type) || exists && ifRev == "" && !old.Deleted {
		return &bugle.Error{Op: "store.Put", Kind: bugle.KindUnique, Field: "id", Holder: doc.ID,
			Message: "the id " + doc.ID + " is taken"}
	}
	if ifRev != "" && ifRev != AnyRev && (!exists || old.Rev != ifRev) {
		return conflict("store.Put", doc.Type, doc.ID)
	}
	alive := exists && !old.Deleted
	d := *doc
	d.Deleted, d.Modified, d.Keys, d.Index = false, tx.at, distinct(d.Keys), distinct(d.Index)
	switch {
	case alive || exists && ifRev != "":
		d.Created = old.Created
	case d.Created.IsZero():
		d.Created = tx.at
	default:
		d.Created = d.Created.UTC().Truncate(time.Microsecond)
	}
	d.Rev = nextRev(old.Rev, &d)
	if err := tx.putRow(&d, &old, exists); err != nil {
		return err
	}
	held, indexed := old.Keys, old.Index
	if !alive {
		held, indexed = nil, nil
	}
	if err := tx.moveKeys(&d, held); err != nil {
		return err
	}
	if err := tx.moveIndex(&d, &old, indexed); err != nil {
		return err
	}
	change := bugle.Change{Kind: bugle.Created, AccountID: d.AccountID, Type: d.Type, ID: d.ID, Rev: d.Rev, At: tx.at,
		After: d.Body, BeforeDead: exists && !alive}
	if alive {
		change.Kind, change.Before = bugle.Edited, old.Body
		change.Hidden = hiddenChanges(&old, &d)
	}
	now := d
	tx.record(commit{change: change, keys: unite(held, d.Keys), index: unite(indexed, d.Index), now: &now})
	doc.Rev, doc.Created, doc.Modified, doc.Deleted = d.Rev, d.Created, d.Modified, false
	return nil
}

// Delete removes a document and appends its Change. Soft deletion keeps the document for GetAny, Query.Deleted and a
// Put that brings it back, but frees its keys; a hard one also takes a soft-deleted document. ifRev is a revision or
// AnyRev ("" is AnyRev too). It returns the document as it was. Errors: KindNotFound, KindConflict.
func (tx *Tx) Delete(accountID, typ, id, ifRev string, hard bool) (Document, error) {
	d, err := tx.remove(accountID, typ, id, ifRev, hard)
	return d, tx.fail("store.Delete", err)
}

func (tx *Tx) remove(accountID, typ, id, ifRev string, hard bool) (Document, error) {
	old, err := get(tx.ctx, tx.t, accountID, typ, id, hard)
	if err != nil {
		return Document{}, err
	}
	if ifRev != "" && ifRev != AnyRev && old.Rev != ifRev {
		return Document{}, conflict("store.Delete", typ, id)
	}
	d := old
	d.Deleted, d.Modified = true, tx.at
	d.Rev = nextRev(old.Rev, &d)
	tx.got = nil
	if hard {
		var n int64
		if n, err = tx.t.exec(tx.ctx, `DELETE FROM documents WHERE id = ? AND rev = ?`, id, old.Rev); err == nil {
			err = tx.first(n)
		}
	} else {
		err = tx.putRow(&d, &old, true)
	}
	if err != nil {
		return Document{}, err
	}
	gone := d
	gone.Keys, gone.Index = nil, nil
	change := bugle.Change{Kind: bugle.Deleted, AccountID: accountID, Type: typ, ID: id, Rev: d.Rev, At: tx.at,
		BeforeDead: old.Deleted}
	var held []Key
	var indexed []Index
	if !old.Deleted {
		held, indexed, change.Before = old.Keys, old.Index, old.Body
		if err := tx.moveKeys(&gone, held); err != nil {
			return Document{}, err
		}
		if err := tx.moveIndex(&gone, &old, indexed); err != nil {
			return Document{}, err
		}
	}
	tx.record(commit{change: change, keys: held, index: indexed})
	return old, nil
}

// fail tells a transaction that ended with its context from one that was used after its end, which is a defect.
func (tx *Tx) fail(op string, err error) error {
	if errors.Is(err, sql.ErrTxDone) && tx.ctx.Err() != nil {
		err = tx.ctx.Err()
	}
	return tx.s.fail(op, err)
}

// first is errAgain when a write found nothing where this transaction had read a row, or a row where it had read none.
func (tx *Tx) first(written int64) error {
	if written == 1 {
		return nil
	}
	tx.lost = true
	return errAgain
}

func (tx *Tx) record(c commit) {
	p := pending{commit: c, links: encodeLinks(c.keys, c.index)}
	if len(c.change.Hidden) > 0 {
		p.hidden, _ = json.Marshal(c.change.Hidden) // of valid JSON
	}
	tx.changes = append(tx.changes, p)
}

func conflict(op, typ, id string) error {
	return &bugle.Error{Op: op, Kind: bugle.KindConflict,
		Message: "the " + typ + " " + id + " was changed by someone else, read it again"}
}
