package sipua

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"bugle/internal/call"
	"bugle/internal/sip"
)

const (
	holdSDP   = offerSDP + "a=sendonly\r\n"
	resumeSDP = offerSDP + "a=sendrecv\r\n"
)

func TestHoldAndResumeByReinvite(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("ann")
	_, k := s.answered(p)
	for _, step := range []struct {
		sdp, direction string
		on             bool
	}{{holdSDP, "a=recvonly", true}, {resumeSDP, "a=sendrecv", false}} {
		p.within("INVITE", nil, step.sdp)
		res := p.confirm("")
		if !strings.Contains(string(res.Body()), step.direction) {
			t.Errorf("answer to %q:\n%s", step.direction, res.Body())
		}
		if e := next[call.Held](k); e.On != step.on {
			t.Errorf("%+v", e)
		}
	}
	p.barrier()
	k.none()
	p.within("INVITE", nil, strings.ReplaceAll(strings.ReplaceAll(offerSDP, "AVP 0 101", "AVP 18"), "a=rtpmap:0 PCMU/8000", "a=rtpmap:18 G729/8000"))
	p.ack(p.expect(488), p.target)
	p.within("INVITE", nil, "") // no offer: the answer is in the ACK
	if res := p.confirm(holdSDP); len(res.Body()) == 0 {
		t.Errorf("no offer in\n%s", res)
	}
	if e := next[call.Held](k); !e.On {
		t.Errorf("%+v", e)
	}
	p.within("BYE", nil, "")
	p.expect(200)
	next[call.Ended](k)
	s.settled()
}

func TestHoldOfTheCalledPartyAndByUpdate(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("bob")
	_, k := s.called(p)
	p.within("INVITE", nil, holdSDP)
	p.confirm("")
	if e := next[call.Held](k); !e.On {
		t.Errorf("%+v", e)
	}
	p.within("UPDATE", nil, resumeSDP)
	res := p.expect(200)
	if !strings.Contains(string(res.Body()), "m=audio") {
		t.Errorf("no answer in\n%s", res)
	}
	if e := next[call.Held](k); e.On {
		t.Errorf("%+v", e)
	}
	p.within("UPDATE", nil, "") // a refresh
	if res := p.expect(200); len(res.Body()) != 0 {
		t.Errorf("an answer to nothing:\n%s", res)
	}
	p.within("BYE", nil, "")
	p.expect(200)
	next[call.Ended](k)
	s.settled()
}

func TestReinvitesAtABadTime(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("ann")
	_, k := s.answered(p)
	p.within("INVITE", nil, offerSDP)
	first := p.expect(200)
	p.within("INVITE", nil, offerSDP) // before the ACK to the first
	res := p.expect(500)
	if res.Header("Retry-After") == "" {
		t.Errorf("%s", res)
	}
	p.ack(res, p.target)
	p.seq--
	p.dialog(first)
	p.request("ACK", p.target, nil, "")
	p.seq++
	p.within("BYE", nil, "")
	p.expect(200)
	next[call.Ended](k)
	s.settled()
}

func TestALostAckToAReinviteEndsTheCall(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("ann")
	_, k := s.answered(p)
	p.within("INVITE", nil, offerSDP)
	p.expect(200)
	s.clock.Advance(70 * time.Second)
	for {
		if m := p.receive(); m.IsRequest() {
			p.respond(m, 200, "", nil, "")
			break
		}
	}
	if e := next[call.Ended](k); e.Cause != call.RecoveryOnTimerExpire {
		t.Errorf("%+v", e)
	}
	s.settled()
}

func TestRequestsOutOfOrderAndOfStrangers(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("ann")
	_, k := s.answered(p)
	tag, seq := p.tag, p.seq
	p.tag = "stranger"
	p.within("BYE", nil, "")
	p.expect(481)
	p.tag, p.seq = tag, 0
	p.within("INFO", nil, "")
	p.expect(500)
	p.seq = seq
	to := p.to
	p.to += "x"
	p.within("BYE", nil, "")
	p.expect(481)
	p.to = to
	p.within("SUBSCRIBE", nil, "")
	p.expect(405)
	p.within("JUMP", nil, "")
	p.expect(501)
	k.none()
	p.within("BYE", nil, "")
	p.expect(200)
	next[call.Ended](k)
}

func TestInfoDigits(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("ann")
	_, k := s.answered(p)
	for _, tt := range []struct {
		kind, body string
		status     int
		key        byte
	}{
		{"application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", 200, '5'},
		{"application/dtmf-relay", "Signal= *\r\nDuration= 160\r\n", 200, '*'},
		{"application/dtmf-relay", "Signal=11\r\n", 200, '#'},
		{"Application/DTMF", "7", 200, '7'},
		{"application/dtmf; charset=utf-8", "d", 200, 'D'},
		{"application/dtmf", "99", 400, 0},
		{"application/dtmf-relay", "Duration=1\r\n", 400, 0},
		{"text/plain", "5", 415, 0},
	} {
		p.within("INFO", []string{"Content-Type: " + tt.kind}, tt.body)
		p.expect(tt.status)
		if tt.key != 0 {
			if e := next[call.Digit](k); e.Key != tt.key {
				t.Errorf("%+v: key %c", tt, e.Key)
			}
		}
	}
	p.within("INFO", nil, "")
	p.expect(200)
	p.within("INFO", []string{"Info-Package: foo", "Content-Type: a/b"}, "x")
	p.expect(469)
	k.none()
}

func TestAKeyByInfoIsHeardBeforeTheHangUpThatFollows(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("ann")
	for range 20 {
		p.fresh()
		_, k := s.answered(p)
		p.within("INFO", []string{"Content-Type: application/dtmf-relay"}, "Signal=5\r\n")
		p.within("BYE", nil, "")
		if e := next[call.Digit](k); e.Key != '5' {
			t.Errorf("key %c", e.Key)
		}
		next[call.Ended](k)
		p.expect(200)
		p.expect(200)
	}
	s.settled()
}

func TestBlindTransfer(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("ann")
	_, k := s.answered(p)
	fragment := func(want string, ended bool) {
		t.Helper()
		m := p.expectRequest(sip.NOTIFY)
		if !strings.HasPrefix(string(m.Body()), want) || m.ContentType() != "message/sipfrag" || !strings.HasPrefix(m.Header("Event"), "refer") ||
			strings.Contains(m.Header("Subscription-State"), "terminated") != ended {
			t.Errorf("NOTIFY, want %s:\n%s", want, m)
		}
		p.respond(m, 200, "", nil, "")
	}
	refer := func(to string) call.Transfer {
		t.Helper()
		p.within("REFER", []string{"Refer-To: " + to}, "")
		p.expect(202)
		fragment("SIP/2.0 100 Trying", false)
		return next[call.Transfer](k)
	}
	first := refer("<sip:1002@acme.test>")
	if first.Target != "1002" {
		t.Errorf("target %q", first.Target)
	}
	p.within("REFER", []string{"Refer-To: <sip:1003@acme.test>"}, "") // one at a time
	p.expect(491)
	first.Progress(180)
	fragment("SIP/2.0 180 Ringing", false)
	first.Progress(200)
	fragment("SIP/2.0 200 OK", true)
	p.barrier()
	first.Progress(486) // nobody is told any more
	second := refer(fmt.Sprintf(`"Bob" <sip:1003@%s;method=INVITE?Subject=x>`, "127.0.0.1"))
	if second.Target != "1003" {
		t.Errorf("target %q", second.Target)
	}
	second.Progress(486)
	fragment("SIP/2.0 486 Busy Here", true)
	third := refer("<sip:who@elsewhere.test>")
	if third.Target != "sip:who@elsewhere.test" {
		t.Errorf("target %q", third.Target)
	}
	third.Progress(603)
	fragment("SIP/2.0 603", true)

	for _, tt := range []struct {
		headers []string
		status  int
	}{{nil, 400}, {[]string{"Refer-To: <sip:1@acme.test>", "Refer-To: <sip:2@acme.test>"}, 400}, {[]string{"Refer-To: <mailto:x@y>"}, 400},
		{[]string{"Refer-To: <sip:1@acme.test;method=BYE>"}, 501}} {
		p.within("REFER", tt.headers, "")
		p.expect(tt.status)
	}
	p.within("REFER", []string{"Refer-To: <tel:1004>", "Refer-Sub: false"}, "")
	p.expect(202)
	if e := next[call.Transfer](k); e.Target != "1004" {
		t.Errorf("%+v", e)
	} else {
		e.Progress(200)
	}
	p.barrier()
	k.none()
}

func TestWeRefreshTheSessionAsUAS(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("ann")
	p.invite("411", []string{"Supported: timer", "Session-Expires: 120;refresher=uas", "Allow: INVITE, ACK, UPDATE"}, offerSDP)
	in, k := s.incoming()
	in.Leg.Answer()
	next[call.Answered](k)
	res := p.confirm("")
	if res.Header("Session-Expires") != "120;refresher=uas" {
		t.Errorf("%s", res)
	}
	p.barrier()
	for range 2 {
		s.clock.Advance(60 * time.Second)
		m := p.expectRequest(sip.UPDATE)
		if m.Header("Session-Expires") != "120;refresher=uac" || len(m.Body()) != 0 {
			t.Errorf("%s", m)
		}
		p.respond(m, 200, "", []string{"Session-Expires: 120;refresher=uac"}, "")
		p.barrier()
	}
	s.clock.Advance(60 * time.Second)
	m := p.expectRequest(sip.UPDATE)
	p.respond(m, 405, "", nil, "") // then with INVITE
	m = p.expectRequest(sip.INVITE)
	p.respond(m, 491, "", nil, "") // glare: later
	p.expectRequest(sip.ACK)
	p.barrier()
	s.clock.Advance(2 * time.Second)
	m = p.expectRequest(sip.INVITE)
	if len(m.Body()) == 0 {
		t.Errorf("%s", m)
	}
	p.within("INVITE", nil, offerSDP) // glare: theirs meets ours
	res = p.expect(491)
	p.ack(res, p.target)
	p.respond(m, 200, "", []string{"Session-Expires: 120;refresher=uac"}, offerSDP)
	p.expectRequest(sip.ACK)
	p.barrier()
	s.clock.Advance(60 * time.Second)
	m = p.expectRequest(sip.INVITE) // the 405 to UPDATE is remembered
	p.respond(m, 481, "", nil, "")
	p.expectRequest(sip.ACK)
	if e := next[call.Ended](k); e.Cause != call.RecoveryOnTimerExpire {
		t.Errorf("%+v", e)
	}
	p.respond(p.expectRequest(sip.BYE), 481, "", nil, "")
	s.settled()
}

func TestAPhoneThatDoesNotRefreshIsEnded(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("ann")
	p.invite("411", []string{"Supported: timer", "Session-Expires: 90"}, offerSDP)
	in, k := s.incoming()
	in.Leg.Answer()
	next[call.Answered](k)
	res := p.confirm("")
	if res.Header("Session-Expires") != "90;refresher=uac" || !res.ListHas("Require", "timer") {
		t.Errorf("%s", res)
	}
	p.barrier()
	s.clock.Advance(50 * time.Second)
	p.within("UPDATE", []string{"Supported: timer", "Session-Expires: 90;refresher=uac"}, "")
	p.expect(200)
	s.clock.Advance(50 * time.Second)
	k.none()
	p.within("UPDATE", []string{"Supported: timer", "Session-Expires: 60"}, "")
	if res := p.expect(422); res.Header("Min-SE") != "90" {
		t.Errorf("%s", res)
	}
	s.clock.Advance(15 * time.Second)
	p.respond(p.expectRequest(sip.BYE), 200, "", nil, "")
	if e := next[call.Ended](k); e.Cause != call.RecoveryOnTimerExpire {
		t.Errorf("%+v", e)
	}
	s.settled()
}

func TestWeRefreshTheSessionAsUAC(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("bob")
	_, k := s.called(p, "Session-Expires: 200;refresher=uac", "Require: timer", "Allow: UPDATE, INVITE")
	p.barrier()
	s.clock.Advance(100 * time.Second)
	m := p.expectRequest(sip.UPDATE)
	p.respond(m, 408, "", nil, "")
	if e := next[call.Ended](k); e.Cause != call.RecoveryOnTimerExpire {
		t.Errorf("%+v", e)
	}
	p.respond(p.expectRequest(sip.BYE), 200, "", nil, "")
	s.settled()
}

func TestACallWithoutRTPEnds(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("ann")
	leg, k := s.answered(p)
	leg.(interface{ OnMediaTimeout() }).OnMediaTimeout()
	p.respond(p.expectRequest(sip.BYE), 200, "", nil, "")
	if e := next[call.Ended](k); e.Cause != call.MediaTimeout || e.Remote {
		t.Errorf("%+v", e)
	}
	s.settled()
}

func TestClosingEndsEveryCall(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p, q := s.peer("ann"), s.peer("bob")
	_, k := s.answered(p)
	s.agent.Originate("out-close", q.at(), k)
	q.expectRequest(sip.INVITE)
	s.agent.Close()
	p.respond(p.expectRequest(sip.BYE), 200, "", nil, "")
	next[call.Ended](k)
	next[call.Ended](k)
	if s.agent.Legs() != 0 {
		t.Error("legs are left")
	}
	s.agent.Originate("out-late", q.at(), k)
	if e := next[call.Ended](k); e.Status != 503 {
		t.Errorf("%+v", e)
	}
}

func TestAPartyThatMovesIsFollowed(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("ann")
	leg, k := s.answered(p)
	q := s.peer("ann") // the same phone behind another port of its NAT
	q.callID, q.tag, q.to, q.target, q.seq = p.callID, p.tag, p.to, p.target, p.seq
	q.within("INVITE", nil, offerSDP)
	q.confirm("")
	q.barrier()
	leg.Hangup(call.NormalClearing)
	bye := q.expectRequest(sip.BYE)
	if bye.RequestURI() != fmt.Sprintf("sip:ann@%s", q.addr) {
		t.Errorf("%s", bye)
	}
	q.respond(bye, 200, "", nil, "")
	next[call.Ended](k)
	s.settled()
}
