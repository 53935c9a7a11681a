package store

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"bugle"
)

// exerciseHookLog: deliveries are found by time and state, counted, and sent again in parts; pauses are kept.
func exerciseHookLog(t *testing.T, o opener) {
	began := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	now := began
	s := o.open(t, Options{Now: func() time.Time { return now }})
	const n = 700 // more than one transaction sends again
	for hour := range 7 {
		now = began.Add(time.Duration(hour) * time.Hour)
		var list []HookDelivery
		for i := range n / 7 {
			list = append(list, hook(fmt.Sprintf("d%d-%03d", hour, i), "e1"))
		}
		other, third := hook(fmt.Sprint("o", hour), "e2"), hook(fmt.Sprint("x", hour), "e3")
		other.AccountID = "beta"
		enqueue(t, s, append(list, third, other)...)
	}
	now = began.Add(100 * time.Hour)
	all := func(q HookQuery) (found []HookDelivery) {
		t.Helper()
		for q.Limit = 90; ; {
			list, next, err := s.Deliveries(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, list...)
			if q.After = next; next == nil {
				return found
			}
		}
	}
	// Three of each hour are dead, as many delivered.
	endpoint, err := s.GetHookEndpoint(t.Context(), "acme", "e1")
	if err != nil {
		t.Fatal(err)
	}
	for hour := range 7 {
		for i := range 6 {
			d, err := s.GetDelivery(t.Context(), "acme", fmt.Sprintf("d%d-%03d", hour, i))
			if err != nil {
				t.Fatal(err)
			}
			d.State, d.Finished, d.Attempts = HookDead, now, 1
			if i >= 3 {
				d.State = HookDelivered
			}
			done := make(chan error, 1)
			s.SubmitHookResult(&HookResult{Delivery: d, Endpoint: endpoint, Attempt: &HookAttempt{Delivery: d.ID, Number: 1, Endpoint: "e1",
				AccountID: "acme", At: now}}, func(err error) { done <- err })
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
	}
	dead, waiting := []HookState{HookDead}, []HookState{HookWaiting}
	at := func(hour int) time.Time { return began.Add(time.Duration(hour) * time.Hour) }
	for name, c := range map[string]struct {
		q    HookQuery
		want int
	}{
		"all":                    {HookQuery{}, n + 7},
		"endpoint":               {HookQuery{Endpoint: "e1"}, n},
		"dead":                   {HookQuery{States: dead}, 21},
		"dead of one":            {HookQuery{States: dead, Endpoint: "e1"}, 21},
		"dead of another":        {HookQuery{States: dead, Endpoint: "e3"}, 0},
		"dead of another's":      {HookQuery{States: waiting, Endpoint: "e2"}, 0},
		"ended":                  {HookQuery{States: []HookState{HookDead, HookDelivered}}, 42},
		"since":                  {HookQuery{From: at(5)}, 2*n/7 + 2},
		"since, not a bit later": {HookQuery{From: at(5).Add(time.Microsecond)}, n/7 + 1},
		"until":                  {HookQuery{Until: at(2), Ascending: true}, 2*n/7 + 2},
		"between, dead":          {HookQuery{From: at(2), Until: at(4), States: dead}, 6},
		"between, of one":        {HookQuery{From: at(2), Until: at(4), Endpoint: "e3"}, 2},
		"later":                  {HookQuery{From: at(90)}, 0},
		"earlier":                {HookQuery{Until: at(-90)}, 0},
		"one":                    {HookQuery{Delivery: "d3-007"}, 1},
		"one of another's":       {HookQuery{Delivery: "o1"}, 0},
	} {
		c.q.AccountID = "acme"
		found := all(c.q)
		if len(found) != c.want {
			t.Errorf("%s: %d, want %d", name, len(found), c.want)
		}
		if !slices.IsSortedFunc(found, func(x, y HookDelivery) int {
			if c.q.Ascending {
				return int(x.Position - y.Position)
			}
			return int(y.Position - x.Position)
		}) {
			t.Errorf("%s: out of order", name)
		}
	}
	logs, err := s.HookBacklogs(t.Context(), "acme", []string{"e1", "e2", "e3", "none"})
	if err != nil || len(logs) != 2 || logs["e1"] != (HookBacklog{n - 42, began, 21}) || logs["e3"] != (HookBacklog{7, began, 0}) {
		t.Error(logs, err)
	}
	if list, err := s.HookEndpoints(t.Context(), "acme", []string{"e1", "e2", "none"}); err != nil || len(list) != 1 || list["e1"].Kind != "kazoo" {
		t.Error(list, err)
	}
	// A range again, then all that is left of the dead, then everything, in several transactions and in order.
	mark, err := s.HooksQueued(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		q    HookQuery
		want int
	}{{HookQuery{States: dead, From: at(1), Until: at(3)}, 6}, {HookQuery{States: dead, Endpoint: "e1"}, 15}, {HookQuery{States: dead}, 0},
		{HookQuery{Delivery: "d0-004"}, 1}, {HookQuery{Delivery: "o1"}, 0}, {HookQuery{Endpoint: "e1"}, n}} {
		c.q.AccountID = "acme"
		if sent, err := s.Resend(t.Context(), c.q); err != nil || sent != c.want {
			t.Errorf("%+v: %d sent again, %v", c.q, sent, err)
		}
	}
	var again []HookDelivery
	for queued, position := mark, int64(1<<62); ; {
		list, err := s.HooksAfter(t.Context(), queued, position, 300)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		again = append(again, list...)
		queued, position = list[len(list)-1].Queued, list[len(list)-1].Position
	}
	if len(again) != n || !slices.IsSortedFunc(again, func(x, y HookDelivery) int { return int(x.Position - y.Position) }) {
		t.Error(len(again), "in order", again[0].ID)
	}
	// What was delivered before its endpoint went is not sent to nobody.
	if err := s.Write(t.Context(), func(tx *Tx) error { return tx.DropHook("acme", "e3") }); err != nil {
		t.Fatal(err)
	}
	if sent, err := s.Resend(t.Context(), HookQuery{AccountID: "acme", Endpoint: "e3"}); err != nil || sent != 0 {
		t.Error(sent, err)
	}

	pause := func(account, id string, paused bool) error {
		return s.Write(t.Context(), func(tx *Tx) error { return tx.PauseHook(account, id, "kazoo", paused) })
	}
	if err := errors.Join(pause("acme", "new", true), pause("acme", "e1", false)); err != nil {
		t.Fatal(err)
	}
	since := now
	now = now.Add(time.Hour)
	if err := pause("acme", "new", true); err != nil {
		t.Fatal(err)
	}
	states, err := s.HookEndpoints(t.Context(), "acme", []string{"new", "e1"})
	if err != nil || !states["new"].Paused.Equal(since) || !states["e1"].Resumed.IsZero() || states["new"].Kind != "kazoo" {
		t.Error(states, err)
	}
	enqueue(t, s, hook("late", "new")) // does not resume it
	if e, err := s.GetHookEndpoint(t.Context(), "acme", "new"); err != nil || !e.Paused.Equal(since) {
		t.Error(e, err)
	}
	for range 2 {
		if err := pause("acme", "new", false); err != nil {
			t.Fatal(err)
		}
	}
	if e, err := s.GetHookEndpoint(t.Context(), "acme", "new"); err != nil || !e.Paused.IsZero() || !e.Resumed.Equal(now) {
		t.Error(e, err)
	}
	wantKind(t, pause("beta", "new", true), bugle.KindNotFound)
	wantKind(t, pause("acme", "", true), bugle.KindInvalid)
}
