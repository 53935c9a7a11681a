package sipua

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"bugle"
	"bugle/internal/call"
	"bugle/internal/sip"
)

// dialogStates bring a call of a peer into a state of its dialog, from which the fuzzer goes on.
var dialogStates = []struct {
	name string
	to   func(s *server, p *peer)
}{
	{"no dialog", func(*server, *peer) {}},
	{"inbound, unanswered", func(s *server, p *peer) { s.fuzzCall(p, nil) }},
	{"inbound, ringing", func(s *server, p *peer) { s.fuzzCall(p, nil).Leg.Ring(); p.dialog(p.expect(180)) }},
	{"inbound, reliable early media", func(s *server, p *peer) {
		s.fuzzCall(p, []string{"Require: 100rel"}).Leg.Progress()
		p.dialog(p.expect(183))
	}},
	{"inbound, answered without ACK", func(s *server, p *peer) { s.fuzzCall(p, nil).Leg.Answer(); p.dialog(p.expect(200)) }},
	{"inbound, confirmed", func(s *server, p *peer) { s.fuzzCall(p, nil).Leg.Answer(); p.confirm("") }},
	{"inbound, held", func(s *server, p *peer) {
		s.fuzzCall(p, nil).Leg.Answer()
		p.confirm("")
		p.within("INVITE", nil, holdSDP)
		p.confirm("")
	}},
	{"inbound, re-INVITE without ACK", func(s *server, p *peer) {
		s.fuzzCall(p, nil).Leg.Answer()
		p.confirm("")
		p.within("INVITE", nil, "")
		p.expect(200)
	}},
	{"inbound, transferring", func(s *server, p *peer) {
		s.fuzzCall(p, nil).Leg.Answer()
		p.confirm("")
		p.within("REFER", []string{"Refer-To: <sip:1@acme.test>"}, "")
		p.expect(202)
		p.invited = p.expectRequest(sip.NOTIFY)
	}},
	{"outbound, calling", func(s *server, p *peer) { s.fuzzDial(p) }},
	{"outbound, ringing", func(s *server, p *peer) { p.take(s.fuzzDial(p), 180, "callee", nil, "") }},
	{"outbound, cancelled", func(s *server, p *peer) {
		p.respond(s.fuzzDial(p), 180, "callee", nil, "")
		p.leg.Hangup(call.LoseRace)
		p.expectRequest(sip.CANCEL)
	}},
	{"outbound, confirmed", func(s *server, p *peer) {
		p.take(s.fuzzDial(p), 200, "callee", nil, offerSDP)
		p.expectRequest(sip.ACK)
	}},
	{"outbound, refreshing", func(s *server, p *peer) {
		p.take(s.fuzzDial(p), 200, "callee", []string{"Session-Expires: 90;refresher=uac"}, offerSDP)
		p.expectRequest(sip.ACK)
		wait(s.t, "not answered", func() bool { return len(s.clock.Pending()) > 0 })
		s.clock.Advance(45 * time.Second)
		p.invited = p.expectRequest(sip.INVITE)
	}},
}

func (s *server) fuzzCall(p *peer, headers []string) Incoming {
	p.request("INVITE", "sip:411@acme.test", headers, offerSDP)
	p.target = "sip:411@acme.test"
	for {
		in, _ := s.incoming()
		if in.CallID == p.callID { // what the fuzzer made before may be a call of its own
			p.leg = in.Leg
			return in
		}
	}
}

func (s *server) fuzzDial(p *peer) *sip.Message {
	p.callID = fmt.Sprint("fuzz", peers.Add(1))
	p.leg = s.agent.Originate(p.callID, p.at(), newSink(s.t))
	p.invited = p.expectRequest(sip.INVITE)
	p.to = p.invited.Header("From")
	return p.invited
}

// fill puts the names of the dialog into a template, so that what the fuzzer makes belongs to it.
func (p *peer) fill(data []byte) []byte {
	via, cseq, from := "", "1 INVITE", ""
	if p.invited != nil {
		via, cseq, from = p.invited.Header("Via"), p.invited.Header("CSeq"), p.invited.Header("From")
	}
	if from == "" {
		from = p.to
	}
	return []byte(strings.NewReplacer("$CALL", p.callID, "$TAG", p.tag, "$TO", p.to, "$FROM", from, "$VIA", via, "$CSEQ", cseq, "$ADDR",
		p.addr.String(), "$BRANCH", fmt.Sprintf("z9hG4bKf%d", peers.Add(1)), "$LAST", p.last, "$SDP", offerSDP, "\n", "\r\n").
		Replace(strings.ReplaceAll(string(data), "\r\n", "\n")))
}

func fuzzSeeds() []string {
	inDialog := func(method, more, body string) string {
		return fmt.Sprintf("%s sip:x@y SIP/2.0\nVia: SIP/2.0/UDP $ADDR;branch=$BRANCH\nMax-Forwards: 70\nFrom: <sip:ann@acme.test>;tag=$TAG\n"+
			"To: $TO\nCall-ID: $CALL\nCSeq: 50 %s\nContact: <sip:ann@$ADDR>\n%s\n%s", method, method, more, body)
	}
	answer := func(status int, more, body string) string {
		return fmt.Sprintf("SIP/2.0 %d X\nVia: $VIA\nFrom: $FROM\nTo: <sip:bob@x>;tag=callee\nCall-ID: $CALL\nCSeq: $CSEQ\nContact: <sip:b@$ADDR>\n%s\n%s",
			status, more, body)
	}
	sdp := "Content-Type: application/sdp\n"
	seeds := []string{"", "\r\n\r\n", "INVITE", inDialog("BYE", "", ""), inDialog("INVITE", sdp, "$SDP"), inDialog("INVITE", "", ""),
		inDialog("UPDATE", sdp, "$SDP"), inDialog("UPDATE", "Supported: timer\nSession-Expires: 90;refresher=uac\n", ""),
		inDialog("INFO", "Content-Type: application/dtmf-relay\n", "Signal=1\n"), inDialog("PRACK", "RAck: 1 1 INVITE\n", ""),
		inDialog("PRACK", "RAck: 1 1 INVITE\n"+sdp, "$SDP"), inDialog("REFER", "Refer-To: <sip:2@x>\n", ""), inDialog("ACK", "", ""),
		inDialog("OPTIONS", "", ""), inDialog("NOTIFY", "Event: refer\n", ""), inDialog("MESSAGE", "", "hello"),
		"CANCEL sip:411@acme.test SIP/2.0\nVia: $LAST\nMax-Forwards: 70\nFrom: <sip:ann@acme.test>;tag=$TAG\nTo: <sip:411@acme.test>\nCall-ID: $CALL\nCSeq: 1 CANCEL\n\n",
		"ACK sip:411@acme.test SIP/2.0\nVia: $LAST\nMax-Forwards: 70\nFrom: <sip:ann@acme.test>;tag=$TAG\nTo: $TO\nCall-ID: $CALL\nCSeq: 1 ACK\n\n$SDP",
		"REGISTER sip:acme.test SIP/2.0\nVia: SIP/2.0/UDP $ADDR;branch=$BRANCH\nFrom: <sip:a@acme.test>;tag=1\nTo: <sip:a@acme.test>\nCall-ID: $CALL\nCSeq: 9 REGISTER\nContact: *\nAuthorization: Digest username=\"a\"\n\n",
		answer(100, "", ""), answer(180, "Require: 100rel\nRSeq: 1\n", ""), answer(183, sdp, "$SDP"), answer(200, sdp, "$SDP"), answer(200, "", ""),
		answer(200, sdp, "nonsense"), answer(302, "Contact: <sip:x@10.0.0.1>\n", ""), answer(401, "WWW-Authenticate: Digest realm=x\n", ""),
		answer(422, "Min-SE: 4000\n", ""), answer(486, "Reason: Q.850;cause=17\n", ""), answer(491, "", ""), answer(503, "Retry-After: 1\n", "")}
	return seeds
}

// fuzzServer is a server whose callers need no digest.
func fuzzServer(t testing.TB) *server {
	s := startServer(t, nil)
	s.devices.devices = append(s.devices.devices, testDevice{"acme", bugle.Device{ID: "gateway", Enabled: true,
		SIP: bugle.DeviceSIP{Method: "ip", IP: "127.0.0.1"}}, ""})
	return s
}

// survives plays one datagram in one state, hangs up, and checks that nothing of the call is left.
func (s *server) survives(state int, data []byte) {
	p := s.peer("ann")
	defer p.conn.Close()
	p.only = true
	dialogStates[state].to(s, p)
	filled := p.fill(data)
	if len(filled) < 60000 {
		p.write(string(filled))
	}
	// Requests of one Call-ID are handled in order: when this one is answered the datagram has been.
	p.to, p.tag = "", "barrier"
	p.seq = 1000
	p.request("OPTIONS", "sip:acme.test", nil, "")
	for {
		if m, err := p.quietly(); err != nil {
			s.t.Fatalf("%s: the server does not answer any more after\n%q", dialogStates[state].name, filled)
		} else if _, method := m.CSeq(); method == sip.OPTIONS && !m.IsRequest() && m.FromTag() == "barrier" {
			break
		}
	}
	s.agent.mu.Lock()
	legs := make([]*leg, 0, len(s.agent.dialogs))
	for _, l := range s.agent.dialogs {
		legs = append(legs, l)
	}
	s.agent.mu.Unlock()
	for _, l := range legs {
		l.Hangup(call.NormalClearing)
		l.abandon()
	}
	for len(s.calls) > 0 {
		<-s.calls
		<-s.sinks
	}
	if n := s.agent.Legs(); n != 0 {
		s.t.Fatalf("%d legs left", n)
	}
	if s.panics.Load() != 0 {
		s.t.Fatalf("%s: panic after\n%q", dialogStates[state].name, filled)
	}
}

// quietly receives a message, passing over what is not SIP.
func (p *peer) quietly() (*sip.Message, error) {
	buf := make([]byte, 65536)
	for {
		_ = p.conn.SetReadDeadline(time.Now().Add(patience))
		n, err := p.conn.Read(buf)
		if err != nil {
			return nil, err
		}
		if m, err := sip.Parse(buf[:n]); err == nil {
			return m, nil
		}
	}
}

func openFiles(t testing.TB) int {
	if runtime.GOOS != "linux" {
		t.Skip("counts /proc/self/fd")
	}
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range files {
		if to, err := os.Readlink("/proc/self/fd/" + f.Name()); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

// TestEveryMessageInEveryState is the fuzzer's corpus as a table, and counts the ports afterwards. It does not run beside
// others, since it counts the sockets of the process.
func TestEveryMessageInEveryState(t *testing.T) {
	s := fuzzServer(t)
	before := openFiles(t)
	for state := range dialogStates {
		for _, seed := range fuzzSeeds() {
			s.survives(state, []byte(seed))
		}
	}
	wait(t, "sockets are left", func() bool { return openFiles(t) <= before })
}

func FuzzServerInEachDialogState(f *testing.F) {
	for state := range dialogStates {
		for _, seed := range fuzzSeeds() {
			f.Add(uint8(state), []byte(seed))
		}
	}
	s := fuzzServer(f)
	f.Fuzz(func(t *testing.T, state uint8, data []byte) {
		s.t = t
		s.survives(int(state)%len(dialogStates), data)
		s.t = f
	})
}
