//go:build !unix

package sip

import "net"

// receiveBuffer returns the bytes that the kernel grants for waiting packets, 0 when it does not say.
func receiveBuffer(*net.UDPConn) int { return 0 }
