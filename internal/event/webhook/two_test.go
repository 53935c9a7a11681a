package webhook_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"bugle/internal/event/webhook"
	"bugle/internal/store"
	"bugle/internal/store/pgtest"
)

// node is an engine with a receiver of its own, on a database that it shares.
type node struct {
	s *store.Store
	e *webhook.Engine
	r *receiver
}

func newNode(t *testing.T, url string) *node {
	t.Helper()
	s, err := store.OpenPostgres(t.Context(), url, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{s: s, r: &receiver{}}
	if n.e, err = webhook.Start(t.Context(), webhook.Options{Store: s, Send: n.r, Beat: time.Second, Spread: 50 * time.Millisecond,
		Poll: 100 * time.Millisecond, OnPanic: func(v any) { t.Error(v) },
		Kinds: map[string]webhook.Kind{"ringcentral": {Policy: webhook.RingCentral(), Owner: &owner{}}}}); err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *node) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	n.e.Close(ctx)
	n.s.Close()
}

// TestTwoServersShareTheWork: each delivers for some of the endpoints, what one is told to enqueue the other delivers too, and
// one that ends, or dies, is replaced.
func TestTwoServersShareTheWork(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	a, b := newNode(t, url), newNode(t, url)
	defer a.close()
	const queues = 40
	total := 0
	enqueue := func(s *store.Store) {
		t.Helper()
		var list []store.HookDelivery
		for i := range queues {
			total++
			list = append(list, delivery("ringcentral", fmt.Sprint("e", i), fmt.Sprint("d", total), fmt.Sprint(total), "contact"))
		}
		if err := s.Write(t.Context(), func(tx *store.Tx) error { return tx.Enqueue(list...) }); err != nil {
			t.Fatal(err)
		}
	}
	done := func(nodes ...*node) (times map[string]int) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			times = map[string]int{}
			for _, n := range nodes {
				for _, s := range n.r.log() {
					times[s.id]++
				}
			}
			if len(times) == total {
				return times
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d of %d were delivered", len(times), total)
			}
		}
	}
	// Both are known to each other before the work begins.
	time.Sleep(3 * time.Second) // three beats: nodes are seen by nothing else
	for range 5 {
		enqueue(a.s)
	}
	for id, n := range done(a, b) {
		if n != 1 {
			t.Errorf("%s was delivered %d times", id, n)
		}
	}
	if na, nb := len(a.r.log()), len(b.r.log()); na < total/8 || nb < total/8 {
		t.Errorf("one delivered %d, the other %d", na, nb)
	}
	// In order at each endpoint, whoever delivers.
	for _, n := range []*node{a, b} {
		last := map[string]int{}
		for _, s := range n.r.log() {
			i := 0
			_, _ = fmt.Sscan(s.body, &i)
			if i < last[s.url] {
				t.Errorf("%s: %d after %d", s.url, i, last[s.url])
			}
			last[s.url] = i
		}
	}
	b.close()
	enqueue(a.s)
	for id, n := range done(a, b) {
		if n != 1 {
			t.Errorf("%s was delivered %d times after one server had ended", id, n)
		}
	}
	// One whose database connections end is dead for the others: it may send once more what it had begun, with the same id.
	c := newNode(t, url)
	enqueue(c.s)
	done(a, b, c)
	c.s.Close()
	enqueue(a.s)
	done(a, b, c)
	sent := len(c.r.log())
	enqueue(a.s)
	done(a, b, c)
	if n := len(c.r.log()); n != sent {
		t.Errorf("a server without a database sent %d more", n-sent)
	}
	c.close()
}
