package sip

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"time"
)

// Options are what New needs. The zero value of each number stands for its default.
type Options struct {
	Clock Clock        // default SystemClock; idle times of connections are kept by the system's clock always
	Log   *slog.Logger // default: nothing is logged

	T1, T2, T4 time.Duration // RFC 3261 §17.1.1.1: 500 ms, 4 s, 5 s

	// OnRequest gets each new request except ACK and CANCEL. It must see to it that the transaction is answered, in the
	// call or later. Without it every request is answered 501.
	OnRequest func(*ServerTransaction, *Message)
	// OnACK gets each ACK that no transaction takes: those to 2xx, and strays, told apart by the dialog.
	OnACK func(*Message, Source)
	// OnStray2xx gets each 2xx to an INVITE whose transaction is gone: a late fork, to be acknowledged and ended.
	OnStray2xx func(*Message, Source)
	// OnPanic counts a panic of one of the callbacks, which ended one message.
	OnPanic func(any)

	// Dial opens a TCP connection to a peer; the default is net.Dialer. A guard of outgoing connections goes here.
	Dial func(ctx context.Context, peer netip.AddrPort) (net.Conn, error)

	Supported []string // option tags that a Require header may hold; others are answered 420
	Server    string   // Server header of the stack's own responses, "" for none

	ExternalIP netip.Addr // stands in Via, and for LocalAddr, towards public addresses

	Workers               int           // run the callbacks; 32
	QueuePerCall          int           // messages waiting per Call-ID; 32, more are dropped
	QueueTotal            int           // Call-IDs with waiting messages; 4096, above it new requests are answered 503
	QueueDelay            time.Duration // a request outside a dialog that waited longer is answered 503; 500 ms
	MaxInvites            int           // INVITE transactions without a final response; 2000, more are answered 503
	MaxTransactions       int           // of all kinds and states; 200,000, more are answered 503
	MaxTransactionBytes   int           // of the requests of all server transactions; 512 MiB, above it 503
	MaxQueuedBytes        int           // of all waiting messages; 64 MiB, more are dropped
	MaxPerCall            int           // transactions of one Call-ID; 256, more are answered 503
	RetryAfter            time.Duration // in those 503, whole seconds; 5 s
	MaxConnections        int           // TCP, both directions; 10,000
	MaxConnectionsPerAddr int           // TCP, accepted from one address; 200
	StreamIdle            time.Duration // a stream without a byte is closed; 120 s
	FirstMessage          time.Duration // to the first whole message, and from first to last byte of each; 10 s
	WriteTimeout          time.Duration // of one message on a stream; 10 s
	DialTimeout           time.Duration // of a TCP connection; 5 s, at most 2 s for a request too large for UDP
	MaxUDPRequest         int           // bytes; larger requests go by TCP (RFC 3261 §18.1.1); 1300
}

func (o *Options) setDefaults() {
	if o.Clock == nil {
		o.Clock = SystemClock{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Dial == nil {
		o.Dial = func(ctx context.Context, peer netip.AddrPort) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", peer.String())
		}
	}
	o.T1 = cmp.Or(o.T1, 500*time.Millisecond)
	o.T2 = cmp.Or(o.T2, 4*time.Second)
	o.T4 = cmp.Or(o.T4, 5*time.Second)
	o.Workers = cmp.Or(o.Workers, 32)
	o.QueuePerCall = cmp.Or(o.QueuePerCall, 32)
	o.QueueTotal = cmp.Or(o.QueueTotal, 4096)
	o.QueueDelay = cmp.Or(o.QueueDelay, 500*time.Millisecond)
	o.MaxInvites = cmp.Or(o.MaxInvites, 2000)
	o.MaxTransactions = cmp.Or(o.MaxTransactions, 200_000)
	o.MaxTransactionBytes = cmp.Or(o.MaxTransactionBytes, 512<<20)
	o.MaxQueuedBytes = cmp.Or(o.MaxQueuedBytes, 64<<20)
	o.MaxPerCall = cmp.Or(o.MaxPerCall, 256)
	o.RetryAfter = cmp.Or(o.RetryAfter, 5*time.Second)
	o.MaxConnections = cmp.Or(o.MaxConnections, 10_000)
	o.MaxConnectionsPerAddr = cmp.Or(o.MaxConnectionsPerAddr, 200)
	o.StreamIdle = cmp.Or(o.StreamIdle, 120*time.Second)
	o.FirstMessage = cmp.Or(o.FirstMessage, 10*time.Second)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, 10*time.Second)
	o.DialTimeout = cmp.Or(o.DialTimeout, 5*time.Second)
	o.MaxUDPRequest = cmp.Or(o.MaxUDPRequest, 1300)
}
