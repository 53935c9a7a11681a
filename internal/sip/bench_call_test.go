package sip

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/emiago/sipgo"
	sipgosip "github.com/emiago/sipgo/sip"
)

// callDriver plays the caller over a UDP socket: INVITE, 200, ACK, BYE, 200.
type callDriver struct {
	conn *net.UDPConn
	to   netip.AddrPort
	buf  []byte
	out  []byte
}

func newCallDriver(b *testing.B, to netip.AddrPort) *callDriver {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	return &callDriver{conn: conn, to: to, buf: make([]byte, 1<<16)}
}

func (d *callDriver) send(b *testing.B, method, kind string, i int, cseq int, toTag string) {
	d.out = fmt.Appendf(d.out[:0], "%s sip:1000@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s%d;rport\r\n"+
		"Max-Forwards: 70\r\nFrom: <sip:a@127.0.0.1>;tag=f%d\r\nTo: <sip:1000@127.0.0.1>%s\r\nCall-ID: call%d@bench\r\n"+
		"CSeq: %d %s\r\nContact: <sip:a@%s>\r\nContent-Length: 0\r\n\r\n",
		method, d.conn.LocalAddr(), kind, i, i, toTag, i, cseq, method, d.conn.LocalAddr())
	if _, err := d.conn.WriteToUDPAddrPort(d.out, d.to); err != nil {
		b.Fatal(err)
	}
}

func (d *callDriver) expect200(b *testing.B) {
	for {
		n, _, err := d.conn.ReadFromUDPAddrPort(d.buf)
		if err != nil {
			b.Fatal(err)
		}
		if strings.HasPrefix(view(d.buf[:n]), "SIP/2.0 200") {
			return
		}
	}
}

func (d *callDriver) call(b *testing.B, i int) {
	d.send(b, "INVITE", "i", i, 1, "")
	d.expect200(b)
	d.send(b, "ACK", "a", i, 1, ";tag=x")
	d.send(b, "BYE", "b", i, 2, ";tag=x")
	d.expect200(b)
}

// BenchmarkCall is a whole call, caller included: the caller's part is that of the floor program beside it.
func BenchmarkCall(b *testing.B) {
	sdp := []byte("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n")
	b.Run("floor", func(b *testing.B) { benchFloor(b, sdp) })
	b.Run("bugle", func(b *testing.B) {
		s := New(Options{
			OnRequest: func(tx *ServerTransaction, m *Message) {
				response := NewResponse(m, 200, "")
				response.Add("Contact", "<sip:127.0.0.1>")
				if m.Method() == INVITE {
					response.SetBody("application/sdp", sdp)
				}
				_ = tx.Respond(response)
				response.Release()
				m.Release()
			},
			OnACK: func(m *Message, _ Source) { m.Release() },
		})
		addr, err := s.ListenUDP(context.Background(), "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		d := newCallDriver(b, addr)
		d.measure(b)
		if err := s.Close(context.Background()); err != nil {
			b.Fatal(err)
		}
	})
	b.Run("sipgo", func(b *testing.B) { benchSipgo(b, sdp) })
}

// benchFloor answers with nothing above the socket.
func benchFloor(b *testing.B, sdp []byte) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan bool)
	go func() {
		defer close(done)
		in, out := make([]byte, 1<<16), make([]byte, 0, 4096)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(in)
			if err != nil {
				return
			}
			text := view(in[:n])
			if strings.HasPrefix(text, "ACK") {
				continue
			}
			out = append(out[:0], "SIP/2.0 200 OK\r\n"...)
			for line := range strings.SplitSeq(text, "\r\n") {
				if name, _, ok := strings.Cut(line, ":"); ok && (name == "Via" || name == "From" || name == "To" ||
					name == "Call-ID" || name == "CSeq") {
					out = append(append(out, line...), "\r\n"...)
				}
			}
			out = fmt.Appendf(out, "Content-Length: %d\r\n\r\n%s", len(sdp), sdp)
			_, _ = conn.WriteToUDPAddrPort(out, from)
		}
	}()
	d := newCallDriver(b, conn.LocalAddr().(*net.UDPAddr).AddrPort())
	d.measure(b)
	conn.Close()
	<-done
}

// benchSipgo answers by the transactions of sipgo.
func benchSipgo(b *testing.B, sdp []byte) {
	ua, err := sipgo.NewUA()
	if err != nil {
		b.Fatal(err)
	}
	server, err := sipgo.NewServer(ua)
	if err != nil {
		b.Fatal(err)
	}
	answer := func(req *sipgosip.Request, tx sipgosip.ServerTransaction) {
		res := sipgosip.NewResponseFromRequest(req, 200, "OK", sdp)
		res.AppendHeader(sipgosip.NewHeader("Contact", "<sip:127.0.0.1>"))
		_ = tx.Respond(res)
	}
	server.OnInvite(answer)
	server.OnBye(answer)
	server.OnAck(func(*sipgosip.Request, sipgosip.ServerTransaction) {})
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan bool)
	go func() {
		defer close(done)
		_ = server.ServeUDP(conn)
	}()
	d := newCallDriver(b, conn.LocalAddr().(*net.UDPAddr).AddrPort())
	d.measure(b)
	_ = ua.Close()
	conn.Close()
	<-done
}

// measure runs the calls and reports the processor time of one, which the clock's figure hides: both sides wait.
func (d *callDriver) measure(b *testing.B) {
	b.ReportAllocs()
	before := cpuTime()
	i := 0
	for b.Loop() {
		d.call(b, i)
		i++
	}
	b.StopTimer()
	b.ReportMetric(float64(cpuTime()-before)/float64(i), "cpu-ns/op")
}

func cpuTime() int64 {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return r.Utime.Nano() + r.Stime.Nano()
}
