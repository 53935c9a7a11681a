package speech

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"bugle"
)

// Request is a text to be said.
type Request struct {
	Text     string
	Voice    string // an engine's own name of a voice or KAZOO's ("female/en-US"); an unknown one means the engine's own
	Language string // such as "en-us"
}

// Synthesiser turns text into speech: 8 kHz mono. It is safe for concurrent use, bounds its own time and size, and stops
// when ctx ends. An error is a *bugle.Error; KindUnavailable and KindLimited may pass by trying again later.
type Synthesiser interface {
	Synthesise(ctx context.Context, request Request) ([]int16, error)
	// Name identifies engine, version and whatever else decides how a request sounds. It is part of cache keys.
	Name() string
}

// engineRest is how long an engine that failed is passed over, so that not every caller waits for it to fail again.
const engineRest = 30 * time.Second

// Fallback is several engines of which the first that can says a text.
type Fallback struct {
	engines []Synthesiser
	now     func() time.Time

	mu    sync.Mutex
	until []time.Time // by engine: not asked before
}

// NewFallback returns a synthesiser that asks engines in order. now is the clock, nil for time.Now.
func NewFallback(now func() time.Time, engines ...Synthesiser) *Fallback {
	if now == nil {
		now = time.Now
	}
	return &Fallback{engines: engines, now: now, until: make([]time.Time, len(engines))}
}

// Name is the names of all engines, since any may have spoken.
func (f *Fallback) Name() string {
	names := make([]string, len(f.engines))
	for i, engine := range f.engines {
		names[i] = engine.Name()
	}
	return strings.Join(names, ", ")
}

// Synthesise returns the audio of the first engine that has any. One that was unavailable rests for half a minute.
func (f *Fallback) Synthesise(ctx context.Context, request Request) ([]int16, error) {
	var failed error
	for i, engine := range f.engines {
		if f.resting(i) {
			continue
		}
		pcm, err := engine.Synthesise(ctx, request)
		if err == nil {
			return pcm, nil
		}
		failed = errors.Join(failed, err)
		if bugle.KindOf(err) == bugle.KindUnavailable && ctx.Err() == nil {
			f.rest(i)
		}
	}
	return nil, &bugle.Error{Op: "speech.Fallback", Kind: bugle.KindUnavailable, Message: "no engine could say the text", Err: failed}
}

func (f *Fallback) resting(engine int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now().Before(f.until[engine])
}

func (f *Fallback) rest(engine int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.until[engine] = f.now().Add(engineRest)
}
