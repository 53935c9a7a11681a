package module

import (
	"context"

	"bugle/internal/call"
	"bugle/internal/callflow"
)

// user: all phones of a person ring. The caller talks to the one that answers, and the flow ends with that.
func (m *modules) user(ctx context.Context, step *callflow.Step) callflow.Next {
	data := step.Data()
	endpoints := m.userEndpoints(ctx, step, data.String("id"), wishOf(data))
	if len(endpoints) == 0 {
		return callflow.Continue("_")
	}
	options := call.DialOptions{FailOnSingleReject: data.Bool("fail_on_single_reject", false)}
	if data.String("strategy") == "single" {
		options.Strategy = call.Single
	}
	return m.ring(ctx, step, endpoints, options)
}
