package webhook_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bugle/internal/bugletest"
	"bugle/internal/egress"
	"bugle/internal/event/webhook"
)

func allow(t *testing.T, networks string) *egress.Guard {
	t.Helper()
	list, err := egress.ParseNetworks(networks)
	if err != nil {
		t.Fatal(err)
	}
	return egress.New(list)
}

// raw is a receiver that answers with bytes, whatever they are, and then closes unless hold is set.
func raw(t *testing.T, hold bool, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); close(done) })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = http.ReadRequest(bufio.NewReader(c))
				_, _ = io.WriteString(c, answer)
				if hold {
					<-done
				}
			}()
		}
	}()
	return "http://" + l.Addr().String() + "/"
}

func TestReceiversThatMisbehave(t *testing.T) {
	t.Parallel()
	s := webhook.NewSender(allow(t, "127.0.0.0/8"), nil, nil)
	defer s.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + closed.Addr().String() + "/"
	closed.Close()
	var reached atomic.Bool
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }))
	defer inside.Close()
	huge := strings.Repeat("x", 10<<20)
	for name, c := range map[string]struct {
		url    string
		status int
		reason string
	}{
		"well":         {raw(t, false, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), 200, ""},
		"500":          {raw(t, false, "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"), 500, ""},
		"302":          {raw(t, false, "HTTP/1.1 302 Found\r\nLocation: "+inside.URL+"\r\nContent-Length: 0\r\n\r\n"), 302, ""},
		"307":          {raw(t, false, "HTTP/1.1 307 Go\r\nLocation: "+inside.URL+"\r\nContent-Length: 0\r\n\r\n"), 307, ""},
		"garbage":      {raw(t, false, "\x00\x01garbage\r\n\r\n"), 0, "the answer was not HTTP"},
		"never":        {raw(t, true, ""), 0, "in time"},
		"half a head":  {raw(t, true, "HTTP/1.1 200 OK\r\nContent-Le"), 0, "in time"},
		"half a body":  {raw(t, true, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal"), 0, "in time"},
		"closes":       {raw(t, false, ""), 0, "closed"},
		"closes early": {raw(t, false, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal"), 0, "closed"},
		"10 MB":        {raw(t, false, "HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n"+huge), 200, ""},
		"10 MB head":   {raw(t, false, "HTTP/1.1 200 OK\r\nX: "+huge+"\r\n\r\n"), 0, "not HTTP"},
		"nobody":       {nobody, 0, "refused"},
		"no such name": {"http://no-such-name.invalid/", 0, "not found"},
		"private":      {"http://10.1.2.3/", 0, "may not be connected"},
		"metadata":     {"http://169.254.169.254/latest", 0, "may not be connected"},
		"v6 mapped":    {"http://[::ffff:10.1.2.3]/", 0, "may not be connected"},
		"no scheme":    {"//127.0.0.1/", 0, "not a URL"},
		"file":         {"file:///etc/passwd", 0, "not a URL"},
		"TLS to plain": {strings.Replace(raw(t, false, "HTTP/1.1 400 Bad\r\n\r\n"), "http:", "https:", 1), 0, "TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			limit := 5 * time.Second
			if c.reason == "in time" {
				limit = 300 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			a := s.Send(ctx, webhook.Request{Method: "POST", URL: c.url, Body: []byte("{}")})
			if a.Status != c.status || !strings.Contains(a.Reason, c.reason) || (a.Reason == "") != (c.reason == "") ||
				len(a.Body) > webhook.MaxAnswer || a.Took > limit+time.Second || strings.Contains(a.Reason, "127.0.0.1") {
				t.Errorf("%d %q %v, %d bytes in %v", a.Status, a.Reason, a.Err, len(a.Body), a.Took)
			}
			if a.Malformed != strings.Contains(c.reason, "not HTTP") {
				t.Error("malformed:", a.Malformed, a.Err)
			}
			if a.Cut != (name == "10 MB") {
				t.Error("cut:", a.Cut)
			}
		})
	}
	if reached.Load() {
		t.Error("a redirect was followed")
	}
}

// TestPlainOnlyInside: http: is for the operator's own networks, unless the kind allows it.
func TestPlainOnlyInside(t *testing.T) {
	t.Parallel()
	s := webhook.NewSender(allow(t, ""), nil, nil)
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if a := s.Send(ctx, webhook.Request{Method: "POST", URL: "http://192.0.2.1:9/"}); !a.Refused {
		t.Errorf("%+v", a)
	}
	if a := s.Send(ctx, webhook.Request{Method: "POST", URL: "http://8.8.8.8:9/"}); !a.Refused {
		t.Errorf("http: to a public address: %+v", a)
	}
	if a := s.Send(ctx, webhook.Request{Method: "POST", URL: "http://127.0.0.1:9/", Plain: true}); !a.Refused {
		t.Errorf("%+v", a)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS.Version < tls.VersionTLS12 {
			t.Error("old TLS")
		}
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	old := httptest.NewUnstartedServer(http.NotFoundHandler())
	old.Config.ErrorLog = log.New(io.Discard, "", 0)
	old.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11} //nolint:gosec // that is the point
	old.StartTLS()
	defer old.Close()
	trusted := x509.NewCertPool()
	trusted.AddCert(server.Certificate())
	named := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	for name, c := range map[string]struct {
		url    string
		roots  *x509.CertPool
		reason string
	}{"trusted": {server.URL, trusted, ""}, "unknown authority": {server.URL, x509.NewCertPool(), "not trusted"},
		"another name": {named, trusted, "another name"}, "old": {old.URL, trusted, "no TLS 1.2"}} {
		s := webhook.NewSender(allow(t, "127.0.0.0/8 ::1"), nil, c.roots)
		a := s.Send(t.Context(), webhook.Request{Method: "POST", URL: c.url})
		s.Close()
		if !strings.Contains(a.Reason, c.reason) || (c.reason == "") != (a.Status == 200) {
			t.Errorf("%s: %d %q %v", name, a.Status, a.Reason, a.Err)
		}
	}
}

// TestNameFlips: a name that leads to an allowed address when it is looked at first, and inside afterwards.
func TestNameFlips(t *testing.T) {
	t.Parallel()
	var hits atomic.Int64
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		hits.Add(1)
		w.Header().Set("Connection", "close")
	})}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	var inside atomic.Bool
	s := webhook.NewSender(allow(t, "127.0.0.2/32"), resolver(t, func() netip.Addr {
		if inside.Load() {
			return netip.MustParseAddr("127.0.0.3")
		}
		return netip.MustParseAddr("127.0.0.2")
	}), nil)
	defer s.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	r := webhook.Request{Method: "POST", URL: "http://flip.test:" + port + "/", Plain: true}
	if a := s.Send(t.Context(), r); a.Status != 200 {
		t.Fatalf("%+v", a)
	}
	inside.Store(true)
	if a := s.Send(t.Context(), r); !a.Refused || hits.Load() != 1 {
		t.Errorf("after the flip: %+v, %d hits", a, hits.Load())
	}
}

// resolver asks a name server of its own, which gives every name one address.
func resolver(t *testing.T, address func() netip.Addr) *net.Resolver {
	t.Helper()
	r, stop, err := bugletest.Names(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return r
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	// The example of Standard Webhooks' own documentation.
	secret, ok := webhook.ParseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if !ok || webhook.FormatSecret(secret) != "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" {
		t.Fatal(secret, ok)
	}
	header := webhook.Sign("msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`), secret, secret)
	want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	if header[2][1] != want+" "+want || header[1][1] != "1614265330" {
		t.Error(header)
	}
	for _, bad := range []string{"", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAAA", "whsec_!" + strings.Repeat("A", 32)} {
		if _, ok := webhook.ParseSecret(bad); ok {
			t.Error(bad)
		}
	}
}
