package call_test

import (
	"context"
	"testing"
	"time"

	"bugle/internal/call"
)

func TestTwoAnswerAtOnce(t *testing.T) {
	t.Parallel()
	s := newStage(t, rings("a", "b", "c"))
	d := s.play(t, "dial 1\nrings a\nrings b\nrings c")
	legs := s.Legs()
	s.Begin() // nothing happens between the two answers
	legs[1].PicksUp()
	legs[0].PicksUp()
	s.End()
	if err := d.Run("talks b\nreleased a LOSE_RACE\nreleased c LOSE_RACE"); err != nil {
		t.Fatal(err)
	}
}

func TestAnsweredAndHungUpAtOnce(t *testing.T) {
	t.Parallel()
	s := newStage(t, rings("a"))
	d := s.play(t, "dial 1\nrings a")
	s.Begin()
	s.Legs()[0].PicksUp()
	d.Caller.HangsUp()
	s.End()
	s.Settle()
	if !s.Legs()[0].State().Over {
		t.Error("the phone that answered is left alone")
	}
	if r := s.report(t); !r.Remote || r.Fault != call.CallerFault {
		t.Errorf("the report says %+v", r)
	}
}

func TestThePhoneHangsUpBeforeTheCallerIsAnswered(t *testing.T) {
	t.Parallel()
	var result call.DialResult
	s := newStage(t, func(ctx context.Context, c *call.Call) call.Cause {
		result, _ = c.Dial(ctx, phones("a"), call.DialOptions{})
		return ""
	})
	s.play(t, "dial 1\nrings a")
	s.Begin()
	s.Legs()[0].PicksUp()
	s.Legs()[0].HangsUp()
	s.End()
	s.Settle()
	if !result.Answered || result.Talk != 0 || s.report(t).Cause != call.NormalClearing {
		t.Errorf("the result is %+v", result)
	}
}

func TestDialling(t *testing.T) {
	t.Parallel()
	var result call.DialResult
	dial := func(options call.DialOptions, names ...string) func(ctx context.Context, c *call.Call) call.Cause {
		return func(ctx context.Context, c *call.Call) call.Cause {
			result, _ = c.Dial(ctx, phones(names...), options)
			return ""
		}
	}
	single := call.DialOptions{Strategy: call.Single, Timeout: 5 * time.Second}
	tests := []struct {
		name   string
		flow   func(ctx context.Context, c *call.Call) call.Cause
		script string
		want   call.DialResult
	}{
		{"one by one, all fail", dial(single, "a", "b"), "dial 1\nrings a\nrefuses a 486\nrings b\nends NO_ANSWER",
			call.DialResult{Cause: call.NoAnswer}},
		{"nobody to ring", dial(single), "dial 1\nends SUBSCRIBER_ABSENT 480", call.DialResult{Cause: call.SubscriberAbsent}},
		{"the talk is measured", dial(single, "a"), "dial 1\nrings a\nanswers a\nwait 61s\nhangs up a\nends",
			call.DialResult{Answered: true, Talk: 61 * time.Second, Target: &phones("a")[0].Targets[0]}},
		{"a failure of the transport", dial(single, "a"), "dial 1\nrings a\nrefuses a 503\nends 503",
			call.DialResult{Cause: call.CircuitCongestion, Status: 503}},
	}
	for _, test := range tests {
		s := newStage(t, test.flow)
		s.play(t, test.script)
		if result.Answered != test.want.Answered || result.Cause != test.want.Cause || result.Status != test.want.Status ||
			result.Talk != test.want.Talk || (result.Target != nil) != (test.want.Target != nil) ||
			(result.Target != nil && result.Target.DeviceID != test.want.Target.DeviceID) {
			t.Errorf("%s: %+v, want %+v", test.name, result, test.want)
		}
	}
}

func TestEarlyMediaOfSeveralPhonesIsNotHeard(t *testing.T) {
	t.Parallel()
	s := newStage(t, rings("a", "b"))
	s.play(t, "dial 1\nrings a\nrings b\nearly a\nringing\napart a\nanswers a\ntalks a")
}

func TestEarlyMediaOfAPhoneThatFails(t *testing.T) {
	t.Parallel()
	s := newStage(t, func(ctx context.Context, c *call.Call) call.Cause {
		_, _ = c.Dial(ctx, phones("a"), call.DialOptions{})
		_, _ = c.Dial(ctx, phones("b"), call.DialOptions{})
		return ""
	})
	s.play(t, "dial 1\nrings a\nearly a\ntalks a\nrefuses a 486\nrings b\nhear ringback\nanswers b\ntalks b")
}
