package callflowtest

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"bugle"
	"bugle/internal/media"
)

// Speech is a module.Speech whose clips are a second of silence with the name of what they say: the prompt's id, the
// text, the digit. A language other than "en-us" goes before it: "de-de/dir-found".
type Speech struct {
	mu    sync.Mutex
	clips map[string]*media.Clip
	// Recordings are the media references that Resolve and PersonName know beside prompt ids.
	Recordings map[string]bool
}

// clip returns the clip of a name, the same each time.
func (s *Speech) clip(language, name string) *media.Clip {
	if language != "" && language != "en-us" {
		name = language + "/" + name
	}
	name = strings.ReplaceAll(name, " ", "_")
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clips == nil {
		s.clips = map[string]*media.Clip{}
	}
	c := s.clips[name]
	if c == nil {
		c = media.NewClip(name, make([]int16, time.Second*media.SampleRate/time.Second))
		s.clips[name] = c
	}
	return c
}

func (s *Speech) say(language string, names ...string) []*media.Clip {
	clips := make([]*media.Clip, len(names))
	for i, name := range names {
		clips[i] = s.clip(language, name)
	}
	return clips
}

// Prompts is module.Speech's.
func (s *Speech) Prompts(_ context.Context, _, language string, ids ...string) []*media.Clip {
	return s.say(language, ids...)
}

// Digits is module.Speech's: one clip a digit.
func (s *Speech) Digits(_ context.Context, _, language, digits string) []*media.Clip {
	return s.say(language, strings.Split(digits, "")...)
}

// SpecifyMinimum is module.Speech's: the prompt's id, then the number.
func (s *Speech) SpecifyMinimum(_ context.Context, _, language string, n int) []*media.Clip {
	return s.say(language, "dir-specify_minimum", strconv.Itoa(n))
}

// Found is module.Speech's: "found", or "found-more-than", then the number, then "keep-typing" with narrow.
func (s *Speech) Found(_ context.Context, _, language string, n int, more, narrow bool) []*media.Clip {
	names := []string{"found", strconv.Itoa(n)}
	if more {
		names[0] = "found-more-than"
	}
	if narrow {
		names = append(names, "keep-typing")
	}
	return s.say(language, names...)
}

// Resolve is module.Speech's: a reference that Recordings has is a clip of that name, and prompt://ID that prompt.
func (s *Speech) Resolve(_ context.Context, _, language, reference string) ([]*media.Clip, error) {
	if id, ok := strings.CutPrefix(reference, "prompt://"); ok {
		return s.say(language, id), nil
	}
	if !s.Recordings[reference] {
		return nil, &bugle.Error{Op: "callflowtest", Kind: bugle.KindNotFound, Message: reference}
	}
	return s.say(language, reference), nil
}

// Say is module.Speech's: the text, after the voice when there is one.
func (s *Speech) Say(_ context.Context, _, language, voice, text string) []*media.Clip {
	if voice != "" {
		text = voice + ":" + text
	}
	return s.say(language, text)
}

// PersonName is module.Speech's: the recording's name, or the text.
func (s *Speech) PersonName(_ context.Context, _, language, recorded, text string) []*media.Clip {
	if s.Recordings[recorded] {
		text = recorded
	}
	return s.say(language, text)
}
