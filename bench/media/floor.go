//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package main

import (
	"net"
	"net/netip"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// moved counts the floors' packets.
var moved atomic.Uint64

// serveFloor does a work with nothing above the sockets.
func serveFloor(o order) ([]int, func() outcome, error) {
	debug.SetGCPercent(400)
	var ports []int
	var err error
	switch {
	case o.Work == "play":
		err = floorPlay(o)
	case o.Design == "goroutine":
		ports, err = floorGoroutines(o)
	default:
		ports, err = floorRelay(o)
	}
	return ports, func() outcome { return snapshot(moved.Load()) }, err
}

// snapshot is the process's CPU time and allocations now.
func snapshot(packets uint64) outcome {
	var usage unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &usage)
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return outcome{Packets: packets, Mallocs: memory.Mallocs,
		CPU: float64(usage.Utime.Sec+usage.Stime.Sec) + float64(usage.Utime.Usec+usage.Stime.Usec)/1e6}
}

// floorRelay is one receive and one send for a packet on epoll threads.
func floorRelay(o order) (ports []int, err error) {
	ports = make([]int, o.Streams)
	for thread := range o.Loops {
		epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err != nil {
			return nil, err
		}
		outs, index := map[int32]int{}, map[int32]int{}
		addresses := make([]unix.RawSockaddrInet4, o.Streams)
		for i := thread; i < o.Streams; i += o.Loops {
			in, port, err := udp(0, 0)
			if err != nil {
				return nil, err
			}
			out, _, err := udp(0, 0)
			if err != nil {
				return nil, err
			}
			ports[i], outs[int32(in)], index[int32(in)], addresses[i] = port, out, i, address(o.Sinks+i)
			if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, in, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(in)}); err != nil {
				return nil, err
			}
		}
		go func() {
			runtime.LockOSThread()
			events := make([]unix.EpollEvent, 512)
			buffer := make([]byte, 1500)
			for {
				n, _ := unix.EpollWait(epoll, events, -1)
				for _, event := range events[:max(n, 0)] {
					out, i := outs[event.Fd], index[event.Fd]
					size, _, failed := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(event.Fd), uintptr(unsafe.Pointer(&buffer[0])), 1500,
						unix.MSG_DONTWAIT, 0, 0)
					if failed != 0 {
						continue
					}
					_, _, _ = unix.RawSyscall6(unix.SYS_SENDTO, uintptr(out), uintptr(unsafe.Pointer(&buffer[0])), size,
						unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(&addresses[i])), unix.SizeofSockaddrInet4)
					moved.Add(1)
				}
			}
		}()
	}
	return ports, nil
}

// floorGoroutines is a goroutine for each socket of Go's.
func floorGoroutines(o order) (ports []int, err error) {
	local := net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0"))
	for i := range o.Streams {
		in, err := net.ListenUDP("udp4", local)
		if err != nil {
			return nil, err
		}
		out, err := net.ListenUDP("udp4", local)
		if err != nil {
			return nil, err
		}
		ports = append(ports, in.LocalAddr().(*net.UDPAddr).Port)
		to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(o.Sinks+i))
		go func() {
			buffer := make([]byte, 1500)
			for {
				n, _, err := in.ReadFromUDPAddrPort(buffer)
				if err != nil {
					return
				}
				_, _ = out.WriteToUDPAddrPort(buffer[:n], to)
				moved.Add(1)
			}
		}()
	}
	return ports, nil
}

// floorPlay is a wheel of 5 ms that sends from a prompt in memory, each stream from its own port.
func floorPlay(o order) error {
	const slots = 4
	prompt := make([]byte, 8000*10)
	for thread := range o.Loops {
		var sockets []int
		var addresses []unix.RawSockaddrInet4
		for i := thread; i < o.Streams; i += o.Loops {
			socket, _, err := udp(0, 0)
			if err != nil {
				return err
			}
			sockets, addresses = append(sockets, socket), append(addresses, address(o.Sinks+i))
		}
		go func() {
			runtime.LockOSThread()
			n := len(sockets)
			offsets, sequences := make([]int, n), make([]uint16, n)
			packet := make([]byte, 172)
			packet[0] = 0x80
			begin := time.Now()
			for tick := 0; ; tick++ {
				pause(time.Until(begin.Add(time.Duration(tick) * 5 * time.Millisecond)))
				for i := tick % slots; i < n; i += slots {
					sequences[i]++
					packet[2], packet[3] = byte(sequences[i]>>8), byte(sequences[i])
					copy(packet[12:], prompt[offsets[i]:offsets[i]+160])
					offsets[i] = (offsets[i] + 160) % len(prompt)
					_, _, _ = unix.RawSyscall6(unix.SYS_SENDTO, uintptr(sockets[i]), uintptr(unsafe.Pointer(&packet[0])), 172,
						unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(&addresses[i])), unix.SizeofSockaddrInet4)
					moved.Add(1)
				}
			}
		}()
	}
	return nil
}
