package module

import (
	"context"
	"slices"

	"bugle"
	"bugle/internal/call"
	"bugle/internal/callflow"
	"bugle/internal/media"
)

// play: the caller is answered, unless the node says not to, and hears a recording; a key ends it.
func (m *modules) play(ctx context.Context, step *callflow.Step) callflow.Next {
	data := step.Data()
	if data.Bool("answer", true) {
		if step.Call.Answer(ctx) != nil {
			return callflow.Stop{}
		}
	}
	clips := m.resolve(ctx, step, data.String("id"))
	if clips == nil {
		return callflow.Continue("_")
	}
	rounds := min(max(data.Int("loop_count", 1), 1), maxRounds)
	clips = slices.Repeat(clips, rounds)
	return m.playTo(ctx, step, clips)
}

const maxRounds = 100

// playTo plays to the caller as the keys terminators and endless_playback say.
func (m *modules) playTo(ctx context.Context, step *callflow.Step, clips []*media.Clip) callflow.Next {
	data := step.Data()
	_, err := step.Call.Play(ctx, clips, call.PlayOptions{Terminators: terminators(data),
		Loop: data.Bool("endless_playback", false)})
	if err != nil {
		return callflow.Stop{}
	}
	return callflow.Continue("_")
}

// terminators are the keys that end what is played: every key when the node says nothing, none for [] or ["none"].
func terminators(data bugle.Fields) string {
	if _, ok := data["terminators"]; !ok {
		return call.AnyKey
	}
	keys := ""
	for _, key := range data.Strings("terminators") {
		if len(key) == 1 {
			keys += key
		}
	}
	return keys
}

// resolve turns a media reference into clips, nil when there is no such audio, which the trail tells.
func (m *modules) resolve(ctx context.Context, step *callflow.Step, reference string) []*media.Clip {
	clips, err := m.Speech.Resolve(ctx, step.Account.ID, step.Language, reference)
	if err != nil || len(clips) == 0 {
		step.Call.Note("no such audio", reference)
		return nil
	}
	return clips
}
