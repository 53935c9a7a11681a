package listing

import (
	"strings"
	"unicode"

	"github.com/go-text/typesetting/font"
)

// search finds fonts for the characters of one listing. It keeps those of the machine that it has opened, so that they are
// not read again for the next character.
type search struct {
	fonts   *Fonts
	builtIn map[string]*font.Font
	opened  map[string]*font.Font
}

func newSearch(fonts *Fonts) (*search, error) {
	builtIn, err := fonts.builtIn()
	if err != nil {
		return nil, err
	}
	return &search{fonts, builtIn, map[string]*font.Font{}}, nil
}

// chosen is the outcome of the search for a character's font.
type chosen struct {
	font *font.Font // nil when no font has the character
	bold bool       // whether the font has the weight that was asked for
}

// choose returns the best font that has a character.
func (s *search) choose(r rune, bold bool) chosen {
	weight := "-Regular"
	if bold {
		weight = "-Bold"
	}
	for _, family := range families {
		if candidate := s.builtIn[family+weight]; has(candidate, r) {
			return chosen{candidate, true}
		}
	}
	for _, name := range systemNames(r) {
		candidate, tried := s.opened[name]
		if !tried {
			candidate = s.fonts.open(name)
			s.opened[name] = candidate
		}
		if candidate != nil && has(candidate, r) {
			return chosen{candidate, !bold}
		}
	}
	return chosen{}
}

func has(candidate *font.Font, r rune) bool {
	_, ok := candidate.NominalGlyph(r)
	return ok
}

// hasLetters tells whether every letter of text is in some font.
func (s *search) hasLetters(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return unicode.IsLetter(r) && s.choose(r, false).font == nil })
}

// systemNames are the names of the files to look for on the machine for a character.
func systemNames(r rune) []string {
	if unicode.In(r, eastAsianScripts...) {
		return eastAsian
	}
	var names []string
	for script, table := range unicode.Scripts {
		if unicode.Is(table, r) && script != "Common" && script != "Inherited" {
			script = strings.ToLower(strings.ReplaceAll(script, "_", ""))
			names = append(names, "notosans"+script+"-regular", "notoserif"+script+"-regular", "noto"+script+"-regular")
		}
	}
	names = append(names, general...)
	return append(names, eastAsian...) // which have full-width and East Asian marks
}
