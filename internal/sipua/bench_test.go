package sipua

import (
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"bugle/internal/call"
)

// cpu returns the CPU time of this process.
func cpu() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkRegister1000 has a thousand phones register with a digest over UDP, from REGISTER to 200 in four messages. The
// figure beside it is what the same number of datagrams costs between two sockets; both count the phones' work too.
func BenchmarkRegister1000(b *testing.B) {
	s := startServer(b, nil)
	p := s.peer("ann")
	start, n := cpu(), 0
	for b.Loop() {
		for range 1000 {
			p.fresh()
			p.request("REGISTER", "sip:acme.test", nil, "")
			res := p.expect(401)
			value := res.Header("WWW-Authenticate")
			_, rest, _ := strings.Cut(value, `nonce="`)
			nonce, _, _ := strings.Cut(rest, `"`)
			ha1, ha2 := md5Hex("ann:acme.test:secret"), md5Hex("REGISTER:sip:acme.test")
			response := md5Hex(ha1 + ":" + nonce + ":00000001:abc:auth:" + ha2)
			p.request("REGISTER", "sip:acme.test", []string{fmt.Sprintf(`Authorization: Digest username="ann", realm="acme.test", `+
				`nonce="%s", uri="sip:acme.test", response="%s", algorithm=MD5, qop=auth, nc=00000001, cnonce="abc"`, nonce, response)}, "")
			p.expect(200)
			n++
		}
	}
	b.ReportMetric(float64((cpu()-start).Microseconds())/float64(n), "cpu-µs/registration")
	b.ReportMetric(float64(floor(b, 4).Microseconds()), "floor-µs/registration")
}

// BenchmarkInboundCall1000 is a thousand calls from INVITE to BYE, without digests.
func BenchmarkInboundCall1000(b *testing.B) {
	s := fuzzServer(b)
	p := s.peer("ann")
	start, n := cpu(), 0
	for b.Loop() {
		for range 1000 {
			p.fresh()
			p.request("INVITE", "sip:411@acme.test", nil, offerSDP)
			in, k := s.incoming()
			in.Leg.Ring()
			p.expect(180)
			in.Leg.Answer()
			p.target = "sip:411@acme.test"
			next[call.Answered](k)
			p.confirm("")
			p.within("BYE", nil, "")
			p.expect(200)
			next[call.Ended](k)
			n++
		}
	}
	b.ReportMetric(float64((cpu()-start).Microseconds())/float64(n), "cpu-µs/call")
	b.ReportMetric(float64(floor(b, 6).Microseconds()), "floor-µs/call")
}

// floor is the CPU time that so many datagrams of 600 bytes cost between two sockets of this process.
func floor(b *testing.B, datagrams int) time.Duration {
	from, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	defer from.Close()
	to, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	defer to.Close()
	const rounds = 1000
	addr, buf := to.LocalAddr().(*net.UDPAddr).AddrPort(), make([]byte, 2000)
	start := cpu()
	for range rounds * datagrams {
		if _, err := from.WriteToUDPAddrPort(buf[:600], addr); err != nil {
			b.Fatal(err)
		}
		if _, _, err := to.ReadFromUDPAddrPort(buf); err != nil {
			b.Fatal(err)
		}
	}
	return (cpu() - start) / rounds
}
