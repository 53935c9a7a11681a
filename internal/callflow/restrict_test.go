package callflow_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"bugle"
	"bugle/internal/callflow"
	"bugle/internal/callflow/callflowtest"
)

// actions are call restrictions as a document has them: "international=deny,did_us=inherit".
func actions(text string) map[string]string {
	if text == "" {
		return nil
	}
	out := map[string]string{}
	for part := range strings.SplitSeq(text, ",") {
		class, action, _ := strings.Cut(part, "=")
		out[class] = action
	}
	return out
}

// restrict gives the account, the user bob-caller and the phone 1001 their restrictions.
func restrict(h *callflowtest.House, account, user, device string) {
	h.Documents.With(func(d *callflowtest.Documents) {
		a := d.Accounts[callflowtest.AccountID]
		a.CallRestriction = actions(account)
		d.Accounts[callflowtest.AccountID] = a
		u := d.Users["bob-caller"]
		u.CallRestriction = actions(user)
		d.Users["bob-caller"] = u
		p := d.Devices["1001"]
		p.CallRestriction = actions(device)
		d.Devices["1001"] = p
	})
}

// restricted is a house whose phone 1001 is Bob's, and whose flows refuse with a status that says which one took the call.
func restricted(t testing.TB) *callflowtest.House {
	h := callflowtest.New(t)
	h.Person("1001", "Bob", "Caller")
	h.Person("1002", "Ann", "Lee")
	h.Callflow("out", "no_match", `{"module":"response","data":{"code":481}}`)
	h.Callflow("outside", `^9(\d+)$`, `{"module":"response","data":{"code":482}}`)
	h.Callflow("britain", `^\+44`, `{"module":"response","data":{"code":483}}`)
	h.Callflow("forward", `^\*72(\d*)$`, `{"module":"response","data":{"code":485}}`)
	h.Callflow("secretly", `^(\*67)(\d+)$`, `{"module":"response","data":{"code":491}}`)
	h.Callflow("anything", `^x(.*)$`, `{"module":"response","data":{"code":494}}`)
	h.Callflow("own", "+12125550111 933", `{"module":"response","data":{"code":499}}`)
	return h
}

const refused = "answered\nhear cf-unauthorized_call\nends NORMAL_CLEARING"

func TestCallRestriction(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name                  string
		account, user, device string
		dial, want            string
		trail                 string // why it was refused, "" when it was not
	}{
		{"nobody says anything", "", "", "", "+442079460000", "ends 483", ""},
		{"the device denies", "", "", "international=deny", "+442079460000", refused, "device 1001 denies international calls: +442079460000"},
		{"the owner denies", "", "international=deny", "", "+442079460000", refused, "user bob-caller denies international calls: +442079460000"},
		{"the account denies", "international=deny", "", "", "+442079460000", refused, "account acc denies international calls: +442079460000"},
		{"inherit asks the next", "international=deny", "international=inherit", "international=inherit", "+442079460000", refused, "account acc denies international calls: +442079460000"},
		{"the device goes before its owner", "international=deny", "international=deny", "international=allow", "+442079460000", "ends 483", ""},
		{"the owner goes before the account", "international=deny", "international=allow", "", "+442079460000", "ends 483", ""},
		{"the device denies what its owner may", "", "international=allow", "international=deny", "+442079460000", refused, "device 1001 denies international calls: +442079460000"},
		{"each class for itself", "international=deny", "", "did_us=deny", "+12125550100", refused, "device 1001 denies did_us calls: +12125550100"},
		{"other classes go through", "international=deny", "toll_us=deny", "caribbean=deny", "+12125550100", "ends 481", ""},
		{"as normalised", "", "", "international=deny", "011442079460000", refused, "device 1001 denies international calls: +442079460000"},
		{"premium", "", "", "toll_us=deny", "9005550100", refused, "device 1001 denies toll_us calls: +19005550100"},
		{"toll-free", "", "", "tollfree_us=deny", "8005550100", refused, "device 1001 denies tollfree_us calls: +18005550100"},
		{"the Caribbean is not the rest of North America", "", "", "did_us=deny", "8765550100", "ends 481", ""},
		{"a number of our own is one of its class", "", "", "did_us=deny", "2125550111", refused, "device 1001 denies did_us calls: +12125550111"},
		{"another word than deny is none", "", "", "international=denied", "+442079460000", "ends 483", ""},

		{"the capture group is judged", "", "", "did_us=deny", "9212555", "ends 482", ""},
		{"the capture group is normalised", "", "", "did_us=deny", "*722125550100", refused, "device 1001 denies did_us calls: +12125550100"},
		{"the number around a capture group is not judged", "", "", "unknown=deny", "*722125550100", "ends 485", ""},
		{"a pattern without groups captures nothing", "", "", "unknown=deny", "+442079460000", "ends 483", ""},

		{"unknown denies what no callflow names", "", "", "unknown=deny", "5551234", refused, "device 1001 denies unknown calls: 5551234"},
		{"unknown does not deny an extension", "unknown=deny", "unknown=deny", "unknown=deny", "1002", "rings 1002", ""},
		{"unknown denies what a pattern takes", "", "unknown=deny", "", "*72", refused, "user bob-caller denies unknown calls: *72"},
		{"unknown does not deny a captured extension", "", "", "unknown=deny", "*721002", "ends 485", ""},
		{"unknown denies a captured number that nobody has", "", "", "unknown=deny", "*721003", refused, "device 1001 denies unknown calls: 1003"},
		{"no_match names nobody", "", "", "unknown=deny", "xno_match", refused, "device 1001 denies unknown calls: no_match"},
		{"a name that is a number of ours", "", "", "unknown=deny", "x1002", "ends 494", ""},
		{"unknown is not every class", "", "", "unknown=deny", "+12125550100", "ends 481", ""},
		{"extensions have no other class", "international=deny,did_us=deny,tollfree_us=deny,toll_us=deny,caribbean=deny", "", "", "1002", "rings 1002", ""},

		{"emergency is not unknown", "unknown=deny", "unknown=deny", "unknown=deny", "112", "ends 481", ""},
		{"emergency is no other class", "international=deny,did_us=deny,tollfree_us=deny,toll_us=deny,caribbean=deny,closed_groups=deny,unknown=deny", "", "", "711", "ends 481", ""},
		{"emergency behind a prefix", "", "", "unknown=deny", "9911", "ends 482", ""},
		{"emergency as one of two captures", "", "", "unknown=deny", "*67911", "ends 491", ""},
		{"emergency of which a pattern captures a piece", "", "", "unknown=deny", "911", "ends 482", ""},
		{"emergency when it is denied", "", "", "emergency=deny", "911", refused, "device 1001 denies emergency calls: 911"},
		{"emergency when it is denied behind a prefix", "emergency=deny", "", "", "9911", refused, "account acc denies emergency calls: 911"},
		{"an extension that looks like emergency", "unknown=deny", "", "", "933", "ends 499", ""},

		{"no callflow is no callflow", "unknown=deny", "", "", "bob", "ends 404", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := restricted(t)
			restrict(h, test.account, test.user, test.device)
			h.Play("dial " + test.dial + "\n" + test.want + "\nhangs up")
			got := ""
			for _, step := range h.Reports()[0].Trail {
				if step.Name == "restricted" {
					got = step.Detail
				}
			}
			if got != test.trail {
				t.Errorf("the trail says %q, want %q", got, test.trail)
			}
		})
	}
}

// TestARestrictedCallRunsNoFlow: neither the number's flow nor the account's preflow, and nothing is heard but why.
func TestARestrictedCallRunsNoFlow(t *testing.T) {
	t.Parallel()
	h := restricted(t)
	var log bytes.Buffer
	h.Calls.Log = slog.New(slog.NewTextHandler(&log, nil))
	h.Speech.Recordings["before"] = true
	h.Callflow("pre", "501", `{"module":"play","data":{"id":"before"}}`)
	restrict(h, "", "", "international=deny")
	h.Documents.With(func(d *callflowtest.Documents) {
		account := d.Accounts[callflowtest.AccountID]
		account.Preflow, account.Language = "pre", "de-de"
		d.Accounts[callflowtest.AccountID] = account
	})
	d := h.Play("dial +442079460000\nanswered\nhear de-de/cf-unauthorized_call\nends NORMAL_CLEARING")
	if heard := d.Caller.State().Heard; len(heard) != 1 {
		t.Errorf("heard %q", heard)
	}
	var lines []string
	r := h.Reports()[0]
	for _, step := range r.Trail {
		lines = append(lines, strings.TrimSpace(step.Name+" "+step.Detail))
	}
	const want = `call +442079460000
callflow britain for +442079460000
restricted device 1001 denies international calls: +442079460000
node play prompt://cf-unauthorized_call
answered
ended NORMAL_CLEARING`
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("the trail says\n%s", got)
	}
	if text := log.String(); !strings.Contains(text, `msg=restricted call=`+r.ID+` detail="device 1001 denies international calls: +442079460000"`) {
		t.Errorf("the log says\n%s", text)
	}
}

// TestWhoIsRestricted: the endpoint that calls, and nobody else.
func TestWhoIsRestricted(t *testing.T) {
	t.Parallel()
	t.Run("a call from outside", func(t *testing.T) {
		t.Parallel()
		h := restricted(t)
		restrict(h, "did_us=deny", "", "")
		d := h.Play("from 1001")
		d.From = ""
		h.GoOn(d, "dial +12125550111\nends 499")
	})
	t.Run("a phone that belongs to nobody", func(t *testing.T) {
		t.Parallel()
		h := restricted(t)
		h.Phone("1009", "")
		restrict(h, "did_us=deny", "did_us=allow", "did_us=allow")
		h.Play("from 1009\ndial +12125550111\n" + refused)
	})
	t.Run("a phone whose document is gone", func(t *testing.T) {
		t.Parallel()
		h := restricted(t)
		restrict(h, "did_us=deny", "", "")
		h.Play("from 1010\ndial +12125550111\n" + refused)
	})
	t.Run("another phone of the account", func(t *testing.T) {
		t.Parallel()
		h := restricted(t)
		restrict(h, "", "did_us=deny", "did_us=deny")
		h.Play("from 1002\ndial +12125550111\nends 499")
	})
	t.Run("from the next call on", func(t *testing.T) {
		t.Parallel()
		h := restricted(t)
		h.Play("dial +12125550111\nends 499")
		restrict(h, "", "", "did_us=deny")
		h.Play("dial +12125550111\n" + refused)
	})
}

// TestATransferIsRestrictedAsACallOfWhoAsksForIt: it fails as one to nobody does, and whoever it was is back.
func TestATransferIsRestrictedAsACallOfWhoAsksForIt(t *testing.T) {
	t.Parallel()
	house := func(t *testing.T) *callflowtest.House {
		h := restricted(t)
		h.Speech.Recordings["greeting"] = true
		h.Callflow("own", "+12125550111", `{"module":"play","data":{"id":"greeting"}}`)
		return h
	}
	dialogue := func(want string) string {
		return "from 1002\ndial 1001\nrings 1001\nanswers 1001\ntalks 1001\ntransfers 1001 +12125550111\n" + want
	}
	for _, test := range []struct{ name, device, user, want string }{
		{"denied by the device that asks", "did_us=deny", "", "told 1001 100 603\ntalks 1001\nhangs up 1001\nends NORMAL_CLEARING"},
		{"denied by its owner", "", "did_us=deny", "told 1001 100 603\ntalks 1001\nhangs up 1001\nends NORMAL_CLEARING"},
		{"not denied", "", "", "told 1001 100 200\nhear greeting\nends NORMAL_CLEARING"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := house(t)
			restrict(h, "", test.user, test.device)
			h.Play(dialogue(test.want))
		})
	}
	t.Run("denied by who owns the device now", func(t *testing.T) {
		t.Parallel()
		h := house(t)
		restrict(h, "", "did_us=deny", "")
		d := h.Play("dial 1002\nrings 1002\nanswers 1002")
		h.Documents.With(func(d *callflowtest.Documents) {
			p := d.Devices["1002"]
			p.OwnerID = "bob-caller"
			d.Devices["1002"] = p
		})
		h.GoOn(d, "transfers 1002 +12125550111\ntold 1002 100 603\ntalks 1002")
	})
	t.Run("who is left does not count", func(t *testing.T) {
		t.Parallel()
		h := house(t)
		restrict(h, "", "did_us=deny", "did_us=deny")
		h.Play("dial 1002\nrings 1002\nanswers 1002\ntransfers 1002 +12125550111\ntold 1002 100 200\nhear greeting")
	})
}

// TestRestrictionsThatCannotBeRead: nobody calls at the account's cost while it cannot be told whether he may, but
// everybody calls for help.
func TestRestrictionsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ unread, account, dial, want string }{
		{"1001", "", "+442079460000", "ends 503 NORMAL_TEMPORARY_FAILURE"},
		{"bob-caller", "", "+442079460000", "ends 503 NORMAL_TEMPORARY_FAILURE"},
		{"1001", "", "112", "ends 481"},
		{"bob-caller", "unknown=deny", "112", "ends 481"},
		{"bob-caller", "emergency=deny", "911", refused},
		{"flow-1002", "unknown=deny", "*721002", "ends 503 NORMAL_TEMPORARY_FAILURE"},
	} {
		h := restricted(t)
		restrict(h, test.account, "", "")
		h.Documents.With(func(d *callflowtest.Documents) { d.Unread = map[string]bool{test.unread: true} })
		h.Play("dial " + test.dial + "\n" + test.want)
	}
}

// TestADialPlanDoesNotHideAnEmergency: what was dialled counts as well as what it became.
func TestADialPlanDoesNotHideAnEmergency(t *testing.T) {
	t.Parallel()
	h := restricted(t)
	restrict(h, "did_us=deny,unknown=deny", "", "")
	h.Documents.With(func(d *callflowtest.Documents) {
		account := d.Accounts[callflowtest.AccountID]
		account.DialPlan = map[string]bugle.DialRule{`^(\d{3})$`: {Prefix: "+1212555"}, `^0(\d{3})$`: {}}
		d.Accounts[callflowtest.AccountID] = account
	})
	h.Play("dial 112\nends 481")
	h.Play("dial 0112\nends 481")
	h.Play("dial 5550100\n" + refused)
	h.Play("dial 2125550100\n" + refused)
}

// TestJudge: what is known of a number before it is called.
func TestJudge(t *testing.T) {
	t.Parallel()
	docs := &callflowtest.Documents{Callflows: map[string]bugle.Callflow{"main": {ID: "main", Numbers: []string{"1001"}},
		"outside": {ID: "outside", Patterns: []string{`^9(\d+)$`}}, "no_match": {ID: "no_match", Numbers: []string{"no_match"}}}}
	e := callflow.New(callflow.Options{Documents: docs})
	account := bugle.Account{ID: callflowtest.AccountID}
	for dialed, want := range map[string]callflow.Judgement{
		"1001":           {Number: "1001", Class: "unknown", Own: true, Routed: true},
		"9911":           {Number: "9911", Class: "emergency", Routed: true},
		"(415) 886-7900": {Number: "(415) 886-7900", Class: "did_us"},
		"4158867900":     {Number: "+14158867900", Class: "did_us", Routed: true},
		"bob":            {Number: "bob", Class: "unknown"},
		"no_match":       {Number: "no_match", Class: "unknown"},
		"":               {Class: "unknown"},
	} {
		if got, err := e.Judge(t.Context(), account, dialed); err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", dialed, got, err, want)
		}
	}
	docs.With(func(d *callflowtest.Documents) { d.Fail = true })
	if _, err := e.Judge(t.Context(), account, "1001"); bugle.KindOf(err) != bugle.KindUnavailable {
		t.Error(err)
	}
}
