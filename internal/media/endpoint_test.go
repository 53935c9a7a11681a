package media

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"bugle"
)

const awaySDP = "v=0\r\no=- 7 7 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 0 101\r\n" +
	"a=rtpmap:101 telephone-event/8000\r\na=ptime:30\r\n"

func other() *Endpoint {
	return &Endpoint{RTP: netip.MustParseAddrPort("203.0.113.7:5004"), RTCP: netip.MustParseAddrPort("203.0.113.7:5010"), Profile: "RTP/AVP",
		Codecs: []Payload{{"PCMU", 0}}, Event: 101, Ptime: 40}
}

func TestRedirect(t *testing.T) {
	t.Parallel()
	s, err := newTestEngine(t, Options{LocalIP: loopback}).NewSession(SessionOptions{Signalling: netip.MustParseAddr("192.0.2.1")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, ok := s.Endpoint(); ok {
		t.Error("a party of which nothing is known has an endpoint")
	}
	if _, err := s.Redirect(other()); bugle.KindOf(err) != bugle.KindUnsupported {
		t.Errorf("nothing is agreed: %v", err)
	}
	first, err := s.Accept([]byte(awaySDP))
	if err != nil {
		t.Fatal(err)
	}
	e, ok := s.Endpoint()
	if !ok || e.RTP.String() != "192.0.2.1:4000" || e.RTCP.Port() != 4001 || e.Profile != "RTP/AVP" || e.Event != 101 || e.Ptime != 30 ||
		len(e.Codecs) != 2 || e.Codecs[0] != (Payload{"PCMA", 8}) || e.Codecs[1] != (Payload{"PCMU", 0}) || e.Signalling.String() != "192.0.2.1" {
		t.Errorf("%+v %v", e, ok)
	}
	origin := func(body []byte) string { return strings.Split(string(body), "\r\n")[1] }
	offer, err := s.Redirect(other())
	if err != nil {
		t.Fatal(err)
	}
	text := string(offer)
	for _, line := range []string{"c=IN IP4 203.0.113.7\r\n", "m=audio 5004 RTP/AVP 0 101\r\n", "a=rtcp:5010\r\n", "a=ptime:40\r\n", "a=sendrecv\r\n"} {
		if !strings.Contains(text, line) {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
	if a, b := strings.Fields(origin(first)), strings.Fields(origin(offer)); a[1] != b[1] || a[2] == b[2] || a[5] != b[5] {
		t.Errorf("%q after %q", b, a)
	}
	s.Unanswered() // refused
	if s.Away() {
		t.Error("it refused and is away")
	}
	for name, answer := range map[string]string{
		"another codec":          strings.Replace(awaySDP, "8 0 101", "8 101", 1),
		"no keys":                strings.Replace(awaySDP, "8 0 101", "0", 1),
		"another number":         strings.NewReplacer("8 0 101", "0 96", "rtpmap:101", "rtpmap:96").Replace(awaySDP),
		"it only speaks":         awaySDP + "a=sendonly\r\n",
		"it does not speak":      awaySDP + "a=recvonly\r\n",
		"no address":             strings.Replace(awaySDP, "c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0", 1),
		"no audio":               strings.Replace(awaySDP, "audio 4000", "audio 0", 1),
		"no session description": "",
	} {
		if _, err := s.Redirect(other()); err != nil {
			t.Fatal(err)
		}
		if err := s.SetAnswer([]byte(answer)); err == nil || s.Away() {
			t.Errorf("%s: %v", name, err)
		}
		s.Unanswered()
	}
	if offer, err = s.Redirect(other()); err != nil {
		t.Fatal(err)
	}
	answer := strings.NewReplacer("8 0 101", "0 101", "4000", "4010").Replace(awaySDP)
	if err := s.SetAnswer([]byte(answer)); err != nil || !s.Away() {
		t.Fatal(err)
	}
	if e, ok := s.Endpoint(); !ok || e.RTP.Port() != 4010 || len(e.Codecs) != 1 {
		t.Errorf("%+v %v", e, ok)
	}
	if again, err := s.Offer(); err != nil || string(again) != string(offer) { // a refresh changes nothing
		t.Errorf("%v\n%s", err, again)
	}
	if err := s.SetAnswer([]byte(answer)); err != nil || !s.Away() {
		t.Error(err)
	}
	if same, err := s.Accept([]byte(answer)); err != nil || !s.Away() || origin(same) != origin(offer) || !strings.Contains(string(same), "m=audio 5004 ") {
		t.Errorf("it says what it has said: %v\n%s", err, same)
	}
	back, err := s.Accept([]byte(answer + "a=sendonly\r\n")) // a hold
	if err != nil || s.Away() || !strings.Contains(string(back), "c=IN IP4 127.0.0.1\r\n") || !strings.Contains(string(back), "a=recvonly") || !s.Held() {
		t.Errorf("%v\n%s", err, back)
	}
	if _, ok := s.Endpoint(); ok {
		t.Error("who holds has an endpoint")
	}
}

// TestWhoIsAwayIsLeftAlone: no timeout, no report and no keep-alive while a party talks to another phone, and again once it is
// called back.
func TestWhoIsAwayIsLeftAlone(t *testing.T) {
	t.Parallel()
	for _, away := range []bool{true, false} {
		b, n := newBench(), newNotes()
		l, wire := b.leg(usual, n)
		l.session.events.failed = func(any) {}
		l.play(1, []*Clip{NewClip("", Tone(100*time.Millisecond, 500))}, false)
		b.skip(time.Second)
		agreed := usual
		agreed.away = away
		l.agree(agreed)
		packets, reports := len(wire.packets), len(wire.reports)
		b.skip(3 * time.Minute)
		more, told := len(wire.packets)-packets, len(wire.reports)-reports
		if away {
			if more != 0 || told != 0 || n.count() != 0 {
				t.Errorf("away: %d packets, %d reports, %d timeouts", more, told, n.count())
			}
			continue
		}
		n.wait(t, "a timeout", func() bool { return n.timeouts > 0 })
		if more == 0 || told == 0 {
			t.Errorf("not away: %d packets, %d reports", more, told)
		}
	}
}
