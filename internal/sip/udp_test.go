package sip

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

// Every family that a socket may be of, and the form of IPv4 addresses that one for both sees.
func TestUDPFamilies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ listen, to, from string }{
		{"127.0.0.1:0", "127.0.0.1", "127.0.0.1"},
		{"[::1]:0", "::1", "::1"},
		{"[::]:0", "::1", "::1"},
		{"[::]:0", "127.0.0.1", "127.0.0.1"},
	} {
		t.Run(c.listen+" "+c.to, func(t *testing.T) {
			t.Parallel()
			sources := make(chan Source, 1)
			l := newLive(t, func(o *Options) {
				o.OnRequest = func(tx *ServerTransaction, m *Message) {
					sources <- tx.Source()
					_ = tx.Reply(200, "")
				}
			})
			bound, err := l.s.ListenUDP(t.Context(), c.listen)
			check(t, err)
			to := netip.AddrPortFrom(netip.MustParseAddr(c.to), bound.Port())
			conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
			check(t, err)
			t.Cleanup(func() { conn.Close() })
			check(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
			local := conn.LocalAddr().(*net.UDPAddr).AddrPort()
			_, err = conn.Write(wire("OPTIONS sip:x@h SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK1;rport\n" +
				"From: <sip:a@h>;tag=1\nTo: <sip:x@h>\nCall-ID: family\nCSeq: 1 OPTIONS\nMax-Forwards: 70\nContent-Length: 0\n\n"))
			check(t, err)
			answer, _ := readUDP(t, conn)
			if answer.StatusCode() != 200 {
				t.Errorf("answered %d", answer.StatusCode())
			}
			want := netip.AddrPortFrom(netip.MustParseAddr(c.from), local.Port())
			if got := receive(t, sources); got.Remote != want {
				t.Errorf("from %v, want %v", got.Remote, want)
			}
		})
	}
}
