package crossbar_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"bugle/internal/store"
)

// spoke keeps the record of a call that began some time ago, was answered after 5 s and lasted 65.
func (w *world) spoke(account, id string, ago time.Duration, device, owner string) {
	w.t.Helper()
	at := w.clock.now().Add(-ago)
	if err := w.store.SaveCall(w.t.Context(), store.CallRow{ID: id, AccountID: account, SIPCallID: "sip-" + id, Direction: "inbound",
		FromName: "Ann", FromNumber: "1001", Dialed: "1002", DeviceID: device, OwnerID: owner,
		OtherLeg: "leg-" + id, Started: at, Answered: at.Add(5 * time.Second),
		Ended: at.Add(65 * time.Second), Cause: "NORMAL_CLEARING", Trail: []byte(`[{"step":"answered"}]`)}); err != nil {
		w.t.Fatal(err)
	}
}

// quickcalled keeps the records of both halves of a quickcall that nobody answered.
func (w *world) quickcalled(id, typ, by string) {
	w.t.Helper()
	for _, half := range []string{id, id + "-b"} {
		if err := w.store.SaveCall(w.t.Context(), store.CallRow{ID: half, AccountID: w.account, SIPCallID: half, Direction: "outbound", Dialed: "1002",
			AuthorizingID: by, AuthorizingType: typ, Started: w.clock.now().Add(-time.Hour), Ended: w.clock.now(), Cause: "NO_ANSWER"}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// TestCDRsOfQuickcalls: a user's records have those of the quickcalls for the user, and for the user's devices.
func TestCDRsOfQuickcalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann := w.must("PUT", w.own("/users"), `{"first_name":"Ann"}`).str("id")
	bob := w.must("PUT", w.own("/users"), `{"first_name":"Bob"}`).str("id")
	device := w.must("PUT", w.own("/devices"), `{"name":"D","owner_id":"`+bob+`"}`).str("id")
	w.quickcalled("quickcall-1", "user", ann)
	w.quickcalled("quickcall-2", "device", device)
	w.quickcalled("c2c-3", "clicktocall", device)
	for user, want := range map[string]string{ann: "202611-quickcall-1-b 202611-quickcall-1", bob: "202611-quickcall-2-b 202611-quickcall-2"} {
		if a := w.must("GET", w.own("/users/"+user+"/cdrs"), ""); cdrIDs(a) != want {
			t.Errorf("%s; want %s", a.text, want)
		}
	}
}

func cdrIDs(a answer) string {
	var out []string
	for _, row := range a.rows() {
		out = append(out, row["id"].(string))
	}
	return strings.Join(out, " ")
}

func TestCDRs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	user := w.must("PUT", w.own("/users"), `{"first_name":"Ann"}`).str("id")
	device := w.must("PUT", w.own("/devices"), `{"name":"D","owner_id":"`+user+`"}`).str("id")
	w.spoke(w.account, "a", time.Hour, device, user)
	w.spoke(w.account, "b", 2*time.Hour, "", "")
	w.spoke(w.account, "c", 3*time.Hour, device, user)
	w.spoke(w.account, "old", 40*24*time.Hour, "", "")
	w.spoke(w.newAccount("Rival"), "x", time.Hour, "", "")

	all := w.must("GET", w.own("/cdrs"), "")
	if cdrIDs(all) != "202611-a 202611-b 202611-c" {
		t.Errorf("%s", all.text)
	}
	row := all.rows()[0]
	for key, want := range map[string]string{"call_id": "sip-a", "caller_id_name": "Ann", "caller_id_number": "1001", "dialed_number": "1002",
		"duration_seconds": "65", "billing_seconds": "60", "timestamp": "63962492400", "datetime": "2026-11-21 15:00:00", "owner_id": user,
		"other_leg_call_id": "leg-a",
		"authorizing_id":    device, "hangup_cause": "NORMAL_CLEARING", "to": "1002@acme.example.com", "iso_8601": "2026-11-21",
		"unix_timestamp": "1795273200", "rfc_1036": "Sat, 21 Nov 2026 15:00:00 GMT", "rate": "", "direction": "inbound"} {
		if fmt.Sprint(row[key]) != want {
			t.Errorf("%s is %v, want %s", key, row[key], want)
		}
	}
	if a := w.must("GET", w.own("/users/"+user+"/cdrs"), ""); cdrIDs(a) != "202611-a 202611-c" {
		t.Errorf("%s", a.text)
	}
	one := w.must("GET", w.own("/users/"+user+"/cdrs?page_size=1"), "")
	next, _ := one.body["next_start_key"].(string)
	if a := w.must("GET", w.own("/users/"+user+"/cdrs?page_size=1&start_key="+next), ""); cdrIDs(one) != "202611-a" || cdrIDs(a) != "202611-c" ||
		a.body["next_start_key"] != nil {
		t.Errorf("%s %s", one.text, a.text)
	}
	if a := w.must("GET", w.own("/cdrs?filter_authorizing_id="), ""); cdrIDs(a) != "202611-b" {
		t.Errorf("%s", a.text)
	}
	if a := w.must("GET", w.own("/cdrs?created_from=63962485200&created_to=63962488800"), ""); cdrIDs(a) != "202611-b 202611-c" {
		t.Errorf("%s", a.text)
	}
	if a := w.call("GET", w.own("/cdrs"), "", "Accept: text/csv"); a.code != 200 || strings.Count(string(a.text), "\n") != 4 ||
		!strings.Contains(string(a.text), "NORMAL_CLEARING") {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.must("GET", w.own("/cdrs/202611-a"), ""); a.str("custom_channel_vars", "account_id") != w.account || len(a.at("trail").([]any)) != 1 ||
		fmt.Sprint(a.at("ringing_seconds")) != "5" {
		t.Errorf("%s", a.text)
	}
	if a := w.must("GET", w.own("/cdrs/interaction"), ""); len(a.rows()) != 3 {
		t.Errorf("%s", a.text)
	}
	if a := w.must("GET", w.own("/cdrs/legs/202611-a"), ""); cdrIDs(a) != "202611-a" {
		t.Errorf("%s", a.text)
	}
	for _, c := range []struct {
		path string
		code int
	}{
		{"/cdrs/202610-a", 404}, {"/cdrs/a", 404}, {"/cdrs/202611-x", 404}, {"/cdrs/legs/202611-x", 404},
		{"/cdrs?created_from=63950000000&created_to=63962496000", 400}, {"/cdrs?created_from=63962496000&created_to=63962400000", 400},
		{"/cdrs?created_from=soon", 400}, {"/cdrs?created_from=-5", 400}, {"/cdrs?page_size=0", 404}, {"/cdrs?start_key=x", 404},
		{"/cdrs?start_key=" + next, 404}, {"/users/" + nowhere + "/cdrs", 404},
	} {
		a := w.call("GET", w.own(c.path), "")
		if a.code != c.code || c.code == 400 && a.at("created_from", "date_range") == nil {
			t.Errorf("%s: %d %s", c.path, a.code, a.text)
		}
	}
	// The longest range is taken, an hour more than 31 days.
	if a := w.call("GET", w.own("/cdrs?created_from=63959814000&created_to=63962496000"), ""); a.code != 200 {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.call("GET", w.own("/cdrs?created_from=63959813999&created_to=63962496000"), ""); a.code != 400 {
		t.Errorf("%d %s", a.code, a.text)
	}
}

// TestTheRecordOfACallThatBugleHasStarted: its id is its Call-ID, dashes and all, and it says for whom it was.
func TestTheRecordOfACallThatBugleHasStarted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := w.clock.now().Add(-time.Hour)
	if err := w.store.SaveCall(t.Context(), store.CallRow{ID: "c2c-button-0123456789-b", AccountID: w.account, SIPCallID: "c2c-button-0123456789-b",
		Direction: "outbound", AuthorizingID: "button", AuthorizingType: "clicktocall", PresenceID: "1001",
		Variables: []byte(`{"page":"pricing"}`), Started: at, Ended: at.Add(time.Second), Cause: "USER_BUSY"}); err != nil {
		t.Fatal(err)
	}
	if row := w.must("GET", w.own("/cdrs"), "").rows()[0]; row["authorizing_id"] != "button" || row["direction"] != "outbound" {
		t.Errorf("%v", row)
	}
	one := w.must("GET", w.own("/cdrs/202611-c2c-button-0123456789-b"), "")
	for key, want := range map[string]string{"custom_application_vars": "map[page:pricing]",
		"custom_channel_vars": "map[account_id:" + w.account + " authorizing_id:button authorizing_type:clicktocall bridge_id:c2c-button-0123456789-b presence_id:1001 realm:acme.example.com]"} {
		if got := fmt.Sprint(one.at(key)); got != want {
			t.Errorf("%s is %s, want %s", key, got, want)
		}
	}
}
