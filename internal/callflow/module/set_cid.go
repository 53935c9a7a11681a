package module

import (
	"context"

	"bugle/internal/callflow"
)

// setCID: phones that are rung from now on show another name or number.
func (m *modules) setCID(_ context.Context, step *callflow.Step) callflow.Next {
	data := step.Data()
	if _, ok := data["caller_id_name"]; ok {
		step.Caller.Name = data.String("caller_id_name")
	}
	if _, ok := data["caller_id_number"]; ok {
		step.Caller.Number = data.String("caller_id_number")
	}
	return callflow.Continue("_")
}
