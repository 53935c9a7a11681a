package speech

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"bugle"
	"bugle/internal/media"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// names are what is heard, one clip after the other.
func names(clips []*media.Clip) string {
	list := make([]string, len(clips))
	for i, clip := range clips {
		list[i] = clip.Name()
	}
	return strings.Join(list, " ")
}

// shelf is what accounts own: prompts by account/language/id, media by account/id.
type shelf map[string]Audio

func (s shelf) Prompt(_ context.Context, account, language, id string) (Audio, error) {
	return s.at(account + "/" + language + "/" + id)
}

func (s shelf) Audio(_ context.Context, account, id string) (Audio, error) {
	return s.at(account + "/" + id)
}

func (s shelf) at(key string) (Audio, error) {
	if key == "acme/broken" {
		return Audio{}, errors.New("the disk is gone")
	}
	audio, ok := s[key]
	if !ok {
		return Audio{}, &bugle.Error{Kind: bugle.KindNotFound}
	}
	return audio, nil
}

func (s shelf) with(key string) shelf {
	s[key] = Audio{Clip: media.NewClip(key, []int16{1, 2, 3})}
	return s
}

// engine is a synthesiser of a test: what it was asked, and what it answers.
type engine struct {
	name   string
	answer func(ctx context.Context, request Request) ([]int16, error)

	mu    sync.Mutex
	asked []string
}

func (e *engine) Name() string { return e.name }

func (e *engine) Synthesise(ctx context.Context, request Request) ([]int16, error) {
	e.mu.Lock()
	e.asked = append(e.asked, request.Text)
	e.mu.Unlock()
	if e.answer != nil {
		return e.answer(ctx, request)
	}
	return make([]int16, 800), nil
}

func (e *engine) texts() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.asked)
}

func failing(kind bugle.Kind) func(context.Context, Request) ([]int16, error) {
	return func(context.Context, Request) ([]int16, error) { return nil, &bugle.Error{Kind: kind} }
}
