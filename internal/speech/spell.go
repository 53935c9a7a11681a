package speech

import (
	"context"
	"strings"
	"time"

	"bugle/internal/media"
)

// maxSpelled is how many characters are spelled at most: nobody listens to more.
const maxSpelled = 80

// wordPause parts spelled words.
const wordPause = 300 * time.Millisecond

// signs are the prompts of what is spelled beside letters and digits.
var signs = map[rune]string{'-': "let.dash", '.': "let.dot", '@': "let.at", '\'': "let.apostrophe", '/': "let.slash",
	'_': "let.underscore", '&': "let.ampersand", '+': "num.plus", '*': "gen.star", '#': "gen.pound", ' ': ""}

// Spell says a text letter by letter, accents folded and other scripts transliterated. Characters without a name are
// passed over, so a text may have nothing to be spelled: nil. No more than 80 characters are spelled.
func (c *Catalogue) Spell(ctx context.Context, account, language, text string) []*media.Clip {
	var clips []*media.Clip
	for _, id := range spellPrompts(text) {
		if id == "" {
			clips = append(clips, media.NewClip("pause", media.Silence(wordPause)))
			continue
		}
		clips = append(clips, c.Prompt(ctx, account, language, id))
	}
	return clips
}

// spellPrompts returns the ids of prompts, "" for a pause.
func spellPrompts(text string) []string {
	// Apostrophes and hyphens that typesetters use have plain relatives, which the transliteration gives.
	text = strings.Join(strings.Fields(strings.ToLower(ascii(sanitise(text)))), " ")
	text = text[:min(len(text), maxSpelled)]
	var ids []string
	heard := false // nothing but pauses is nothing
	for _, r := range text {
		id, known := signs[r]
		switch {
		case r >= 'a' && r <= 'z':
			id = "let." + string(r)
		case r >= '0' && r <= '9':
			id = "num." + string(r)
		case !known:
			continue
		}
		heard = heard || id != ""
		ids = append(ids, id)
	}
	if !heard {
		return nil
	}
	return ids
}
