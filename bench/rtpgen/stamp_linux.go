package main

import (
	"encoding/binary"
	"net"

	"golang.org/x/sys/unix"
)

// stamp makes the kernel tell when each packet arrived.
func stamp(c *net.UDPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	}); err != nil {
		return err
	}
	return failed
}

// stamped returns the time of arrival in nanoseconds since 1970, 0 when the kernel did not tell it.
func stamped(control []byte) int64 {
	const header, whole = 16, 32 // of a message of a 64-bit kernel that holds two 64-bit numbers
	if len(control) < whole || binary.NativeEndian.Uint32(control[8:]) != unix.SOL_SOCKET ||
		binary.NativeEndian.Uint32(control[12:]) != unix.SCM_TIMESTAMPNS {
		return 0
	}
	seconds := int64(binary.NativeEndian.Uint64(control[header:]))
	return seconds*1e9 + int64(binary.NativeEndian.Uint64(control[header+8:]))
}
