package store

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bugle"
)

func hook(id, endpoint string) HookDelivery {
	return HookDelivery{ID: id, Endpoint: endpoint, Kind: "kazoo", AccountID: "acme", Event: "doc_edited", Keys: []string{"k", "é"},
		Method: "POST", URL: "https://example.com/?a=b", Header: [][2]string{{"Content-Type", "application/json"}, {"X-A", ""}},
		Body: []byte("{\"a\":\"\x00\xff\"}")}
}

func enqueue(t *testing.T, s *Store, list ...HookDelivery) {
	t.Helper()
	if err := s.Write(t.Context(), func(tx *Tx) error { return tx.Enqueue(list...) }); err != nil {
		t.Fatal(err)
	}
}

func hookIDs(list []HookDelivery) []string {
	out := []string{}
	for _, d := range list {
		out = append(out, d.ID)
	}
	return out
}

// exerciseHooks: deliveries are kept exactly, in order, and found by whoever delivers and whoever looks.
func exerciseHooks(t *testing.T, o opener) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	s := o.open(t, Options{Now: func() time.Time { return now }})
	nudge, stop := s.SubscribeHooks()
	defer stop()
	enqueue(t, s, hook("d1", "e1"), hook("d2", "e2"), hook("d3", "e1"))
	select {
	case <-nudge:
	default:
		t.Error("nobody is told of deliveries")
	}
	enqueue(t, s, hook("d4", "e1"), hook("d1", "e1")) // in doubt: again
	foreign := hook("d5", "e9")
	foreign.AccountID = "beta"
	enqueue(t, s, foreign)
	if changes, err := s.Changes(t.Context(), 0, 0); err != nil || len(changes) != 0 {
		t.Errorf("deliveries are in the change log: %v, %v", changes, err)
	}
	got, err := s.GetDelivery(t.Context(), "acme", "d1")
	want := hook("d1", "e1")
	want.Kind, want.Position, want.Queued, want.Created, want.Due = "", 1, 1, now, now
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	_, err = s.GetDelivery(t.Context(), "beta", "d1")
	wantKind(t, err, bugle.KindNotFound)
	for name, spoil := range map[string]func(*HookDelivery){
		"id": func(d *HookDelivery) { d.ID = "" }, "url": func(d *HookDelivery) { d.URL = "" }, "method": func(d *HookDelivery) { d.Method = "\xff" },
		"key": func(d *HookDelivery) { d.Keys = []string{"\x00"} }, "body": func(d *HookDelivery) { d.Body = make([]byte, MaxHookBody+1) },
		"header": func(d *HookDelivery) { d.Header = [][2]string{{"a", "\xff"}} }, "slash": func(d *HookDelivery) { d.ID = "a/1" }} {
		d := hook("bad", "e1")
		spoil(&d)
		if err := s.Write(t.Context(), func(tx *Tx) error { return tx.Enqueue(d) }); err == nil || bugle.KindOf(err) != bugle.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	// By number, two at a time.
	var found []string
	for queued, position := int64(0), int64(0); ; {
		list, err := s.HooksAfter(t.Context(), queued, position, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		found = append(found, hookIDs(list)...)
		queued, position = list[len(list)-1].Queued, list[len(list)-1].Position
	}
	if !slices.Equal(found, []string{"d1", "d2", "d3", "d4", "d5"}) {
		t.Error(found)
	}
	if list, err := s.HooksWaiting(t.Context(), "e1", 1, 10); err != nil || !slices.Equal(hookIDs(list), []string{"d3", "d4"}) {
		t.Error(hookIDs(list), err)
	}
	for _, limit := range []int{1, 2, 3, 50} {
		for _, ascending := range []bool{false, true} {
			var found []string
			for q := (HookQuery{AccountID: "acme", Endpoint: "e1", Limit: limit, Ascending: ascending}); ; {
				list, next, err := s.Deliveries(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				found = append(found, hookIDs(list)...)
				if q.After = next; next == nil {
					break
				}
			}
			want := []string{"d4", "d3", "d1"}
			if ascending {
				slices.Reverse(want)
			}
			if !slices.Equal(found, want) {
				t.Errorf("by %d: %v", limit, found)
			}
		}
	}
	_, _, err = s.Deliveries(t.Context(), HookQuery{AccountID: "acme", After: []byte("x")})
	wantKind(t, err, bugle.KindInvalid)
	// An error of the transaction enqueues nothing.
	boom := errors.New("boom")
	if err := s.Write(t.Context(), func(tx *Tx) error { return errors.Join(tx.Enqueue(hook("d6", "e1")), boom) }); !errors.Is(err, boom) {
		t.Error(err)
	}
	_, err = s.GetDelivery(t.Context(), "acme", "d6")
	wantKind(t, err, bugle.KindNotFound)
}

// exerciseHookResults: what attempts made of deliveries is kept unless another node has taken the endpoint.
func exerciseHookResults(t *testing.T, o opener) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	s := o.open(t, Options{Now: func() time.Time { return now }})
	for i := range 5 {
		enqueue(t, s, hook(fmt.Sprint("d", i), "e1"))
	}
	waiting, err := s.HookEndpointsWaiting(t.Context(), "")
	if err != nil || len(waiting) != 1 || waiting[0].ID != "e1" || waiting[0].Kind != "kazoo" || waiting[0].AccountID != "acme" {
		t.Fatal(waiting, err)
	}
	claimed, err := s.ClaimHookEndpoints(t.Context(), "n1", waiting)
	if err != nil || len(claimed) != 1 || claimed[0].Epoch != 1 || claimed[0].Node != "n1" {
		t.Fatal(claimed, err)
	}
	if again, err := s.ClaimHookEndpoints(t.Context(), "n2", waiting); err != nil || len(again) != 0 {
		t.Error("two nodes have one endpoint", again, err)
	}
	submit := func(r *HookResult) {
		t.Helper()
		done := make(chan error, 1)
		s.SubmitHookResult(r, func(err error) { done <- err })
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	endpoint := claimed[0]
	try := func(id string, number int, state HookState) *HookResult {
		d, err := s.GetDelivery(t.Context(), "acme", id)
		if err != nil {
			t.Fatal(err)
		}
		d.State, d.Began, d.Due, d.Attempts, d.Tries, d.Status, d.Reason = state, now, now.Add(time.Minute), number, number, 500, "it answered 500"
		if state != HookWaiting {
			d.Finished = now
		}
		return &HookResult{Delivery: d, Endpoint: endpoint, Attempt: &HookAttempt{Delivery: id, Number: number, Endpoint: "e1", AccountID: "acme",
			At: now.Add(time.Duration(number) * time.Second), Took: 3 * time.Millisecond, Status: 500, Error: "it answered 500",
			Success: state == HookDelivered, Answer: []byte("\x00\xffno"), RetryAt: now.Add(time.Minute)}}
	}
	endpoint.Failing, endpoint.Reason = now, "it answered 500"
	first := try("d0", 1, HookWaiting)
	submit(first)
	// Many at once, one of them twice: the last counts.
	var wg sync.WaitGroup
	for i := 1; i < 4; i++ {
		wg.Go(func() { submit(try(fmt.Sprint("d", i), 1, HookDead)) })
	}
	wg.Wait()
	submit(try("d0", 2, HookDelivered))
	if e, err := s.GetHookEndpoint(t.Context(), "acme", "e1"); err != nil || cmp.Diff(endpoint, e) != "" {
		t.Error(err, cmp.Diff(endpoint, e))
	}
	if d, err := s.GetDelivery(t.Context(), "acme", "d0"); err != nil || d.State != HookDelivered || d.Attempts != 2 || !d.Finished.Equal(now) {
		t.Errorf("%+v, %v", d, err)
	}
	var numbers []string
	for q := (HookQuery{AccountID: "acme", Endpoint: "e1", Limit: 2}); ; {
		list, next, err := s.HookAttempts(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range list {
			numbers = append(numbers, fmt.Sprint(a.Delivery, a.Number))
		}
		if q.After = next; next == nil {
			break
		}
	}
	if !slices.Equal(numbers, []string{"d02", "d31", "d21", "d11", "d01"}) {
		t.Error(numbers)
	}
	list, _, err := s.HookAttempts(t.Context(), HookQuery{AccountID: "acme", Delivery: "d0", Until: now.Add(2 * time.Second)})
	if err != nil || len(list) != 1 || cmp.Diff(*first.Attempt, list[0]) != "" {
		t.Error(err, list)
	}
	for _, q := range []HookQuery{{AccountID: "beta"}, {AccountID: "acme", Endpoint: "e2"}, {AccountID: "acme", From: now.Add(time.Hour)}} {
		if list, _, err := s.HookAttempts(t.Context(), q); err != nil || len(list) != 0 {
			t.Error(q, list, err)
		}
	}
	_, _, err = s.HookAttempts(t.Context(), HookQuery{AccountID: "acme", After: encodeCursor([]byte("12345678"), "x")})
	wantKind(t, err, bugle.KindInvalid)
	// All failed ones again, then by range, then one.
	resend := func(q HookQuery, id string) int {
		t.Helper()
		q.Delivery = id
		n, err := s.Resend(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	at, err := s.HooksQueued(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := resend(HookQuery{AccountID: "acme", Endpoint: "e1", States: []HookState{HookDead}}, ""); n != 3 {
		t.Error(n, "sent again")
	}
	if list, err := s.HooksAfter(t.Context(), at, 1<<62, 10); err != nil || !slices.Equal(hookIDs(list), []string{"d1", "d2", "d3"}) || list[0].State != HookWaiting || list[0].Tries != 0 || list[0].Attempts != 1 {
		t.Error(list, err)
	}
	if n := resend(HookQuery{AccountID: "acme", First: 1, Last: 2}, ""); n != 2 {
		t.Error(n)
	}
	if n := resend(HookQuery{AccountID: "beta"}, "d0"); n != 0 {
		t.Error(n)
	}
	// Another node takes it: what the first one did since is not written.
	taken, err := s.ClaimHookEndpoints(t.Context(), "n2", []HookEndpoint{endpoint})
	if err != nil || len(taken) != 1 {
		t.Fatal(taken, err)
	}
	late := try("d4", 1, HookDelivered)
	submit(late)
	if d, err := s.GetDelivery(t.Context(), "acme", "d4"); err != nil || d.State != HookWaiting || !late.Lost {
		t.Error(d, err, late.Lost)
	}
	// The end of an endpoint.
	if err := s.Write(t.Context(), func(tx *Tx) error { return errors.Join(tx.DropHook("beta", "e1"), tx.DropHook("acme", "e1")) }); err != nil {
		t.Fatal(err)
	}
	dropped, _, err := s.Deliveries(t.Context(), HookQuery{AccountID: "acme", States: []HookState{HookDropped}})
	if err != nil || len(dropped) != 5 || resend(HookQuery{AccountID: "acme"}, "") != 0 {
		t.Error(hookIDs(dropped), err)
	}
	_, err = s.GetHookEndpoint(t.Context(), "acme", "e1")
	wantKind(t, err, bugle.KindNotFound)
	if n, err := s.SweepHooks(t.Context(), now); err != nil || n != 0 {
		t.Error(n, err)
	}
	if n, err := s.SweepHooks(t.Context(), now.Add(time.Second)); err != nil || n != 5 {
		t.Error(n, err)
	}
	if list, _, err := s.HookAttempts(t.Context(), HookQuery{AccountID: "acme"}); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
}

// exerciseHookNodes: nodes live, pause, look and die; readers move with what they write.
func exerciseHookNodes(t *testing.T, o opener) {
	s := o.open(t, Options{})
	for range 2 {
		if _, err := s.BeatHookNode(t.Context(), "n1"); err != nil {
			t.Fatal(err)
		}
	}
	beats, err := s.BeatHookNode(t.Context(), "n2")
	if diff := cmp.Diff(map[string]int64{"n1": 2, "n2": 1}, beats); err != nil || diff != "" {
		t.Error(err, diff)
	}
	enqueue(t, s, hook("d1", "e1"), hook("d2", "e2"))
	waiting, err := s.HookEndpointsWaiting(t.Context(), "e1")
	if err != nil || len(waiting) != 1 || waiting[0].ID != "e2" {
		t.Fatal(waiting, err)
	}
	if _, err := s.ClaimHookEndpoints(t.Context(), "n1", waiting); err != nil {
		t.Fatal(err)
	}
	pause := func(account string, paused bool) error {
		return s.Write(t.Context(), func(tx *Tx) error { return tx.PauseHook(account, "e2", "ringcentral", paused) })
	}
	at, err := s.HooksQueued(t.Context())
	if err := errors.Join(err, pause("acme", true)); err != nil {
		t.Fatal(err)
	}
	wantKind(t, pause("beta", false), bugle.KindNotFound)
	touched, err := s.HookEndpointsTouched(t.Context(), at)
	if err != nil || len(touched) != 1 || touched[0].Paused.IsZero() || touched[0].Node != "n1" {
		t.Fatal(touched, err)
	}
	if err := s.Write(t.Context(), func(tx *Tx) error { return tx.ProbeHook("acme", "e2") }); err != nil {
		t.Fatal(err)
	}
	if touched, err := s.HookEndpointsTouched(t.Context(), touched[0].Touched); err != nil || len(touched) != 1 || touched[0].Paused.IsZero() {
		t.Fatal(touched, err)
	}
	if err := s.ReleaseHookEndpoints(t.Context(), "n1"); err != nil {
		t.Fatal(err)
	}
	if e, err := s.GetHookEndpoint(t.Context(), "acme", "e2"); err != nil || e.Node != "" || e.Epoch != 2 {
		t.Error(e, err)
	}
	if err := s.BuryHookNode(t.Context(), "n2"); err != nil {
		t.Fatal(err)
	}
	if beats, err := s.BeatHookNode(t.Context(), "n3"); err != nil || len(beats) != 1 {
		t.Error(beats, err)
	}

	wantKind(t, s.Write(t.Context(), func(tx *Tx) error { return tx.MoveReader("hooks", 1) }), bugle.KindNotFound)
	for _, position := range []int64{3, 9} { // the first is kept
		if err := s.BeginReader(t.Context(), "hooks", position); err != nil {
			t.Fatal(err)
		}
	}
	// Of many who read the same place at once each sees the other's move.
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := s.Write(t.Context(), func(tx *Tx) error {
				at, known, err := tx.ReaderPosition("hooks")
				if err != nil || !known {
					return errors.Join(err, errors.New("not known"))
				}
				return errors.Join(tx.MoveReader("hooks", at+1), tx.Enqueue(hook(fmt.Sprint("r", at), "e1")))
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if at, known, err := s.ReaderPosition(t.Context(), "hooks"); err != nil || !known || at != 23 {
		t.Error(at, known, err)
	}
	if _, known, err := s.ReaderPosition(t.Context(), "others"); err != nil || known {
		t.Error(known, err)
	}
	if list, err := s.HooksWaiting(t.Context(), "e1", 0, 100); err != nil || len(list) != 21 {
		t.Error(len(list), err)
	}
}
