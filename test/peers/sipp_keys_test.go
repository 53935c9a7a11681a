package peers

import (
	"os"
	"testing"
	"time"

	"bugle/internal/bugletest"
)

func TestSippDialsTheDirectoryKeysLeeByRFC4733AndTalks(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("sipp sends RFC 4733 from a raw socket, which needs root; baresip's test needs none")
	}
	o := newOffice(t)
	lee := o.phone(o.lee, bugletest.Answering(200*time.Millisecond, leeTone))
	done := o.newSipp(o.bob, "411").start("a phone dials the directory keys lee by rfc 4733 and talks", "-rtp_echo")
	call := o.next(lee)
	o.hears(call, leeTone) // there and back
	call.SayTone(880)
	o.hears(call, 880)
	must(t, call.Hangup(o.ctx))
	<-done
}
