package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadme runs the README's set-up of a company against a server, and finds its one person in the directory.
func TestReadme(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"sh", "curl", "sed"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("the README needs %s", program)
		}
	}
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, script, ok := strings.Cut(string(text), "```sh\n")
	if !ok {
		t.Fatal("the README has no shell block")
	}
	script, _, _ = strings.Cut(script, "```")
	p := serve(t, filepath.Join(t.TempDir(), "data"), chosen)
	script = strings.Replace(script, "127.0.0.1:8000", p.HTTP, 1) + "\necho; echo $account $directory"
	cmd := exec.CommandContext(t.Context(), "sh", "-eu", "-c", script)
	cmd.Env = append(os.Environ(), chosen...)
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Contains(string(out), `"status":"error"`) {
		t.Fatalf("%v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	account, directory, _ := strings.Cut(lines[len(lines)-1], " ")
	var listing struct {
		Users []struct {
			UserID string `json:"user_id"`
		} `json:"users"`
	}
	if err := p.api(t).Do(t.Context(), "GET", "/accounts/"+account+"/directories/"+directory, nil, &listing); err != nil {
		t.Fatal(err)
	}
	if len(listing.Users) != 1 {
		t.Errorf("the directory has %d people, want the one of the README", len(listing.Users))
	}
}
