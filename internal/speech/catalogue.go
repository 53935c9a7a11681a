package speech

import (
	"context"
	"log/slog"
	"time"

	"bugle"
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
	Cache       CacheOptions
	Log         *slog.Logger
	// OnMissing counts what could not be said: a prompt's id, or "text" for a text.
	OnMissing func(id string)
	// OnPanic hears of a panic in a synthesiser, which fails that one text.
	OnPanic func(any)
}

// Catalogue turns prompt ids, numbers, letters and media references into clips, in the language of a call and with the
// recordings of its account in place of the built-in ones. It is safe for concurrent use.
type Catalogue struct {
	options Options
	cache   *cache // of synthesised texts, nil without a synthesiser
	missing *media.Clip
}

// missingPause is heard in place of what cannot be said.
const missingPause = 250 * time.Millisecond

// NewCatalogue returns a catalogue of the built-in prompts.
func NewCatalogue(options Options) *Catalogue {
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	if options.OnMissing == nil {
		options.OnMissing = func(string) {}
	}
	if options.OnPanic == nil {
		options.OnPanic = func(any) {}
	}
	c := &Catalogue{options: options, missing: media.NewClip("silence", media.Silence(missingPause))}
	if options.Synthesiser != nil {
		c.cache = newCache(options.Synthesiser, options.Cache, options.Log, options.OnPanic)
	}
	return c
}

// Prompt returns a prompt. The account's recordings go before the built-in ones, the call's language before the one it is
// a kind of ("en" for "en-gb"), and any of these before English. A prompt that does not exist is a short silence, logged
// and counted. The clip's Name is the prompt id for a built-in prompt, and what Media called it for a recording.
func (c *Catalogue) Prompt(ctx context.Context, account, language, id string) *media.Clip {
	if clip := c.prompt(ctx, account, language, id); clip != nil {
		return clip
	}
	return c.silenceFor(ctx, "prompt", id)
}

// silenceFor is what is heard in place of something that cannot be said, which is logged and counted.
func (c *Catalogue) silenceFor(ctx context.Context, what, id string) *media.Clip {
	c.options.Log.WarnContext(ctx, "nothing to play for a "+what, "id", id)
	c.options.OnMissing(id)
	return c.missing
}

// prompt returns nil when there is no such prompt.
func (c *Catalogue) prompt(ctx context.Context, account, language, id string) *media.Clip {
	wanted := languages(language)
	if clip := c.recorded(ctx, account, wanted, id); clip != nil {
		return clip
	}
	for _, l := range wanted {
		if l == builtinLanguage {
			return english().get(id) // an account's "en" was looked for
		}
	}
	if clip := c.recorded(ctx, account, languages(builtinLanguage), id); clip != nil {
		return clip
	}
	return english().get(id)
}

// recorded returns the account's own recording of a prompt in the first language that has one, nil for none.
func (c *Catalogue) recorded(ctx context.Context, account string, wanted []string, id string) *media.Clip {
	if c.options.Media == nil {
		return nil
	}
	for _, language := range wanted {
		audio, err := c.options.Media.Prompt(ctx, account, language, id)
		if err != nil {
			c.logLookup(ctx, err, "account", account, "prompt", id)
			continue
		}
		if clips := c.clips(ctx, language, audio); len(clips) == 1 {
			return clips[0]
		}
	}
	return nil
}

func (c *Catalogue) logLookup(ctx context.Context, err error, about ...any) {
	if bugle.KindOf(err) != bugle.KindNotFound {
		c.options.Log.WarnContext(ctx, "audio cannot be read", append(about, "error", err)...)
	}
}

// clips returns what audio holds: its clip, or its text said; nil when it is neither or cannot be said.
func (c *Catalogue) clips(ctx context.Context, language string, audio Audio) []*media.Clip {
	if audio.Clip != nil {
		return []*media.Clip{audio.Clip}
	}
	if audio.Text == "" {
		return nil
	}
	clip, err := c.synthesise(ctx, Request{Text: audio.Text, Voice: audio.Voice, Language: language})
	if err != nil {
		return nil
	}
	return []*media.Clip{clip}
}

// Prompts returns several prompts, to be played one after the other.
func (c *Catalogue) Prompts(ctx context.Context, account, language string, ids ...string) []*media.Clip {
	clips := make([]*media.Clip, len(ids))
	for i, id := range ids {
		clips[i] = c.Prompt(ctx, account, language, id)
	}
	return clips
}

// SpecifyMinimum says that a directory wants at least n letters. An account's own recording of dir-specify_minimum is
// played instead.
func (c *Catalogue) SpecifyMinimum(ctx context.Context, account, language string, n int) []*media.Clip {
	for _, tags := range [][]string{languages(language), languages(builtinLanguage)} {
		if clip := c.recorded(ctx, account, tags, PromptDirMinimum); clip != nil {
			return []*media.Clip{clip}
		}
	}
	letters := promptLetters
	if n == 1 {
		letters = promptLetter
	}
	clips := c.Prompts(ctx, account, language, promptMinimum)
	clips = append(clips, c.Number(ctx, account, language, int64(n))...)
	return append(clips, c.Prompt(ctx, account, language, letters))
}

// Found says how many people match. more means that there are more than n. With narrow it goes on with how to narrow
// the search or hear the names.
func (c *Catalogue) Found(ctx context.Context, account, language string, n int, more, narrow bool) []*media.Clip {
	clips := c.Prompts(ctx, account, language, promptFound)
	if more {
		clips = append(clips, c.Prompt(ctx, account, language, promptMore))
	}
	clips = append(clips, c.Number(ctx, account, language, int64(n))...)
	if narrow {
		return append(clips, c.Prompt(ctx, account, language, promptNarrow))
	}
	return append(clips, c.Prompt(ctx, account, language, promptMatches))
}
