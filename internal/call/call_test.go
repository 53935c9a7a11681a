package call_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"bugle/internal/call"
	"bugle/internal/call/simulate"
	"bugle/internal/media"
)

// stage is a world whose calls run one flow.
type stage struct {
	*simulate.World
	settings *call.Settings
	flow     func(ctx context.Context, c *call.Call) call.Cause
	about    call.About

	mu      sync.Mutex
	panics  []any
	reports []call.Report
	last    *call.Call
	moments moments
}

func newStage(t testing.TB, flow func(ctx context.Context, c *call.Call) call.Cause) *stage {
	s := &stage{World: simulate.NewWorld(), flow: flow, about: call.About{AccountID: "acc", DeviceID: "caller"}}
	s.settings = &call.Settings{Originator: s.World, Registry: call.NewRegistry(0), Clock: s.Clock, Activity: s.Clock,
		Ringback: []*media.Clip{clip("ringback")}, HoldTone: []*media.Clip{clip("hold")}}
	s.settings.OnLeg = s.moments.take
	s.settings.OnPanic = func(v any) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.panics = append(s.panics, v)
	}
	s.settings.OnEnd = func(r call.Report) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.reports = append(s.reports, r)
	}
	s.Dial = func(leg call.Leg, _, number string) call.Sink {
		about := s.about
		about.ID, about.Dialed = leg.ID(), number
		c := call.New(s.settings, about, leg)
		if c == nil {
			return nil
		}
		s.last = c
		c.Start(func(ctx context.Context) call.Cause { return s.flow(ctx, c) })
		return c
	}
	t.Cleanup(func() {
		s.Settle()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.settings.Registry.Drain(ctx)
		s.Settle()
		s.moments.check(t)
	})
	return s
}

func (s *stage) play(t testing.TB, script string) *simulate.Dialogue {
	t.Helper()
	d := &simulate.Dialogue{World: s.World, From: "caller"}
	if err := d.Run(script); err != nil {
		t.Fatal(err)
	}
	return d
}

func (s *stage) report(t testing.TB) call.Report {
	t.Helper()
	s.Settle()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.reports) != 1 {
		t.Fatalf("%d calls have ended", len(s.reports))
	}
	return s.reports[0]
}

func clip(name string) *media.Clip { return media.NewClip(name, make([]int16, media.SampleRate)) }

// phones are endpoints of one target each.
func phones(names ...string) []call.Endpoint {
	var endpoints []call.Endpoint
	for _, name := range names {
		endpoints = append(endpoints, call.Endpoint{Name: name,
			Targets: []call.Target{{DeviceID: name, Name: name, URI: "sip:" + name + "@192.0.2.1"}}})
	}
	return endpoints
}

func rings(names ...string) func(ctx context.Context, c *call.Call) call.Cause {
	return func(ctx context.Context, c *call.Call) call.Cause {
		_, _ = c.Dial(ctx, phones(names...), call.DialOptions{})
		return ""
	}
}

func TestCollect(t *testing.T) {
	t.Parallel()
	prompts := []*media.Clip{clip("a"), clip("b")}
	tests := []struct {
		name    string
		options call.CollectOptions
		script  string
		want    string
	}{
		{"waits after the prompts", call.CollectOptions{Prompts: prompts, First: 3 * time.Second, Between: time.Second},
			"dial 1\nhear a b\nwait 3.9s\npress 5\nwait 1s", "5"},
		{"nothing", call.CollectOptions{Prompts: prompts, First: 3 * time.Second}, "dial 1\nhear a b\nwait 4.1s", ""},
		{"a key cuts all prompts", call.CollectOptions{Prompts: prompts, Between: time.Second},
			"dial 1\nhear a\npress 5\nsilence 2s", "5"},
		{"no wait between keys", call.CollectOptions{First: time.Second, Between: time.Second},
			"dial 1\npress 1 2 3\nwait 1s", "123"},
		{"a terminator", call.CollectOptions{First: time.Hour, Between: time.Hour, Terminators: "#*"}, "dial 1\npress 1 2 *", "12*"},
		{"only a terminator", call.CollectOptions{First: time.Hour, Terminators: "#"}, "dial 1\npress #", "#"},
		{"enough", call.CollectOptions{First: time.Hour, Between: time.Hour, Max: 2}, "dial 1\npress 1 2", "12 full"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var got call.Collected
			s := newStage(t, func(ctx context.Context, c *call.Call) call.Cause {
				_ = c.Answer(ctx)
				got, _ = c.Collect(ctx, test.options)
				return ""
			})
			s.play(t, test.script+"\nends")
			text := got.Digits
			if got.Terminator != 0 {
				text += string(rune(got.Terminator))
			}
			if got.Full {
				text += " full"
			}
			if text != test.want {
				t.Errorf("collected %q, want %q", text, test.want)
			}
		})
	}
}

func TestTypeAhead(t *testing.T) {
	t.Parallel()
	var got []string
	s := newStage(t, func(ctx context.Context, c *call.Call) call.Cause {
		_ = c.Answer(ctx)
		_ = c.Sleep(ctx, 10*time.Second)
		for range 2 {
			k, _ := c.Collect(ctx, call.CollectOptions{Prompts: []*media.Clip{clip("never")}, Max: 2, First: time.Second})
			got = append(got, k.Digits)
		}
		_ = c.Sleep(ctx, 10*time.Second)
		c.Flush()
		k, _ := c.Collect(ctx, call.CollectOptions{Prompts: []*media.Clip{clip("flushed")}, First: time.Second})
		got = append(got, k.Digits)
		return ""
	})
	s.play(t, "dial 1\npress 1 2 3 4\nwait 10s\npress 9\nhear flushed\nends")
	if strings.Join(got, ",") != "12,34," {
		t.Errorf("collected %q", got)
	}
}

func TestKeysAreDetectedOnlyWhenWanted(t *testing.T) {
	t.Parallel()
	s := newStage(t, func(ctx context.Context, c *call.Call) call.Cause {
		_ = c.Answer(ctx)
		_ = c.Sleep(ctx, time.Second)
		_, _ = c.Collect(ctx, call.CollectOptions{First: time.Second})
		_, _ = c.Dial(ctx, phones("a"), call.DialOptions{})
		return ""
	})
	d := s.play(t, "dial 1\nanswered")
	for i, want := range []bool{false, true, false} {
		if got := d.Caller.State().Detecting; got != want {
			t.Errorf("at second %d: detecting is %v", i, got)
		}
		s.Advance(time.Second)
		s.Advance(time.Millisecond)
	}
}

func TestASecretIsNotInTheTrail(t *testing.T) {
	t.Parallel()
	s := newStage(t, func(ctx context.Context, c *call.Call) call.Cause {
		_, _ = c.Collect(ctx, call.CollectOptions{First: time.Hour, Max: 4, Between: time.Hour, Secret: true})
		return ""
	})
	s.play(t, "dial 1\npress 4711\nends")
	for _, step := range s.report(t).Trail {
		if strings.Contains(step.Detail, "4711") {
			t.Errorf("the trail has %s", step.Detail)
		}
	}
}

func TestASixHourCallEnds(t *testing.T) {
	t.Parallel()
	s := newStage(t, rings("a"))
	d := s.play(t, "dial 1\nrings a\nanswers a\nwait 5h59m\ntalks a")
	if err := d.Run("wait 1m\nends ALLOTTED_TIMEOUT\nreleased a ALLOTTED_TIMEOUT"); err != nil {
		t.Fatal(err)
	}
}

func TestMediaTimeout(t *testing.T) {
	t.Parallel()
	s := newStage(t, rings("a"))
	d := s.play(t, "dial 1\nrings a\nanswers a\ntalks a")
	s.last.Post(d.Caller, call.Ended{Cause: call.MediaTimeout})
	if err := d.Run("released a NORMAL_CLEARING"); err != nil {
		t.Fatal(err)
	}
	if r := s.report(t); r.Cause != call.MediaTimeout || r.Remote {
		t.Errorf("the report says %s", r.Cause)
	}
}

func TestAnInboxThatOverflowsEndsTheCall(t *testing.T) {
	t.Parallel()
	block := make(chan struct{})
	s := newStage(t, func(ctx context.Context, c *call.Call) call.Cause {
		_ = c.Answer(ctx)
		_ = c.WaitForHangup(ctx)
		return ""
	})
	s.settings.Inbox = 10
	d := s.play(t, "dial 1\nanswered")
	s.last.Do(func() { <-block }) // the loop is stuck
	for range 100 {
		d.Caller.Presses('5')
	}
	close(block)
	if err := d.Run("ends NORMAL_TEMPORARY_FAILURE"); err != nil {
		t.Fatal(err)
	}
	if r := s.report(t); r.Fault != call.OurFault {
		t.Errorf("the fault is %q", r.Fault)
	}
}

func TestAPanicInTheLoopEndsThatCallOnly(t *testing.T) {
	t.Parallel()
	s := newStage(t, rings("a"))
	other := s.play(t, "dial 1\nrings a\nanswers a\ntalks a")
	d := s.play(t, "dial 1\nrings a")
	s.last.Do(func() { panic("on purpose") })
	if err := d.Run("ends 503\nreleased a ORIGINATOR_CANCEL"); err != nil {
		t.Fatal(err)
	}
	if err := other.Run("wait 1h"); err != nil || other.Caller.State().Over {
		t.Error("the other call ended too")
	}
	if len(s.panics) != 1 {
		t.Errorf("%d panics were counted", len(s.panics))
	}
}

func TestAPanicInTheFlowEndsTheCall(t *testing.T) {
	t.Parallel()
	s := newStage(t, func(context.Context, *call.Call) call.Cause { panic("on purpose") })
	s.play(t, "dial 1\nends 503 NORMAL_TEMPORARY_FAILURE")
	if len(s.panics) != 1 || s.report(t).Fault != call.OurFault {
		t.Errorf("%d panics were counted", len(s.panics))
	}
}

// brokenLeg panics when it is hung up.
type brokenLeg struct{ *simulate.Leg }

func (brokenLeg) Hangup(call.Cause) { panic("broken") }

func TestALegThatPanicsDoesNotKeepTheOthers(t *testing.T) {
	t.Parallel()
	s := newStage(t, rings("a", "b"))
	originate := originator(func(id string, target call.Target, sink call.Sink) call.Leg {
		l := s.World.Originate(id, target, sink)
		if target.DeviceID == "a" {
			return brokenLeg{l.(*simulate.Leg)}
		}
		return l
	})
	s.settings.Originator = originate
	s.play(t, "dial 1\nrings a\nrings b\nhangs up\nreleased b ORIGINATOR_CANCEL")
	if s.Settle(); len(s.panics) != 1 || s.settings.Registry.Count() != 0 {
		t.Errorf("%d panics, %d calls", len(s.panics), s.settings.Registry.Count())
	}
}

type originator func(id string, target call.Target, sink call.Sink) call.Leg

func (o originator) Originate(id string, target call.Target, sink call.Sink) call.Leg {
	return o(id, target, sink)
}

func TestRequestsAfterTheEnd(t *testing.T) {
	t.Parallel()
	var errs []error
	s := newStage(t, func(ctx context.Context, c *call.Call) call.Cause {
		_ = c.WaitForHangup(ctx)
		errs = append(errs, c.Answer(ctx), c.Sleep(ctx, time.Hour), c.Answer(context.Background()))
		_, err := c.Play(ctx, []*media.Clip{clip("x")}, call.PlayOptions{})
		errs = append(errs, err)
		_, err = c.Collect(context.Background(), call.CollectOptions{First: time.Hour})
		errs = append(errs, err)
		_, err = c.Dial(context.Background(), phones("a"), call.DialOptions{})
		errs = append(errs, err)
		return ""
	})
	s.play(t, "dial 1\nhangs up")
	s.report(t)
	for i, err := range errs {
		if !errors.Is(err, call.ErrEnded) {
			t.Errorf("request %d: %v", i, err)
		}
	}
	if len(s.Legs()) != 0 {
		t.Error("a phone was rung after the end")
	}
}

func TestARequestCanBeAbandoned(t *testing.T) {
	t.Parallel()
	ready, gone := make(chan context.CancelFunc, 1), make(chan error, 1)
	s := newStage(t, func(ctx context.Context, c *call.Call) call.Cause {
		own, cancel := context.WithCancel(ctx)
		ready <- cancel
		_, err := c.Dial(own, phones("a"), call.DialOptions{})
		gone <- err
		_ = c.Answer(ctx)
		return ""
	})
	d := s.play(t, "dial 1\nrings a")
	(<-ready)()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("abandoned with %v", err)
	}
	if err := d.Run("released a ORIGINATOR_CANCEL\nanswered"); err != nil {
		t.Fatal(err)
	}
}

func TestATransferFromOutsideIsRefused(t *testing.T) {
	t.Parallel()
	s := newStage(t, func(ctx context.Context, c *call.Call) call.Cause {
		_, _ = c.Dial(ctx, []call.Endpoint{{Name: "out", Targets: []call.Target{{URI: "sip:out@192.0.2.9"}}}}, call.DialOptions{})
		return ""
	})
	s.play(t, "dial 1\nrings out\nanswers out\ntransfers out 900\ntold out 403\ntalks out")
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	s := newStage(t, rings("a"))
	s.play(t, "dial 77\nrings a\nanswers a\ntalks a\nwait 1s")
	d := s.play(t, "dial 78\nrings a")
	r := s.settings.Registry
	infos := r.List("acc")
	if len(infos) != 2 || r.Count() != 2 || len(r.List("other")) != 0 || len(r.List("")) != 2 {
		t.Fatalf("calls %+v", infos)
	}
	first := infos[0]
	if first.Dialed != "77" || first.Answered.IsZero() || first.Bridged.IsZero() || len(first.Legs) != 2 {
		t.Errorf("first call %+v", first)
	}
	caller, callee := first.Legs[0], first.Legs[1]
	if !caller.Inbound || callee.Inbound || caller.Other != callee.ID || callee.Other != caller.ID ||
		caller.DeviceID != "caller" || callee.DeviceID != "a" || !callee.Answered {
		t.Errorf("legs %+v", first.Legs)
	}
	if second := infos[1]; !second.Answered.IsZero() || second.Legs[1].Answered || second.Legs[0].Other != "" {
		t.Errorf("second call %+v", second)
	}
	if _, ok := r.Get(infos[1].Legs[1].ID); !ok {
		t.Error("a call is not found by the Call-ID of its second leg")
	}
	if _, ok := r.Get("nothing"); ok || r.Hangup("nothing") {
		t.Error("a call was found by nothing")
	}
	if !r.Hangup(infos[1].ID) {
		t.Error("the call is not there")
	}
	if err := d.Run("ends 480\nreleased a ORIGINATOR_CANCEL"); err != nil {
		t.Fatal(err)
	}
	if r.Count() != 1 {
		t.Errorf("%d calls are left", r.Count())
	}
}

func TestTheSameCallIDTwice(t *testing.T) {
	t.Parallel()
	s := newStage(t, rings("a"))
	s.moments.off = true // which knows legs by their ids
	dial := s.Dial
	s.Dial = func(leg call.Leg, from, number string) call.Sink {
		return dial(sameID{leg.(*simulate.Leg)}, from, number)
	}
	s.World.Call("caller", "1")
	s.World.Call("caller", "2")
	s.Settle()
	if s.settings.Registry.Count() != 2 {
		t.Errorf("%d calls", s.settings.Registry.Count())
	}
	if legs := s.Legs(); legs[0].ID() == legs[1].ID() {
		t.Errorf("two legs are called %s", legs[0].ID())
	}
}

type sameID struct{ *simulate.Leg }

func (sameID) ID() string { return "same" }

// TestDrainWaitsForTheReport: a server that stops after Drain would otherwise lose the record of its last call.
func TestDrainWaitsForTheReport(t *testing.T) {
	t.Parallel()
	s := newStage(t, rings("a"))
	told := make(chan int, 1)
	s.settings.OnEnd = func(call.Report) { told <- s.settings.Registry.Count() }
	s.play(t, "dial 77\nrings a\nanswers a\ntalks a\nhangs up\nreleased a NORMAL_CLEARING")
	if n := <-told; n != 1 {
		t.Errorf("%d calls are up while the end of one is told", n)
	}
	if n := s.settings.Registry.Drain(t.Context()); n != 0 {
		t.Errorf("%d calls were hung up", n)
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	s := newStage(t, rings("a"))
	d := s.play(t, "dial 77\nrings a\nanswers a\ntalks a")
	ctx, cancel := context.WithCancel(context.Background())
	left := make(chan int)
	go func() { left <- s.settings.Registry.Drain(ctx) }()
	for !s.settings.Registry.Drains() {
		runtime.Gosched()
	}
	if err := d.Run("talks a"); err != nil {
		t.Error(err)
	}
	s.play(t, "dial 78\nends 503")
	cancel()
	if n := <-left; n != 1 {
		t.Errorf("%d calls were hung up", n)
	}
	if err := d.Run("ends NORMAL_CLEARING"); err != nil {
		t.Error(err)
	}
	if n := s.settings.Registry.Drain(ctx); n != 0 {
		t.Errorf("%d calls were hung up the second time", n)
	}
}

func TestRingAndProgress(t *testing.T) {
	t.Parallel()
	var before, after bool
	s := newStage(t, func(ctx context.Context, c *call.Call) call.Cause {
		c.Ring()
		_ = c.Sleep(ctx, time.Second)
		c.Progress()
		_ = c.Sleep(ctx, time.Second)
		before = c.Answered(ctx)
		_ = c.Answer(ctx)
		after = c.Answered(ctx)
		return call.UserBusy
	})
	d := s.play(t, "dial 1\nringing")
	if st := d.Caller.State(); st.Progressed || st.Answered {
		t.Errorf("told too much: %+v", st)
	}
	if err := d.Run("progress\nanswered\nends USER_BUSY"); err != nil {
		t.Fatal(err)
	}
	if before || !after {
		t.Errorf("answered: %v before, %v after", before, after)
	}
}
