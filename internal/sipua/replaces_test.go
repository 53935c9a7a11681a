package sipua

import (
	"fmt"
	"strings"
	"testing"

	"bugle/internal/call"
	"bugle/internal/sip"
)

// replaces is the value that names this peer's dialog.
func (p *peer) replaces() string {
	_, tag, _ := strings.Cut(p.to, ";tag=")
	return fmt.Sprintf("%s;to-tag=%s;from-tag=%s", p.callID, tag, p.tag)
}

// escaped is a header value as a URI carries it.
func escaped(value string) string {
	return strings.NewReplacer("@", "%40", ";", "%3B", "=", "%3D").Replace(value)
}

func TestReferWithReplaces(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p, other, rival := s.peer("ann"), s.peer("ann"), s.peer("zoe")
	rival.realm = "rival.test"
	_, k := s.answered(p)
	leg, otherSink := s.answered(other)
	_, _ = s.answered(rival)
	wrong := *other
	wrong.tag = "x"
	uri := func(replaces string) string {
		return "<sip:" + s.udp.String() + "?Subject=x&replaces=" + replaces + ">"
	}
	bare := func(replaces string) string { return "sip:1001@acme.test?replaces=" + replaces } // RFC 3261 §20 wants it in <>
	for _, tt := range []struct {
		replaces string
		found    bool
	}{{other.replaces(), true}, {strings.Replace(other.replaces(), ";to-tag", ";early-only;to-tag", 1), true},
		{rival.replaces(), false}, {wrong.replaces(), false}, {"nothing@nowhere;to-tag=a;from-tag=b", false}, {"nothing", false}} {
		for _, to := range []string{uri(escaped(tt.replaces)), bare(escaped(tt.replaces)), bare(tt.replaces)} {
			p.within("REFER", []string{"Refer-To: " + to}, "")
			p.expect(202)
			p.respond(p.expectRequest(sip.NOTIFY), 200, "", nil, "")
			e := next[call.Transfer](k)
			want := call.Dialog{}
			if tt.found {
				want = call.Dialog{Leg: leg, Call: otherSink}
			}
			if e.Attended == nil || *e.Attended != want {
				t.Errorf("%s: %+v", to, e.Attended)
			}
			e.Progress(481)
			m := p.expectRequest(sip.NOTIFY)
			if !strings.HasPrefix(string(m.Body()), "SIP/2.0 481 ") || !strings.Contains(m.Header("Subscription-State"), "terminated") {
				t.Errorf("%s", m)
			}
			p.respond(m, 200, "", nil, "")
			p.barrier()
		}
	}
}

// TestThePhoneIsToldOfItsTransferBeforeTheBye: the last NOTIFY waits for the answer to the one before, and BYE for it.
func TestThePhoneIsToldOfItsTransferBeforeTheBye(t *testing.T) {
	t.Parallel()
	for _, answer := range []int{200, 489} {
		s := startServer(t, nil)
		p, other := s.peer("ann"), s.peer("ann")
		leg, k := s.answered(p)
		_, _ = s.answered(other)
		p.within("REFER", []string{"Refer-To: <sip:x@acme.test?Replaces=" + escaped(other.replaces()) + ">"}, "")
		p.expect(202)
		trying := p.expectRequest(sip.NOTIFY)
		next[call.Transfer](k).Progress(200)
		leg.Hangup(call.NormalClearing)
		next[call.Ended](k)
		p.respond(trying, answer, "", nil, "")
		if answer == 200 {
			m := p.expectRequest(sip.NOTIFY)
			if !strings.HasPrefix(string(m.Body()), "SIP/2.0 200 ") {
				t.Errorf("%s", m)
			}
			p.respond(m, 200, "", nil, "")
		}
		p.respond(p.expectRequest(sip.BYE), 200, "", nil, "")
	}
}

// taker is a sink whose legs can be replaced.
type taker struct {
	*sink
	asked chan asked
}

type asked struct {
	old, by call.Leg
	as      call.Target
	done    func(status int)
}

func (k taker) Replace(old, by call.Leg, as call.Target, done func(status int)) {
	k.asked <- asked{old, by, as, done}
}

func TestInviteWithReplaces(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p, rival, n := s.peer("bob"), s.peer("zoe"), s.peer("ann")
	rival.realm = "rival.test"
	leg, _ := s.called(p)
	strange, _ := s.answered(rival)
	k := taker{newSink(t), make(chan asked, 1)}
	leg.Attach(k)
	strange.Attach(k)
	k.none()

	for _, tt := range []struct {
		headers []string
		status  int
	}{
		{[]string{"Replaces: " + rival.replaces()}, 481},
		{[]string{"Replaces: gone;to-tag=a;from-tag=b"}, 481},
		{[]string{"Replaces: " + strings.Split(p.replaces(), ";from-tag")[0]}, 400},
		{[]string{"Replaces: " + p.replaces() + ";early-only"}, 486},
	} {
		n.fresh()
		n.invite("x", append([]string{"Require: replaces"}, tt.headers...), offerSDP)
		n.ack(n.expect(tt.status), n.target)
	}

	n.fresh()
	n.invite("x", []string{"Replaces: " + p.replaces()}, offerSDP)
	a := <-k.asked
	if a.old != leg || a.as.DeviceID != "ann" || a.as.AccountID != "acme" {
		t.Errorf("asked %+v", a)
	}
	a.done(603)
	n.ack(n.expect(603), n.target)

	n.fresh()
	n.invite("x", []string{"Replaces: " + p.replaces()}, offerSDP)
	a = <-k.asked
	a.by.Attach(k)
	a.by.Answer()
	a.done(200)
	n.confirm("")
	next[call.Answered](k.sink)
	a.old.Hangup(call.NormalClearing)
	next[call.Ended](k.sink)
	p.respond(p.expectRequest(sip.BYE), 200, "", nil, "")
	n.within("BYE", nil, "")
	n.expect(200)
	next[call.Ended](k.sink)
	select {
	case in := <-s.calls:
		if in.CallID != rival.callID {
			t.Errorf("the call layer was given %+v", in)
		}
	default:
	}
}

// TestALegTellsItsNextCallWhatLasts: that it is held, or over.
func TestALegTellsItsNextCallWhatLasts(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("ann")
	leg, k := s.answered(p)
	p.within("INVITE", nil, holdSDP)
	p.confirm("")
	next[call.Held](k)
	second := newSink(t)
	leg.Attach(second)
	if e := next[call.Held](second); !e.On {
		t.Errorf("%+v", e)
	}
	p.within("BYE", nil, "")
	p.expect(200)
	next[call.Ended](second)
	third := newSink(t)
	leg.Attach(third)
	if e := next[call.Ended](third); !e.Remote {
		t.Errorf("%+v", e)
	}
	k.none()
}
