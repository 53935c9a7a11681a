package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"bugle"
	"bugle/internal/egress"
)

// MaxAnswer is how many bytes of an answer are read; what follows is not, and its connection is closed.
const MaxAnswer = 16 << 10

// Request is one HTTP request of a Sender.
type Request struct {
	Method, URL string
	Header      [][2]string
	Body        []byte
	// Plain allows http: to every address that the guard lets pass; else it is only for the operator's own networks.
	Plain bool
}

// Answer is what became of a Request.
type Answer struct {
	Status int // 0: there was no answer
	Header http.Header
	Body   []byte // at most MaxAnswer
	Cut    bool   // the body was longer
	Took   time.Duration
	// Reason is why there was no answer, in words that tell the owner of the receiver what to mend and nothing of the
	// network that bugle is in; "" when there was one.
	Reason string
	// Refused: the address may not be connected to.
	Refused bool
	// Malformed: what it answered is not HTTP, or has a header of more than MaxAnswer bytes.
	Malformed bool
	// Err is the error itself, for the log.
	Err error
}

// Sender sends requests through the guard: it follows no redirect, uses no proxy, speaks TLS 1.2 or newer, and judges each
// address when it is dialled, so that a name that leads elsewhere later gains nothing.
type Sender struct{ secure, plain, inside *http.Client }

// NewSender returns a sender; Close ends its idle connections. A nil resolver is the system's, nil roots its authorities.
func NewSender(guard *egress.Guard, resolver *net.Resolver, roots *x509.CertPool) *Sender {
	client := func(control func(network, address string, c syscall.RawConn) error) *http.Client {
		dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Control: control, Resolver: resolver}
		return &http.Client{
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				DialContext:            dialer.DialContext,
				TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
				TLSHandshakeTimeout:    10 * time.Second,
				ForceAttemptHTTP2:      true,
				DisableCompression:     true, // the headers of a delivery are its own
				MaxIdleConns:           2000,
				MaxIdleConnsPerHost:    64, // many endpoints may be of one host
				IdleConnTimeout:        30 * time.Second,
				MaxResponseHeaderBytes: MaxAnswer,
			},
		}
	}
	return &Sender{secure: client(guard.Control), plain: client(guard.Control), inside: client(guard.ControlAllowed)}
}

// Close ends the idle connections.
func (s *Sender) Close() {
	for _, c := range []*http.Client{s.secure, s.plain, s.inside} {
		c.CloseIdleConnections()
	}
}

// Send sends a request and reads the answer. The context bounds how long it may take.
func (s *Sender) Send(ctx context.Context, r Request) Answer {
	began := time.Now()
	a := s.send(ctx, r)
	a.Took = time.Since(began)
	if a.Err != nil {
		a.Reason, a.Refused = reason(ctx, a.Err)
		a.Malformed = a.Reason == notHTTP
	}
	return a
}

func (s *Sender) send(ctx context.Context, r Request) (a Answer) {
	target, err := url.Parse(r.URL)
	if err != nil || target.Host == "" || target.Scheme != "http" && target.Scheme != "https" {
		return Answer{Err: errAddress}
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return Answer{Err: errAddress}
	}
	for _, h := range r.Header {
		if strings.EqualFold(h[0], "Host") {
			req.Host = h[1]
			continue
		}
		req.Header[h[0]] = append(req.Header[h[0]], h[1]) // in the letters that it was stored with
	}
	client := s.secure
	switch {
	case target.Scheme == "http" && r.Plain:
		client = s.plain
	case target.Scheme == "http":
		client = s.inside
	}
	res, err := client.Do(req)
	if err != nil {
		return Answer{Err: err}
	}
	defer res.Body.Close()
	a = Answer{Status: res.StatusCode, Header: res.Header}
	a.Body, err = io.ReadAll(io.LimitReader(res.Body, MaxAnswer+1))
	if len(a.Body) > MaxAnswer {
		a.Body, a.Cut = a.Body[:MaxAnswer], true
	} else if err != nil {
		a.Status, a.Err = 0, err // it ended in the middle, or drips
	}
	return a
}

// notHTTP is the reason of an answer that is Malformed.
const notHTTP = "the answer was not HTTP, or its header has more than 16 KiB"

var errAddress = errors.New("the address is not a URL of http or https")

// reason says in words why there was no answer.
func reason(ctx context.Context, err error) (words string, refused bool) {
	var name *net.DNSError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var verification *tls.CertificateVerificationError
	var network net.Error
	switch {
	case errors.Is(err, errAddress):
		return errAddress.Error(), true
	case bugle.KindOf(err) == bugle.KindForbidden:
		return "the address may not be connected to: it is not public, or http: is used where https: is required", true
	case errors.As(err, &name) && !name.IsTimeout:
		return "the name of the host was not found", false
	case errors.As(err, &host):
		return "the certificate is for another name", false
	case errors.As(err, &invalid):
		return "the certificate is expired or not valid for this", false
	case errors.As(err, &unknown), errors.As(err, &verification):
		return "the certificate, or one between it and its authority, is not trusted", false
	case errors.As(err, &record), strings.Contains(err.Error(), "tls: "), strings.Contains(err.Error(), "HTTP response to HTTPS"):
		return "there is no TLS 1.2 or newer at the address", false
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "no whole answer came in time", false
	case errors.Is(err, context.Canceled):
		return "bugle was stopped", false
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused", false
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no way to the host", false
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the connection was closed before a whole answer", false
	}
	// The client's own words are all that there is to tell these by.
	for _, words := range [...]string{"malformed", "response headers exceeded", "header list larger"} {
		if strings.Contains(err.Error(), words) {
			return notHTTP, false
		}
	}
	return "the connection broke", false
}

// answered says in words what an answer that is no success was.
func answered(status int) string {
	words := fmt.Sprintf("it answered %d %s", status, http.StatusText(status))
	if status >= 300 && status < 400 {
		words += "; redirects are not followed"
	}
	return strings.TrimSpace(words)
}
