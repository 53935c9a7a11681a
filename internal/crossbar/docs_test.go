package crossbar_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const docsDirectory = "../../docs/api"

// TestDocs: the pages in docs/api are what table and schemas say. -update writes them.
func TestDocs(t *testing.T) {
	t.Parallel()
	api := newWorld(t).api
	pages := api.Pages()
	pages["openapi.json"] = string(api.OpenAPI())
	if *update {
		if err := os.MkdirAll(docsDirectory, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range pages {
		path := filepath.Join(docsDirectory, name)
		if *update {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s: -schemas +file (write anew with -update)\n%s", name, diff)
		}
	}
	files, err := filepath.Glob(filepath.Join(docsDirectory, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if _, made := pages[filepath.Base(file)]; !made {
			t.Errorf("%s belongs to no resource", file)
		}
	}
	for _, want := range []string{"`sip.password`", "`sip.digest`", "`call_forward`", "not yet in force"} {
		if !strings.Contains(pages["devices.md"], want) {
			t.Errorf("devices.md has no %s", want)
		}
	}
}
