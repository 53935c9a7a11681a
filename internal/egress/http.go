package egress

import (
	"context"
	"net"
	"net/http"
	"time"
)

// The limits of a client's requests; the caller bounds what it reads of a body itself.
const (
	dialTimeout     = 5 * time.Second
	headerTimeout   = 10 * time.Second
	requestTimeout  = 30 * time.Second
	maxHeaderBytes  = 64 << 10
	maxIdle         = 100
	maxConnsPerHost = 20
)

// Dialer returns a dialer that opens only connections that the guard allows.
func (g *Guard) Dialer() *net.Dialer {
	return &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second, Control: g.Control}
}

// DialContext opens a connection that the guard allows.
func (g *Guard) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return g.Dialer().DialContext(ctx, network, address)
}

// Client returns an HTTP client that opens only connections that the guard allows, follows no redirect (a 3xx is the
// response), uses no proxy, since a proxy would dial what the guard cannot see, and gives up after timeout (30 s for 0).
// Its idle connections are closed with CloseIdleConnections.
func (g *Guard) Client(timeout time.Duration) *http.Client {
	if timeout <= 0 {
		timeout = requestTimeout
	}
	return &http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            g.DialContext,
			ForceAttemptHTTP2:      true,
			TLSHandshakeTimeout:    dialTimeout,
			ResponseHeaderTimeout:  headerTimeout,
			ExpectContinueTimeout:  time.Second,
			IdleConnTimeout:        60 * time.Second,
			MaxIdleConns:           maxIdle,
			MaxConnsPerHost:        maxConnsPerHost,
			MaxResponseHeaderBytes: maxHeaderBytes,
		},
	}
}
