package callflow_test

import (
	"testing"

	"bugle"
	"bugle/internal/callflow/callflowtest"
)

// talking is the begin of each dialogue here: 1001 calls 1002, who answers.
const talking = "dial 1002\nrings 1002\nanswers 1002\ntalks 1002\n"

var holdDialogues = []struct{ name, script string }{
	{"by the person called, and back", `
			holds 1002
			sounds caller tone-hold
			sounds 1002
			wait 1h
			sounds caller tone-hold
			resumes 1002
			sounds caller
			talks 1002`},
	{"by the caller", `
			holds caller
			sounds 1002 tone-hold
			sounds caller
			resumes caller
			sounds 1002
			talks 1002`},
	{"by both, who take it back one after the other", `
			holds 1002
			sounds caller tone-hold
			holds caller
			sounds caller
			sounds 1002
			resumes 1002
			sounds 1002 tone-hold
			resumes caller
			sounds 1002
			talks 1002`},
	{"by both, the first takes it back last", `
			holds caller
			holds 1002
			resumes caller
			sounds caller tone-hold
			sounds 1002
			resumes 1002
			sounds caller`},
	{"told twice", `
			holds 1002
			holds 1002
			sounds caller tone-hold
			resumes 1002
			resumes 1002
			sounds caller`},
	{"the held party hangs up", `
			holds 1002
			hangs up
			released 1002 NORMAL_CLEARING`},
	{"the one who holds hangs up", `
			holds 1002
			hangs up 1002
			sounds caller
			ends NORMAL_CLEARING`},
	{"a transfer of the held party", `
			holds 1002
			transfers 1002 1003
			rings 1003
			sounds caller ringback
			answers 1003
			talks 1003
			sounds caller
			released 1002 NORMAL_CLEARING
			holds 1003
			sounds caller tone-hold`},
	{"a transfer of the held party by the caller", `
			holds caller
			transfers caller 1003
			rings 1003
			answers 1003
			sounds 1002
			holds 1003
			sounds 1002 tone-hold`},
	{"a transfer to where nothing is played", `
			holds caller
			transfers caller 600
			sounds 1002
			wait 9s
			sounds 1002`},
	{"a transfer that fails leaves it held", `
			holds 1002
			transfers 1002 1003
			rings 1003
			refuses 1003 486
			talks 1002
			sounds caller tone-hold
			resumes 1002
			sounds caller`},
	{"a transfer by the held party", `
			holds 1002
			transfers caller 1003
			rings 1003
			sounds caller
			hangs up 1002`},
}

func holdHouse(t *testing.T) *callflowtest.House {
	h := callflowtest.New(t)
	h.Person("1001", "Bob", "Caller")
	h.Person("1002", "Ann", "Lee")
	h.Person("1003", "Cy", "Two")
	h.Callflow("nap", "600", `{"module":"sleep","data":{"duration":10}}`)
	return h
}

func TestHold(t *testing.T) {
	t.Parallel()
	for _, test := range holdDialogues {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			holdHouse(t).Play(talking + test.script)
		})
	}
}

// TestMusicOnHold: the music is that of who holds, the device's before its owner's before the account's.
func TestMusicOnHold(t *testing.T) {
	t.Parallel()
	tests := []struct{ account, user, device, want string }{
		{"", "", "", "tone-hold"},
		{"ours", "", "", "ours"},
		{"ours", "hers", "", "hers"},
		{"ours", "hers", "its", "its"},
		{"", "", "its", "its"},
		{"", "prompt://moh", "", "moh"},
		{"gone", "", "", "tone-hold"},
	}
	for _, test := range tests {
		h := holdHouse(t)
		h.Speech.Recordings = map[string]bool{"ours": true, "hers": true, "its": true}
		h.Documents.With(func(d *callflowtest.Documents) {
			account := d.Accounts[callflowtest.AccountID]
			account.MusicOnHold = test.account
			d.Accounts[callflowtest.AccountID] = account
			user := d.Users["ann-lee"]
			user.MusicOnHold = test.user
			d.Users["ann-lee"] = user
			device := d.Devices["1002"]
			device.MusicOnHold = test.device
			d.Devices["1002"] = device
		})
		d := h.Play(talking + "holds 1002\nsounds caller " + test.want + "\nresumes 1002\nsounds caller")
		if test.account != "" { // the account's also holds for the caller's phone, which says nothing
			want := map[string]string{"gone": "tone-hold"}[test.account]
			if want == "" {
				want = test.account
			}
			h.GoOn(d, "holds caller\nsounds 1002 "+want)
		}
		h.GoOn(d, "hangs up")
		trail := ""
		for _, step := range h.Reports()[0].Trail {
			if step.Name == "no music on hold" {
				trail = step.Detail
			}
		}
		if (trail != "") != (test.account == "gone") {
			t.Errorf("%+v: the trail says %q", test, trail)
		}
	}
}

func TestRingbackOfACallflow(t *testing.T) {
	t.Parallel()
	h := holdHouse(t)
	h.Speech.Recordings = map[string]bool{"early": true, "late": true, "group": true}
	h.Callflow("tree", "601", `{"module":"answer","data":{},"children":{"_":{"module":"user","data":{"id":"ann-lee"}}}}`)
	h.Callflow("group", "700", `{"module":"ring_group","data":{"endpoints":[{"id":"ann-lee","endpoint_type":"user"}]}}`)
	h.Callflow("chosen", "701", `{"module":"ring_group","data":{"ringback":"group","endpoints":[{"id":"ann-lee","endpoint_type":"user"}]}}`)
	h.Callflow("branch", "800", `{"module":"callflow","data":{"id":"flow-1002"}}`)
	h.Callflow("lost", "801", `{"module":"user","data":{"id":"ann-lee"}}`)
	h.Documents.With(func(d *callflowtest.Documents) {
		for id, flow := range d.Callflows {
			flow.Ringback = bugle.Ringback{Early: "early", Transfer: "late"}
			if id == "lost" {
				flow.Ringback.Early = "gone"
			}
			if id != "flow-1002" {
				d.Callflows[id] = flow
			}
		}
	})
	for _, script := range []string{
		"dial 700\nrings 1002\nprogress\nhear early\nanswers 1002\ntalks 1002\nsounds caller",
		"dial 701\nrings 1002\nhear group\nanswers 1002\ntalks 1002",
		"dial 601\nrings 1002\nhear late\nanswers 1002\ntalks 1002",
		"dial 800\nrings 1002\nhear early\nearly 1002\nsounds caller early",
		"dial 801\nrings 1002\nringing\nsounds caller",
		"dial 1002\nrings 1002\nringing\nsounds caller\nanswers 1002\ntransfers 1002 1003\nrings 1003\nhear late\nanswers 1003\ntalks 1003",
	} {
		h.Play(script + "\nhangs up")
	}
}
