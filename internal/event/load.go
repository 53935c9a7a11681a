package event

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"bugle"
	"bugle/internal/contact"
	"bugle/internal/store"
)

const loadPage = 500 // documents, facts or contacts of one transaction while directories are loaded

// prepare loads the documents unless that was done, and returns the position from which to follow the log.
func (p *Projector) prepare(ctx context.Context) (position int64, err error) {
	defer func() {
		if v := recover(); v != nil {
			p.opts.OnPanic(v)
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	silent, ready := false, false
	err = p.opts.Store.Write(ctx, func(tx *store.Tx) error {
		at, err := tx.Projection()
		if err != nil {
			return err
		}
		position, silent, ready = at.Position, at.State == store.ProjectionNew, at.State == store.ProjectionReady
		if ready {
			return nil
		}
		if at.Holder != p.holder && at.Until.After(p.opts.Now()) {
			return errElsewhere
		}
		at.Holder, at.Until = p.holder, p.opts.Now().Add(leaseTime)
		return tx.SetProjection(at)
	})
	if err != nil {
		return 0, err
	}
	if !ready {
		if position, err = p.load(ctx, silent); err != nil {
			return 0, err
		}
	}
	p.written = position
	return position, nil
}

// lost begins anew because changes that were not read are no longer kept. Unlike the first time, what is other than it was is
// told.
func (p *Projector) lost(ctx context.Context) (position int64, err error) {
	err = p.opts.Store.Write(ctx, func(tx *store.Tx) error {
		at, err := tx.Projection()
		if err == nil && at.State == store.ProjectionReady {
			p.opts.Logger.Warn("changes were removed from the log before company directories had them; comparing all", "position", at.Position)
			at.State, at.Holder, at.Until = store.ProjectionLost, "", time.Time{}
			err = tx.SetProjection(at)
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	return p.prepare(ctx)
}

// held runs a transaction of the load, which this process must still hold.
func (p *Projector) held(ctx context.Context, f func(tx *store.Tx, at *store.Projection) error) error {
	return p.opts.Store.Write(ctx, func(tx *store.Tx) error {
		at, err := tx.Projection()
		if err != nil {
			return err
		}
		if at.Holder != p.holder || at.State == store.ProjectionReady {
			return errElsewhere
		}
		at.Until = p.opts.Now().Add(leaseTime)
		if err := f(tx, &at); err != nil {
			return err
		}
		return tx.SetProjection(at)
	})
}

// load reads all documents, brings what it read to one position of the log, and composes every contact.
func (p *Projector) load(ctx context.Context, silent bool) (position int64, err error) {
	if position, err = p.opts.Store.Position(ctx); err != nil {
		return 0, err
	}
	if err := p.held(ctx, func(tx *store.Tx, _ *store.Projection) error { return tx.ForgetFacts() }); err != nil {
		return 0, err
	}
	for _, typ := range contact.Sources {
		if err := p.loadType(ctx, typ); err != nil {
			return 0, err
		}
	}
	if position, err = p.catchUp(ctx, position); err != nil {
		return 0, err
	}
	why := occasion{position: position, at: p.opts.Now(), silent: silent}
	if err := p.composeAll(ctx, why); err != nil {
		return 0, err
	}
	return position, p.held(ctx, func(_ *store.Tx, at *store.Projection) error {
		*at = store.Projection{Position: position, State: store.ProjectionReady}
		return nil
	})
}

func (p *Projector) loadType(ctx context.Context, typ string) error {
	q := store.Query{Type: typ, Limit: loadPage}
	for {
		docs, next, err := p.opts.Store.List(ctx, q)
		if err != nil {
			return err
		}
		var rows []store.FactsRow
		for i := range docs {
			if f := p.read(docs[i].AccountID, typ, docs[i].ID, docs[i].Body); f != nil {
				rows = append(rows, factsRow(docs[i].AccountID, docs[i].ID, f))
			}
		}
		err = p.held(ctx, func(tx *store.Tx, _ *store.Projection) error { return tx.PutFacts(rows...) })
		if q.After = next; err != nil || next == nil {
			return err
		}
	}
}

// catchUp applies the changes of the time in which documents were read to the facts: until then some are older than others.
func (p *Projector) catchUp(ctx context.Context, position int64) (int64, error) {
	goal, err := p.opts.Store.Position(ctx)
	if err != nil {
		return 0, err
	}
	for position < goal {
		changes, err := p.opts.Store.Changes(ctx, position, loadPage)
		if err != nil {
			return 0, err
		}
		if len(changes) == 0 {
			return 0, &bugle.Error{Op: "event.catchUp", Kind: bugle.KindInternal, Message: "the change log ends before its position"}
		}
		err = p.held(ctx, func(tx *store.Tx, _ *store.Projection) error {
			for i := range changes {
				if contact.Relevant(changes[i].Type) {
					if _, _, err := p.know(tx, &changes[i]); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
		position = changes[len(changes)-1].Position
	}
	return position, nil
}

// composeAll composes a contact of every document that has one, then removes those whose documents are gone.
func (p *Projector) composeAll(ctx context.Context, why occasion) error {
	byFacts := func(tx *store.Tx, after [2]string) (list [][2]string, err error) {
		rows, err := tx.FactsPage(after[0], after[1], loadPage)
		for _, row := range rows {
			list = append(list, [2]string{row.AccountID, row.DocumentID})
		}
		return list, err
	}
	byContact := func(tx *store.Tx, after [2]string) ([][2]string, error) {
		return tx.ContactIDs(after[0], after[1], loadPage)
	}
	for _, page := range [...]func(*store.Tx, [2]string) ([][2]string, error){byFacts, byContact} {
		after := [2]string{}
		for {
			var list [][2]string
			err := p.held(ctx, func(tx *store.Tx, _ *store.Projection) (err error) {
				if list, err = page(tx, after); err != nil {
					return err
				}
				byAccount := map[string][]string{}
				for _, at := range list {
					byAccount[at[0]] = append(byAccount[at[0]], at[1])
				}
				for _, account := range slices.Sorted(maps.Keys(byAccount)) {
					if err := p.recompute(tx, account, byAccount[account], why); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
			if len(list) < loadPage {
				break
			}
			after = list[len(list)-1]
		}
	}
	return nil
}
