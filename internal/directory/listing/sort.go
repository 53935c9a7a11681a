package listing

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"bugle/internal/directory"
	"golang.org/x/text/cases"
	"golang.org/x/text/collate"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"
)

// others heads the people whose names do not begin with a letter. They sort before all letters.
const others = "#"

// ideographs heads the people whose names begin with a Chinese character whose reading is not given; anyIdeographs does
// where no font has it.
const (
	ideographs    = "漢"
	anyIdeographs = "*"
)

// sorted puts people in the order of the directory, except for two kinds whom nobody would find in print: who has one name
// stands under it, not before all others, and a name that begins with a Chinese character sorts by its reading where one
// is given.
func sorted(people []Entry, options directory.Options) []Entry {
	type keyed struct {
		key   string
		entry Entry
	}
	keyOf := directory.SortKey(options)
	all := make([]keyed, len(people))
	for i, e := range people {
		p := directory.Person{ID: e.ID, Given: clean(e.Given), Family: clean(e.Family)}
		if p.Given == "" || p.Family == "" {
			p.Given, p.Family = e.first(options.SortBy), e.first(options.SortBy)
		}
		if reading := e.readFirst(options.SortBy); reading != "" {
			p.Given, p.Family = reading, reading
		}
		all[i] = keyed{keyOf(&p), e}
	}
	slices.SortStableFunc(all, func(a, b keyed) int { return cmp.Compare(a.key, b.key) })
	for i := range all {
		people[i] = all[i].entry
	}
	return people
}

// first is the name by which an entry sorts first.
func (e *Entry) first(sortBy string) string {
	given, family := clean(e.Given), clean(e.Family)
	switch {
	case given == "" && family == "":
		return clean(e.Display)
	case givenFirst(sortBy):
		return cmp.Or(given, family)
	}
	return cmp.Or(family, given)
}

func givenFirst(sortBy string) bool { return strings.HasPrefix(sortBy, "first") }

// readFirst is the reading by which an entry sorts, "" when it sorts by its name. A reading is of the whole name in the
// order in which such names are written, the family name first.
func (e *Entry) readFirst(sortBy string) string {
	if r, _ := utf8.DecodeRuneInString(e.first(sortBy)); !unicode.Is(unicode.Han, r) {
		return ""
	}
	reading := clean(e.Phonetic)
	if family, given, several := strings.Cut(reading, " "); several && givenFirst(sortBy) {
		return given + " " + family
	}
	return reading
}

// letters finds the letter under which a name stands, by the alphabet of a language. It is not safe for concurrent use.
type letters struct {
	base     string // of the language
	upper    cases.Caser
	collator *collate.Collator
	buffer   collate.Buffer
	known    map[string]string // by the first two characters
}

func newLetters(tag language.Tag) *letters {
	base, _ := tag.Base()
	return &letters{base: base.String(), upper: cases.Upper(tag), collator: collate.New(tag, collate.Loose), known: map[string]string{}}
}

// heading returns the letter of an entry.
func (l *letters) heading(e *Entry, sortBy string) string {
	name := e.first(sortBy)
	if reading := e.readFirst(sortBy); reading != "" {
		name = reading
	}
	runes := []rune(name)
	if len(runes) == 0 {
		return others
	}
	if strings.ContainsRune("เแโใไເແໂໃໄ", runes[0]) && len(runes) > 1 { // vowels that are written before their consonant
		runes = runes[1:]
	}
	start := string(runes[:min(2, len(runes))])
	letter, ok := l.known[start]
	if !ok {
		letter = l.of(runes)
		l.known[start] = letter
	}
	return letter
}

func (l *letters) of(runes []rune) string {
	r := runes[0]
	switch {
	case !unicode.IsLetter(r):
		return others
	case unicode.Is(unicode.Han, r):
		return ideographs
	case isKana(r):
		return kanaRow(r)
	case r >= '가' && r <= '힣':
		const syllables = 588 // of one initial consonant
		return string([]rune("ㄱㄱㄴㄷㄷㄹㅁㅂㅂㅅㅅㅇㅈㅈㅊㅋㅌㅍㅎ")[(r-'가')/syllables])
	}
	letter := l.letter(r)
	if len(runes) > 1 && unicode.IsLetter(runes[1]) {
		if pair := string(runes[:2]); !strings.HasPrefix(l.weight(pair), l.weight(string(r))) {
			return l.pair(pair, letter) // the two are one letter of this alphabet
		}
	}
	return letter
}

// weight is how letters sort, accents and case aside.
func (l *letters) weight(s string) string {
	l.buffer.Reset()
	return strings.TrimRight(string(l.collator.KeyFromString(&l.buffer, s)), "\x00")
}

func (l *letters) letter(r rune) string {
	upper := string(r)
	if !unicode.Is(unicode.Georgian, r) { // whose capitals are for whole headlines only
		upper = l.upper.String(upper)
	}
	if plain, ok := foreign[upper]; ok && !slices.Contains(strings.Fields(plain.own), l.base) {
		return plain.letter
	}
	decomposed, _ := utf8.DecodeRuneInString(norm.NFKD.String(upper))
	if base := string(decomposed); unicode.IsLetter(decomposed) && l.weight(base) == l.weight(upper) {
		return base
	}
	first, _ := utf8.DecodeRuneInString(norm.NFC.String(upper))
	return string(first)
}

// pair names a letter written as two: Ch in Czech, or Å in Danish for Aa.
func (l *letters) pair(pair, letter string) string {
	for _, single := range []string{"Å", "Ä", "Ö", "Ü"} {
		if l.weight(pair) == l.weight(single) {
			return single
		}
	}
	if l.weight(pair) < l.weight(letter) || unicode.In([]rune(pair)[0], unicode.Thai, unicode.Lao) {
		return letter
	}
	return cases.Title(language.Und).String(pair)
}

// foreign are letters that no accent makes of another one. They stand with the letter that they resemble, but in the
// languages whose own they are.
var foreign = map[string]struct{ letter, own string }{
	"Ł":  {"L", "pl hsb dsb csb"},
	"Đ":  {"D", "hr bs sr vi se"},
	"Ø":  {"O", "da nb nn no fo"},
	"Æ":  {"A", "da nb nn no is fo"},
	"Œ":  {"O", ""},
	"Ħ":  {"H", "mt"},
	"آ":  {"ا", ""},
	"أ":  {"ا", ""},
	"إ":  {"ا", ""},
	"ٱ":  {"ا", ""},
	"ẞ":  {"S", ""},
	"ß":  {"S", ""},
	"SS": {"S", ""},
}

// kanaRow returns the row of the Japanese syllabary that a kana is in.
func kanaRow(r rune) string {
	decomposed, _ := utf8.DecodeRuneInString(norm.NFKD.String(string(r)))
	if decomposed >= 'ァ' && decomposed <= 'ヶ' {
		decomposed -= 'ァ' - 'ぁ'
	}
	row := others
	for _, start := range []struct {
		from rune
		row  string
	}{{'ぁ', "あ"}, {'か', "か"}, {'さ', "さ"}, {'た', "た"}, {'な', "な"}, {'は', "は"}, {'ま', "ま"}, {'ゃ', "や"}, {'ら', "ら"}, {'ゎ', "わ"}} {
		if decomposed >= start.from {
			row = start.row
		}
	}
	return row
}
