package module

import (
	"cmp"
	"context"
	"strings"

	"bugle/internal/callflow"
)

// tts: the caller is answered and hears a text, spoken by the synthesiser; a key ends it.
func (m *modules) tts(ctx context.Context, step *callflow.Step) callflow.Next {
	if step.Call.Answer(ctx) != nil {
		return callflow.Stop{}
	}
	data := step.Data()
	text := data.String("text")
	if strings.TrimSpace(text) == "" {
		return callflow.Continue("_")
	}
	language := cmp.Or(strings.ToLower(data.String("language")), step.Language)
	return m.playTo(ctx, step, m.Speech.Say(ctx, step.Account.ID, language, data.String("voice"), text))
}
