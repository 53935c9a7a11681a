package clients

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTypedClient generates a client from the running server's description, has the compiler judge a program that uses
// it, and runs that.
func TestTypedClient(t *testing.T) {
	t.Parallel()
	api := account(t, "Typed")
	dir := node(t, "client.ts")
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + serving.HTTP + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "openapi.json"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, dir, nil, "node", "node_modules/openapi-typescript/bin/cli.js", "openapi.json", "-o", "api.d.ts",
		"--default-non-nullable=false") // a key with a default may be left out of what is written
	run(t, dir, nil, "node", "node_modules/typescript/bin/tsc", "--strict", "--noUncheckedIndexedAccess", "--target", "es2022",
		"--module", "nodenext", "--moduleResolution", "nodenext", "--skipLibCheck", "--lib", "es2022,dom,dom.iterable", "client.ts")
	out := run(t, dir, []string{"BUGLE_URL=http://" + serving.HTTP, "BUGLE_KEY=" + key(t, api)}, "node", "client.js")
	if !strings.Contains(out, "typed client: ok") {
		t.Errorf("%s", out)
	}
}
