package sip

import (
	"strings"
	"testing"

	sipgo "github.com/emiago/sipgo/sip"
)

// inviteText is a usual INVITE of a phone, 17 header fields and SDP.
var inviteText = wire(`INVITE sip:1002@pbx.example.com SIP/2.0
Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-524287-1---3b5c0f4e0f2a9d31;rport
Max-Forwards: 70
Contact: <sip:1001@192.0.2.10:5060;ob>
To: <sip:1002@pbx.example.com>
From: "Ann Lee" <sip:1001@pbx.example.com>;tag=5f3a1e77
Call-ID: 84629ZTc3MWY4ZmU5NzI2NzA5YmM1ZDFkYjBjNWQ2YjA
CSeq: 2 INVITE
Allow: PRACK, INVITE, ACK, BYE, CANCEL, UPDATE, INFO, SUBSCRIBE, NOTIFY, REFER, MESSAGE, OPTIONS
Supported: replaces, 100rel, timer, norefersub
Session-Expires: 1800
Min-SE: 90
User-Agent: Example Softphone 5.19.2
Authorization: Digest username="1001", realm="pbx.example.com", nonce="1f7a3bd25c0e4f96", uri="sip:1002@pbx.example.com", response="0123456789abcdef0123456789abcdef", algorithm=MD5, cnonce="5a6b7c8d", nc=00000001, qop=auth
P-Preferred-Identity: "Ann Lee" <sip:1001@pbx.example.com>
Content-Type: application/sdp
Content-Length: 239

v=0
o=- 3890123456 3890123456 IN IP4 192.0.2.10
s=Example
c=IN IP4 192.0.2.10
t=0 0
m=audio 49170 RTP/AVP 0 8 101
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=sendrecv
a=ptime:20
`)

func TestBenchmarkMessageIsWhole(t *testing.T) {
	t.Parallel()
	m, err := Parse(append([]byte(nil), inviteText...))
	check(t, err)
	if r := Validate(m); r != nil || len(m.Body()) != 239 {
		t.Fatalf("%+v, body of %d bytes", r, len(m.Body()))
	}
	if _, err := sipgo.NewParser().ParseSIP(inviteText); err != nil {
		t.Fatal(err)
	}
}

func TestParsingAllocatesNothing(t *testing.T) {
	data := append([]byte(nil), inviteText...)
	var m Message
	if n := testing.AllocsPerRun(100, func() {
		if m.Parse(data) != nil || m.CallID() == "" || m.FromTag() == "" {
			t.Fatal("broken")
		}
		if via, err := m.TopVia(); err != nil || via.Branch() == "" {
			t.Fatal("broken")
		}
		if n, method := m.CSeq(); n != 2 || method != INVITE {
			t.Fatal("broken")
		}
		if Validate(&m) != nil {
			t.Fatal("broken")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestBuildingAResponseAllocatesNothing(t *testing.T) {
	req, err := Parse(append([]byte(nil), inviteText...))
	check(t, err)
	req.source = Source{Transport: UDP, Remote: peerAddr, Local: rigAddr}
	sdp := []byte("v=0\r\n")
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() {
		m := NewResponse(req, 200, "")
		m.Add("Contact", "<sip:192.0.2.1:5060>")
		m.SetBody("application/sdp", sdp)
		buf = m.AppendTo(buf[:0])
		m.Release()
	}); n > 0.1 && !poisonReleased { // the pool may be emptied in between
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkParse(b *testing.B) {
	b.Run("bugle", func(b *testing.B) {
		data := append([]byte(nil), inviteText...)
		var m Message
		b.ReportAllocs()
		for b.Loop() {
			if m.Parse(data) != nil || m.CallID() == "" || m.FromTag() == "" {
				b.Fatal("broken")
			}
			if via, err := m.TopVia(); err != nil || via.Branch() == "" {
				b.Fatal("broken")
			}
			if n, _ := m.CSeq(); n != 2 {
				b.Fatal("broken")
			}
		}
	})
	b.Run("bugle-validated", func(b *testing.B) {
		data := append([]byte(nil), inviteText...)
		var m Message
		b.ReportAllocs()
		for b.Loop() {
			if m.Parse(data) != nil || Validate(&m) != nil {
				b.Fatal("broken")
			}
		}
	})
	b.Run("sipgo", func(b *testing.B) {
		parser := sipgo.NewParser()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := parser.ParseSIP(inviteText); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkBuild200(b *testing.B) {
	sdp := []byte(strings.Repeat("a=x\r\n", 40))
	b.Run("bugle", func(b *testing.B) {
		req, err := Parse(append([]byte(nil), inviteText...))
		if err != nil {
			b.Fatal(err)
		}
		req.source = Source{Transport: UDP, Remote: peerAddr, Local: rigAddr}
		buf := make([]byte, 0, 4096)
		b.ReportAllocs()
		for b.Loop() {
			m := NewResponse(req, 200, "")
			m.Add("Contact", "<sip:192.0.2.1:5060>")
			m.SetBody("application/sdp", sdp)
			buf = m.AppendTo(buf[:0])
			m.Release()
		}
	})
	b.Run("sipgo", func(b *testing.B) {
		parsed, err := sipgo.NewParser().ParseSIP(inviteText)
		if err != nil {
			b.Fatal(err)
		}
		req := parsed.(*sipgo.Request)
		var out strings.Builder
		b.ReportAllocs()
		for b.Loop() {
			res := sipgo.NewResponseFromRequest(req, 200, "OK", sdp)
			res.AppendHeader(sipgo.NewHeader("Contact", "<sip:192.0.2.1:5060>"))
			out.Reset()
			res.StringWrite(&out)
		}
	})
}
