package callflow_test

import (
	"testing"

	"bugle/internal/callflow/callflowtest"
)

var transferDialogues = []struct{ name, script string }{
	{"by the person called", `
			dial 1002
			rings 1002
			answers 1002
			talks 1002
			transfers 1002 1003
			rings 1003
			told 1002 100 180
			hear ringback
			answers 1003
			talks 1003
			told 1002 100 180 200
			released 1002 NORMAL_CLEARING
			hangs up
			released 1003 NORMAL_CLEARING`},
	{"by the caller", `
			dial 1002
			rings 1002
			answers 1002
			transfers caller sip:1003@house.example;user=phone
			rings 1003
			told caller 100 180
			answers 1003
			told caller 100 180 200
			hangs up 1003
			released 1002 NORMAL_CLEARING`},
	{"to a directory", `
			dial 1002
			rings 1002
			answers 1002
			transfers 1002 500
			told 1002 100 200
			hear greeting
			ends NORMAL_CLEARING`},
	{"to nobody: back to who asked", `
			dial 1002
			rings 1002
			answers 1002
			transfers 1002 999
			told 1002 100 404
			talks 1002
			hangs up 1002
			ends NORMAL_CLEARING`},
	{"to a busy phone: back to who asked, who tries again", `
			dial 1002
			rings 1002
			answers 1002
			transfers 1002 1003
			rings 1003
			refuses 1003 486
			told 1002 100 180 486
			talks 1002
			transfers 1002 1004
			rings 1004
			answers 1004
			talks 1004
			released 1002`},
	{"the one who asked hangs up before", `
			dial 1002
			rings 1002
			answers 1002
			transfers 1002 1003
			hangs up 1002
			rings 1003
			answers 1003
			talks 1003`},
	{"the one who asked hangs up and nobody answers", `
			dial 1002
			rings 1002
			answers 1002
			transfers 1002 1003
			rings 1003
			hangs up 1002
			ends NORMAL_CLEARING`},
	{"the one who is left hangs up", `
			dial 1002
			rings 1002
			answers 1002
			transfers 1002 1003
			rings 1003
			hangs up
			released 1003 ORIGINATOR_CANCEL
			released 1002
			told 1002 100 180 487`},
	{"without anybody to transfer", `
			dial 500
			answered
			transfers caller 1003
			told caller 603`},
	{"again and again", `
			dial 1002
			rings 1002
			answers 1002
			transfers 1002 1003
			rings 1003
			answers 1003
			transfers 1003 1004
			rings 1004
			answers 1004
			talks 1004
			released 1003 NORMAL_CLEARING`},
	{"to a flow that leads nowhere", `
			dial 1005
			rings 1005
			rings 1015
			refuses 1015 486
			answers 1005
			transfers 1005 600
			told 1005 100 480
			talks 1005`},
	{"hold and back", `
			dial 1002
			rings 1002
			answers 1002
			holds 1002
			wait 1h
			talks 1002
			resumes 1002
			holds caller
			hangs up`},
}

func TestTransfer(t *testing.T) {
	t.Parallel()
	for _, test := range transferDialogues {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := callflowtest.New(t)
			h.Person("1001", "Bob", "Caller")
			h.Person("1002", "Ann", "Lee")
			h.Person("1003", "Cy", "Two")
			h.Person("1004", "Di", "Three")
			h.Person("1005", "Ed", "Four")
			h.Phone("1015", "ed-four")
			h.Callflow("nowhere", "600", `{}`)
			h.Speech.Recordings["greeting"] = true
			h.Callflow("f", "500", `{"module":"play","data":{"id":"greeting"}}`)
			h.Play(test.script)
		})
	}
}

func TestATransferredCallShowsWhoIsLeft(t *testing.T) {
	t.Parallel()
	h := callflowtest.New(t)
	h.Person("1001", "Bob", "Caller")
	h.Person("1002", "Ann", "Lee")
	h.Person("1003", "Cy", "Two")
	h.Play("dial 1002\nrings 1002\nanswers 1002\ntransfers caller 1003\nrings 1003")
	if got := h.Legs()[1].Target().Caller.Name; got != "Ann Lee" {
		t.Errorf("the phone shows %q", got)
	}
}
