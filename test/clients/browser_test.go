package clients

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestBrowser: a page of another origin uses the API from Chromium, and the documentation page works there, at the
// widths of a desktop and of a telephone, with the keyboard, and without asking any other server.
func TestBrowser(t *testing.T) {
	t.Parallel()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("chromium is missing: make peers installs it")
	}
	api := account(t, "Browser")
	dir := node(t, "browser.mjs")
	shots := t.TempDir()
	if given := os.Getenv("BUGLE_SHOTS"); given != "" {
		shots = given
	}
	out := run(t, dir, []string{"BUGLE_URL=http://" + serving.HTTP, "BUGLE_KEY=" + key(t, api), "BUGLE_ACCOUNT=" + api.AccountID,
		"CHROMIUM=" + chromium, "SHOTS=" + shots}, "node", "browser.mjs")
	if !strings.Contains(out, "browser: ok") {
		t.Errorf("%s", out)
	}
}
