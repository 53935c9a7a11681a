package speech

import (
	"context"

	"bugle/internal/media"
)

// Speaker says names and texts.
type Speaker struct{ *Catalogue }

// NewSpeaker returns a speaker with the catalogue's synthesiser and media.
func NewSpeaker(catalogue *Catalogue) *Speaker { return &Speaker{Catalogue: catalogue} }

// Say says a text with the synthesiser. Without one, or when it fails, a text of a name's length is spelled and a longer
// one is a short silence. The clip's Name is the text.
func (s *Speaker) Say(ctx context.Context, account, language, voice, text string) []*media.Clip {
	return nil
}

// PersonName says a person's name: the recording, when there is one; else the text with the synthesiser; else spelled.
// recorded is a media document's id, "" for none.
func (s *Speaker) PersonName(ctx context.Context, account, language, recorded, text string) []*media.Clip {
	return nil
}
