//go:build amd64 || arm64 || riscv64 || loong64

package media

import (
	"errors"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"bugle"
)

const haveEpoll = true

// epollLoop runs legs on one goroutine: raw sockets in one epoll set, a receive and a send for a packet, and no
// scheduler of Go's in between. While there is something to do it asks the set without blocking; only when there is
// nothing does it park, on the set's own descriptor. docs/decisions/0002 says why it does not keep a thread.
type epollLoop struct {
	core  core
	epoll int
	file  *os.File           // owns epoll
	idle  syscall.RawConn    // of file: parks until the set has an event
	awake func(uintptr) bool // what idle asks: look, made once so that parking allocates nothing
	found int                // what awake found
	fault error
	bell  int // eventfd that wakes the thread for the inbox
	done  chan struct{}

	mu      sync.Mutex
	inbox   []*Session
	stopped bool

	spare  []*Session // the inbox's other array
	places []*leg     // by the number that epoll events carry
	free   []int32
	events [256]unix.EpollEvent
	buffer [maxPacket]byte
	from   unix.RawSockaddrInet6 // large enough for both families
}

// bellPlace is the event number of the bell.
const bellPlace = -1

// socketBuffer is room for 200 ms: a leg that is not served loses old audio instead of delaying new.
const socketBuffer = 32 << 10

func newEpollLoop(e *Engine, number int) (loop, error) {
	p := &epollLoop{core: newCore(e, number), done: make(chan struct{})}
	var err error
	if p.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, epollError(err)
	}
	if p.bell, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err == nil {
		err = unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, p.bell, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: bellPlace})
	}
	if err == nil {
		err = unix.SetNonblock(p.epoll, true) // what os.NewFile takes as the wish to be polled
	}
	if err != nil {
		unix.Close(p.epoll)
		return nil, epollError(err)
	}
	p.file = os.NewFile(uintptr(p.epoll), "epoll")
	if p.idle, err = p.file.SyscallConn(); err != nil {
		p.file.Close()
		return nil, epollError(err)
	}
	p.awake = func(uintptr) bool {
		p.found, p.fault = p.look()
		return p.found > 0 || p.fault != nil
	}
	go p.run()
	return p, nil
}

func epollError(err error) error {
	return &bugle.Error{Op: "media.NewEngine", Kind: bugle.KindUnavailable, Message: "the media loop could not be started", Err: err}
}

// fd is a raw socket.
type fd int

func (f fd) Close() error { return unix.Close(int(f)) }

func (p *epollLoop) bind(port int) (socket, int, error) {
	local := p.core.engine.local
	family := unix.AF_INET
	if local.Is6() {
		family = unix.AF_INET6
	}
	s, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, 0, os.NewSyscallError("socket", err)
	}
	_ = unix.SetsockoptInt(s, unix.SOL_SOCKET, unix.SO_RCVBUF, socketBuffer)
	var address unix.Sockaddr
	if local.Is6() {
		if local.IsUnspecified() { // IPv4 peers too, as mapped addresses
			_ = unix.SetsockoptInt(s, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0)
		}
		address = &unix.SockaddrInet6{Port: port, Addr: local.As16()}
	} else {
		address = &unix.SockaddrInet4{Port: port, Addr: local.As4()}
	}
	if err = unix.Bind(s, address); err == nil {
		address, err = unix.Getsockname(s)
	}
	if err != nil {
		unix.Close(s)
		return nil, 0, os.NewSyscallError("bind", err)
	}
	switch bound := address.(type) {
	case *unix.SockaddrInet4:
		port = bound.Port
	case *unix.SockaddrInet6:
		port = bound.Port
	}
	return fd(s), port, nil
}

func (p *epollLoop) equip(l *leg, rtp, rtcp socket) {
	l.wire = &rawWire{rtp: int(rtp.(fd)), rtcp: int(rtcp.(fd)), six: p.core.engine.local.Is6()}
}

func (p *epollLoop) attend(s *Session) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return false
	}
	p.inbox = append(p.inbox, s)
	if len(p.inbox) == 1 {
		p.ring()
	}
	return true
}

// ring wakes the thread. The eventfd's counter cannot fill up.
func (p *epollLoop) ring() {
	one := uint64(1)
	_, _ = unix.Write(p.bell, (*[8]byte)(unsafe.Pointer(&one))[:])
}

func (p *epollLoop) stop() {
	p.mu.Lock()
	p.stopped = true
	p.ring()
	p.mu.Unlock()
	<-p.done
}

func (p *epollLoop) run() {
	defer close(p.done)
	for !p.step() {
	}
	p.core.tell()
	p.readInbox() // whoever waits for an answer gets it
	for _, l := range slices.Clone(p.core.legs) {
		p.core.bury(l)
	}
	unix.Close(p.bell)
	_ = p.file.Close()
}

// step waits for packets, commands or what is due, and serves them. It returns true when the loop is to end.
func (p *epollLoop) step() bool {
	p.core.tell()
	p.core.serve()
	n, err := p.look()
	if n == 0 && err == nil {
		n, err = p.park()
	}
	if err != nil {
		p.core.engine.log.Error("media loop: epoll", "error", err)
	}
	p.core.tell()
	for i := range n {
		place := p.events[i].Fd
		if place == bellPlace {
			var drained [8]byte
			_, _ = unix.Read(p.bell, drained[:])
			if p.readInbox() {
				return true
			}
			continue
		}
		// A leg that left in this round is gone from its place. If another one has taken it, its socket has nothing.
		if l := p.places[place>>1]; l != nil {
			p.take(l, place&1 == 1)
		}
	}
	return false
}

// look asks for events without waiting. A raw call: it cannot block, so Go's scheduler need not hear of it.
func (p *epollLoop) look() (int, error) {
	n, _, failed := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epoll), uintptr(unsafe.Pointer(&p.events)),
		uintptr(len(p.events)), 0, 0, 0)
	if failed != 0 && failed != unix.EINTR {
		return 0, failed
	}
	if failed != 0 {
		return 0, nil
	}
	return int(n), nil
}

// park waits for events until something is due.
func (p *epollLoop) park() (int, error) {
	wait := p.core.wait()
	if wait == 0 {
		return 0, nil
	}
	if err := p.file.SetReadDeadline(time.Now().Add(time.Duration(wait))); err != nil {
		return 0, err
	}
	p.found, p.fault = 0, nil
	if err := p.idle.Read(p.awake); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return 0, err
	}
	return p.found, p.fault
}

// take reads one datagram; the next one makes another event.
func (p *epollLoop) take(l *leg, report bool) {
	w := l.wire.(*rawWire)
	socket := w.rtp
	if report {
		socket = w.rtcp
	}
	size := uint32(unsafe.Sizeof(p.from))
	// A raw call: it cannot block, so Go's scheduler need not hear of it.
	n, _, failed := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(socket), uintptr(unsafe.Pointer(&p.buffer)), maxPacket,
		unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(&p.from)), uintptr(unsafe.Pointer(&size)))
	if failed == 0 {
		p.core.packet(l, sourceOf(&p.from), p.buffer[:n], report)
	}
}

// readInbox serves the sessions that have commands. It returns true when the loop is to end.
func (p *epollLoop) readInbox() (stopped bool) {
	p.mu.Lock()
	sessions := p.inbox
	p.inbox, stopped = p.spare[:0], p.stopped
	p.mu.Unlock()
	for i, s := range sessions {
		sessions[i] = nil
		if home := int(s.home.Load()); home != p.core.number { // it moved on
			p.core.engine.loops[home].attend(s)
			continue
		}
		p.core.run(s, p.attach)
	}
	p.spare = sessions
	return stopped
}

// attach adds a leg's sockets to the epoll set.
func (p *epollLoop) attach(l *leg) {
	w, ok := l.wire.(*rawWire)
	if !ok { // a twin has none
		return
	}
	place := int32(len(p.places))
	if last := len(p.free) - 1; last >= 0 {
		place, p.free = p.free[last], p.free[:last]
	} else {
		p.places = append(p.places, nil)
	}
	p.places[place] = l
	w.loop, w.place = p, place
	for i, socket := range []int{w.rtp, w.rtcp} {
		event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: place<<1 | int32(i)}
		if err := unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, socket, &event); err != nil {
			p.core.engine.log.Error("media loop: epoll", "call", l.session.label, "error", err)
		}
	}
}

func (p *epollLoop) detach(l *leg) {
	w, ok := l.wire.(*rawWire)
	if !ok {
		return
	}
	for _, socket := range []int{w.rtp, w.rtcp} {
		_ = unix.EpollCtl(p.epoll, unix.EPOLL_CTL_DEL, socket, nil)
	}
	w.leave()
}

// rawWire is a leg's pair of sockets of an epoll loop, with the addresses that packets go to as the kernel wants them.
type rawWire struct {
	rtp, rtcp     int
	six           bool
	rtpTo, rtcpTo rawAddress
	loop          *epollLoop // nil while it is in none
	place         int32
}

// rawAddress is a socket address of either family.
type rawAddress struct {
	address unix.RawSockaddrInet6
	size    uintptr // 0 for none
}

func (w *rawWire) sendRTP(packet []byte)  { sendRaw(w.rtp, packet, &w.rtpTo) }
func (w *rawWire) sendRTCP(packet []byte) { sendRaw(w.rtcp, packet, &w.rtcpTo) }

// sendRaw sends a datagram. RTP has no delivery: what the kernel does not take is lost, and the party's reports say so.
func sendRaw(socket int, packet []byte, to *rawAddress) {
	if to.size == 0 || len(packet) == 0 {
		return
	}
	_, _, _ = unix.RawSyscall6(unix.SYS_SENDTO, uintptr(socket), uintptr(unsafe.Pointer(&packet[0])), uintptr(len(packet)),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, uintptr(unsafe.Pointer(&to.address)), to.size)
}

func (w *rawWire) aim(rtp, rtcp netip.AddrPort) {
	w.rtpTo, w.rtcpTo = w.raw(rtp), w.raw(rtcp)
}

func (w *rawWire) raw(to netip.AddrPort) (raw rawAddress) {
	if !to.IsValid() || to.Addr().Is6() && !w.six {
		return raw
	}
	port := to.Port()<<8 | to.Port()>>8 // network order
	if w.six {
		raw.address = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: port, Addr: to.Addr().As16()}
		raw.size = unix.SizeofSockaddrInet6
		return raw
	}
	four := (*unix.RawSockaddrInet4)(unsafe.Pointer(&raw.address))
	*four = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: port, Addr: to.Addr().As4()}
	raw.size = unix.SizeofSockaddrInet4
	return raw
}

// sourceOf reads a socket address that the kernel wrote.
func sourceOf(raw *unix.RawSockaddrInet6) netip.AddrPort {
	port := raw.Port<<8 | raw.Port>>8
	if raw.Family == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(raw)).Addr), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(raw.Addr).Unmap(), port)
}

func (w *rawWire) close() {
	w.leave()
	unix.Close(w.rtp)
	unix.Close(w.rtcp)
}

// leave gives up the place in the loop.
func (w *rawWire) leave() {
	if w.loop != nil {
		w.loop.places[w.place] = nil
		w.loop.free = append(w.loop.free, w.place)
		w.loop = nil
	}
}
