package sip

import (
	"context"
	"net"
	"net/netip"
)

// udpBuffer is what a SIP socket asks the kernel for: the default of 208 KiB loses calls at 1,500 a second.
const udpBuffer = 4 << 20

// udpSocket is one bound UDP port with its one reader.
type udpSocket struct {
	conn  packetConn
	local netip.AddrPort
}

// packetConn is what the stack needs of a UDP socket besides reading.
type packetConn interface {
	WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error)
	Close() error
}

// ListenUDP opens a UDP socket; addr is "host:port" with a numeric host, port 0 for any free one. It returns the bound
// address.
func (s *Stack) ListenUDP(ctx context.Context, addr string) (netip.AddrPort, error) {
	pc, err := new(net.ListenConfig).ListenPacket(ctx, "udp"+family(addr), addr)
	if err != nil {
		return netip.AddrPort{}, err
	}
	conn := pc.(*net.UDPConn)
	local := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	writer, err := newDatagramWriter(conn)
	if err != nil {
		_ = conn.Close()
		return netip.AddrPort{}, err
	}
	u := &udpSocket{conn: writer, local: netip.AddrPortFrom(local.Addr().Unmap(), local.Port())}
	_ = conn.SetReadBuffer(udpBuffer)
	_ = conn.SetWriteBuffer(udpBuffer)
	if got := receiveBuffer(conn); got > 0 && got < udpBuffer {
		s.options.Log.Warn("the kernel grants a small SIP receive buffer; raise net.core.rmem_max",
			"address", u.local.String(), "bytes", got, "wanted", udpBuffer)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = conn.Close()
		return netip.AddrPort{}, ErrClosed
	}
	s.udp = append(s.udp, u)
	r := newUDPReader(s, conn, u.local)
	s.udpReaders = append(s.udpReaders, r)
	s.readers.Add(1)
	go r.read(r.leader.Load())
	return u.local, nil
}

// family keeps a socket for 0.0.0.0 to IPv4, which Go would open for both families.
func family(addr string) string {
	if a, err := netip.ParseAddrPort(addr); err == nil && a.Addr().Is4() {
		return "4"
	}
	return ""
}

// looksLikeSIP lets keep-alives (CRLF, NUL, STUN) and noise go by without a message: every SIP message starts with a letter,
// be it after line ends, and has more bytes than this.
func looksLikeSIP(b []byte) bool {
	for len(b) > 0 && (b[0] == '\r' || b[0] == '\n') {
		b = b[1:]
	}
	return len(b) > 16 && len(b) <= MaxDatagram && tokenBytes[b[0]]
}

func (u *udpSocket) send(wire []byte, to netip.AddrPort) error {
	_, err := u.conn.WriteToUDPAddrPort(wire, to)
	return err
}

// udpFor picks the socket for a destination: the one with the wanted local port, else the first that can reach the
// address.
func (s *Stack) udpFor(to Destination) *udpSocket {
	s.mu.Lock()
	defer s.mu.Unlock()
	var first *udpSocket
	for _, u := range s.udp {
		if !reaches(u.local.Addr(), to.Addr.Addr()) {
			continue
		}
		if !to.Local.IsValid() || u.local == to.Local {
			return u
		}
		if first == nil || u.local.Port() == to.Local.Port() {
			first = u
		}
	}
	return first
}

// reaches says whether a socket bound to local can send to remote.
func reaches(local, remote netip.Addr) bool {
	remote = remote.Unmap()
	if local.Is4() {
		return remote.Is4()
	}
	return remote.Is6() || local.IsUnspecified()
}

func (s *Stack) udpBound(to Destination) netip.AddrPort {
	if u := s.udpFor(to); u != nil {
		return u.local
	}
	return netip.AddrPort{}
}
