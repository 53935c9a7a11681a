package media

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// portableLoop runs legs on any system: Go's own sockets with a reader each, and one goroutine for what is due. Whoever
// holds the lock runs the loop.
type portableLoop struct {
	mu      sync.Mutex
	core    core
	stopped bool
	sleeps  instant       // until when the pacing goroutine sleeps
	sooner  chan struct{} // something is due before that
	work    sync.WaitGroup
}

func newPortableLoop(e *Engine, number int) (loop, error) {
	p := &portableLoop{core: newCore(e, number), sooner: make(chan struct{}, 1)}
	p.work.Go(p.pace)
	return p, nil
}

func (p *portableLoop) bind(port int) (socket, int, error) {
	local := p.core.engine.local
	network := "udp4"
	if local.Is6() {
		network = "udp" // both families when local is ::
	}
	conn, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, uint16(port))))
	if err != nil {
		return nil, 0, err
	}
	// Room for 200 ms: a leg that is not served loses old audio instead of delaying new.
	_ = conn.SetReadBuffer(32 << 10)
	return conn, conn.LocalAddr().(*net.UDPAddr).Port, nil
}

func (p *portableLoop) equip(l *leg, rtp, rtcp socket) {
	l.wire = &udpWire{rtp: rtp.(*net.UDPConn), rtcp: rtcp.(*net.UDPConn)}
}

func (p *portableLoop) attend(s *Session) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return false
	}
	p.core.tell()
	p.core.run(s, p.attach)
	p.hurry()
	return true
}

// attach starts a leg's readers.
func (p *portableLoop) attach(l *leg) {
	w, ok := l.wire.(*udpWire)
	if !ok { // a twin has no sockets
		return
	}
	p.work.Go(func() { p.read(l, w.rtp, false) })
	p.work.Go(func() { p.read(l, w.rtcp, true) })
}

func (p *portableLoop) detach(*leg) {}

// read takes a socket's datagrams until it is closed.
func (p *portableLoop) read(l *leg, conn *net.UDPConn, report bool) {
	buffer := make([]byte, maxPacket)
	for failures := 0; failures < 100; {
		n, from, err := conn.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // of one datagram, such as an ICMP error
			failures++
			continue
		}
		failures = 0
		p.mu.Lock()
		p.core.tell()
		p.core.packet(l, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), buffer[:n], report)
		p.hurry()
		p.mu.Unlock()
	}
}

// hurry wakes the pacing goroutine when something is due before it means to wake up.
func (p *portableLoop) hurry() {
	if p.core.now+p.core.wait() < p.sleeps {
		select {
		case p.sooner <- struct{}{}:
		default:
		}
	}
}

// pace does what is due.
func (p *portableLoop) pace() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-p.sooner:
		}
		p.mu.Lock()
		if p.stopped {
			p.mu.Unlock()
			return
		}
		p.core.tell()
		p.core.serve()
		wait := p.core.wait()
		p.sleeps = p.core.now + wait
		p.mu.Unlock()
		timer.Reset(time.Duration(wait))
	}
}

func (p *portableLoop) stop() {
	p.mu.Lock()
	p.core.tell()
	for _, l := range slices.Clone(p.core.legs) {
		p.core.bury(l)
	}
	p.stopped = true
	p.mu.Unlock()
	select {
	case p.sooner <- struct{}{}:
	default:
	}
	p.work.Wait()
}

// udpWire is a leg's pair of sockets of the portable loop.
type udpWire struct {
	rtp, rtcp     *net.UDPConn
	rtpTo, rtcpTo netip.AddrPort
}

func (w *udpWire) sendRTP(packet []byte) {
	if w.rtpTo.IsValid() {
		_, _ = w.rtp.WriteToUDPAddrPort(packet, w.rtpTo) // RTP has no delivery; the party's reports tell of loss
	}
}

func (w *udpWire) sendRTCP(packet []byte) {
	if w.rtcpTo.IsValid() {
		_, _ = w.rtcp.WriteToUDPAddrPort(packet, w.rtcpTo)
	}
}

func (w *udpWire) aim(rtp, rtcp netip.AddrPort) { w.rtpTo, w.rtcpTo = rtp, rtcp }

func (w *udpWire) close() {
	w.rtp.Close()
	w.rtcp.Close()
}
