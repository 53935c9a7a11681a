package module_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"bugle/internal/call"
	"bugle/internal/call/simulate"
	"bugle/internal/callflow/callflowtest"
)

// lot is a house with feature codes for parking, and what was told of slots.
type lot struct {
	*callflowtest.House
	mu   sync.Mutex
	told []string
}

func newLot(t *testing.T, data string) *lot {
	t.Helper()
	l := &lot{House: house(t)}
	if data == "" {
		data = "{}"
	}
	children := `{"_":{"module":"play","data":{"id":"after"}},"103":{"module":"play","data":{"id":"of-103"}}}`
	recordings("after", "of-103", "music")(l.House)
	l.Documents.With(func(d *callflowtest.Documents) {
		a := d.Accounts[callflowtest.AccountID]
		a.MusicOnHold = "music"
		d.Accounts[callflowtest.AccountID] = a
	})
	node := func(action, children string) string {
		inner := strings.TrimSuffix(strings.TrimPrefix(data, "{"), "}")
		if inner != "" {
			inner = "," + inner
		}
		return `{"module":"park","data":{"action":"` + action + `"` + inner + `},"children":` + children + `}`
	}
	l.Callflow("valet", "*4", node("park", "{}"))
	l.Callflow("auto", `^\*3([0-9]*)$`, node("auto", "{}"))
	l.Callflow("retrieve", `^\*5([0-9]*)$`, node("retrieve", "{}"))
	l.Callflow("direct", "600", node("direct_park", children))
	l.Callflow("parks", "601", node("park", children))
	l.Callflow("full", "602", node("park", `{"MAX_SLOT_EXCEEDED":{"module":"play","data":{"id":"after"}}}`))
	l.Calls.OnLeg = func(r call.LegReport) {
		if r.Slot == "" || r.Moment != call.LegParked && r.Moment != call.LegRetrieved && r.Moment != call.LegAbandoned {
			return
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.told = append(l.told, fmt.Sprintf("%s %s %s", r.Moment, r.Slot, r.Leg.Number))
	}
	return l
}

func (l *lot) expect(t *testing.T, want ...string) {
	t.Helper()
	l.Settle()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(l.told, want) {
		t.Errorf("told %q, want %q", l.told, want)
	}
}

// waits checks who is parked, as "slot number".
func (l *lot) waits(t *testing.T, want ...string) {
	t.Helper()
	l.Settle()
	var got []string
	for _, p := range l.Calls.Registry.Parked(callflowtest.AccountID) {
		got = append(got, p.Slot+" "+p.Caller.Number)
	}
	if !slices.Equal(got, want) {
		t.Errorf("parked: %q, want %q", got, want)
	}
}

// other is a dialogue of another phone in the same house.
func (l *lot) other(script string) *simulate.Dialogue {
	l.T.Helper()
	return l.Play("from 1003\n" + script)
}

const talksToAnn = `
	dial 1002
	rings 1002
	answers 1002
	talks 1002
`

// TestParkByBlindTransfer: the phone that was called parks its caller, hears the slot, and a third one retrieves him.
func TestParkByBlindTransfer(t *testing.T) {
	t.Parallel()
	l := newLot(t, "")
	parked := l.Play(talksToAnn + `
		transfers 1002 *4
		sounds caller music
		sounds 1002 park-call_placed_in_spot
		told 1002 100 200
		released 1002 NORMAL_CLEARING
		sounds caller music`)
	if heard := l.Legs()[0].State().Heard; !slices.Equal(heard, []string{"park-call_placed_in_spot", "1", "0", "1"}) {
		t.Errorf("the one who parks heard %q", heard)
	}
	l.waits(t, "101 1001")
	third := l.other("dial *5101\nanswered")
	if third.Caller.State().Joined != parked.Caller || parked.Caller.State().Sounding != "" {
		t.Errorf("%s\n%s", parked.Transcript(), third.Transcript())
	}
	l.waits(t)
	l.expect(t, "parked 101 1001", "retrieved 101 1001")
	l.GoOn(third, "wait 10s\nhangs up")
	l.GoOn(parked, "ends NORMAL_CLEARING")
}

// TestParkOnHold: a phone that holds the caller while it transfers him hears nothing, and is not kept.
func TestParkOnHold(t *testing.T) {
	t.Parallel()
	l := newLot(t, "")
	l.Play(talksToAnn + `
		holds 1002
		transfers 1002 *3177
		released 1002 NORMAL_CLEARING
		told 1002 100 200
		sounds caller music`)
	if heard := l.Legs()[0].State().Heard; len(heard) != 0 {
		t.Errorf("heard %q", heard)
	}
	l.waits(t, "177 1001")
}

// TestParkByAttendedTransfer: a phone asks for a slot by itself and has its caller take its place, while it is told the slot
// and after it.
func TestParkByAttendedTransfer(t *testing.T) {
	t.Parallel()
	for _, wait := range []string{"wait 1s", "wait 20s"} {
		t.Run(wait, func(t *testing.T) {
			t.Parallel()
			l := newLot(t, "")
			held := l.Play(talksToAnn + "holds 1002")
			asks := l.Play("from 1002\ndial *4\nhear park-call_placed_in_spot\n" + wait)
			ann := l.Legs()[0]
			ann.TransfersTo(asks.Caller)
			l.GoOn(held, "sounds caller music")
			l.waits(t, "101 1001")
			if s := asks.Caller.State(); !s.Over || !slices.Equal(ann.State().Statuses, []int{100, 200}) {
				t.Errorf("the one who asked: %+v, %v", s, ann.State().Statuses)
			}
			third := l.other("dial *3101")
			if l.Settle(); third.Caller.State().Joined != held.Caller {
				t.Error(third.Transcript())
			}
			if told := l.told; told[len(told)-2] != "parked 101 1001" || told[len(told)-1] != "retrieved 101 1001" {
				t.Errorf("%q", told)
			}
		})
	}
}

// TestParkedCallersHangUp: a caller who hangs up, whenever, gives his slot back.
func TestParkedCallersHangUp(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, script string }{
		{"while the slot is announced to him", "dial *4\nhear park-call_placed_in_spot 1\nhangs up"},
		{"while it is announced to another", talksToAnn + "transfers 1002 *4\nwait 1s\nhangs up"},
		{"with music", "dial 600\nsounds caller music\nhangs up"},
		{"while the one who has parked him is rung", talksToAnn + "transfers 1002 *4\nwait 121s\nrings 1002\nhangs up\nreleased 1002"},
		{"while he is talked to", talksToAnn + "transfers 1002 *4\nrings 1002\nanswers 1002\nwait 1s\nhangs up\nreleased 1002"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := newLot(t, "")
			l.Play(test.script)
			l.waits(t)
			if l.Settle(); l.Calls.Registry.Count() != 0 {
				t.Error("a call goes on")
			}
		})
	}
}

func TestAbandonedSlotIsTold(t *testing.T) {
	t.Parallel()
	l := newLot(t, "")
	l.Play("dial 600\nsounds caller music\nhangs up")
	l.expect(t, "parked 101 1001", "abandoned 101 1001")
}

var parkDialogues = []struct {
	name, data string
	before     func(l *lot)
	script     string
	waits      []string
}{
	{"by himself, and waits on", `{"default_ringback_timeout":5000}`, nil, `
		dial *4
		hear park-call_placed_in_spot 1 0 1 music
		wait 10m
		sounds caller music`, []string{"101 1001"}},
	{"by himself, not told", "", nil, "dial 600\nhear music\nwait 1m\nsounds caller music", []string{"101 1001"}},
	{"nobody comes: the child _", `{"default_ringback_timeout":5000}`, nil, "dial 600\nhear music\nsilence 4s\nhear after", nil},
	{"nobody comes: the slot's child", `{"default_ringback_timeout":5000,"slot":"103"}`, nil, "dial 600\nhear music of-103", nil},
	{"the slot's own times", `{"slots":{"101":{"ringback_timeout":1000,"callback_timeout":2000}}}`, nil, talksToAnn + `
		transfers 1002 601
		wait 2s
		rings 1002
		wait 1s
		quiet 1003
		released 1002 NO_ANSWER
		hear music ringback after`, nil},
	{"the next free slot", "", func(l *lot) { l.other("dial 600") }, "dial *4\nhear park-call_placed_in_spot 1 0 2", []string{"101 1003", "102 1001"}},
	{"nobody to retrieve", "", nil, "dial *5101\nhear park-no_caller\nends NORMAL_CLEARING", nil},
	{"no slot to retrieve", "", func(l *lot) { l.other("dial 600") }, "dial *5\nhear park-no_caller\nends", []string{"101 1003"}},
	{"a slot in use", `{"slot":"104"}`, func(l *lot) { l.other("dial 600") }, "dial *4\nhear park-already_in_use\nends NORMAL_CLEARING",
		[]string{"104 1003"}},
	{"transferred to a slot in use: back to who asked", `{"slot":"104"}`, func(l *lot) { l.other("dial 600") }, talksToAnn + `
		transfers 1002 *3104
		told 1002 100 480
		talks 1002`, []string{"104 1003"}},
	{"too many", `{"max_slot_number":101}`, func(l *lot) { l.other("dial 600") }, "dial 602\nhear after\nends", []string{"101 1003"}},
	{"too many, without the child", `{"max_slot_number":101}`, func(l *lot) { l.other("dial 600") }, "dial *4\nhear feat.park.full\nends",
		[]string{"101 1003"}},
	{"too high", `{"max_slot_number":120}`, nil, "dial *3121\nhear feat.park.full\nends", nil},
	{"the phone that has parked him is rung and shows the slot", "", nil, talksToAnn + `
		transfers 1002 *4
		wait 110s
		quiet 1002
		wait 12s
		rings 1002
		answers 1002
		talks 1002
		hangs up 1002
		ends NORMAL_CLEARING`, nil},
	{"it does not answer: it is rung again later", "", nil, talksToAnn + `
		transfers 1002 *4
		rings 1002
		wait 31s
		quiet 1002
		sounds caller music
		rings 1002
		answers 1002
		talks 1002`, nil},
	{"the phone that transfers hangs up at once", "", nil, talksToAnn + "transfers 1002 *4\nhangs up 1002\nwait 5s\nsounds caller music", []string{"101 1001"}},
}

func TestPark(t *testing.T) {
	t.Parallel()
	for _, test := range parkDialogues {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := newLot(t, test.data)
			if test.before != nil {
				test.before(l)
			}
			l.Play(test.script)
			l.waits(t, test.waits...)
		})
	}
}

// TestParkRingBackShowsTheSlot: the phone that is rung sees where the caller waits and who he is.
func TestParkRingBackShowsTheSlot(t *testing.T) {
	t.Parallel()
	l := newLot(t, "")
	l.Play(talksToAnn + "transfers 1002 *4\nwait 125s")
	legs := l.Legs()
	if got := legs[len(legs)-1].Target(); got.DeviceID != "1002" || got.Caller != (call.Party{Name: "Parking slot 101 - Bob Caller", Number: "1001"}) {
		t.Errorf("%+v", got)
	}
}

// TestRetrieveWhileTheParkerIsRung: somebody else is faster.
func TestRetrieveWhileTheParkerIsRung(t *testing.T) {
	t.Parallel()
	l := newLot(t, "")
	parked := l.Play(talksToAnn + "transfers 1002 *4\nwait 121s\nrings 1002")
	third := l.other("dial *3101")
	l.GoOn(parked, "released 1002 LOSE_RACE")
	if third.Caller.State().Joined != parked.Caller {
		t.Error(parked.Transcript())
	}
	l.expect(t, "parked 101 1001", "retrieved 101 1001")
	l.GoOn(third, "transfers caller *4") // and may be parked again, by him who has retrieved him
	l.GoOn(parked, "wait 10s\nsounds caller music")
	l.waits(t, "101 1001")
}

// TestTwoRetrieve: one gets the caller, the other one is told that nobody waits.
func TestTwoRetrieve(t *testing.T) {
	t.Parallel()
	l := newLot(t, "")
	parked := l.Play("dial 600\nsounds caller music")
	one := l.World.Call("1002", "*5101")
	two := l.World.Call("1003", "*5101")
	l.Settle()
	l.GoOn(parked, "wait 5s")
	joined := 0
	for _, leg := range []*simulate.Leg{one, two} {
		s := leg.State()
		if s.Joined == parked.Caller {
			joined++
		} else if !slices.Equal(s.Heard, []string{"park-no_caller"}) {
			t.Errorf("%+v", s)
		}
	}
	if joined != 1 {
		t.Errorf("%d talk to him", joined)
	}
}

// TestSlotsAreTheAccounts: the slots of one account are nothing to another.
func TestSlotsAreTheAccounts(t *testing.T) {
	t.Parallel()
	l := newLot(t, "")
	l.Play("dial 600\nsounds caller music")
	if got := l.Calls.Registry.Parked("another"); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

// TestParkInASlotInUseByAPhoneThatHasHungUp: nobody would have the caller back, so the phone is rung.
func TestParkInASlotInUseByAPhoneThatHasHungUp(t *testing.T) {
	t.Parallel()
	l := newLot(t, `{"slot":"104"}`)
	l.other("dial 600")
	parked := l.Play(talksToAnn)
	ann := l.Legs()[0]
	l.Begin()
	ann.Transfers("*4")
	ann.HangsUp()
	l.End()
	l.GoOn(parked, "rings 1002\nanswers 1002\ntalks 1002")
	l.waits(t, "104 1003")
}
