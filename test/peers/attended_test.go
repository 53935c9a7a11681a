package peers

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"bugle/internal/bugletest"
)

const cleoTone = 550

// dialogs are the Replaces values of the calls that this baresip has made, in order: it has no command for an attended
// transfer, but sends whatever Refer-To it is given.
func (b *baresip) dialogs() (values []string) {
	accepted := regexp.MustCompile(`(?s)SIP/2\.0 200 OK\r?\n(.*?)\r?\n\r?\n`)
	field := func(headers, expression string) string {
		if m := regexp.MustCompile(expression).FindStringSubmatch(headers); m != nil {
			return m[1]
		}
		b.o.t.Fatalf("no %s in\n%s", expression, headers)
		return ""
	}
	seen := map[string]bool{}
	for _, m := range accepted.FindAllStringSubmatch(b.out.String(), -1) {
		if headers := m[1]; regexp.MustCompile(`CSeq: \d+ INVITE`).MatchString(headers) {
			value := field(headers, `Call-ID: (\S+)`) + ";to-tag=" + field(headers, `To: .*;tag=([^;\s]+)`) + ";from-tag=" +
				field(headers, `From: .*;tag=([^;\s]+)`)
			if !seen[value] {
				values = append(values, value)
			}
			seen[value] = true
		}
	}
	return values
}

// TestBaresipTalksToCleoFirstAndPutsLeeThrough: Bob holds Lee, calls Cleo, and connects the two.
func TestBaresipTalksToCleoFirstAndPutsLeeThrough(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.musical()
	lee := o.phone(o.lee, bugletest.Answering(0, leeTone))
	cleo := o.phone(o.cleo, bugletest.Answering(200*time.Millisecond, cleoTone))
	bob := o.newBaresip(o.bob, bobTone)
	bob.do("dial", "1001")
	bob.wait("CALL_ESTABLISHED")
	held := o.next(lee)
	o.hears(held, bobTone)
	bob.do("hold", "")
	o.hears(held, accountMusic)
	bob.do("dial", "1003")
	bob.wait("CALL_ESTABLISHED")
	asked := o.next(cleo)
	o.hears(asked, bobTone)
	bob.do("transfer", "sip:1001@"+o.realm+"?Replaces="+url.QueryEscape(bob.dialogs()[0])) // without <>, as baresip users type it
	o.hears(held, cleoTone)
	o.hears(asked, leeTone)
	bob.wait("CALL_CLOSED")
	bob.wait("CALL_CLOSED")
	must(t, held.WaitToneOver(o.ctx, accountMusic))
	must(t, held.Hangup(o.ctx))
	o.ends(asked, 200, true)
}

func TestBaresipPutsLeeThroughToACallThatThereIsNot(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	lee := o.phone(o.lee, bugletest.Answering(0, leeTone))
	bob := o.newBaresip(o.bob, bobTone)
	bob.do("dial", "1001")
	bob.wait("CALL_ESTABLISHED")
	call := o.next(lee)
	o.hears(call, bobTone)
	bob.do("transfer", "<sip:1003@"+o.realm+"?Replaces="+url.QueryEscape("gone;to-tag=a;from-tag=b")+">")
	if failed := bob.wait("TRANSFER_FAILED"); !strings.HasPrefix(failed.Param, "481") {
		t.Errorf("baresip was told %q", failed.Param)
	}
	o.ends(call, 200, true) // which is what baresip does then
}
