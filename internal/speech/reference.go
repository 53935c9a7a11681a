package speech

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"time"

	"bugle"
	"bugle/internal/media"
)

// maxSilence bounds a silence_stream and a looped tone_stream: nobody holds a line longer for them.
const maxSilence = time.Hour

// Resolve turns a media reference of a document into clips: the id of one of the account's media documents, a prompt
// id, /system_media/ID, prompt://, silence_stream://, tone_stream://, tts://TEXT, and http(s):// when there is a Fetcher.
// The error is a *bugle.Error: KindNotFound when there is no such audio, KindInvalid or KindUnsupported when the reference
// says nothing that can be played.
func (c *Catalogue) Resolve(ctx context.Context, account, language, reference string) ([]*media.Clip, error) {
	reference = strings.TrimSpace(reference)
	scheme, rest, ok := strings.Cut(reference, "://")
	if !ok {
		return c.resolvePath(ctx, account, language, reference)
	}
	switch strings.ToLower(scheme) {
	case "prompt":
		return c.resolvePrompt(ctx, account, language, rest)
	case "silence_stream":
		return silenceStream(rest)
	case "tone_stream":
		return toneStream(rest)
	case "tts":
		if strings.TrimSpace(rest) == "" {
			return nil, referenceError(bugle.KindInvalid, "tts:// needs a text", nil)
		}
		return c.say(ctx, account, language, "", rest), nil
	case "http", "https":
		return c.fetch(ctx, account, reference)
	}
	return nil, referenceError(bugle.KindUnsupported, "a media reference cannot be "+scheme+
		"://; allowed are a media id, /system_media/, prompt://, silence_stream://, tone_stream://, tts:// and http(s)://", nil)
}

func referenceError(kind bugle.Kind, message string, err error) error {
	return &bugle.Error{Op: "speech.Resolve", Kind: kind, Message: message, Err: err}
}

func (c *Catalogue) fetch(ctx context.Context, account, reference string) ([]*media.Clip, error) {
	if c.options.Fetcher == nil {
		return nil, referenceError(bugle.KindUnsupported, "media is not fetched by http here; upload it as a media document", nil)
	}
	if _, err := url.Parse(reference); err != nil {
		return nil, referenceError(bugle.KindInvalid, "the media reference is not a URL", nil)
	}
	clip, err := c.options.Fetcher.Fetch(ctx, account, reference)
	if err != nil {
		return nil, referenceError(bugle.KindOf(err), "the media cannot be fetched", err)
	}
	return []*media.Clip{clip}, nil
}

// resolvePath resolves what has no scheme: ID, /ACCOUNT/ID, /system_media/ID.
func (c *Catalogue) resolvePath(ctx context.Context, account, language, path string) ([]*media.Clip, error) {
	first, rest, deep := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch {
	case first == "":
		return nil, referenceError(bugle.KindInvalid, "the media reference is empty", nil)
	case deep && first == "system_media":
		return c.systemMedia(ctx, language, rest)
	case deep && first == account:
		return c.accountMedia(ctx, account, language, rest)
	case deep:
		return nil, referenceError(bugle.KindNotFound, "there is no such media in this account", nil)
	case english()[first] != nil:
		return []*media.Clip{c.Prompt(ctx, account, language, first)}, nil
	}
	return c.accountMedia(ctx, account, language, first)
}

func (c *Catalogue) accountMedia(ctx context.Context, account, language, id string) ([]*media.Clip, error) {
	if c.options.Media == nil {
		return nil, referenceError(bugle.KindNotFound, "there is no media "+id, nil)
	}
	audio, err := c.options.Media.Audio(ctx, account, id)
	if err != nil {
		if clip := c.prompt(ctx, account, language, id); clip != nil { // a prompt that only the account has
			return []*media.Clip{clip}, nil
		}
		return nil, referenceError(bugle.KindOf(err), "there is no media "+id, err)
	}
	return c.said(ctx, account, language, id, audio)
}

// said returns audio's clip, or its text said or spelled.
func (c *Catalogue) said(ctx context.Context, account, language, id string, audio Audio) ([]*media.Clip, error) {
	switch {
	case audio.Clip != nil:
		return []*media.Clip{audio.Clip}, nil
	case audio.Text != "":
		return c.say(ctx, account, language, audio.Voice, audio.Text), nil
	}
	return nil, referenceError(bugle.KindNotFound, "the media "+id+" has no audio", nil)
}

// systemMedia resolves the system's own media, its prompts first: ID, LANGUAGE/ID or LANGUAGE%2FID.
func (c *Catalogue) systemMedia(ctx context.Context, language, path string) ([]*media.Clip, error) {
	if unescaped, err := url.PathUnescape(path); err == nil {
		path = unescaped
	}
	id := path[strings.LastIndexByte(path, '/')+1:]
	if clip := english().get(id); clip != nil {
		return []*media.Clip{clip}, nil
	}
	return c.accountMedia(ctx, "", language, path)
}

// resolvePrompt resolves KAZOO's prompt://ACCOUNT/ID/LANGUAGE and shorter forms: ID, ID/LANGUAGE.
func (c *Catalogue) resolvePrompt(ctx context.Context, account, language, path string) ([]*media.Clip, error) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if len(parts) == 3 || len(parts) == 2 && parts[0] == "system_media" {
		if parts[0] != account && parts[0] != "system_media" {
			return nil, referenceError(bugle.KindNotFound, "there is no such prompt in this account", nil)
		}
		if parts[0] == "system_media" {
			account = ""
		}
		parts = parts[1:]
	}
	if len(parts) == 2 {
		language = parts[1]
	}
	if len(parts) > 2 || parts[0] == "" {
		return nil, referenceError(bugle.KindInvalid, "a prompt reference is prompt://ID, prompt://ID/LANGUAGE or prompt://ACCOUNT/ID/LANGUAGE", nil)
	}
	clip := c.prompt(ctx, account, language, parts[0])
	if clip == nil {
		return nil, referenceError(bugle.KindNotFound, "there is no prompt "+parts[0], nil)
	}
	return []*media.Clip{clip}, nil
}

// silenceStream reads MILLISECONDS[,NOISE]; a negative number means without end, which is an hour.
func silenceStream(rest string) ([]*media.Clip, error) {
	number, _, _ := strings.Cut(rest, ",")
	ms, err := strconv.Atoi(strings.TrimSpace(number))
	if err != nil || ms == 0 {
		return nil, referenceError(bugle.KindInvalid, "silence_stream:// needs a number of milliseconds", nil)
	}
	length := time.Duration(ms) * time.Millisecond
	if ms < 0 || ms > int(maxSilence/time.Millisecond) {
		length = maxSilence
	}
	return Silence(length), nil
}

// Silence returns clips that are silent for a while, up to an hour. They share one second of audio.
func Silence(length time.Duration) []*media.Clip {
	length = min(max(length, 0), maxSilence)
	var clips []*media.Clip
	if whole := int(length / time.Second); whole > 0 {
		second := media.NewClip("silence", media.Silence(time.Second))
		for range whole {
			clips = append(clips, second)
		}
	}
	if part := length % time.Second; part > 0 {
		clips = append(clips, media.NewClip("silence", media.Silence(part)))
	}
	return clips
}
