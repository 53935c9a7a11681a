package event

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"bugle"
	"bugle/internal/contact"
	"bugle/internal/store"
)

// EventRetention is how long the changes of contacts are kept.
const EventRetention = 35 * 24 * time.Hour

const (
	projectorBatch = 500 // contacts that one transaction recomputes
	irrelevantLag  = 5000
	leaseTime      = 15 * time.Second
	sweepPause     = time.Hour
	gather         = 50 * time.Millisecond // a batch costs a commit, whatever is in it
)

// errElsewhere: another process loads the directories.
var errElsewhere = errors.New("the directories are being loaded by another process")

// ProjectorOptions configure a Projector. Store is required.
type ProjectorOptions struct {
	Store     *store.Store
	Logger    *slog.Logger
	OnPanic   func(any)
	Batch     int              // contacts that one transaction recomputes; 0: 500
	Retention time.Duration    // of events; 0: EventRetention
	Now       func() time.Time // nil: time.Now
}

// Projector follows the change log and keeps the contacts of all company directories and the log of their changes. It works
// from facts of its own, which are as old as the change that it is at, so what it tells is what each change did and not what
// later ones made of it. Contacts, events and its place in the log are written in one transaction: a process that is
// killed repeats nothing and misses nothing. Of several on one database, one at a time gets on.
//
// The documents that are there when a database is projected for the first time make contacts and no events: the list is
// where readers begin.
type Projector struct {
	opts   ProjectorOptions
	sorter *contact.Sorter // of the goroutine that projects
	holder string
	cancel context.CancelFunc
	ended  sync.WaitGroup
	ready  chan struct{} // closed when follower is there

	follower *Follower
	written  int64 // position that is known to be written; of the follower's goroutine
}

// Project starts a projector; Close ends it.
func Project(opts ProjectorOptions) *Projector {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.OnPanic == nil {
		opts.OnPanic = func(any) {}
	}
	if opts.Batch <= 0 {
		opts.Batch = projectorBatch
	}
	if opts.Retention <= 0 {
		opts.Retention = EventRetention
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &Projector{opts: opts, sorter: contact.NewSorter(), holder: bugle.NewID(), cancel: cancel, ready: make(chan struct{})}
	p.ended.Go(func() { p.run(ctx) })
	p.ended.Go(func() { p.sweep(ctx) })
	return p
}

// Close ends the projector after the transaction in hand.
func (p *Projector) Close() {
	p.cancel()
	p.ended.Wait()
}

// Wait returns when everything up to a position of the log was projected, by this process or another, or with the context's
// error.
func (p *Projector) Wait(ctx context.Context, position int64) error {
	select {
	case <-p.ready:
		return p.follower.Wait(ctx, position)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *Projector) run(ctx context.Context) {
	pause := 100 * time.Millisecond
	position, err := p.prepare(ctx)
	for ; err != nil && ctx.Err() == nil; position, err = p.prepare(ctx) {
		if !errors.Is(err, errElsewhere) {
			p.opts.Logger.Error("the company directories could not be loaded", "error", err)
		}
		sleep(ctx, nil, pause)
		pause = min(2*pause, 10*time.Second)
	}
	if ctx.Err() != nil {
		return
	}
	p.follower = Follow(Options{Log: p.opts.Store, After: position, Name: "contacts", Gather: gather, Logger: p.opts.Logger, Handle: p.apply,
		Lost: p.lost, IsLost: func(err error) bool { return errors.Is(err, store.ErrSwept) }, OnPanic: p.opts.OnPanic})
	close(p.ready)
	<-ctx.Done()
	p.follower.Close()
}

func (p *Projector) sweep(ctx context.Context) {
	for sleep(ctx, nil, sweepPause); ctx.Err() == nil; sleep(ctx, nil, sweepPause) {
		n, err := p.opts.Store.SweepDirectoryEvents(ctx, p.opts.Now().Add(-p.opts.Retention))
		if err != nil && ctx.Err() == nil {
			p.opts.Logger.Warn("old changes of contacts could not be removed", "error", err)
		} else if n > 0 {
			p.opts.Logger.Info("old changes of contacts removed", "count", n)
		}
	}
}

// apply carries out changes in the order of the log.
func (p *Projector) apply(ctx context.Context, changes []bugle.Change) error {
	last := len(changes) - 1
	var matter []bugle.Change
	for i := range changes {
		if alters(&changes[i]) {
			matter = append(matter, changes[i])
		}
	}
	if len(matter) == 0 {
		if changes[last].Position-p.written < irrelevantLag {
			return nil // the place is written with the next that matters; until then, who begins there finds again that none does
		}
		matter = changes[last:]
	}
	for len(matter) > 0 {
		n, err := p.transaction(ctx, matter)
		if err != nil {
			return err
		}
		matter = matter[n:]
	}
	return nil
}

// alters reports whether a change gave its document other facts than it had. Most edits do not, and which, the change alone
// tells: so whoever projects it, after whatever crash, passes over the same ones, and no transaction is needed to say so.
func alters(c *bugle.Change) bool {
	if c.Kind != bugle.Edited || !contact.Relevant(c.Type) {
		return contact.Relevant(c.Type)
	}
	before, err := contact.Read(c.Type, c.ID, c.Before)
	if err != nil {
		return true
	}
	now, err := contact.Read(c.Type, c.ID, c.After)
	return err != nil || !equalFacts(before, now)
}

// transaction carries out some of the changes and returns how many are done with. Changes that another process has carried
// out are left alone.
func (p *Projector) transaction(ctx context.Context, changes []bugle.Change) (done int, err error) {
	var at store.Projection
	err = p.opts.Store.Write(ctx, func(tx *store.Tx) (err error) {
		done = 0
		if at, err = tx.Projection(); err != nil {
			return err
		}
		if at.State != store.ProjectionReady {
			return errElsewhere
		}
		before := at
		for budget := p.opts.Batch; done < len(changes) && budget > 0; done++ {
			c := &changes[done]
			if c.Position <= at.Position || !contact.Relevant(c.Type) {
				continue
			}
			step := ""
			if at.Partial == c.Position {
				step = at.Step
			}
			used, next, err := p.carry(tx, c, step, budget)
			if err != nil {
				return fmt.Errorf("change %d: %w", c.Position, err)
			}
			if budget -= used + 1; next != "" {
				at.Partial, at.Step = c.Position, next
				return tx.SetProjection(at)
			}
			at.Position, at.Partial, at.Step = c.Position, 0, ""
		}
		if done == len(changes) {
			at.Position = max(at.Position, changes[done-1].Position)
		}
		if at == before {
			return nil
		}
		return tx.SetProjection(at)
	})
	if err == nil {
		p.written = at.Position
	}
	return done, err
}

// carry carries out one change, from the contact behind step on, for up to budget contacts that only name its document. It
// returns how many contacts it looked at, and the last id when there are more.
func (p *Projector) carry(tx *store.Tx, c *bugle.Change, step string, budget int) (used int, next string, err error) {
	var ids []string
	if step == "" {
		before, now, err := p.know(tx, c)
		if err != nil || equalFacts(before, now) {
			return 0, "", err
		}
		if ids, err = p.touched(tx, c.AccountID, c.ID, before, now); err != nil {
			return 0, "", err
		}
	}
	if contact.Named(c.Type) {
		named := c.ID
		if c.Type == "phone_number" { // whoever names its callflow
			flows, err := tx.ReferrerIDs(c.AccountID, c.ID, "", 1)
			if err != nil {
				return 0, "", err
			}
			named = ""
			if len(flows) > 0 {
				named = flows[0]
			}
		}
		more, err := tx.ReferrerIDs(c.AccountID, named, step, budget+1)
		if err != nil {
			return 0, "", err
		}
		if len(more) > budget {
			more = more[:budget]
			next = more[budget-1]
		}
		ids = append(ids, more...)
	}
	return len(ids), next, p.recompute(tx, c.AccountID, ids, occasion{position: c.Position, at: c.At})
}

// know writes the facts of a change's document, and returns those from before and from after it, nil for none.
func (p *Projector) know(tx *store.Tx, c *bugle.Change) (before, now *contact.Facts, err error) {
	known, err := tx.Facts(c.AccountID, []string{c.ID})
	if err != nil {
		return nil, nil, err
	}
	if row, ok := known[c.ID]; ok {
		if before, err = factsOf(row); err != nil {
			return nil, nil, err
		}
	}
	now = p.read(c.AccountID, c.Type, c.ID, c.After)
	if equalFacts(before, now) {
		return before, now, nil
	}
	old, fresh := before.Refs(), now.Refs()
	gone := slices.DeleteFunc(old, func(ref string) bool { return slices.Contains(fresh, ref) })
	if err := tx.RemoveRefs(c.AccountID, c.ID, gone); err != nil {
		return nil, nil, err
	}
	if now == nil {
		return before, now, tx.RemoveFacts(c.AccountID, c.ID)
	}
	return before, now, tx.PutFacts(factsRow(c.AccountID, c.ID, now))
}

// read reduces a document to its facts; one that cannot be read has none.
func (p *Projector) read(accountID, typ, id string, body []byte) *contact.Facts {
	f, err := contact.Read(typ, id, body)
	if err != nil {
		p.opts.Logger.Error("a document cannot be read and makes no contact", "account", accountID, "type", typ, "id", id, "error", err)
		return nil
	}
	return f
}

func factsRow(accountID, id string, f *contact.Facts) store.FactsRow {
	text, err := json.Marshal(f)
	if err != nil { // strings and nothing else
		panic(err)
	}
	return store.FactsRow{AccountID: accountID, DocumentID: id, Type: f.Type, Facts: text, Refs: f.Refs()}
}

func factsOf(row store.FactsRow) (*contact.Facts, error) {
	f := &contact.Facts{}
	return f, json.Unmarshal(row.Facts, f)
}

func equalFacts(x, y *contact.Facts) bool {
	if x == nil || y == nil {
		return x == y
	}
	return bytes.Equal(factsRow("", "", x).Facts, factsRow("", "", y).Facts)
}

// touched are the documents whose contacts a change of facts can alter, beside those that name its document.
func (p *Projector) touched(tx *store.Tx, accountID, id string, before, now *contact.Facts) ([]string, error) {
	var ids, through []string
	if before.Bears() || now.Bears() {
		ids = append(ids, id)
	}
	for _, f := range [...]*contact.Facts{before, now} {
		if f == nil {
			continue
		}
		switch f.Type {
		case "callflow":
			through = append(through, f.Target)
		case "faxbox":
			ids = append(ids, f.Owner)
		case "phone_number":
			flows, err := tx.Referrers(accountID, []string{id})
			if err != nil {
				return nil, err
			}
			for _, row := range flows[id] {
				flow, err := factsOf(row)
				if err != nil {
					return nil, err
				}
				ids, through = append(ids, row.DocumentID), append(through, flow.Target)
			}
		}
	}
	targets, err := tx.Facts(accountID, through)
	if err != nil {
		return nil, err
	}
	for _, target := range through {
		if row := targets[target]; row.Type == "faxbox" {
			box, err := factsOf(row)
			if err != nil {
				return nil, err
			}
			target = box.Owner
		}
		ids = append(ids, target)
	}
	return ids, nil
}
