package callflow_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"bugle"
	"bugle/internal/call"
	"bugle/internal/call/simulate"
	"bugle/internal/callflow/callflowtest"
)

// TestNobodyIsForgotten lets callers and phones do anything in any order: whatever they do, once the caller has hung up
// nothing rings, nobody is joined with anybody, and the call is over with a report.
func TestNobodyIsForgotten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		h := withDirectory(t)
		h.Person("1003", "Cy", "Two", "dir")
		h.Contacts("1003", 2)
		h.Documents.Menus["m"] = bugle.Menu{ID: "m", Retries: 2, Timeout: 3 * time.Second, Interdigit: time.Second,
			MaxExtension: 4, Hunt: true}
		h.Callflow("menu", "500", `{"module":"menu","data":{"id":"m"},"children":{
			"5":{"module":"directory","data":{"id":"dir"},"children":{"_":{"module":"user","data":{"id":"cy-two"}}}},
			"6":{"module":"ring_group","data":{"timeout":5,"repeats":2,"endpoints":[{"endpoint_type":"user","id":"ann-lee"},
				{"endpoint_type":"user","id":"cy-two","delay":2}]},"children":{"USER_BUSY":{"module":"callflow","data":{"id":"menu"}}}},
			"_":{"module":"response","data":{"code":480}}}}`)
		number := rapid.SampledFrom([]string{"411", "500", "1002", "1003", "999"}).Draw(r, "number")
		caller := h.World.Call("1001", number)
		var did []string
		for range rapid.IntRange(0, 40).Draw(r, "steps") {
			did = append(did, act(r, h, caller, "wait", "at once"))
		}
		caller.HangsUp()
		for h.Calls.Registry.Count() > 0 && h.Step(h.Now().Add(24*time.Hour)) { // a transfer may have left others talking
			for _, l := range h.Legs() {
				l.HangsUp()
			}
		}
		if n := h.Alarms(); n != 0 {
			r.Fatalf("%d alarms are left after %s", n, strings.Join(did, ", "))
		}
		for _, l := range h.Legs() {
			if s := l.State(); !s.Over || s.Joined != nil {
				r.Fatalf("%s is left after %s", l.Target().DeviceID, strings.Join(did, ", "))
			}
		}
		if n := h.Calls.Registry.Count(); n != 0 || len(h.Reports()) != 1 || h.Panics() != 0 {
			r.Fatalf("%d calls are left, %d reports, %d panics after %s", n, len(h.Reports()), h.Panics(), strings.Join(did, ", "))
		}
	})
}

// act does one thing that a caller or a phone can do, or one of kinds: let time pass, do two things in one moment.
func act(r *rapid.T, h *callflowtest.House, caller *simulate.Leg, kinds ...string) string {
	kind := rapid.SampledFrom(append(kinds, "key", "answer", "refuse", "hang up", "hold", "transfer", "early")).Draw(r, "kind")
	party := caller
	if legs := h.Legs(); len(legs) > 0 {
		if i := rapid.IntRange(-1, len(legs)-1).Draw(r, "party"); i >= 0 {
			party = legs[i]
		}
	}
	phone := party != caller && !party.State().Answered
	switch kind {
	case "key":
		party.Presses(rapid.SampledFrom([]byte("0123456789*#")).Draw(r, "key"))
	case "wait":
		h.Advance(time.Duration(rapid.IntRange(1, 8000).Draw(r, "ms")) * time.Millisecond)
	case "answer":
		if phone {
			party.PicksUp()
		}
	case "early":
		if phone {
			party.Rings(true)
		}
	case "refuse":
		if phone {
			party.Refuses(rapid.SampledFrom([]int{486, 603, 404, 408, 503, 302}).Draw(r, "status"))
		}
	case "hang up":
		if party != caller {
			party.HangsUp()
		}
	case "hold":
		party.Holds(rapid.Bool().Draw(r, "on"))
	case "transfer":
		party.Transfers(rapid.SampledFrom([]string{"1002", "sip:1003@x", "500", "999", ""}).Draw(r, "to"))
	case "at once":
		h.Begin() // until both are done, no loop is waited for and no time passes
		defer h.End()
		return act(r, h, caller) + "+" + act(r, h, caller)
	}
	return fmt.Sprintf("%s %s", kind, party.ID())
}

var _ call.Sink = (*call.Call)(nil)
