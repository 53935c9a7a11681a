package callflow_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bugle"
	"bugle/internal/call"
	"bugle/internal/call/simulate"
	"bugle/internal/callflow"
	"bugle/internal/callflow/callflowtest"
)

// attempt is an origination and what was told of it. The Caller of its dialogue is the first party's phone.
type attempt struct {
	*simulate.Dialogue
	h     *callflowtest.House
	o     *callflow.Originated
	mu    sync.Mutex
	heard []string // states, and the cause of the last
}

// clickToCall is the order of most tests: extension 1001 is called, and then 1002.
func clickToCall() callflow.Origination {
	return callflow.Origination{CallID: "c2c-1", AccountID: callflowtest.AccountID, By: callflow.Authorizing{ID: "button", Type: "clicktocall"},
		First: callflow.Destination{Number: "1001"}, Second: callflow.Destination{Number: "1002"}}
}

func originate(h *callflowtest.House, order callflow.Origination) *attempt {
	h.T.Helper()
	a := &attempt{h: h, Dialogue: &simulate.Dialogue{World: h.World}}
	var err error
	h.Begin()
	a.o, err = h.Engine.Originate(order, func(e callflow.OriginationEvent) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.heard = append(a.heard, strings.TrimSpace(e.State.String()+" "+string(e.Cause)))
	})
	h.End()
	if err != nil {
		h.T.Fatal(err)
	}
	h.Settle()
	if legs := h.Legs(); len(legs) > 0 {
		a.Caller = legs[0]
	}
	return a
}

func (a *attempt) play(script string) {
	a.h.T.Helper()
	if err := a.Run(script); err != nil {
		a.h.T.Fatal(err)
	}
}

// told checks what was told so far.
func (a *attempt) told(want ...string) {
	a.h.T.Helper()
	a.h.Settle()
	a.mu.Lock()
	defer a.mu.Unlock()
	if !slices.Equal(a.heard, want) {
		a.h.T.Errorf("told %q, want %q", a.heard, want)
	}
}

// last is what was told last.
func (a *attempt) last() string {
	a.h.Settle()
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.heard[len(a.heard)-1]
}

// over checks that nothing is left: no leg, no call, no place that is reserved, no alarm, and one end that was told.
func (a *attempt) over() {
	a.h.T.Helper()
	a.h.Settle()
	for _, l := range a.h.Legs() {
		if s := l.State(); !s.Over {
			a.h.T.Errorf("the phone %s is not released", l.Target().DeviceID)
		}
	}
	if n := a.h.Calls.Registry.Count(); n != 0 {
		a.h.T.Errorf("%d calls are left", n)
	}
	if n := a.h.Alarms(); n != 0 {
		a.h.T.Errorf("%d alarms are left", n)
	}
	if n := a.h.Panics(); n != 0 {
		a.h.T.Errorf("%d panics", n)
	}
	ends := 0
	a.mu.Lock()
	for _, e := range a.heard {
		if strings.HasPrefix(e, "ended ") {
			ends++
		}
	}
	a.mu.Unlock()
	if ends != 1 || !strings.HasPrefix(a.last(), "ended ") {
		a.h.T.Errorf("told %q", a.heard)
	}
	empty, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if a.h.Calls.Registry.Drain(empty); empty.Err() != nil {
		a.h.T.Error("a place in the registry is still reserved")
	}
}

func (h originateHouse) report(id string) call.Report {
	h.T.Helper()
	for _, r := range h.Reports() {
		if r.ID == id {
			return r
		}
	}
	h.T.Fatalf("the call %s has no report", id)
	return call.Report{}
}

type originateHouse struct{ *callflowtest.House }

func newOriginateHouse(t *testing.T) originateHouse {
	h := callflowtest.New(t)
	h.Person("1001", "Bob", "Caller", "dir")
	h.Person("1002", "Ann", "Lee", "dir")
	h.Person("1003", "Cy", "Two", "dir")
	h.Documents.With(func(d *callflowtest.Documents) {
		d.Directories["dir"] = bugle.Directory{ID: "dir", MinDTMF: 3, ConfirmMatch: false}
	})
	h.Callflow("names", "411", `{"module":"directory","data":{"id":"dir"}}`)
	h.Callflow("out", "no_match", `{"module":"device","data":{"id":"1003"}}`)
	h.Callflow("early", "*98", `{"module":"answer","data":{},"children":{"_":{"module":"sleep","data":{"duration":3600}}}}`)
	return originateHouse{h}
}

func TestTwoPartiesAreConnected(t *testing.T) {
	t.Parallel()
	h := newOriginateHouse(t)
	order := clickToCall()
	order.First.Caller, order.First.Callee = call.Party{Name: "Web", Number: "+14158867900"}, call.Party{Name: "Sales", Number: "1001"}
	order.Second.Caller = call.Party{Name: "Sales", Number: "1001"}
	order.Variables = map[string]string{"page": "pricing"}
	a := originate(h.House, order)
	a.told("first_ringing")
	a.play(`rings 1001
		quiet 1002
		answers 1001
		heard ringback
		rings 1002`)
	a.told("first_ringing", "first_answered", "second_ringing")
	for i, want := range []call.Party{order.First.Caller, order.Second.Caller} {
		if got := h.Legs()[i].Target(); got.Caller != want {
			t.Errorf("phone %d shows %+v, want %+v", i+1, got.Caller, want)
		}
	}
	if got := h.Legs()[0].Target().Callee; got != order.First.Callee {
		t.Errorf("the first party is shown as %+v", got)
	}
	a.play(`wait 2s
		answers 1002
		talks 1002
		sounds caller`)
	a.told("first_ringing", "first_answered", "second_ringing", "bridged")
	infos := h.Calls.Registry.List(callflowtest.AccountID)
	if len(infos) != 2 || infos[0].Origin == nil || infos[0].Origin.Variables["page"] != "pricing" || infos[1].Origin.Type != "clicktocall" {
		t.Errorf("the calls are %+v", infos)
	}
	a.play(`wait 10s
		hangs up 1002
		ends NORMAL_CLEARING`)
	a.told("first_ringing", "first_answered", "second_ringing", "bridged", "ended NORMAL_CLEARING")
	for _, id := range []string{"c2c-1", "c2c-1-b"} {
		if r := h.report(id); r.Cause != call.NormalClearing || r.Answered.IsZero() || r.Ended.Sub(r.Answered) < 10*time.Second ||
			r.Origin == nil || r.Origin.ID != "button" || r.Peer.ID == "" {
			t.Errorf("the record of %s is %+v", id, r)
		}
	}
	a.over()
}

// TestEndsInEveryState lets each party, the one who has the call made, and time end it in every state that it can be in.
func TestEndsInEveryState(t *testing.T) {
	t.Parallel()
	states := []struct{ name, script string }{
		{"first rings", ""},
		{"second rings", "answers 1001\nrings 1002"},
		{"they talk", "answers 1001\nrings 1002\nanswers 1002\ntalks 1002"},
		{"busy tone", "answers 1001\nrings 1002\nrefuses 1002 486\nheard ringback tone-busy"},
	}
	enders := []struct {
		name, script string
		end          func(*attempt)
		want         [4]string // told last, in each state; "" where it cannot happen
		first        [4]string // with which cause the first party is released; "" when it has gone itself
	}{
		{"the first party", "hangs up", nil, [4]string{"", "ORIGINATOR_CANCEL", "NORMAL_CLEARING", "USER_BUSY"}, [4]string{}},
		{"the first party refuses", "refuses 1001 603", nil, [4]string{"CALL_REJECTED", "", "", ""}, [4]string{}},
		{"the second party", "hangs up 1002", nil, [4]string{"", "", "NORMAL_CLEARING", ""}, [4]string{2: "NORMAL_CLEARING"}},
		{"the second party is busy", "refuses 1002 486\nwait 3s", nil, [4]string{"", "USER_BUSY", "", ""}, [4]string{1: "NORMAL_CLEARING"}},
		{"who has it made", "", func(a *attempt) { a.o.Hangup() },
			[4]string{"ORIGINATOR_CANCEL", "ORIGINATOR_CANCEL", "NORMAL_CLEARING", "USER_BUSY"},
			[4]string{"ORIGINATOR_CANCEL", "NORMAL_CLEARING", "NORMAL_CLEARING", "NORMAL_CLEARING"}},
		{"nobody but time", "wait 7h", nil, [4]string{"NO_ANSWER", "NO_ANSWER", "ALLOTTED_TIMEOUT", "USER_BUSY"},
			[4]string{"NO_ANSWER", "NORMAL_CLEARING", "ALLOTTED_TIMEOUT", "NORMAL_CLEARING"}},
	}
	for s, state := range states {
		for _, ender := range enders {
			if ender.want[s] == "" {
				continue
			}
			t.Run(state.name+", ended by "+ender.name, func(t *testing.T) {
				t.Parallel()
				h := newOriginateHouse(t)
				a := originate(h.House, clickToCall())
				a.play("rings 1001\n" + state.script)
				if ender.end != nil {
					ender.end(a)
				}
				a.play(ender.script)
				if got := a.last(); got != "ended "+ender.want[s] {
					t.Errorf("told %q", got)
				}
				if ender.first[s] != "" {
					if got := a.Caller.State(); got.Remote || string(got.Cause) != ender.first[s] {
						t.Errorf("the first party is released with %s, by itself %v", got.Cause, got.Remote)
					}
				}
				a.over()
			})
		}
	}
}

func TestTheFirstPartyIsNotReached(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, want string
		first      callflow.Destination
		script     string
	}{
		{"no such extension", "UNALLOCATED_NUMBER", callflow.Destination{Number: "x77"}, ""},
		{"not registered", "SUBSCRIBER_ABSENT", callflow.Destination{Number: "1003"}, ""},
		{"its device is not registered", "SUBSCRIBER_ABSENT", callflow.Destination{DeviceID: "1003"}, ""},
		{"busy", "USER_BUSY", callflow.Destination{UserID: "bob-caller"}, "refuses 1001 486"},
		{"an outside number is busy", "USER_BUSY", callflow.Destination{URI: "sip:bob@example.com"}, "refuses bob 486"},
		{"an outside number does not answer", "NO_ANSWER", callflow.Destination{URI: "sip:bob@example.com"}, "rings bob\nwait 40s"},
		{"it says that it is unreachable", "NORMAL_TEMPORARY_FAILURE", callflow.Destination{Number: "1001"}, "refuses 1001 500"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := newOriginateHouse(t)
			h.Unregister("1003")
			order := clickToCall()
			order.First = test.first
			a := originate(h.House, order)
			a.play(test.script)
			if a.last() != "ended "+test.want {
				t.Errorf("told %q, want %s", a.heard, test.want)
			}
			if r := h.report("c2c-1"); string(r.Cause) != test.want || !r.Answered.IsZero() {
				t.Errorf("the record says %s, answered %v", r.Cause, r.Answered)
			}
			if n := len(h.Reports()); n != 1 {
				t.Errorf("%d records of a call that reached nobody", n)
			}
			a.over()
		})
	}
}

func TestTheSecondPartyIsNotReached(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, want string
		second     callflow.Destination
		script     string
	}{
		{"no such extension", "UNALLOCATED_NUMBER", callflow.Destination{Number: "x77"}, ""},
		{"not registered", "SUBSCRIBER_ABSENT", callflow.Destination{DeviceID: "1003"}, ""},
		{"it rejects", "CALL_REJECTED", callflow.Destination{Number: "1002"}, "refuses 1002 603"},
		{"it does not answer", "NO_ANSWER", callflow.Destination{UserID: "ann-lee"}, "rings 1002\nwait 29s\nquiet 1003\nwait 1s"},
		{"it is a SIP URI that is busy", "USER_BUSY", callflow.Destination{URI: "sip:shop@example.com"}, "refuses shop 600"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := newOriginateHouse(t)
			h.Unregister("1003")
			order := clickToCall()
			order.Second = test.second
			a := originate(h.House, order)
			a.play("answers 1001\n" + test.script)
			if a.last() != "ended "+test.want { // while the tone still plays
				t.Errorf("told %q, want %s", a.heard, test.want)
			}
			a.play("sounds caller tone-busy\nwait 2900ms\nsounds caller tone-busy\nwait 200ms")
			if s := a.Caller.State(); !s.Over || s.Cause != call.NormalClearing {
				t.Errorf("the first party is left in the call: %+v", s)
			}
			for _, id := range []string{"c2c-1", "c2c-1-b"} {
				if r := h.report(id); string(r.Cause) != test.want {
					t.Errorf("the record of %s says %s", id, r.Cause)
				}
			}
			a.over()
		})
	}
}

// TestADirectoryWaitsForWhoIsToHearIt calls a directory first, and the one who is to use it second.
func TestADirectoryWaitsForWhoIsToHearIt(t *testing.T) {
	t.Parallel()
	h := newOriginateHouse(t)
	order := clickToCall()
	order.First.Number, order.Second.Number = "411", "1001"
	a := originate(h.House, order)
	a.play("rings 1001\nwait 9s")
	a.told("first_answered", "second_ringing")
	a.play(`answers 1001
		hear dir-enter_person_name
		press 2 6 6
		wait 1s
		rings 1002
		answers 1002
		talks 1002`)
	a.told("first_answered", "second_ringing", "bridged")
	a.play("hangs up\nreleased 1002 NORMAL_CLEARING")
	a.over()
}

func TestADirectoryIsTheSecondParty(t *testing.T) {
	t.Parallel()
	h := newOriginateHouse(t)
	order := clickToCall()
	order.Second.Number = "411"
	a := originate(h.House, order)
	a.play("rings 1001\nanswers 1001\nhear dir-enter_person_name")
	a.told("first_ringing", "first_answered", "bridged")
	a.play("press 2 6 6\nwait 1s\nrings 1002\nanswers 1002\ntalks 1002\nhangs up 1002\nends NORMAL_CLEARING")
	a.over()
}

func TestNobodyWaitsForeverForACallThatAnswersByItself(t *testing.T) {
	t.Parallel()
	h := newOriginateHouse(t)
	order := clickToCall()
	order.First.Number = "*98"
	a := originate(h.House, order)
	a.play("rings 1002\nwait 31s")
	a.told("first_answered", "second_ringing", "ended NO_ANSWER")
	a.over()
}

func TestEarlyMediaAndRingback(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		order  func(*callflow.Origination)
		script string
	}{
		{"early media are kept back", func(*callflow.Origination) {}, "early 1002\nsounds caller ringback\napart 1002"},
		{"early media are passed on", func(o *callflow.Origination) { o.EarlyMedia = true }, "early 1002\ntalks 1002\nsounds caller"},
		{"ringback of the order", func(o *callflow.Origination) { o.Ringback = "jingle" }, "heard jingle\nsounds caller jingle"},
		{"ringback that is not there", func(o *callflow.Origination) { o.Ringback = "gone" }, "heard ringback"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := newOriginateHouse(t)
			h.Speech.Recordings["jingle"] = true
			order := clickToCall()
			test.order(&order)
			a := originate(h.House, order)
			a.play("answers 1001\nrings 1002\n" + test.script + "\nanswers 1002\ntalks 1002\nsounds caller")
			a.told("first_ringing", "first_answered", "second_ringing", "bridged")
			a.o.Hangup()
			a.over()
		})
	}
}

func TestHoldAndTransferOfEitherParty(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"the second party holds": "holds 1002\nsounds caller waltz\nwait 10m\nresumes 1002\nsounds caller\ntalks 1002",
		"the first party holds":  "holds caller\nsounds 1002 waltz\nwait 10m\nresumes caller\nsounds 1002\ntalks 1002",
		"the second party transfers": "transfers 1002 1003\nrings 1003\nhear ringback\nanswers 1003\n" +
			"released 1002 NORMAL_CLEARING\ntalks 1003",
		"who is held hangs up": "holds 1002\nhangs up\nreleased 1002 NORMAL_CLEARING",
		"who holds hangs up":   "holds 1002\nhangs up 1002\nends NORMAL_CLEARING",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newOriginateHouse(t)
			h.Speech.Recordings["waltz"] = true
			order := clickToCall()
			order.HoldMusic = "waltz"
			a := originate(h.House, order)
			a.play("answers 1001\nrings 1002\nanswers 1002\ntalks 1002\n" + script)
			a.o.Hangup()
			if got := a.last(); got != "ended NORMAL_CLEARING" {
				t.Errorf("told %q", got)
			}
			a.over()
		})
	}
}

// TestASecondPartyThatNeverAnswersIsGivenUp: also where nothing that is dialled has a time of its own.
func TestASecondPartyThatNeverAnswersIsGivenUp(t *testing.T) {
	t.Parallel()
	h := newOriginateHouse(t)
	h.Callflow("silent", "*99", `{"module":"sleep","data":{"duration":3600}}`)
	order := clickToCall()
	order.Second.Number = "*99"
	a := originate(h.House, order)
	a.play("answers 1001\nwait 29s")
	if a.last() == "ended NO_ANSWER" {
		t.Error("it is given up too early")
	}
	a.play("wait 2s")
	if a.last() != "ended NO_ANSWER" {
		t.Errorf("told %q", a.heard)
	}
	a.play("wait 4s")
	a.over()
}

func TestHeadersAndAutomaticAnswer(t *testing.T) {
	t.Parallel()
	h := newOriginateHouse(t)
	h.Documents.With(func(d *callflowtest.Documents) {
		device := d.Devices["1001"]
		device.SIP.Headers = map[string]string{"X-Both": "device", "X-Device": "1"}
		d.Devices["1001"] = device
	})
	order := clickToCall()
	order.AutoAnswer, order.Headers = true, map[string]string{"X-Both": "order"}
	order.Second = callflow.Destination{URI: "sip:shop@example.com"}
	a := originate(h.House, order)
	a.play("answers 1001\nrings shop")
	want := []string{"map[Alert-Info:<http://house.example>;info=alert-autoanswer;delay=0 Call-Info:<sip:house.example>;answer-after=0 X-Both:order X-Device:1]",
		"map[X-Both:order]"}
	for i, want := range want {
		if got := fmt.Sprint(h.Legs()[i].Target().Headers); got != want {
			t.Errorf("party %d is sent %s, want %s", i+1, got, want)
		}
	}
	a.play("hangs up")
	a.over()
	colleague := newOriginateHouse(t)
	order.Second = callflow.Destination{Number: "1002"}
	a = originate(colleague.House, order)
	a.play("answers 1001\nrings 1002")
	if got := fmt.Sprint(colleague.Legs()[1].Target().Headers); got != "map[X-Both:order]" {
		t.Errorf("the second party is asked to answer by itself: %s", got)
	}
	a.play("hangs up")
	a.over()
	away := newOriginateHouse(t)
	away.Documents.With(func(d *callflowtest.Documents) {
		device := d.Devices["1001"]
		device.SIP.InviteFormat, device.SIP.Route = "route", "sip:1001@example.com"
		d.Devices["1001"] = device
	})
	a = originate(away.House, order)
	if got := fmt.Sprint(away.Legs()[0].Target().Headers); got != "map[X-Both:order]" {
		t.Errorf("an address outside is sent %s", got)
	}
	a.o.Hangup()
	a.over()
}

func TestTheDialPlanAndItsRestrictionsHold(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, number, account, user string
		by                          callflow.Authorizing
		want                        string
	}{
		{"an outside number by no_match", "4155550100", "", "", callflow.Authorizing{ID: "b", Type: "clicktocall"}, "second_ringing"},
		{"the account denies", "4155550100", "did_us=deny", "", callflow.Authorizing{ID: "b", Type: "clicktocall"}, "ended CALL_REJECTED"},
		{"the user's restriction is the user's", "4155550100", "", "did_us=deny", callflow.Authorizing{ID: "b", Type: "clicktocall"}, "second_ringing"},
		{"the user denies himself", "4155550100", "", "did_us=deny", callflow.Authorizing{ID: "bob-caller", Type: "user"}, "ended CALL_REJECTED"},
		{"the owner of the device", "4155550100", "", "did_us=deny", callflow.Authorizing{ID: "1001", Type: "device"}, "ended CALL_REJECTED"},
		{"closed groups have no buttons", "1002", "closed_groups=deny", "", callflow.Authorizing{ID: "b", Type: "clicktocall"}, "second_ringing"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := newOriginateHouse(t)
			restrict(h.House, test.account, test.user, "")
			order := clickToCall()
			order.By = test.by
			order.First, order.Second.Number = callflow.Destination{DeviceID: "1001"}, test.number
			a := originate(h.House, order)
			a.play("answers 1001")
			if got := a.last(); got != test.want {
				t.Errorf("told %q, want %q", got, test.want)
			}
			a.o.Hangup()
			a.over()
		})
	}
}

func TestWhatIsNoOrderIsRefused(t *testing.T) {
	t.Parallel()
	h := newOriginateHouse(t)
	for field, change := range map[string]func(*callflow.Origination){
		"call_id": func(o *callflow.Origination) { o.CallID = "" },
		"first":   func(o *callflow.Origination) { o.First.DeviceID = "1001" },
		"second":  func(o *callflow.Origination) { o.Second = callflow.Destination{} },
	} {
		order := clickToCall()
		change(&order)
		_, err := h.Engine.Originate(order, nil)
		if bugle.KindOf(err) != bugle.KindInvalid || !strings.Contains(fmt.Sprintf("%+v", err.(*bugle.Error).Field), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	if n := h.Calls.Registry.Count(); n != 0 {
		t.Errorf("%d calls of orders that were refused", n)
	}
}

// TestAnOriginationIsTwoCalls counts it so from its begin, and lets it finish while the server drains.
func TestAnOriginationIsTwoCalls(t *testing.T) {
	t.Parallel()
	h := newOriginateHouse(t)
	h.Calls.Registry = call.NewRegistry(3)
	a := originate(h.House, clickToCall())
	order := clickToCall()
	order.CallID = "c2c-2"
	if _, err := h.Engine.Originate(order, nil); bugle.KindOf(err) != bugle.KindLimited {
		t.Errorf("a second one, where there is room for one call: %v", err)
	}
	if leg := h.Call("1003", "1002"); leg.State().Over {
		t.Error("no room for a third call")
	}
	if leg := h.Call("1003", "1002"); leg.State().Status != 503 {
		t.Errorf("a fourth call: %+v", leg.State())
	}
	drained := make(chan int)
	go func() { drained <- h.Calls.Registry.Drain(t.Context()) }()
	for h.Calls.Registry.Reserve(0) {
		time.Sleep(time.Millisecond)
	}
	a.play("answers 1001\nwait 5s\nanswers 1002\ntalks 1002")
	a.told("first_ringing", "first_answered", "second_ringing", "bridged")
	if _, err := h.Engine.Originate(order, nil); bugle.KindOf(err) != bugle.KindLimited {
		t.Errorf("one while the server drains: %v", err)
	}
	a.o.Hangup()
	for _, l := range h.Legs() {
		l.HangsUp()
	}
	h.Advance(time.Minute)
	if cut := <-drained; cut != 0 {
		t.Errorf("%d calls were cut off", cut)
	}
	h.Calls.Registry = call.NewRegistry(0) // the house's own end
}

// TestEitherPartyHandsTheOtherOver: attended transfers out of a call that bugle has started, by each of its parties.
func TestEitherPartyHandsTheOtherOver(t *testing.T) {
	t.Parallel()
	for _, by := range []int{0, 1} {
		t.Run(fmt.Sprint("party ", by+1), func(t *testing.T) {
			t.Parallel()
			h := newOriginateHouse(t)
			a := originate(h.House, clickToCall())
			a.play("answers 1001\nrings 1002\nanswers 1002\ntalks 1002")
			legs := h.Legs()
			hands, left := legs[by], legs[1-by]
			hands.Holds(true)
			consult := h.Call(hands.Target().DeviceID, "1003")
			h.Settle()
			third := h.Legs()[2]
			third.PicksUp()
			h.Settle()
			hands.TransfersTo(consult)
			h.Settle()
			if s := left.State(); s.Joined != third || s.Over {
				t.Errorf("who is left talks to %v", s.Joined)
			}
			if s := third.State(); s.Joined != left {
				t.Errorf("the third party talks to %v", s.Joined)
			}
			if !hands.State().Over || !consult.State().Over {
				t.Error("who handed the other one over is still in a call")
			}
			left.Presses('5')
			third.HangsUp()
			h.Settle()
			if got := a.last(); got != "ended NORMAL_CLEARING" {
				t.Errorf("told %q", got)
			}
			a.over()
		})
	}
}

func TestADisabledAccountStartsNoCalls(t *testing.T) {
	t.Parallel()
	h := newOriginateHouse(t)
	h.Documents.With(func(d *callflowtest.Documents) {
		account := d.Accounts[callflowtest.AccountID]
		account.Enabled = false
		d.Accounts[callflowtest.AccountID] = account
	})
	a := originate(h.House, clickToCall())
	a.told("ended CALL_REJECTED")
	a.over()
}

func TestAPanicOfWhoIsToldIsCounted(t *testing.T) {
	t.Parallel()
	h := newOriginateHouse(t)
	told := 0
	h.Begin()
	o, err := h.Engine.Originate(clickToCall(), func(callflow.OriginationEvent) {
		told++
		panic("not listening")
	})
	h.End()
	if err != nil {
		t.Fatal(err)
	}
	h.Settle()
	o.Hangup()
	if n := h.Panics(); n != 2 || told != 2 {
		t.Errorf("%d panics of %d that were told", n, told)
	}
}
