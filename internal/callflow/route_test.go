package callflow_test

import (
	"context"
	"testing"

	"bugle"
	"bugle/internal/call"
	"bugle/internal/callflow"
	"bugle/internal/callflow/callflowtest"
)

func TestNormaliseNumber(t *testing.T) {
	t.Parallel()
	plain := bugle.Account{}
	plan := bugle.Account{DialPlan: map[string]bugle.DialRule{
		`^9(\d+)$`:        {},                             // an outside line
		`^(\d{7})$`:       {Prefix: "+1415"},              // local numbers
		`^(8)(\d{2})$`:    {Prefix: "x", Suffix: "y"},     // the last capture counts
		`^77$`:            {Prefix: "<", Suffix: ">"},     // no capture: the whole
		`^not(a|regex`:    {Prefix: "never"},              // skipped
		`^9(\d{4})4444$`:  {Prefix: "longest rule first"}, // goes before ^9
		`^55500(\d{2})+$`: {Prefix: "55500"},
	}}
	tests := []struct {
		account      bugle.Account
		number, want string
	}{
		{plain, "1001", "1001"},
		{plain, "4158867900", "+14158867900"},
		{plain, "14158867900", "+14158867900"},
		{plain, "+14158867900", "+14158867900"},
		{plain, "+4930123456", "+4930123456"},
		{plain, "1158867900", "1158867900"},
		{plain, "4151867900", "+4151867900"}, // no NANP exchange begins with 1: eight digits or more
		{plain, "011493012345", "+493012345"},
		{plain, "00493012345", "+493012345"},
		{plain, "0049", "0049"},
		{plain, "0114930", "0114930"},
		{plain, "23456789", "+23456789"},
		{plain, "2345678", "2345678"},
		{plain, "12345678", "12345678"},
		{plain, "*721002", "*721002"},
		{plain, "no_match", "no_match"},
		{plain, "bob", "bob"},
		{plain, "", ""},
		{plan, "8867900", "+14158867900"},
		{plan, "94158867900", "+14158867900"},
		{plan, "1001", "1001"},
		{plan, "812", "x12y"},
		{plan, "77", "<77>"},
		{plan, "912344444", "longest rule first1234"},
		{plan, "+8867900", "+8867900"},
	}
	for _, test := range tests {
		if got := callflow.NormaliseNumber(test.account, test.number); got != test.want {
			t.Errorf("%q becomes %q, want %q", test.number, got, test.want)
		}
	}
}

// refuses is a flow that says that it was reached.
const refuses = `{"module":"response","data":{"code":499}}`

// TestRouting is the table of worked look-ups that KAZOO's behaviour was recorded with, and more of its kind.
func TestRouting(t *testing.T) {
	t.Parallel()
	tests := []struct {
		dialed, from string
		flow         string // "" for none
		status       int
		capture      string
	}{
		{"1001", "1001", "F1", 499, ""},
		{"4158867900", "1001", "F1", 499, ""},
		{"*721002", "1001", "F2", 499, "1002"},
		{"*72", "1001", "F2", 499, ""},
		{"5551234", "1001", "F3", 499, "1234"},
		{"1234567", "1001", "F3", 499, "4567"},
		{"2125550000", "1001", "F4", 499, ""},
		{"77", "1001", "F4", 499, ""},
		{"2125550000", "", "", 404, ""}, // from a carrier
		{"1001", "", "F1", 499, ""},     // from a carrier, a number of the account
		{"bob", "1001", "", 404, ""},
		{"no_match", "1001", "", 404, ""},
		{"no_match", "", "", 404, ""},
		{"", "1001", "", 484, ""},
		{"+1415886", "", "", 484, ""},
		{"*7", "1001", "", 404, ""},
	}
	for _, test := range tests {
		t.Run(test.dialed+" from "+test.from, func(t *testing.T) {
			t.Parallel()
			h := callflowtest.New(t)
			h.Callflow("F1", "1001 +14158867900", refuses)
			h.Callflow("F2", `^\*72([0-9]*)$`, refuses)
			h.Callflow("F3", `^(\d{3})(\d{4})$ ^555(?P<tail>\d+)$`, refuses)
			h.Callflow("F4", "no_match", refuses)
			h.Phone("1001", "")
			var capture string
			h.Modules["response"] = spy(h.Modules["response"], func(s *callflow.Step) { capture = s.CaptureGroup })
			d := h.Play("from 1001")
			d.From = test.from
			h.GoOn(d, "dial "+quoted(test.dialed)+"\nends")
			if got := d.Caller.State().Status; got != test.status {
				t.Errorf("the caller is told %d, want %d", got, test.status)
			}
			if got := h.Reports()[0].Flow; got != test.flow || capture != test.capture {
				t.Errorf("callflow %q with capture %q", got, capture)
			}
		})
	}
}

// quoted stands for the empty number in a dialogue, which has no word for it.
func quoted(number string) string {
	if number == "" {
		return `""`
	}
	return number
}

// spy runs look before a module.
func spy(m callflow.Module, look func(s *callflow.Step)) callflow.Module {
	return callflow.Module{Schema: m.Schema, Run: func(ctx context.Context, s *callflow.Step) callflow.Next {
		look(s)
		return m.Run(ctx, s)
	}}
}

func TestPatternTies(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		flows map[string]string
		want  string
	}{
		{"the longest capture wins", map[string]string{"a": `^(\d)\d{3}$`, "b": `^\d(\d{3})$`}, "b"},
		{"a pattern without groups has the whole match", map[string]string{"a": `^\d+$`, "b": `^\d(\d{3})$`}, "a"},
		{"then the longest pattern", map[string]string{"a": `^(\d{4})$`, "b": `^([0-9]{4})$`}, "b"},
		{"then the lowest id", map[string]string{"b": `^(\d{4})$`, "a": `^(\d{4})$`, "c": `^(\d{4})$`}, "a"},
		{"not anchored", map[string]string{"a": `^12`}, "a"},
		{"one that does not compile is passed over", map[string]string{"a": `^(\d{4}`, "b": `^1`}, "b"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for range 8 { // the documents come in a map's order
				h := callflowtest.New(t)
				for id, pattern := range test.flows {
					h.Callflow(id, pattern, refuses)
				}
				h.Play("dial 1234\nends 499")
				if got := h.Reports()[0].Flow; got != test.want {
					t.Fatalf("callflow %s", got)
				}
			}
		})
	}
}

func TestNamedCaptures(t *testing.T) {
	t.Parallel()
	h := callflowtest.New(t)
	h.Callflow("f", `^\*(?P<code>\d\d)(?P<rest>\d*)(?P<none>x?)$`, refuses)
	var named map[string]string
	h.Modules["response"] = spy(h.Modules["response"], func(s *callflow.Step) { named = s.CaptureGroups })
	h.Play("dial *721002\nends 499")
	if len(named) != 2 || named["code"] != "72" || named["rest"] != "1002" {
		t.Errorf("captures %v", named)
	}
}

func TestPreflow(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, flow, script string }{
		{"runs first", `{"module":"play","data":{"id":"first"}}`, "dial 500\nhear first second\nends NORMAL_CLEARING"},
		{"may end the call", `{"module":"hangup"}`, "dial 500\nends 480"},
		{"does not exist", "", "dial 500\nhear second"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := callflowtest.New(t)
			h.Speech.Recordings = map[string]bool{"first": true, "second": true}
			h.Documents.With(func(d *callflowtest.Documents) {
				account := d.Accounts[callflowtest.AccountID]
				account.Preflow = "pre"
				d.Accounts[callflowtest.AccountID] = account
			})
			if test.flow != "" {
				h.Callflow("pre", "501", test.flow)
			}
			h.Callflow("f", "500", `{"module":"play","data":{"id":"second"}}`)
			h.Play(test.script)
		})
	}
}

func TestCallerIDComesFromDocuments(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(d *callflowtest.Documents)
		want   call.Party
	}{
		{"of the user", func(*callflowtest.Documents) {}, call.Party{Name: "Bob Caller", Number: "1001"}},
		{"of the device before the user", func(d *callflowtest.Documents) {
			phone := d.Devices["1001"]
			phone.CallerID = bugle.CallerID{InternalName: "Desk", InternalNumber: "77"}
			d.Devices["1001"] = phone
		}, call.Party{Name: "Desk", Number: "77"}},
		{"of the account when nobody else says", func(d *callflowtest.Documents) {
			d.Devices["1001"] = bugle.Device{ID: "1001", Enabled: true, SIP: bugle.DeviceSIP{Username: "bob"}}
		}, call.Party{Name: "House", Number: "bob"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := callflowtest.New(t)
			h.Person("1001", "Bob", "Caller")
			h.Person("1002", "Ann", "Lee")
			h.Documents.With(test.change)
			h.Play("dial 1002\nrings 1002")
			if got := h.Legs()[0].Target().Caller; got != test.want {
				t.Errorf("the phone shows %+v", got)
			}
		})
	}
}

func TestDocumentsDown(t *testing.T) {
	t.Parallel()
	h := callflowtest.New(t)
	h.Callflow("f", "500", refuses)
	h.Documents.With(func(d *callflowtest.Documents) { d.Fail = true })
	h.Play("dial 500\nends 503 NORMAL_TEMPORARY_FAILURE")
}
