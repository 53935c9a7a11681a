package simulate_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"bugle/internal/call"
	"bugle/internal/call/simulate"
	"bugle/internal/media"
)

// world has one number: it plays "hello", rings "a" for ten seconds and hangs up.
func world(t *testing.T) *simulate.World {
	w := simulate.NewWorld()
	settings := &call.Settings{Originator: w, Clock: w.Clock, Activity: w.Clock}
	hello := []*media.Clip{media.NewClip("hello", make([]int16, media.SampleRate))}
	w.Dial = func(leg call.Leg, _, number string) call.Sink {
		if number == "full" {
			return nil
		}
		c := call.New(settings, call.About{ID: leg.ID(), DeviceID: "x"}, leg)
		c.Start(func(ctx context.Context) call.Cause {
			_ = c.Answer(ctx)
			_, _ = c.Play(ctx, hello, call.PlayOptions{})
			_, _ = c.Dial(ctx, []call.Endpoint{{Name: "a", Timeout: 10 * time.Second,
				Targets: []call.Target{{DeviceID: "a", URI: "sip:a@192.0.2.1"}}}}, call.DialOptions{})
			return ""
		})
		t.Cleanup(func() { c.Hangup(""); w.Settle() })
		return c
	}
	return w
}

// TestDialoguesThatDoNotHold: a dialogue that says something untrue fails at that line, for that reason.
func TestDialoguesThatDoNotHold(t *testing.T) {
	t.Parallel()
	tests := []struct{ script, line, why string }{
		{"press 1", "line 1", "nobody has dialled"},
		{"dial 1\nsing", "line 2", "no such line"},
		{"dial 1\nhear goodbye", "line 2", `heard "hello"`},
		{"dial 1\nhear hello hello", "line 2", "heard nothing more"},
		{"dial 1\nheard hello\nsilence 1m\nhear hello", "line 4", "heard nothing more"},
		{"dial 1\nsilence 1s", "line 2", `heard "hello"`},
		{"dial 1\nrings b", "line 2", "does not ring"},
		{"dial 1\nrings a\nrings a", "line 3", "does not ring"},
		{"dial 1\nquiet a\nwait 2s\nquiet a", "line 4", "it rings"},
		{"dial 1\nanswers a", "line 2", "does not ring"},
		{"dial 1\nrings a\ntalks a", "line 3", "do not hear each other"},
		{"dial 1\nrings a\nanswers a\napart a", "line 4", "they hear each other"},
		{"dial 1\nrings a\nreleased a USER_BUSY", "line 3", "NO_ANSWER"},
		{"dial 1\nrings a\nanswers a\nends", "line 4", "it goes on"},
		{"dial 1\nends 404", "line 2", "NORMAL_CLEARING"},
		{"dial 1\nhangs up\nends", "line 3", "the caller hung up"},
		{"dial full\nringing", "line 2", "not told 180"},
		{"dial 1\nwait soon", "line 2", "invalid duration"},
	}
	for _, test := range tests {
		w := world(t)
		w.Patience = 30 * time.Second
		d := &simulate.Dialogue{World: w}
		err := d.Run(test.script)
		if err == nil || !strings.Contains(err.Error(), test.line+":") || !strings.Contains(err.Error(), test.why) {
			t.Errorf("%q: %v, want %s: %s", test.script, err, test.line, test.why)
		}
	}
}

func TestHabitsOfPhones(t *testing.T) {
	t.Parallel()
	w := world(t)
	w.AnswerAfter("a", 3*time.Second)
	d := &simulate.Dialogue{World: w}
	if err := d.Run("dial 1\nrings a\nwait 2.9s\napart a\nwait 0.2s\ntalks a\nhangs up"); err != nil {
		t.Error(err)
	}
	w.Refuse("a", 486)
	if err := d.Run("dial 1\nhear hello\nends NORMAL_CLEARING"); err != nil {
		t.Error(err)
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	k := simulate.NewClock(time.Unix(0, 0))
	var rang []int
	ring := func(n int) func() { return func() { rang = append(rang, n) } }
	k.AfterFunc(2*time.Second, ring(2))
	k.AfterFunc(time.Second, func() { ring(1)(); k.AfterFunc(time.Second, ring(3)) })
	stopped := k.AfterFunc(time.Second, ring(9))
	if !stopped.Stop() || stopped.Stop() {
		t.Error("an alarm is stopped once")
	}
	k.Advance(1500 * time.Millisecond)
	if len(rang) != 1 || k.Now() != time.Unix(1, 5e8) {
		t.Errorf("%v rang at %v", rang, k.Now())
	}
	k.Advance(time.Second)
	if len(rang) != 3 || rang[1] != 2 || rang[2] != 3 || k.Alarms() != 0 {
		t.Errorf("%v rang", rang)
	}
}
