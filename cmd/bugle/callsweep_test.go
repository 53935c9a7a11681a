package main

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bugle/internal/store"
)

func TestOldCallRecordsAreRemoved(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	s := openData(t, data)
	for id, age := range map[string]time.Duration{"old": 8 * 24 * time.Hour, "young": 6 * 24 * time.Hour} {
		if err := s.SaveCall(t.Context(), store.CallRow{ID: id, AccountID: "acme", Started: time.Now().Add(-age)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	p := serve(t, data, chosen, "--call-record-days", "7")
	ctx := within(t)
	for !strings.Contains(p.Log(), `msg="old records of calls were removed" count=1`) {
		if ctx.Err() != nil {
			t.Fatalf("nothing was removed\n%s", p.Log())
		}
		time.Sleep(10 * time.Millisecond)
	}
	p.end(t, syscall.SIGTERM)
	calls, _, err := openData(t, data).Calls(t.Context(), store.CallQuery{AccountID: "acme"})
	if err != nil || len(calls) != 1 || calls[0].ID != "young" {
		t.Errorf("what stayed is %+v, %v", calls, err)
	}
}
