package call_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"bugle/internal/call"
	"bugle/internal/call/simulate"
)

// consultation is two calls of one phone: to "b", who is held, and to "c".
type consultation struct {
	*stage
	t             *testing.T
	first, second *simulate.Dialogue
	one, two      *call.Call
}

// consult makes them; a number is the phone that it rings.
func consult(t *testing.T, first, second string) *consultation {
	t.Helper()
	s := newStage(t, nil)
	s.flow = func(ctx context.Context, c *call.Call) call.Cause {
		_, _ = c.Dial(ctx, phones(c.Info().Dialed), call.DialOptions{})
		return ""
	}
	k := &consultation{stage: s, t: t}
	k.first = s.play(t, first)
	k.one = s.last
	k.second = s.play(t, second)
	k.two = s.last
	return k
}

const (
	toB = "dial b\nrings b\nanswers b\ntalks b\nholds caller\nsounds b hold"
	toC = "dial c\nrings c\nanswers c\ntalks c"
)

// phone is the last leg to a phone.
func (k *consultation) phone(name string) *simulate.Leg {
	k.t.Helper()
	for _, l := range k.Legs() {
		if l.Target().DeviceID == name {
			return l
		}
	}
	k.t.Fatalf("%s was not rung", name)
	return nil
}

// joined checks that two parties hear each other and nothing else.
func (k *consultation) joined(a, b *simulate.Leg) {
	k.t.Helper()
	k.Settle()
	x, y := a.State(), b.State()
	if x.Joined != b || y.Joined != a || x.Sounding != "" || y.Sounding != "" || x.Over || y.Over {
		k.t.Errorf("they do not hear each other: %+v\n%+v", x, y)
	}
}

// over checks that a party was hung up on, or that it is there.
func (k *consultation) over(l *simulate.Leg, want bool) {
	k.t.Helper()
	k.Settle()
	if s := l.State(); s.Over != want || s.Remote {
		k.t.Errorf("the leg's state is %+v", s)
	}
}

func (k *consultation) told(l *simulate.Leg, want string) {
	k.t.Helper()
	k.Settle()
	if got := strings.Trim(fmt.Sprint(l.State().Statuses), "[]"); got != want {
		k.t.Errorf("told %s, want %s", got, want)
	}
}

func TestAttendedTransfer(t *testing.T) {
	t.Parallel()
	for _, back := range []bool{false, true} { // the REFER comes within either call
		k := consult(t, toB, toC)
		one, two, b, c := k.first.Caller, k.second.Caller, k.phone("b"), k.phone("c")
		if back {
			two.TransfersTo(one)
			k.told(two, "100 200")
		} else {
			one.TransfersTo(two)
			k.told(one, "100 200")
		}
		k.joined(b, c)
		k.over(one, true)
		k.over(two, true)
		if n := k.settings.Registry.Count(); n != 1 {
			t.Errorf("%d calls", n)
		}
		r := k.report(t)
		if r.Cause != call.NormalClearing || !r.Remote || trail(r, "transferred") == "" || r.Peer.DeviceID != r.Dialed || r.Peer.ID == "" {
			t.Errorf("the report says %+v", r)
		}
		c.HangsUp()
		k.over(b, true)
		k.Settle()
		k.mu.Lock()
		if len(k.reports) != 2 || trail(k.reports[1], "replaced") == "" {
			t.Errorf("%d reports", len(k.reports))
		}
		k.mu.Unlock()
	}
}

func trail(r call.Report, name string) string {
	for _, step := range r.Trail {
		if step.Name == name {
			return step.Detail
		}
	}
	return ""
}

// TestAttendedTransferOfWhoCalled: both parties called the one who puts them through, and are callers of their calls.
func TestAttendedTransferOfWhoCalled(t *testing.T) {
	t.Parallel()
	k := consult(t, "dial a\nrings a\nanswers a\nholds a\nsounds caller hold", "from z\ndial a\nrings a\nanswers a")
	legs := k.Legs()
	legs[0].TransfersTo(legs[1])
	k.told(legs[0], "100 200")
	k.joined(k.first.Caller, k.second.Caller)
	k.over(legs[0], true)
	k.over(legs[1], true)
	info := k.settings.Registry.List("acc")[0]
	if len(info.Legs) != 2 || info.Legs[0].Other != info.Legs[1].ID || info.Legs[1].DeviceID != "caller" {
		t.Errorf("the call looks like %+v", info.Legs)
	}
	k.second.Caller.Holds(true) // hold goes on working
	k.Settle()
	if got := k.first.Caller.State().Sounding; got != "hold" {
		t.Errorf("the other hears %q", got)
	}
	k.first.Caller.HangsUp()
	k.over(k.second.Caller, true)
}

func TestAttendedTransferWhileItRings(t *testing.T) {
	t.Parallel()
	k := consult(t, toB, "dial c\nrings c\nringing")
	k.first.Caller.TransfersTo(k.second.Caller)
	k.told(k.first.Caller, "100 200")
	b, c := k.phone("b"), k.phone("c")
	if got := b.State().Sounding; got != "ringback" {
		t.Errorf("the one who is put through hears %q", got)
	}
	k.over(k.second.Caller, true)
	c.PicksUp()
	k.joined(b, c)
}

func TestAttendedTransferIsRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, told string
		to         func(k *consultation) *simulate.Leg
	}{
		{"no such dialog", "100 481", func(*consultation) *simulate.Leg { return nil }},
		{"the party itself", "100 603", func(k *consultation) *simulate.Leg { return k.phone("b") }},
		{"a dialog that is over", "100 481", func(k *consultation) *simulate.Leg {
			k.second.Caller.HangsUp()
			return k.second.Caller
		}},
	}
	for _, test := range tests {
		k := consult(t, toB, toC)
		k.first.Caller.TransfersTo(test.to(k))
		k.told(k.first.Caller, test.told)
		if got := k.phone("b").State().Sounding; got != "hold" {
			t.Errorf("%s: b hears %q", test.name, got)
		}
		k.first.Caller.Holds(false)
		k.joined(k.first.Caller, k.phone("b"))
	}
}

// gate stops a call's loop at what comes next, until it is opened.
func gate(c *call.Call) (open func()) {
	reached, opened := make(chan struct{}), make(chan struct{})
	c.Do(func() { close(reached); <-opened })
	<-reached
	return func() { close(opened) }
}

// pass waits until a call's loop has done everything so far.
func pass(c *call.Call) {
	done := make(chan struct{})
	c.Do(func() { close(done) })
	<-done
}

// TestSomebodyHangsUpMeanwhile: while one call has asked the other to take the party over, or when that has been done and
// the first call does not know it yet.
func TestSomebodyHangsUpMeanwhile(t *testing.T) {
	t.Parallel()
	for _, calls := range [][2]string{{toB, toC}, {"dial a\nrings a\nanswers a\nholds a", "from z\ndial a\nrings a\nanswers a"}} {
		for _, who := range []string{"b", "c", "one", "two"} {
			for _, late := range []bool{false, true} {
				k := consult(t, calls[0], calls[1])
				one, two, b, c := k.first.Caller, k.second.Caller, k.Legs()[0], k.Legs()[1]
				if calls[0] != toB {
					one, two, b, c = b, c, one, two
				}
				name := fmt.Sprintf("%s hangs up, late %v, first call %q", who, late, calls[0])
				k.Begin()
				c.Holds(true)
				pass(k.two)
				openTwo := gate(k.two)
				one.TransfersTo(two)
				pass(k.one)
				openOne := gate(k.one)
				if late {
					if who == "one" || who == "b" {
						map[string]*simulate.Leg{"one": one, "b": b}[who].HangsUp() // waits behind the gate
					}
					openTwo()
					pass(k.two)
					if who == "c" || who == "two" {
						map[string]*simulate.Leg{"c": c, "two": two}[who].HangsUp()
					}
					openOne()
				} else {
					map[string]*simulate.Leg{"b": b, "c": c, "one": one, "two": two}[who].HangsUp()
					openOne()
					if who == "one" || who == "b" {
						k.left(1)
					}
					openTwo()
				}
				k.End()
				k.Settle()
				if !one.State().Over || !two.State().Over {
					t.Errorf("%s: a leg of who puts through is left", name)
				}
				x, y := b.State(), c.State()
				if who == "b" || who == "c" {
					if !x.Over || !y.Over {
						t.Errorf("%s: the other is left alone", name)
					}
				} else if x.Joined != c || y.Joined != b || x.Over || y.Over || x.Sounding != "hold" {
					t.Errorf("%s: %+v\n%+v", name, x, y)
				}
			}
		}
	}
}

// left waits until only so many calls are left; nothing else tells that a call's flow has ended.
func (k *consultation) left(calls int) {
	for k.settings.Registry.Count() > calls {
		runtime.Gosched()
	}
}

// TestNobodyIsLeftOnTheLine: who puts through has hung up both calls when the second is asked.
func TestNobodyIsLeftOnTheLine(t *testing.T) {
	t.Parallel()
	k := consult(t, toB, toC)
	open := gate(k.two)
	k.second.Caller.HangsUp()
	k.first.Caller.TransfersTo(k.second.Caller)
	pass(k.one)
	k.first.Caller.HangsUp()
	k.left(1)
	open()
	k.Settle()
	for _, l := range k.Legs() {
		k.over(l, true)
	}
}

// TestTwoPhonesPutThroughAtOnce: each call asks the other for its party, and both refuse.
func TestTwoPhonesPutThroughAtOnce(t *testing.T) {
	t.Parallel()
	k := consult(t, toB, toC)
	one, two := k.first.Caller, k.second.Caller
	k.Begin()
	openOne, openTwo := gate(k.one), gate(k.two)
	one.TransfersTo(two)
	two.TransfersTo(one)
	openOne()
	openTwo()
	k.End()
	k.told(one, "100 491")
	k.told(two, "100 491")
	k.joined(two, k.phone("c"))
	one.Holds(false)
	k.joined(one, k.phone("b"))
	one.TransfersTo(two)
	k.joined(k.phone("b"), k.phone("c"))
}

func TestReplace(t *testing.T) {
	t.Parallel()
	var status int
	done := func(s int) { status = s }
	as := call.Target{DeviceID: "n", Name: "n", Callee: call.Party{Name: "N"}}
	join := func(k *consultation, old *simulate.Leg) *simulate.Leg {
		n := k.Loose("n")
		k.two.Replace(old, n, as, done)
		k.Settle()
		return n
	}
	t.Run("a party that talks", func(t *testing.T) {
		k := consult(t, toB, toC)
		n := join(k, k.phone("c"))
		if status != 200 || !n.State().Answered {
			t.Errorf("status %d, %+v", status, n.State())
		}
		k.joined(n, k.second.Caller)
		k.over(k.phone("c"), true)
		info := k.two.Info()
		if l := info.Legs[1]; l.Name != "N" || !l.Inbound || !l.Answered {
			t.Errorf("the leg looks like %+v", l)
		}
		n.HangsUp()
		k.over(k.second.Caller, true)
		if r := k.report(t); r.Peer.ID != n.ID() || r.Peer.DeviceID != "n" {
			t.Errorf("the report says that the caller talked to %+v", r.Peer)
		}
	})
	t.Run("a phone that rings", func(t *testing.T) {
		k := consult(t, toB, "dial c\nrings c")
		n := join(k, k.phone("c"))
		k.joined(n, k.second.Caller)
		if s := k.phone("c").State(); !s.Over || s.Cause != call.LoseRace {
			t.Errorf("the phone that rang %+v", s)
		}
	})
	t.Run("a caller who is not answered", func(t *testing.T) {
		k := consult(t, toB, "dial c\nrings c")
		if n := join(k, k.second.Caller); status != 481 || n.State().Answered {
			t.Errorf("status %d", status)
		}
	})
	t.Run("a party that talks to nobody", func(t *testing.T) {
		k := consult(t, toB, toC)
		k.flow = func(ctx context.Context, c *call.Call) call.Cause {
			_ = c.Answer(ctx)
			_ = c.WaitForHangup(ctx)
			return ""
		}
		k.second = k.play(t, "dial 1\nanswered")
		k.two = k.last
		if join(k, k.second.Caller); status != 603 {
			t.Errorf("status %d", status)
		}
	})
	t.Run("a call that is over", func(t *testing.T) {
		k := consult(t, toB, toC)
		k.second.Caller.HangsUp()
		k.Settle()
		if join(k, k.phone("c")); status != 481 {
			t.Errorf("status %d", status)
		}
	})
}
