package module

import (
	"context"

	"bugle/internal/callflow"
)

// noop: nothing happens.
func (m *modules) noop(context.Context, *callflow.Step) callflow.Next { return callflow.Continue("_") }
