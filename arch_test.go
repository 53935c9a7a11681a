package bugle_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// rooms is the house's import table: which rooms of this module a room may import, and why. A room that is not listed
// does not exist yet. Test files may import more.
var rooms = map[string]struct {
	imports []string
	reason  string
}{
	".":                                   {nil, "the nouns know nobody"},
	"internal/sip":                        {[]string{"."}, "the transaction layer knows no calls"},
	"internal/media":                      {[]string{"."}, "audio knows no signalling"},
	"internal/directory":                  {[]string{"."}, "search is pure"},
	"internal/directory/listing":          {[]string{".", "internal/directory"}, "a printed directory knows no HTTP and no store"},
	"internal/directory/listing/generate": {nil, "makes fonts out of fonts"},
	"internal/registrar":                  {[]string{"."}, "the location service has no sockets"},
	"internal/store":                      {[]string{"."}, "storage knows documents, not what they mean"},
	"internal/store/pgtest":               {nil, "a PostgreSQL for tests knows nobody"},
	"internal/mail":                       {[]string{"."}, "mail goes out by a dialler that it is given"},
	"internal/egress":                     {[]string{"."}, "the guard of outgoing connections knows addresses only"},
	"internal/speech":                     {[]string{".", "internal/media"}, "speech makes audio"},
	"internal/call":                       {[]string{".", "internal/media"}, "a call has audio, and signalling reaches it through Leg"},
	"internal/call/simulate":              {[]string{".", "internal/media", "internal/call"}, "legs on a virtual clock"},
	"internal/callflow":                   {[]string{".", "internal/media", "internal/call"}, "the engine moves calls"},
	"internal/callflow/module":            {[]string{".", "internal/media", "internal/call", "internal/callflow", "internal/directory", "internal/registrar", "internal/speech"}, "modules are what a callflow can do"},
	"internal/callflow/callflowtest":      {[]string{".", "internal/media", "internal/call", "internal/call/simulate", "internal/callflow", "internal/callflow/module", "internal/directory", "internal/registrar", "internal/speech"}, "a house of scripted phones for dialogue tests"},
	"internal/clicktocall":                {[]string{".", "internal/call", "internal/callflow", "internal/store"}, "the policy of calls that are asked for: it keeps attempts and has the engine call"},
	"internal/contact":                    {[]string{"."}, "a contact is composed of documents, and that is pure"},
	"internal/contact/phonebook":          {[]string{".", "internal/contact"}, "phone books know contacts and no HTTP"},
	"internal/event":                      {[]string{".", "internal/store", "internal/directory", "internal/contact"}, "readers of the change log, which keep directories current"},
	"internal/event/kazoo":                {[]string{".", "internal/store", "internal/event", "internal/event/webhook"}, "KAZOO's webhooks read the log and are delivered by the engine"},
	"internal/event/socket":               {[]string{".", "internal/store", "internal/event", "internal/event/kazoo"}, "KAZOO's WebSocket reads the log and is handed what happens in calls"},
	"internal/event/webhook":              {[]string{".", "internal/store", "internal/egress"}, "delivers what is stored; what it means, its owners know"},
	"internal/sipua":                      {[]string{".", "internal/sip", "internal/media", "internal/call", "internal/registrar", "internal/egress"}, "an edge: signalling for calls"},
	"internal/crossbar":                   {[]string{".", "internal/store", "internal/media", "internal/directory", "internal/directory/listing", "internal/contact", "internal/contact/phonebook", "internal/call", "internal/callflow", "internal/clicktocall"}, "an edge: the KAZOO API, which also prints directories and asks for calls"},
	"internal/ringcentral":                {[]string{".", "internal/store", "internal/contact"}, "an edge: the RingCentral API"},
	"internal/bugletest":                  {[]string{".", "internal/sip", "internal/media"}, "the other side of every wire stands on the same wires"},
	"internal/bugletest/clock":            {nil, "a clock for tests knows nobody"},
}

// wiring are the packages that may import every room: they put the house together.
var wiring = []string{"cmd/bugle", "test/peers", "test/clients", "bench"}

// longFiles and longFunctions are over the limits for a reason.
var (
	longFiles     = map[string]string{"bench/rtpgen/main.go": "a load generator kept as it was, so that figures compare"}
	longFunctions = map[string]string{"bench/rtpgen/main.go:main": "likewise"}
)

const (
	maxFileLines     = 500
	maxFunctionLines = 80
)

type source struct {
	path string // slash-separated, from the root
	room string
	test bool
	file *ast.File
	fset *token.FileSet
	text []byte
}

func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "tools" || name == "bugle-data") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, text, parser.ParseComments)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(file.Comments, func(c *ast.CommentGroup) bool {
			return strings.HasPrefix(c.List[0].Text, "//go:build deps")
		}) {
			return nil
		}
		out = append(out, source{path: filepath.ToSlash(path), room: filepath.ToSlash(filepath.Dir(path)),
			test: strings.HasSuffix(path, "_test.go"), file: file, fset: fset, text: text})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func isWiring(room string) bool {
	return slices.ContainsFunc(wiring, func(w string) bool { return room == w || strings.HasPrefix(room, w+"/") })
}

func TestImportsPointOneWay(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		rule, listed := rooms[s.room]
		if !listed && !isWiring(s.room) && !strings.HasPrefix(s.room, "internal/speech/") {
			t.Errorf("%s: the room %s is not in the import table: add it with a reason", s.path, s.room)
			continue
		}
		if s.test || isWiring(s.room) || !listed {
			continue
		}
		for _, imp := range s.file.Imports {
			path := strings.Trim(imp.Path.Value, `"`)
			if path != "bugle" && !strings.HasPrefix(path, "bugle/") {
				if s.room == "." && strings.Contains(path, ".") {
					t.Errorf("%s imports %s: the nouns use the standard library only", s.path, path)
				}
				continue
			}
			other := strings.TrimPrefix(strings.TrimPrefix(path, "bugle"), "/")
			if other == "" {
				other = "."
			}
			if !slices.Contains(rule.imports, other) {
				t.Errorf("%s imports %s, which %s may not: %s", s.path, path, s.room, rule.reason)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	t.Parallel()
	comments := map[string]int{}
	tested, main := map[string]bool{}, map[string]bool{}
	for _, s := range sources(t) {
		if s.test {
			tested[s.room] = true
			main[s.room] = main[s.room] || regexp.MustCompile(`goleak\.VerifyTestMain`).Match(s.text)
			continue
		}
		if _, ok := comments[s.room]; !ok {
			comments[s.room] = 0
		}
		if s.file.Doc != nil {
			comments[s.room]++
		}
		name := s.file.Name.Name
		if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "model", "models", "types"}, name) {
			t.Errorf("%s: package %s says nothing about what it holds", s.path, name)
		}
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == "init" && f.Recv == nil {
				t.Errorf("%s: nothing registers itself in init()", s.path)
			}
		}
	}
	for room, n := range comments {
		if n != 1 {
			t.Errorf("%s has %d package comments, want exactly one", room, n)
		}
		if room != "." && tested[room] && !main[room] {
			t.Errorf("%s: no test calls goleak.VerifyTestMain", room)
		}
	}
}

func TestFilesAndFunctionsAreNoLongerThanTheirIdea(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		lines := strings.Count(string(s.text), "\n")
		if _, ok := longFiles[s.path]; lines > maxFileLines && !ok && !s.test {
			t.Errorf("%s has %d lines, at most %d", s.path, lines, maxFileLines)
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || s.test {
				continue
			}
			n := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1
			name := s.path + ":" + f.Name.Name
			if _, ok := longFunctions[name]; n > maxFunctionLines && !ok {
				t.Errorf("%s has %d lines, at most %d", name, n, maxFunctionLines)
			}
		}
	}
}

var citation = regexp.MustCompile(`RFC (\d{3,5})`)

// TestRFCTable keeps docs/rfc.md and the code telling the same story: each RFC that code cites has a row, and each row
// that says yes or partial names a file that cites it.
func TestRFCTable(t *testing.T) {
	t.Parallel()
	table, err := os.ReadFile("docs/rfc.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)^\| (\d{3,5}) \| (yes|partial|no) \| ([^|]*) \| ([^|]*) \|`)
	rows := map[string][]string{}
	for _, m := range row.FindAllStringSubmatch(string(table), -1) {
		if rows[m[1]] != nil {
			t.Errorf("docs/rfc.md has two rows for RFC %s", m[1])
		}
		rows[m[1]] = m[2:]
	}
	cited := map[string]map[string]bool{}
	for _, s := range sources(t) {
		for _, m := range citation.FindAllStringSubmatch(string(s.text), -1) {
			if cited[m[1]] == nil {
				cited[m[1]] = map[string]bool{}
			}
			cited[m[1]][s.path] = true
		}
	}
	for number, where := range cited {
		if rows[number] == nil {
			for path := range where {
				t.Errorf("%s cites RFC %s, which docs/rfc.md does not list", path, number)
				break
			}
		}
	}
	for number, r := range rows {
		if r[0] == "no" {
			continue
		}
		found := false
		for _, path := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(r[2], -1) {
			if cited[number][path[1]] {
				found = true
			} else {
				t.Errorf("docs/rfc.md says that %s obeys RFC %s, but it does not cite it", path[1], number)
			}
		}
		if !found {
			t.Errorf("docs/rfc.md says %s to RFC %s without a file that cites it", r[0], number)
		}
	}
}
