package sip

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// live is a stack on real sockets of the loopback range, whose user answers every request 200.
type live struct {
	*rig
	udp, tcp netip.AddrPort
}

func newLive(t *testing.T, change func(*Options)) *live {
	t.Helper()
	r := newRig(t, func(o *Options) {
		o.Clock = nil
		o.OnRequest = func(tx *ServerTransaction, m *Message) { _ = tx.Reply(200, "") }
		if change != nil {
			change(o)
		}
	})
	r.s.udp = nil
	l := &live{rig: r}
	var err error
	l.udp, err = r.s.ListenUDP(t.Context(), "127.0.0.1:0")
	check(t, err)
	l.tcp, err = r.s.ListenTCP(t.Context(), "127.0.0.1:0")
	check(t, err)
	return l
}

func wire(text string) []byte { return []byte(strings.ReplaceAll(text, "\n", "\r\n")) }

func listenUDP(t *testing.T) (*net.UDPConn, netip.AddrPort) {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	check(t, err)
	t.Cleanup(func() { conn.Close() })
	check(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	return conn, conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

func readUDP(t *testing.T, conn *net.UDPConn) (*Message, netip.AddrPort) {
	t.Helper()
	buf := make([]byte, 1<<16)
	n, from, err := conn.ReadFromUDPAddrPort(buf)
	check(t, err)
	m, err := Parse(buf[:n])
	check(t, err)
	return m, from
}

func (l *live) dial() net.Conn {
	l.t.Helper()
	conn, err := net.Dial("tcp", l.tcp.String())
	check(l.t, err)
	l.t.Cleanup(func() { conn.Close() })
	check(l.t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	return conn
}

// readStream reads one message that has no body.
func readStream(t *testing.T, conn net.Conn) *Message {
	t.Helper()
	var got []byte
	one := make([]byte, 1)
	for !bytes.HasSuffix(got, []byte("\r\n\r\n")) {
		if _, err := io.ReadFull(conn, one); err != nil {
			t.Fatalf("%v after %q", err, got)
		}
		got = append(got, one[0])
	}
	m, err := Parse(got)
	check(t, err)
	return m
}

func wantClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	if b, err := io.ReadAll(conn); len(b) > 0 || errors.Is(err, errTimeoutOf(err)) {
		t.Errorf("read %q, %v", b, err)
	}
}

func errTimeoutOf(err error) error {
	var n net.Error
	if errors.As(err, &n) && n.Timeout() {
		return err
	}
	return errors.New("no timeout")
}

func TestUDPAnswersWhereTheRequestCameFrom(t *testing.T) {
	t.Parallel()
	l := newLive(t, nil)
	conn, here := listenUDP(t)
	send := func(via string) *Message {
		t.Helper()
		text := strings.Replace(request("OPTIONS", "z9hG4bK1", "", "c"+via, 1), "192.0.2.99:5080;branch=z9hG4bK1;rport", via, 1)
		_, err := conn.WriteToUDPAddrPort(wire(text), l.udp)
		check(t, err)
		m, _ := readUDP(t, conn)
		return m
	}
	for _, c := range []struct{ via, want string }{
		// RFC 3581 §4: rport gets the source port, and received is added even when it says nothing new
		{"192.0.2.7:7777;branch=z9hG4bK1;rport", fmt.Sprintf("192.0.2.7:7777;branch=z9hG4bK1;received=127.0.0.1;rport=%d", here.Port())},
		{"phone.example.com;rport;branch=z9hG4bK2", fmt.Sprintf("phone.example.com;branch=z9hG4bK2;received=127.0.0.1;rport=%d", here.Port())},
		{"127.0.0.1:7;rport=9;branch=z9hG4bK3;received=192.0.2.1", fmt.Sprintf("127.0.0.1:7;branch=z9hG4bK3;received=127.0.0.1;rport=%d", here.Port())},
		// RFC 3261 §18.2.1, §18.2.2: without rport the port is that of the sent-by
		{fmt.Sprintf("phone.example.com:%d;branch=z9hG4bK4", here.Port()), fmt.Sprintf("phone.example.com:%d;branch=z9hG4bK4;received=127.0.0.1", here.Port())},
		{fmt.Sprintf("127.0.0.1:%d;branch=z9hG4bK5", here.Port()), fmt.Sprintf("127.0.0.1:%d;branch=z9hG4bK5", here.Port())},
	} {
		if got := send(c.via).Header("Via"); got != "SIP/2.0/UDP "+c.want {
			t.Errorf("%s came back as %s", c.via, got)
		}
	}
}

func TestUDPIgnoresKeepAlivesAndNoise(t *testing.T) {
	t.Parallel()
	l := newLive(t, nil)
	conn, _ := listenUDP(t)
	for _, noise := range []string{"", "\r\n\r\n", "\x00\x00\x00\x00", "hello", "\x00\x01\x00\x00\x21\x12\xa4\x42123456789012",
		"SIP/2.0 999999 x\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"} {
		_, err := conn.WriteToUDPAddrPort([]byte(noise), l.udp)
		check(t, err)
	}
	_, err := conn.WriteToUDPAddrPort(wire(request("OPTIONS", "z9hG4bK1", "", "c1", 1)), l.udp)
	check(t, err)
	if m, _ := readUDP(t, conn); m.StatusCode() != 200 {
		t.Errorf("got %s", m)
	}
}

func TestTCPFraming(t *testing.T) {
	t.Parallel()
	l := newLive(t, nil)
	conn := l.dial()
	one := string(wire(request("OPTIONS", "z9hG4bK1", "", "c1", 1)))
	two := string(wire(strings.Replace(request("OPTIONS", "z9hG4bK2", "", "c2", 1), "Content-Length: 0\n\n", "l : 5\n\nhello", 1)))
	three := string(wire(request("OPTIONS", "z9hG4bK3", "", "c3", 1)))
	for i := range len(one) { // byte by byte
		_, err := io.WriteString(conn, one[i:i+1])
		check(t, err)
	}
	if m := readStream(t, conn); m.CallID() != "c1" {
		t.Errorf("got %s", m)
	}
	_, err := io.WriteString(conn, "\r\n"+two+three+two[:100]) // several at once
	check(t, err)
	got := map[string]bool{readStream(t, conn).CallID(): true}
	got[readStream(t, conn).CallID()] = true
	if !got["c2"] || !got["c3"] {
		t.Errorf("got %v", got)
	}
}

// RFC 5626 §3.5.1.
func TestTCPPingIsAnsweredWithAPong(t *testing.T) {
	t.Parallel()
	l := newLive(t, nil)
	conn := l.dial()
	_, err := io.WriteString(conn, "\r\n\r\n")
	check(t, err)
	pong := make([]byte, 2)
	if _, err := io.ReadFull(conn, pong); err != nil || string(pong) != "\r\n" {
		t.Errorf("pong %q %v", pong, err)
	}
	_, err = io.WriteString(conn, "\r\n"+string(wire(request("OPTIONS", "z9hG4bK1", "", "c1", 1)))) // a single one is no ping
	check(t, err)
	if m := readStream(t, conn); m.StatusCode() != 200 {
		t.Errorf("got %s", m)
	}
}

func TestTCPStreamThatCannotBeFramedIsClosed(t *testing.T) {
	t.Parallel()
	good := request("OPTIONS", "z9hG4bK1", "", "c1", 1)
	for _, c := range []struct{ name, text, want string }{
		{"no Content-Length", strings.Replace(good, "Content-Length: 0\n", "", 1), "400 Missing Content-Length"},
		{"two", strings.Replace(good, "Content-Length: 0\n", "Content-Length: 0\nl: 0\n", 1), "400 Repeated Content-Length"},
		{"negative", strings.Replace(good, "Content-Length: 0\n", "Content-Length: -1\n", 1), "400 Malformed Content-Length"},
		{"too large", strings.Replace(good, "Content-Length: 0\n", "Content-Length: 66000\n", 1), "513 Message Too Large"},
		{"endless header", strings.Replace(good, "\n\n", "\n"+strings.Repeat("X: y\n", 14000), 1), ""},
		{"endless line", strings.Repeat("x", MaxStreamMessage+1), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := newLive(t, nil)
			conn := l.dial()
			_, _ = conn.Write(wire(c.text)) // the other side may close before all of it is written
			if c.want != "" {
				m := readStream(t, conn)
				if got := fmt.Sprint(m.StatusCode(), " ", m.Reason()); got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
			}
			wantClosed(t, conn)
		})
	}
}

func TestTCPMessageWithABrokenHeaderLeavesTheStreamOpen(t *testing.T) {
	t.Parallel()
	l := newLive(t, nil)
	conn := l.dial()
	_, err := conn.Write(wire(strings.Replace(request("OPTIONS", "z9hG4bK1", "", "c1", 1), "1 OPTIONS", "1 BYE", 1)))
	check(t, err)
	if m := readStream(t, conn); m.StatusCode() != 400 {
		t.Errorf("got %s", m)
	}
	_, err = conn.Write(wire(request("OPTIONS", "z9hG4bK2", "", "c2", 1)))
	check(t, err)
	if m := readStream(t, conn); m.StatusCode() != 200 {
		t.Errorf("got %s", m)
	}
}

func TestTCPConnectionsThatSayNothingAreClosed(t *testing.T) {
	t.Parallel()
	l := newLive(t, func(o *Options) { o.FirstMessage, o.StreamIdle = 30*time.Millisecond, time.Hour })
	wantClosed(t, l.dial())
	half := l.dial()
	_, err := io.WriteString(half, "OPTIONS sip:a@b SIP/2.0\r\n")
	check(t, err)
	wantClosed(t, half)

	l = newLive(t, func(o *Options) { o.FirstMessage, o.StreamIdle = time.Hour, 30*time.Millisecond })
	conn := l.dial()
	_, err = conn.Write(wire(request("OPTIONS", "z9hG4bK1", "", "c1", 1)))
	check(t, err)
	readStream(t, conn)
	wantClosed(t, conn)
}

func TestTCPConnectionsOfOursThatSayNothingAreClosed(t *testing.T) {
	t.Parallel()
	l := newLive(t, func(o *Options) { o.FirstMessage, o.StreamIdle = time.Hour, 30*time.Millisecond })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer listener.Close()
	check(t, listener.(*net.TCPListener).SetDeadline(time.Now().Add(20*time.Second)))
	here := listener.Addr().(*net.TCPAddr).AddrPort()
	_, err = l.s.Request(userRequest(OPTIONS, "c1"), Destination{Transport: TCP, Addr: here}, func(Result) {})
	check(t, err)
	conn, err := listener.Accept()
	check(t, err)
	defer conn.Close()
	check(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	readStream(t, conn)
	wantClosed(t, conn)
}

func TestTCPConnectionsAreLimited(t *testing.T) {
	t.Parallel()
	for _, perAddr := range []bool{true, false} {
		l := newLive(t, func(o *Options) {
			o.FirstMessage, o.StreamIdle = time.Hour, time.Hour
			if perAddr {
				o.MaxConnectionsPerAddr = 2
			} else {
				o.MaxConnections = 2
			}
		})
		one, two := l.dial(), l.dial()
		for i, conn := range []net.Conn{one, two} {
			_, err := conn.Write(wire(request("OPTIONS", fmt.Sprint("z9hG4bK", i), "", fmt.Sprint("c", i), 1)))
			check(t, err)
			readStream(t, conn)
		}
		wantClosed(t, l.dial())
		check(t, one.Close())
		for l.s.Stats().Connections > 1 {
			time.Sleep(time.Millisecond) // until the server has seen the end
		}
		conn := l.dial()
		_, err := conn.Write(wire(request("OPTIONS", "z9hG4bKx", "", "cx", 1)))
		check(t, err)
		readStream(t, conn)
	}
}

// A phone that registered over TCP is reached on its own connection (RFC 5626 §5.3).
func TestRequestsReuseThePhonesConnection(t *testing.T) {
	t.Parallel()
	sources := make(chan Source, 1)
	l := newLive(t, func(o *Options) {
		o.OnRequest = func(tx *ServerTransaction, m *Message) {
			sources <- tx.Source()
			_ = tx.Reply(200, "")
		}
	})
	conn := l.dial()
	_, err := conn.Write(wire(request("REGISTER", "z9hG4bK1", "", "c1", 1)))
	check(t, err)
	readStream(t, conn)
	dst := receive(t, sources).Destination()
	dst.FlowOnly = true
	results := make(chan Result, 10)
	_, err = l.s.Request(userRequest(OPTIONS, "c2"), dst, func(r Result) { results <- r })
	check(t, err)
	m := readStream(t, conn)
	via, err := m.TopVia()
	if err != nil || m.Method() != OPTIONS || via.Transport != "TCP" || via.Port != l.tcp.Port() {
		t.Errorf("got %s", m)
	}
	_, err = conn.Write(NewResponse(m, 200, "").Bytes())
	check(t, err)
	if got := status(t, results); got != 200 {
		t.Errorf("got %d", got)
	}
	check(t, conn.Close())
	for l.s.Stats().Connections > 0 {
		time.Sleep(time.Millisecond) // until the server has seen the end
	}
	_, err = l.s.Request(userRequest(OPTIONS, "c3"), dst, func(r Result) { results <- r })
	check(t, err)
	wantError(t, results, ErrTransport)
}

// RFC 3261 §18.2.2: when the connection is gone, the response goes to the sent-by address.
func TestResponseFindsANewConnection(t *testing.T) {
	t.Parallel()
	pending := make(chan *ServerTransaction, 1)
	l := newLive(t, func(o *Options) { o.OnRequest = func(tx *ServerTransaction, _ *Message) { pending <- tx } })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer listener.Close()
	conn := l.dial()
	text := strings.Replace(request("OPTIONS", "z9hG4bK1", "", "c1", 1), "192.0.2.99:5080", listener.Addr().String(), 1)
	_, err = conn.Write(wire(text))
	check(t, err)
	tx := receive(t, pending)
	check(t, conn.Close())
	for l.s.Stats().Connections > 0 {
		time.Sleep(time.Millisecond) // until the server has seen the end
	}
	check(t, tx.Reply(200, ""))
	back, err := listener.Accept()
	check(t, err)
	defer back.Close()
	if m := readStream(t, back); m.StatusCode() != 200 {
		t.Errorf("got %s", m)
	}
}

// RFC 3261 §18.1.1.
func TestLargeRequestGoesByTCPAndFallsBackToUDP(t *testing.T) {
	t.Parallel()
	l := newLive(t, nil)
	large := func(callID string) *Message {
		m := userRequest(INVITE, callID)
		m.SetBody("application/sdp", bytes.Repeat([]byte("a=x\r\n"), 400))
		return m
	}
	results := make(chan Result, 10)
	conn, here := listenUDP(t)

	listener, err := net.Listen("tcp", here.String())
	check(t, err)
	check(t, listener.(*net.TCPListener).SetDeadline(time.Now().Add(20*time.Second)))
	_, err = l.s.Request(large("by-tcp"), Destination{Addr: here}, func(r Result) { results <- r })
	check(t, err)
	stream, err := listener.Accept()
	check(t, err)
	check(t, stream.SetDeadline(time.Now().Add(20*time.Second)))
	m := readStreamHead(t, stream)
	if !strings.HasPrefix(m.Header("Via"), "SIP/2.0/TCP ") {
		t.Errorf("got %s", m)
	}
	_, err = stream.Write(NewResponse(m, 486, "").Bytes())
	check(t, err)
	if got := status(t, results); got != 486 {
		t.Errorf("got %d", got)
	}
	if ack := readStream(t, stream); ack.Method() != ACK {
		t.Errorf("got %s", ack)
	}
	check(t, stream.Close())
	check(t, listener.Close())
	for l.s.Stats().Connections > 0 {
		time.Sleep(time.Millisecond) // until the stack has seen the end
	}

	for i := range 2 { // the second time it is known that TCP is not to be had there
		_, err = l.s.Request(large(fmt.Sprint("by-udp", i)), Destination{Addr: here}, func(r Result) { results <- r })
		check(t, err)
		m, from := readUDP(t, conn)
		if !strings.HasPrefix(m.Header("Via"), "SIP/2.0/UDP ") || len(m.Body()) != 2000 || from != l.udp {
			t.Errorf("from %v %s", from, m)
		}
		_, err = conn.WriteToUDPAddrPort(NewResponse(m, 486, "").Bytes(), l.udp)
		check(t, err)
		if got := status(t, results); got != 486 {
			t.Errorf("got %d", got)
		}
		if ack, _ := readUDP(t, conn); ack.Method() != ACK {
			t.Errorf("got %s", ack)
		}
		if !l.s.refusesTCP(here) {
			t.Error("it is not remembered that there is no TCP")
		}
	}
}

// readStreamHead reads a message and its body.
func readStreamHead(t *testing.T, conn net.Conn) *Message {
	t.Helper()
	var f framer
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		check(t, err)
		f.take(buf[:n])
		if message, _, ferr := f.next(); ferr != nil {
			t.Fatal(ferr)
		} else if message != nil {
			m, err := Parse(append([]byte(nil), message...))
			check(t, err)
			return m
		}
	}
}

// One peer that does not read must not hold up another, nor gather memory without end.
func TestPeerThatDoesNotReadHoldsUpNobody(t *testing.T) {
	t.Parallel()
	body := bytes.Repeat([]byte("x"), 30000)
	l := newLive(t, func(o *Options) {
		o.WriteTimeout = 200 * time.Millisecond
		o.FirstMessage, o.StreamIdle = time.Hour, time.Hour
		o.OnRequest = func(tx *ServerTransaction, m *Message) {
			response := NewResponse(m, 200, "")
			response.SetBody("text/plain", body)
			_ = tx.Respond(response)
		}
	})
	deaf, conn := l.dial(), l.dial()
	go func() { // ends when the stack has closed the connection
		for i := 0; ; i++ {
			if _, err := deaf.Write(wire(request("OPTIONS", fmt.Sprint("z9hG4bKd", i), "", fmt.Sprint("d", i), 1))); err != nil {
				return
			}
		}
	}()
	for i := range 20 {
		_, err := conn.Write(wire(request("OPTIONS", fmt.Sprint("z9hG4bK", i), "", fmt.Sprint("c", i), 1)))
		check(t, err)
		if m := readStreamHead(t, conn); m.StatusCode() != 200 {
			t.Errorf("got %d", m.StatusCode())
		}
	}
	for l.s.Stats().Connections > 1 {
		time.Sleep(time.Millisecond) // until the deaf one is gone; the test's own limit ends it otherwise
	}
}

func TestLocalAddrIsWhatThePeerCanReach(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.ExternalIP = netip.MustParseAddr("198.51.100.9") })
	r.s.udp = nil
	bound, err := r.s.ListenUDP(t.Context(), "0.0.0.0:0")
	check(t, err)
	for peer, want := range map[string]string{
		"127.0.0.1:5060":   fmt.Sprint("127.0.0.1:", bound.Port()),
		"203.0.113.4:5060": fmt.Sprint("198.51.100.9:", bound.Port()),
	} {
		if got := r.s.LocalAddr(Destination{Addr: netip.MustParseAddrPort(peer)}); got.String() != want {
			t.Errorf("towards %s: %v, want %s", peer, got, want)
		}
	}
	if got := r.s.LocalAddr(Destination{Addr: netip.MustParseAddrPort("[2001:db8::1]:5060")}); got.IsValid() {
		t.Errorf("towards IPv6: %v", got)
	}
}
