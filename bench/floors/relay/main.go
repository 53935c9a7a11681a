//go:build linux && (amd64 || arm64 || riscv64 || loong64)

// Command relay is a floor: RTP relayed both ways with nothing above the sockets. Each call has two sockets; what comes
// to one is sent from the other to where that one last heard from. It prints its first port and ends with its input.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

type side struct {
	fd    int
	peer  unix.RawSockaddrInet4 // who last sent to it
	known bool
	other *side
}

func main() {
	calls := flag.Int("n", 200, "calls")
	threads := flag.Int("threads", 2, "epoll threads")
	flag.Parse()
	first, sides, err := open(2 * *calls)
	if err != nil {
		fmt.Fprintln(os.Stderr, "relay:", err)
		os.Exit(1)
	}
	for thread := range *threads {
		var own []*side
		for i := thread; i < *calls; i += *threads {
			own = append(own, sides[2*i], sides[2*i+1])
		}
		go relay(own)
	}
	fmt.Println(first)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// open binds n ports in a row.
func open(n int) (first int, sides []*side, err error) {
	for first = 45000; first+n < 60000; {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return 0, nil, err
		}
		port := first + len(sides)
		if err := unix.Bind(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			unix.Close(fd) // somebody is there: begin behind it
			for _, s := range sides {
				unix.Close(s.fd)
			}
			first, sides = port+1, nil
			continue
		}
		if sides = append(sides, &side{fd: fd}); len(sides) == n {
			for i, s := range sides {
				s.other = sides[i^1]
			}
			return first, sides, nil
		}
	}
	return 0, nil, fmt.Errorf("no %d free ports in a row from 45000", n)
}

func relay(sides []*side) {
	runtime.LockOSThread()
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		panic(err)
	}
	byFD := map[int32]*side{}
	for _, s := range sides {
		byFD[int32(s.fd)] = s
		if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, s.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(s.fd)}); err != nil {
			panic(err)
		}
	}
	events := make([]unix.EpollEvent, 512)
	buffer := make([]byte, 1500)
	for {
		n, _ := unix.EpollWait(epoll, events, -1)
		for _, event := range events[:max(n, 0)] {
			s := byFD[event.Fd]
			length := uint32(unix.SizeofSockaddrInet4)
			size, _, failed := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(s.fd), uintptr(unsafe.Pointer(&buffer[0])), 1500,
				unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(&s.peer)), uintptr(unsafe.Pointer(&length)))
			if failed != 0 {
				continue
			}
			s.known = true
			if s.other.known {
				_, _, _ = unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s.other.fd), uintptr(unsafe.Pointer(&buffer[0])), size,
					unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(&s.other.peer)), unix.SizeofSockaddrInet4)
			}
		}
	}
}
