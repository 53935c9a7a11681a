package module_test

import (
	"testing"

	"bugle"
	"bugle/internal/callflow/callflowtest"
)

// house has Bob 1001 who calls, Ann 1002, and Cy 1003 with a second phone 1013.
func house(t *testing.T) *callflowtest.House {
	h := callflowtest.New(t)
	h.Person("1001", "Bob", "Caller")
	h.Person("1002", "Ann", "Lee")
	h.Person("1003", "Cy", "Two")
	h.Phone("1013", "cy-two")
	return h
}

// dialogue is a callflow at 500 and what comes of calling it.
type dialogue struct {
	name   string
	flow   string
	change func(h *callflowtest.House)
	script string
}

func (d dialogue) run(t *testing.T) {
	t.Run(d.name, func(t *testing.T) {
		t.Parallel()
		h := house(t)
		if d.change != nil {
			d.change(h)
		}
		if d.flow != "" {
			h.Callflow("flow", "500", d.flow)
		}
		h.Play(d.script)
	})
}

// after is a flow for the child "_" that tells that it was reached.
const after = `{"module":"play","data":{"id":"after"}}`

func knowsAfter(h *callflowtest.House) { h.Speech.Recordings["after"] = true }

func with(h *callflowtest.House, device string, change func(d *bugle.Device)) {
	h.Documents.With(func(docs *callflowtest.Documents) {
		d := docs.Devices[device]
		change(&d)
		docs.Devices[device] = d
	})
}

var userDialogues = []dialogue{
	{"all phones ring and the first to answer wins", "", nil, `
			dial 1003
			rings 1003
			rings 1013
			ringing
			answers 1013
			answered
			talks 1013
			released 1003 LOSE_RACE
			hangs up
			released 1013 NORMAL_CLEARING`},
	{"one after the other", `{"module":"user","data":{"id":"cy-two","strategy":"single","timeout":10}}`, nil, `
			dial 500
			rings 1003
			quiet 1013
			wait 9s
			quiet 1013
			wait 1s
			released 1003 NO_ANSWER
			rings 1013
			answers 1013
			talks 1013`},
	{"nobody answers for twenty seconds", "", nil, `
			dial 1002
			rings 1002
			wait 19.9s
			quiet 1013
			answers 1002
			talks 1002
			hangs up
			dial 1002
			rings 1002
			wait 20s
			released 1002 NO_ANSWER
			ends NO_ANSWER 480`},
	{"the caller gives up", "", nil, `
			dial 1003
			rings 1003
			rings 1013
			hangs up
			released 1003 ORIGINATOR_CANCEL
			released 1013 ORIGINATOR_CANCEL`},
	{"busy", "", nil, `
			dial 1002
			rings 1002
			refuses 1002 486
			ends USER_BUSY 486`},
	{"the last phone's failure counts", "", nil, `
			dial 1003
			rings 1003
			rings 1013
			refuses 1013 486
			refuses 1003 603
			ends CALL_REJECTED 603`},
	{"a child by cause", `{"module":"user","data":{"id":"ann-lee"},
			"children":{"USER_BUSY":` + after + `,"_":{"module":"hangup"}}}`, knowsAfter, `
			dial 500
			rings 1002
			refuses 1002 486
			hear after`},
	{"a child by status", `{"module":"user","data":{"id":"ann-lee"},
			"children":{"sip:488":` + after + `,"_":{"module":"hangup"}}}`, knowsAfter, `
			dial 500
			rings 1002
			refuses 1002 488
			hear after`},
	{"no answer follows _", `{"module":"user","data":{"id":"ann-lee"},"children":{"_":` + after + `}}`, knowsAfter, `
			dial 500
			rings 1002
			hear after`},
	{"an answered call does not follow _", `{"module":"user","data":{"id":"ann-lee"},"children":{"_":` + after + `}}`,
		knowsAfter, `
			dial 500
			rings 1002
			answers 1002
			hangs up 1002
			ends NORMAL_CLEARING`},
	{"do not disturb of the user", "", func(h *callflowtest.House) {
		h.Documents.With(func(docs *callflowtest.Documents) {
			ann := docs.Users["ann-lee"]
			ann.DoNotDisturb = true
			docs.Users["ann-lee"] = ann
		})
	}, `
			dial 1002
			quiet 1002
			ends 480`},
	{"do not disturb of one phone", "", func(h *callflowtest.House) {
		with(h, "1003", func(d *bugle.Device) { d.DoNotDisturb = true })
	}, `
			dial 1003
			rings 1013
			quiet 1003`},
	{"a disabled user", "", func(h *callflowtest.House) {
		h.Documents.With(func(docs *callflowtest.Documents) {
			ann := docs.Users["ann-lee"]
			ann.Enabled = false
			docs.Users["ann-lee"] = ann
		})
	}, `
			dial 1002
			quiet 1002
			ends 480`},
	{"a disabled phone", "", func(h *callflowtest.House) {
		with(h, "1003", func(d *bugle.Device) { d.Enabled = false })
	}, `
			dial 1003
			rings 1013
			quiet 1003`},
	{"a user without phones follows _", `{"module":"user","data":{"id":"x"},"children":{"_":` + after + `}}`, knowsAfter, `
			dial 500
			hear after`},
	{"oneself is not rung", `{"module":"user","data":{"id":"bob-caller"},"children":{"_":` + after + `}}`, knowsAfter, `
			dial 500
			hear after`},
	{"oneself is rung when asked for", `{"module":"user","data":{"id":"bob-caller","can_call_self":true}}`, nil, `
			dial 500
			rings 1001`},
	{"a reject ends all", `{"module":"user","data":{"id":"cy-two","fail_on_single_reject":true}}`, nil, `
			dial 500
			rings 1003
			rings 1013
			refuses 1003 603
			released 1013 ORIGINATOR_CANCEL
			ends CALL_REJECTED`},
	{"no phone is registered", `{"module":"user","data":{"id":"ann-lee"},
			"children":{"SUBSCRIBER_ABSENT":` + after + `}}`, func(h *callflowtest.House) {
		h.Unregister("1002")
		knowsAfter(h)
	}, `
			dial 500
			hear after`},
	{"one phone of two is registered", "", func(h *callflowtest.House) { h.Unregister("1013") }, `
			dial 1003
			rings 1003
			refuses 1003 486
			ends 486`},
	{"a delay", `{"module":"user","data":{"id":"ann-lee","delay":5}}`, nil, `
			dial 500
			wait 4.9s
			quiet 1002
			rings 1002`},
}

func TestUser(t *testing.T) {
	t.Parallel()
	for _, d := range userDialogues {
		d.run(t)
	}
}

func TestDevice(t *testing.T) {
	t.Parallel()
	for _, d := range []dialogue{
		{"one phone rings", `{"module":"device","data":{"id":"1013","timeout":5}}`, nil, `
			dial 500
			rings 1013
			quiet 1003
			ringing
			wait 5s
			ends NO_ANSWER 480`},
		{"its early media is heard", `{"module":"device","data":{"id":"1013"}}`, nil, `
			dial 500
			rings 1013
			early 1013
			progress
			talks 1013
			answers 1013
			answered
			talks 1013`},
		{"a device that does not exist", `{"module":"device","data":{"id":"nobody"},"children":{"_":` + after + `}}`, knowsAfter, `
			dial 500
			hear after`},
		{"itself", `{"module":"device","data":{"id":"1001"},"children":{"_":` + after + `}}`, knowsAfter, `
			dial 500
			hear after`},
		{"not registered", `{"module":"device","data":{"id":"1013"}}`, func(h *callflowtest.House) { h.Unregister("1013") }, `
			dial 500
			ends SUBSCRIBER_ABSENT 480`},
	} {
		d.run(t)
	}
}

func TestDeviceWithSeveralContacts(t *testing.T) {
	t.Parallel()
	h := house(t)
	h.Contacts("1002", 3)
	d := h.Play(`
		dial 1002
		rings 1002`)
	legs := h.Legs()
	if len(legs) != 3 {
		t.Fatalf("%d contacts are rung", len(legs))
	}
	legs[0].Refuses(486)
	legs[1].PicksUp()
	h.GoOn(d, `answered`)
	if d.Caller.State().Joined != legs[1] {
		t.Error("the caller does not talk to the contact that answered")
	}
	if legs[2].State().Cause != "LOSE_RACE" {
		t.Errorf("the last contact was released with %s", legs[2].State().Cause)
	}
}

func TestInviteOfADevice(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, data string
		change     func(d *bugle.Device)
		uri, hop   string
		caller     string
		header     string
	}{
		{"contact", "", func(*bugle.Device) {}, "sip:1002@192.0.2.1:5060", "192.0.2.1:5060", "1001", ""},
		{"username", "", func(d *bugle.Device) { d.SIP.InviteFormat, d.SIP.Username = "username", "ann #1" },
			"sip:ann%20%231@house.example", "192.0.2.1:5060", "1001", ""},
		{"e164", "", func(d *bugle.Device) { d.SIP.InviteFormat = "e164" },
			"sip:+12125550000@house.example", "192.0.2.1:5060", "1001", ""},
		{"npan", "", func(d *bugle.Device) { d.SIP.InviteFormat = "npan" },
			"sip:2125550000@house.example", "192.0.2.1:5060", "1001", ""},
		{"1npan", "", func(d *bugle.Device) { d.SIP.InviteFormat = "1npan" },
			"sip:12125550000@house.example", "192.0.2.1:5060", "1001", ""},
		{"route", "", func(d *bugle.Device) { d.SIP.InviteFormat, d.SIP.Route = "route", "bob@pbx.example:5070" },
			"sip:bob@pbx.example:5070", "invalid AddrPort", "1001", ""},
		{"by address", "", func(d *bugle.Device) { d.SIP.Method, d.SIP.IP = "ip", "198.51.100.7" },
			"sip:1002@198.51.100.7", "invalid AddrPort", "1001", ""},
		{"static_invite", `,"static_invite":"door"`, func(*bugle.Device) {},
			"sip:door@house.example", "192.0.2.1:5060", "1001", ""},
		{"suppress_clid", `,"suppress_clid":true`, func(*bugle.Device) {},
			"sip:1002@192.0.2.1:5060", "192.0.2.1:5060", "anonymous", ""},
		{"headers", `,"custom_sip_headers":{"out":{"X-A":"node"}}`,
			func(d *bugle.Device) { d.SIP.Headers = map[string]string{"X-A": "device"} },
			"sip:1002@192.0.2.1:5060", "192.0.2.1:5060", "1001", "node"},
		{"headers of the device", "", func(d *bugle.Device) { d.SIP.Headers = map[string]string{"X-A": "device"} },
			"sip:1002@192.0.2.1:5060", "192.0.2.1:5060", "1001", "device"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := house(t)
			h.Callflow("flow", "+12125550000", `{"module":"device","data":{"id":"1002"`+test.data+`}}`)
			with(h, "1002", test.change)
			h.Play(`
				dial 2125550000
				rings 1002`)
			got := h.Legs()[0].Target()
			if got.URI != test.uri || got.Hop.String() != test.hop || got.Caller.Number != test.caller ||
				got.Headers["X-A"] != test.header {
				t.Errorf("dialled %s at %s from %q with %v", got.URI, got.Hop, got.Caller.Number, got.Headers)
			}
			if got.Callee.Name != "Ann Lee" || got.Callee.Number != "1002" || got.UserID != "ann-lee" {
				t.Errorf("the callee is %+v of %s", got.Callee, got.UserID)
			}
		})
	}
}

func TestRingGroup(t *testing.T) {
	t.Parallel()
	const members = `"endpoints":[{"endpoint_type":"user","id":"ann-lee","weight":10},
		{"endpoint_type":"device","id":"1003","delay":3,"timeout":4,"weight":90}]`
	for _, d := range []dialogue{
		{"all at once, with a delay", `{"module":"ring_group","data":{` + members + `}}`, nil, `
			dial 500
			rings 1002
			quiet 1003
			wait 3s
			rings 1003
			wait 4s
			released 1003 NO_ANSWER
			answers 1002
			talks 1002`},
		{"one after the other", `{"module":"ring_group","data":{"strategy":"single","timeout":10,
			"endpoints":[{"endpoint_type":"user","id":"ann-lee"},{"endpoint_type":"device","id":"1003"}]}}`, nil, `
			dial 500
			rings 1002
			wait 10s
			released 1002 NO_ANSWER
			rings 1003
			answers 1003
			talks 1003`},
		{"at random, the heavy one first", `{"module":"ring_group","data":{"strategy":"weighted_random",` + members + `}}`, nil, `
			dial 500
			wait 3s
			rings 1003
			quiet 1002
			refuses 1003 486
			rings 1002`},
		{"rounds", `{"module":"ring_group","data":{"repeats":2,"timeout":5,
			"endpoints":[{"endpoint_type":"user","id":"ann-lee"}]},"children":{"NO_ANSWER":` + after + `}}`, knowsAfter, `
			dial 500
			rings 1002
			wait 5s
			rings 1002
			wait 5s
			hear after`},
		{"nobody can be rung", `{"module":"ring_group","data":{"endpoints":[{"endpoint_type":"user","id":"nobody"},
			{"endpoint_type":"group","id":"g"}]},"children":{"_":` + after + `}}`, knowsAfter, `
			dial 500
			hear after`},
		{"audio instead of ringing", `{"module":"ring_group","data":{"ringback":"music",
			"endpoints":[{"endpoint_type":"user","id":"ann-lee"}]}}`,
			func(h *callflowtest.House) { h.Speech.Recordings["music"] = true }, `
			dial 500
			rings 1002
			progress
			hear music
			silence 5s
			answers 1002
			talks 1002`},
		{"early media is ignored", `{"module":"ring_group","data":{"endpoints":[{"endpoint_type":"user","id":"ann-lee"}]}}`, nil, `
			dial 500
			rings 1002
			early 1002
			ringing
			apart 1002
			answers 1002
			talks 1002`},
		{"a member who left for a while", `{"module":"ring_group","data":{"endpoints":[
			{"endpoint_type":"user","id":"ann-lee","disable_until":63999999999},
			{"endpoint_type":"device","id":"1003","disable_until":63000000000}]}}`, nil, `
			dial 500
			rings 1003
			quiet 1002`},
		{"a reject ends all", `{"module":"ring_group","data":{"fail_on_single_reject":true,"repeats":1,
			"endpoints":[{"endpoint_type":"user","id":"ann-lee"},{"endpoint_type":"device","id":"1003"}]}}`, nil, `
			dial 500
			rings 1002
			rings 1003
			refuses 1002 486
			released 1003 ORIGINATOR_CANCEL
			ends 486`},
	} {
		d.run(t)
	}
}

func TestRingGroupRingtone(t *testing.T) {
	t.Parallel()
	h := house(t)
	h.Callflow("flow", "500", `{"module":"ring_group","data":{"ringtones":{"internal":"<urn:bell>"},
		"endpoints":[{"endpoint_type":"user","id":"ann-lee"}]}}`)
	h.Play(`
		dial 500
		rings 1002`)
	if got := h.Legs()[0].Target().Headers["Alert-Info"]; got != "<urn:bell>" {
		t.Errorf("Alert-Info is %q", got)
	}
}
