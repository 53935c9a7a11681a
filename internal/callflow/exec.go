package callflow

import (
	"context"
	"log/slog"
	"runtime/debug"

	"bugle"
	"bugle/internal/call"
)

// The budgets of one flow, against flows that lead back to themselves: KAZOO's for branches, and one for nodes.
const (
	maxBranches = 50
	maxNodes    = 1000
)

// run leads the call through a flow: what a module returns is all it says about where to go (the rules are those of
// KAZOO's executor). It returns the cause to end the call with, "" for what fits.
func (e *Engine) run(ctx context.Context, s *Session, flow bugle.Flow) call.Cause {
	var after []bugle.Flow // what follows when a branch has stopped
	for {
		if ctx.Err() != nil || s.Call.Moved() {
			return ""
		}
		if flow.IsZero() {
			if len(after) == 0 {
				return ""
			}
			flow, after = after[len(after)-1], after[:len(after)-1]
			continue
		}
		s.nodes++
		if s.nodes > maxNodes {
			s.Call.Note("loop", "the flow has too many steps")
			return ""
		}
		switch next := e.node(ctx, s, flow).(type) {
		case Continue:
			flow, _ = child(flow, string(next)) // the empty flow, which stops, when there is none
		case Branch:
			s.hops++
			if s.hops > maxBranches {
				s.Call.Note("loop", "the flow branches too often")
				return ""
			}
			if rest, ok := child(flow, "_"); ok && !rest.IsZero() {
				after = append(after, rest)
			}
			flow = bugle.Flow(next)
		case Hangup:
			return call.Cause(next)
		case Stop:
			flow = bugle.Flow{}
		}
	}
}

// child returns the child that continue(key) runs.
func child(node bugle.Flow, key string) (bugle.Flow, bool) {
	if f, ok := node.Children[key]; ok && key != "" {
		return f, true
	}
	f, ok := node.Children["_"]
	return f, ok
}

// node runs one node. A module that is not known, is to be skipped, panics or says nothing counts as Continue("_").
func (e *Engine) node(ctx context.Context, s *Session, node bugle.Flow) (next Next) {
	module, known := e.modules[node.Module]
	switch {
	case !known:
		s.Call.Note("unknown module", node.Module)
		return Continue("_")
	case node.Data.Bool("skip_module", false):
		s.Call.Note("skipped", node.Module)
		return Continue("_")
	}
	s.Call.Note("node", described(node))
	defer func() {
		if v := recover(); v != nil {
			e.panicked(s, node, v)
			next = Continue("_")
		} else if next == nil {
			next = Continue("_")
		}
	}()
	return module.Run(ctx, &Step{Session: s, Node: node})
}

func described(node bugle.Flow) string {
	if id := node.Data.String("id"); id != "" {
		return node.Module + " " + id
	}
	return node.Module
}

func (e *Engine) panicked(s *Session, node bugle.Flow, v any) {
	s.Call.Note("panic", "in module "+node.Module)
	if e.log != nil {
		e.log.Error("module panicked", slog.String("call", s.Call.ID()), slog.String("module", node.Module),
			slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
	}
	switch {
	case e.onPanic != nil:
		e.onPanic(v)
	case e.calls.OnPanic != nil:
		e.calls.OnPanic(v)
	}
}
