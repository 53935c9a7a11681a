package peers

import (
	"testing"

	"bugle/internal/bugletest"
)

func TestAKeyThatIsStillHeldWhenTheCalleeAnswersIsNotHeardByHim(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	lee := o.phone(o.lee, bugletest.Answering(0, leeTone))
	bob := o.phone(o.bob, bugletest.Behaviour{})
	call, err := bob.Dial(o.ctx, "411")
	must(t, err)
	must(t, call.WaitAnswer(o.ctx))
	must(t, call.Press(o.ctx, "533#"))
	_, err = call.WaitHear(o.ctx, "dir-found")
	must(t, err)
	must(t, call.PressFor(o.ctx, "1", 1500e6))
	must(t, call.Press(o.ctx, "9"))
	must(t, o.next(lee).WaitKeys(o.ctx, "9"))
}
