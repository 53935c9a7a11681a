package module_test

import (
	"testing"
	"time"

	"bugle"
	"bugle/internal/callflow/callflowtest"
)

var menuDialogues = []struct {
	name   string
	flow   string
	change func(m *bugle.Menu)
	script string
}{
	{"a key that names a child", "", nil, `
			dial 500
			answered
			hear menu-no_prompt
			press 1
			silence 1.7s
			hear one
			ends NORMAL_CLEARING`},
	{"several keys", "", nil, `
			dial 500
			hear menu-no_prompt
			press 1 2 #
			heard twelve`},
	{"max_extension_length ends at once", "", func(m *bugle.Menu) { m.MaxExtension = 1 }, `
			dial 500
			hear menu-no_prompt
			press 1
			heard one`},
	{"the node's interdigit_timeout", `{"module":"menu","data":{"id":"m","interdigit_timeout":300},
			"children":{"1":{"module":"play","data":{"id":"one"}}}}`, nil, `
			dial 500
			hear menu-no_prompt
			press 1
			wait 0.2s
			heard one`},
	{"an extension", "", nil, `
			dial 500
			hear menu-no_prompt
			press 1 0 0 2
			hear menu-transferring_call
			rings 1002
			refuses 1002 486
			hear ringback after`},
	{"no extension without hunt", "", func(m *bugle.Menu) { m.Hunt = false }, `
			dial 500
			hear menu-no_prompt
			press 1 0 0 2
			hear menu-invalid_entry menu-no_prompt`},
	{"an extension that is not allowed", "", func(m *bugle.Menu) { m.HuntAllow = "^2" }, `
			dial 500
			hear menu-no_prompt
			press 1 0 0 2
			hear menu-invalid_entry`},
	{"an extension that is denied", "", func(m *bugle.Menu) { m.HuntAllow, m.HuntDeny = "^1", "2$" }, `
			dial 500
			hear menu-no_prompt
			press 1 0 0 2
			hear menu-invalid_entry`},
	{"no_match is not hunted", "", nil, `
			dial 500
			hear menu-no_prompt
			press 7 7 #
			hear menu-invalid_entry menu-no_prompt`},
	{"tries are used up", "", func(m *bugle.Menu) { m.Retries = 2 }, `
			dial 500
			hear menu-no_prompt
			press 9 #
			hear menu-invalid_entry menu-no_prompt
			press 9 #
			hear menu-invalid_entry menu-exit menu-transferring_call after
			ends NORMAL_CLEARING`},
	{"tries are used up without _", `{"module":"menu","data":{"id":"m"}}`, func(m *bugle.Menu) { m.Retries = 1 }, `
			dial 500
			hear menu-no_prompt
			hear menu-exit vm-goodbye
			ends NORMAL_CLEARING`},
	{"max_retries", `{"module":"menu","data":{"id":"m"},"children":{"max_retries":{"module":"play","data":{"id":"one"}},
			"_":{"module":"play","data":{"id":"after"}}}}`, func(m *bugle.Menu) { m.Retries = 1 }, `
			dial 500
			hear menu-no_prompt
			hear menu-exit one`},
	{"silence uses up a try", "", func(m *bugle.Menu) { m.Retries = 2 }, `
			dial 500
			hear menu-no_prompt
			silence 10.9s
			hear menu-no_prompt
			hear menu-exit`},
	{"silence goes to timeout", `{"module":"menu","data":{"id":"m"},
			"children":{"timeout":{"module":"play","data":{"id":"one"}}}}`, nil, `
			dial 500
			hear menu-no_prompt one`},
	{"recordings of its own", "", func(m *bugle.Menu) {
		m.Greeting, m.Retries = "welcome", 1
		m.Invalid, m.Exit, m.Transfer = bugle.MenuMedia{Reference: "wrong"}, bugle.MenuMedia{Silent: true},
			bugle.MenuMedia{Reference: "hold"}
	}, `
			dial 500
			hear welcome
			press 9 #
			hear wrong hold after`},
	{"suppress_media", "", func(m *bugle.Menu) { m.Silent, m.Retries = true, 1 }, `
			dial 500
			hear menu-no_prompt
			press 9 #
			heard after`},
	{"a menu that does not exist", `{"module":"menu","data":{"id":"x"},"children":{"_":{"module":"play","data":{"id":"after"}}}}`, nil, `
			dial 500
			hear after`},
}

func TestMenu(t *testing.T) {
	t.Parallel()
	const flow = `{"module":"menu","data":{"id":"m"},"children":{
		"1":{"module":"play","data":{"id":"one"}},"12":{"module":"play","data":{"id":"twelve"}},
		"_":{"module":"play","data":{"id":"after"}}}}`
	for _, test := range menuDialogues {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := house(t)
			recordings("one", "twelve", "after", "welcome", "wrong", "hold")(h)
			m := bugle.Menu{ID: "m", Retries: 3, Timeout: 10 * time.Second, Interdigit: 2 * time.Second, MaxExtension: 4, Hunt: true}
			if test.change != nil {
				test.change(&m)
			}
			h.Documents.With(func(d *callflowtest.Documents) { d.Menus["m"] = m })
			h.Callflow("nobody", "no_match", `{"module":"play","data":{"id":"after"}}`)
			if test.flow == "" {
				test.flow = flow
			}
			h.Callflow("flow", "500", test.flow)
			h.Play(test.script)
		})
	}
}
