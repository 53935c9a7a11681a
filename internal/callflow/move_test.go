package callflow_test

import (
	"testing"

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
			moved := h.Calls.Registry.Move(test.account, id, test.target, test.flow, func(status int) { got = status })
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
