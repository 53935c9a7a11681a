package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"bugle/internal/event/webhook"
	"bugle/internal/store"
)

// sent is one request that a receiver saw.
type sent struct {
	at   time.Time
	id   string
	url  string
	body string
}

// receiver answers what an engine sends, without a network: on a virtual clock.
type receiver struct {
	mu     sync.Mutex
	got    []sent
	answer func(r webhook.Request, n int) webhook.Answer // n: how many this URL had before
	before map[string]int
	delay  time.Duration
	most   int // requests at once
	now    int
}

func status(code int) webhook.Answer { return webhook.Answer{Status: code} }

func (r *receiver) Send(ctx context.Context, req webhook.Request) webhook.Answer {
	r.mu.Lock()
	if r.before == nil {
		r.before = map[string]int{}
	}
	n := r.before[req.URL]
	r.before[req.URL]++
	id := ""
	for _, h := range req.Header {
		if h[0] == "webhook-id" {
			id = h[1]
		}
	}
	r.got = append(r.got, sent{time.Now(), id, req.URL, string(req.Body)})
	answer, delay := r.answer, r.delay
	r.now++
	r.most = max(r.most, r.now)
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.now--
		r.mu.Unlock()
	}()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return webhook.Answer{Reason: "no whole answer came in time", Err: ctx.Err()}
		}
	}
	if answer == nil {
		return status(200)
	}
	return answer(req, n)
}

// set replaces how it answers.
func (r *receiver) set(answer func(webhook.Request, int) webhook.Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func (r *receiver) log() []sent {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]sent(nil), r.got...)
}

func (r *receiver) bodies(url string) (out []string) {
	for _, s := range r.log() {
		if url == "" || s.url == url {
			out = append(out, s.body)
		}
	}
	return out
}

// owner answers for all endpoints alike, unless told otherwise.
type owner struct {
	mu     sync.Mutex
	target webhook.Target
	err    error
	probe  error
	probes []time.Time
	told   []webhook.Transition
}

func (o *owner) Target(context.Context, store.HookEndpoint) (webhook.Target, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	t := o.target
	if t.Secrets == nil {
		t.Secrets = [][]byte{[]byte("0123456789012345678901234567")}
	}
	return t, o.err
}

func (o *owner) Probe(context.Context, store.HookEndpoint) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.probes = append(o.probes, time.Now())
	return o.probe
}

func (o *owner) Tell(_ context.Context, _ store.HookEndpoint, t webhook.Transition) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told = append(o.told, t)
}

func (o *owner) set(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f()
}

func (o *owner) heard() []webhook.Transition {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]webhook.Transition(nil), o.told...)
}

// meter counts.
type meter struct {
	mu        sync.Mutex
	delivered int
	outcomes  map[string]int
}

func (m *meter) Attempt(kind, outcome string, _ time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if outcome == "delivered" {
		m.delivered++
	}
	m.outcomes[kind+" "+outcome]++
}

func (m *meter) Transition(kind string, t webhook.Transition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.outcomes[kind+" "+string(t)]++
}

func (m *meter) deliveries() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.delivered
}

// house is a store and an engine that may be stopped and started.
type house struct {
	t     *testing.T
	s     *store.Store
	e     *webhook.Engine
	r     *receiver
	o     *owner
	m     *meter
	opts  webhook.Options
	count int
}

func open(t *testing.T) *house {
	t.Helper()
	s, err := store.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "bugle.db"), store.Options{OnPanic: func(v any) { t.Error(v) }})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, s: s, r: &receiver{}, o: &owner{target: webhook.Target{Tries: 2}}, m: &meter{outcomes: map[string]int{}}}
	h.opts = webhook.Options{Store: s, Send: h.r, Meter: h.m, Alone: true, Beat: time.Hour, Poll: time.Hour, OnPanic: func(v any) { t.Error("panic:", v) }, Kinds: map[string]webhook.Kind{
		"ringcentral": {Policy: webhook.RingCentral(), Owner: h.o}, "kazoo": {Policy: webhook.Kazoo(), Owner: h.o}}}
	return h
}

func (h *house) start() {
	h.t.Helper()
	e, err := webhook.Start(h.t.Context(), h.opts)
	if err != nil {
		h.t.Fatal(err)
	}
	h.e = e
}

func (h *house) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	h.e.Close(ctx)
}

func (h *house) close() {
	h.stop()
	if err := h.s.Close(); err != nil {
		h.t.Error(err)
	}
}

func delivery(kind, endpoint, id, body string, keys ...string) store.HookDelivery {
	return store.HookDelivery{ID: id, Endpoint: endpoint, Kind: kind, AccountID: "acme", Event: "x", Keys: keys, Method: "POST",
		URL: "https://receiver.test/" + endpoint, Header: [][2]string{{"Content-Type", "application/json"}}, Body: []byte(body)}
}

func (h *house) enqueue(list ...store.HookDelivery) {
	h.t.Helper()
	if err := h.s.Write(context.Background(), func(tx *store.Tx) error { return tx.Enqueue(list...) }); err != nil {
		h.t.Fatal(err)
	}
}

// one enqueues a delivery of an endpoint of RingCentral's policy, whose body is its number.
func (h *house) one(endpoint string, keys ...string) string {
	h.count++
	id := fmt.Sprintf("%s-%d", endpoint, h.count)
	h.enqueue(delivery("ringcentral", endpoint, id, fmt.Sprint(h.count), keys...))
	return id
}

func (h *house) get(id string) store.HookDelivery {
	h.t.Helper()
	d, err := h.s.GetDelivery(context.Background(), "acme", id)
	if err != nil {
		h.t.Fatal(err)
	}
	return d
}

// ended waits until so many deliveries have ended, as the store knows it.
func (h *house) ended(n int, states ...store.HookState) {
	h.t.Helper()
	if len(states) == 0 {
		states = []store.HookState{store.HookDelivered}
	}
	began, pause := time.Now(), time.Duration(0)
	deadline := began.Add(30 * 24 * time.Hour)
	for have := -1; have != n; time.Sleep(pause) {
		pause = max(10*time.Millisecond, time.Since(began)/200)
		if states[0] == store.HookDelivered && h.m.deliveries() < n && time.Now().Before(deadline) {
			continue // asking the store costs more
		}
		have = 0
		for q := (store.HookQuery{AccountID: "acme", States: states, Limit: 1000}); ; {
			list, next, err := h.s.Deliveries(context.Background(), q)
			if err != nil {
				h.t.Fatal(err)
			}
			have += len(list)
			if q.After = next; next == nil {
				break
			}
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("%d of %d deliveries have ended", have, n)
		}
	}
}

func (h *house) resend(q store.HookQuery, id string) int {
	h.t.Helper()
	q.Delivery = id
	n, err := h.s.Resend(context.Background(), q)
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

var errSick = errors.New("sick")
