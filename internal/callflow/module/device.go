package module

import (
	"context"

	"bugle/internal/call"
	"bugle/internal/callflow"
)

// device: one phone rings, at every place where it is registered. When it answers the caller talks to it, and the flow
// ends with that.
func (m *modules) device(ctx context.Context, step *callflow.Step) callflow.Next {
	data := step.Data()
	endpoint, ok := m.deviceEndpoint(ctx, step, data.String("id"), wishOf(data))
	if !ok {
		return callflow.Continue("_")
	}
	return m.ring(ctx, step, []call.Endpoint{endpoint},
		call.DialOptions{FailOnSingleReject: data.Bool("fail_on_single_reject", false)})
}
