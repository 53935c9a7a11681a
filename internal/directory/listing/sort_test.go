package listing

import (
	"strings"
	"testing"

	"bugle/internal/directory"
	"golang.org/x/text/language"
)

// TestHeadings puts names under letters by the alphabets of their languages. Each line is heading:names in order.
func TestHeadings(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ language, want string }{
		{"en", "A:Adams,Åkesson,Ángel,Azimov L:Łukasz,Lund,Lyon Z:Zorn"},
		{"", "A:Adams,Åkesson,Ängel O:Ødegård,Özil Z:Zorn"},
		{"sv-se", "A:Adams,Ángel Z:Zorn Å:Åkesson Ä:Ängel Ö:Öberg"},
		{"da", "A:Adams Z:Zorn Æ:Ærø Ø:Ødegård Å:Aagaard,Åse"},
		{"de", "A:Adams,Ängel O:Otto,Özil S:Sommer Z:Zorn"},
		{"es", "N:Nadal,Núñez Ñ:Ñuñoa O:Ortiz"},
		{"cs", "C:Cibulka Č:Čapek H:Havel Ch:Chalupa"},
		{"pl", "L:Lis Ł:Łukasz M:Maj S:Sowa Ś:Śliwa"},
		{"tr", "C:Can Ç:Çelik I:Işık İ:İnan"},
		{"ru", "Е:Ежов,Ёлкин И:Иванов Й:Йотов"},
		{"el", "Α:Αλεξίου,Άννα"},
		{"ko", "ㄱ:김,꽃 ㄴ:나 ㅎ:한"},
		{"ja", "#:3M A:Adams あ:あべ,いとう か:ガルシア,きむら や:やまだ 漢:山田"},
		{"th", "จ:เจริญ น:น้ำใจ ส:สมชาย"},
		{"ar", "A:Adams ا:أحمد ب:بدر"},
		{"he", "א:אברהם כ:כהן"},
		{"hi", "क:कपूर श:शर्मा"},
		{"en", "#:'t Hooft,3M A:Adams"},
	} {
		var want []string
		var people []Entry
		for group := range strings.FieldsSeq(strings.ReplaceAll(test.want, "'t H", "'t_H")) {
			_, names, _ := strings.Cut(group, ":")
			for name := range strings.SplitSeq(names, ",") {
				people = append([]Entry{{Family: strings.ReplaceAll(name, "_", " "), ID: name}}, people...)
			}
			want = append(want, strings.ReplaceAll(group, "_", " "))
		}
		tag, err := language.Parse(test.language)
		if err != nil {
			tag = language.English
		}
		letters := newLetters(tag)
		var got []string
		last := ""
		for _, e := range sorted(people, directory.Options{Language: test.language}) {
			if heading := letters.heading(&e, ""); heading != last {
				last = heading
				got = append(got, heading+":"+e.Family)
			} else {
				got[len(got)-1] += "," + e.Family
			}
		}
		if g, w := strings.Join(got, " "), strings.Join(want, " "); g != w {
			t.Errorf("%q:\n%s, want\n%s", test.language, g, w)
		}
	}
}

func TestSortBy(t *testing.T) {
	t.Parallel()
	people := []Entry{{Given: "Zoe", Family: "Adams"}, {Given: "Adam", Family: "Zorn"}, {Given: "Cher"}, {Display: "Mailroom"},
		{Family: "山田", Given: "太郎", Phonetic: "Yamada Taro"}}
	for sortBy, want := range map[string]string{
		"":           "Adams, Zoe|Cher|Mailroom|山田太郎|Zorn, Adam",
		"last_name":  "Adams, Zoe|Cher|Mailroom|山田太郎|Zorn, Adam",
		"first_name": "Adam Zorn|Cher|Mailroom|山田太郎|Zoe Adams",
	} {
		l := &layout{listing: &Listing{SortBy: sortBy}}
		var got []string
		for _, e := range sorted(append([]Entry(nil), people...), directory.Options{SortBy: sortBy}) {
			got = append(got, l.name(&e))
		}
		if g := strings.Join(got, "|"); g != want {
			t.Errorf("by %q: %s, want %s", sortBy, g, want)
		}
	}
}

// TestVisualOrder checks the bidirectional algorithm on texts that mix directions, upper-case Latin standing for Hebrew.
func TestVisualOrder(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"abc":             "abc",
		"ABC":             "CBA",
		"ABC abc":         "abc CBA",
		"abc DEF ghi":     "abc FED ghi",
		"abc DEF 12":      "abc 12 FED",
		"abc DEF 12 ghi":  "abc 12 FED ghi",
		"abc DEF 12% ghi": "abc 12% FED ghi",
		"abc DEF 1,234":   "abc 1,234 FED",
		"abc DEF 1, ghi":  "abc 1 FED, ghi",
		"abc 12 DEF":      "abc 12 FED",
		"abc DEF (12)":    "abc (12) FED",
		"ABC 12 DEF":      "FED 12 CBA",
		"ABC 12 def GHI":  "IHG def 12 CBA",
		"x ABC 12 DEF":    "x FED 12 CBA",
	} {
		runes := []rune(text)
		for i, r := range runes {
			if r >= 'A' && r <= 'Z' {
				runes[i] = 'א' + r - 'A'
			}
		}
		rtl := isRightToLeft(runes)
		levels := bidiLevels(runes, rtl)
		runs := make([]visualRun, len(runes))
		for i, r := range runes {
			runs[i] = visualRun{text: []rune{r}, level: levels[i]}
		}
		reorder(runs)
		got := ""
		for _, run := range runs {
			r := run.text[0]
			if r >= 'א' {
				r += 'A' - 'א'
			}
			if run.level%2 == 1 { // as they are mirrored when drawn
				r = map[rune]rune{'(': ')', ')': '('}[r] + r*boolRune(r != '(' && r != ')')
			}
			got += string(r)
		}
		if got != want {
			t.Errorf("%q is seen as %q, want %q (levels %v)", text, got, want, levels)
		}
	}
}

func boolRune(b bool) rune {
	if b {
		return 1
	}
	return 0
}
