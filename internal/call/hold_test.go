package call_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"bugle/internal/call"
	"bugle/internal/call/simulate"
	"bugle/internal/media"
)

func TestMusicOnHoldEndsWithTheBridge(t *testing.T) {
	t.Parallel()
	s := newStage(t, func(ctx context.Context, c *call.Call) call.Cause {
		_, _ = c.Dial(ctx, phones("a"), call.DialOptions{})
		_ = c.Sleep(ctx, time.Hour)
		return ""
	})
	s.play(t, "dial 1\nrings a\nanswers a\nholds a\nsounds caller hold\nhangs up a\nwait 1m\nsounds caller\nhangs up")
}

func TestAPartyThatAnswersOnHold(t *testing.T) {
	t.Parallel()
	s := newStage(t, rings("a"))
	d := s.play(t, "dial 1\nrings a")
	s.Begin()
	s.Legs()[0].PicksUp()
	s.Legs()[0].Holds(true)
	d.Caller.Holds(true) // before it is joined
	s.End()
	if err := d.Run("talks a\nsounds caller\nresumes caller\nsounds caller hold\nresumes a\nsounds caller"); err != nil {
		t.Error(err)
	}
}

func TestMusicThatIsFoundTooLateIsNotPlayed(t *testing.T) {
	t.Parallel()
	s := newStage(t, rings("a"))
	var a *simulate.Leg
	var who string
	s.settings.HoldMusic = func(_ context.Context, accountID, deviceID, _ string) ([]*media.Clip, error) {
		who = accountID + " " + deviceID
		a.Holds(false)
		return []*media.Clip{clip("late")}, nil
	}
	d := s.play(t, "dial 1\nrings a\nanswers a")
	a = s.Legs()[0]
	if err := d.Run("holds a\nsounds caller\ntalks a\nhangs up"); err != nil {
		t.Error(err)
	}
	if who != "acc a" {
		t.Errorf("the music of %q was asked for", who)
	}
}

func TestMusicThatCannotBeFound(t *testing.T) {
	t.Parallel()
	s := newStage(t, rings("a"))
	trouble := func() { panic("on purpose") }
	s.settings.HoldMusic = func(context.Context, string, string, string) ([]*media.Clip, error) {
		trouble()
		return nil, errors.New("no disk")
	}
	d := s.play(t, "dial 1\nrings a\nanswers a\nholds a\nsounds caller hold\nresumes a")
	if len(s.panics) != 1 {
		t.Errorf("%d panics were counted", len(s.panics))
	}
	trouble = func() {}
	if err := d.Run("holds caller\nsounds a hold\nresumes caller\nsounds a\nhangs up"); err != nil {
		t.Error(err)
	}
	found := false
	for _, step := range s.report(t).Trail {
		found = found || step.Name == "no music on hold" && step.Detail == "no disk"
	}
	if !found {
		t.Error("the trail does not say why")
	}
}
