package main

import (
	"context"
	"errors"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"bugle/internal/bugletest"
)

// program is a running bugle serve.
type program struct {
	*bugletest.Program
	data string
}

func bugleCommand(t *testing.T, environment []string, arguments ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], arguments...)
	cmd.Env = bugleEnvironment(t, environment)
	return cmd
}

func bugleEnvironment(t *testing.T, more []string) []string {
	return append([]string{beBugle + "=1", "PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, more...)
}

const (
	testPassword = "correct-horse-battery"
	testKey      = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

var chosen = []string{"BUGLE_ADMIN_PASSWORD=" + testPassword, "BUGLE_API_KEY=" + testKey}

// serve starts the program on a data directory and waits until it serves. The test ends it, and fails when the program
// recovered from a panic.
func serve(t *testing.T, data string, environment []string, more ...string) *program {
	t.Helper()
	return serveTo(t, "", data, environment, more...)
}

// serveTo is serve with networks that requests may go out to; "": all of loopback.
func serveTo(t *testing.T, networks, data string, environment []string, more ...string) *program {
	t.Helper()
	started, err := bugletest.StartProgram(context.WithoutCancel(t.Context()), bugletest.ProgramOptions{Path: os.Args[0],
		DataDir: data, Environment: bugleEnvironment(t, environment), Egress: networks,
		Arguments: append([]string{"--rtp-ports", "20000-29999"}, more...)})
	if err != nil {
		t.Fatal(err)
	}
	p := &program{started, data}
	t.Cleanup(func() {
		if !p.Ended() {
			if err := p.Panics(context.WithoutCancel(t.Context())); err != nil && p.Admin != "" {
				t.Error(err)
			}
			p.end(t, syscall.SIGTERM)
		}
		if strings.Contains(p.Log(), "panic") {
			t.Errorf("the server recovered from a panic:\n%s", p.Log())
		}
	})
	return p
}

// end sends a signal and waits for the exit, which it returns.
func (p *program) end(t *testing.T, signal os.Signal) *os.ProcessState {
	t.Helper()
	state, err := p.End(signal)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// api logs in to the program as its master account.
func (p *program) api(t *testing.T) *bugletest.API {
	t.Helper()
	api := bugletest.NewAPI("http://"+p.HTTP, nil)
	if err := api.LoginKey(t.Context(), testKey); err != nil {
		t.Fatalf("login: %v\n%s", err, p.Log())
	}
	return api
}

func readCredentials(text string) map[string]string {
	found := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		found[name] = strings.TrimSpace(value)
	}
	return found
}

func TestFirstStartWritesCredentialsOnce(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	p := serve(t, data, nil)
	path := filepath.Join(data, "first-credentials")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("first-credentials has mode %o", info.Mode().Perm())
	}
	found := readCredentials(string(text))
	if strings.Contains(p.Log(), found["password"]) || strings.Contains(p.Log(), found["API key"]) {
		t.Error("the log tells the credentials")
	}
	api := bugletest.NewAPI("http://"+p.HTTP, nil)
	if err := api.LoginUser(t.Context(), found["account"], found["user"], found["password"]); err != nil {
		t.Errorf("the password does not log in: %v", err)
	}
	if err := api.LoginKey(t.Context(), found["API key"]); err != nil {
		t.Errorf("the API key does not log in: %v", err)
	}
	if state := p.end(t, syscall.SIGTERM); state.ExitCode() != 0 {
		t.Fatalf("exit %v\n%s", state, p.Log())
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	again := serve(t, data, nil)
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error("the second start wrote credentials again")
	}
	api = bugletest.NewAPI("http://"+again.HTTP, nil)
	if err := api.LoginKey(t.Context(), found["API key"]); err != nil {
		t.Errorf("the API key does not log in after a restart: %v", err)
	}
}

// TestCredentialsThatCannotBeWrittenLeaveNoAccount: otherwise nobody would know the password of the account that is there.
func TestCredentialsThatCannotBeWrittenLeaveNoAccount(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	path := filepath.Join(data, "first-credentials")
	if err := os.MkdirAll(filepath.Join(path, "in the way"), 0o700); err != nil { // also for root
		t.Fatal(err)
	}
	_, err := bugletest.StartProgram(t.Context(), bugletest.ProgramOptions{Path: os.Args[0], DataDir: data,
		Environment: bugleEnvironment(t, nil)})
	if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "no account was made") {
		t.Fatalf("the start does not fail, or does not say why: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(data, ".first-credentials*")); len(left) > 0 {
		t.Errorf("the start left %v", left)
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	p := serve(t, data, nil)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found := readCredentials(string(text))
	api := bugletest.NewAPI("http://"+p.HTTP, nil)
	if err := api.LoginUser(t.Context(), found["account"], found["user"], found["password"]); err != nil {
		t.Errorf("the password does not log in: %v", err)
	}
	if err := api.LoginKey(t.Context(), found["API key"]); err != nil {
		t.Errorf("the API key does not log in: %v", err)
	}
}

// TestAPanicIsCounted: the hook that every room is given counts, and the run of a test that asks fails.
func TestAPanicIsCounted(t *testing.T) {
	t.Parallel()
	m := newMeters()
	server := httptest.NewServer(adminHandler(m, new(atomic.Bool), func(context.Context) error { return nil }))
	defer server.Close()
	p := &bugletest.Program{Admin: strings.TrimPrefix(server.URL, "http://")}
	if err := p.Panics(t.Context()); err == nil {
		t.Error("a server that counts nothing passes")
	}
	hook := m.onPanic("call")
	if err := p.Panics(t.Context()); err != nil {
		t.Error(err)
	}
	hook("what a goroutine panicked with")
	if err := p.Panics(t.Context()); err == nil || !strings.Contains(err.Error(), `bugle_panics_total{room="call"} 1`) {
		t.Errorf("after a panic: %v", err)
	}
}

func TestSettingsComeFromFlagEnvironmentAndFile(t *testing.T) {
	t.Parallel()
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "bugle.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	refused := []struct {
		name        string
		environment []string
		arguments   []string
		want        string
	}{
		{"unknown key", nil, []string{"--config", file("datadir: x\n")}, `unknown key "datadir"; known are: acme, `},
		{"unknown key, whose it is", nil, []string{"--config", file("help: x\n")}, "bugle: --config: "},
		{"unknown variable", []string{"BUGLE_DATADIR=x"}, nil, "unknown environment variable BUGLE_DATADIR"},
		{"ports", nil, []string{"--rtp-ports", "5-1"}, "--rtp-ports"},
		{"address", nil, []string{"--http", "8000"}, "--http"},
		{"in the clear", nil, []string{"--http", "0.0.0.0:0"}, "--insecure-http"},
		{"in the clear, any address", nil, []string{"--http", ":0"}, "--tls-cert"},
		{"certificate without key", nil, []string{"--tls-cert", "x"}, "go together"},
		{"no certificate", nil, []string{"--tls-cert", "/nonexistent", "--tls-key", "/nonexistent"}, "--tls-cert"},
		{"both ways", nil, []string{"--acme", "--insecure-http"}, "exclude"},
		{"no domain", nil, []string{"--acme"}, "--acme-domain"},
		{"directory", nil, []string{"--acme", "--acme-domain", "a.example", "--acme-directory", "x"}, "--acme-directory"},
		{"mail on loopback", nil, []string{"--smtp", "127.0.0.1:25", "--smtp-from", "a@b.example"}, "--egress-allow"},
		{"mail from nobody", nil, []string{"--smtp", "mail.example.com:25"}, "--smtp-from"},
		{"mail to nowhere", nil, []string{"--smtp-from", "a@b.example"}, "--smtp"},
		{"mail with half a login", nil, []string{"--smtp", "mail.example.com:25", "--smtp-user", "u"}, "--smtp-password-file"},
		{"page", nil, []string{"--ui-urls", "ui.example.com"}, "--ui-urls"},
		{"tokens", nil, []string{"--api-tokens=-1"}, "--api-tokens"},
		{"proxies", nil, []string{"--trusted-proxies", "proxy.example.com"}, "--trusted-proxies"},
		{"network", nil, []string{"--egress-allow", "ten"}, `bugle: --egress-allow: "ten" is no network`},
		{"file's value", nil, []string{"--config", file("max-calls: none\n")}, "max-calls"},
		{"file beats default", nil, []string{"--config", file("max-calls: 0\n")}, "--max-calls: 0"},
		{"environment beats file", []string{"BUGLE_MAX_CALLS=-7"}, []string{"--config", file("max-calls: 0\n")}, "--max-calls: -7"},
		{"flag beats environment", []string{"BUGLE_MAX_CALLS=-7"}, []string{"--max-calls=-9"}, "--max-calls: -9"},
		{"days", nil, []string{"--call-record-days", "0"}, "--call-record-days: 0; 1 to"},
		{"outage", nil, []string{"--calls-without-database", "0s"}, "--calls-without-database: 0s; at least"},
		{"speech", nil, []string{"--speech-url", "localhost:8880"}, "--speech-url"},
		{"speech on loopback", nil, []string{"--speech-url", "http://127.0.0.1:8880/v1/audio/speech"}, "--egress-allow"},
		{"link", nil, []string{"--public-url", "ftp://x.example"}, "--public-url"},
		{"not YAML", nil, []string{"--config", file("a: [\n")}, "bugle.yaml"},
	}
	for _, c := range refused {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			data := filepath.Join(t.TempDir(), "data")
			cmd := bugleCommand(t, c.environment, append([]string{"serve", "--data-dir", data}, c.arguments...)...)
			out, err := cmd.CombinedOutput()
			if err == nil || cmd.ProcessState.ExitCode() != 2 {
				t.Errorf("exit %v, want 2", cmd.ProcessState)
			}
			if !strings.Contains(string(out), c.want) {
				t.Errorf("says %q, want it to name %q", out, c.want)
			}
			if _, err := os.Stat(data); err == nil {
				t.Error("a refused start left a data directory")
			}
		})
	}
}

func TestSecondServerOnOneDataDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	serve(t, data, chosen)
	out, err := bugleCommand(t, chosen, "serve", "--data-dir", data, "--sip", "127.0.0.1:0", "--http", "127.0.0.1:0",
		"--admin", "127.0.0.1:0").CombinedOutput()
	if err == nil || !strings.Contains(string(out), data) {
		t.Fatalf("a second server started, or did not say why not: %v %s", err, out)
	}
}
