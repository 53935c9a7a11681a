package callflow_test

import (
	"context"
	"strings"
	"testing"

	"bugle/internal/call"
	"bugle/internal/callflow"
	"bugle/internal/callflow/callflowtest"
)

// steps are modules for tests of the executor: each notes its data's "at".
func steps(h *callflowtest.House, visited *[]string) {
	at := func(next func(s *callflow.Step) callflow.Next) callflow.Module {
		return callflow.Module{Schema: []byte(`{}`), Run: func(_ context.Context, s *callflow.Step) callflow.Next {
			*visited = append(*visited, s.Data().String("at"))
			return next(s)
		}}
	}
	h.Modules["go"] = at(func(s *callflow.Step) callflow.Next { return callflow.Continue(s.Data().String("key")) })
	h.Modules["stop"] = at(func(*callflow.Step) callflow.Next { return callflow.Stop{} })
	h.Modules["end"] = at(func(*callflow.Step) callflow.Next { return callflow.Hangup(call.UserBusy) })
	h.Modules["nothing"] = at(func(*callflow.Step) callflow.Next { return nil })
	h.Modules["panic"] = at(func(*callflow.Step) callflow.Next { panic("on purpose") })
	h.Modules["branch"] = at(func(s *callflow.Step) callflow.Next {
		flow, err := s.Callflow(context.Background(), s.Data().String("id"))
		if err != nil {
			return callflow.Continue("_")
		}
		return callflow.Branch(flow.Flow)
	})
}

func TestTransitions(t *testing.T) {
	t.Parallel()
	const (
		x = `{"module":"stop","data":{"at":"x"}}`
		y = `{"module":"stop","data":{"at":"y"}}`
	)
	tests := []struct{ name, flow, want, end string }{
		{"to a child", `{"module":"go","data":{"at":"1","key":"5"},"children":{"5":` + x + `,"_":` + y + `}}`, "1 x", "480"},
		{"to _ without the child", `{"module":"go","data":{"at":"1","key":"6"},"children":{"5":` + x + `,"_":` + y + `}}`, "1 y", "480"},
		{"the empty key is _", `{"module":"go","data":{"at":"1"},"children":{"5":` + x + `,"_":` + y + `}}`, "1 y", "480"},
		{"stop without _", `{"module":"go","data":{"at":"1","key":"6"},"children":{"5":` + x + `}}`, "1", "480"},
		{"stop does not follow _", `{"module":"stop","data":{"at":"1"},"children":{"_":` + x + `}}`, "1", "480"},
		{"hang up", `{"module":"end","data":{"at":"1"},"children":{"_":` + x + `}}`, "1", "USER_BUSY"},
		{"nothing said", `{"module":"nothing","data":{"at":"1"},"children":{"_":` + x + `}}`, "1 x", "480"},
		{"a module that does not exist", `{"module":"tomorrow","data":{"at":"1"},"children":{"_":` + x + `}}`, "x", "480"},
		{"skip_module", `{"module":"end","data":{"at":"1","skip_module":true},"children":{"_":` + x + `}}`, "x", "480"},
		{"a panic", `{"module":"panic","data":{"at":"1"},"children":{"_":` + x + `}}`, "1 x", "480"},
		{"an empty child", `{"module":"go","data":{"at":"1"},"children":{"_":{}}}`, "1", "480"},
		{"the empty flow", `{}`, "", "480"},
		{"a branch comes back", `{"module":"branch","data":{"at":"1","id":"sub"},"children":{"_":` + x + `}}`, "1 s x", "480"},
		{"a branch inside a branch", `{"module":"branch","data":{"at":"1","id":"outer"},"children":{"_":` + x + `}}`,
			"1 o s y x", "480"},
		{"a hang-up inside a branch", `{"module":"branch","data":{"at":"1","id":"over"},"children":{"_":` + x + `}}`, "1 e", "USER_BUSY"},
		{"a branch to {}", `{"module":"branch","data":{"at":"1","id":"empty"},"children":{"_":` + x + `}}`, "1 x", "480"},
		{"a branch without _", `{"module":"branch","data":{"at":"1","id":"sub"},"children":{"5":` + x + `}}`, "1 s", "480"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := callflowtest.New(t)
			var visited []string
			steps(h, &visited)
			h.Callflow("sub", "501", `{"module":"stop","data":{"at":"s"}}`)
			h.Callflow("outer", "502", `{"module":"branch","data":{"at":"o","id":"sub"},"children":{"_":`+y+`}}`)
			h.Callflow("over", "503", `{"module":"end","data":{"at":"e"}}`)
			h.Callflow("empty", "504", `{}`)
			h.Callflow("f", "500", test.flow)
			h.Play("dial 500\nends " + test.end)
			if got := strings.Join(visited, " "); got != test.want {
				t.Errorf("went %q, want %q", got, test.want)
			}
		})
	}
}

func TestAPanicIsCountedOnce(t *testing.T) {
	t.Parallel()
	h := callflowtest.New(t)
	var visited []string
	steps(h, &visited)
	h.Callflow("f", "500", `{"module":"panic","children":{"_":{"module":"answer"}}}`)
	h.Play("dial 500\nanswered\nends NORMAL_CLEARING")
	if h.Panics() != 1 {
		t.Errorf("%d panics were counted", h.Panics())
	}
}

func TestALoopOfBranchesEnds(t *testing.T) {
	t.Parallel()
	h := callflowtest.New(t)
	var visited []string
	steps(h, &visited)
	h.Callflow("f", "500", `{"module":"branch","data":{"id":"g"},"children":{"_":{"module":"branch","data":{"id":"f"}}}}`)
	h.Callflow("g", "501", `{"module":"branch","data":{"id":"f"}}`)
	h.Play("dial 500\nends 480")
	if len(visited) != 51 {
		t.Errorf("%d branches were taken", len(visited))
	}
	trail := h.Reports()[0].Trail
	if !strings.Contains(trail[len(trail)-2].Detail, "branches too often") {
		t.Errorf("the trail ends with %v", trail[len(trail)-2:])
	}
}

func TestAHugeFlowEnds(t *testing.T) {
	t.Parallel()
	h := callflowtest.New(t)
	var visited []string
	steps(h, &visited)
	long := strings.Repeat(`{"module":"go","children":{"_":`, 90) + `{"module":"branch","data":{"id":"f"}}` + strings.Repeat(`}}`, 90)
	h.Callflow("f", "500", long)
	h.Play("dial 500\nends 480")
	if len(visited) != 1000 {
		t.Errorf("%d nodes were run", len(visited))
	}
}

func TestHangUpEndsTheFlow(t *testing.T) {
	t.Parallel()
	h := callflowtest.New(t)
	var visited []string
	steps(h, &visited)
	h.Callflow("f", "500", `{"module":"answer","children":{"_":{"module":"sleep","data":{"duration":10},
		"children":{"_":{"module":"go","data":{"at":"late"}}}}}}`)
	h.Play("dial 500\nanswered\nwait 5s\nhangs up\nwait 1m")
	if len(visited) != 0 {
		t.Error("the flow went on after the hang-up")
	}
	r := h.Reports()[0]
	if !r.Remote || r.Cause != call.NormalClearing || r.Status != 0 {
		t.Errorf("the report says %+v", r)
	}
}

// TestTheTrailExplainsTheCall is what an administrator reads when a caller asks why he was not put through.
func TestTheTrailExplainsTheCall(t *testing.T) {
	t.Parallel()
	h := callflowtest.New(t)
	h.Person("1001", "Bob", "Caller")
	h.Person("1002", "Ann", "Lee")
	h.Play("dial 1002\nrings 1002\nrefuses 1002 486\nends 486")
	var lines []string
	r := h.Reports()[0]
	for _, step := range r.Trail {
		lines = append(lines, strings.TrimSpace(step.Name+" "+step.Detail))
	}
	const want = `call 1002
callflow flow-1002 for 1002
node user ann-lee
dials 1002
rings 1002
failed 1002: USER_BUSY (486)
ended USER_BUSY`
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("the trail says\n%s", got)
	}
	if r.Fault != call.PeerFault || r.Status != 486 || r.Number != "1002" || r.Caller.Name != "Bob Caller" {
		t.Errorf("the report says %+v", r)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		script string
		want   call.Fault
	}{
		{"dial 999\nends 404", call.CallerFault},
		{"dial 1002\nrings 1002\nhangs up", call.CallerFault},
		{"dial 1002\nrings 1002\nends 480", call.PeerFault},
		{"dial 1002\nrings 1002\nanswers 1002\nhangs up", call.NoFault},
		{"dial 600\nends 480", call.ConfigurationFault},
	} {
		h := callflowtest.New(t)
		h.Person("1002", "Ann", "Lee")
		h.Callflow("nowhere", "600", `{}`)
		h.Play(test.script)
		if got := h.Reports()[0].Fault; got != test.want {
			t.Errorf("%q: fault %q, want %q", test.script, got, test.want)
		}
	}
}

func TestTooManyCalls(t *testing.T) {
	t.Parallel()
	h := callflowtest.New(t)
	h.Calls.Registry = call.NewRegistry(1)
	h.Callflow("f", "500", `{"module":"answer","children":{"_":{"module":"wait_for_hangup"}}}`)
	first := h.Play("dial 500\nanswered")
	h.Play("dial 500\nends 503")
	h.GoOn(first, "hangs up")
	h.Play("dial 500\nanswered")
}
