package sipua

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/icholy/digest"

	"bugle/internal/call"
	"bugle/internal/sip"
)

const offerSDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n" +
	"m=audio 40000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"

// peer is a SIP element that sends exactly what a test tells it to, over a UDP socket of its own.
type peer struct {
	t       testing.TB
	conn    *net.UDPConn
	addr    netip.AddrPort
	server  netip.AddrPort
	user    string
	realm   string
	callID  string
	tag     string
	to      string // To of requests within the dialog, with tag
	target  string
	seq     int
	last    string // Via of the last request
	only    bool   // messages of other calls are meant for one that had the port before
	buf     []byte
	leg     call.Leg
	invited *sip.Message // the last request of the server that a test keeps
}

var peers atomic.Int64

func (s *server) peer(user string) *peer {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	p := &peer{t: s.t, conn: conn, addr: conn.LocalAddr().(*net.UDPAddr).AddrPort(), server: s.udp, user: user, realm: "acme.test"}
	p.fresh()
	return p
}

// fresh begins another call.
func (p *peer) fresh() {
	n := peers.Add(1)
	p.callID, p.tag, p.to, p.seq = fmt.Sprintf("call%d@peer", n), fmt.Sprintf("peer%d", n), "", 0
}

func (p *peer) write(text string) {
	p.t.Helper()
	if _, err := p.conn.WriteToUDPAddrPort([]byte(text), p.server); err != nil {
		p.t.Fatal(err)
	}
}

// request sends a request; headers are whole lines. Without a target it goes to uri.
func (p *peer) request(method, uri string, headers []string, body string) {
	p.t.Helper()
	if method != "ACK" && method != "CANCEL" {
		p.seq++
	}
	if method != "CANCEL" {
		p.last = fmt.Sprintf("SIP/2.0/UDP %s;branch=z9hG4bK%s%d;rport", p.addr, p.tag, peers.Add(1))
	}
	to := p.to
	if to == "" {
		to = "<" + uri + ">"
	}
	if method == "REGISTER" {
		to = fmt.Sprintf("<sip:%s@%s>", p.user, p.realm)
	}
	p.write(p.message(fmt.Sprintf("%s %s SIP/2.0", method, uri), p.last, fmt.Sprintf("<sip:%s@%s>;tag=%s", p.user, p.realm, p.tag), to,
		fmt.Sprintf("%d %s", p.seq, method), headers, body))
}

func (p *peer) message(start, via, from, to, cseq string, headers []string, body string) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\r\nVia: %s\r\nMax-Forwards: 70\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %s\r\n", start, via, from, to,
		p.callID, cseq)
	contact := false
	for _, h := range headers {
		b.WriteString(h + "\r\n")
		contact = contact || strings.HasPrefix(h, "Contact:")
	}
	if !contact {
		fmt.Fprintf(&b, "Contact: <sip:%s@%s>\r\n", p.user, p.addr)
	}
	if body != "" && !strings.Contains(strings.Join(headers, "\n"), "Content-Type") {
		b.WriteString("Content-Type: application/sdp\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	return b.String()
}

// receive waits for the next message.
func (p *peer) receive() *sip.Message {
	p.t.Helper()
	if p.buf == nil {
		p.buf = make([]byte, 65536)
	}
again:
	p.conn.SetReadDeadline(time.Now().Add(patience))
	n, _, err := p.conn.ReadFromUDPAddrPort(p.buf)
	if err != nil {
		p.t.Fatalf("nothing received: %v", err)
	}
	m, err := sip.Parse(bytes.Clone(p.buf[:n]))
	if err != nil {
		p.t.Fatalf("not SIP: %v\n%s", err, p.buf[:n])
	}
	if p.only && m.CallID() != p.callID {
		goto again
	}
	return m
}

// expect waits for a response of this status; 100 may come before it.
func (p *peer) expect(status int) *sip.Message {
	p.t.Helper()
	for {
		m := p.receive()
		if m.StatusCode() == 100 && status != 100 {
			continue
		}
		if m.IsRequest() || m.StatusCode() != status {
			p.t.Fatalf("received, instead of %d:\n%s", status, m)
		}
		return m
	}
}

// expectRequest waits for a request of this method.
func (p *peer) expectRequest(method sip.Method) *sip.Message {
	p.t.Helper()
	m := p.receive()
	if !m.IsRequest() || m.Method() != method {
		p.t.Fatalf("received, instead of %s:\n%s", method, m)
	}
	return m
}

// respond answers a request; tag goes into To when it has none.
func (p *peer) respond(req *sip.Message, status int, tag string, headers []string, body string) {
	p.t.Helper()
	to := req.Header("To")
	if req.ToTag() == "" && tag != "" {
		to += ";tag=" + tag
	}
	p.callID = req.CallID()
	p.write(p.message(fmt.Sprintf("SIP/2.0 %d %s", status, sip.ReasonPhrase(status)), req.Header("Via"), req.Header("From"), to,
		req.Header("CSeq"), headers, body))
}

// authorization makes the header for a challenge, with an independent implementation.
func authorization(t testing.TB, res *sip.Message, method, uri, user, password string, count int) string {
	t.Helper()
	chal, err := digest.ParseChallenge(res.Header("WWW-Authenticate"))
	if err != nil {
		t.Fatalf("challenge %q: %v", res.Header("WWW-Authenticate"), err)
	}
	c, err := digest.Digest(chal, digest.Options{Method: method, URI: uri, Username: user, Password: password, Count: count})
	if err != nil {
		t.Fatal(err)
	}
	return "Authorization: " + c.String()
}

// invite sends an INVITE with credentials and returns when the call layer can have it.
func (p *peer) invite(dialed string, headers []string, body string) {
	p.t.Helper()
	uri := fmt.Sprintf("sip:%s@%s", dialed, p.realm)
	p.request("INVITE", uri, headers, body)
	res := p.expect(401)
	p.ack(res, uri)
	auth := authorization(p.t, res, "INVITE", uri, p.user, "secret", 1)
	p.request("INVITE", uri, append([]string{auth}, headers...), body)
	p.target = uri
}

// ack acknowledges a final response that is no 2xx.
func (p *peer) ack(res *sip.Message, uri string) {
	p.t.Helper()
	p.write(p.message("ACK "+uri+" SIP/2.0", p.last, res.Header("From"), res.Header("To"), fmt.Sprintf("%d ACK", p.seq), nil, ""))
}

// confirm takes a 2xx and acknowledges it.
func (p *peer) confirm(body string) *sip.Message {
	p.t.Helper()
	res := p.expect(200)
	p.dialog(res)
	p.request("ACK", p.target, nil, body)
	return res
}

// dialog remembers what requests within the dialog need.
func (p *peer) dialog(res *sip.Message) {
	p.to = res.Header("To")
	contact, err := res.Contact()
	if err != nil {
		p.t.Fatalf("no Contact:\n%s", res)
	}
	p.target = contact.URI.String()
}

// within sends a request in the dialog.
func (p *peer) within(method string, headers []string, body string) {
	p.t.Helper()
	p.request(method, p.target, headers, body)
}
