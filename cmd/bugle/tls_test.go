package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bugle/internal/bugletest"
)

// certificate writes a self-signed certificate and its key into dir, in place of those that are there.
func certificate(t *testing.T, dir string, serial int64) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// shown is the certificate that a server shows to a client of the name.
func shown(ctx context.Context, address, name string) (tls.ConnectionState, error) {
	dialer := &tls.Dialer{Config: &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: []string{"h2"}}}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState(), nil
}

// eventually tries until done says yes.
func eventually(t *testing.T, within time.Duration, what string, done func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := done(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		case <-tick.C:
		}
	}
}

func TestAPIWithTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile := certificate(t, dir, 1)
	p := serve(t, filepath.Join(t.TempDir(), "data"), chosen, "--http", "0.0.0.0:0", "--tls-cert", certFile, "--tls-key", keyFile)
	_, port, _ := net.SplitHostPort(p.HTTP)
	address := net.JoinHostPort("127.0.0.1", port)
	state, err := shown(t.Context(), address, "localhost")
	if err != nil || state.NegotiatedProtocol != "h2" || state.Version < tls.VersionTLS12 {
		t.Fatalf("%v %+v", err, state)
	}
	old := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}}
	if conn, err := old.DialContext(t.Context(), "tcp", address); err == nil {
		conn.Close()
		t.Error("TLS 1.1 was taken")
	}
	text, err := os.ReadFile(certFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	api := bugletest.NewAPI("https://"+address, client)
	if err := api.LoginKey(t.Context(), testKey); err != nil {
		t.Fatal(err)
	}
	// Files that are no good change nothing, good ones do; the server goes on all the time.
	if err := os.WriteFile(certFile, []byte("half a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	serial := func(ctx context.Context, want int64) error {
		state, err := shown(ctx, address, "localhost")
		if err != nil {
			t.Fatalf("the server stopped to serve: %v", err)
		}
		if got := state.PeerCertificates[0].SerialNumber.Int64(); got != want {
			return fmt.Errorf("certificate %d, want %d", got, want)
		}
		return nil
	}
	eventually(t, 20*time.Second, "the complaint", func(ctx context.Context) error {
		if err := serial(ctx, 1); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(p.Log(), "the one before stays") {
			return fmt.Errorf("no complaint")
		}
		return nil
	})
	certificate(t, dir, 2)
	eventually(t, 20*time.Second, "the new certificate", func(ctx context.Context) error { return serial(ctx, 2) })
}

// peer starts a program of the machine that ends with the test, and shows what it said when the test fails.
func peer(t *testing.T, environment []string, name string, arguments ...string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed (make peers)", name)
	}
	cmd := exec.CommandContext(t.Context(), name, arguments...)
	var said bugletest.Output
	cmd.Stdout, cmd.Stderr, cmd.Env, cmd.WaitDelay = &said, &said, append(os.Environ(), environment...), time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", name, &said)
		}
	})
}

// freeAddress is an address on loopback where nothing listened a moment ago; network is "tcp" or "udp".
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// TestAPIWithACME: pebble, Let's Encrypt's own test authority, proves the domain at the API's port and signs; the next
// start shows what is kept.
func TestAPIWithACME(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile := certificate(t, dir, 1)
	directory, management, names, http := freeAddress(t), freeAddress(t), freeAddress(t), freeAddress(t)
	_, port, _ := net.SplitHostPort(http)
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{"listenAddress": directory, "managementListenAddress": management,
		"certificate": certFile, "privateKey": keyFile, "httpPort": 5002, "tlsPort": json.Number(port)}})
	if err != nil {
		t.Fatal(err)
	}
	configFile := filepath.Join(dir, "pebble.json")
	if err := os.WriteFile(configFile, config, 0o600); err != nil {
		t.Fatal(err)
	}
	peer(t, nil, "pebble-challtestsrv", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-dns01", names, "-http01", "", "-https01", "",
		"-tlsalpn01", "", "-management", freeAddress(t))
	peer(t, []string{"PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=20"}, "pebble", "-config", configFile, "-dnsserver", names)
	roots := x509.NewCertPool()
	eventually(t, 20*time.Second, "pebble", func(ctx context.Context) error {
		text, err := fetch(ctx, "https://"+management+"/roots/0")
		if err == nil && !roots.AppendCertsFromPEM(text) {
			err = fmt.Errorf("no certificate: %s", text)
		}
		return err
	})
	data := filepath.Join(t.TempDir(), "data")
	flags := []string{"--http", http, "--acme", "--acme-domain", "pbx.example.com", "--acme-directory", "https://" + directory + "/dir",
		"--acme-roots", certFile, "--acme-email", "hostmaster@example.com"}
	signed := func(ctx context.Context) error {
		state, err := shown(ctx, http, "pbx.example.com")
		if err != nil {
			return err
		}
		intermediates := x509.NewCertPool()
		for _, c := range state.PeerCertificates[1:] {
			intermediates.AddCert(c)
		}
		_, err = state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, DNSName: "pbx.example.com"})
		return err
	}
	p := serve(t, data, chosen, flags...)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.Log())
		}
	})
	eventually(t, 60*time.Second, "the certificate", signed)
	if _, err := shown(t.Context(), http, "other.example.com"); err == nil {
		t.Error("a certificate for a domain that was not named")
	}
	p.end(t, os.Interrupt)
	serve(t, data, chosen, flags...)
	eventually(t, 20*time.Second, "the certificate that was kept", signed)
}

func fetch(ctx context.Context, url string) ([]byte, error) {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	return io.ReadAll(answer.Body)
}
