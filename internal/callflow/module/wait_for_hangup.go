package module

import (
	"context"

	"bugle/internal/callflow"
)

// waitForHangup: the caller hears nothing until he hangs up.
func (m *modules) waitForHangup(ctx context.Context, step *callflow.Step) callflow.Next {
	_ = step.Call.WaitForHangup(ctx)
	return callflow.Stop{}
}
