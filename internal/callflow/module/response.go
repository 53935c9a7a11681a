package module

import (
	"context"

	"bugle/internal/call"
	"bugle/internal/callflow"
)

// response: the caller's phone is told a SIP status, 486 when the node says nothing, with a reason of the
// administrator's own, perhaps after some audio. A caller who was answered already is hung up.
func (m *modules) response(ctx context.Context, step *callflow.Step) callflow.Next {
	data := step.Data()
	if reference := data.String("media"); reference != "" {
		if clips := m.resolve(ctx, step, reference); clips != nil {
			if _, err := step.Call.Play(ctx, clips, call.PlayOptions{}); err != nil {
				return callflow.Stop{}
			}
		}
	}
	status := data.Int("code", 486)
	if status < 300 || status > 699 {
		status = 486
	}
	step.Call.Reject(ctx, status, data.String("message"))
	return callflow.Stop{}
}
