//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package main

import (
	"encoding/binary"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// load is the phones: one socket that speaks for all of them, a socket that listens for each.
type load struct {
	from    int // port
	sinks   int // first port
	speaker int
	ears    []int
	epoll   int
	got     atomic.Int64
	stop    atomic.Bool
	threads chan struct{}
	running int
	timed   bool // delays are measured, by the time in the payload
	began   time.Time
	mu      sync.Mutex
	delays  []float64
}

type message struct {
	header unix.Msghdr
	length uint32
	_      uint32
}

func newLoad(streams int, timed bool) (*load, error) {
	l := &load{threads: make(chan struct{}, 2), timed: timed, began: time.Now()}
	var err error
	if l.speaker, l.from, err = udp(0, 8<<20); err != nil {
		return nil, err
	}
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	for l.sinks = 40000; len(l.ears) < streams; {
		ear, _, err := udp(l.sinks+len(l.ears), 0)
		if err != nil { // somebody is there; start after them
			for _, ear := range l.ears {
				unix.Close(ear)
			}
			l.sinks, l.ears = l.sinks+len(l.ears)+1, nil
			if l.sinks+streams > 65535 {
				return nil, err
			}
			continue
		}
		l.ears = append(l.ears, ear)
	}
	for _, ear := range l.ears {
		if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, ear, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(ear)}); err != nil {
			return nil, err
		}
	}
	l.running = 1
	go l.listen()
	return l, nil
}

// udp opens a socket on the loopback interface; port 0 is any.
func udp(port, buffer int) (fd, bound int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, 0, err
	}
	if buffer > 0 {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, buffer)
	}
	if err = unix.Bind(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		unix.Close(fd)
		return 0, 0, err
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		unix.Close(fd)
		return 0, 0, err
	}
	return fd, name.(*unix.SockaddrInet4).Port, nil
}

func address(port int) unix.RawSockaddrInet4 {
	return unix.RawSockaddrInet4{Family: unix.AF_INET, Port: uint16(port)<<8 | uint16(port)>>8, Addr: [4]byte{127, 0, 0, 1}}
}

// listen empties the ears every 10 ms, or, when delays are measured, at once.
func (l *load) listen() {
	runtime.LockOSThread()
	defer func() { l.threads <- struct{}{} }()
	events := make([]unix.EpollEvent, 1024)
	buffer := make([]byte, 1500)
	for !l.stop.Load() {
		wait := 100
		if !l.timed {
			pause(10 * time.Millisecond)
			wait = 0
		}
		for {
			n, _ := unix.EpollWait(l.epoll, events, wait)
			for _, event := range events[:max(n, 0)] {
				for {
					size, _, failed := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(event.Fd), uintptr(unsafe.Pointer(&buffer[0])),
						1500, unix.MSG_DONTWAIT, 0, 0)
					if failed != 0 {
						break
					}
					l.got.Add(1)
					if l.timed && size == 172 { // the ports beside hear reports too
						l.note(buffer[12:20])
					}
				}
			}
			if n < len(events) {
				break
			}
		}
	}
}

// send speaks a G.711 packet to each port every 20 ms, in slices of a millisecond.
func (l *load) send(ports []int) {
	l.running++
	go func() {
		runtime.LockOSThread()
		defer func() { l.threads <- struct{}{} }()
		n := len(ports)
		packets := make([]byte, n*172)
		addresses := make([]unix.RawSockaddrInet4, n)
		vectors := make([]unix.Iovec, n)
		messages := make([]message, n)
		for i := range ports {
			addresses[i] = address(ports[i])
			packet := packets[i*172:]
			packet[0], packet[10], packet[11] = 0x80, byte(i>>8), byte(i)
		}
		begin := time.Now()
		for slice := 0; !l.stop.Load(); slice++ {
			pause(time.Until(begin.Add(time.Duration(slice) * time.Millisecond)))
			count := 0
			sequence, timestamp := slice/20, slice/20*160
			for i := slice % 20; i < n; i += 20 {
				packet := packets[i*172:]
				packet[2], packet[3] = byte(sequence>>8), byte(sequence)
				if l.timed {
					binary.BigEndian.PutUint64(packet[12:], uint64(time.Since(l.began)))
				}
				packet[4], packet[5], packet[6], packet[7] = byte(timestamp>>24), byte(timestamp>>16), byte(timestamp>>8), byte(timestamp)
				vectors[count] = unix.Iovec{Base: &packet[0], Len: 172}
				messages[count].header = unix.Msghdr{Name: (*byte)(unsafe.Pointer(&addresses[i])), Namelen: unix.SizeofSockaddrInet4,
					Iov: &vectors[count], Iovlen: 1}
				count++
			}
			for sent := 0; sent < count; {
				done, _, failed := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(l.speaker), uintptr(unsafe.Pointer(&messages[sent])),
					uintptr(count-sent), 0, 0, 0)
				if failed != 0 {
					break
				}
				sent += int(done)
			}
		}
	}()
}

func pause(d time.Duration) {
	if d > 0 {
		span := unix.NsecToTimespec(int64(d))
		_ = unix.Nanosleep(&span, nil)
	}
}

// note takes down how long a packet was on its way.
func (l *load) note(sent []byte) {
	delay := time.Since(l.began) - time.Duration(binary.BigEndian.Uint64(sent))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delays = append(l.delays, float64(delay)/float64(time.Microsecond))
}

func (l *load) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delays = nil
}

// percentiles returns the delays at delayShares.
func (l *load) percentiles() (at []float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.Sort(l.delays)
	for _, share := range delayShares {
		if n := len(l.delays); n > 0 {
			at = append(at, l.delays[min(int(share.share*float64(n)), n-1)])
		} else {
			at = append(at, 0)
		}
	}
	return at
}

func (l *load) heard() int64 { return l.got.Load() }

func (l *load) close() {
	l.stop.Store(true)
	for range l.running {
		<-l.threads
	}
	for _, ear := range l.ears {
		unix.Close(ear)
	}
	unix.Close(l.speaker)
	unix.Close(l.epoll)
}
