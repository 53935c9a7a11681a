package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"bugle/internal/bugletest"
)

// bugleOutput runs a command that must succeed, and returns what it prints on standard output.
func bugleOutput(t *testing.T, environment []string, arguments ...string) string {
	t.Helper()
	cmd := bugleCommand(t, environment, arguments...)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("bugle %s: %v\n%s%s", strings.Join(arguments, " "), err, out, &complaint)
	}
	return string(out)
}

var hexKey = regexp.MustCompile(`^[0-9a-f]{64}\n$`)

// TestAdminManagesARunningServerAndAStoppedOne: the same commands, over the API and on the data directory.
func TestAdminManagesARunningServerAndAStoppedOne(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	p := serve(t, data, nil)
	over := func(arguments ...string) string {
		return bugleOutput(t, nil, append([]string{"admin"}, append(arguments, "--url", "http://"+p.HTTP, "--api-key-file",
			filepath.Join(data, "first-credentials"))...)...)
	}
	over("accounts", "create", "Acme", "--realm", "acme.example")
	if list := over("accounts", "list"); !strings.Contains(list, "Acme") || !strings.Contains(list, "acme.example") || !strings.Contains(list, "master") {
		t.Errorf("accounts: %s", list)
	}
	made := strings.Fields(over("users", "create", "ACME.example", "ann", "--first-name", "Ann", "--last-name", "O'Brien", "--admin"))
	password := made[len(made)-1]
	api := bugletest.NewAPI("http://"+p.HTTP, nil)
	if err := api.LoginUser(t.Context(), "Acme", "ann", password); err != nil {
		t.Errorf("the new user: %v", err)
	}
	old := over("keys", "show", "Acme")
	if !hexKey.MatchString(old) {
		t.Errorf("key: %q", old)
	}
	if out, err := bugleCommand(t, nil, "admin", "accounts", "list", "--data-dir", data).CombinedOutput(); err == nil ||
		!strings.Contains(string(out), "--url") {
		t.Errorf("on the directory of a running server: %v %s", err, out)
	}
	p.end(t, syscall.SIGTERM)

	on := func(environment []string, arguments ...string) string {
		return bugleOutput(t, environment, append(append([]string{"admin"}, arguments...), "--data-dir", data)...)
	}
	if list := on(nil, "users", "list", "Acme"); !strings.Contains(list, "Ann O'Brien") || !strings.Contains(list, "admin") {
		t.Errorf("users: %s", list)
	}
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("another horse\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := on(nil, "users", "password", "Acme", "ann", "--password-file", file); strings.Contains(out, "horse") {
		t.Errorf("repeats the password: %s", out)
	}
	if list := bugleOutput(t, nil, "admin", "--data-dir", data, "accounts", "list"); !strings.Contains(list, "Acme") {
		t.Errorf("with the flag before the command: %s", list)
	}
	if list := bugleOutput(t, nil, "events", "--data-dir", data, "subscriptions", "Acme"); !strings.Contains(list, "KIND") {
		t.Errorf("with the flag before the command: %s", list)
	}
	fresh := on(nil, "keys", "renew", "Acme")
	on(nil, "accounts", "create", "Below", "--parent", "Acme")
	on([]string{"BUGLE_PASSWORD=a third horse"}, "users", "create", "Below", "bob", "--first-name", "Bob")
	on(nil, "users", "delete", "Below", "bob")
	on(nil, "accounts", "delete", "Below")

	again := serve(t, data, nil)
	api = bugletest.NewAPI("http://"+again.HTTP, nil)
	if err := api.LoginUser(t.Context(), "Acme", "ann", "another horse"); err != nil {
		t.Errorf("the new password: %v", err)
	}
	if err := api.LoginUser(t.Context(), "Acme", "ann", password); err == nil {
		t.Error("the old password logs in")
	}
	if err := api.LoginKey(t.Context(), strings.TrimSpace(fresh)); err != nil {
		t.Errorf("the new key: %v", err)
	}
	if err := api.LoginKey(t.Context(), strings.TrimSpace(old)); err == nil {
		t.Error("the old key logs in")
	}
	if err := api.LoginUser(t.Context(), "Below", "bob", "a third horse"); err == nil {
		t.Error("a deleted user logs in")
	}
}

func TestAdminSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	p := serve(t, data, chosen)
	url := "http://" + p.HTTP
	for _, c := range []struct {
		name        string
		environment []string
		arguments   []string
		want        string
	}{
		{"no key", nil, []string{"accounts", "list", "--url", url}, "BUGLE_API_KEY"},
		{"wrong key", []string{"BUGLE_API_KEY=" + strings.Repeat("0", 64)}, []string{"accounts", "list", "--url", url}, "404"},
		{"not a URL", chosen[1:], []string{"accounts", "list", "--url", "pbx"}, "--url"},
		{"no directory", nil, []string{"accounts", "list", "--data-dir", filepath.Join(t.TempDir(), "none")}, "no directory"},
		{"no account", chosen[1:], []string{"users", "list", "Nobody", "--url", url}, `"Nobody"`},
		{"no user", chosen[1:], []string{"users", "delete", "master", "nobody", "--url", url}, `"nobody"`},
		{"field", chosen[1:], []string{"accounts", "create", "x", "--realm", "!", "--url", url}, "realm"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out, err := bugleCommand(t, c.environment, append([]string{"admin"}, c.arguments...)...).CombinedOutput()
			if err == nil || !strings.Contains(string(out), c.want) {
				t.Errorf("%v %s; want it to name %q", err, out, c.want)
			}
		})
	}
}
