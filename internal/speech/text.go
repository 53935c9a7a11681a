package speech

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mozillazg/go-unidecode"
	"golang.org/x/text/unicode/norm"
)

// maxText bounds, in bytes, a text to be said; KAZOO's tts module allows 1,000 characters.
const maxText = 4000

// sanitise makes a text fit to be said: valid, bounded, one line, without control and format characters.
func sanitise(text string) string {
	if len(text) > maxText {
		cut := maxText
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut]
	}
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(text, " ") {
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r):
			b.WriteByte(' ')
		case unicode.Is(unicode.Cf, r):
		default:
			b.WriteRune(r)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// ascii transliterates a text. It is composed first: the transliteration knows ガ, not its parts.
func ascii(text string) string {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return unidecode.Unidecode(norm.NFKC.String(text))
		}
	}
	return text
}

// languageTag brings a language to the form in which prompts have theirs: "en-us".
func languageTag(language string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimSpace(language)), "_", "-")
}

// languages returns a language and the one that it is a kind of: "en-us", "en".
func languages(language string) []string {
	language = languageTag(language)
	if language == "" {
		return nil
	}
	if base, _, ok := strings.Cut(language, "-"); ok && base != "" {
		return []string{language, base}
	}
	return []string{language}
}
