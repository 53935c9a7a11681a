package speech

import (
	"context"
	"log/slog"

	"bugle/internal/media"
)

// Media finds the audio that accounts own. An error of kind bugle.KindNotFound means that there is none; any other is
// logged and treated likewise, because a call goes on.
type Media interface {
	// Prompt returns the account's own recording of a prompt in exactly this language, lower case.
	Prompt(ctx context.Context, account, language, id string) (Audio, error)
	// Audio returns what a media document holds. account "" is the system itself.
	Audio(ctx context.Context, account, id string) (Audio, error)
}

// Audio is what a media document holds: a clip, or a text that is to be said (media_source "tts").
type Audio struct {
	Clip  *media.Clip
	Text  string
	Voice string // KAZOO's name of a voice, such as "female/en-US"; "" for the engine's own
}

// Fetcher gets audio from an http or https URL. Its implementation passes the egress guard and bounds time and size.
type Fetcher interface {
	Fetch(ctx context.Context, account, url string) (*media.Clip, error)
}

// Options are what a Catalogue and a Speaker work with. Every field may be its zero value.
type Options struct {
	Media       Media       // nil: accounts own no audio
	Synthesiser Synthesiser // nil: texts are spelled
	Fetcher     Fetcher     // nil: http and https references are refused
	Log         *slog.Logger
	// OnMissing counts what could not be said: a prompt's id, or "text" for a text.
	OnMissing func(id string)
}

// Catalogue turns prompt ids, numbers, letters and media references into clips, in the language of a call and with the
// recordings of its account in place of the built-in ones. It is safe for concurrent use.
type Catalogue struct{ options Options }

// NewCatalogue returns a catalogue of the built-in prompts.
func NewCatalogue(options Options) *Catalogue { return &Catalogue{options: options} }

// Prompt returns a prompt. The account's recording in the call's language goes before a built-in one, an "en" before
// an "en-us" of another language, and English before nothing. A prompt that does not exist is a short silence, logged
// and counted. The clip's Name is the prompt id.
func (c *Catalogue) Prompt(ctx context.Context, account, language, id string) *media.Clip {
	return media.NewClip(id, nil)
}

// Prompts returns several prompts, to be played one after the other.
func (c *Catalogue) Prompts(ctx context.Context, account, language string, ids ...string) []*media.Clip {
	return nil
}

// Number says a whole number: "two hundred seven".
func (c *Catalogue) Number(ctx context.Context, account, language string, n int64) []*media.Clip {
	return nil
}

// Digits says the digits of an extension or a telephone number one by one; *, # and + have names, other characters are
// passed over.
func (c *Catalogue) Digits(ctx context.Context, account, language, digits string) []*media.Clip {
	return nil
}

// Spell says a text letter by letter, accents folded and other scripts transliterated. Characters without a name are
// passed over.
func (c *Catalogue) Spell(ctx context.Context, account, language, text string) []*media.Clip {
	return nil
}

// SpecifyMinimum says that a directory wants at least n letters.
func (c *Catalogue) SpecifyMinimum(ctx context.Context, account, language string, n int) []*media.Clip {
	return nil
}

// Found says how many people match. more means that there are more than n. With narrow it goes on with how to narrow
// the search or hear the names.
func (c *Catalogue) Found(ctx context.Context, account, language string, n int, more, narrow bool) []*media.Clip {
	return nil
}

// Resolve turns a media reference of a document into clips: the id of one of the account's media documents, a prompt
// id, /system_media/ID, prompt://, silence_stream://, tone_stream://, tts://TEXT, and http(s):// when there is a Fetcher.
// The error is a *bugle.Error: KindNotFound when there is no such audio, KindInvalid or KindUnsupported when the reference
// says nothing that can be played.
func (c *Catalogue) Resolve(ctx context.Context, account, language, reference string) ([]*media.Clip, error) {
	return nil, nil
}
