package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"sync"
	"time"
)

// tlsFlags say how the API is reached over the network.
type tlsFlags struct {
	TLSCert       string   `name:"tls-cert" env:"BUGLE_TLS_CERT" help:"Certificate chain of --http, PEM; read again when it changes." type:"path"`
	TLSKey        string   `name:"tls-key" env:"BUGLE_TLS_KEY" help:"Key of --tls-cert, PEM." type:"path"`
	ACME          bool     `name:"acme" env:"BUGLE_ACME" help:"Get certificates of --http by ACME (Let's Encrypt) and renew them. Port 443 of the domains must lead to --http."`
	ACMEDomain    []string `name:"acme-domain" env:"BUGLE_ACME_DOMAIN" help:"Domains of the certificates; the host of --public-url by default."`
	ACMEEmail     string   `name:"acme-email" env:"BUGLE_ACME_EMAIL" help:"Whom the authority writes to."`
	ACMEDirectory string   `name:"acme-directory" env:"BUGLE_ACME_DIRECTORY" default:"https://acme-v02.api.letsencrypt.org/directory" help:"The authority's directory."`
	ACMERoots     string   `name:"acme-roots" env:"BUGLE_ACME_ROOTS" help:"Certificates that the authority's own site is trusted by, PEM; the system's by default." type:"path"`
	InsecureHTTP  bool     `name:"insecure-http" env:"BUGLE_INSECURE_HTTP" help:"Serve the API without TLS beyond this machine: passwords and tokens can be read on the way."`
}

// tlsSettings are tlsFlags, checked.
type tlsSettings struct {
	certFile, keyFile string // "" for none
	acme              *acmeSettings
}

type acmeSettings struct {
	domains          []string
	email, directory string
	roots            *x509.CertPool // nil for the system's
}

// settings checks the flags against where the API listens: beyond loopback it does not go in the clear by accident.
func (f *tlsFlags) settings(address, publicURL string) (tlsSettings, error) {
	s := tlsSettings{certFile: f.TLSCert, keyFile: f.TLSKey}
	switch {
	case (f.TLSCert == "") != (f.TLSKey == ""):
		return s, errors.New("--tls-cert and --tls-key go together")
	case f.TLSCert != "" && (f.ACME || f.InsecureHTTP), f.ACME && f.InsecureHTTP:
		return s, errors.New("--tls-cert, --acme and --insecure-http exclude each other")
	case f.TLSCert != "":
		if _, err := tls.LoadX509KeyPair(f.TLSCert, f.TLSKey); err != nil {
			return s, fmt.Errorf("--tls-cert, --tls-key: %w", err)
		}
	case f.ACME:
		return s, f.acme(&s, publicURL)
	case !f.InsecureHTTP && !isLoopback(address):
		return s, fmt.Errorf("--http %s is reached from other machines, and would be without TLS: give --tls-cert and --tls-key, or --acme, "+
			"or, behind a proxy that has TLS on a network that nobody reads, --insecure-http", address)
	}
	return s, nil
}

func (f *tlsFlags) acme(s *tlsSettings, publicURL string) error {
	a := &acmeSettings{domains: f.ACMEDomain, email: f.ACMEEmail, directory: f.ACMEDirectory}
	if u, err := url.Parse(publicURL); err == nil && len(a.domains) == 0 && u.Hostname() != "" {
		a.domains = []string{u.Hostname()}
	}
	if len(a.domains) == 0 {
		return errors.New("--acme: --acme-domain (or --public-url) must name the domain, such as pbx.example.com")
	}
	if u, err := url.Parse(a.directory); err != nil || u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("--acme-directory: %q is not an https URL", a.directory)
	}
	if f.ACMERoots != "" {
		text, err := os.ReadFile(f.ACMERoots)
		if err != nil {
			return fmt.Errorf("--acme-roots: %w", err)
		}
		a.roots = x509.NewCertPool()
		if !a.roots.AppendCertsFromPEM(text) {
			return fmt.Errorf("--acme-roots: %s holds no certificate in PEM", f.ACMERoots)
		}
	}
	s.acme = a
	return nil
}

// isLoopback reports whether an address to listen on is reached from this machine only.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// openTLS is the TLS of the API's listener; nil for none.
func (v *server) openTLS(port int) (*tls.Config, func(context.Context) error, error) {
	switch {
	case v.tls.certFile != "":
		files := &certificateFiles{certFile: v.tls.certFile, keyFile: v.tls.keyFile, log: v.log}
		if err := files.load(); err != nil {
			return nil, nil, fmt.Errorf("--tls-cert: %w", err)
		}
		return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: files.get}, nil, nil
	case v.tls.acme != nil:
		return v.openACME(port)
	}
	return nil, nil, nil
}

// certificateFiles is a certificate that is read again when its files change, so that whoever renews it need not restart
// the server. While the files do not fit together the certificate that was there is kept.
type certificateFiles struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	seen    [2]fileStamp
	looked  time.Time
}

type fileStamp struct {
	modified time.Time
	size     int64
}

// certificateLook is how often the files are looked at, at most.
const certificateLook = time.Second

func (c *certificateFiles) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) >= certificateLook {
		c.looked = now
		if stamps, err := c.stamps(); err == nil && stamps != c.seen {
			if err := c.loadLocked(); err != nil {
				c.log.Error("the changed certificate cannot be used, the one before stays", "file", c.certFile, "error", err)
			} else {
				c.log.Info("the certificate was read again", "file", c.certFile)
			}
		}
	}
	return c.current, nil
}

func (c *certificateFiles) load() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.loadLocked()
}

func (c *certificateFiles) loadLocked() error {
	stamps, err := c.stamps()
	if err != nil {
		return err
	}
	c.seen = stamps // also of files that are no good: they are complained about once
	loaded, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.current = &loaded
	return nil
}

func (c *certificateFiles) stamps() (out [2]fileStamp, err error) {
	for i, path := range [...]string{c.certFile, c.keyFile} {
		info, err := os.Stat(path)
		if err != nil {
			return out, err
		}
		out[i] = fileStamp{info.ModTime(), info.Size()}
	}
	return out, nil
}
