package module

import (
	"context"

	"bugle/internal/callflow"
	"bugle/internal/directory"
	"bugle/internal/media"
	"bugle/internal/registrar"
)

// Services are what modules work with. The zero value serves those who only want names and schemas.
type Services struct {
	Documents   callflow.Documents
	Locator     Locator
	Speech      Speech
	Directories Directories
	// Random returns a number from 0 to below n, for strategies that shuffle; nil: math/rand.
	Random func(n int) int
}

// Locator knows where devices are registered; a *registrar.Registrar does.
type Locator interface {
	Locate(deviceID string) []registrar.Binding
}

// Directories has the people of directories at hand.
type Directories interface {
	// Snapshot returns a directory's people as they are now, false when there is no such directory. It does not load
	// them in the caller's time.
	Snapshot(accountID, directoryID string) (*directory.Snapshot, bool)
}

// Speech turns prompt ids, texts and media references into audio; a *speech.Speaker does. Only Resolve can fail.
type Speech interface {
	Prompts(ctx context.Context, account, language string, ids ...string) []*media.Clip
	Digits(ctx context.Context, account, language, digits string) []*media.Clip
	SpecifyMinimum(ctx context.Context, account, language string, n int) []*media.Clip
	Found(ctx context.Context, account, language string, n int, more, narrow bool) []*media.Clip
	Resolve(ctx context.Context, account, language, reference string) ([]*media.Clip, error)
	Say(ctx context.Context, account, language, voice, text string) []*media.Clip
	PersonName(ctx context.Context, account, language, recorded, text string) []*media.Clip
}

// All is the table of modules.
func All(services Services) map[string]callflow.Module {
	return map[string]callflow.Module{}
}
