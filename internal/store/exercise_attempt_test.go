package store

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bugle"
)

var attemptTime = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func attempt(id string) AttemptRow {
	return AttemptRow{ID: id, AccountID: "acme", EndpointID: "button", Created: attemptTime, Contact: "+14158867900", State: "starting",
		CallID: "c2c-button-" + id, Requester: json.RawMessage(`{"a": "é"}`), Request: json.RawMessage(`{"n":1.0}`)}
}

func submitAttempt(t *testing.T, s *Store, rows ...AttemptRow) {
	t.Helper()
	done := make(chan error, len(rows))
	for _, row := range rows {
		s.SubmitAttempt(row, func(err error) { done <- err })
	}
	for range rows {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

func placing(t *testing.T, s *Store, row AttemptRow, p Placing) Placed {
	t.Helper()
	placed, err := s.PlaceAttempt(t.Context(), row, p)
	if err != nil {
		t.Fatal(err)
	}
	return placed
}

func exerciseAttempts(t *testing.T, o opener) {
	s := o.open(t, Options{})
	var want []string
	for i := range 9 {
		a := attempt(fmt.Sprint("a", i))
		a.Created = attemptTime.Add(time.Duration(i/2) * time.Minute)
		submitAttempt(t, s, a)
		a.State, a.Cause, a.Reason, a.Started, a.Answered, a.Bridged, a.Ended = "ended", "NORMAL_CLEARING", "none", a.Created.Add(1000),
			a.Created.Add(2000), a.Created.Add(3000), a.Created.Add(4000)
		if i == 4 {
			a.Answered, a.Bridged, a.Due, a.Node, a.Lease = time.Time{}, time.Time{}, a.Created.Add(time.Hour), "n1", a.Created.Add(time.Minute)
		}
		submitAttempt(t, s, a)
		got, err := s.GetAttempt(t.Context(), "acme", "button", a.ID)
		if err != nil || cmp.Diff(a, got) != "" {
			t.Errorf("%v\n%s", err, cmp.Diff(a, got))
		}
		want = append([]string{a.ID}, want...)
	}
	broken := attempt("broken")
	broken.EndpointID, broken.Contact, broken.Requester, broken.Request = "other", "\xff\x00", json.RawMessage("[1"), nil
	foreign := attempt("foreign")
	foreign.AccountID = "beta"
	submitAttempt(t, s, broken, foreign)
	if got, err := s.GetAttempt(t.Context(), "acme", "other", "broken"); err != nil || got.Contact != "\uFFFD\uFFFD" || string(got.Requester) != "{}" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, c := range [][3]string{{"beta", "button", "a1"}, {"acme", "other", "a1"}, {"acme", "button", "no"}, {"acme", "button", "\xff"}} {
		_, err := s.GetAttempt(t.Context(), c[0], c[1], c[2])
		wantKind(t, err, bugle.KindNotFound)
	}
	list := func(q AttemptQuery) (got []string) {
		q.AccountID, q.EndpointID = "acme", "button"
		for {
			page, next, err := s.Attempts(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range page {
				got = append(got, a.ID)
			}
			if q.After = next; next == nil {
				return got
			}
		}
	}
	for _, limit := range []int{0, 1, 2, 9} {
		if diff := cmp.Diff(want, list(AttemptQuery{Limit: limit})); diff != "" {
			t.Errorf("by %d:\n%s", limit, diff)
		}
	}
	if diff := cmp.Diff([]string{"a3", "a2"}, list(AttemptQuery{From: attemptTime.Add(time.Minute), Until: attemptTime.Add(2 * time.Minute)})); diff != "" {
		t.Error(diff)
	}
	_, _, err := s.Attempts(t.Context(), AttemptQuery{AccountID: "acme", EndpointID: "button", After: []byte("x")})
	wantKind(t, err, bugle.KindInvalid)
	if changes, err := s.Changes(t.Context(), 0, 0); err != nil || len(changes) != 0 {
		t.Errorf("attempts are in the change log: %v, %v", changes, err)
	}
	for i, id := range []string{"c2c-button-a1", "c2c-button-a1-b", "c2d", "a1"} {
		if err := s.SaveCall(t.Context(), CallRow{ID: fmt.Sprint("r", i), AccountID: "acme", SIPCallID: id, Started: attemptTime}); err != nil {
			t.Fatal(err)
		}
	}
	for account, want := range map[string]map[string]CallOfAttempt{"beta": {},
		"acme": {"c2c-button-a1": {"r0", attemptTime}, "c2c-button-a1-b": {"r1", attemptTime}}} {
		got, err := s.CallsOfAttempts(t.Context(), account, []string{"c2c-button-a1", "c2c-button-a1-b", "a1", "c2c-button-a2", "\xff"})
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", account, err, diff)
		}
	}
	// What is scheduled or held stays, however old.
	later := attempt("later")
	later.State, later.Due = AttemptScheduled, attemptTime.Add(time.Hour)
	submitAttempt(t, s, later)
	if n, err := s.SweepAttempts(t.Context(), attemptTime.Add(2*time.Minute), attemptTime); err != nil || n != 6 { // a0 to a3, broken, foreign
		t.Errorf("%d were removed, %v", n, err)
	}
	if diff := cmp.Diff([]string{"a8", "a7", "a6", "a5", "a4", "later"}, list(AttemptQuery{})); diff != "" {
		t.Error(diff)
	}
}

func exerciseAttemptsPlaced(t *testing.T, o opener) {
	s := o.open(t, Options{})
	first := attempt("first")
	first.Key = "double click"
	if got := placing(t, s, first, Placing{Throttle: time.Minute, Token: "t1", TokenExpires: attemptTime.Add(time.Hour)}); !got.Written {
		t.Fatalf("%+v", got)
	}
	again := first
	again.ID, again.Created = "again", attemptTime.Add(time.Second)
	// The same key is the same attempt, before anything else is judged.
	if got := placing(t, s, again, Placing{Throttle: time.Minute, Token: "t1"}); got.Written || got.Earlier == nil || got.Earlier.ID != "first" {
		t.Errorf("%+v", got)
	}
	again.Key = "another"
	if got := placing(t, s, again, Placing{Token: "t1"}); !got.Spent || got.Written {
		t.Errorf("%+v", got)
	}
	if got := placing(t, s, again, Placing{Throttle: time.Minute, Token: "t2"}); got.Throttled != 59*time.Second || got.Written {
		t.Errorf("%+v", got)
	}
	_, err := s.GetAttempt(t.Context(), "acme", "button", "again")
	wantKind(t, err, bugle.KindNotFound)
	// What was refused by the throttle has spent no token; and at another endpoint key and throttle are others.
	elsewhere := again
	elsewhere.ID, elsewhere.EndpointID, elsewhere.Key = "elsewhere", "other", "double click"
	if got := placing(t, s, elsewhere, Placing{Throttle: time.Minute, Token: "t2"}); !got.Written {
		t.Errorf("%+v", got)
	}
	if err := s.UnplaceAttempt(t.Context(), "button", "t1", attemptTime); err != nil {
		t.Fatal(err)
	}
	if got := placing(t, s, again, Placing{Throttle: time.Minute, Token: "t1"}); !got.Written {
		t.Errorf("after it was taken back: %+v", got)
	}
	if wait, err := s.TakeThrottle(t.Context(), "button", attemptTime.Add(31*time.Second), time.Minute); err != nil || wait != 30*time.Second {
		t.Errorf("%s, %v", wait, err)
	}
	if wait, err := s.TakeThrottle(t.Context(), "button", attemptTime.Add(61*time.Second), time.Minute); err != nil || wait != 0 {
		t.Errorf("%s, %v", wait, err)
	}
	// Scheduled ones are counted.
	for i, want := range []Placed{{Written: true}, {Full: true}, {Written: true}, {Full: true}} {
		a := attempt(fmt.Sprint("due", i))
		a.State, a.Due, a.Contact = AttemptScheduled, attemptTime.Add(time.Hour), fmt.Sprint("+1415886790", i/2)
		if i == 3 {
			a.Contact = "+14158867909"
		}
		if got := placing(t, s, a, Placing{Throttle: time.Hour, MostDue: 2, MostToOne: 1}); got != want {
			t.Errorf("%d: %+v", i, got)
		}
	}
}

func exerciseAttemptsRace(t *testing.T, o opener) { raceAttempts(t, o.open(t, Options{})) }

// TestTwoServersPlaceOnce: throttle, key and token hold on a database, not only in one server.
func TestTwoServersPlaceOnce(t *testing.T) {
	t.Parallel()
	a, b := two(t)
	raceAttempts(t, a, b)
}

// raceAttempts: of many who want the same at once, one gets it.
func raceAttempts(t *testing.T, servers ...*Store) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	written, earlier, spent := 0, 0, 0
	for i := range 60 {
		wg.Go(func() {
			a, p := attempt(fmt.Sprint("a", i)), Placing{}
			switch i % 3 {
			case 0:
				p.Throttle = time.Minute
			case 1:
				a.Key = "k"
			case 2:
				p.Token, p.TokenExpires = "t", attemptTime
			}
			got, err := servers[i/3%len(servers)].PlaceAttempt(t.Context(), a, p)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if got.Written {
				written++
			}
			if got.Earlier != nil {
				earlier++
			}
			if got.Spent {
				spent++
			}
		})
	}
	wg.Wait()
	if written != 3 || earlier != 19 || spent != 19 {
		t.Errorf("%d were written, %d had been, %d tokens were spent", written, earlier, spent)
	}
}

func exerciseAttemptsDue(t *testing.T, o opener) {
	s := o.open(t, Options{})
	for i := range 20 {
		a := attempt(fmt.Sprint("a", i))
		a.State, a.Due = AttemptScheduled, attemptTime.Add(time.Duration(i)*time.Minute)
		submitAttempt(t, s, a)
	}
	s.Close()
	s = o.open(t, Options{})
	now := attemptTime.Add(14 * time.Minute)
	var wg sync.WaitGroup
	var mu sync.Mutex
	claimed := map[string]int{}
	for i := range 8 {
		wg.Go(func() {
			for {
				rows, err := s.ClaimAttempts(t.Context(), fmt.Sprint("node", i), "starting", now, now.Add(time.Minute), 2)
				if err != nil {
					t.Error(err)
				}
				if len(rows) == 0 {
					return
				}
				mu.Lock()
				for _, a := range rows {
					claimed[a.ID]++
					if a.State != "starting" || a.Node != fmt.Sprint("node", i) || !a.Lease.Equal(now.Add(time.Minute)) {
						t.Errorf("%+v", a)
					}
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for i := range 20 {
		if n := claimed[fmt.Sprint("a", i)]; n != 1 && i < 15 || n != 0 && i >= 15 {
			t.Errorf("a%d was given %d times", i, n)
		}
	}
}

func exerciseAttemptsCanceled(t *testing.T, o opener) {
	s := o.open(t, Options{})
	a := attempt("a")
	a.State, a.Due, a.Key = AttemptScheduled, attemptTime, "k"
	submitAttempt(t, s, a)
	for _, want := range []bool{true, false} {
		if done, err := s.CancelScheduled(t.Context(), "a", "canceled", "c", attemptTime); err != nil || done != want {
			t.Errorf("%t, %v", done, err)
		}
	}
	a.State, a.Cause, a.Ended = "canceled", "c", attemptTime
	if got, err := s.AttemptByKey(t.Context(), "button", "k"); err != nil || cmp.Diff(a, got) != "" {
		t.Errorf("%v\n%s", err, cmp.Diff(a, got))
	}
	for _, c := range [][2]string{{"button", ""}, {"other", "k"}, {"button", "\xff"}} {
		_, err := s.AttemptByKey(t.Context(), c[0], c[1])
		wantKind(t, err, bugle.KindNotFound)
	}
}

func exerciseAttemptsLost(t *testing.T, o opener) {
	s := o.open(t, Options{})
	for _, id := range []string{"talked", "rang", "renewed", "over"} {
		a := attempt(id)
		a.Node, a.Lease = "n1", attemptTime.Add(time.Minute)
		switch id {
		case "talked":
			a.Bridged = attemptTime
		case "over":
			a.Node = ""
		}
		submitAttempt(t, s, a)
	}
	if err := s.RenewAttempts(t.Context(), "n1", []string{"renewed", "over", "none"}, attemptTime.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := s.RenewAttempts(t.Context(), "n2", []string{"rang"}, attemptTime.Add(time.Hour)); err != nil { // not its own
		t.Fatal(err)
	}
	now := attemptTime.Add(2 * time.Minute)
	for _, want := range []map[string]string{{"talked": "ended", "rang": "unanswered"}, {}} {
		rows, err := s.EndLostAttempts(t.Context(), now, "ended", "unanswered", "the server stopped")
		got := map[string]string{}
		for _, a := range rows {
			got[a.ID] = a.State
			if a.Node != "" || !a.Ended.Equal(now) || a.Cause != "the server stopped" {
				t.Errorf("%+v", a)
			}
		}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Error(err, diff)
		}
	}
}
