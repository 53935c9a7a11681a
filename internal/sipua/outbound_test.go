package sipua

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"bugle"
	"bugle/internal/call"
	"bugle/internal/egress"
	"bugle/internal/sip"
)

// target is the registered phone at this peer.
func (p *peer) at() call.Target {
	return call.Target{AccountID: "acme", DeviceID: "bob", Name: "bob", URI: "sip:bob@10.99.99.99:5070;ob", Hop: p.addr,
		Transport: sip.UDP, Realm: "acme.test", Caller: call.Party{Name: `Ann "A" Lee`, Number: "1001"}}
}

// take sends the tagged response to the INVITE of an outbound leg and remembers the dialog.
func (p *peer) take(req *sip.Message, status int, tag string, headers []string, body string) {
	p.t.Helper()
	p.respond(req, status, tag, headers, body)
	contact, _ := req.Contact()
	p.callID, p.tag, p.to, p.target = req.CallID(), tag, req.Header("From"), contact.URI.String()
	p.user, p.realm = "bob", "10.99.99.99"
}

// called brings an outbound call up.
func (s *server) called(p *peer, headers ...string) (call.Leg, *sink) {
	s.t.Helper()
	k := newSink(s.t)
	leg := s.agent.Originate(fmt.Sprintf("out%d", peers.Add(1)), p.at(), k)
	req := p.expectRequest(sip.INVITE)
	p.take(req, 200, "callee", headers, offerSDP)
	p.expectRequest(sip.ACK)
	next[call.Answered](k)
	return leg, k
}

func TestAnOutboundCallRingsIsAnsweredAndEnds(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("bob")
	k := newSink(t)
	target := p.at()
	target.Route = []string{"<sip:edge.test;lr>"}
	target.Headers = map[string]string{"X-Account": "acme\r\nEvil: yes", "Via": "mine", "Bad Name": "x"}
	leg := s.agent.Originate("out-1", target, k)
	req := p.expectRequest(sip.INVITE)
	from, _ := req.From()
	if req.RequestURI() != target.URI || req.Header("Route") != "<sip:edge.test;lr>" || req.CallID() != "out-1" || leg.ID() != "out-1" ||
		from.Display != `Ann "A" Lee` || from.URI.User != "1001" || from.URI.Host != "acme.test" || from.Tag() == "" ||
		!strings.Contains(req.Header("Contact"), s.udp.String()) || len(req.Body()) == 0 || req.Header("Max-Forwards") != "70" ||
		!req.ListHas("Supported", "100rel") || !req.ListHas("Supported", "timer") || req.Header("Session-Expires") != "1800" {
		t.Errorf("INVITE:\n%s", req)
	}
	if req.Has("Evil") || req.Has("Bad Name") || !strings.Contains(req.Header("X-Account"), "acme") || strings.Contains(req.String(), "mine") {
		t.Errorf("headers of the document:\n%s", req)
	}
	p.respond(req, 100, "", nil, "")
	p.take(req, 180, "callee", nil, "")
	if e := next[call.Ringing](k); e.Early {
		t.Error("early media without a description")
	}
	p.take(req, 183, "callee", nil, offerSDP)
	if e := next[call.Ringing](k); !e.Early {
		t.Error("no early media")
	}
	p.take(req, 200, "callee", []string{"Record-Route: <sip:two.test;lr>", "Record-Route: <sip:one.test;lr>"}, offerSDP)
	ack := p.expectRequest(sip.ACK)
	next[call.Answered](k)
	if ack.ToTag() != "callee" || ack.RequestURI() != fmt.Sprintf("sip:bob@%s", p.addr) || ack.Header("Route") != "<sip:one.test;lr>" {
		t.Errorf("ACK:\n%s", ack)
	}
	p.take(req, 200, "callee", nil, offerSDP) // repeated: so is the ACK
	p.expectRequest(sip.ACK)
	p.within("BYE", nil, "")
	p.expect(200)
	if e := next[call.Ended](k); e.Cause != call.NormalClearing || !e.Remote || e.Status != 0 {
		t.Errorf("%+v", e)
	}
	s.settled()
	k.none()
}

func TestOutboundCallsEndWithTheStatusTheyGot(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	for _, tt := range []struct {
		status  int
		headers []string
		cause   call.Cause
	}{{486, nil, call.UserBusy}, {480, nil, call.NoAnswer}, {603, nil, call.CallRejected}, {503, nil, call.CircuitCongestion},
		{302, []string{"Contact: <sip:127.0.0.1:1>"}, call.TemporaryFailure}, {404, nil, call.UnallocatedNumber},
		{480, []string{"Reason: Q.850;cause=20"}, call.SubscriberAbsent}} {
		p := s.peer("bob")
		k := newSink(t)
		s.agent.Originate(fmt.Sprint("out-", tt.status, tt.cause), p.at(), k)
		p.respond(p.expectRequest(sip.INVITE), tt.status, "x", tt.headers, "")
		p.expectRequest(sip.ACK)
		if e := next[call.Ended](k); e.Cause != tt.cause || e.Status != tt.status || !e.Remote {
			t.Errorf("%d: %+v", tt.status, e)
		}
	}
	s.settled()
}

func TestCancelWaitsForAProvisional(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("bob")
	k := newSink(t)
	leg := s.agent.Originate("out-cancel", p.at(), k)
	req := p.expectRequest(sip.INVITE)
	leg.Hangup(call.LoseRace)
	if e := next[call.Ended](k); e.Cause != call.LoseRace || e.Status != 487 {
		t.Errorf("%+v", e)
	}
	p.respond(req, 180, "callee", nil, "")
	cancel := p.expectRequest(sip.CANCEL)
	if !strings.Contains(cancel.Header("Reason"), "SIP;cause=200") || cancel.Header("Via") != req.Header("Via") {
		t.Errorf("CANCEL:\n%s", cancel)
	}
	p.respond(cancel, 200, "callee", nil, "")
	p.respond(req, 487, "callee", nil, "")
	p.expectRequest(sip.ACK)
	s.settled()
	k.none()
}

func TestAnAnswerThatCrossesTheCancelIsReleased(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("bob")
	k := newSink(t)
	leg := s.agent.Originate("out-cross", p.at(), k)
	req := p.expectRequest(sip.INVITE)
	p.respond(req, 180, "callee", nil, "")
	next[call.Ringing](k)
	leg.Hangup(call.NoAnswer)
	next[call.Ended](k)
	p.respond(p.expectRequest(sip.CANCEL), 200, "callee", nil, "")
	p.respond(req, 200, "callee", nil, offerSDP)
	p.acknowledgedAndReleased("callee")
	s.settled()
	k.none()
}

// acknowledgedAndReleased waits for ACK and BYE to the fork with this tag.
func (p *peer) acknowledgedAndReleased(tag string) {
	p.t.Helper()
	var ack, bye bool
	for !ack || !bye {
		switch m := p.receive(); m.Method() {
		case sip.ACK:
			ack = ack || m.ToTag() == tag
		case sip.BYE:
			if m.ToTag() != tag || !ack {
				p.t.Errorf("BYE before ACK, or to another:\n%s", m)
			}
			bye = true
			p.respond(m, 200, "", nil, "")
		default:
			p.t.Fatalf("%s", m)
		}
	}
}

func TestEachForkThatAnswersIsAcknowledgedAndLosersAreReleased(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("bob")
	k := newSink(t)
	s.agent.Originate("out-fork", p.at(), k)
	req := p.expectRequest(sip.INVITE)
	p.respond(req, 180, "one", nil, "")
	p.respond(req, 183, "two", nil, offerSDP)
	next[call.Ringing](k)
	next[call.Ringing](k)
	p.take(req, 200, "two", nil, offerSDP)
	if ack := p.expectRequest(sip.ACK); ack.ToTag() != "two" {
		t.Errorf("%s", ack)
	}
	next[call.Answered](k)
	for _, late := range []string{"one", "three"} {
		p.respond(req, 200, late, nil, offerSDP)
		p.acknowledgedAndReleased(late)
		p.respond(req, 200, late, nil, offerSDP) // repeated: acknowledged again, released once
		if ack := p.expectRequest(sip.ACK); ack.ToTag() != late {
			t.Errorf("%s", ack)
		}
	}
	p.tag = "two"
	p.barrier() // the winner lives
	p.within("BYE", nil, "")
	p.expect(200)
	next[call.Ended](k)
	k.none()
}

func TestReliableProvisionalsOfThePhoneArePracked(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("bob")
	k := newSink(t)
	s.agent.Originate("out-prack", p.at(), k)
	req := p.expectRequest(sip.INVITE)
	seq, _ := req.CSeq()
	reliable := func(rseq int) []string { return []string{"Require: 100rel", fmt.Sprint("RSeq: ", rseq)} }
	p.take(req, 183, "callee", reliable(7), offerSDP)
	prack := p.expectRequest(sip.PRACK)
	if prack.Header("RAck") != fmt.Sprintf("7 %d INVITE", seq) || prack.ToTag() != "callee" {
		t.Errorf("PRACK:\n%s", prack)
	}
	p.respond(prack, 200, "", nil, "")
	if e := next[call.Ringing](k); !e.Early {
		t.Error("no early media")
	}
	p.take(req, 180, "callee", reliable(7), "") // a repetition is not acknowledged again
	p.take(req, 180, "callee", reliable(9), "") // out of order
	p.take(req, 180, "callee", reliable(8), "")
	prack = p.expectRequest(sip.PRACK)
	if !strings.HasPrefix(prack.Header("RAck"), "8 ") {
		t.Errorf("PRACK:\n%s", prack)
	}
	p.respond(prack, 200, "", nil, "")
	p.take(req, 200, "callee", nil, "") // the answer was in the 183
	p.expectRequest(sip.ACK)
	next[call.Answered](k)
	p.within("BYE", nil, "")
	p.expect(200)
	next[call.Ended](k)
	s.settled()
}

func TestPlacesThatMustNotBeCalled(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	for _, tt := range []struct {
		uri    string
		status int
	}{
		{"sip:1@10.0.0.1", 403}, {"sip:1@169.254.169.254", 403}, {"sip:1@[::1]", 403}, {"tel:123", 484}, {"sips:1@127.0.0.1", 484},
		{"sip:1@127.0.0.1;transport=sctp", 484}, {"sip:1\r\nX: y@127.0.0.1", 484}, {"", 484},
	} {
		k := newSink(t)
		leg := s.agent.Originate("out-bad", call.Target{URI: tt.uri}, k)
		if leg == nil {
			t.Fatal("no leg")
		}
		if e := next[call.Ended](k); e.Status != tt.status {
			t.Errorf("%q: %+v", tt.uri, e)
		}
	}
	k := newSink(t)
	s.agent.Originate("out-route", call.Target{URI: "sip:1@127.0.0.1", Route: []string{"<sip:10.0.0.1;lr>"}}, k)
	if e := next[call.Ended](k); e.Status != 403 {
		t.Errorf("through a private address: %+v", e)
	}
	s.settled()
}

func TestAPhoneOutsideIsReachedThroughEgress(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("x")
	k := newSink(t)
	s.agent.Originate("out-egress", call.Target{URI: fmt.Sprintf("sip:x@%s", p.addr), Caller: call.Party{Number: "anonymous"}}, k)
	req := p.expectRequest(sip.INVITE)
	from, _ := req.From()
	if req.Header("Privacy") != "id" || from.URI.Host != "anonymous.invalid" {
		t.Errorf("a withheld caller is shown:\n%s", req)
	}
	p.respond(req, 486, "x", nil, "")
	p.expectRequest(sip.ACK)
	next[call.Ended](k)
	s.settled()
}

// names resolves from a table and can be made to wait.
type names struct {
	*egress.Guard
	hosts map[string][]netip.AddrPort
	gate  chan struct{}
}

func (n names) Resolve(ctx context.Context, host string, _ int, _ string) ([]netip.AddrPort, error) {
	if n.gate != nil {
		<-n.gate
	}
	if addrs := n.hosts[host]; addrs != nil {
		return addrs, nil
	}
	return nil, &bugle.Error{Op: "test", Kind: bugle.KindUnavailable}
}

func TestNamesAreLookedUpAndEachAddressIsTried(t *testing.T) {
	t.Parallel()
	known := map[string][]netip.AddrPort{}
	s := startServer(t, func(o *Options) { o.Egress = names{Guard: o.Egress.(*egress.Guard), hosts: known} })
	p := s.peer("x")
	dead := netip.AddrPortFrom(p.addr.Addr(), uint16(s.mediaPort()+1)) // nothing listens there
	known["tcp.test"] = []netip.AddrPort{dead, s.tcp}
	known["udp.test"] = []netip.AddrPort{p.addr}
	k := newSink(t)
	s.agent.Originate("out-name", call.Target{URI: "sip:x@udp.test"}, k)
	req := p.expectRequest(sip.INVITE)
	p.respond(req, 486, "x", nil, "")
	p.expectRequest(sip.ACK)
	if e := next[call.Ended](k); e.Status != 486 {
		t.Errorf("%+v", e)
	}
	// The second address is our own server, which asks for a digest.
	s.agent.Originate("out-second", call.Target{URI: "sip:x@tcp.test;transport=tcp"}, k)
	if e := next[call.Ended](k); e.Status != 401 {
		t.Errorf("%+v", e)
	}
	s.agent.Originate("out-nowhere", call.Target{URI: "sip:x@nowhere.test"}, k)
	if e := next[call.Ended](k); e.Status != 503 {
		t.Errorf("%+v", e)
	}
	s.settled()
}

func TestHangingUpWhileANameIsLookedUp(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	s := startServer(t, func(o *Options) {
		o.Egress = names{Guard: o.Egress.(*egress.Guard), hosts: map[string][]netip.AddrPort{"x.test": {netip.MustParseAddrPort("127.0.0.1:9")}}, gate: gate}
	})
	k := newSink(t)
	leg := s.agent.Originate("out-gone", call.Target{URI: "sip:x@x.test"}, k)
	leg.Hangup(call.OriginatorCancel)
	next[call.Ended](k)
	close(gate)
	s.settled()
	k.none()
}

func TestAPhoneWhoseConnectionIsGoneIsAbsent(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	k := newSink(t)
	s.agent.Originate("out-absent", call.Target{URI: "sip:x@10.1.1.1;transport=tcp", Transport: sip.TCP,
		Hop: netip.MustParseAddrPort("127.0.0.1:9")}, k)
	if e := next[call.Ended](k); e.Status != 480 || e.Cause != call.SubscriberAbsent {
		t.Errorf("%+v", e)
	}
	s.settled()
}

func TestASessionIntervalTooSmallIsRaisedOnce(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("bob")
	k := newSink(t)
	s.agent.Originate("out-422", p.at(), k)
	req := p.expectRequest(sip.INVITE)
	p.respond(req, 422, "x", []string{"Min-SE: 3000"}, "")
	p.expectRequest(sip.ACK)
	req = p.expectRequest(sip.INVITE)
	if req.Header("Session-Expires") != "3000" || req.Header("Min-SE") != "3000" {
		t.Errorf("%s", req)
	}
	p.respond(req, 422, "x", []string{"Min-SE: 4000"}, "")
	p.expectRequest(sip.ACK)
	if e := next[call.Ended](k); e.Status != 422 {
		t.Errorf("%+v", e)
	}
	s.settled()
}

func TestStray2xxOfStrangersAreNotAnswered(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("bob")
	stray := func(tag string) {
		p.write(p.message("SIP/2.0 200 OK", fmt.Sprintf("SIP/2.0/UDP %s;branch=z9hG4bKgone", s.udp), "<sip:a@acme.test>;tag="+tag,
			"<sip:b@acme.test>;tag=late", "1 INVITE", nil, ""))
	}
	stray("forged")
	stray(s.agent.tags.make(p.callID)) // a fork of a call of ours that is long over
	p.acknowledgedAndReleased("late")
	p.conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if n, _, err := p.conn.ReadFromUDPAddrPort(make([]byte, 2000)); err == nil {
		t.Errorf("%d bytes more", n)
	}
}
