package crossbar_test

import (
	"testing"
	"time"

	"bugle/internal/crossbar"
)

// TestParkedCalls: who waits in which slot, as KAZOO's clients read it, and nobody of another account.
func TestParkedCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	since := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	w.calls.park = map[string][]crossbar.ParkedCall{
		w.account: {{Slot: "101", CallID: "a@phone", Name: "Ann Lee", Number: "1001", Realm: "acme.example", RingbackID: "d", ParkerCallID: "b@phone", Since: since},
			{Slot: "lobby", CallID: "c@phone", Number: "+14155550100", Realm: "acme.example", PresenceID: "front@doors.example", Since: since}},
		"another": {{Slot: "102", CallID: "x"}}}
	sameJSON(t, w.must("GET", w.own("/parked_calls"), "").data(), `{"slots":{
		"101":{"call_id":"a@phone","cid_name":"Ann Lee","cid_number":"1001","cid_uri":"1001@acme.example","node":"node",
			"presence_id":"101@acme.example","presence_user":"101","presence_realm":"acme.example","ringback_id":"d","parker_call_id":"b@phone",
			"timestamp":63939672000},
		"lobby":{"call_id":"c@phone","cid_name":"","cid_number":"+14155550100","cid_uri":"+14155550100@acme.example","node":"node",
			"presence_id":"front@doors.example","presence_user":"front","presence_realm":"doors.example","timestamp":63939672000}}}`)
}
