//go:build unix

package sip

import (
	"net"
	"runtime"

	"golang.org/x/sys/unix"
)

// receiveBuffer returns the bytes that the kernel grants for waiting packets, 0 when it does not say.
func receiveBuffer(conn *net.UDPConn) int {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0
	}
	size := 0
	_ = raw.Control(func(fd uintptr) { size, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF) })
	if err != nil {
		return 0
	}
	if runtime.GOOS == "linux" {
		size /= 2 // socket(7): the kernel doubles what was asked for, for its own bookkeeping
	}
	return size
}
