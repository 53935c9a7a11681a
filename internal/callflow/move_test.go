package callflow_test

import (
	"encoding/json"
	"testing"
	"time"

	"bugle"
	"bugle/internal/call"
	"bugle/internal/callflow/callflowtest"
)

// TestMove: what the API asks for is done as if the other party had asked.
func TestMove(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		number, target, flow, account string
		want                          int
		then                          string
	}{
		"the called to a number":   {"1002", "1003", "", callflowtest.AccountID, 100, "rings 1003\nanswers 1003\nends NORMAL_CLEARING\nhangs up 1003\nreleased 1002 NORMAL_CLEARING"},
		"the caller to a callflow": {"1001", "", "f", callflowtest.AccountID, 100, "hear greeting\nreleased 1002 NORMAL_CLEARING\nends NORMAL_CLEARING"},
		"nobody there":             {"1002", "999", "", callflowtest.AccountID, 100, "talks 1002\nhangs up\nreleased 1002 NORMAL_CLEARING"},
		"no such callflow":         {"1001", "", "none", callflowtest.AccountID, 100, "talks 1002\nhangs up\nreleased 1002 NORMAL_CLEARING"},
		"another account":          {"1002", "1003", "", "other", 0, "talks 1002\nhangs up\nreleased 1002 NORMAL_CLEARING"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := callflowtest.New(t)
			h.Person("1001", "Bob", "Caller")
			h.Person("1002", "Ann", "Lee")
			h.Person("1003", "Cy", "Two")
			h.Speech.Recordings["greeting"] = true
			h.Callflow("f", "500", `{"module":"play","data":{"id":"greeting"}}`)
			d := h.Play("dial 1002\nrings 1002\nanswers 1002\ntalks 1002")
			legs := h.Calls.Registry.List("")[0].Legs
			id := legs[0].ID
			if test.number == "1002" {
				id = legs[1].ID
			}
			got := 0
			moved := h.Calls.Registry.Move(test.account, id, call.Destination{Number: test.target, Callflow: test.flow}, func(status int) { got = status })
			h.Settle()
			if got != test.want || moved != (test.want != 0) {
				t.Errorf("status %d, moved %v, want %d", got, moved, test.want)
			}
			if err := d.Run(test.then); err != nil {
				t.Error(err)
			}
		})
	}
}

// flowOf is a flow of the API's own.
func flowOf(module, id string) bugle.Flow {
	return bugle.Flow{Module: module, Data: bugle.Fields{"id": json.RawMessage(`"` + id + `"`)}}
}

// TestMoveWhoTalksToNobody: a caller is taken out of what leads him, wherever that is just now.
func TestMoveWhoTalksToNobody(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		before  string
		ringing bool // the leg of the phone that rings is named, not the caller's
		to      call.Destination
		then    string
	}{
		"from a ringing phone to a user's": {"dial 1002\nrings 1002", false, call.Destination{Flow: flowOf("user", "cy-two")},
			"rings 1003\nreleased 1002 ORIGINATOR_CANCEL\nanswers 1003\ntalks 1003\nhangs up\nreleased 1003 NORMAL_CLEARING"},
		"by the leg that rings": {"dial 1002\nrings 1002", true, call.Destination{Flow: flowOf("device", "1003")},
			"rings 1003\nreleased 1002 ORIGINATOR_CANCEL\nanswers 1003\ntalks 1003"},
		"to somebody who is busy: anew": {"dial 1002\nrings 1002", false, call.Destination{Flow: flowOf("user", "cy-two")},
			"rings 1003\nrefuses 1003 486\nrings 1002\nanswers 1002\ntalks 1002"},
		"to nobody that there is: anew": {"dial 1002\nrings 1002", false, call.Destination{Flow: flowOf("user", "none")},
			"rings 1002\nanswers 1002\ntalks 1002"},
		"from a prompt to a number":     {"dial 500\nhear greeting", false, call.Destination{Number: "1003"}, "sounds caller ringback\nrings 1003\nanswers 1003\ntalks 1003"},
		"from keys to a callflow":       {"dial 600\nhear welcome\nwait 2s", false, call.Destination{Callflow: "f"}, "hear greeting"},
		"from a wait to a number":       {"dial 700\nwait 2s", false, call.Destination{Number: "1003"}, "rings 1003\nanswers 1003\ntalks 1003"},
		"to a number that nobody has":   {"dial 500\nhear greeting", false, call.Destination{Number: "999"}, "ends"},
		"to a flow that has no modules": {"dial 500\nhear greeting", false, call.Destination{Callflow: "none"}, "ends"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := callflowtest.New(t)
			h.Person("1001", "Bob", "Caller")
			h.Person("1002", "Ann", "Lee")
			h.Person("1003", "Cy", "Two")
			h.Speech.Recordings["greeting"], h.Speech.Recordings["welcome"] = true, true
			h.Callflow("f", "500", `{"module":"play","data":{"id":"greeting"},"children":{"_":{"module":"play","data":{"id":"greeting"}}}}`)
			h.Callflow("w", "700", `{"module":"wait_for_hangup"}`)
			h.Documents.With(func(d *callflowtest.Documents) {
				d.Menus["m"] = bugle.Menu{ID: "m", Retries: 3, Timeout: 10 * time.Second, MaxExtension: 4, Greeting: "welcome"}
			})
			h.Callflow("menu", "600", `{"module":"menu","data":{"id":"m"},"children":{"1":{"module":"hangup"}}}`)
			d := h.Play(test.before)
			legs := h.Calls.Registry.List("")[0].Legs
			id, got := legs[0].ID, 0
			if test.ringing {
				id = legs[1].ID
			}
			if !h.Calls.Registry.Move(callflowtest.AccountID, id, test.to, func(status int) { got = status }) {
				t.Error("no such leg")
			}
			h.Settle()
			if got != 100 {
				t.Errorf("status %d", got)
			}
			if err := d.Run(test.then); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestBreak: what is played comes to its end, and the flow goes on.
func TestBreak(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		before, then, account string
		cut, known            bool
	}{
		"a recording":              {"dial 500\nhear greeting", "heard welcome", callflowtest.AccountID, true, true},
		"before keys are expected": {"dial 600\nhear welcome", "sounds caller\npress 1\nends NORMAL_CLEARING", callflowtest.AccountID, true, true},
		"while keys are expected":  {"dial 600\nhear welcome\nwait 2s", "press 1\nends NORMAL_CLEARING", callflowtest.AccountID, false, true},
		"ringing":                  {"dial 1002\nrings 1002", "answers 1002\ntalks 1002", callflowtest.AccountID, false, true},
		"talking":                  {"dial 1002\nrings 1002\nanswers 1002", "talks 1002", callflowtest.AccountID, false, true},
		"another account":          {"dial 500\nhear greeting", "sounds caller greeting", "other", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := callflowtest.New(t)
			h.Person("1001", "Bob", "Caller")
			h.Person("1002", "Ann", "Lee")
			h.Speech.Recordings["greeting"], h.Speech.Recordings["welcome"] = true, true
			h.Callflow("f", "500", `{"module":"play","data":{"id":"greeting","endless_playback":true},"children":{"_":{"module":"play","data":{"id":"welcome"}}}}`)
			h.Documents.With(func(d *callflowtest.Documents) {
				d.Menus["m"] = bugle.Menu{ID: "m", Retries: 3, Timeout: 10 * time.Second, MaxExtension: 4, Greeting: "welcome"}
			})
			h.Callflow("menu", "600", `{"module":"menu","data":{"id":"m"},"children":{"1":{"module":"hangup"}}}`)
			d := h.Play(test.before)
			cut := false
			known := h.Calls.Registry.Break(test.account, h.Calls.Registry.List("")[0].Legs[0].ID, func(was bool) { cut = was })
			h.Settle()
			if cut != test.cut || known != test.known {
				t.Errorf("cut %v, known %v", cut, known)
			}
			if err := d.Run(test.then); err != nil {
				t.Error(err)
			}
		})
	}
}
