package module

import (
	"cmp"
	"context"

	"bugle/internal/call"
	"bugle/internal/callflow"
)

// faxbox: a fax for a fax box.
func (m *modules) faxbox(_ context.Context, step *callflow.Step) callflow.Next {
	return noFax(step, "faxbox "+cmp.Or(step.Data().String("id"), step.Data().String("faxbox_id")))
}

// receiveFax: a fax for a user.
func (m *modules) receiveFax(_ context.Context, step *callflow.Step) callflow.Next {
	return noFax(step, "user "+step.Data().String("owner_id"))
}

// noFax ends a call that nobody can take: there is no fax receiver. The sender's machine is told so, and tries elsewhere or
// gives up, rather than that it hears a silence which it takes for a fax that is being received.
func noFax(step *callflow.Step, who string) callflow.Next {
	step.Call.Note("no fax receiver", who)
	return callflow.Hangup(call.BearerNotAvailable)
}
