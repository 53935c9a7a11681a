package peers

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"bugle/internal/bugletest"
	"bugle/internal/call"
	"bugle/internal/callflow"
)

// button is the order of most tests: Lee's extension is called, and then Bob's.
func button(id string) callflow.Origination {
	return callflow.Origination{CallID: "c2c-" + id, First: callflow.Destination{Number: "1001",
		Caller: call.Party{Name: "Website", Number: "+14158867900"}, Callee: call.Party{Name: "Sales", Number: "1001"}},
		Second:  callflow.Destination{Number: "1002", Caller: call.Party{Name: "Sales", Number: "1001"}},
		Headers: map[string]string{"X-Page": "pricing"}}
}

func TestTwoPhonesAreConnectedInEitherOrder(t *testing.T) {
	t.Parallel()
	for name, ends := range map[string]int{"the first party hangs up": 0, "the second party hangs up": 1, "it is ended": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newExchange(t)
			lee, bob := x.phone(x.lee, bugletest.Behaviour{}), x.phone(x.bob, bugletest.Behaviour{})
			order := button("1")
			order.AutoAnswer = true
			if ends == 1 { // the other order
				order.First, order.Second = order.Second, order.First
				lee, bob = bob, lee
			}
			c := x.originate(order)
			first := x.next(lee)
			must(t, first.Ring())
			c.wait("first_ringing")
			must(t, first.Answer(x.ctx))
			second := x.next(bob)
			must(t, second.Ring())
			c.wait("second_ringing")
			_, err := first.WaitHear(x.ctx, "tone-ringback")
			must(t, err)
			must(t, second.Answer(x.ctx))
			c.wait("bridged")
			first.SayTone(leeTone)
			second.SayTone(bobTone)
			x.hears(first, bobTone)
			x.hears(second, leeTone)
			must(t, first.Press(x.ctx, "42"))
			must(t, second.WaitKeys(x.ctx, "42"))
			must(t, second.PressBy(x.ctx, bugletest.KeysByInfo, "7#"))
			must(t, first.WaitKeys(x.ctx, "7#"))
			for i, shown := range []struct {
				phone *bugletest.PhoneCall
				want  call.Party
			}{{first, order.First.Caller}, {second, order.Second.Caller}} {
				if name, number := shown.phone.Remote(); name != shown.want.Name || number != shown.want.Number {
					t.Errorf("phone %d shows %q %q, want %+v", i+1, name, number, shown.want)
				}
				if got := shown.phone.Header("X-Page"); got != "pricing" {
					t.Errorf("phone %d is sent X-Page: %s", i+1, got)
				}
				if auto := shown.phone.Header("Call-Info") == "<sip:exchange.example>;answer-after=0"; auto != (i == 0) {
					t.Errorf("phone %d is sent Call-Info: %s", i+1, shown.phone.Header("Call-Info"))
				}
			}
			switch ends {
			case 0:
				must(t, first.Hangup(x.ctx))
				x.ends(second, 200, true)
			case 1:
				must(t, second.Hangup(x.ctx))
				x.ends(first, 200, true)
			default:
				c.Hangup()
				x.ends(first, 200, true)
				x.ends(second, 200, true)
			}
			c.ends("first_ringing", "first_answered", "second_ringing", "bridged", "ended NORMAL_CLEARING")
			for _, id := range []string{"c2c-1", "c2c-1-b"} {
				if r := x.report(id); r.Cause != call.NormalClearing || r.Answered.IsZero() || r.Origin == nil || r.Peer.ID == "" {
					t.Errorf("the record of %s: %+v", id, r)
				}
			}
		})
	}
}

func TestBaresipIsBothParties(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	// One with µ-law over UDP, the other with A-law over TCP.
	lee, bob := x.newBaresip(x.lee, leeTone), x.newBaresipBy(x.bob, bobTone, "PCMA", "tcp")
	c := x.originate(button("baresip"))
	if event := lee.wait("CALL_INCOMING"); event.Peer == "" {
		t.Errorf("%+v", event)
	}
	lee.do("accept", "")
	lee.wait("CALL_ESTABLISHED")
	bob.wait("CALL_INCOMING")
	bob.do("accept", "")
	bob.wait("CALL_ESTABLISHED")
	c.wait("bridged")
	lee.hears(bobTone)
	bob.hears(leeTone)
	lee.press("5")
	if key := bob.wait("CALL_DTMF_START"); key.Param != "5" {
		t.Errorf("Bob's phone hears key %q", key.Param)
	}
	bob.do("hold", "")
	lee.hears(holdTone)
	bob.do("resume", "")
	lee.do("hangup", "")
	bob.wait("CALL_CLOSED")
	c.ends("first_ringing", "first_answered", "second_ringing", "bridged", "ended NORMAL_CLEARING")
}

func TestBaresipDeclinesAsEitherParty(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	lee, bob := x.newBaresip(x.lee, leeTone), x.phone(x.bob, bugletest.Answering(0, bobTone))
	c := x.originate(button("first"))
	lee.wait("CALL_INCOMING")
	lee.do("hangup", "")
	lee.wait("CALL_CLOSED")
	c.wait("ended")
	if cause := x.report("c2c-first").Cause; cause != call.UserBusy && cause != call.CallRejected {
		t.Errorf("a declined call is said to be %s", cause)
	}
	order := button("second")
	order.First, order.Second = order.Second, order.First
	c = x.originate(order)
	first := x.next(bob)
	lee.wait("CALL_INCOMING")
	lee.do("hangup", "")
	lee.wait("CALL_CLOSED")
	c.wait("ended")
	_, err := first.WaitHear(x.ctx, "tone-busy")
	must(t, err)
	x.ends(first, 200, true)
}

func TestSippIsEitherParty(t *testing.T) {
	t.Parallel()
	for name, second := range map[string]bool{"first": false, "second": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newExchange(t)
			bob := x.phone(x.bob, bugletest.Answering(0, bobTone))
			s := x.newSipp(x.lee, "nobody")
			s.play("a phone registers")
			done := s.start("a called phone answers and echoes until the caller hangs up", "-rtp_echo")
			order := button("sipp")
			if second {
				order.First, order.Second = order.Second, order.First
			}
			c := x.originate(order)
			phone := x.next(bob)
			c.wait("bridged")
			x.hears(phone, bobTone) // there and back
			must(t, phone.Hangup(x.ctx))
			<-done
			c.wait("ended NORMAL_CLEARING")
		})
	}
}

func TestSippIsBusyAndHangsUpAndRings(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	bob := x.phone(x.bob, bugletest.Answering(0, bobTone))
	s := x.newSipp(x.lee, "nobody")
	s.play("a phone registers")

	done := s.start("a called phone is busy")
	x.originate(button("busy")).ends("ended USER_BUSY")
	<-done

	done = s.start("a called phone answers and hangs up", "-rtp_echo")
	c := x.originate(button("bye"))
	phone := x.next(bob)
	x.ends(phone, 200, true)
	c.wait("ended")
	<-done

	done = s.start("a called phone rings until the caller gives up")
	c = x.originate(button("rings"))
	c.wait("first_ringing")
	c.Hangup()
	c.ends("first_ringing", "ended ORIGINATOR_CANCEL")
	<-done
}

// TestHangUpInEachState has either phone, or the one who has the call made, end it while it rings and while a tone plays.
func TestHangUpInEachState(t *testing.T) {
	t.Parallel()
	t.Run("the first party while the second rings", func(t *testing.T) {
		t.Parallel()
		x := newExchange(t)
		lee, bob := x.phone(x.lee, bugletest.Answering(0, leeTone)), x.phone(x.bob, bugletest.NeverAnswering())
		c := x.originate(button("1"))
		first, second := x.next(lee), x.next(bob)
		c.wait("second_ringing")
		must(t, first.Hangup(x.ctx))
		x.ends(second, 487, true)
		c.ends("first_ringing", "first_answered", "second_ringing", "ended ORIGINATOR_CANCEL")
	})
	t.Run("it is ended while the second rings", func(t *testing.T) {
		t.Parallel()
		x := newExchange(t)
		lee, bob := x.phone(x.lee, bugletest.Answering(0, leeTone)), x.phone(x.bob, bugletest.NeverAnswering())
		c := x.originate(button("1"))
		first, second := x.next(lee), x.next(bob)
		c.wait("second_ringing")
		c.Hangup()
		x.ends(second, 487, true)
		x.ends(first, 200, true)
		c.ends("first_ringing", "first_answered", "second_ringing", "ended ORIGINATOR_CANCEL")
	})
	t.Run("the second rejects and the first hears why", func(t *testing.T) {
		t.Parallel()
		x := newExchange(t)
		lee := x.phone(x.lee, bugletest.Answering(0, leeTone))
		x.phone(x.bob, bugletest.Rejecting())
		c := x.originate(button("1"))
		first := x.next(lee)
		c.wait("ended")
		_, err := first.WaitHear(x.ctx, "tone-busy")
		must(t, err)
		began := time.Now()
		x.ends(first, 200, true)
		if d := time.Since(began); d > 3*time.Second {
			t.Errorf("the busy tone goes on for %s", d)
		}
		c.ends("first_ringing", "first_answered", "ended CALL_REJECTED")
	})
	t.Run("the first hangs up on the busy tone", func(t *testing.T) {
		t.Parallel()
		x := newExchange(t)
		lee := x.phone(x.lee, bugletest.Answering(0, leeTone))
		x.phone(x.bob, bugletest.Busy())
		c := x.originate(button("1"))
		first := x.next(lee)
		c.wait("ended")
		must(t, first.Hangup(x.ctx))
		x.ends(first, 200, false)
		c.ends("first_ringing", "first_answered", "ended USER_BUSY")
	})
	t.Run("nobody has the second number", func(t *testing.T) {
		t.Parallel()
		x := newExchange(t)
		x.phone(x.lee, bugletest.Answering(0, leeTone))
		order := button("1")
		order.Second.Number = "7777"
		x.originate(order).ends("first_ringing", "first_answered", "ended UNALLOCATED_NUMBER")
	})
	t.Run("an address that is not allowed", func(t *testing.T) {
		t.Parallel()
		x := newExchange(t)
		order := button("1")
		order.First = callflow.Destination{URI: "sip:admin@10.0.0.1"}
		x.originate(order).ends("ended CALL_REJECTED")
		order.CallID, order.First = "c2c-2", callflow.Destination{URI: "tel:+15"}
		x.originate(order).ends("ended INVALID_NUMBER_FORMAT")
	})
}

// TestAnswerThatComesTooLate lets phones answer at about the moment at which they are given up: whoever wins, nobody is
// left in a call.
func TestAnswerThatComesTooLate(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	lee, bob := x.phone(x.lee, bugletest.Answering(time.Second, leeTone)), x.phone(x.bob, bugletest.Answering(time.Second, bobTone))
	var all []*connect
	for i := range 20 {
		order := button(fmt.Sprint(i))
		order.Timeout = time.Second + time.Duration(i-3)*20*time.Millisecond
		all = append(all, x.originate(order))
	}
	go func() {
		for range all {
			select {
			case call := <-bob.Incoming():
				_, _ = call.WaitTone(x.ctx, leeTone)
				_ = call.Hangup(x.ctx)
			case <-x.ctx.Done():
				return
			}
		}
	}()
	for range all {
		x.next(lee)
	}
	causes := map[call.Cause]int{}
	for _, c := range all {
		c.wait("ended")
		causes[x.report(c.id).Cause]++
	}
	t.Log(causes)
	for cause := range causes {
		if cause != call.NoAnswer && cause != call.NormalClearing {
			t.Errorf("a call ended with %s", cause)
		}
	}
	for x.calls.Count() > 0 { // the busy tones of those whose second party was late
		select {
		case <-time.After(20 * time.Millisecond):
		case <-x.ctx.Done():
			t.Fatalf("%d calls are left", x.calls.Count())
		}
	}
}

// TestADirectoryIsCalledForSomebody calls the directory first: who is called then hears it from its begin, and keys Lee.
func TestADirectoryIsCalledForSomebody(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	lee := x.phone(x.lee, bugletest.Answering(0, leeTone))
	bob := x.newBaresip(x.bob, bobTone)
	order := button("directory")
	order.First.Number = "411"
	c := x.originate(order)
	bob.wait("CALL_INCOMING")
	time.Sleep(time.Second) // it would have begun to speak
	bob.do("accept", "")
	bob.hears("dir-enter_person_name")
	bob.press("533#")
	bob.hears("dir-found")
	bob.press("1")
	call := x.next(lee)
	x.hears(call, bobTone)
	bob.hears(leeTone)
	bob.do("hangup", "")
	x.ends(call, 200, true)
	c.ends("first_answered", "second_ringing", "bridged", "ended NORMAL_CLEARING")
}

func TestFiftyConnectsAtOnce(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	lee, bob := x.phone(x.lee, bugletest.Answering(100*time.Millisecond, leeTone)), x.phone(x.bob, bugletest.Answering(100*time.Millisecond, bobTone))
	var all []*connect
	for i := range 50 {
		all = append(all, x.originate(button(fmt.Sprint(i))))
	}
	var phones []*bugletest.PhoneCall
	for range all {
		phones = append(phones, x.next(lee))
	}
	var hearing sync.WaitGroup
	for range all {
		call := x.next(bob)
		hearing.Go(func() {
			if _, err := call.WaitTone(x.ctx, leeTone); err != nil {
				t.Errorf("a second party does not hear the first: %v", err)
			}
		})
	}
	for _, call := range phones {
		x.hears(call, bobTone)
	}
	hearing.Wait()
	for _, c := range all {
		c.wait("bridged")
		c.Hangup()
	}
	for _, c := range all {
		c.ends("first_ringing", "first_answered", "second_ringing", "bridged", "ended NORMAL_CLEARING")
	}
}

// TestNothingIsWrittenIntoAnInvite gives names, numbers and headers that try to.
func TestNothingIsWrittenIntoAnInvite(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	lee := x.phone(x.lee, bugletest.Behaviour{})
	order := button("1")
	order.First.Caller = call.Party{Name: "Eve\"\r\nX-Evil: name\r\n", Number: "1\r\nX-Evil: number"}
	order.First.Callee = call.Party{Name: "Lee\r\nX-Evil: callee"}
	order.Headers = map[string]string{"X-Good": "a\r\nX-Evil: value", "X-Bad\r\nX-Evil": "name", "X Bad": "1", "Via": "SIP/2.0/UDP evil",
		"Privacy": "id", "From": "<sip:evil@example.com>", "CONTACT": "<sip:evil@example.com>", "Content-Length": "5"}
	c := x.originate(order)
	phone := x.next(lee)
	if got := phone.Header("X-Evil"); got != "" {
		t.Errorf("X-Evil: %s", got)
	}
	if got := phone.Header("X-Good"); got != "a  X-Evil: value" {
		t.Errorf("X-Good: %s", got)
	}
	for _, name := range []string{"Via", "Contact", "From"} {
		if strings.Contains(phone.Header(name), "evil@") || strings.Contains(phone.Header(name), "UDP evil") {
			t.Errorf("%s: %s", name, phone.Header(name))
		}
	}
	if got := phone.Header("Privacy"); got != "" {
		t.Errorf("Privacy: %s", got)
	}
	if name, number := phone.Remote(); !strings.HasPrefix(name, `Eve"`) || !strings.HasPrefix(number, "1") {
		t.Errorf("the phone shows %q %q", name, number)
	}
	c.Hangup()
	x.ends(phone, 487, true)
}
