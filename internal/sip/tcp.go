package sip

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// What may wait to be written on one connection. A peer that reads so slowly that more gathers is disconnected.
const (
	maxQueuedMessages = 128
	maxQueuedBytes    = 512 << 10
)

type tcpListener struct {
	listener net.Listener
	local    netip.AddrPort
}

type connKey struct {
	transport string
	remote    netip.AddrPort
}

// streamConn is one TCP connection, accepted or dialled: a goroutine that reads and one that writes. Another stream
// transport needs only another net.Conn and another name in its key.
type streamConn struct {
	stack    *Stack
	key      connKey
	local    netip.AddrPort
	accepted bool

	mu     sync.Mutex
	conn   net.Conn // nil until it is connected
	queue  []outgoing
	bytes  int
	last   bool // close when the queue has been written
	full   bool // the peer does not read: close
	closed error
	wake   chan struct{} // one place: there is something in the queue, or it is closed
}

type outgoing struct {
	wire  *[]byte
	owner sender
}

// ListenTCP opens a TCP listener; addr is "host:port" with a numeric host, port 0 for any free one. It returns the bound
// address.
func (s *Stack) ListenTCP(ctx context.Context, addr string) (netip.AddrPort, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp"+family(addr), addr)
	if err != nil {
		return netip.AddrPort{}, err
	}
	local := listener.Addr().(*net.TCPAddr).AddrPort()
	l := &tcpListener{listener: listener, local: netip.AddrPortFrom(local.Addr().Unmap(), local.Port())}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = listener.Close()
		return netip.AddrPort{}, ErrClosed
	}
	s.tcp = append(s.tcp, l)
	s.readers.Add(1)
	go s.acceptTCP(l)
	return l.local, nil
}

// acceptTCP accepts connections until the listener is closed.
func (s *Stack) acceptTCP(l *tcpListener) {
	defer s.readers.Done()
	for {
		conn, err := l.listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			select { // no file descriptors left, most likely
			case <-s.context.Done():
				return
			case <-time.After(50 * time.Millisecond):
			}
			continue
		}
		remote := conn.RemoteAddr().(*net.TCPAddr).AddrPort()
		remote = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
		c := s.newConn(connKey{TCP, remote}, l.local, true)
		c.conn = conn
		if !s.enter(c) {
			_ = conn.Close()
			continue
		}
		go c.write()
		go c.read()
	}
}

func (s *Stack) newConn(key connKey, local netip.AddrPort, accepted bool) *streamConn {
	return &streamConn{stack: s, key: key, local: local, accepted: accepted, wake: make(chan struct{}, 1)}
}

// enter puts a connection that is about to be used in the table, unless a limit forbids it.
func (s *Stack) enter(c *streamConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.enterLocked(c)
}

func (s *Stack) enterLocked(c *streamConn) bool {
	addr := c.key.remote.Addr()
	if s.closed || len(s.conns) >= s.options.MaxConnections || s.conns[c.key] != nil ||
		c.accepted && s.perAddr[addr] >= s.options.MaxConnectionsPerAddr {
		return false
	}
	s.conns[c.key] = c
	if c.accepted {
		s.perAddr[addr]++
		s.readers.Add(2)
	} else {
		s.readers.Add(1)
	}
	return true
}

func (s *Stack) leave(c *streamConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns[c.key] != c {
		return
	}
	delete(s.conns, c.key)
	if addr := c.key.remote.Addr(); c.accepted {
		if s.perAddr[addr]--; s.perAddr[addr] <= 0 {
			delete(s.perAddr, addr)
		}
	}
}

// sendStream sends bytes on the connection to an address, a new one when there is none and mayDial is set.
func (s *Stack) sendStream(wire []byte, to netip.AddrPort, mayDial bool, owner sender, timeout time.Duration) error {
	key := connKey{TCP, netip.AddrPortFrom(to.Addr().Unmap(), to.Port())}
	s.mu.Lock()
	c := s.conns[key]
	if c == nil {
		if !mayDial {
			s.mu.Unlock()
			return errors.New("there is no connection to " + to.String())
		}
		c = s.newConn(key, netip.AddrPort{}, false)
		if !s.enterLocked(c) {
			s.mu.Unlock()
			return errors.New("there are too many connections")
		}
		go c.dial(timeout)
	}
	s.mu.Unlock()
	return c.send(wire, owner)
}

// dialTime is shorter for a request that can fall back to UDP.
func (s *Stack) dialTime(owner sender) time.Duration {
	if t, ok := owner.(*ClientTransaction); ok && t.large {
		return min(2*time.Second, s.options.DialTimeout)
	}
	return s.options.DialTimeout
}

func (c *streamConn) dial(timeout time.Duration) {
	ctx, cancel := context.WithTimeout(c.stack.context, timeout)
	conn, err := c.stack.options.Dial(ctx, c.key.remote)
	cancel()
	if err != nil {
		c.close(err)
		c.stack.readers.Done()
		return
	}
	c.mu.Lock()
	closed := c.closed
	c.conn = conn
	if local, ok := conn.LocalAddr().(*net.TCPAddr); ok {
		c.local = local.AddrPort()
	}
	if closed == nil {
		c.stack.readers.Add(1)
		go c.read()
	}
	c.mu.Unlock()
	if closed != nil {
		_ = conn.Close()
	}
	c.write()
}

// send queues bytes, which are copied. It never waits for the peer.
func (c *streamConn) send(wire []byte, owner sender) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed != nil {
		return c.closed
	}
	if len(c.queue) >= maxQueuedMessages || c.bytes+len(wire) > maxQueuedBytes {
		if c.full = true; c.conn != nil {
			_ = c.conn.SetWriteDeadline(time.Now()) // frees the writer, which closes
		}
		return errors.New("the peer does not read")
	}
	buf := wirePool.Get().(*[]byte)
	*buf = append((*buf)[:0], wire...)
	c.queue = append(c.queue, outgoing{buf, owner})
	c.bytes += len(wire)
	c.signal()
	return nil
}

func (c *streamConn) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// finish closes the connection when everything queued has been written.
func (c *streamConn) finish() {
	c.mu.Lock()
	c.last = true
	c.signal()
	c.mu.Unlock()
}

// write writes what is queued until the connection is closed.
func (c *streamConn) write() {
	defer c.stack.readers.Done()
	for {
		<-c.wake
		for {
			c.mu.Lock()
			if c.closed != nil {
				c.mu.Unlock()
				return
			}
			if len(c.queue) == 0 {
				last := c.last
				c.mu.Unlock()
				if last {
					c.close(net.ErrClosed)
					return
				}
				break
			}
			if c.full {
				c.mu.Unlock()
				c.close(errors.New("the peer does not read"))
				return
			}
			out := c.queue[0]
			c.queue = append(c.queue[:0], c.queue[1:]...)
			c.bytes -= len(*out.wire)
			conn := c.conn
			c.mu.Unlock()
			_ = conn.SetWriteDeadline(time.Now().Add(c.stack.options.WriteTimeout))
			_, err := conn.Write(*out.wire)
			putWire(out.wire)
			if err != nil {
				c.close(err)
				if out.owner != nil {
					out.owner.sendFailed(err)
				}
				return
			}
		}
	}
}

// close closes the connection and tells the owners of what could not be written. It must not be called with a lane locked.
func (c *streamConn) close(err error) {
	c.mu.Lock()
	if c.closed != nil {
		c.mu.Unlock()
		return
	}
	c.closed = err
	queue := c.queue
	c.queue = nil
	conn := c.conn
	c.signal()
	c.mu.Unlock()
	c.stack.leave(c)
	if conn != nil {
		_ = conn.Close()
	}
	for _, out := range queue {
		if out.owner != nil {
			out.owner.sendFailed(err)
		}
	}
}

// read reads messages until the connection ends, is idle for too long or breaks the framing.
func (c *streamConn) read() {
	defer c.stack.readers.Done()
	defer func() {
		if v := recover(); v != nil {
			c.stack.recovered(v, "")
			c.close(net.ErrClosed)
		}
	}()
	o := &c.stack.options
	var f framer
	buf := make([]byte, 2048)
	first := c.accepted // no message has come yet
	deadline := o.StreamIdle
	if first {
		deadline = o.FirstMessage
	}
	_ = c.conn.SetReadDeadline(time.Now().Add(deadline))
	for {
		n, err := c.conn.Read(buf)
		if err != nil {
			c.close(err)
			return
		}
		wasEmpty := f.empty()
		f.take(buf[:n])
		got, broken := c.handOut(&f)
		if broken {
			c.finish()
			return
		}
		first = first && !got
		switch {
		case first: // the deadline of the first message stands
		case f.empty():
			_ = c.conn.SetReadDeadline(time.Now().Add(o.StreamIdle))
		case wasEmpty || got: // a message has begun and must end in time
			_ = c.conn.SetReadDeadline(time.Now().Add(o.FirstMessage))
		}
	}
}

// handOut gives every whole message to the stack.
func (c *streamConn) handOut(f *framer) (got, broken bool) {
	source := Source{Transport: c.key.transport, Remote: c.key.remote, Local: c.local, conn: c}
	for {
		message, ping, err := f.next()
		if ping {
			_ = c.send([]byte("\r\n"), nil) // RFC 5626 §3.5.1: the pong
		}
		if err != nil {
			c.stack.rejectFrame(err, source)
			return got, true
		}
		if message == nil {
			return got, false
		}
		got = true
		m := newMessage()
		m.buf = append(m.buf, message...)
		c.stack.receive(m, source, false)
	}
}

// rejectFrame answers a request whose length cannot be told, if it can be answered.
func (s *Stack) rejectFrame(err *frameError, source Source) {
	s.counts.received.Add(1)
	s.counts.malformed.Add(1)
	if err.head == nil {
		return
	}
	m := newMessage()
	defer m.Release()
	m.buf = append(m.buf, err.head...)
	m.source = source
	_ = m.parse(m.buf)
	m.source = source
	if m.status == 0 && m.method != ACK && m.first[hVia] != 0 {
		s.reject(m, &Rejection{Status: err.Status, Reason: err.Reason})
	}
}

// tcpBound returns the address of the listener for a destination.
func (s *Stack) tcpBound(to Destination) netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	var first netip.AddrPort
	for _, l := range s.tcp {
		if !reaches(l.local.Addr(), to.Addr.Addr()) {
			continue
		}
		if !to.Local.IsValid() || l.local == to.Local {
			return l.local
		}
		if !first.IsValid() {
			first = l.local
		}
	}
	return first
}
