package sipua

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"bugle/internal/call"
	"bugle/internal/media"
	"bugle/internal/sip"
)

// elsewhere is another phone.
var elsewhere = media.Endpoint{RTP: netip.MustParseAddrPort("203.0.113.7:5004"), RTCP: netip.MustParseAddrPort("203.0.113.7:5005"),
	Profile: "RTP/AVP", Codecs: []media.Payload{{Codec: "PCMU", Number: 0}}, Event: 101, Ptime: 20}

// redirecting asks a leg's phone and returns what comes of it.
func redirecting(l call.Leg, to *media.Endpoint) <-chan call.RedirectOutcome {
	done := make(chan call.RedirectOutcome, 2)
	l.(call.DirectLeg).Redirect(to, func(o call.RedirectOutcome) { done <- o })
	return done
}

func (s *server) comesTo(done <-chan call.RedirectOutcome, want call.RedirectOutcome) {
	s.t.Helper()
	select {
	case got := <-done:
		if got != want {
			s.t.Errorf("outcome %d, want %d", got, want)
		}
	case <-time.After(patience):
		s.t.Fatal("no outcome")
	}
}

// reinvited takes an INVITE within the dialog and answers it.
func (p *peer) reinvited(status int, body string) *sip.Message {
	p.t.Helper()
	req := p.expectRequest(sip.INVITE)
	p.respond(req, status, "", nil, body)
	p.expectRequest(sip.ACK)
	return req
}

// inner is what a leg is.
func inner(l call.Leg) *leg { return l.(*leg) }

func pointsTo(req *sip.Message, address string) bool {
	return strings.Contains(string(req.Body()), "c=IN IP4 "+address+"\r\n")
}

func TestAPhoneIsSentAwayAndCalledBack(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("bob")
	leg, k := s.called(p)
	done := redirecting(leg, &elsewhere)
	if req := p.reinvited(200, offerSDP); !pointsTo(req, "203.0.113.7") || req.ToTag() != "callee" {
		t.Errorf("%s", req)
	}
	s.comesTo(done, call.Redirected)
	done = redirecting(leg, nil)
	if req := p.reinvited(200, offerSDP); !pointsTo(req, "127.0.0.1") {
		t.Errorf("%s", req)
	}
	s.comesTo(done, call.Redirected)
	k.none()
	leg.Hangup(call.NormalClearing)
	p.expectRequest(sip.BYE)
}

func TestWhatAPhoneAnswersWhenItIsSentAway(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		body   string
		want   call.RedirectOutcome
	}{
		"488": {488, "", call.NotRedirected}, "491": {491, "", call.NotRedirected}, "500": {500, "", call.NotRedirected},
		"408": {408, "", call.RedirectUnknown}, "no description": {200, "", call.RedirectUnknown},
		"another codec": {200, strings.NewReplacer("AVP 0", "AVP 8", ":0 PCMU", ":8 PCMA").Replace(offerSDP), call.RedirectUnknown},
		"a hold":        {200, holdSDP, call.RedirectUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, nil)
			p := s.peer("bob")
			leg, k := s.called(p)
			done := redirecting(leg, &elsewhere)
			p.reinvited(c.status, c.body)
			s.comesTo(done, c.want)
			if inner(leg).session.Away() {
				t.Error("it is away")
			}
			k.none()
		})
	}
	t.Run("481", func(t *testing.T) {
		t.Parallel()
		s := startServer(t, nil)
		p := s.peer("bob")
		leg, k := s.called(p)
		redirecting(leg, &elsewhere)
		p.reinvited(481, "")
		if e := next[call.Ended](k); e.Cause != call.RecoveryOnTimerExpire {
			t.Errorf("%+v", e)
		}
	})
}

// TestAPhoneThatHasLeftAndSaysNothing: 408, which is also what no answer at all comes to after timer B, to an INVITE that calls a
// phone back ends the call, since no audio tells whether the phone is there. One that has stayed keeps its call.
func TestAPhoneThatHasLeftAndSaysNothing(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("bob")
	leg, k := s.called(p)
	for _, to := range []*media.Endpoint{&elsewhere, nil} {
		done := redirecting(leg, to)
		p.reinvited(408, "")
		s.comesTo(done, call.RedirectUnknown)
	}
	done := redirecting(leg, &elsewhere)
	p.reinvited(200, offerSDP)
	s.comesTo(done, call.Redirected)
	k.none()
	redirecting(leg, nil)
	p.reinvited(408, "")
	if e := next[call.Ended](k); e.Cause != call.RecoveryOnTimerExpire {
		t.Errorf("%+v", e)
	}
	p.expectRequest(sip.BYE)
}

func TestAPhoneThatIsBusyWithAnOfferOfItsOwnIsCalledBackLater(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("bob")
	leg, k := s.called(p)
	done := redirecting(leg, &elsewhere)
	p.reinvited(200, offerSDP)
	s.comesTo(done, call.Redirected)
	done = redirecting(leg, nil)
	p.reinvited(491, "") // its own has crossed ours
	p.within("INVITE", nil, holdSDP)
	if res := p.confirm(""); !strings.Contains(string(res.Body()), "c=IN IP4 127.0.0.1") {
		t.Errorf("%s", res)
	}
	if e := next[call.Held](k); !e.On {
		t.Errorf("%+v", e)
	}
	p.barrier()
	s.clock.Advance(5 * time.Second)
	s.comesTo(done, call.Redirected) // by itself: it is not asked again
	p.barrier()
	done = redirecting(leg, &elsewhere)
	req := p.expectRequest(sip.INVITE)
	p.within("INVITE", nil, offerSDP)
	p.ack(p.expect(491), p.target)
	p.respond(req, 491, "", nil, "")
	p.expectRequest(sip.ACK)
	s.comesTo(done, call.NotRedirected)
}

func TestASessionIsRefreshedWhileAPhoneIsAway(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("bob")
	leg, k := s.called(p, "Session-Expires: 200;refresher=uac", "Require: timer")
	done := redirecting(leg, &elsewhere)
	req := p.expectRequest(sip.INVITE)
	if req.Header("Session-Expires") != "200;refresher=uac" {
		t.Errorf("%s", req)
	}
	p.respond(req, 200, "", []string{"Session-Expires: 200;refresher=uac", "Require: timer"}, offerSDP)
	p.expectRequest(sip.ACK)
	s.comesTo(done, call.Redirected)
	p.barrier()
	s.clock.Advance(110 * time.Second)
	req = p.expectRequest(sip.INVITE)
	if !pointsTo(req, "203.0.113.7") {
		t.Errorf("a refresh calls the phone back:\n%s", req)
	}
	p.respond(req, 200, "", []string{"Session-Expires: 200;refresher=uac", "Require: timer"}, offerSDP)
	p.expectRequest(sip.ACK)
	p.within("INVITE", nil, offerSDP) // a refresh of its own
	if res := p.confirm(""); !strings.Contains(string(res.Body()), "c=IN IP4 203.0.113.7") {
		t.Errorf("a refresh of its own calls the phone back:\n%s", res)
	}
	p.within("INVITE", nil, "") // it asks for an offer, which is ours
	if res := p.confirm(offerSDP); !strings.Contains(string(res.Body()), "c=IN IP4 127.0.0.1") {
		t.Errorf("%s", res)
	}
	wait(t, "it is still away", func() bool { return !inner(leg).session.Away() })
	k.none()
}
