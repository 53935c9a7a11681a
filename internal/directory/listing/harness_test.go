package listing

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-text/typesetting/font"
	"golang.org/x/text/unicode/norm"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// systemFonts are those of the machine. The large one stays in memory, not to be read again for each test.
var systemFonts = sync.OnceValue(func() *Fonts {
	fonts := NewFonts()
	search, err := newSearch(fonts)
	if err != nil {
		panic(err)
	}
	largeFont = search.choose('漢', false).font
	return fonts
})

var largeFont *font.Font

// noFonts finds nothing on the machine.
var noFonts = sync.OnceValue(func() *Fonts { return NewFonts(filepath.Join("testdata", "nothing")) })

// needs skips the test when a program or font is missing, and fails it where CI is set.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		_, err := exec.LookPath(program)
		if filepath.IsAbs(program) {
			_, err = os.Stat(program)
		}
		if err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%s is missing, and CI is set: %v", program, err)
			}
			t.Skipf("%s is missing; test/install-peers installs it", program)
		}
	}
}

// needsEastAsia asks for the font that test/install-peers installs.
func needsEastAsia(t *testing.T) {
	t.Helper()
	needs(t, "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc")
}

// example is a listing of people, in English.
func example(people ...Entry) *Listing {
	return &Listing{Account: "Nordwind Trading AB", Directory: "Company Directory", Date: time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC),
		Language: "en-gb", Region: "SE", Entries: From(people...)}
}

// company makes the people of a large firm: mostly Latin names, a few of every script.
func company(n int) []Entry {
	given := strings.Fields("Eva José Łukasz Zoë Mehmet Nguyễn Иван Γιώργος محمد שרון नीतिका สุภาพร 太郎 小龙 철수 Anna Pedro Olga Bjørn Siân")
	family := strings.Fields("Andersson Álvarez Wójcik Müller Yılmaz Trần Щербаков Παπαδόπουλος العربي כהן शर्मा เจริญสุข 山田 李 김 O'Brien García Kuznetsova Åkesson Ní")
	departments := []string{"Försäljning", "Research and Development", "", "Kundtjänst Norr", "Ekonomi"}
	people := make([]Entry, n)
	for i := range people {
		people[i] = Entry{ID: strconv.Itoa(i), Given: given[i%len(given)], Family: fmt.Sprintf("%s %c%c", family[(i/7)%len(family)], 'A'+i%26, 'a'+i/26%26),
			Department: departments[i%len(departments)], Extensions: []string{strconv.Itoa(1000 + i)}, Direct: []string{fmt.Sprintf("+468%07d", 1000000+i)}}
	}
	return people
}

// printed writes the PDF to a file, has qpdf find no fault in it, and returns its path.
func printed(t *testing.T, l *Listing, fonts *Fonts) (path string, summary Summary) {
	t.Helper()
	needs(t, "qpdf", "pdftotext")
	var b bytes.Buffer
	summary, err := l.WritePDF(t.Context(), &b, fonts)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "listing.pdf")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "qpdf", "--check", path)
	return path, summary
}

// run returns what a program prints; a word of complaint fails the test.
func run(t *testing.T, program string, arguments ...string) string {
	t.Helper()
	command := exec.Command(program, arguments...)
	var output, complaint bytes.Buffer
	command.Stdout, command.Stderr = &output, &complaint
	if err := command.Run(); err != nil || complaint.Len() > 0 {
		t.Fatalf("%s: %v\n%s%s", program, err, output.String(), complaint.String())
	}
	return output.String()
}

// text returns what is copied out of a PDF: composed, without marks of direction, blanks single, no empty lines.
func text(t *testing.T, path string, options ...string) string {
	t.Helper()
	all := run(t, "pdftotext", append(append([]string{"-enc", "UTF-8"}, options...), path, "-")...)
	all = strings.Map(func(r rune) rune {
		if strings.ContainsRune("\u202a\u202b\u202c\u202d\u202e\u200e\u200f\u2066\u2067\u2068\u2069", r) {
			return -1
		}
		return r
	}, all)
	var lines []string
	for line := range strings.Lines(strings.ReplaceAll(all, "\f", "\n--- page ---\n")) {
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			lines = append(lines, line)
		}
	}
	return norm.NFC.String(strings.Join(lines, "\n")) + "\n"
}

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update rewrites it):\n%s", path, got)
	}
}
