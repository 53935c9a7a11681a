package store

import (
	"fmt"
	"testing"
	"time"
)

func exerciseCallSweep(t *testing.T, o opener) {
	s := o.open(t, Options{})
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	limit := now.Add(-90 * 24 * time.Hour)
	var rows []CallRow
	old := sweepBatch + 3 // more than one batch
	for i := range old {
		rows = append(rows, CallRow{ID: fmt.Sprint("old", i), AccountID: "acme", Started: limit.Add(-time.Duration(i+1) * time.Second)})
	}
	for _, account := range []string{"", "acme", "beta", "zeta"} {
		rows = append(rows, CallRow{ID: "new-" + account, AccountID: account, Started: limit},
			CallRow{ID: "past-" + account, AccountID: account, Started: limit.Add(-time.Microsecond)})
	}
	done := make(chan error, len(rows))
	for _, row := range rows {
		s.SubmitCall(row, func(err error) { done <- err })
	}
	for range rows {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.SweepCalls(t.Context(), limit); err != nil || n != old+4 {
		t.Errorf("%d were removed, %v; want %d", n, err, old+4)
	}
	for _, account := range []string{"", "acme", "beta", "zeta"} {
		if calls, _, err := s.Calls(t.Context(), CallQuery{AccountID: account}); err != nil || len(calls) != 1 || calls[0].ID != "new-"+account {
			t.Errorf("of account %q stayed %+v, %v", account, calls, err)
		}
	}
	if n, err := s.SweepCalls(t.Context(), limit); err != nil || n != 0 {
		t.Errorf("again: %d, %v", n, err)
	}
}
