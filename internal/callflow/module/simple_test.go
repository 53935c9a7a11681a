package module_test

import (
	"testing"

	"bugle/internal/callflow/callflowtest"
)

func recordings(names ...string) func(h *callflowtest.House) {
	return func(h *callflowtest.House) {
		for _, name := range names {
			h.Speech.Recordings[name] = true
		}
	}
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	dialogue{"answers and goes on", `{"module":"answer","children":{"_":{"module":"answer","children":{"_":` + after + `}}}}`,
		knowsAfter, `
			dial 500
			answered
			hear after
			ends NORMAL_CLEARING`}.run(t)
}

func TestNoop(t *testing.T) {
	t.Parallel()
	dialogue{"goes on", `{"module":"noop","children":{"_":` + after + `}}`, knowsAfter, `
			dial 500
			hear after`}.run(t)
	dialogue{"ends a flow that nobody answered", `{"module":"noop"}`, nil, `
			dial 500
			ends NO_ANSWER 480`}.run(t)
}

func TestHangup(t *testing.T) {
	t.Parallel()
	dialogue{"ends the call, the flow that branched here too",
		`{"module":"callflow","data":{"id":"over"},"children":{"_":` + after + `}}`, func(h *callflowtest.House) {
			h.Callflow("over", "501", `{"module":"answer","children":{"_":{"module":"hangup","children":{"_":`+after+`}}}}`)
			knowsAfter(h)
		}, `
			dial 500
			answered
			ends NORMAL_CLEARING
			silence 10s`}.run(t)
	dialogue{"an unanswered call", `{"module":"hangup"}`, nil, `
			dial 500
			ends 480`}.run(t)
}

func TestWaitForHangup(t *testing.T) {
	t.Parallel()
	dialogue{"waits", `{"module":"answer","children":{"_":{"module":"wait_for_hangup","children":{"_":` + after + `}}}}`, knowsAfter, `
			dial 500
			answered
			silence 2h
			hangs up
			silence 1s`}.run(t)
}

func TestCallflow(t *testing.T) {
	t.Parallel()
	dialogue{"goes there and comes back", `{"module":"callflow","data":{"id":"other"},"children":{"_":` + after + `}}`,
		func(h *callflowtest.House) {
			h.Callflow("other", "501", `{"module":"play","data":{"id":"there"}}`)
			recordings("there", "after")(h)
		}, `
			dial 500
			hear there after
			ends NORMAL_CLEARING`}.run(t)
	dialogue{"one that does not exist", `{"module":"callflow","data":{"id":"deleted"},"children":{"_":` + after + `}}`, knowsAfter, `
			dial 500
			hear after`}.run(t)
}

func TestSleep(t *testing.T) {
	t.Parallel()
	dialogue{"waits", `{"module":"answer","children":{"_":{"module":"sleep","data":{"duration":90},
		"children":{"_":{"module":"sleep","data":{"duration":2,"unit":"m"},"children":{"_":` + after + `}}}}}}`, knowsAfter, `
			dial 500
			silence 209s
			hear after`}.run(t)
	dialogue{"not at all", `{"module":"sleep","children":{"_":` + after + `}}`, knowsAfter, `
			dial 500
			heard after`}.run(t)
	dialogue{"the caller hangs up", `{"module":"sleep","data":{"duration":1,"unit":"h"},"children":{"_":` + after + `}}`, knowsAfter, `
			dial 500
			wait 1m
			hangs up
			silence 2h`}.run(t)
}

func TestLanguage(t *testing.T) {
	t.Parallel()
	dialogue{"prompts change", `{"module":"language","data":{"language":"de-DE"},"children":{"_":` + after + `}}`, knowsAfter, `
			dial 500
			hear de-de/after`}.run(t)
}

func TestSetCID(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, data, wantName, wantNumber string }{
		{"both", `{"caller_id_name":"Shop","caller_id_number":"+15550100"}`, "Shop", "+15550100"},
		{"the empty string clears", `{"caller_id_name":""}`, "", "1001"},
		{"nothing", `{}`, "Bob Caller", "1001"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := house(t)
			h.Callflow("flow", "500", `{"module":"set_cid","data":`+test.data+`,
				"children":{"_":{"module":"user","data":{"id":"ann-lee"}}}}`)
			h.Play(`
				dial 500
				rings 1002`)
			if got := h.Legs()[0].Target().Caller; got.Name != test.wantName || got.Number != test.wantNumber {
				t.Errorf("the phone shows %+v", got)
			}
		})
	}
}

func TestResponse(t *testing.T) {
	t.Parallel()
	dialogue{"busy when the node says nothing", `{"module":"response","children":{"_":` + after + `}}`, knowsAfter, `
			dial 500
			ends 486`}.run(t)
	dialogue{"a status", `{"module":"response","data":{"code":604}}`, nil, `
			dial 500
			ends 604`}.run(t)
	dialogue{"audio first", `{"module":"response","data":{"code":503,"media":"sorry"}}`, recordings("sorry"), `
			dial 500
			progress
			hear sorry
			ends 503`}.run(t)
	dialogue{"after an answer", `{"module":"answer","children":{"_":{"module":"response"}}}`, nil, `
			dial 500
			answered
			ends NORMAL_CLEARING`}.run(t)
	h := house(t)
	h.Callflow("flow", "500", `{"module":"response","data":{"code":486,"message":"Out to lunch"}}`)
	d := h.Play(`
		dial 500
		ends 486`)
	if got := d.Caller.State().Reason; got != "Out to lunch" {
		t.Errorf("the reason is %q", got)
	}
}

func TestPlay(t *testing.T) {
	t.Parallel()
	for _, d := range []dialogue{
		{"answers and plays", `{"module":"play","data":{"id":"hello"},"children":{"_":` + after + `}}`, recordings("hello", "after"), `
			dial 500
			answered
			hear hello
			wait 0.9s
			hear after`},
		{"without an answer", `{"module":"play","data":{"id":"hello","answer":false}}`, recordings("hello"), `
			dial 500
			progress
			hear hello
			ends 480`},
		{"a key ends it", `{"module":"play","data":{"id":"hello","loop_count":9},"children":{"_":` + after + `}}`, recordings("hello", "after"), `
			dial 500
			hear hello
			press 5
			heard after`},
		{"only its terminators end it", `{"module":"play","data":{"id":"hello","loop_count":3,"terminators":["#"]},
			"children":{"_":` + after + `}}`, recordings("hello", "after"), `
			dial 500
			hear hello
			press 5
			hear hello
			press #
			heard after`},
		{"no key ends it", `{"module":"play","data":{"id":"hello","loop_count":2,"terminators":["none"]},
			"children":{"_":` + after + `}}`, recordings("hello", "after"), `
			dial 500
			hear hello
			press # *
			hear hello after`},
		{"for ever", `{"module":"play","data":{"id":"hello","endless_playback":true},"children":{"_":` + after + `}}`, recordings("hello", "after"), `
			dial 500
			hear hello
			silence 1h
			press 1
			hear after`},
		{"no such audio", `{"module":"play","data":{"id":"lost"},"children":{"_":` + after + `}}`, knowsAfter, `
			dial 500
			hear after`},
		{"the caller hangs up", `{"module":"play","data":{"id":"hello"},"children":{"_":` + after + `}}`, recordings("hello", "after"), `
			dial 500
			hear hello
			hangs up
			silence 5s`},
	} {
		d.run(t)
	}
}

func TestTTS(t *testing.T) {
	t.Parallel()
	for _, d := range []dialogue{
		{"speaks", `{"module":"tts","data":{"text":"We are closed","voice":"male"},"children":{"_":` + after + `}}`, knowsAfter, `
			dial 500
			answered
			hear male:We_are_closed after`},
		{"in a language of its own", `{"module":"tts","data":{"text":"Hallo","language":"de-DE"}}`, nil, `
			dial 500
			hear de-de/Hallo`},
		{"a key ends it", `{"module":"tts","data":{"text":"Hi","endless_playback":true},"children":{"_":` + after + `}}`, knowsAfter, `
			dial 500
			hear Hi
			silence 10s
			press 9
			heard after`},
	} {
		d.run(t)
	}
}
