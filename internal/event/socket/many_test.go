package socket_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"bugle"
	"bugle/internal/event/kazoo"
	"bugle/internal/event/socket"
	"bugle/internal/store"
	"bugle/internal/store/pgtest"
)

// deaf is a change log whose nudges are lost.
type deaf struct{ *store.Store }

func (deaf) Subscribe() (nudge <-chan struct{}, stop func()) { return nil, func() {} }

// flaky are people who cannot be judged at times, as when the database does not answer.
type flaky struct {
	socket.People
	failures atomic.Int64 // that are still to come
}

func (f *flaky) Follows(ctx context.Context, h socket.Holder, account string) error {
	if f.failures.Add(-1) >= 0 {
		return &bugle.Error{Op: "flaky", Kind: bugle.KindUnavailable}
	}
	return f.People.Follows(ctx, h, account)
}

// TestEachServerTellsOfEachChangeOnce: two servers on one PostgreSQL are written to at once, the nudges of one are lost, and the database
// fails while tokens are judged: clients of both are told of all, in one order, nothing twice.
func TestEachServerTellsOfEachChangeOnce(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	open := func() *store.Store {
		s, err := store.OpenPostgres(t.Context(), url, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	judges := &flaky{}
	a := serverOn(t, open(), func(o *socket.Options) { judges.People, o.People = o.People, judges })
	if _, _, err := a.api.EnsureMaster(t.Context(), password, apiKey, nil); err != nil {
		t.Fatal(err)
	}
	a.found()
	b := serverOn(t, open(), func(o *socket.Options) { o.Changes = deaf{o.Changes.(*store.Store)} })
	b.token, b.acme, b.other = a.token, a.acme, a.other
	const each = 30
	clients := []*client{a.dial(), b.dial()}
	for _, k := range clients {
		k.subscribe(a.token, a.acme, "object.*.*")
	}
	judges.failures.Store(3)
	a.do("PATCH", "/v2/accounts/"+a.acme, `{"name":"Acme 2"}`) // which has tokens judged
	var writing sync.WaitGroup
	for i, w := range []*world{a, b} {
		writing.Go(func() {
			for n := range each {
				w.make("/v2/accounts/"+a.acme+"/menus", fmt.Sprintf(`{"name":"M%d-%d"}`, i, n))
				w.make("/v2/accounts/"+a.other+"/menus", fmt.Sprintf(`{"name":"O%d-%d"}`, i, n)) // nobody's here
			}
		})
	}
	writing.Wait()
	var told [2][]string
	for i, k := range clients {
		for range 2*each + 1 {
			m := k.event()
			told[i] = append(told[i], fmt.Sprint(m.Data["type"], " ", m.Data["id"], " ", m.Data["rev"]))
		}
		if m := k.ask("ping", "", "{}"); m.Status != "success" || len(k.events) > 0 {
			t.Errorf("told of more: %+v", k.events)
		}
	}
	if !slices.Equal(told[0], told[1]) || len(slices.Compact(slices.Sorted(slices.Values(told[0])))) != 2*each+1 {
		t.Errorf("%q\n%q", told[0], told[1])
	}
	// A logout at one server is the end at the other.
	token := a.as("", "PUT", "/v2/api_auth", `{"api_key":"`+apiKey+`"}`)["auth_token"].(string)
	k := b.dial()
	k.subscribe(token, a.acme, "call.*.*")
	began := time.Now()
	a.as(token, "DELETE", "/v2/token_auth", "")
	k.ends(websocket.StatusPolicyViolation, "the token has ended")
	if took := time.Since(began); took > 10*time.Second { // half a second without a nudge, on a machine that has nothing else to do
		t.Errorf("after %s", took)
	}
}

// held is a change log that shows nothing until it is let go.
type held struct {
	socket.Log
	holding atomic.Bool
}

func (h *held) Tail(after int64, limit int) ([]bugle.Change, bool) {
	if h.holding.Load() {
		return nil, false
	}
	return h.Log.Tail(after, limit)
}

func (h *held) Changes(ctx context.Context, after int64, limit int) ([]bugle.Change, error) {
	if h.holding.Load() {
		return nil, nil
	}
	return h.Log.Changes(ctx, after, limit)
}

// TestABatchThatFailsGoesOnWhereItWas: when a token cannot be judged in the middle of what is read at once, what was told before is not told again.
func TestABatchThatFailsGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	log, judges := &held{}, &flaky{}
	w := newWorld(t, func(o *socket.Options) {
		log.Log, o.Changes = o.Changes, log
		judges.People, o.People = o.People, judges
	})
	k := w.dial()
	k.subscribe(w.token, w.acme, "object.*.*")
	log.holding.Store(true)
	var want []string
	for n := range 3 {
		want = append(want, w.make("/v2/accounts/"+w.acme+"/menus", fmt.Sprintf(`{"name":"M%d"}`, n)))
		w.do("PATCH", "/v2/accounts/"+w.acme, fmt.Sprintf(`{"name":"Acme %d"}`, n))
		want = append(want, w.acme)
	}
	judges.failures.Store(4)
	log.holding.Store(false)
	var told []string
	for range want {
		told = append(told, fmt.Sprint(k.event().Data["id"]))
	}
	if k.ask("ping", "", "{}"); !slices.Equal(told, want) || len(k.events) > 0 || judges.failures.Load() >= 0 {
		t.Errorf("%q and %v, want %q", told, k.events, want)
	}
}

// TestASlowClientHoldsUpNobody: one that does not read is cut off when too much waits for it; the others are told of all.
func TestASlowClientHoldsUpNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *socket.Options) {
		o.Limits = socket.Limits{Queue: 100, QueueBytes: 1 << 20}
		o.Times = socket.Times{Write: 2 * time.Second, Close: 100 * time.Millisecond}
	})
	slow, quick := w.dial(), w.dial()
	slow.subscribe(w.ann, w.acme, "call.*.*")
	quick.subscribe(w.ann, w.acme, "call.*.*")
	leg := kazoo.Channel{Event: kazoo.EventCreate, AccountID: w.acme, CallerName: strings.Repeat("x", 32<<10)}
	n := 0
	for w.sockets.Stats().Slow == 0 {
		if n++; n > 5000 {
			t.Fatal("nobody is slow")
		}
		leg.CallID = fmt.Sprint(n)
		w.sockets.Call(leg)
		if m := quick.event(); m.Data["call_id"] != leg.CallID {
			t.Fatalf("%+v, want %d", m.Data["call_id"], n)
		}
	}
	eventually(t, "the slow one is cut off", func() bool { return w.sockets.Stats().Sessions == 1 })
	leg.CallID = "after"
	w.sockets.Call(leg)
	if m := quick.event(); m.Data["call_id"] != "after" {
		t.Errorf("%+v", m)
	}
	// One that reads again in time is told why.
	w = newWorld(t, func(o *socket.Options) { o.Limits = socket.Limits{QueueBytes: 64 << 10} })
	late := w.dial()
	late.subscribe(w.ann, w.acme, "call.*.*")
	for n := 0; w.sockets.Stats().Slow == 0; n++ {
		leg.AccountID = w.acme
		w.sockets.Call(leg)
	}
	for m := late.next(); m != nil; m = late.next() {
		continue
	}
	if late.closed.Code != websocket.StatusPolicyViolation || !strings.Contains(late.closed.Reason, "too slow") {
		t.Errorf("%v", late.closed)
	}
}

// TestNobodyListensToNothing: without a subscription the log is not followed, and calls cost nothing. It counts allocations, so it runs alone.
func TestNobodyListensToNothing(t *testing.T) {
	var looks atomic.Int64
	w := newWorld(t, func(o *socket.Options) { o.Changes = counting{o.Changes, &looks} })
	leg := kazoo.Channel{Event: kazoo.EventCreate, AccountID: w.acme, CallID: "x"}
	if cost := testing.AllocsPerRun(100, func() {
		if w.sockets.Listens(leg.AccountID) {
			w.sockets.Call(leg)
		}
	}); cost != 0 {
		t.Errorf("%v allocations", cost)
	}
	k := w.dial()
	k.subscribe(w.ann, w.acme, "object.*.*")
	eventually(t, "the log is followed", func() bool { return looks.Load() > 0 })
	k.ask("unsubscribe", "", "{}")
	before := looks.Load()
	w.make("/v2/accounts/"+w.acme+"/menus", `{"name":"M"}`)
	k.ask("ping", "", "{}")
	if looks.Load() != before {
		t.Error("the log is followed for nobody")
	}
}

type counting struct {
	socket.Log
	looks *atomic.Int64
}

func (c counting) Changes(ctx context.Context, after int64, limit int) ([]bugle.Change, error) {
	c.looks.Add(1)
	return c.Log.Changes(ctx, after, limit)
}

// swept is a log that has lost what comes next, once.
type swept struct {
	socket.Log
	gone atomic.Bool
}

func (s *swept) Changes(ctx context.Context, after int64, limit int) ([]bugle.Change, error) {
	if s.gone.Swap(false) {
		return nil, store.ErrSwept
	}
	return s.Log.Changes(ctx, after, limit)
}

// TestWhatIsLostIsTold: when changes are no longer kept, clients are told to read again.
func TestWhatIsLostIsTold(t *testing.T) {
	t.Parallel()
	log := &swept{}
	w := newWorld(t, func(o *socket.Options) { log.Log, o.Changes = o.Changes, log })
	k := w.dial()
	k.subscribe(w.ann, w.acme, "object.*.*")
	log.gone.Store(true)
	k.ends(websocket.StatusTryAgainLater, "changes were lost")
}

// TestTheServerEnds: its clients are told, those that do not listen are not waited for, and nobody new is taken.
func TestTheServerEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := w.dial()
	k.subscribe(w.ann, w.acme, "object.*.*")
	w.dial() // it reads nothing
	closing := make(chan struct{})
	go func() {
		defer close(closing)
		w.sockets.Close()
	}()
	k.ends(websocket.StatusGoingAway, "the server ends")
	<-closing
	if _, res, err := websocket.Dial(t.Context(), w.url, nil); err == nil || res.StatusCode != 503 {
		t.Errorf("%v %v", res, err)
	}
}

// TestTokensThatEndMeanwhile: whatever the order of a subscription and the end of its token, nothing is told in the end.
func TestTokensThatEndMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 20 {
		token := w.as("", "PUT", "/v2/api_auth", `{"api_key":"`+apiKey+`"}`)["auth_token"].(string)
		k := w.dial()
		var ending sync.WaitGroup
		ending.Go(func() { w.as(token, "DELETE", "/v2/token_auth", "") })
		k.write(`{"action":"subscribe","auth_token":"` + token + `","data":{"account_id":"` + w.acme + `","binding":"object.*.*"}}`)
		m := k.read()
		ending.Wait()
		if m != nil && m.Status == "success" {
			k.ends(websocket.StatusPolicyViolation, "the token has ended")
		}
		k.conn.CloseNow()
	}
	eventually(t, "all is forgotten", func() bool { return w.sockets.Stats().Subscriptions == 0 })
}
