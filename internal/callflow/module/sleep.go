package module

import (
	"context"
	"time"

	"bugle/internal/callflow"
)

// sleep: the caller hears nothing for a while. Keys pressed meanwhile are kept.
func (m *modules) sleep(ctx context.Context, step *callflow.Step) callflow.Next {
	unit := time.Second
	switch step.Data().String("unit") {
	case "ms":
		unit = time.Millisecond
	case "m":
		unit = time.Minute
	case "h":
		unit = time.Hour
	}
	const longest = 24 * time.Hour // beyond the longest call: keeps the product from overflowing
	wait := time.Duration(min(max(step.Data().Int("duration", 0), 0), int(longest/time.Millisecond))) * unit
	if wait > 0 && step.Call.Sleep(ctx, min(wait, longest)) != nil {
		return callflow.Stop{}
	}
	return callflow.Continue("_")
}
