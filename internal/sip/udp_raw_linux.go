//go:build amd64 || arm64 || riscv64 || loong64

package sip

import (
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The scheduler's monitor wakes for every system call that it hears of after an idle moment, and then looks twenty
// thousand times a second whether it lasts, which at a hundred messages a second costs as much as to read them. These
// calls cannot block, so it does not hear of them; only who finds nothing to read parks, as package net does.

// datagramReader reads a UDP socket for one goroutine.
type datagramReader struct {
	raw    syscall.RawConn
	try    func(uintptr) bool // what raw asks: receive, made once so that reading allocates nothing
	n      int
	failed syscall.Errno
	from   unix.RawSockaddrInet6 // large enough for both families
	buffer [1 << 16]byte
}

func newDatagramReader(conn *net.UDPConn) (*datagramReader, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	d := &datagramReader{raw: raw}
	d.try = d.receive
	return d, nil
}

// read waits for a datagram, which is the reader's until the next call.
func (d *datagramReader) read() ([]byte, netip.AddrPort, error) {
	if err := d.raw.Read(d.try); err != nil {
		return nil, netip.AddrPort{}, err
	}
	if d.failed != 0 {
		return nil, netip.AddrPort{}, d.failed
	}
	return d.buffer[:d.n], addrOf(&d.from), nil
}

// receive takes a datagram without waiting; it is false when there is none.
func (d *datagramReader) receive(fd uintptr) bool {
	for {
		size := uint32(unsafe.Sizeof(d.from))
		n, _, failed := unix.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&d.buffer)), uintptr(len(d.buffer)),
			unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(&d.from)), uintptr(unsafe.Pointer(&size)))
		d.n, d.failed = int(n), failed
		if failed != unix.EINTR {
			return failed != unix.EAGAIN
		}
	}
}

// addrOf reads a socket address that the kernel wrote.
func addrOf(raw *unix.RawSockaddrInet6) netip.AddrPort {
	port := raw.Port<<8 | raw.Port>>8 // network order
	if raw.Family == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(raw)).Addr), port)
	}
	addr := netip.AddrFrom16(raw.Addr).Unmap()
	if raw.Scope_id != 0 && addr.Is6() { // a link-local address is reached on its own link only
		addr = addr.WithZone(strconv.FormatUint(uint64(raw.Scope_id), 10))
	}
	return netip.AddrPortFrom(addr, port)
}

// datagramWriter is the packetConn of a bound UDP socket.
type datagramWriter struct {
	*net.UDPConn
	raw   syscall.RawConn
	six   bool // the socket takes IPv4 addresses in their IPv6 form
	sends sync.Pool
}

// datagramSend is one datagram on its way.
type datagramSend struct {
	try    func(uintptr) bool // send, made once
	wire   []byte
	to     unix.RawSockaddrInet6
	size   uintptr
	failed syscall.Errno
}

func newDatagramWriter(conn *net.UDPConn) (packetConn, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	w := &datagramWriter{UDPConn: conn, raw: raw}
	w.sends.New = func() any {
		s := &datagramSend{}
		s.try = s.send
		return s
	}
	domain, failed := 0, error(nil)
	if err := raw.Control(func(fd uintptr) {
		domain, failed = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN)
	}); err != nil {
		return nil, err
	}
	w.six = domain == unix.AF_INET6
	return w, failed
}

// WriteToUDPAddrPort sends a datagram. What the kernel does not take at once goes by package net, which waits, or knows
// the error.
func (w *datagramWriter) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	addr := to.Addr()
	if len(b) == 0 || addr.Zone() != "" || !w.six && !addr.Unmap().Is4() {
		return w.UDPConn.WriteToUDPAddrPort(b, to)
	}
	s := w.sends.Get().(*datagramSend)
	port := to.Port()<<8 | to.Port()>>8
	if w.six {
		s.to, s.size = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: port, Addr: addr.As16()}, unix.SizeofSockaddrInet6
	} else {
		*(*unix.RawSockaddrInet4)(unsafe.Pointer(&s.to)) = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: port,
			Addr: addr.Unmap().As4()}
		s.size = unix.SizeofSockaddrInet4
	}
	s.wire = b
	err := w.raw.Write(s.try)
	again := s.failed != 0
	s.wire = nil
	w.sends.Put(s)
	if err == nil && again {
		return w.UDPConn.WriteToUDPAddrPort(b, to)
	}
	return len(b), err
}

// send never asks to wait.
func (s *datagramSend) send(fd uintptr) bool {
	_, _, s.failed = unix.RawSyscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(&s.wire[0])), uintptr(len(s.wire)),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, uintptr(unsafe.Pointer(&s.to)), s.size)
	return true
}
