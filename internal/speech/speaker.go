package speech

import (
	"context"

	"bugle"
	"bugle/internal/media"
)

// Speaker says names and texts.
type Speaker struct{ *Catalogue }

// NewSpeaker returns a speaker with the catalogue's synthesiser and media.
func NewSpeaker(catalogue *Catalogue) *Speaker { return &Speaker{Catalogue: catalogue} }

// Say says a text with the synthesiser. Without one, or when it fails, a text of at most 80 characters is spelled and a
// longer one is a short silence. The clip's Name is the text. It never returns nothing.
func (s *Speaker) Say(ctx context.Context, account, language, voice, text string) []*media.Clip {
	return s.say(ctx, account, language, voice, text)
}

// PersonName says a person's name: the recording, when there is one; else the text with the synthesiser; else spelled.
// recorded is a media document's id, "" for none.
func (s *Speaker) PersonName(ctx context.Context, account, language, recorded, text string) []*media.Clip {
	if recorded != "" && s.options.Media != nil {
		audio, err := s.options.Media.Audio(ctx, account, recorded)
		if err == nil {
			if clips := s.clips(ctx, language, audio); clips != nil {
				return clips
			}
		} else {
			s.logLookup(ctx, err, "account", account, "media", recorded)
		}
	}
	return s.say(ctx, account, language, "", text)
}

// Synthesise says a text with the synthesiser. It fails when there is none or it cannot: nothing is spelled instead.
func (s *Speaker) Synthesise(ctx context.Context, language, voice, text string) (*media.Clip, error) {
	return s.synthesise(ctx, Request{Text: text, Voice: voice, Language: languageTag(language)})
}

// synthesise fails when there is no engine or it cannot say the text.
func (c *Catalogue) synthesise(ctx context.Context, request Request) (*media.Clip, error) {
	if c.cache == nil {
		return nil, &bugle.Error{Op: "speech.Say", Kind: bugle.KindUnavailable, Message: "there is no synthesiser"}
	}
	clip, err := c.cache.clip(ctx, request)
	if err != nil && ctx.Err() == nil {
		c.options.Log.WarnContext(ctx, "a text cannot be said", "error", err)
	}
	return clip, err
}

func (c *Catalogue) say(ctx context.Context, account, language, voice, text string) []*media.Clip {
	clip, err := c.synthesise(ctx, Request{Text: text, Voice: voice, Language: languageTag(language)})
	if err == nil {
		return []*media.Clip{clip}
	}
	if len([]rune(sanitise(text))) <= maxSpelled {
		if clips := c.Spell(ctx, account, language, text); clips != nil {
			return clips
		}
	}
	return []*media.Clip{c.silenceFor(ctx, "text", "text")}
}
