package peers

import (
	"testing"
	"time"

	"bugle/internal/bugletest"
)

// Music on hold is a tone here too.
const (
	accountMusic = 850
	laterTone    = 550 // what a party says once it has been taken back
)

// musical gives the account music on hold.
func (o *office) musical() {
	o.t.Helper()
	must(o.t, o.api.Patch(o.ctx, "/accounts/"+o.account,
		object{"music_on_hold": object{"media_id": "tone_stream://%(2000,0,850)"}}))
}

func TestBaresipHoldsAndWhoIsHeldHearsTheAccountsMusic(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.musical()
	bob := o.phone(o.bob, bugletest.Behaviour{})
	lee := o.newBaresip(o.lee, leeTone)
	call, err := bob.Dial(o.ctx, "1001")
	must(t, err)
	lee.wait("CALL_INCOMING")
	lee.do("accept", "")
	must(t, call.WaitAnswer(o.ctx))
	call.SayTone(bobTone)
	o.hears(call, leeTone)
	lee.hears(bobTone)
	lee.do("hold", "")
	o.hears(call, accountMusic)
	must(t, call.Press(o.ctx, "5")) // for nobody
	lee.do("resume", "")
	must(t, call.WaitToneOver(o.ctx, accountMusic))
	o.hears(call, leeTone) // again; baresip 1.0.0 records nothing of what it hears after a hold of its own
	lee.do("hold", "")
	o.hears(call, accountMusic)
	lee.do("hangup", "") // while the other is held
	o.ends(call, 200, true)
}

func TestBaresipIsHeldHoldsTooAndIsTakenBack(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.musical()
	bob := o.phone(o.bob, bugletest.Behaviour{})
	lee := o.newBaresip(o.lee, leeTone)
	call, err := bob.Dial(o.ctx, "1001")
	must(t, err)
	lee.wait("CALL_INCOMING")
	lee.do("accept", "")
	must(t, call.WaitAnswer(o.ctx))
	call.SayTone(bobTone)
	o.hears(call, leeTone)
	must(t, call.Hold(o.ctx))
	lee.hears(accountMusic)
	must(t, call.WaitToneOver(o.ctx, leeTone))
	call.SayTone(laterTone)
	must(t, call.Resume(o.ctx))
	lee.hears(laterTone)
	o.hears(call, leeTone)
	must(t, call.Hold(o.ctx))
	lee.do("hold", "") // both hold
	o.silent(call)
	must(t, call.Resume(o.ctx))
	o.hears(call, accountMusic) // Lee's phone holds still
	lee.do("resume", "")
	must(t, call.WaitToneOver(o.ctx, accountMusic))
	o.hears(call, leeTone)
	must(t, call.Hold(o.ctx))
	must(t, call.Hangup(o.ctx))
	lee.wait("CALL_CLOSED")
}

// silent checks that a phone gets no packet for half a second, once those that were under way have come.
func (o *office) silent(call *bugletest.PhoneCall) {
	o.t.Helper()
	before := call.Stats().PacketsReceived
	for range 20 {
		time.Sleep(500 * time.Millisecond)
		now := call.Stats().PacketsReceived
		if now == before {
			return
		}
		before = now
	}
	o.t.Error("a phone that holds is sent audio")
}
