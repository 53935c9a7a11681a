package crossbar_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestGolden plays each file of testdata/golden: a request ("METHOD path", headers, an empty line, the body), "--", what
// was answered, "==", the next request. {account}, {master} and {token} stand for the test's own; {ID1}, {ID2}, ... for
// the ids in the order in which they appeared. A new case is a new file, filled in by -update.
func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/golden/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(newWorld(t), string(text))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(text), got); diff != "" {
				t.Errorf("-file +got\n%s", diff)
			}
		})
	}
}

var (
	idForm  = regexp.MustCompile(`\b[0-9a-f]{32}\b`)
	revForm = regexp.MustCompile(`\b([0-9]+)-[0-9a-f]{32}\b`)
	sumForm = regexp.MustCompile(`-REV\.[0-9a-f]{16}\b`)
	tokens  = regexp.MustCompile(`"remaining": [0-9]+`)
	jwtForm = regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]+`)
)

func play(w *world, text string) string {
	var out strings.Builder
	ids := map[string]string{w.account: "{account}", w.master.AccountID: "{master}"}
	names := []string{"{account}", w.account, "{master}", w.master.AccountID, "{token}", w.token}
	for i, step := range strings.Split(text, "\n==\n") {
		request, _, _ := strings.Cut(step, "\n--\n")
		request = strings.TrimSpace(request)
		head, body, _ := strings.Cut(request, "\n\n")
		lines := strings.Split(strings.NewReplacer(names...).Replace(head), "\n")
		method, path, _ := strings.Cut(lines[0], " ")
		a := w.raw(method, path, strings.NewReplacer(names...).Replace(body), lines[1:]...)
		var answered strings.Builder
		fmt.Fprintln(&answered, a.code)
		for _, name := range []string{"Location", "Etag", "Retry-After", "Allow", "Content-Type", "Access-Control-Allow-Methods"} {
			if v := a.header.Get(name); v != "" && (name != "Content-Type" || v != "application/json") {
				fmt.Fprintf(&answered, "%s: %s\n", name, v)
			}
		}
		answered.WriteByte('\n')
		var pretty bytes.Buffer
		if json.Indent(&pretty, a.text, "", "  ") != nil {
			pretty.Reset()
			pretty.Write(a.text)
		}
		answered.Write(pretty.Bytes())
		shown := revForm.ReplaceAllString(answered.String(), "$1-REV")
		shown = sumForm.ReplaceAllString(shown, "-REV.SUM")
		shown = jwtForm.ReplaceAllString(shown, "TOKEN")
		shown = tokens.ReplaceAllString(shown, `"remaining": N`)
		shown = idForm.ReplaceAllStringFunc(shown, func(id string) string {
			if ids[id] == "" {
				ids[id] = fmt.Sprintf("{ID%d}", len(ids)-1)
				names = append(names, ids[id], id)
			}
			return ids[id]
		})
		if i > 0 {
			out.WriteString("\n==\n")
		}
		out.WriteString(request + "\n--\n" + strings.TrimSpace(shown))
	}
	return out.String() + "\n"
}
