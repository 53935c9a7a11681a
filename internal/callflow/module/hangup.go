package module

import (
	"context"

	"bugle/internal/call"
	"bugle/internal/callflow"
)

// hangup: the call ends, whatever flow branched here.
func (m *modules) hangup(context.Context, *callflow.Step) callflow.Next {
	return callflow.Hangup(call.NormalClearing)
}
