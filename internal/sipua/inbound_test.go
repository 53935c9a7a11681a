package sipua

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"bugle"
	"bugle/internal/call"
	"bugle/internal/sip"
)

// answered brings an inbound call up and returns both ends of it.
func (s *server) answered(p *peer, headers ...string) (call.Leg, *sink) {
	s.t.Helper()
	p.invite("411", headers, offerSDP)
	in, k := s.incoming()
	in.Leg.Answer()
	next[call.Answered](k)
	p.confirm("")
	p.barrier()
	return in.Leg, k
}

// barrier returns when the server has done with all that this peer has sent in the dialog.
func (p *peer) barrier() {
	p.t.Helper()
	p.within("OPTIONS", nil, "")
	p.expect(200)
}

func TestAnInboundCallRingsIsAnsweredAndEnds(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("ann")
	p.invite("%2A411", []string{"Record-Route: <sip:127.0.0.1:9;lr>", "Subject: x"}, offerSDP)
	in, k := s.incoming()
	if in.Account.ID != "acme" || in.Device.ID != "ann" || in.Dialed != "*411" || in.Realm != "acme.test" || in.CallID != p.callID ||
		in.Caller.Number != "ann" || in.Source != p.addr || in.Leg.ID() != p.callID {
		t.Errorf("incoming %+v", in)
	}
	in.Leg.Ring()
	in.Leg.Ring()
	ringing := p.expect(180)
	in.Leg.Progress()
	early := p.expect(183)
	in.Leg.Answer()
	next[call.Answered](k)
	res := p.confirm("")
	if ringing.ToTag() == "" || ringing.ToTag() != early.ToTag() || early.ToTag() != res.ToTag() {
		t.Error("the tags differ")
	}
	if len(ringing.Body()) != 0 || len(early.Body()) == 0 || string(early.Body()) != string(res.Body()) {
		t.Error("descriptions are not where they belong")
	}
	if res.Header("Record-Route") == "" || !strings.Contains(res.Header("Contact"), s.udp.String()) || !res.ListHas("Allow", "PRACK") {
		t.Errorf("200:\n%s", res)
	}
	in.Leg.Hangup(call.NormalClearing)
	bye := p.expectRequest(sip.BYE)
	if bye.Header("Route") != "<sip:127.0.0.1:9;lr>" || !strings.Contains(bye.Header("Reason"), "Q.850;cause=16") ||
		bye.FromTag() != res.ToTag() || bye.ToTag() != p.tag || bye.RequestURI() != fmt.Sprintf("sip:ann@%s", p.addr) {
		t.Errorf("BYE:\n%s", bye)
	}
	p.respond(bye, 200, "", nil, "")
	if e := next[call.Ended](k); e.Cause != call.NormalClearing || e.Remote {
		t.Errorf("%+v", e)
	}
	s.settled()
	k.none()
}

func TestTheCallerHangsUp(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("ann")
	leg, k := s.answered(p)
	p.within("BYE", []string{"Reason: Q.850;cause=17"}, "")
	p.expect(200)
	if e := next[call.Ended](k); e.Cause != call.UserBusy || !e.Remote || e.Status != 0 {
		t.Errorf("%+v", e)
	}
	p.within("BYE", nil, "")
	p.expect(481)
	leg.Hangup(call.NormalClearing) // does nothing now
	leg.Answer()
	leg.Ring()
	s.settled()
	k.none()
}

func TestCancelIs487(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("ann")
	p.invite("411", nil, offerSDP)
	in, k := s.incoming()
	in.Leg.Ring()
	p.expect(180)
	p.request("CANCEL", p.target, nil, "")
	p.expect(200)
	res := p.expect(487)
	p.ack(res, p.target)
	if e := next[call.Ended](k); e.Cause != call.OriginatorCancel || !e.Remote {
		t.Errorf("%+v", e)
	}
	in.Leg.Answer()
	s.settled()
	k.none()
}

func TestUnansweredCallsEndWithTheStatusOfTheirCause(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	for cause, status := range map[call.Cause]int{call.UserBusy: 486, call.NoAnswer: 480, call.CallRejected: 603,
		call.NoUserResponse: 408, call.CircuitCongestion: 503, call.UnallocatedNumber: 404, call.InvalidNumberFormat: 484,
		call.NormalClearing: 480} {
		p := s.peer("ann")
		p.invite("411", nil, offerSDP)
		in, k := s.incoming()
		in.Leg.Hangup(cause)
		res := p.expect(status)
		p.ack(res, p.target)
		if !strings.Contains(res.Header("Reason"), fmt.Sprintf("cause=%d;", cause.Q850())) {
			t.Errorf("%s: Reason %q", cause, res.Header("Reason"))
		}
		if e := next[call.Ended](k); e.Cause != cause || e.Remote {
			t.Errorf("%+v", e)
		}
	}
	p := s.peer("ann")
	p.invite("411", nil, offerSDP)
	in, _ := s.incoming()
	in.Leg.(call.Rejecter).Reject(470, "No Thanks")
	if res := p.expect(470); res.Reason() != "No Thanks" {
		t.Errorf("%s", res)
	} else {
		p.ack(res, p.target)
	}
	s.settled()
}

func TestOffersThatCannotBeTaken(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	for _, tt := range []struct {
		name, body string
		headers    []string
		status     int
	}{
		{"no common codec", strings.ReplaceAll(strings.ReplaceAll(offerSDP, "RTP/AVP 0 101", "RTP/AVP 18"), "a=rtpmap:0 PCMU/8000", "a=rtpmap:18 G729/8000"), nil, 488},
		{"no session description", "hello", nil, 400},
		{"another type", offerSDP, []string{"Content-Type: application/xml"}, 415},
		{"packed", offerSDP, []string{"Content-Encoding: gzip"}, 415},
		{"an answer nobody wants", offerSDP, []string{"Accept: text/nobodyKnowsThis, application/xml;q=1"}, 406},
		{"session interval", offerSDP, []string{"Supported: timer", "Session-Expires: 60"}, 422},
		{"contact", offerSDP, []string{"Contact: <tel:1>"}, 400},
	} {
		p := s.peer("ann")
		p.invite("411", tt.headers, tt.body)
		res := p.expect(tt.status)
		p.ack(res, p.target)
		if tt.status == 422 && res.Header("Min-SE") != "90" {
			t.Errorf("%s:\n%s", tt.name, res)
		}
	}
	select {
	case in := <-s.calls:
		t.Errorf("a call reached the call layer: %+v", in)
	default:
	}
	s.settled()
}

func TestAnAcceptThatLeavesRoomForTheAnswer(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	for _, accept := range []string{"", "text/plain, Application/SDP;q=0.1", "application/*", "*/*"} {
		p := s.peer("ann")
		p.invite("411", []string{"Accept: " + accept}, offerSDP)
		in, _ := s.incoming()
		in.Leg.Hangup(call.UserBusy)
		p.ack(p.expect(486), p.target)
	}
	s.settled()
}

func TestNoInviteWithoutADeviceReachesTheCallLayer(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("ann")
	p.request("INVITE", "sip:411@acme.test", nil, offerSDP)
	res := p.expect(401)
	p.ack(res, "sip:411@acme.test")
	p.request("INVITE", "sip:411@acme.test", []string{authorization(t, res, "INVITE", "sip:411@acme.test", "ann", "wrong", 1)}, offerSDP)
	p.ack(p.expect(401), "sip:411@acme.test")
	select {
	case in := <-s.calls:
		t.Errorf("it did: %+v", in)
	default:
	}
	if s.agent.Legs() != 0 {
		t.Error("a leg was made")
	}
}

func TestADeviceIsKnownByItsAddress(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	s.devices.mu.Lock()
	s.devices.devices = append(s.devices.devices, testDevice{"rival", bugle.Device{ID: "gateway", Enabled: true,
		SIP: bugle.DeviceSIP{Method: "ip", IP: "127.0.0.1", Username: "gateway"}}, ""})
	s.devices.mu.Unlock()
	p := s.peer("whoever")
	p.realm = "elsewhere.test"
	p.request("INVITE", "sip:100@elsewhere.test", nil, offerSDP)
	in, _ := s.incoming()
	if in.Account.ID != "rival" || in.Device.ID != "gateway" || in.Realm != "rival.test" {
		t.Errorf("%+v", in)
	}
	in.Leg.Hangup(call.UserBusy)
	p.ack(p.expect(486), "sip:100@elsewhere.test")
	p.request("REGISTER", "sip:rival.test", nil, "") // the address makes calls, but takes nobody's place
	p.expect(401)
}

// TestADeviceKnownByItsAddressHasNoPassword: one that is left over from its time with sip.method "password" opens nothing.
func TestADeviceKnownByItsAddressHasNoPassword(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	s.devices.mu.Lock()
	s.devices.devices = append(s.devices.devices, testDevice{"acme", bugle.Device{ID: "gateway", Enabled: true,
		SIP: bugle.DeviceSIP{Method: "ip", IP: "192.0.2.7", Username: "gateway"}}, "secret"})
	s.devices.mu.Unlock()
	p := s.peer("gateway")
	p.request("INVITE", "sip:100@acme.test", nil, offerSDP)
	res := p.expect(401)
	p.ack(res, "sip:100@acme.test")
	p.request("INVITE", "sip:100@acme.test", []string{authorization(t, res, "INVITE", "sip:100@acme.test", "gateway", "secret", 1)}, offerSDP)
	p.ack(p.expect(401), "sip:100@acme.test")
	p.register(401)
}

func TestALostAckEndsTheCallWithBye(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("ann")
	p.invite("411", nil, offerSDP)
	in, k := s.incoming()
	in.Leg.Answer()
	next[call.Answered](k)
	first := p.expect(200)
	for range 4 { // 0.5, 1, 2, 4 s: the answer is repeated
		s.clock.Advance(4 * time.Second)
		if again := p.expect(200); again.String() != first.String() {
			t.Fatalf("repeated as\n%s", again)
		}
		for drained := false; !drained; { // several may have become due at once
			p.conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			_, _, err := p.conn.ReadFromUDPAddrPort(make([]byte, 65536))
			drained = err != nil
		}
	}
	s.clock.Advance(32 * time.Second)
	for {
		m := p.receive()
		if m.IsRequest() {
			if m.Method() != sip.BYE {
				t.Fatalf("%s", m)
			}
			p.respond(m, 200, "", nil, "")
			break
		}
	}
	if e := next[call.Ended](k); e.Cause != call.RecoveryOnTimerExpire {
		t.Errorf("%+v", e)
	}
	s.settled()
}

func TestNoByeBeforeTheAck(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("ann")
	p.invite("411", nil, offerSDP)
	in, k := s.incoming()
	in.Leg.Answer()
	in.Leg.Hangup(call.NormalClearing)
	next[call.Answered](k)
	next[call.Ended](k)
	res := p.expect(200)
	p.dialog(res)
	p.barrier() // a BYE would come before the answer to this
	p.seq--     // of the INVITE
	p.request("ACK", p.target, nil, "")
	p.respond(p.expectRequest(sip.BYE), 200, "", nil, "")
	s.settled()
}

func TestAnInviteWithoutAnOffer(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("ann")
	p.invite("411", nil, "")
	in, k := s.incoming()
	in.Leg.Progress() // nothing can be heard yet, and nothing is sent
	in.Leg.Answer()
	res := p.expect(200)
	if len(res.Body()) == 0 {
		t.Fatalf("no offer in\n%s", res)
	}
	k.none()
	p.dialog(res)
	p.request("ACK", p.target, nil, offerSDP)
	next[call.Answered](k)
	in.Leg.Hangup(call.NormalClearing)
	p.respond(p.expectRequest(sip.BYE), 200, "", nil, "")
	s.settled()
}

func TestReliableProvisionals(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("ann")
	p.invite("411", []string{"Require: 100rel"}, offerSDP)
	in, k := s.incoming()
	in.Leg.Ring()
	in.Leg.Progress() // waits for the first PRACK
	res := p.expect(180)
	if !res.ListHas("Require", "100rel") || res.Header("RSeq") == "" {
		t.Fatalf("not reliable:\n%s", res)
	}
	s.clock.Advance(500 * time.Millisecond)
	if again := p.expect(180); again.String() != res.String() {
		t.Errorf("repeated as\n%s", again)
	}
	p.dialog(res)
	invite := p.seq
	rack := func(res *sip.Message) []string {
		return []string{fmt.Sprintf("RAck: %s %d INVITE", res.Header("RSeq"), invite)}
	}
	p.within("PRACK", []string{"RAck: 99 99 INVITE"}, "")
	p.expect(481)
	p.within("PRACK", rack(res), "")
	var early *sip.Message
	for range 2 { // the 200 to PRACK and the 183, in either order on the wire
		if m := p.receive(); m.StatusCode() == 183 {
			early = m
		} else if m.StatusCode() != 200 {
			t.Fatalf("%s", m)
		}
	}
	in.Leg.Answer() // waits for the PRACK, since the 183 carries the answer
	k.none()
	p.within("PRACK", rack(early), "")
	for range 2 {
		m := p.receive()
		if _, method := m.CSeq(); m.StatusCode() != 200 {
			t.Fatalf("%s", m)
		} else if method == sip.INVITE {
			if len(m.Body()) != 0 {
				t.Errorf("the answer is given twice:\n%s", m)
			}
			seq := p.seq
			p.seq = invite
			p.request("ACK", p.target, nil, "")
			p.seq = seq
		}
	}
	next[call.Answered](k)
	p.barrier()
	p.within("BYE", nil, "")
	p.expect(200)
	next[call.Ended](k)
	s.settled()
}

func TestAMissingPrackEndsTheCall(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("ann")
	p.invite("411", []string{"Supported: 100rel"}, offerSDP)
	in, k := s.incoming()
	in.Leg.Progress()
	p.expect(183)
	s.clock.Advance(70 * time.Second)
	for {
		if m := p.receive(); m.StatusCode() == 504 {
			p.ack(m, p.target)
			break
		} else if m.StatusCode() != 183 {
			t.Fatalf("%s", m)
		}
	}
	next[call.Ended](k)
	s.settled()
}

func TestTheCallLimitAndDraining(t *testing.T) {
	t.Parallel()
	s := startServer(t, func(o *Options) { o.MaxCalls = 1 })
	p, q := s.peer("ann"), s.peer("bob")
	_, k := s.answered(p)
	q.request("INVITE", "sip:411@acme.test", nil, offerSDP)
	res := q.expect(503)
	if res.Header("Retry-After") == "" {
		t.Errorf("%s", res)
	}
	q.ack(res, "sip:411@acme.test")
	drained := s.agent.Drain()
	q.request("OPTIONS", "sip:acme.test", nil, "")
	q.expect(503)
	select {
	case <-drained:
		t.Error("drained with a live call")
	default:
	}
	p.barrier() // the live call goes on
	p.within("BYE", nil, "")
	p.expect(200)
	next[call.Ended](k)
	select {
	case <-drained:
	case <-time.After(patience):
		t.Error("not drained")
	}
	q.fresh()
	q.request("INVITE", "sip:411@acme.test", nil, offerSDP)
	q.ack(q.expect(503), "sip:411@acme.test")
}

func TestAPanicInTheCallLayerEndsOneCall(t *testing.T) {
	t.Parallel()
	s := startServer(t, func(o *Options) {
		o.Invites = InviteHandlerFunc(func(Incoming) call.Sink { panic("on purpose") })
	})
	p := s.peer("ann")
	p.invite("411", nil, offerSDP)
	p.ack(p.expect(500), p.target)
	wait(t, "not counted", func() bool { return s.panics.Load() == 1 })
	s.settled()
	s.panics.Store(0)
}
