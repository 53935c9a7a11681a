package module

import (
	"context"

	"bugle/internal/callflow"
)

// answer: the caller's phone stops ringing and the call begins to count as answered. Nothing is heard.
func (m *modules) answer(ctx context.Context, step *callflow.Step) callflow.Next {
	if step.Call.Answer(ctx) != nil {
		return callflow.Stop{}
	}
	return callflow.Continue("_")
}
