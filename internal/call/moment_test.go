package call_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bugle/internal/call"
)

// moments keeps what was told of legs. It holds every test of this package to what is true of all: a leg is created and
// destroyed once, whatever calls it goes through, and nothing is told of it before or after.
type moments struct {
	mu    sync.Mutex
	legs  []string // in the order of their creation
	of    map[string][]call.LegReport
	wrong []string
	off   bool
}

func (m *moments) take(r call.LegReport) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.off {
		return
	}
	if m.of == nil {
		m.of = map[string][]call.LegReport{}
	}
	before := m.of[r.Leg.ID]
	if (len(before) == 0) != (r.Moment == call.LegCreated) || len(before) > 0 && before[len(before)-1].Moment == call.LegDestroyed {
		m.wrong = append(m.wrong, fmt.Sprintf("leg %s is %s after %s", r.Leg.ID, r.Moment, names(before)))
	}
	if len(before) == 0 {
		m.legs = append(m.legs, r.Leg.ID)
	}
	m.of[r.Leg.ID] = append(before, r)
}

func names(list []call.LegReport) string {
	var out []string
	for _, r := range list {
		out = append(out, string(r.Moment))
	}
	return strings.Join(out, " ")
}

// check is for the end of a test, when all calls are over.
func (m *moments) check(t testing.TB) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, wrong := range m.wrong {
		t.Error(wrong)
	}
	for id, list := range m.of {
		if list[len(list)-1].Moment != call.LegDestroyed {
			t.Errorf("leg %s is not destroyed: %s", id, names(list))
		}
	}
}

// TestMomentsOfLegs: who is told what when one of two phones takes a call.
func TestMomentsOfLegs(t *testing.T) {
	t.Parallel()
	s := newStage(t, func(ctx context.Context, c *call.Call) call.Cause {
		_, _ = c.Dial(ctx, []call.Endpoint{{Name: "both", Targets: append(phones("ann")[0].Targets, phones("bob")[0].Targets...)}}, call.DialOptions{})
		return ""
	})
	s.play(t, "dial 1\nwait 2s\nanswers bob\nwait 10s\nhangs up")
	s.report(t)
	s.moments.mu.Lock()
	defer s.moments.mu.Unlock()
	var got []string
	for _, id := range s.moments.legs {
		got = append(got, names(s.moments.of[id]))
	}
	want := []string{"created answered bridged destroyed", "created destroyed", "created answered bridged destroyed"}
	if !slices.Equal(got, want) {
		t.Fatalf("%q", got)
	}
	caller, lost, won := s.moments.of[s.moments.legs[0]], s.moments.of[s.moments.legs[1]], s.moments.of[s.moments.legs[2]]
	if r := lost[1]; r.Cause != call.LoseRace || !r.Answered.IsZero() || r.Leg.DeviceID != "ann" {
		t.Errorf("%+v", r)
	}
	end := won[len(won)-1]
	if end.Other.ID != caller[0].Leg.ID || end.At.Sub(end.Answered) != 10*time.Second || end.Answered.Sub(end.Leg.Started) != 2*time.Second ||
		end.Cause != call.NormalClearing || end.Internal || end.Call.AccountID != "acc" {
		t.Errorf("%+v", end)
	}
	if r := caller[2]; r.Other.DeviceID != "bob" || r.Leg.Other != r.Other.ID || !r.Leg.Inbound {
		t.Errorf("%+v", r)
	}
}

// TestMomentsOfAHold: a leg that holds is told of once for each hold and each resumption, between its bridge and its end.
func TestMomentsOfAHold(t *testing.T) {
	t.Parallel()
	s := newStage(t, rings("a"))
	s.play(t, "dial 1\nrings a\nanswers a\nholds a\nholds a\nresumes a\nholds caller\nhangs up")
	s.report(t)
	s.moments.mu.Lock()
	defer s.moments.mu.Unlock()
	var got []string
	for _, id := range s.moments.legs {
		got = append(got, names(s.moments.of[id]))
	}
	want := []string{"created answered bridged held destroyed", "created answered bridged held resumed destroyed"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
