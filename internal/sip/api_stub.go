package sip

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"
)

func (r *Rules) Validate(m *Message) *Rejection { return nil }

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
	ErrEnded     = errors.New("the transaction has ended")
)

// Source is where a message came from: transport, the peer's address and port as the packet had them, and the local
// address that it arrived at. A zero Source is no source.
type Source struct {
	Transport     string // UDP or TCP
	Remote, Local netip.AddrPort
	conn          *streamConn
}

type streamConn struct{}

// Destination is where a request goes.
type Destination struct {
	Transport string         // UDP or TCP, "" for UDP
	Addr      netip.AddrPort // the next hop
	// Local picks the socket by its local port, as of the Source of a REGISTER; the zero value takes the first of the
	// transport.
	Local netip.AddrPort
	// FlowOnly allows a TCP request only on a connection that is already there, which is how a phone behind NAT is reached
	// (RFC 5626 §5.3); without one the request fails at once with ErrTransport.
	FlowOnly bool
}

// Destination returns the way back to the source.
func (s Source) Destination() Destination {
	return Destination{Transport: s.Transport, Addr: s.Remote, Local: s.Local}
}

// Options are what New needs. The zero value of each number stands for its default.
type Options struct {
	Clock Clock        // default SystemClock
	Log   *slog.Logger // default: nothing is logged

	T1, T2, T4 time.Duration // RFC 3261 §17.1.1.1, 500 ms, 4 s, 5 s

	// OnRequest gets each new request except ACK and CANCEL. It must see to it that the transaction is answered, in the
	// call or later. Without it every request is answered 501.
	OnRequest func(*ServerTransaction, *Message)
	// OnACK gets each ACK that no transaction takes: those to 2xx, and strays, told apart by the dialog.
	OnACK func(*Message, Source)
	// OnStray2xx gets each 2xx to an INVITE whose transaction is gone: a late fork, to be acknowledged and ended.
	OnStray2xx func(*Message, Source)
	// OnPanic counts a panic of one of the callbacks, which ended one message.
	OnPanic func(any)

	Supported []string // option tags that a Require header may hold; others are answered 420
	Server    string   // Server header of the stack's own responses, "" for none

	ExternalIP netip.Addr // goes into Via of what is sent to other than loopback and private addresses; also LocalAddr

	Workers               int           // run the callbacks; 32
	QueuePerCall          int           // messages waiting per Call-ID; 32, more are dropped
	QueueTotal            int           // Call-IDs with waiting messages; 4096, more are answered 503
	QueueDelay            time.Duration // a new request that waited longer is answered 503; 500 ms
	MaxInvites            int           // INVITE transactions without a final response; 2000, more are answered 503
	MaxTransactions       int           // of all kinds and states; 200,000
	RetryAfter            time.Duration // in those 503, in seconds; 5 s
	MaxConnections        int           // TCP, both directions; 10,000
	MaxConnectionsPerAddr int           // TCP, accepted from one address; 200
	StreamIdle            time.Duration // a stream without a byte is closed; 120 s
	FirstMessage          time.Duration // from accept to the first whole message; 10 s
	WriteTimeout          time.Duration // of one message on a stream; 10 s
	DialTimeout           time.Duration // of a TCP connection; 5 s, 2 s for a request that is too large for UDP
	MTU                   int           // a UDP request larger than MTU-200 goes by TCP (RFC 3261 §18.1.1); 1500
}

// Stack is a SIP element: its sockets, transactions and queues.
type Stack struct{}

// New makes a stack without sockets.
func New(o Options) *Stack { return &Stack{} }

// ListenUDP opens a UDP socket; addr is "host:port", port 0 for any free one. It returns the bound address.
func (s *Stack) ListenUDP(ctx context.Context, addr string) (netip.AddrPort, error) {
	return netip.AddrPort{}, nil
}

// ListenTCP opens a TCP listener; addr is "host:port", port 0 for any free one. It returns the bound address.
func (s *Stack) ListenTCP(ctx context.Context, addr string) (netip.AddrPort, error) {
	return netip.AddrPort{}, nil
}

// Drain makes the stack answer 503 with Retry-After to every INVITE outside a dialog from now on.
func (s *Stack) Drain() {}

// Close closes every socket, ends every transaction and waits until no callback runs any more or ctx ends. Callbacks of
// ended transactions are not called.
func (s *Stack) Close(ctx context.Context) error { return nil }

// LocalAddr returns the address and port under which the stack is reached from dst, for Contact, Via and SDP; the zero
// value when no socket of the transport is open.
func (s *Stack) LocalAddr(dst Destination) netip.AddrPort { return netip.AddrPort{} }

// Stats is a snapshot of what the stack counts.
type Stats struct {
	Received        uint64 // messages parsed
	Malformed       uint64 // messages that broke the protocol
	Retransmissions uint64 // of requests and responses, both directions
	Dropped         uint64 // for full queues and strays
	Refused         uint64 // answered 503 for overload
	Panics          uint64
	Invites         int // INVITE server transactions without a final response
	Transactions    int
	Connections     int
}

// Stats returns the current counts.
func (s *Stack) Stats() Stats { return Stats{} }

// ServerTransaction is one request to be answered (RFC 3261 §17.2). Its methods may be called from any goroutine.
type ServerTransaction struct{}

// Request returns the request.
func (t *ServerTransaction) Request() *Message { return nil }

// Source returns where the request came from.
func (t *ServerTransaction) Source() Source { return Source{} }

// Respond sends a response: any number of provisional ones, then a final one. After a 2xx to INVITE the same or
// another 2xx may be sent again until the transaction ends (RFC 6026): the TU repeats it until the ACK comes. The error is
// ErrEnded for a response that the state does not allow. The message stays the caller's.
func (t *ServerTransaction) Respond(m *Message) error { return nil }

// Reply is Respond with NewResponse(t.Request(), status, reason).
func (t *ServerTransaction) Reply(status int, reason string) error { return nil }

// OnCancel sets what is called, at most once, when a CANCEL arrives before the final response; at once if it has
// already. The stack has answered the CANCEL; the TU answers the INVITE with 487. Without a function the stack does.
func (t *ServerTransaction) OnCancel(f func()) {}

// OnEnd sets what is called once when the transaction has ended; at once if it has already. Err tells how it ended.
func (t *ServerTransaction) OnEnd(f func()) {}

// Err returns nil for a transaction that is alive or ended well, ErrTimeout when a final response to INVITE was never
// acknowledged (timer H), ErrTransport when a response could not be sent.
func (t *ServerTransaction) Err() error { return nil }

// Result is what comes of a request: responses in order, or one error at the end.
type Result struct {
	Response *Message // nil with Err
	Err      error    // wraps ErrTimeout, ErrTransport or ErrClosed
}

// ClientTransaction is one request under way (RFC 3261 §17.1). Its methods may be called from any goroutine.
type ClientTransaction struct{}

// Request sends a request in a transaction of its own and calls on with what comes of it: each provisional response, one
// final response or an error. For INVITE each 2xx is handed up, forked ones and retransmissions too, since each is to be
// acknowledged by the TU (Send) for 64*T1 after the first (RFC 6026). The stack adds a Via on top. An error means that
// nothing was sent and on is never called. A UDP request that is too large goes by TCP first, back to UDP if that fails.
func (s *Stack) Request(req *Message, dst Destination, on func(Result)) (*ClientTransaction, error) {
	return nil, nil
}

// Send sends a message outside any transaction: the ACK to a 2xx. A request gets a Via on top.
func (s *Stack) Send(m *Message, dst Destination) error { return nil }

// Request returns the request as sent, with its Via.
func (t *ClientTransaction) Request() *Message { return nil }

// Cancel sends CANCEL for an INVITE (RFC 3261 §9.1): now if a provisional response has come, else when one comes, never
// after a final response. The INVITE's own outcome, usually 487, still arrives; ErrTimeout when it does not within 64*T1. A
// reason such as `SIP;cause=200;text="Call completed elsewhere"` becomes the Reason header (RFC 3326), "" for none.
func (t *ClientTransaction) Cancel(reason string) {}
