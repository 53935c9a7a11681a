package directory

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mozillazg/go-unidecode"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// maxName bounds, in bytes, how much of a name becomes keys. KAZOO's schema allows 128 characters.
const maxName = 512

// keypad has the digit of every ASCII letter and digit as ITU-T E.161 puts them on the keys, 0 for every other byte.
var keypad = func() (table [utf8.RuneSelf]byte) {
	const digits = "22233344455566677778889999"
	for i := range digits {
		table['a'+i], table['A'+i] = digits[i], digits[i]
	}
	for c := '0'; c <= '9'; c++ {
		table[c] = byte(c)
	}
	return table
}()

// expanded spells out letters as callers of the letters' own languages do who have no such key: Mueller for Müller,
// beside Muller, which the transliteration gives.
var expanded = strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "ø", "oe", "å", "aa")

// names are the keypad digits of a person's two names, token by token.
type names struct{ given, family []string }

// keysOf returns the keys of a person for a search by given name and one by family name. A person matches when a key
// starts with the digits pressed, so no key in a list is the start of another.
func keysOf(p Person) (first, last []string) {
	given, family := clean(p.Given), clean(p.Family)
	n := names{tokens(given, true), tokens(family, true)}
	first, last = n.keys(first, last)
	if hasNumber(given) || hasNumber(family) { // R2D2 is found as keyed, and as KAZOO has it, without its digits
		first, last = names{tokens(given, false), tokens(family, false)}.keys(first, last)
	}
	if !ascii(p.Given) || !ascii(p.Family) {
		first, last = names{tokens(expanded.Replace(given), true), tokens(expanded.Replace(family), true)}.keys(first, last)
		// KAZOO deletes what is not a-z after lower-casing ASCII: the Á of Ángel vanishes, and its callers know that.
		kazooGiven, kazooFamily := kazooDigits(p.Given), kazooDigits(p.Family)
		first = append(first, kazooGiven+kazooFamily)
		last = append(last, kazooFamily+kazooGiven)
	}
	if len(n.given)+len(n.family) == 0 {
		extension := strings.Join(tokens(p.Extension, true), "")
		first, last = append(first, extension), append(last, extension)
	}
	if p.Nickname != "" {
		nick := tokens(clean(p.Nickname), true)
		first = suffixes(first, nick, n.family)
		last = suffixes(last, nick, n.family)
		last = suffixes(last, n.family, nick)
	}
	if p.Phonetic != "" { // which of its words is the family name it does not say, so each may come first
		words := tokens(clean(p.Phonetic), true)
		for i := range words {
			key := strings.Join(words[i:], "") + strings.Join(words[:i], "")
			first, last = append(first, key), append(last, key)
		}
	}
	return maximal(first), maximal(last)
}

// keys appends the keys of the names: each token and what follows it, run on into the other name. Where one name is
// missing, the other stands for both.
func (n names) keys(first, last []string) ([]string, []string) {
	given, family := n.given, n.family
	if len(given) == 0 {
		given, family = n.family, nil
	}
	first = suffixes(first, given, family)
	given, family = n.given, n.family
	if len(family) == 0 {
		given, family = nil, n.given
	}
	return first, suffixes(last, family, given)
}

// suffixes appends, for every token, the tokens from there on followed by all of tail.
func suffixes(keys, tokens, tail []string) []string {
	if len(tokens) == 0 {
		return keys
	}
	whole := strings.Join(tokens, "") + strings.Join(tail, "")
	for _, token := range tokens {
		keys = append(keys, whole)
		whole = whole[len(token):]
	}
	return keys
}

// maximal sorts keys and leaves out the empty ones and those that another starts with.
func maximal(keys []string) []string {
	slices.Sort(keys)
	kept := keys[:0]
	for i, key := range keys {
		if key != "" && (i+1 == len(keys) || !strings.HasPrefix(keys[i+1], key)) {
			kept = append(kept, key)
		}
	}
	return kept
}

// clean bounds a name and brings it to one form. Letters are composed, not decomposed: the transliteration knows ガ as ga,
// but its parts as ka and nothing.
func clean(name string) string {
	if len(name) > maxName {
		name = strings.ToValidUTF8(name[:maxName], "")
	}
	if ascii(name) {
		return name
	}
	return norm.NFKC.String(cases.Fold().String(norm.NFKC.String(name)))
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func hasNumber(s string) bool { return strings.IndexFunc(s, unicode.IsNumber) >= 0 }

// tokens returns the keypad digits of each word of a name. Words end at blanks, hyphens, apostrophes and whatever else is
// neither letter, mark nor digit: O'Brien is O and Brien, which joined is the whole. Digits in a name are kept or passed
// over. Scripts other than Latin are transliterated; a word of ideographs has one token for each.
func tokens(name string, digits bool) []string {
	var out []string
	for _, word := range strings.FieldsFunc(name, isBreak) {
		if !ascii(word) {
			word = transliterate(word)
		}
		for _, syllable := range strings.Fields(word) {
			if token := keyed(syllable, digits); token != "" {
				out = append(out, token)
			}
		}
	}
	return out
}

func isBreak(r rune) bool {
	if r < utf8.RuneSelf {
		return keypad[r] == 0
	}
	switch r {
	case 'ʻ', 'ʼ', 'ʹ', 'ˈ': // letters to Unicode, apostrophes to those who type them
		return true
	}
	return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsNumber(r) && !unicode.Is(unicode.Cf, r)
}

// transliterate gives a word's reading in ASCII.
func transliterate(word string) string {
	reading := unidecode.Unidecode(word)
	if strings.IndexFunc(word, unicode.IsDigit) < 0 {
		return reading
	}
	var b strings.Builder // digits of every script have their value, also of those the transliteration lacks
	for _, r := range word {
		if value, ok := digitValue(r); ok {
			b.WriteByte('0' + value)
		} else {
			b.WriteString(unidecode.Unidecode(string(r)))
		}
	}
	return b.String()
}

// digitValue returns the value of a decimal digit of any script. Unicode lists them in runs from 0 to 9.
func digitValue(r rune) (byte, bool) {
	for _, run := range unicode.Nd.R16 {
		if r >= rune(run.Lo) && r <= rune(run.Hi) {
			return byte((r - rune(run.Lo)) % 10), true
		}
	}
	for _, run := range unicode.Nd.R32 {
		if r >= rune(run.Lo) && r <= rune(run.Hi) {
			return byte((r - rune(run.Lo)) % 10), true
		}
	}
	return 0, false
}

// keyed maps ASCII to keypad digits.
func keyed(s string, digits bool) string {
	buf := make([]byte, 0, 64)
	for i := range len(s) {
		c := s[i]
		if c >= utf8.RuneSelf || keypad[c] == 0 || (!digits && c >= '0' && c <= '9') {
			continue
		}
		buf = append(buf, keypad[c])
	}
	return string(buf)
}

// kazooDigits is KAZOO's key of a name: bytes other than a-z after lower-casing are deleted.
func kazooDigits(name string) string {
	if len(name) > maxName {
		name = name[:maxName]
	}
	return keyed(name, false)
}
