package module_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bugle/internal/callflow/module"
)

var update = flag.Bool("update", false, "write the tables of docs/callflows")

type schema struct {
	ID          string `json:"_id"`
	Type        any
	Description string
	Properties  map[string]schema
	Items       *schema
	Required    []string
	Default     json.RawMessage
	Enum        []string
	Minimum     *int
	Maximum     *int
}

// TestEveryModuleHasAPage holds pages and schemas together: each page's table of keys is made from the schema.
func TestEveryModuleHasAPage(t *testing.T) {
	t.Parallel()
	const pages = "../../../docs/callflows"
	modules := module.All(module.Services{})
	for name, m := range modules {
		var s schema
		if err := json.Unmarshal(m.Schema, &s); err != nil {
			t.Fatalf("schema of %s: %v", name, err)
		}
		if s.ID != "callflows."+name {
			t.Errorf("schema of %s calls itself %s", name, s.ID)
		}
		path := filepath.Join(pages, name+".md")
		page, err := os.ReadFile(path)
		if err != nil {
			t.Errorf("module %s has no page: %v", name, err)
			continue
		}
		want, ok := withTable(page, table("", s))
		switch {
		case !ok:
			t.Errorf("%s has no place for its table of keys", path)
		case *update:
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		case !bytes.Equal(page, want):
			t.Errorf("%s does not fit its schema; go test ./internal/callflow/module -update writes it", path)
		}
	}
	files, err := filepath.Glob(filepath.Join(pages, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if name := strings.TrimSuffix(filepath.Base(file), ".md"); name != "README" && modules[name].Run == nil {
			t.Errorf("%s is a page without a module", file)
		}
	}
}

func withTable(page []byte, table string) ([]byte, bool) {
	const from, to = "<!-- keys -->\n", "<!-- /keys -->\n"
	before, rest, ok := bytes.Cut(page, []byte(from))
	if !ok {
		return nil, false
	}
	_, after, ok := bytes.Cut(rest, []byte(to))
	return slices.Concat(before, []byte(from+table+to), after), ok
}

func table(prefix string, s schema) string {
	var b strings.Builder
	if prefix == "" {
		b.WriteString("| key | type | default | what it does |\n|---|---|---|---|\n")
	}
	for _, key := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[key]
		text := p.Description
		if slices.Contains(s.Required, key) {
			text += " (required)"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", prefix+key, kind(p), code(string(p.Default)), text)
		if p.Items != nil {
			b.WriteString(table(prefix+key+"[].", *p.Items))
		}
		b.WriteString(table(prefix+key+".", p))
	}
	return b.String()
}

func kind(p schema) string {
	text := fmt.Sprint(cmp.Or[any](p.Type, "any"))
	if len(p.Enum) > 0 {
		text = "`" + strings.Join(p.Enum, "`, `") + "`"
	}
	if p.Items != nil {
		text += " of " + kind(*p.Items)
	}
	switch {
	case p.Minimum != nil && p.Maximum != nil:
		text += fmt.Sprintf(" %d to %d", *p.Minimum, *p.Maximum)
	case p.Minimum != nil:
		text += fmt.Sprintf(" from %d", *p.Minimum)
	}
	return text
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}
