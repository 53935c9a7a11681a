package sip

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"sync"
)

// newBranch returns a branch that no other transaction has and that nobody can guess (RFC 3261 §8.1.1.7).
func newBranch() string {
	b := make([]byte, 0, 40)
	b = append(b, magicCookie...)
	b = strconv.AppendUint(b, rand.Uint64(), 36)
	return string(strconv.AppendUint(b, rand.Uint64(), 36))
}

// Send sends a message outside any transaction: the ACK to a 2xx. A request gets a Via on top.
func (s *Stack) Send(m *Message, dst Destination) error {
	if err := checkOutgoing(m, dst); err != nil {
		return err
	}
	if dst.Transport == "" {
		dst.Transport = UDP
	}
	buf := wirePool.Get().(*[]byte)
	defer putWire(buf)
	var err error
	if m.status != 0 {
		*buf = m.AppendTo((*buf)[:0])
	} else if *buf, err = s.appendRequest((*buf)[:0], m, dst, newBranch()); err != nil {
		return err
	}
	if err = s.sendWire(*buf, dst, nil); err != nil {
		return failure("sip.Send", ErrTransport, "the message could not be sent: "+err.Error())
	}
	return nil
}

// appendRequest appends the request as it goes on the wire to dst, with one Via of its own instead of any that it has.
func (s *Stack) appendRequest(buf []byte, m *Message, to Destination, branch string) ([]byte, error) {
	local := s.LocalAddr(to)
	if !local.IsValid() {
		return buf, failure("sip.Request", ErrTransport, "no "+to.Transport+" socket is open for this address family")
	}
	buf = append(append(append(buf, m.method...), ' '), m.uri...)
	buf = append(buf, " SIP/2.0\r\nVia: SIP/2.0/"...)
	if to.Transport == TCP {
		buf = append(buf, "TCP "...)
	} else {
		buf = append(buf, "UDP "...)
	}
	buf = local.AppendTo(buf)
	buf = append(append(buf, ";branch="...), branch...)
	buf = append(buf, ";rport\r\n"...) // RFC 3581 §3
	if m.first[hMaxForwards] == 0 {
		buf = append(buf, "Max-Forwards: 70\r\n"...)
	}
	for i := range m.fields {
		if f := &m.fields[i]; f.id != hContentLength && f.id != hVia {
			buf = append(append(buf, m.buf[f.line:f.valueEnd]...), "\r\n"...)
		}
	}
	buf = append(buf, "Content-Length: "...)
	buf = strconv.AppendInt(buf, int64(len(m.body)), 10)
	buf = append(buf, "\r\n\r\n"...)
	return append(buf, m.body...), nil
}

// sendWire sends bytes to a destination; they are not kept. owner, if any, is told of a failure that shows later.
func (s *Stack) sendWire(wire []byte, to Destination, owner sender) error {
	if to.Transport == TCP {
		return s.sendStream(wire, to.Addr, !to.FlowOnly, owner, s.dialTime(owner))
	}
	u := s.udpFor(to)
	if u == nil {
		return errors.New("no UDP socket is open for this address family")
	}
	return u.send(wire, to.Addr)
}

// sendResponse sends a response back to where its request came from: RFC 3261 §18.2.2. A datagram goes to the address to.
// On a stream it goes by the connection of the request, or, when that is gone, by one to the port of the sent-by.
func (s *Stack) sendResponse(wire []byte, source Source, to netip.AddrPort, port uint16, owner sender) error {
	if source.Transport == UDP {
		u := s.udpFor(source.Destination())
		if u == nil {
			return errors.New("the UDP socket is closed")
		}
		return u.send(wire, to)
	}
	if source.conn != nil && source.conn.send(wire, owner) == nil {
		return nil
	}
	return s.sendStream(wire, sentByOf(source, port), true, owner, s.options.DialTimeout)
}

// sentByOf returns the address that the request came from with the port of its sent-by, 5060 without one. RFC 3261
// §18.2.2 would have maddr followed; it is not, since anybody could have responses sent to anywhere by it.
func sentByOf(source Source, port uint16) netip.AddrPort {
	if port == 0 {
		port = 5060
	}
	return netip.AddrPortFrom(source.Remote.Addr(), port)
}

// LocalAddr returns the address and port under which the stack is reached from dst, for Contact, Via and SDP; the zero
// value when no socket of the transport is open.
func (s *Stack) LocalAddr(dst Destination) netip.AddrPort {
	var bound netip.AddrPort
	if dst.Transport == TCP {
		bound = s.tcpBound(dst)
		if !bound.IsValid() {
			bound = s.udpBound(dst) // nobody can connect to us, but the Via must name something
		}
	} else {
		bound = s.udpBound(dst)
	}
	if !bound.IsValid() {
		return bound
	}
	ip := bound.Addr().Unmap()
	remote := dst.Addr.Addr().Unmap()
	switch {
	case s.options.ExternalIP.IsValid() && isPublic(remote) && s.options.ExternalIP.Is4() == remote.Is4():
		ip = s.options.ExternalIP
	case ip.IsUnspecified():
		if ip = s.routes.source(remote); !ip.IsValid() {
			ip = bound.Addr().Unmap()
		}
	}
	return netip.AddrPortFrom(ip, bound.Port())
}

func isPublic(a netip.Addr) bool {
	return !a.IsLoopback() && !a.IsPrivate() && !a.IsLinkLocalUnicast() && !a.IsUnspecified()
}

// routeCache remembers which local address the kernel uses towards an address. It is emptied when it is full, and each
// minute's routes are asked for anew by that.
type routeCache struct {
	mu     sync.Mutex
	routes map[netip.Addr]netip.Addr
}

const routeCacheSize = 1024

func (c *routeCache) source(remote netip.Addr) netip.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	if local, ok := c.routes[remote]; ok {
		return local
	}
	// Connecting a UDP socket sends nothing; it makes the kernel choose.
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(remote, 9)))
	if err != nil {
		return netip.Addr{}
	}
	local := conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
	_ = conn.Close()
	if c.routes == nil || len(c.routes) >= routeCacheSize {
		c.routes = make(map[netip.Addr]netip.Addr, 64)
	}
	c.routes[remote] = local
	return local
}

// addrMemory remembers a bounded number of addresses; the oldest is forgotten first.
type addrMemory struct {
	mu    sync.Mutex
	addrs [256]netip.AddrPort
	next  int
}

func (a *addrMemory) add(addr netip.AddrPort) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.addrs[a.next] = addr
	a.next = (a.next + 1) % len(a.addrs)
}

func (a *addrMemory) has(addr netip.AddrPort) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, known := range a.addrs {
		if known == addr {
			return true
		}
	}
	return false
}

func (s *Stack) rememberNoTCP(addr netip.AddrPort) {
	if !s.noTCP.has(addr) {
		s.noTCP.add(addr)
	}
}

func (s *Stack) refusesTCP(addr netip.AddrPort) bool { return s.noTCP.has(addr) }
