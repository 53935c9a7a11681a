package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"bugle/internal/egress"
)

// openACME prepares certificates by ACME, kept in the data directory. Domains are proved on the listener itself
// (TLS-ALPN), so that no second port is needed. The returned function begins to manage them, once the listener is up.
func (v *server) openACME(port int) (*tls.Config, func(context.Context) error, error) {
	host, _, err := net.SplitHostPort(v.http)
	if err != nil {
		return nil, nil, fmt.Errorf("--http: %w", err)
	}
	logger := zap.New(slogCore{v.log.With("room", "acme")})
	var magic *certmagic.Config
	cache := certmagic.NewCache(certmagic.CacheOptions{Logger: logger,
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return magic, nil }})
	v.closing(func(context.Context) { cache.Stop() })
	magic = certmagic.New(cache, certmagic.Config{Logger: logger,
		Storage: &certmagic.FileStorage{Path: filepath.Join(v.dataDir, "acme")}})
	guard := egress.New(v.egress)
	issuer := certmagic.NewACMEIssuer(magic, certmagic.ACMEIssuer{CA: v.tls.acme.directory, TestCA: v.tls.acme.directory,
		Email: v.tls.acme.email, Agreed: true, TrustedRoots: v.tls.acme.roots, DisableHTTPChallenge: true, ListenHost: host,
		AltTLSALPNPort: port, Logger: logger, HTTPProxy: func(r *http.Request) (*url.URL, error) { return nil, guarded(guard, r) }})
	magic.Issuers = []certmagic.Issuer{issuer}
	config := magic.TLSConfig()
	config.MinVersion = tls.VersionTLS12
	config.NextProtos = append([]string{"h2", "http/1.1"}, config.NextProtos...)
	return config, func(ctx context.Context) error {
		if err := magic.ManageAsync(ctx, v.tls.acme.domains); err != nil {
			return fmt.Errorf("--acme: %w", err)
		}
		return nil
	}, nil
}

// guarded judges where the authority is: the library dials itself.
func guarded(guard *egress.Guard, r *http.Request) error {
	addresses, err := net.DefaultResolver.LookupNetIP(r.Context(), "ip", r.URL.Hostname())
	if err != nil {
		return err
	}
	for _, address := range addresses {
		if err := guard.Check(address); err != nil {
			return err
		}
	}
	return nil
}

// slogCore lets the ACME library log where the server does.
type slogCore struct{ log *slog.Logger }

func (c slogCore) level(l zapcore.Level) slog.Level {
	switch {
	case l >= zapcore.ErrorLevel:
		return slog.LevelError
	case l == zapcore.WarnLevel:
		return slog.LevelWarn
	case l == zapcore.InfoLevel:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// Enabled is part of zapcore.Core.
func (c slogCore) Enabled(l zapcore.Level) bool {
	return c.log.Enabled(context.Background(), c.level(l))
}

// With is part of zapcore.Core.
func (c slogCore) With(fields []zapcore.Field) zapcore.Core {
	return slogCore{c.log.With(attributes(fields)...)}
}

// Check is part of zapcore.Core.
func (c slogCore) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return checked.AddCore(e, c)
	}
	return checked
}

// Write is part of zapcore.Core.
func (c slogCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	c.log.Log(context.Background(), c.level(e.Level), e.Message, attributes(fields)...)
	return nil
}

// Sync is part of zapcore.Core.
func (c slogCore) Sync() error { return nil }

func attributes(fields []zapcore.Field) []any {
	encoder := zapcore.NewMapObjectEncoder()
	for _, field := range fields {
		field.AddTo(encoder)
	}
	out := make([]any, 0, 2*len(encoder.Fields))
	for key, value := range encoder.Fields {
		out = append(out, key, value)
	}
	return out
}
