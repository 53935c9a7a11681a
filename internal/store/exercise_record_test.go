package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bugle"
)

func loadBindings(t *testing.T, s *Store) (rows []BindingRow) {
	t.Helper()
	if err := s.LoadBindings(t.Context(), func(b BindingRow) error { rows = append(rows, b); return nil }); err != nil {
		t.Fatal(err)
	}
	return rows
}

func exerciseBindings(t *testing.T, o opener) {
	s := o.open(t, Options{})
	at := time.Date(2026, 11, 21, 12, 0, 0, 1000, time.UTC)
	row := BindingRow{AccountID: "acme", DeviceID: "d1", OwnerID: "u1", Username: "ann", Realm: "acme.example",
		Contact: "sip:ann@10.0.0.7:5060;ob", Instance: "<urn:uuid:1>", Q: 700, Path: []string{"<sip:edge;lr>", "<sip:b>"},
		Transport: "udp", Source: "192.0.2.1:5060", Local: "[2001:db8::1]:5060", CallID: "x@y", CSeq: 1<<32 - 1,
		UserAgent: "Phone/1 é", Created: at, Refreshed: at.Add(time.Second), Expires: at.Add(time.Hour)}
	other := row
	other.Contact, other.Path, other.UserAgent = "sip:ann@10.0.0.8", nil, "broken \xff\x00 agent"
	if err := s.SaveBindings(t.Context(), []BindingRow{row, other}, nil); err != nil {
		t.Fatal(err)
	}
	row.CSeq, row.Expires = 2, at.Add(2*time.Hour)
	third := row
	third.DeviceID = "d2"
	if err := s.SaveBindings(t.Context(), []BindingRow{row, third}, []BindingKey{{"d9", "nothing"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveBindings(t.Context(), nil, []BindingKey{{"d2", third.Contact}}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = o.open(t, Options{})
	other.UserAgent = "broken \uFFFD\uFFFD agent"
	if diff := cmp.Diff([]BindingRow{row, other}, loadBindings(t, s)); diff != "" {
		t.Errorf("bindings (-want +got):\n%s", diff)
	}
	boom := errors.New("boom")
	if err := s.LoadBindings(t.Context(), func(BindingRow) error { return boom }); err != boom {
		t.Errorf("an error of the reader became %v", err)
	}
	if changes, err := s.Changes(t.Context(), 0, 0); err != nil || len(changes) != 0 {
		t.Errorf("bindings are in the change log: %v, %v", changes, err)
	}
}

func exerciseCalls(t *testing.T, o opener) {
	s := o.open(t, Options{})
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	var want []string
	for i := range 7 {
		c := CallRow{ID: fmt.Sprint("c", i), AccountID: "acme", SIPCallID: "x@y", Direction: "inbound", FromName: "Ann",
			FromNumber: "1001", Dialed: "411", ToID: "u2", DeviceID: "d1", CallflowID: "f1",
			Started: at.Add(time.Duration(i/2) * time.Minute), Answered: at.Add(time.Duration(i) * time.Hour), Ended: at.Add(24 * time.Hour),
			Cause: "NORMAL_CLEARING", Trail: json.RawMessage(`[{"module":"directory", "n":1.0}]`)}
		if i == 3 {
			c.Answered, c.Trail = time.Time{}, nil
		}
		if err := s.SaveCall(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		c.Cause = "USER_BUSY"
		if err := s.SaveCall(t.Context(), c); err != nil { // in doubt: again
			t.Fatal(err)
		}
		if c.Trail == nil {
			c.Trail = json.RawMessage(`[]`)
		}
		got, err := s.GetCall(t.Context(), "acme", c.ID)
		if err != nil || cmp.Diff(c, got) != "" {
			t.Errorf("call is %+v, %v", got, err)
		}
		want = append([]string{c.ID}, want...)
	}
	_, err := s.GetCall(t.Context(), "other", "c1")
	wantKind(t, err, bugle.KindNotFound)
	if err := s.SaveCall(t.Context(), CallRow{ID: "foreign", AccountID: "other", Started: at}); err != nil {
		t.Fatal(err)
	}
	list := func(q CallQuery) (got []string) {
		for {
			calls, next, err := s.Calls(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range calls {
				got = append(got, c.ID)
			}
			if q.After = next; next == nil {
				return got
			}
		}
	}
	for _, limit := range []int{0, 1, 2, 7} {
		if diff := cmp.Diff(want, list(CallQuery{AccountID: "acme", Limit: limit})); diff != "" {
			t.Errorf("calls by %d (-want +got):\n%s", limit, diff)
		}
	}
	if got := list(CallQuery{AccountID: "acme", From: at.Add(time.Minute), Until: at.Add(2 * time.Minute)}); cmp.Diff([]string{"c3", "c2"}, got) != "" {
		t.Errorf("calls of one minute: %v", got)
	}
}

func exerciseGroups(t *testing.T, o opener) {
	s := o.open(t, Options{})
	var mu sync.Mutex
	groups := map[string]int{} // by which commits the rows came
	g := newGroupWriter(s, "test", 20*time.Millisecond, func(ctx context.Context, tx *transaction, rows []string) error {
		mu.Lock()
		groups["commits"]++
		groups["rows"] += len(rows)
		mu.Unlock()
		if slices.Contains(rows, "bad") {
			return errors.New("this row cannot be written")
		}
		_, err := tx.exec(ctx, `DELETE FROM bindings WHERE device_id = ?`, rows[0])
		return err
	})
	const n = 1000
	results := make(chan error, n)
	for i := range n {
		g.submit([]string{fmt.Sprint(i)}, func(err error) { results <- err })
	}
	for range n {
		if err := <-results; err != nil {
			t.Fatal(err)
		}
	}
	if groups["rows"] != n || groups["commits"] < n/groupRows || groups["commits"] > n/groupRows+3 {
		t.Errorf("%d rows in %d commits", groups["rows"], groups["commits"])
	}
	// One row that cannot be written does not take the others of its group with it.
	failed := map[string]error{}
	var wg sync.WaitGroup
	wg.Add(3)
	for _, row := range []string{"good", "bad", "fine"} {
		g.submit([]string{row}, func(err error) {
			mu.Lock()
			failed[row] = err
			mu.Unlock()
			wg.Done()
		})
	}
	wg.Wait()
	if failed["good"] != nil || failed["fine"] != nil || failed["bad"] == nil {
		t.Errorf("outcomes: %v", failed)
	}
	// Closing commits what is queued; afterwards nothing is taken.
	for range 3 {
		g.submit([]string{"x"}, func(err error) { results <- err })
	}
	g.close()
	for range 3 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	wantKind(t, g.save(t.Context(), []string{"late"}), bugle.KindUnavailable)
}

func exerciseCancel(t *testing.T, o opener) {
	s := o.open(t, Options{})
	put(t, s, user("u1", "Ann"), "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	check := func(err error) {
		t.Helper()
		wantKind(t, err, bugle.KindUnavailable)
		if !errors.Is(err, context.Canceled) || lost(err) {
			t.Errorf("error is %v", err)
		}
	}
	_, err := s.Get(ctx, "acme", "user", "u1")
	check(err)
	_, _, err = s.List(ctx, Query{Type: "user"})
	check(err)
	check(s.Write(ctx, func(tx *Tx) error { t.Error("ran"); return nil }))
	check(s.SaveCall(ctx, CallRow{ID: "c"}))
	// One that is given up in the middle writes nothing, and the next one is not disturbed.
	ctx, cancel = context.WithCancel(t.Context())
	check(s.Write(ctx, func(tx *Tx) error {
		d := user("u2", "Bea")
		if err := tx.Put(&d, ""); err != nil {
			return err
		}
		cancel()
		return tx.Put(&d, AnyRev)
	}))
	// One that waits for its turn at a document gives up waiting.
	inside, leave := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- s.Write(t.Context(), func(tx *Tx) error {
			_, err := tx.Get("acme", "user", "u1")
			close(inside)
			<-leave
			return err
		})
	}()
	<-inside
	ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err = s.Write(ctx, func(tx *Tx) error {
		_, err := tx.Get("acme", "user", "u1")
		if err == nil {
			t.Error("a document that another transaction has read was given to a second one")
		}
		return err
	})
	wantKind(t, err, bugle.KindUnavailable)
	close(leave)
	if err := <-done; err != nil {
		t.Error(err)
	}
	put(t, s, user("u3", "Cay"), "")
	if got := pages(t, s, Query{Type: "user"}); cmp.Diff([]string{"u1", "u3"}, got) != "" {
		t.Errorf("documents: %v", got)
	}
	wantLog(t, s)
}

func exerciseClosed(t *testing.T, o opener) {
	s := o.open(t, Options{})
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	wantKind(t, s.Ping(t.Context()), bugle.KindUnavailable)
	_, err := s.Get(t.Context(), "acme", "user", "u1")
	wantKind(t, err, bugle.KindUnavailable)
	_, err = s.Changes(t.Context(), 0, 0)
	wantKind(t, err, bugle.KindUnavailable)
	wantKind(t, s.Write(t.Context(), func(tx *Tx) error { return nil }), bugle.KindUnavailable)
	wantKind(t, s.SaveBindings(t.Context(), []BindingRow{{}}, nil), bugle.KindUnavailable)
}
