package sip

import (
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// A goroutine that is woken for a message costs more than the message itself while there are few of them: another thread is
// woken, looks for work and sleeps again. So the reader of a socket calls the TU itself, unless there are many messages,
// when the workers do, or a callback blocks: then another reader takes its place and the workers get everything for a while.
const (
	readerTick    = 50 * time.Millisecond // the watch of it wakes a thread each time too
	readerCalls   = 100                   // messages a tick up to which the reader calls the TU
	readerPenalty = 100                   // ticks without that after a callback has blocked for one to two ticks
)

// udpReader reads one UDP socket, with one goroutine at a time.
type udpReader struct {
	stack *Stack
	conn  *net.UDPConn
	local netip.AddrPort

	leader atomic.Uint64 // number of the goroutine that reads
	tick   atomic.Uint64 // of the watch; it stands still while nothing comes
	busy   atomic.Uint64 // tick at which the leader began to call the TU, 0 when it does not
	count  atomic.Uint64 // messages in this tick
	until  atomic.Uint64 // tick up to which the workers get everything
	active atomic.Bool   // the watch is running
	timer  *time.Timer
}

func newUDPReader(s *Stack, conn *net.UDPConn, local netip.AddrPort) *udpReader {
	r := &udpReader{stack: s, conn: conn, local: local}
	r.leader.Store(1)
	r.tick.Store(1)
	r.timer = time.AfterFunc(time.Hour, r.watch)
	r.timer.Stop()
	return r
}

// read reads datagrams until the socket is closed or another goroutine has become the leader.
func (r *udpReader) read(me uint64) {
	s := r.stack
	defer s.readers.Done()
	in, err := newDatagramReader(r.conn)
	if err != nil { // of a closed socket only
		return
	}
	for {
		datagram, from, err := in.read()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			select { // an error of one packet (no memory, ICMP): the socket goes on
			case <-s.context.Done():
				return
			case <-time.After(time.Millisecond):
			}
			continue
		}
		if !looksLikeSIP(datagram) {
			continue
		}
		m := newMessage()
		m.buf = append(m.buf, datagram...)
		source := Source{Transport: UDP, Remote: netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), Local: r.local}
		call := r.begin()
		s.receive(m, source, call)
		r.busy.Store(0)
		if r.leader.Load() != me {
			return
		}
	}
}

// begin counts a message and says whether the reader may call the TU for it.
func (r *udpReader) begin() bool {
	count := r.count.Add(1)
	tick := r.tick.Load()
	call := count <= readerCalls && tick > r.until.Load()
	if call {
		r.busy.Store(tick)
	}
	if !r.active.Load() && r.active.CompareAndSwap(false, true) {
		r.timer.Reset(readerTick)
	}
	return call
}

// watch runs each tick while messages come. It puts a new reader in the place of one that is stuck in a callback.
func (r *udpReader) watch() {
	tick := r.tick.Add(1)
	if r.stack.context.Err() != nil {
		return
	}
	if busy := r.busy.Load(); busy != 0 && busy+1 < tick {
		leader := r.leader.Load()
		r.until.Store(tick + readerPenalty)
		r.busy.Store(0)
		if r.leader.CompareAndSwap(leader, leader+1) {
			r.stack.readers.Add(1)
			go r.read(leader + 1)
		}
	}
	if r.count.Swap(0) == 0 && r.busy.Load() == 0 {
		r.active.Store(false)
		if r.count.Load() == 0 && r.busy.Load() == 0 || !r.active.CompareAndSwap(false, true) {
			return // the next message starts the watch again
		}
	}
	r.timer.Reset(readerTick)
}
