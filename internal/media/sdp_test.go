package media

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"bugle"

	psdp "github.com/pion/sdp/v3"
)

const head = "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n"

func testNegotiation(codecs ...string) *negotiation {
	n := newNegotiation(codecs, 1000)
	n.local, n.port = netip.MustParseAddr("198.51.100.1"), 16384
	n.caller = netip.MustParseAddr("192.0.2.99")
	return &n
}

// summary is an agreement as a line.
func summary(a agreement) string {
	way := ""
	if a.send {
		way += " send"
	}
	if a.listen {
		way += " listen"
	}
	receive := ""
	for i := range a.receiveCount {
		receive += fmt.Sprintf(" %d=%v", a.receive[i].payload, a.receive[i].codec)
	}
	event := "none"
	if a.event != noPayload {
		event = fmt.Sprintf("%d/%d", a.event, a.receiveEvent)
	}
	return fmt.Sprintf("%v as %d, event %s, receive%s, to %v %v,%s %d samples", a.codec, a.payload, event, receive,
		a.remote, a.remoteRTCP, way, a.samples)
}

const usualAudio = "m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"

var acceptTests = []struct {
	name, offer string
	codecs      []string
	want        string   // the agreement
	answer      []string // lines that the answer holds
	kind        bugle.Kind
}{
	{name: "usual", offer: head + usualAudio,
		want:   "PCMU as 0, event 101/101, receive 0=PCMU, to 192.0.2.7:4000 192.0.2.7:4001, send listen 160 samples",
		answer: []string{"m=audio 16384 RTP/AVP 0 101", "a=rtpmap:0 PCMU/8000", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15", "a=sendrecv", "c=IN IP4 198.51.100.1"}},
	{name: "the offer's order counts", offer: head + "m=audio 4000 RTP/AVP 9 8 0\r\n",
		want:   "PCMA as 8, event none, receive 8=PCMA, to 192.0.2.7:4000 192.0.2.7:4001, send listen 160 samples",
		answer: []string{"m=audio 16384 RTP/AVP 8\r\n"}},
	{name: "allowed codecs", offer: head + usualAudio, codecs: []string{"pcma", "G729"},
		want:   "PCMA as 8, event 101/101, receive 8=PCMA, to 192.0.2.7:4000 192.0.2.7:4001, send listen 160 samples",
		answer: []string{"m=audio 16384 RTP/AVP 8 101"}},
	{name: "dynamic numbers", offer: head + "m=audio 4000 RTP/AVP 110 96 97\r\na=rtpmap:110 telephone-event/48000\r\n" +
		"a=rtpmap:96 pcma/8000/1\r\na=rtpmap:97 Telephone-Event/8000\r\n",
		want:   "PCMA as 96, event 97/97, receive 96=PCMA, to 192.0.2.7:4000 192.0.2.7:4001, send listen 160 samples",
		answer: []string{"m=audio 16384 RTP/AVP 96 97", "a=rtpmap:96 PCMA/8000"}},
	{name: "an rtpmap redefines a static number", offer: head + "m=audio 4000 RTP/AVP 0 8\r\na=rtpmap:0 G729/8000\r\n",
		want: "PCMA as 8, event none, receive 8=PCMA, to 192.0.2.7:4000 192.0.2.7:4001, send listen 160 samples"},
	{name: "video is refused in place", offer: head + "m=video 5000 RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\n" + usualAudio +
		"m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n",
		want:   "PCMU as 0, event 101/101, receive 0=PCMU, to 192.0.2.7:4000 192.0.2.7:4001, send listen 160 samples",
		answer: []string{"m=video 0 RTP/AVP 99\r\nm=audio 16384 RTP/AVP 0 101", "m=application 0 UDP/DTLS/SCTP webrtc-datachannel"}},
	{name: "encrypted audio is refused, plain audio beside it taken", offer: head + "m=audio 5000 RTP/SAVP 0\r\n" + usualAudio,
		want:   "PCMU as 0, event 101/101, receive 0=PCMU, to 192.0.2.7:4000 192.0.2.7:4001, send listen 160 samples",
		answer: []string{"m=audio 0 RTP/SAVP 0\r\nm=audio 16384 RTP/AVP 0 101"}},
	{name: "hold by sendonly", offer: head + usualAudio + "a=sendonly\r\n",
		want:   "PCMU as 0, event 101/101, receive 0=PCMU, to 192.0.2.7:4000 192.0.2.7:4001, listen 160 samples",
		answer: []string{"a=recvonly"}},
	{name: "hold by inactive for the session", offer: head + "a=inactive\r\n" + usualAudio,
		want:   "PCMU as 0, event 101/101, receive 0=PCMU, to 192.0.2.7:4000 192.0.2.7:4001, 160 samples",
		answer: []string{"a=inactive"}},
	{name: "recvonly", offer: head + usualAudio + "a=recvonly\r\n",
		want:   "PCMU as 0, event 101/101, receive 0=PCMU, to 192.0.2.7:4000 192.0.2.7:4001, send 160 samples",
		answer: []string{"a=sendonly"}},
	{name: "hold by an address of zero", offer: strings.ReplaceAll(head, "c=IN IP4 192.0.2.7", "c=IN IP4 0.0.0.0") + usualAudio,
		want:   "PCMU as 0, event 101/101, receive 0=PCMU, to invalid AddrPort invalid AddrPort, listen 160 samples",
		answer: []string{"a=recvonly"}},
	{name: "packet length", offer: head + usualAudio + "a=ptime:30\r\n",
		want:   "PCMU as 0, event 101/101, receive 0=PCMU, to 192.0.2.7:4000 192.0.2.7:4001, send listen 240 samples",
		answer: []string{"a=ptime:20"}},
	{name: "longest packet", offer: head + usualAudio + "a=ptime:90\r\na=maxptime:25\r\n",
		want: "PCMU as 0, event 101/101, receive 0=PCMU, to 192.0.2.7:4000 192.0.2.7:4001, send listen 160 samples"},
	{name: "absurd packet length", offer: head + usualAudio + "a=ptime:1\r\n",
		want: "PCMU as 0, event 101/101, receive 0=PCMU, to 192.0.2.7:4000 192.0.2.7:4001, send listen 80 samples"},
	{name: "address of the media, RTCP's port, no rtcp-mux", offer: head + usualAudio + "c=IN IP4 192.0.2.8/127\r\na=rtcp:5555 IN IP4 203.0.113.1\r\na=rtcp-mux\r\n",
		want: "PCMU as 0, event 101/101, receive 0=PCMU, to 192.0.2.8:4000 192.0.2.8:5555, send listen 160 samples"},
	{name: "lines ended by LF alone", offer: strings.ReplaceAll(head+usualAudio, "\r\n", "\n"),
		want: "PCMU as 0, event 101/101, receive 0=PCMU, to 192.0.2.7:4000 192.0.2.7:4001, send listen 160 samples"},
	{name: "a host name", offer: strings.ReplaceAll(head, "c=IN IP4 192.0.2.7", "c=IN IP4 phone.example.com") + usualAudio,
		want: "PCMU as 0, event 101/101, receive 0=PCMU, to 192.0.2.99:4000 192.0.2.99:4001, send listen 160 samples"},

	{name: "no common codec", offer: head + "m=audio 4000 RTP/AVP 9 18\r\n", kind: bugle.KindUnsupported},
	{name: "telephone-event alone", offer: head + "m=audio 4000 RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000\r\n", kind: bugle.KindUnsupported},
	{name: "no audio", offer: head + "m=video 4000 RTP/AVP 99\r\n", kind: bugle.KindUnsupported},
	{name: "audio switched off", offer: head + "m=audio 0 RTP/AVP 0\r\n", kind: bugle.KindUnsupported},
	{name: "encrypted audio", offer: head + "m=audio 4000 RTP/SAVP 0\r\n", kind: bugle.KindUnsupported},
	{name: "no allowed codec", offer: head + usualAudio, codecs: []string{"opus"}, kind: bugle.KindUnsupported},
	{name: "IPv6", offer: strings.ReplaceAll(head, "c=IN IP4 192.0.2.7", "c=IN IP6 2001:db8::1") + usualAudio, kind: bugle.KindUnsupported},
	{name: "nothing", offer: "", kind: bugle.KindInvalid},
	{name: "no m= line", offer: head, kind: bugle.KindInvalid},
	{name: "another version", offer: "v=1\r\n" + head[5:] + usualAudio, kind: bugle.KindInvalid},
	{name: "prose", offer: "v=0\r\nhello\r\n", kind: bugle.KindInvalid},
	{name: "no address", offer: "v=0\r\ns=-\r\n" + usualAudio, kind: bugle.KindInvalid},
	{name: "a bad address", offer: strings.ReplaceAll(head, "c=IN IP4 192.0.2.7", "c=IN IP6 2001:::1") + usualAudio, kind: bugle.KindInvalid},
	{name: "multicast", offer: strings.ReplaceAll(head, "c=IN IP4 192.0.2.7", "c=IN IP4 239.1.2.3/127") + usualAudio, kind: bugle.KindInvalid},
	{name: "broadcast", offer: strings.ReplaceAll(head, "c=IN IP4 192.0.2.7", "c=IN IP4 255.255.255.255") + usualAudio, kind: bugle.KindInvalid},
	{name: "a bad port", offer: head + "m=audio 70000 RTP/AVP 0\r\n", kind: bugle.KindInvalid},
	{name: "a cut m= line", offer: head + "m=audio 4000\r\n", kind: bugle.KindInvalid},
	{name: "a bad rtpmap", offer: head + usualAudio + "a=rtpmap:500 PCMU/8000\r\n", kind: bugle.KindInvalid},
	{name: "too long", offer: head + usualAudio + strings.Repeat("a=x\r\n", 4000), kind: bugle.KindInvalid},
	{name: "too many lines", offer: head + usualAudio + strings.Repeat("a=x\r\n", 600), kind: bugle.KindInvalid},
	{name: "too many m= lines", offer: head + strings.Repeat(usualAudio, 17), kind: bugle.KindInvalid},
	{name: "too many formats", offer: head + "m=audio 4000 RTP/AVP" + strings.Repeat(" 0", 65) + "\r\n", kind: bugle.KindInvalid},
}

func TestAccept(t *testing.T) {
	t.Parallel()
	for _, test := range acceptTests {
		n := testNegotiation(test.codecs...)
		answer, err := n.accept([]byte(test.offer))
		if test.want == "" {
			if err == nil || bugle.KindOf(err) != test.kind {
				t.Errorf("%s: answered %q, error %v", test.name, answer, err)
			}
			if n.settled || n.last != "" {
				t.Errorf("%s: the refused offer left traces", test.name)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if got := summary(n.current); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.name, got, test.want)
		}
		for _, line := range test.answer {
			if !strings.Contains(string(answer), line) {
				t.Errorf("%s: no %q in\n%s", test.name, line, answer)
			}
		}
		if strings.Contains(string(answer), "rtcp-mux") {
			t.Errorf("%s: rtcp-mux is accepted", test.name)
		}
		readable(t, answer)
	}
}

// readable checks a description of ours with another reader.
func readable(t *testing.T, body []byte) *psdp.SessionDescription {
	t.Helper()
	var second psdp.SessionDescription
	if err := second.Unmarshal(body); err != nil {
		t.Errorf("pion cannot read our description: %v\n%s", err, body)
	}
	return &second
}

func TestOfferAndAnswer(t *testing.T) {
	t.Parallel()
	n := testNegotiation()
	offer, err := n.offer()
	if err != nil {
		t.Fatal(err)
	}
	want := "v=0\r\no=- 1000 1000 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n" +
		"m=audio 16384 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n" +
		"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
	if string(offer) != want {
		t.Errorf("the offer is\n%s", offer)
	}
	readable(t, offer)
	tests := []struct{ name, answer, want string }{
		{"both codecs", "m=audio 4000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\n",
			"PCMA as 8, event 101/101, receive 8=PCMA 0=PCMU, to 192.0.2.7:4000 192.0.2.7:4001, send listen 160 samples"},
		{"numbers of its own", "m=audio 4000 RTP/AVP 0 96\r\na=rtpmap:96 telephone-event/8000\r\n",
			"PCMU as 0, event 96/101, receive 0=PCMU, to 192.0.2.7:4000 192.0.2.7:4001, send listen 160 samples"},
		{"no events, on hold", "m=audio 4000 RTP/AVP 0\r\na=sendonly\r\n",
			"PCMU as 0, event none, receive 0=PCMU, to 192.0.2.7:4000 192.0.2.7:4001, listen 160 samples"},
	}
	for _, test := range tests { // each answers the same offer: the last one counts
		if err := n.setAnswer([]byte(head + test.answer)); err != nil {
			t.Errorf("%s: %v", test.name, err)
		} else if got := summary(n.current); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.name, got, test.want)
		}
	}
	before := summary(n.current)
	for name, bad := range map[string]struct {
		answer string
		kind   bugle.Kind
	}{
		"refused":           {head + "m=audio 0 RTP/AVP 0\r\n", bugle.KindUnsupported},
		"a codec not asked": {head + "m=audio 4000 RTP/AVP 18\r\n", bugle.KindUnsupported},
		"video instead":     {head + "m=video 4000 RTP/AVP 0\r\n", bugle.KindInvalid},
		"broken":            {"v=0\r\n???", bugle.KindInvalid},
	} {
		if err := n.setAnswer([]byte(bad.answer)); bugle.KindOf(err) != bad.kind || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if summary(n.current) != before {
		t.Error("a bad answer changed the session")
	}
	if err := testNegotiation().setAnswer([]byte(head + "m=audio 4000 RTP/AVP 0\r\n")); bugle.KindOf(err) != bugle.KindInvalid || err == nil {
		t.Errorf("an answer without an offer: %v", err)
	}
}

// TestVersions follows RFC 3264 §8: the version goes up by one when, and only when, the description changed.
func TestVersions(t *testing.T) {
	t.Parallel()
	version := func(body []byte, err error) uint64 {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		second := readable(t, body)
		if second.Origin.SessionID != 1000 {
			t.Errorf("the session id changed to %d", second.Origin.SessionID)
		}
		return second.Origin.SessionVersion - 1000
	}
	n := testNegotiation()
	plain := head + "m=video 5000 RTP/AVP 99\r\nm=audio 4000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"
	steps := []struct {
		name string
		do   func() ([]byte, error)
		want uint64
	}{
		{"first answer", func() ([]byte, error) { return n.accept([]byte(plain)) }, 0},
		{"the same again", func() ([]byte, error) { return n.accept([]byte(plain)) }, 0},
		{"hold", func() ([]byte, error) { return n.accept([]byte(plain + "a=sendonly\r\n")) }, 1},
		{"resume", func() ([]byte, error) { return n.accept([]byte(plain)) }, 2},
		{"our own offer", n.offer, 3},
		{"our own offer again", n.offer, 3},
	}
	var last []byte
	for _, step := range steps {
		body, err := step.do()
		if got := version(body, err); got != step.want {
			t.Errorf("%s: version %d, want %d", step.name, got, step.want)
		}
		last = body
	}
	// A re-offer keeps every m= line in its place, and leads with the codec in use.
	if text := string(last); !strings.Contains(text, "m=video 0 RTP/AVP 99\r\nm=audio 16384 RTP/AVP 8 0 101\r\n") {
		t.Errorf("the re-offer is\n%s", text)
	}
	if _, err := n.accept([]byte(head + "m=audio 4000 RTP/AVP 8\r\n")); bugle.KindOf(err) != bugle.KindInvalid || err == nil {
		t.Errorf("a re-offer that drops a line: %v", err)
	}
}

func TestIPv6Description(t *testing.T) {
	t.Parallel()
	n := testNegotiation()
	n.local = netip.MustParseAddr("2001:db8::5")
	offer := strings.ReplaceAll(head, "IN IP4 192.0.2.7", "IN IP6 2001:db8::1") + "m=audio 4000 RTP/AVP 0\r\n"
	answer, err := n.accept([]byte(offer))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(answer), "c=IN IP6 2001:db8::5\r\n") || n.current.remote.String() != "[2001:db8::1]:4000" {
		t.Errorf("sends to %v, answers\n%s", n.current.remote, answer)
	}
	readable(t, answer)
}

func FuzzNegotiation(f *testing.F) {
	f.Add([]byte(head+"m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:30\r\n"), true)
	f.Add([]byte(head+"m=video 0 RTP/AVP 99\r\nm=audio 4000 RTP/SAVP 0\r\nm=audio 4000 RTP/AVPF 8\r\na=sendonly\r\n"), false)
	f.Add([]byte("v=0\nc=IN IP6 ::1\nm=audio 1 RTP/AVP 96\na=rtpmap:96 PCMA/8000\na=rtcp:9 IN IP4 1.2.3.4\n"), true)
	f.Fuzz(func(t *testing.T, body []byte, again bool) {
		n := testNegotiation()
		n.bothIP = true
		if again {
			if _, err := n.offer(); err != nil {
				t.Fatal(err)
			}
			if n.setAnswer(body) == nil && n.current.receiveCount == 0 {
				t.Error("an answer without a codec was taken")
			}
		}
		answer, err := n.accept(body)
		if err != nil {
			return
		}
		if samples := n.current.samples; samples < 80 || samples > 480 || n.current.remote.IsValid() && n.current.remote.Port() == 0 {
			t.Errorf("agreed on %s", summary(n.current))
		}
		// What we say must be readable and answerable, and keep the lines of the offer.
		offered, _ := parseDescription(body)
		said, err := parseDescription(answer)
		if err != nil {
			t.Fatalf("%v in\n%s", err, answer)
		}
		if len(said.media) != len(offered.media) {
			t.Errorf("%d lines answer %d", len(said.media), len(offered.media))
		}
		for i := range said.media {
			if said.media[i].kind != offered.media[i].kind || i != n.audio && said.media[i].port != 0 {
				t.Errorf("line %d is answered by\n%s", i, answer)
			}
		}
		if _, err := testNegotiation().accept(answer); err != nil {
			t.Errorf("we cannot read our own answer: %v\n%s", err, answer)
		}
		if _, err := n.offer(); err != nil {
			t.Errorf("no re-offer: %v", err)
		}
	})
}
