package module

import (
	"context"
	"embed"

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
	Mailboxes   Mailboxes
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

//go:embed schemas/*.json
var schemas embed.FS

// modules are the modules with what they work with.
type modules struct{ Services }

// All is the table of modules.
func All(services Services) map[string]callflow.Module {
	m := &modules{services}
	return map[string]callflow.Module{
		"answer":          {Schema: schema("answer"), Run: m.answer},
		"callflow":        {Schema: schema("callflow"), Run: m.callflow},
		"device":          {Schema: schema("device"), Run: m.device},
		"directory":       {Schema: schema("directory"), Run: m.directory},
		"faxbox":          {Schema: schema("faxbox"), Run: m.faxbox},
		"hangup":          {Schema: schema("hangup"), Run: m.hangup},
		"language":        {Schema: schema("language"), Run: m.language},
		"menu":            {Schema: schema("menu"), Run: m.menu},
		"noop":            {Schema: schema("noop"), Run: m.noop},
		"park":            {Schema: schema("park"), Run: m.park},
		"play":            {Schema: schema("play"), Run: m.play},
		"receive_fax":     {Schema: schema("receive_fax"), Run: m.receiveFax},
		"response":        {Schema: schema("response"), Run: m.response},
		"ring_group":      {Schema: schema("ring_group"), Run: m.ringGroup},
		"set_cid":         {Schema: schema("set_cid"), Run: m.setCID},
		"sleep":           {Schema: schema("sleep"), Run: m.sleep},
		"tts":             {Schema: schema("tts"), Run: m.tts},
		"user":            {Schema: schema("user"), Run: m.user},
		"voicemail":       {Schema: schema("voicemail"), Run: m.voicemail},
		"wait_for_hangup": {Schema: schema("wait_for_hangup"), Run: m.waitForHangup},
	}
}

// schema returns the JSON schema of a module's data.
func schema(module string) []byte {
	doc, err := schemas.ReadFile("schemas/" + module + ".json")
	if err != nil {
		panic("module " + module + " has no schema: " + err.Error()) // a defect of the build, found by every test
	}
	return doc
}
