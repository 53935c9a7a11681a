package sip

import (
	"errors"
	"net/netip"

	"bugle"
)

// Transports.
const (
	UDP = "udp"
	TCP = "tcp"
)

// Causes in the error of a Result and of a ServerTransaction; test with errors.Is.
var (
	ErrTimeout   = errors.New("no answer in time")
	ErrTransport = errors.New("the message could not be sent")
	ErrClosed    = errors.New("the stack is closed")
	ErrEnded     = errors.New("the transaction has ended or is past this response")
)

func failure(op string, cause error, message string) error {
	return &bugle.Error{Op: op, Kind: bugle.KindUnavailable, Message: message, Err: cause}
}

// Source is where a message came from: transport, the peer's address and port as the packet had them, and the local
// address that it arrived at. A zero Source is no source.
type Source struct {
	Transport     string // UDP or TCP
	Remote, Local netip.AddrPort
	conn          *streamConn
}

// Destination returns the way back to the source.
func (s Source) Destination() Destination {
	return Destination{Transport: s.Transport, Addr: s.Remote, Local: s.Local}
}

// Destination is where a request goes.
type Destination struct {
	Transport string         // UDP or TCP, "" for UDP
	Addr      netip.AddrPort // the next hop
	// Local picks the socket by its local port, as of the Source of a REGISTER; the zero value takes the first of the
	// transport.
	Local netip.AddrPort
	// FlowOnly allows a TCP request only on a connection that is already there, which is how a phone behind NAT is reached
	// (RFC 5626 §5.3); without one the request fails at once with ErrTransport. A UDP request stays on UDP whatever its size.
	FlowOnly bool
}

// sender is told, on any goroutine and without locks held, when a message that was queued could not be sent.
type sender interface{ sendFailed(err error) }
