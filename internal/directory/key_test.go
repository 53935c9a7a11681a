package directory

import (
	"slices"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

// on spells letters on the keypad, as a caller reads them off it: an independent copy of the letters on the keys.
func on(keys string) string {
	groups := []string{"", "", "abc", "def", "ghi", "jkl", "mno", "pqrs", "tuv", "wxyz"}
	var b strings.Builder
	for _, r := range keys {
		for digit, letters := range groups {
			if strings.ContainsRune(letters, r) || r == rune('0'+digit) {
				b.WriteByte(byte('0' + digit))
			}
		}
	}
	return b.String()
}

func found(p Person, digits string, fields Fields) bool {
	x := New(Options{})
	x.Put(p)
	_, ok := x.Snapshot().Search(digits, fields).First()
	return ok
}

func TestNamesAreFoundAsTheirOwnersSpellThem(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		person Person
		first  []string // found by first_name, and by both
		last   []string // found by last_name, and by both
	}{
		{Person{Given: "Sean", Family: "O'Brien"}, []string{"sean", "seanobrien"}, []string{"obrien", "brien", "627436", "obriensean"}},
		{Person{Given: "Sean", Family: "O’Brien"}, nil, []string{"obrien", "brien"}},
		{Person{Given: "Ángel", Family: "Núñez"}, []string{"angel", "angelnunez", "ngel", "6435"}, []string{"nunez", "nunezangel", "nez"}},
		{Person{Given: "Łukasz", Family: "Żółć"}, []string{"lukasz", "ukasz", "85279"}, []string{"zolc", "zolclukasz"}},
		{Person{Given: "Élodie", Family: "Lefèvre"}, []string{"elodie", "lodie"}, []string{"lefevre", "lefvre"}},
		{Person{Given: "Thomas", Family: "Müller"}, []string{"thomasmueller"}, []string{"muller", "mueller", "mller", "muellerthomas"}},
		{Person{Given: "Jörg", Family: "Groß"}, []string{"jorg", "joerg", "jrg"}, []string{"gross", "gro"}},
		{Person{Given: "太郎", Family: "山田"}, []string{"tailang", "lang", "tailangshantian"}, []string{"shan", "shantian", "tian"}},
		{Person{Given: "太郎", Family: "山田", Phonetic: "Yamada Tarō"}, []string{"yamada", "taro", "tai"}, []string{"yamadataro", "taroyamada", "taro"}},
		{Person{Given: "ガブリエル"}, []string{"gaburieru"}, []string{"gaburieru"}},
		{Person{Given: "철수", Family: "김"}, []string{"ceolsu"}, []string{"gim", "gimceolsu"}},
		{Person{Given: "Ольга", Family: "Щербакова"}, []string{"olga"}, []string{"shcherbakova"}},
		{Person{Given: "محمد", Family: "שרון"}, []string{"mhmd"}, []string{"shrvn"}},
		{Person{Given: "Anne-Marie", Family: "Smith-Jones"}, []string{"annemarie", "marie", "mariesmith"}, []string{"smithjones", "jones", "jonesanne"}},
		{Person{Given: "Mary Ann", Family: "van der Berg"}, []string{"maryann", "ann", "annvander"}, []string{"vanderberg", "derberg", "berg", "bergmaryann"}},
		{Person{Given: "Cher"}, []string{"cher"}, []string{"cher"}},
		{Person{Family: "Prince"}, []string{"prince"}, []string{"prince"}},
		{Person{Given: "Jan van der Berg"}, []string{"jan", "berg"}, []string{"jan", "berg"}},
		{Person{Given: "Empty", Family: "158"}, []string{"empty", "empty158", "36789158"}, []string{"158", "158empty", "empty"}},
		{Person{Given: "R2D2", Family: "Unit"}, []string{"r2d2", "rdunit"}, []string{"unitr2d2", "unitrd"}},
		{Person{Given: "Room ٣", Family: "𞥕"}, []string{"room3", "room35"}, []string{"5room3"}},
		{Person{Given: "Robert", Family: "Smith", Nickname: "Bob"}, []string{"bob", "bobsmith", "robert"}, []string{"bob", "smithbob", "bobsmith", "smithrobert"}},
		{Person{Given: "ⵣⵣ", Extension: "1007"}, []string{"1007", "10"}, []string{"1007"}},
		{Person{Given: "!!!", Family: "---", Extension: "*42"}, []string{"42"}, []string{"42"}},
		{Person{Given: "Kaʻiulani", Family: "Straße"}, []string{"kaiulani", "iulani"}, []string{"strasse"}},
		{Person{Given: "Ǌegoš Ann", Family: "Lee"}, []string{"njegosann", "egoannlee"}, []string{"leeegoann"}},
		{Person{Given: "Ｓｅａｎ", Family: "ﬁsh"}, []string{"sean"}, []string{"fish"}},
	} {
		for fields, all := range map[Fields][]string{FirstName: test.first, LastName: test.last, Both: slices.Concat(test.first, test.last)} {
			for _, spelled := range all {
				if !found(test.person, on(spelled), fields) {
					t.Errorf("%q %q: %s (%s) does not find it by %s", test.person.Given, test.person.Family, spelled, on(spelled), fields)
				}
			}
		}
	}
}

func TestNamesAreNotFoundByWhatTheyAreNot(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		person Person
		digits string
		fields Fields
	}{
		{Person{Given: "Ann", Family: "Lee"}, on("lee"), FirstName},
		{Person{Given: "Ann", Family: "Lee"}, on("ann"), LastName},
		{Person{Given: "Ann", Family: "Lee"}, on("annleex"), Both},
		{Person{Given: "Ann", Family: "Lee"}, on("nn"), Both},
		{Person{Given: "Ann", Family: "Lee"}, "", Both},
		{Person{Given: "Ann", Family: "Lee"}, "2*", Both},
		{Person{Given: "Ann", Family: "Lee"}, "266533#", Both},
		{Person{Given: "Ann", Family: "Lee", Extension: "1001"}, "1001", Both},
		{Person{Given: "Ann", Family: "Lee"}, strings.Repeat("2", 100000), Both},
		{Person{Given: "!!!"}, "0", Both},
		{Person{}, "2", Both},
	} {
		if found(test.person, test.digits, test.fields) {
			t.Errorf("%q %q is found by %.20q in %s", test.person.Given, test.person.Family, test.digits, test.fields)
		}
	}
}

// A caller of KAZOO keys what KAZOO taught him: the names run together, without whatever is not a-z.
func TestWhatKAZOOFindsIsFound(t *testing.T) {
	t.Parallel()
	kazoo := func(name string) string {
		return on(strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' {
				return r
			}
			return -1
		}, strings.ToLower(asciiOnly(name))))
	}
	rapid.Check(t, func(t *rapid.T) {
		p := Person{ID: "1", Given: anyName(t, "given"), Family: anyName(t, "family")}
		for fields, key := range map[Fields]string{FirstName: kazoo(p.Given) + kazoo(p.Family), LastName: kazoo(p.Family) + kazoo(p.Given)} {
			if key == "" {
				continue
			}
			digits := key[:rapid.IntRange(1, len(key)).Draw(t, "length")]
			if !found(p, digits, fields) || !found(p, digits, Both) {
				t.Fatalf("%q %q is not found by %s in %s", p.Given, p.Family, digits, fields)
			}
		}
	})
}

func asciiOnly(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 128 {
			return -1
		}
		return r
	}, s)
}

// Whoever has a letter that the transliteration knows, a digit or an extension, has a key.
func TestEverybodyHasAKey(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := Person{ID: "1", Given: anyName(t, "given"), Family: anyName(t, "family"), Extension: rapid.StringMatching(`[0-9]{1,6}`).Draw(t, "extension")}
		first, last := keysOf(p)
		if len(first) == 0 || len(last) == 0 {
			t.Fatalf("%+v has no key", p)
		}
		for _, key := range slices.Concat(first, last) {
			if strings.Trim(key, "0123456789") != "" {
				t.Fatalf("%+v has the key %q", p, key)
			}
		}
	})
}

func TestDigitsOfEveryScriptHaveTheirValue(t *testing.T) {
	t.Parallel()
	for _, run := range unicode.Nd.R32 {
		if (run.Hi-run.Lo+1)%10 != 0 || run.Stride != 1 {
			t.Fatalf("%U-%U is not whole runs of ten", run.Lo, run.Hi)
		}
	}
	for _, run := range unicode.Nd.R16 {
		if (run.Hi-run.Lo+1)%10 != 0 || run.Stride != 1 {
			t.Fatalf("%U-%U is not whole runs of ten", run.Lo, run.Hi)
		}
	}
}

func FuzzKeys(f *testing.F) {
	f.Add("O'Brien", "山田", "٣", "x")
	f.Fuzz(func(t *testing.T, given, family, phonetic, nickname string) {
		p := Person{ID: "1", Given: given, Family: family, Phonetic: phonetic, Nickname: nickname, Extension: "7"}
		newEntry(p, newOrder(Options{Language: "sv"}))
		first, last := keysOf(p)
		if len(first) == 0 || len(last) == 0 {
			t.Fatalf("no key: %+v", p)
		}
	})
}
