package webhook

import (
	"context"
	"hash/fnv"
	"math"
	"slices"
	"sync"
	"time"

	"bugle"
	"bugle/internal/store"
)

// The keeper says that this node lives, and takes endpoints that nobody delivers for. Every write of it is guarded by the
// endpoint's epoch, so a node that was thought dead writes nothing more once another has taken its endpoints; what the two
// send meanwhile has the same ids.
type keeper struct {
	e      *Engine
	signal chan struct{}

	mu     sync.Mutex
	wanted map[string]string    // endpoints with a new delivery, and their accounts
	over   []store.HookEndpoint // to be handed to another node
	live   []string             // the nodes that live, this one among them

	// Only run touches what follows.
	seen  map[string]sighting
	loose map[string]int // endpoints that another node should take, and for how many scans it has not
}

// sighting is the last beat of a node that was new: who compares with its own clock needs no other's.
type sighting struct {
	beat int64
	at   time.Time
}

const lease = 3 // beats

func (k *keeper) init(e *Engine) {
	k.e, k.signal, k.wanted, k.live = e, make(chan struct{}, 1), map[string]string{}, []string{e.node}
	k.seen, k.loose = map[string]sighting{}, map[string]int{}
}

// want asks for an endpoint that a delivery has come for.
func (k *keeper) want(endpoint, accountID string) {
	k.mu.Lock()
	k.wanted[endpoint] = accountID
	k.mu.Unlock()
	k.wake()
}

// handOver gives endpoints to the nodes that should have them.
func (k *keeper) handOver(list []store.HookEndpoint) {
	if len(list) == 0 {
		return
	}
	k.mu.Lock()
	k.over = append(k.over, list...)
	k.mu.Unlock()
	k.wake()
}

func (k *keeper) wake() {
	select {
	case k.signal <- struct{}{}:
	default:
	}
}

// mine: of the nodes that live, this one should have the endpoint.
func (k *keeper) mine(endpoint string) bool { return k.best(endpoint) == k.e.node }

// best is the node of the highest hash: when one comes or goes, only its own endpoints move.
func (k *keeper) best(endpoint string) (best string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var highest uint64
	for _, node := range k.live {
		h := fnv.New64a()
		_, _ = h.Write([]byte(endpoint + "/" + node))
		if sum := h.Sum64(); best == "" || sum > highest {
			best, highest = node, sum
		}
	}
	return best
}

func (k *keeper) lives(node string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Contains(k.live, node)
}

func (k *keeper) run(ctx context.Context) {
	tick := time.NewTicker(k.e.opts.Beat)
	defer tick.Stop()
	k.cycle(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			k.cycle(ctx)
		case <-k.signal:
			k.serve(ctx)
		}
	}
}

// cycle says that this node lives and takes what the dead have left.
func (k *keeper) cycle(ctx context.Context) {
	if err := k.beat(ctx); err != nil {
		if ctx.Err() == nil {
			k.e.opts.Log.Warn("webhooks: this node could not say that it lives", "error", err)
		}
		return
	}
	if err := k.scan(ctx); err != nil && ctx.Err() == nil {
		k.e.opts.Log.Warn("webhooks: endpoints could not be taken", "error", err)
	}
}

func (k *keeper) beat(ctx context.Context) error {
	began := time.Now()
	if k.e.opts.Alone && k.e.leased.Load() != 0 { // nobody would look: an idle server writes nothing
		k.e.leased.Store(began.Add(lease * k.e.opts.Beat).UnixNano())
		k.e.post(func() {})
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, lease*k.e.opts.Beat)
	defer cancel()
	beats, err := k.e.opts.Store.BeatHookNode(limited, k.e.node)
	if err != nil {
		return err
	}
	if before := k.e.leased.Load(); before != 0 && before < began.UnixNano() {
		k.e.post(k.e.loseAll) // others may have taken them meanwhile; the scan takes on again what they have not
	}
	k.e.leased.Store(began.Add(lease * k.e.opts.Beat).UnixNano())
	live := []string{k.e.node}
	for node, beat := range beats {
		if node == k.e.node {
			continue
		}
		last, known := k.seen[node]
		if !known || last.beat != beat {
			last = sighting{beat, began}
			k.seen[node] = last
		}
		if !k.e.opts.Alone && began.Sub(last.at) <= (lease+1)*k.e.opts.Beat {
			live = append(live, node)
			continue
		}
		delete(k.seen, node)
		if err := k.e.opts.Store.BuryHookNode(ctx, node); err != nil {
			return err
		}
		k.e.opts.Log.Info("webhooks: a node is gone, its endpoints are taken over", "node", node)
	}
	for node := range k.seen {
		if _, there := beats[node]; !there {
			delete(k.seen, node)
		}
	}
	k.mu.Lock()
	k.live = live
	k.mu.Unlock()
	k.e.post(func() {}) // the line may move again
	return nil
}

// scan takes the endpoints that wait for nobody who lives.
func (k *keeper) scan(ctx context.Context) error {
	loose := map[string]int{}
	var take, afresh []store.HookEndpoint
	for after := ""; ; {
		list, err := k.e.opts.Store.HookEndpointsWaiting(ctx, after)
		if err != nil {
			return err
		}
		for _, endpoint := range list {
			after = endpoint.ID
			switch {
			case endpoint.Node == k.e.node:
				afresh = append(afresh, endpoint) // the loop knows it, unless it was handed over or lost
			case k.lives(endpoint.Node):
			case k.mine(endpoint.ID) || k.loose[endpoint.ID] > 2:
				take = append(take, endpoint)
			default:
				loose[endpoint.ID] = k.loose[endpoint.ID] + 1
			}
		}
		if len(list) < store.HookPage {
			break
		}
	}
	k.loose = loose
	k.adopt(ctx, afresh, 0)
	var orphans, free []store.HookEndpoint
	for _, endpoint := range take {
		if endpoint.Node != "" {
			orphans = append(orphans, endpoint)
		} else {
			free = append(free, endpoint)
		}
	}
	if err := k.claim(ctx, orphans, math.MaxInt64); err != nil {
		return err
	}
	return k.claim(ctx, free, k.e.begun)
}

func (k *keeper) claim(ctx context.Context, list []store.HookEndpoint, left int64) error {
	if len(list) == 0 {
		return nil
	}
	claimed, err := k.e.opts.Store.ClaimHookEndpoints(ctx, k.e.node, list)
	k.adopt(ctx, claimed, left)
	return err
}

func (k *keeper) adopt(ctx context.Context, list []store.HookEndpoint, left int64) {
	if len(list) > 0 {
		k.e.post(func() { k.e.adopt(ctx, list, left) })
	}
}

// serve takes the endpoints that new deliveries have come for, and gives away others.
func (k *keeper) serve(ctx context.Context) {
	k.mu.Lock()
	wanted, over := k.wanted, k.over
	k.wanted, k.over = map[string]string{}, nil
	k.mu.Unlock()
	var own, take []store.HookEndpoint
	for id, accountID := range wanted {
		endpoint, err := k.e.opts.Store.GetHookEndpoint(ctx, accountID, id)
		switch {
		case err != nil:
			if bugle.KindOf(err) != bugle.KindNotFound && ctx.Err() == nil {
				k.e.opts.Log.Warn("webhooks: an endpoint could not be read", "endpoint", id, "error", err)
			}
		case endpoint.Node == k.e.node:
			own = append(own, endpoint)
		case !k.lives(endpoint.Node) && k.mine(id):
			take = append(take, endpoint)
		}
	}
	k.adopt(ctx, own, 0)
	if err := k.claim(ctx, take, 0); err != nil && ctx.Err() == nil {
		k.e.opts.Log.Warn("webhooks: endpoints could not be taken", "error", err)
	}
	for _, endpoint := range over {
		if _, err := k.e.opts.Store.ClaimHookEndpoints(ctx, k.best(endpoint.ID), []store.HookEndpoint{endpoint}); err != nil && ctx.Err() == nil {
			k.e.opts.Log.Warn("webhooks: an endpoint could not be handed over", "endpoint", endpoint.ID, "error", err)
		}
	}
}
