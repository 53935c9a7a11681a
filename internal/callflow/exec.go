package callflow

import (
	"bugle"
	"bugle/internal/call"
)

// New returns an engine.
func New(options Options) *Engine {
	return &Engine{calls: options.Calls, modules: options.Modules, documents: options.Documents,
		router: &router{documents: options.Documents}, log: options.Log, onPanic: options.OnPanic}
}

// Handle takes a new inbound call and returns at once: the sink for its leg's events, or nil when no call can be taken
// (too many, or the server is about to stop), which the leg's owner answers with 503.
func (e *Engine) Handle(in Inbound) call.Sink { return nil }

func child(node bugle.Flow, key string) (bugle.Flow, bool) {
	if f, ok := node.Children[key]; ok && key != "" {
		return f, true
	}
	f, ok := node.Children["_"]
	return f, ok
}
