package speech

import "context"

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
