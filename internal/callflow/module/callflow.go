package module

import (
	"context"

	"bugle/internal/callflow"
)

// callflow: the call goes on in another callflow of the account, and comes back to "_" when that one stops.
func (m *modules) callflow(ctx context.Context, step *callflow.Step) callflow.Next {
	id := step.Data().String("id")
	other, err := step.Callflow(ctx, id)
	if err != nil {
		step.Call.Note("no such callflow", id)
		return callflow.Continue("_")
	}
	return callflow.Branch(other.Flow)
}
