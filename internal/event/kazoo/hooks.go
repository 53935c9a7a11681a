package kazoo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"bugle"
	"bugle/internal/event"
	"bugle/internal/event/webhook"
	"bugle/internal/store"
)

const (
	reader      = "kazoo.webhooks" // of the change log
	typeWebhook = "webhook"
	typeAccount = "account"
	ancestor    = "ancestor" // the index of an account's document by those above it

	pending   = 10_000                // events of calls that wait to be enqueued; one more is lost
	together  = 200                   // of them in one transaction
	moveEvery = 1000                  // changes that nobody is told of, after which the reader's place is written nevertheless
	gather    = 20 * time.Millisecond // of changes that come one after another: a look at the log costs the same for one as for ten
)

// Options configure Hooks.
type Options struct {
	Store *store.Store
	// Documents are asked before each attempt: a cache of the store, or the store.
	Documents interface {
		Get(ctx context.Context, accountID, typ, id string) (store.Document, error)
	}
	// Disable switches a webhook off, as its owner reads afterwards.
	Disable func(ctx context.Context, accountID, id, reason string) error
	// Cluster is the cluster_id of what is sent, "" for none.
	Cluster string
	// Ancestor is the name of the index of accounts by those above them.
	Ancestor string
	Log      *slog.Logger
	OnPanic  func(any)
}

// Hooks tells webhooks of changes and of calls. It is safe for concurrent use, and an owner of a webhook.Engine.
type Hooks struct {
	opts     Options
	follower *event.Follower
	events   chan occurrence
	ended    chan struct{}
	lost     atomic.Int64
	closed   atomic.Bool
	taking   sync.RWMutex // held while an event is sent, so that closing the channel races with nobody

	mu        sync.RWMutex
	byAccount map[string]map[string]*hook
	below     int // hooks with include_subaccounts

	// Only the follower touches what follows.
	moved int64 // the reader's place, as far as this process knows
	seen  int   // changes since
}

// occurrence is an event that is no change of a document.
type occurrence struct {
	account, name, id string
	order             string // those of one order are delivered one after the other, "" for at any time
	tells             fields
}

// Start reads the webhooks and follows the change log from where it was left.
func Start(ctx context.Context, opts Options) (*Hooks, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.OnPanic == nil {
		opts.OnPanic = func(any) {}
	}
	if opts.Ancestor == "" {
		opts.Ancestor = ancestor
	}
	h := &Hooks{opts: opts, events: make(chan occurrence, pending), ended: make(chan struct{})}
	now, err := opts.Store.Position(ctx)
	if err != nil {
		return nil, err
	}
	if err := opts.Store.BeginReader(ctx, reader, now); err != nil {
		return nil, err
	}
	at, err := h.load(ctx)
	if err != nil {
		return nil, err
	}
	h.follower = event.Follow(event.Options{Log: opts.Store, After: at, Name: reader, Gather: gather, Logger: opts.Log, Handle: h.handle, Lost: h.skip,
		IsLost: func(err error) bool { return errors.Is(err, store.ErrSwept) }, OnPanic: opts.OnPanic})
	go h.tellAll()
	return h, nil
}

// Close ends the follower, and enqueues what waits.
func (h *Hooks) Close() {
	h.follower.Close()
	h.taking.Lock()
	if !h.closed.Swap(true) {
		close(h.events)
	}
	h.taking.Unlock()
	<-h.ended
}

// Wait returns when the webhooks are as they were at a position of the log, and told of what was before.
func (h *Hooks) Wait(ctx context.Context, position int64) error {
	return h.follower.Wait(ctx, position)
}

// Lost counts the events of calls that could not be enqueued.
func (h *Hooks) Lost() int64 { return h.lost.Load() }

// load makes the webhooks what they were at the reader's place, and returns it.
func (h *Hooks) load(ctx context.Context) (at int64, err error) {
	at, _, err = h.opts.Store.ReaderPosition(ctx, reader)
	if err != nil {
		return 0, err
	}
	h.mu.Lock()
	h.byAccount, h.below = map[string]map[string]*hook{}, 0
	h.mu.Unlock()
	for q := (store.Query{Type: typeWebhook, Limit: 1000}); ; {
		docs, next, err := h.opts.Store.List(ctx, q)
		if err != nil {
			return 0, err
		}
		for _, d := range docs {
			h.put(d.AccountID, d.ID, d.Body)
		}
		if q.After = next; next == nil {
			break
		}
	}
	// What changed since is undone: the follower does it again, in its place among the others.
	undone := map[string]bool{}
	for from := at; ; {
		changes, err := h.opts.Store.Changes(ctx, from, 1000)
		if errors.Is(err, store.ErrSwept) {
			return h.skip(ctx)
		}
		if err != nil {
			return 0, err
		}
		for _, c := range changes {
			from = c.Position
			if c.Type == typeWebhook && !undone[c.ID] {
				undone[c.ID] = true
				h.put(c.AccountID, c.ID, c.Before)
			}
		}
		if len(changes) < 1000 {
			break
		}
	}
	h.moved = at
	return at, nil
}

// skip goes on behind changes that are no longer kept: bugle was away for longer than they are.
func (h *Hooks) skip(ctx context.Context) (int64, error) {
	now, err := h.opts.Store.Position(ctx)
	if err != nil {
		return 0, err
	}
	h.opts.Log.Error("webhooks are not told of changes that are no longer kept", "until", now)
	if err := h.opts.Store.Write(ctx, func(tx *store.Tx) error { return tx.MoveReader(reader, now) }); err != nil {
		return 0, err
	}
	return h.load(ctx)
}

// put makes a webhook what a document says; nil removes it.
func (h *Hooks) put(accountID, id string, body []byte) {
	var now *hook
	if body != nil {
		var err error
		if now, err = parseHook(accountID, id, body); err != nil {
			h.opts.Log.Error("a webhook cannot be read and is told nothing", "account", accountID, "webhook", id, "error", err)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if old := h.byAccount[accountID][id]; old != nil && old.below {
		h.below--
	}
	if now == nil {
		if delete(h.byAccount[accountID], id); len(h.byAccount[accountID]) == 0 {
			delete(h.byAccount, accountID)
		}
		return
	}
	if now.below {
		h.below++
	}
	if h.byAccount[accountID] == nil {
		h.byAccount[accountID] = map[string]*hook{}
	}
	h.byAccount[accountID][id] = now
}

// matching are the webhooks that an event of an account is for.
func (h *Hooks) matching(ctx context.Context, accountID, name string, tells fields) (list []*hook, err error) {
	h.mu.RLock()
	below := h.below > 0
	list = wanting(list, h.byAccount[accountID], name, tells, false)
	h.mu.RUnlock()
	if !below {
		return list, nil
	}
	account, err := h.opts.Store.GetAny(ctx, accountID, typeAccount, accountID)
	if bugle.KindOf(err) == bugle.KindNotFound && err != nil {
		return list, nil // nobody is above an account that is gone for good
	}
	if err != nil {
		return nil, err
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, x := range account.Index {
		if x.Name == h.opts.Ancestor {
			list = wanting(list, h.byAccount[x.Value], name, tells, true)
		}
	}
	return list, nil
}

func wanting(list []*hook, hooks map[string]*hook, name string, tells fields, above bool) []*hook {
	for _, hook := range hooks {
		if (!above || hook.below) && hook.wants(name, tells) {
			list = append(list, hook)
		}
	}
	return list
}

// identify makes an id of what is told to whom: when both are known again after a crash, it is the same.
func identify(hookID, what string) string {
	sum := sha256.Sum256([]byte(hookID + "/" + what))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80 // a UUID of version 8
	text := hex.EncodeToString(sum[:16])
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}

var actions = map[bugle.ChangeKind]string{bugle.Created: "doc_created", bugle.Edited: "doc_edited", bugle.Deleted: "doc_deleted"}

// handle tells webhooks of changes: what is to be delivered and the place in the log are written in one transaction, so
// that nothing is told twice or not at all, whatever crashes, and whichever of several servers is first.
func (h *Hooks) handle(ctx context.Context, changes []bugle.Change) error {
	type told struct {
		position int64
		delivery store.HookDelivery
	}
	var list []told
	for i := range changes {
		c := &changes[i]
		if h.Listens() {
			tells := fields{"id": c.ID, "account_id": c.AccountID, "action": actions[c.Kind], "type": c.Type}
			hooks, err := h.matching(ctx, c.AccountID, EventObject, tells)
			if err != nil {
				return err
			}
			for _, hook := range hooks {
				list = append(list, told{c.Position, hook.delivery(identify(hook.id, strconv.FormatInt(c.Position, 10)), actions[c.Kind], tells, h.opts.Cluster)})
			}
		}
		if c.Type == typeWebhook {
			h.put(c.AccountID, c.ID, c.After)
		}
	}
	last := changes[len(changes)-1].Position
	if h.seen += len(changes); len(list) == 0 && h.seen < moveEvery {
		return nil
	}
	err := h.opts.Store.Write(ctx, func(tx *store.Tx) error {
		at, known, err := tx.ReaderPosition(reader)
		if err != nil || !known || at >= last {
			return err
		}
		for _, t := range list {
			if t.position > at {
				if err := tx.Enqueue(t.delivery); err != nil {
					return err
				}
			}
		}
		return tx.MoveReader(reader, last)
	})
	if err == nil {
		h.seen = 0
	}
	return err
}

// Target is webhook.Owner's.
func (h *Hooks) Target(ctx context.Context, e store.HookEndpoint) (webhook.Target, error) {
	d, err := h.opts.Documents.Get(ctx, e.AccountID, typeWebhook, e.ID)
	if bugle.KindOf(err) == bugle.KindNotFound && err != nil {
		return webhook.Target{}, webhook.ErrGone
	}
	if err != nil {
		return webhook.Target{}, err
	}
	doc, err := parseHook(e.AccountID, e.ID, d.Body)
	if err != nil || !doc.enabled {
		return webhook.Target{}, webhook.ErrOff
	}
	return webhook.Target{Tries: doc.tries}, nil
}

// Probe is webhook.Owner's; webhooks are not blacklisted but switched off.
func (h *Hooks) Probe(context.Context, store.HookEndpoint) error { return nil }

// TooManyFailures is the disable_reason of a webhook that was switched off.
const TooManyFailures = "too many failed attempts"

// Tell is webhook.Owner's.
func (h *Hooks) Tell(ctx context.Context, e store.HookEndpoint, t webhook.Transition) {
	if t != webhook.Disabled && t != webhook.GoneAway || h.opts.Disable == nil {
		return
	}
	reason := TooManyFailures
	if t == webhook.GoneAway {
		reason = "the receiver answered 410 Gone"
	}
	if err := h.opts.Disable(ctx, e.AccountID, e.ID, reason); err != nil && ctx.Err() == nil {
		h.opts.Log.Error("a webhook that fails could not be switched off", "account", e.AccountID, "webhook", e.ID, "error", err)
	}
}

// Listens reports whether there is any webhook.
func (h *Hooks) Listens() bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.byAccount) > 0
}

// occur takes an event in; it never blocks.
func (h *Hooks) occur(o occurrence) {
	if !h.Listens() {
		return
	}
	h.taking.RLock()
	defer h.taking.RUnlock()
	if h.closed.Load() {
		return
	}
	select {
	case h.events <- o:
	default:
		h.lost.Add(1)
	}
}

// tellAll enqueues events in the order in which they came, many at once when many wait.
func (h *Hooks) tellAll() {
	defer close(h.ended)
	for first := range h.events {
		batch := []occurrence{first}
	gather:
		for len(batch) < together {
			select {
			case next, open := <-h.events:
				if !open {
					break gather
				}
				batch = append(batch, next)
			default:
				break gather
			}
		}
		h.tell(batch)
	}
}

func (h *Hooks) tell(batch []occurrence) {
	defer func() {
		if v := recover(); v != nil {
			h.opts.OnPanic(v)
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var list []store.HookDelivery
	var err error
	for _, o := range batch {
		var hooks []*hook
		if hooks, err = h.matching(ctx, o.account, o.name, o.tells); err != nil {
			break
		}
		for _, hook := range hooks {
			d := hook.delivery(identify(hook.id, o.id), o.name, o.tells, h.opts.Cluster)
			if o.order != "" {
				d.Keys = []string{o.order}
			}
			list = append(list, d)
		}
	}
	for attempt := 1; err == nil && len(list) > 0; attempt++ {
		err = h.opts.Store.Write(ctx, func(tx *store.Tx) error { return tx.Enqueue(list...) })
		if err == nil || attempt == 5 || bugle.KindOf(err) != bugle.KindUnavailable {
			break
		}
		time.Sleep(time.Duration(attempt) * time.Second)
		err = nil
	}
	if err != nil {
		h.lost.Add(int64(len(batch)))
		h.opts.Log.Error("webhooks are not told of events of calls", "events", len(batch), "error", err)
	}
}
