package peers

import (
	"net/url"
	"testing"

	"bugle/internal/bugletest"
)

// parks gives the account numbers for parking.
func (o *office) parks() {
	o.t.Helper()
	o.create("callflows", object{"name": "Park", "numbers": []string{"*4"}, "flow": object{"module": "park", "data": object{"action": "park"}}})
	o.create("callflows", object{"name": "Park or retrieve", "patterns": []string{`^\*3([0-9]+)$`},
		"flow": object{"module": "park", "data": object{"action": "auto"}}})
}

// parked are the slots in use, with the number of who waits.
func (o *office) parked() map[string]string {
	o.t.Helper()
	var answer struct {
		Slots map[string]struct {
			Number string `json:"cid_number"`
		}
	}
	must(o.t, o.api.Do(o.ctx, "GET", "/accounts/"+o.account+"/parked_calls", nil, &answer))
	out := map[string]string{}
	for slot, who := range answer.Slots {
		out[slot] = who.Number
	}
	return out
}

// TestBaresipParksLeeAndCleoRetrievesHer: a blind transfer; the one who parks hears the slot, the one who waits the music.
func TestBaresipParksLeeAndCleoRetrievesHer(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.musical()
	o.parks()
	lee := o.phone(o.lee, bugletest.Answering(0, leeTone))
	cleo := o.phone(o.cleo, bugletest.Behaviour{})
	bob := o.newBaresip(o.bob, bobTone)
	bob.do("dial", "1001")
	bob.wait("CALL_ESTABLISHED")
	waits := o.next(lee)
	o.hears(waits, bobTone)
	bob.do("transfer", "sip:*4@"+o.realm)
	o.hears(waits, accountMusic)
	bob.wait("CALL_CLOSED")
	bob.hears("park-call_placed_in_spot")
	bob.hears("num.1")
	if got := o.parked(); len(got) != 1 || got["101"] != "1001" {
		t.Errorf("parked: %v", got)
	}
	wrong, err := cleo.Dial(o.ctx, "*3102") // nobody waits there: Cleo parks herself, and thinks better of it
	must(t, err)
	_, err = wrong.WaitHear(o.ctx, "park-call_placed_in_spot")
	must(t, err)
	must(t, wrong.Hangup(o.ctx))
	call, err := cleo.Dial(o.ctx, "*3101")
	must(t, err)
	must(t, call.WaitAnswer(o.ctx))
	call.SayTone(cleoTone)
	o.hears(call, leeTone)
	o.hears(waits, cleoTone)
	if got := o.parked(); len(got) != 0 {
		t.Errorf("still parked: %v", got)
	}
	must(t, call.Hangup(o.ctx))
	o.ends(waits, 200, true)
}

// TestBaresipAsksForASlotAndPutsLeeThere: an attended transfer.
func TestBaresipAsksForASlotAndPutsLeeThere(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.musical()
	o.parks()
	lee := o.phone(o.lee, bugletest.Answering(0, leeTone))
	cleo := o.phone(o.cleo, bugletest.Behaviour{})
	bob := o.newBaresip(o.bob, bobTone)
	bob.do("dial", "*4")
	bob.wait("CALL_ESTABLISHED")
	bob.hears("park-call_placed_in_spot")
	bob.do("dial", "1001")
	bob.wait("CALL_ESTABLISHED")
	waits := o.next(lee)
	bob.do("transfer", "sip:*4@"+o.realm+"?Replaces="+url.QueryEscape(bob.dialogs()[0]))
	bob.wait("CALL_CLOSED")
	bob.wait("CALL_CLOSED")
	o.hears(waits, accountMusic)
	if got := o.parked(); len(got) != 1 || got["101"] != "1001" {
		t.Errorf("parked: %v", got)
	}
	call, err := cleo.Dial(o.ctx, "*3101")
	must(t, err)
	must(t, call.WaitAnswer(o.ctx))
	call.SayTone(cleoTone)
	o.hears(call, leeTone)
	o.hears(waits, cleoTone)
	must(t, waits.Hangup(o.ctx))
	o.ends(call, 200, true)
}
