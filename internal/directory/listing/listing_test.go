package listing

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bugle/internal/directory"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"
)

// world has a name in each script, and what makes each of them hard.
var world = []Entry{
	{Given: "Eva", Family: "Andersson", Department: "Försäljning", Extensions: []string{"1001"}, Direct: []string{"+46812345678"}},
	{Given: "Jose\u0301", Family: "A\u0301lvarez", Extensions: []string{"1002", "1003"}},    // decomposed, composed in print
	{Given: "x\u0301q\u0323\u0302", Family: "Zz\u0300\u0316", Extensions: []string{"1004"}}, // cannot be composed
	{Given: "Łukasz", Family: "Trần Nguyễn", Extensions: []string{"1005"}},
	{Given: "Office", Family: "fflower fi", Extensions: []string{"1006"}}, // ligatures
	{Given: "Иван", Family: "Щербаков", Extensions: []string{"1007"}},
	{Given: "Γιώργος", Family: "Παπαδόπουλος", Extensions: []string{"1008"}},
	{Given: "محمد", Family: "العربي", Department: "قسم المبيعات 12", Extensions: []string{"1009"}, Direct: []string{"+97143331234"}},
	{Given: "عائشة", Family: "الإسلام", Extensions: []string{"1010"}}, // ligature of lam and alef with hamza
	{Given: "שרון", Family: "כהן", Department: "מכירות 24 Ltd", Extensions: []string{"1011"}},
	{Given: "שָׁלוֹם", Family: "לֵוִי", Extensions: []string{"1012"}}, // points
	{Given: "क्षत्रिय", Family: "श्रीवास्तव", Extensions: []string{"1013"}},
	{Given: "नीतिका", Family: "शर्मा", Department: "बिक्री विभाग", Extensions: []string{"1014"}},
	{Given: "สมชาย", Family: "น้ำใจดี", Extensions: []string{"1015"}},
	{Given: "สุภาพร", Family: "เจริญสุข", Department: "ฝ่ายขาย", Extensions: []string{"1016"}},
	{Given: "太郎", Family: "山田", Phonetic: "やまだ たろう", Extensions: []string{"1017"}},
	{Given: "さくら", Family: "ガルシア", Extensions: []string{"1018"}},
	{Given: "小龙", Family: "李", Extensions: []string{"1019"}},
	{Given: "철수", Family: "김", Extensions: []string{"1020"}},
}

// TestEveryScript prints each script and copies it out again, whole names and letter headings.
func TestEveryScript(t *testing.T) {
	t.Parallel()
	needsEastAsia(t)
	path, summary := printed(t, example(world...), systemFonts())
	if summary.People != len(world) || summary.Pages != 2 || len(summary.Missing) != 0 {
		t.Errorf("summary is %+v", summary)
	}
	golden(t, "world.txt", text(t, path, "-layout"))
	copied := text(t, path, "-raw")
	for _, e := range world {
		for _, name := range []string{e.Given, e.Family, e.Extensions[0]} {
			for _, word := range strings.Fields(name) { // which of several words right to left comes first is up to the reader
				if word = norm.NFC.String(word); !strings.Contains(copied, word) {
					t.Errorf("%s is not found", word)
				}
			}
		}
	}
	needs(t, "pdftoppm")
	run(t, "pdftoppm", "-r", "30", "-png", path, filepath.Join(t.TempDir(), "page")) // draws it without a complaint
}

// TestRightToLeftPages prints for a company whose language reads from right to left: pages are turned round.
func TestRightToLeftPages(t *testing.T) {
	t.Parallel()
	l := example(world[:14]...)
	l.Language, l.Region, l.Account = "he-il", "IL", "שרון טכנולוגיות 2024"
	path, _ := printed(t, l, systemFonts())
	golden(t, "hebrew.txt", text(t, path, "-layout"))
	words := boxes(t, path)
	at := func(word string) box {
		i := slices.IndexFunc(words, func(b box) bool { return b.Text == word })
		if i < 0 {
			t.Fatalf("%s is not on the page", word)
		}
		return words[i]
	}
	if eva, number := at("Andersson,"), at("1001"); eva.XMin < number.XMax {
		t.Errorf("the name at %.0f is not to the right of its number at %.0f", eva.XMin, number.XMax)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		people, pages int
		columns       bool
	}{{0, 1, false}, {1, 1, false}, {longList, 2, false}, {longList + 1, 1, true}, {400, 9, true}} {
		t.Run(fmt.Sprint(test.people), func(t *testing.T) {
			t.Parallel()
			l := example(company(test.people)...)
			path, summary := printed(t, l, systemFonts())
			all := text(t, path, "-layout")
			if summary.Pages != test.pages || strings.Count(all, "--- page ---") != summary.Pages {
				t.Errorf("%d pages, want %d", summary.Pages, test.pages)
			}
			for n := range summary.Pages {
				if line := fmt.Sprintf("Page %d of %d\n", n+1, summary.Pages); !strings.Contains(all, line) {
					t.Errorf("no %q", line)
				}
			}
			if empty := strings.Contains(all, "Nobody is in this directory."); empty != (test.people == 0) {
				t.Errorf("it says that nobody is in the directory: %v", empty)
			}
			if columns := !strings.Contains(all, "Extension") && test.people > 0; columns != test.columns {
				t.Errorf("two columns: %v", columns)
			}
			apart(t, path)
		})
	}
}

// TestLettersKeepTheirPeople wants every letter heading in the same column as the first of its people.
func TestLettersKeepTheirPeople(t *testing.T) {
	t.Parallel()
	for _, n := range []int{longList, 400} {
		people := company(n)
		for i := range people {
			people[i].Family = string(rune('A'+i%26)) + people[i].ID
		}
		typesetter, err := newTypesetter(noFonts(), language.English)
		if err != nil {
			t.Fatal(err)
		}
		l := newLayout(example(), typesetter, people)
		row := l.row(&people[0]).height
		pages, err := l.all(t.Context(), sorted(people, directory.Options{}))
		if err != nil {
			t.Fatal(err)
		}
		marks := 0
		for number, page := range pages {
			for _, mark := range page.bookmarks {
				marks++
				if end := mark.y + letterSpace + letterSize + row; end > l.bottom() {
					t.Errorf("%d people, page %d: %s at %.0f is the last of its column", n, number+1, mark.title, mark.y)
				}
			}
		}
		if marks != 26 {
			t.Errorf("%d people: %d letters", n, marks)
		}
	}
}

// box is a word and where it stands.
type box struct {
	XMin float64 `xml:"xMin,attr"`
	XMax float64 `xml:"xMax,attr"`
	YMin float64 `xml:"yMin,attr"`
	YMax float64 `xml:"yMax,attr"`
	Text string  `xml:",chardata"`
	page int
}

func boxes(t *testing.T, path string) (words []box) {
	t.Helper()
	var document struct {
		Pages []struct {
			Width float64 `xml:"width,attr"`
			Words []box   `xml:"word"`
		} `xml:"body>doc>page"`
	}
	if err := xml.Unmarshal([]byte(run(t, "pdftotext", "-bbox", path, "-")), &document); err != nil {
		t.Fatal(err)
	}
	for n, page := range document.Pages {
		for _, word := range page.Words {
			if word.page = n; word.XMin < 40 || word.XMax > page.Width-40 {
				t.Errorf("page %d: %q stands at %.0f to %.0f of %.0f", n+1, word.Text, word.XMin, word.XMax, page.Width)
			}
			words = append(words, word)
		}
	}
	return words
}

// apart checks that no word of a file stands on another.
func apart(t *testing.T, path string) {
	t.Helper()
	words := boxes(t, path)
	for i, a := range words {
		for _, b := range words[i+1:] {
			if a.page != b.page {
				break
			}
			// Boxes are as high as the font, which is more than the lines are apart.
			if min(a.XMax, b.XMax)-max(a.XMin, b.XMin) > 0.5 && min(a.YMax, b.YMax)-max(a.YMin, b.YMin) > 4.5 {
				t.Errorf("page %d: %q and %q overlap", a.page+1, a.Text, b.Text)
			}
		}
	}
}

// TestLongTextsStayInTheirCells prints names, departments and numbers far longer than their cells.
func TestLongTextsStayInTheirCells(t *testing.T) {
	t.Parallel()
	long := []Entry{
		{Given: strings.Repeat("Maximilian ", 30), Family: strings.Repeat("Oberhauser-", 40), Department: strings.Repeat("Research ", 60), Extensions: []string{"7"}},
		{Given: "M", Family: strings.Repeat("W", 10000), Department: strings.Repeat("D", 300), Extensions: []string{strings.Repeat("1", 80)}, Direct: []string{strings.Repeat("+46", 40)}},
		{Given: strings.Repeat("محمد ", 40), Family: strings.Repeat("العربي", 40), Department: strings.Repeat("قسم ", 50), Extensions: []string{"1"}, Direct: []string{"+46812345678"}},
		{Family: "Numbers", Direct: slices.Repeat([]string{"+46812345678"}, 100), Extensions: slices.Repeat([]string{"100"}, 30)},
	}
	for _, n := range []int{len(long), longList + 10} {
		l := example(append(company(n-len(long)), long...)...)
		l.Account, l.Directory = strings.Repeat("Account ", 50), strings.Repeat("Directory ", 50)
		path, _ := printed(t, l, systemFonts())
		apart(t, path)
		all := text(t, path, "-layout")
		for _, want := range []string{ellipsis, "+ 89 …", "+ 19 …"} {
			if !strings.Contains(all, want) {
				t.Errorf("%d people: no %q", n, want)
			}
		}
	}
}

// TestMissingGlyphs prints characters that no font has: a box each, which still copies, and a note.
func TestMissingGlyphs(t *testing.T) {
	t.Parallel()
	path, summary := printed(t, example(Entry{Given: "太郎", Family: "山田"}, Entry{Family: "Plain"}), noFonts())
	if string(summary.Missing) != "太山田郎" {
		t.Errorf("missing are %q", string(summary.Missing))
	}
	all := text(t, path, "-raw")
	for _, want := range []string{"山田太郎", "no installed font has", "U+592A, U+5C71, U+7530, U+90CE"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in\n%s", want, all)
		}
	}
	path, summary = printed(t, example(Entry{Given: "Eva", Family: "Berg"}), noFonts())
	if len(summary.Missing) > 0 || strings.Contains(text(t, path), "installed font") {
		t.Errorf("a note without need: %q", string(summary.Missing))
	}
}

// TestWordsNeedTheirFont prints a Japanese company's listing where no font has Japanese: its words are English then.
func TestWordsNeedTheirFont(t *testing.T) {
	t.Parallel()
	l := example(Entry{Given: "Eva", Family: "Berg"})
	l.Language = "ja"
	path, summary := printed(t, l, noFonts())
	if all := text(t, path); !strings.Contains(all, "Page 1 of 1") || len(summary.Missing) > 0 {
		t.Errorf("missing %q:\n%s", string(summary.Missing), all)
	}
	needsEastAsia(t)
	path, _ = printed(t, l, systemFonts())
	if all := text(t, path); !strings.Contains(all, "1 / 1 ページ") {
		t.Error(all)
	}
}

func TestPaper(t *testing.T) {
	t.Parallel()
	needs(t, "pdfinfo")
	for region, want := range map[string]string{"": "A4", "SE": "A4", "us": "letter", "CA": "letter"} {
		l := example()
		l.Region = region
		path, _ := printed(t, l, noFonts())
		info := run(t, "pdfinfo", path)
		if !strings.Contains(info, "("+want+")") || !strings.Contains(info, "Company Directory") || !strings.Contains(info, "Nordwind") {
			t.Errorf("%q: want %s:\n%s", region, want, info)
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("the store is away")
	l := example()
	l.Entries = func(yield func(Entry, error) bool) {
		if yield(Entry{Family: "Berg"}, nil) {
			yield(Entry{}, broken)
		}
	}
	var b bytes.Buffer
	if _, err := l.WritePDF(t.Context(), &b, noFonts()); !errors.Is(err, broken) || b.Len() > 0 {
		t.Errorf("%v after %d bytes", err, b.Len())
	}
	if err := l.WriteCSV(t.Context(), &b); !errors.Is(err, broken) || b.Len() > 0 {
		t.Errorf("%v after %d bytes", err, b.Len())
	}
	if _, err := example().WritePDF(t.Context(), &b, nil); err == nil || !strings.Contains(err.Error(), "NewFonts") {
		t.Errorf("without fonts: %v", err)
	}
	full := errors.New("the disk is full")
	if _, err := example(company(100)...).WritePDF(t.Context(), &failingWriter{err: full}, noFonts()); !errors.Is(err, full) {
		t.Errorf("a writer that fails: %v", err)
	}
}

type failingWriter struct{ err error }

func (w *failingWriter) Write([]byte) (int, error) { return 0, w.err }

// TestCancel gives up a listing while people are read, while they are set, and while the file is written.
func TestCancel(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	l := example()
	l.Entries = func(yield func(Entry, error) bool) {
		for i := 0; yield(Entry{Family: fmt.Sprint(i)}, nil); i++ {
			if i == 100 {
				cancel()
			}
		}
	}
	var b bytes.Buffer
	if _, err := l.WritePDF(ctx, &b, noFonts()); !errors.Is(err, context.Canceled) || b.Len() > 0 {
		t.Errorf("%v after %d bytes", err, b.Len())
	}
	writing, stop := context.WithCancel(t.Context())
	w := &countingWriter{then: stop}
	if _, err := example(company(1500)...).WritePDF(writing, w, noFonts()); !errors.Is(err, context.Canceled) || w.n != 64<<10 {
		t.Errorf("%v after %d bytes", err, w.n)
	}
}

type countingWriter struct {
	n    int
	then func()
}

func (w *countingWriter) Write(p []byte) (int, error) {
	w.n += len(p)
	w.then()
	return len(p), nil
}

func TestCSV(t *testing.T) {
	t.Parallel()
	l := example(
		Entry{Given: "Eva", Family: "Åkesson, \"Ebba\"", Department: "Sälj\nNorr", Extensions: []string{"1", "2"}, Direct: []string{"+46812345678", "+15417543010"}},
		Entry{Family: "=HYPERLINK(\"http://x\")", Given: " @SUM(A1)", Department: "-1+cmd", Extensions: []string{"*97"}},
		Entry{Display: "Reception \xff\x00"},
	)
	l.Language = "sv"
	var b bytes.Buffer
	if err := l.WriteCSV(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{
		{"Last Name", "First Name", "Display Name", "Department", "Extensions", "Direct Numbers"},
		{"'=HYPERLINK(\"http://x\")", "' @SUM(A1)", "", "'-1+cmd", "*97", ""},
		{"", "", "Reception \uFFFD", "", "", ""},
		{"Åkesson, \"Ebba\"", "Eva", "", "Sälj\nNorr", "1; 2", "08-123 456 78; +1 541-754-3010"},
	}
	if fmt.Sprint(rows) != fmt.Sprint(want) {
		t.Errorf("rows are\n%q, want\n%q", rows, want)
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ region, number, national, e164 string }{
		{"SE", "+46812345678", "08-123 456 78", "+46812345678"},
		{"SE", "0812345678", "08-123 456 78", "+46812345678"},
		{"us", "+15417543010", "(541) 754-3010", "+15417543010"},
		{"US", "+46812345678", "+46 8 123 456 78", "+46812345678"},
		{"", "+46812345678", "+46 8 123 456 78", "+46812345678"},
		{"", "0812345678", "0812345678", "0812345678"},
		{"SE", "*97", "*97", "*97"},
		{"SE", "reception", "reception", "reception"},
	} {
		l := &Listing{Region: test.region}
		if got := l.number(test.number); got != test.national {
			t.Errorf("%s in %q is %q, want %q", test.number, test.region, got, test.national)
		}
		l.E164 = true
		if got := l.number(test.number); got != test.e164 {
			t.Errorf("%s in %q is %q, want %q", test.number, test.region, got, test.e164)
		}
	}
}

// FuzzNames prints what nobody is called. Whatever it is, readers accept the file.
func FuzzNames(f *testing.F) {
	for _, seed := range []string{"", "Eva", "\x00\x01\x1b[31m\x7f", "\xed\xa0\x80\xed\xb0\x80", "\xff\xfe", "👨‍👩‍👧‍👦🏳️‍🌈", strings.Repeat("x", 10000),
		strings.Repeat("e\u0301\u0323", 2000), "\u202eabc\u2066", "ا\u064b\u064b\u064b", "क्क्क्क्क्क", "(((שרון)))", "\u0e31\u0e31", "a\u200db", "\uFEFF", "\u034f",
		"ﷺ", "\U000E0041", "\u1160\u11a8가ᄀ", "٣٤ ab ٥", ") Tj ET (", "%PDF-1.4", "{nb}", "\u2028\u2029"} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, name, other string) {
		l := example(Entry{Given: name, Family: other, Department: name, Extensions: []string{other}, Direct: []string{name}, Phonetic: other},
			Entry{Display: name}, Entry{Family: name})
		l.Account, l.Directory, l.Region, l.Language = name, other, "SE", "ar"
		path, _ := printed(t, l, systemFonts())
		text(t, path)
		if err := l.WriteCSV(t.Context(), &bytes.Buffer{}); err != nil {
			t.Error(err)
		}
		_ = os.Remove(path)
	})
}
