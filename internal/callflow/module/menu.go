package module

import (
	"context"
	"slices"
	"time"

	"bugle"
	"bugle/internal/call"
	"bugle/internal/callflow"
	"bugle/internal/media"
	"bugle/internal/speech"
)

// menu: the caller hears a greeting and presses keys. Keys that name a child go there; others may be an extension of the
// account; the rest is an invalid entry, and the greeting starts again until the tries are used up. Silence goes to the
// child "timeout", or uses up a try.
func (m *modules) menu(ctx context.Context, step *callflow.Step) callflow.Next {
	id := step.Data().String("id")
	doc, err := m.Documents.Menu(ctx, step.Account.ID, id)
	if err != nil {
		step.Call.Note("no such menu", id)
		return callflow.Continue("_")
	}
	if step.Call.Answer(ctx) != nil {
		return callflow.Stop{}
	}
	d := &attendant{modules: m, step: step, menu: doc, greeting: m.greeting(ctx, step, doc)}
	d.interdigit = time.Duration(step.Data().Int("interdigit_timeout", 0)) * time.Millisecond
	if d.interdigit <= 0 {
		d.interdigit = doc.Interdigit
	}
	return d.run(ctx)
}

// attendant is one caller in a menu.
type attendant struct {
	*modules
	step       *callflow.Step
	menu       bugle.Menu
	greeting   []*media.Clip
	interdigit time.Duration
}

func (m *modules) greeting(ctx context.Context, step *callflow.Step, doc bugle.Menu) []*media.Clip {
	if doc.Greeting != "" {
		if clips := m.resolve(ctx, step, doc.Greeting); clips != nil {
			return clips
		}
	}
	return m.Speech.Prompts(ctx, step.Account.ID, step.Language, speech.PromptMenuNoPrompt)
}

func (d *attendant) run(ctx context.Context) callflow.Next {
	var notice []*media.Clip
	for range max(d.menu.Retries, 1) {
		got, err := d.step.Call.Collect(ctx, call.CollectOptions{Prompts: slices.Concat(notice, d.greeting),
			Max: max(d.menu.MaxExtension, 1), Terminators: "#", First: d.menu.Timeout, Between: d.interdigit})
		notice = nil
		switch {
		case err != nil:
			return callflow.Stop{}
		case got.Digits == "":
			if _, ok := d.step.Node.Children["timeout"]; ok {
				return callflow.Continue("timeout")
			}
			continue
		}
		if _, ok := d.step.Node.Children[got.Digits]; ok {
			return callflow.Continue(got.Digits)
		}
		if flow, ok := d.hunt(ctx, got.Digits); ok {
			if d.say(ctx, d.menu.Transfer, speech.PromptMenuTransferring) != nil {
				return callflow.Stop{}
			}
			return callflow.Branch(flow)
		}
		d.step.Call.Note("invalid entry", got.Digits)
		notice = d.clips(ctx, d.menu.Invalid, speech.PromptMenuInvalid)
	}
	return d.exhausted(ctx, notice)
}

// hunt looks keys up as a number of the account, never by no_match.
func (d *attendant) hunt(ctx context.Context, digits string) (bugle.Flow, bool) {
	switch {
	case !d.menu.Hunt,
		d.menu.HuntAllow != "" && !d.step.Matches(d.menu.HuntAllow, digits),
		d.menu.HuntDeny != "" && d.step.Matches(d.menu.HuntDeny, digits):
		return bugle.Flow{}, false
	}
	route, err := d.step.Lookup(ctx, digits)
	if err != nil {
		return bugle.Flow{}, false
	}
	d.step.CaptureGroup, d.step.CaptureGroups = route.Capture, route.Captures
	d.step.Call.Note("hunted", digits+" "+route.Callflow.ID)
	return route.Callflow.Flow, true
}

// exhausted: the tries are used up.
func (d *attendant) exhausted(ctx context.Context, notice []*media.Clip) callflow.Next {
	if d.playAll(ctx, slices.Concat(notice, d.clips(ctx, d.menu.Exit, speech.PromptMenuExit))) != nil {
		return callflow.Stop{}
	}
	if _, ok := d.step.Node.Children["max_retries"]; ok {
		return callflow.Continue("max_retries")
	}
	var err error
	if rest, ok := d.step.Child("_"); ok && !rest.IsZero() {
		err = d.say(ctx, d.menu.Transfer, speech.PromptMenuTransferring)
	} else {
		err = d.playAll(ctx, d.Speech.Prompts(ctx, d.step.Account.ID, d.step.Language, speech.PromptGoodbye))
	}
	if err != nil {
		return callflow.Stop{}
	}
	return callflow.Continue("_")
}

// say plays one of the menu's announcements.
func (d *attendant) say(ctx context.Context, choice bugle.MenuMedia, prompt string) error {
	return d.playAll(ctx, d.clips(ctx, choice, prompt))
}

// clips are one of the menu's announcements: the document's own, or the prompt; nothing when the document says so.
func (d *attendant) clips(ctx context.Context, choice bugle.MenuMedia, prompt string) []*media.Clip {
	if choice.Silent || d.menu.Silent {
		return nil
	}
	if choice.Reference != "" {
		if clips := d.resolve(ctx, d.step, choice.Reference); clips != nil {
			return clips
		}
	}
	return d.Speech.Prompts(ctx, d.step.Account.ID, d.step.Language, prompt)
}

// playAll plays clips; a key cuts them.
func (d *attendant) playAll(ctx context.Context, clips []*media.Clip) error {
	_, err := d.step.Call.Play(ctx, clips, call.PlayOptions{Terminators: call.AnyKey})
	return err
}
