package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestReadmeHasEveryFlag: each flag of serve is in the README's table with its default, and is a variable too.
func TestReadmeHasEveryFlag(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	const elsewhere = "in the last column"
	told := map[string]string{} // flag -> default
	names := regexp.MustCompile("`--([a-z-]+)`")
	for line := range strings.Lines(string(text)) {
		columns := strings.Split(line, "|")
		if len(columns) != 5 || !strings.HasPrefix(columns[1], " `--") {
			continue
		}
		defaults := strings.Split(strings.Trim(columns[2], " `"), "`, `")
		for i, flag := range names.FindAllStringSubmatch(columns[1], -1) {
			told[flag[1]] = ""
			if i < len(defaults) {
				told[flag[1]] = defaults[i]
			}
		}
		for _, flag := range names.FindAllStringSubmatch(columns[3], -1) {
			told[flag[1]] = elsewhere
		}
	}
	parser, err := kong.New(&commands{})
	if err != nil {
		t.Fatal(err)
	}
	known := 0
	for _, command := range parser.Model.Children {
		if command.Name != "serve" {
			continue
		}
		for _, flag := range command.Flags {
			known++
			value, ok := told[flag.Name]
			if value == "DATA-DIR/key" {
				value = "" // which depends on another flag
			}
			if !ok || value != flag.Default && value != elsewhere {
				t.Errorf("--%s with the default %q is %q in the README", flag.Name, flag.Default, value)
			}
			if variable := "BUGLE_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_")); !slices.Contains(flag.Envs, variable) {
				t.Errorf("--%s is not %s", flag.Name, variable)
			}
		}
	}
	if known == 0 || len(told) != known {
		t.Errorf("%d flags, %d in the README", known, len(told))
	}
}

// TestReadme runs the README's set-up of a company against a server, finds its one person in the directory, and dials it
// as the README does.
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
	blocks := strings.Split(string(text), "```sh\n")
	if len(blocks) != 3 {
		t.Fatalf("the README has %d shell blocks, not 2", len(blocks)-1)
	}
	script, _, _ := strings.Cut(blocks[1], "```")
	dial, _, _ := strings.Cut(blocks[2], "```")
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
	dial = strings.NewReplacer("127.0.0.1:5060", p.SIP.String(), "go run ./cmd/bugle", "'"+os.Args[0]+"'").Replace(dial)
	cmd = exec.CommandContext(t.Context(), "sh", "-eu", "-c", dial)
	cmd.Env, cmd.Dir = bugleEnvironment(t, nil), t.TempDir()
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "outcome: all as expected") {
		t.Errorf("%v\n%s", err, out)
	}
	if heard, err := os.Stat(filepath.Join(cmd.Dir, "heard.wav")); err != nil || heard.Size() < 10000 {
		t.Errorf("what was heard: %v, %v", heard, err)
	}
}
