//go:build !linux || !(amd64 || arm64 || riscv64 || loong64)

package sip

import (
	"net"
	"net/netip"
)

// datagramReader reads a UDP socket for one goroutine.
type datagramReader struct {
	conn   *net.UDPConn
	buffer [1 << 16]byte
}

func newDatagramReader(conn *net.UDPConn) (*datagramReader, error) {
	return &datagramReader{conn: conn}, nil
}

// read waits for a datagram, which is the reader's until the next call.
func (d *datagramReader) read() ([]byte, netip.AddrPort, error) {
	n, from, err := d.conn.ReadFromUDPAddrPort(d.buffer[:])
	return d.buffer[:n], from, err
}

func newDatagramWriter(conn *net.UDPConn) (packetConn, error) { return conn, nil }
