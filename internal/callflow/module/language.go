package module

import (
	"context"
	"strings"

	"bugle/internal/callflow"
)

// language: prompts and synthesised texts that follow are in another language.
func (m *modules) language(_ context.Context, step *callflow.Step) callflow.Next {
	if language := strings.ToLower(step.Data().String("language")); language != "" {
		step.Language = language
	}
	return callflow.Continue("_")
}
