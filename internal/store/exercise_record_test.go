package store

import (
	"context"
	crand "crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
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
			FromNumber: "1001", Dialed: "411", ToID: "u2", DeviceID: "d1", OwnerID: "u1", OtherLeg: "z@y", CallflowID: "f1",
			Started: at.Add(time.Duration(i/2) * time.Minute), Answered: at.Add(time.Duration(i) * time.Hour), Ended: at.Add(24 * time.Hour),
			Cause: "NORMAL_CLEARING", Trail: json.RawMessage(`[{"module":"directory", "n":1.0}]`)}
		if i == 3 {
			c.Answered, c.Trail = time.Time{}, nil
		}
		if i == 4 {
			c.AuthorizingID, c.AuthorizingType, c.PresenceID = "b1", "clicktocall", "1001"
			c.Variables = json.RawMessage(`{"page":"pricing"}`)
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

// exerciseManyRecords writes and removes so many at once that they come in several statements, some of them twice.
func exerciseManyRecords(t *testing.T, o opener) {
	s := o.open(t, Options{})
	var rows []BindingRow
	var keys []BindingKey
	for i := range 123 {
		for _, username := range []string{"first", "last"} {
			rows = append(rows, BindingRow{DeviceID: fmt.Sprintf("d%03d", i), Contact: "sip:x", Username: username})
		}
		keys = append(keys, BindingKey{fmt.Sprintf("d%03d", i), "sip:x"})
	}
	if err := s.SaveBindings(t.Context(), rows, keys[:1]); err != nil {
		t.Fatal(err)
	}
	got := loadBindings(t, s)
	for i, row := range got {
		if row.DeviceID != keys[i+1].DeviceID || row.Username != "last" {
			t.Errorf("binding %d is %+v", i, row)
		}
	}
	if len(got) != 122 {
		t.Errorf("%d bindings", len(got))
	}
	if err := s.SaveBindings(t.Context(), rows[:2], keys); err != nil {
		t.Fatal(err)
	}
	if got := loadBindings(t, s); len(got) != 0 {
		t.Errorf("left are %+v", got)
	}
	results := make(chan error, 123)
	for i := range cap(results) {
		s.SubmitCall(CallRow{ID: fmt.Sprint("c", i/2), AccountID: "acme", Cause: fmt.Sprint(i)}, func(err error) { results <- err })
	}
	for range cap(results) {
		if err := <-results; err != nil {
			t.Fatal(err)
		}
	}
	calls, _, err := s.Calls(t.Context(), CallQuery{AccountID: "acme", Limit: 1000})
	if err != nil || len(calls) != 62 {
		t.Fatalf("%d calls, %v", len(calls), err)
	}
	for _, c := range calls {
		if n, _ := strconv.Atoi(c.ID[1:]); c.Cause != strconv.Itoa(min(2*n+1, 122)) {
			t.Errorf("call %s has cause %s", c.ID, c.Cause)
		}
	}
}

// exerciseForeignText asks for what no text column can hold; a client may send it in a path.
func exerciseForeignText(t *testing.T, o opener) {
	s := o.open(t, Options{})
	put(t, s, user("u1", "Ann"), "")
	for _, bad := range []string{"u\x00", "u\xff"} {
		_, err := s.Get(t.Context(), "acme", "user", bad)
		wantKind(t, err, bugle.KindNotFound)
		_, err = s.GetAny(t.Context(), bad, "user", "u1")
		wantKind(t, err, bugle.KindNotFound)
		_, err = s.GetByKey(t.Context(), Key{"number", "acme", bad})
		wantKind(t, err, bugle.KindNotFound)
		_, err = s.GetCall(t.Context(), "acme", bad)
		wantKind(t, err, bugle.KindNotFound)
		wantKind(t, s.Write(t.Context(), func(tx *Tx) error {
			_, err := tx.Delete("acme", "user", bad, "", true)
			return err
		}), bugle.KindNotFound)
		for _, q := range []Query{{AccountID: bad, Type: "user"}, {AccountID: "acme", Type: "user", Index: &Index{"owner_id", bad}}} {
			docs, next, err := s.List(t.Context(), q)
			n, err2 := s.Count(t.Context(), q)
			if len(docs) != 0 || next != nil || n != 0 || err != nil || err2 != nil {
				t.Errorf("%+v: %v, %d, %v, %v", q, docs, n, err, err2)
			}
		}
		begins, err := s.KeyBegins(t.Context(), "number", "acme", bad)
		changes, err2 := s.AccountChanges(t.Context(), bad, 0, 0)
		calls, _, err3 := s.Calls(t.Context(), CallQuery{AccountID: bad})
		if begins || len(changes)+len(calls) != 0 || errors.Join(err, err2, err3) != nil {
			t.Error(begins, changes, calls, err, err2, err3)
		}
	}
	if err := s.SaveBindings(t.Context(), []BindingRow{{DeviceID: "d\x00", Contact: "sip:\xff"}}, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveBindings(t.Context(), nil, []BindingKey{{"d\x00", "sip:\xff"}}); err != nil || len(loadBindings(t, s)) != 0 {
		t.Errorf("a contact that is no text stays: %v", err)
	}
}

// exerciseLargest writes as much as the limits allow, of what does not compress: an index of PostgreSQL takes 2704 bytes.
func exerciseLargest(t *testing.T, o opener) {
	s := o.open(t, Options{})
	noise := func(n int) string {
		b := make([]byte, n)
		_, _ = crand.Read(b)
		return base64.RawURLEncoding.EncodeToString(b)[:n]
	}
	d := Document{AccountID: noise(maxName), Type: noise(maxName), ID: noise(maxName), SortKey: []byte(noise(MaxValue)),
		Keys: []Key{{noise(maxName), noise(maxName), noise(MaxValue)}}, Index: []Index{{noise(maxName), noise(MaxValue)}},
		Body: json.RawMessage(`{"x":"` + noise(MaxBody-8) + `"}`)}
	d.Private = d.Body
	d = put(t, s, d, "")
	for range 300 {
		d.Index = append(d.Index, Index{noise(10), noise(10)})
	}
	d = put(t, s, d, d.Rev)
	got, err := s.GetByKey(t.Context(), d.Keys[0])
	if err != nil || !reflect.DeepEqual(d, got) {
		t.Errorf("the largest document is not what was written: %v", err)
	}
	if docs, _, err := s.List(t.Context(), Query{AccountID: d.AccountID, Type: d.Type, Index: &d.Index[0]}); err != nil || len(docs) != 1 {
		t.Errorf("the largest document in its list: %d, %v", len(docs), err)
	}
	row := BindingRow{DeviceID: noise(maxName), Contact: noise(MaxContact - maxName)}
	if err := s.SaveBindings(t.Context(), []BindingRow{row}, nil); err != nil {
		t.Error(err)
	}
	row.Contact += "x"
	wantKind(t, s.SaveBindings(t.Context(), []BindingRow{row}, nil), bugle.KindTooLarge)
}
