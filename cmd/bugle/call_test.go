package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"bugle/internal/bugletest"
	"bugle/internal/media"
	"bugle/internal/speech"
)

func TestTheStepsOfAScriptAreRead(t *testing.T) {
	t.Parallel()
	steps, err := parseScript("ringing, answer, wait 1s, 7 6 4, *#, expect dir-found within 5s, expect tone:440.5, expect keys:12, "+
		"expect hangup, say tone:300, quiet, hold, resume, hangup", promptRecogniser())
	if err != nil {
		t.Fatal(err)
	}
	want := []scriptStep{
		{text: "ringing", verb: "ringing"},
		{text: "answer", verb: "answer"},
		{text: "wait 1s", verb: "wait", time: time.Second},
		{text: "7 6 4", verb: "press", what: "764"},
		{text: "*#", verb: "press", what: "*#"},
		{text: "expect dir-found within 5s", verb: "expect", kind: "prompt", what: "dir-found", time: 5 * time.Second},
		{text: "expect tone:440.5", verb: "expect", kind: "tone", tone: 440.5, time: scriptPatience},
		{text: "expect keys:12", verb: "expect", kind: "keys", what: "12", time: scriptPatience},
		{text: "expect hangup", verb: "expect", kind: "hangup", time: scriptPatience},
		{text: "say tone:300", verb: "say", kind: "tone", tone: 300},
		{text: "quiet", verb: "quiet"}, {text: "hold", verb: "hold"}, {text: "resume", verb: "resume"}, {text: "hangup", verb: "hangup"},
	}
	if len(steps) != len(want) {
		t.Fatalf("%d steps, want %d", len(steps), len(want))
	}
	for i := range want {
		if steps[i] != want[i] {
			t.Errorf("step %d is %+v, want %+v", i, steps[i], want[i])
		}
	}
	steps, err = parseScript("1", promptRecogniser())
	if err != nil || len(steps) != 2 || steps[0].verb != "answer" {
		t.Errorf("a script without answer begins with %+v, %v", steps, err)
	}
}

func TestAScriptThatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]string{
		"1,,2": "step 2, \"\": it is empty", "press 1": "neither keys", "7 6 x": "neither keys", "wait": "one duration",
		"wait 5": "not a duration", "wait -1s": "not a duration", "expect": "expect takes", "expect dir-fuond": "no built-in prompt",
		"expect tone:12": "not a frequency", "expect tone:NaN": "not a frequency", "expect dir-found within": "expect takes",
		"expect dir-found within x": "not a duration", "expect keys:1x": "are not keys", "say": "say takes",
		"say nothing.wav": "can be read", "hangup now": "nothing behind", "expect keys:": "are not keys",
	} {
		if _, err := parseScript(script, promptRecogniser()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", script, err, want)
		}
	}
}

// dialled runs bugle call against a phone and returns what it printed and its exit status.
func dialled(t *testing.T, other bugletest.Behaviour, serve func(context.Context, *bugletest.PhoneCall), arguments ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	phone, err := bugletest.New(bugletest.Options{Username: "other", Behaviour: other})
	if err != nil {
		t.Fatal(err)
	}
	defer phone.Close()
	served := make(chan struct{})
	go func() {
		defer close(served)
		if serve == nil {
			return
		}
		select {
		case call := <-phone.Incoming():
			serve(ctx, call)
		case <-ctx.Done():
		}
	}()
	out, status := called(t, ctx, nil, append([]string{phone.URI()}, arguments...)...)
	<-served
	return out, status
}

// called runs bugle call with arguments.
func called(t *testing.T, ctx context.Context, getenv func(string) string, arguments ...string) (string, int) {
	t.Helper()
	var c callCommand
	parser, err := kong.New(&c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(arguments); err != nil {
		t.Fatal(err)
	}
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	var out bytes.Buffer
	err = c.run(ctx, &out, getenv)
	t.Logf("bugle call %q: %v\n%s", arguments, err, &out)
	if exit, ok := errors.AsType[*exitError](err); ok {
		return out.String() + err.Error(), exit.status
	}
	if err != nil {
		return out.String() + err.Error(), 1
	}
	return out.String(), 0
}

func TestACallThatGoesAsExpectedExitsWithZeroAndIsRecorded(t *testing.T) {
	t.Parallel()
	prompt := speech.NewCatalogue(speech.Options{}).Prompt(t.Context(), "", "en-us", "dir-found")
	file := filepath.Join(t.TempDir(), "heard.wav")
	out, status := dialled(t, bugletest.Behaviour{}, func(ctx context.Context, call *bugletest.PhoneCall) {
		if err := errors.Join(call.Ring(), call.Answer(ctx), call.WaitKeys(ctx, "764")); err != nil {
			t.Error(err)
		}
		call.Say(prompt, false)
		if err := call.WaitKeys(ctx, "1"); err != nil {
			t.Error(err)
		}
		call.SayTone(440)
		if _, err := call.WaitTone(ctx, 700); err != nil {
			t.Error(err)
		}
		_ = call.Hangup(ctx)
	}, "--keys", "7 6 4, expect dir-found, 1, expect tone:440, say tone:700, expect hangup", "--record", file)
	if status != 0 {
		t.Errorf("exit status %d", status)
	}
	for _, want := range []string{"dialled sip:other@", "answered there (200)", "pressed 7", "heard dir-found",
		"as expected: expect tone:440", "heard: dir-found, tone 440 Hz", "outcome: all as expected; answered, ended there: 200"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q was not printed", want)
		}
	}
	wav, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pcm, err := media.ReadWAV(bytes.NewReader(wav), 10<<20)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	listener := promptRecogniser().Listen(func(h bugletest.Hearing) { found = found || h.Is("dir-found") }, nil)
	listener.Write(pcm)
	listener.Close()
	if !found {
		t.Error("the prompt is not in the recording")
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the recording is readable by others: %v %v", info.Mode(), err)
	}
}

func TestEachWayToFailHasItsExitStatus(t *testing.T) {
	t.Parallel()
	answer := func(ctx context.Context, call *bugletest.PhoneCall) {
		_ = call.Answer(ctx)
		<-call.Done()
	}
	for name, test := range map[string]struct {
		other     bugletest.Behaviour
		serve     func(context.Context, *bugletest.PhoneCall)
		arguments []string
		status    int
		says      string
	}{
		"busy":        {bugletest.Busy(), nil, nil, exitRefused, "486 Busy Here"},
		"no answer":   {bugletest.NeverAnswering(), nil, []string{"--timeout", "1s"}, exitTimeout, "--timeout passed"},
		"expectation": {bugletest.Answering(0, 300), nil, []string{"--keys", "expect dir-found within 3s"}, exitExpectation, "heard tone 300 Hz: not within 3s"},
		"cut off": {bugletest.Behaviour{}, func(ctx context.Context, call *bugletest.PhoneCall) {
			_ = call.Answer(ctx)
			_ = call.Hangup(ctx)
		}, []string{"--keys", "wait 10s, 1"}, exitRefused, "the call ended meanwhile"},
		"time limit":    {bugletest.Behaviour{}, answer, []string{"--keys", "wait 20s", "--timeout", "1s"}, exitTimeout, "--timeout passed"},
		"nothing to do": {bugletest.Behaviour{}, answer, []string{"--timeout", "1s"}, 0, "all as expected"},
		"script":        {bugletest.Behaviour{}, nil, []string{"--keys", "expect nonsense"}, 2, "step 1"},
		"no password":   {bugletest.Behaviour{}, nil, []string{"--password-file", os.DevNull}, 2, "is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, status := dialled(t, test.other, test.serve, test.arguments...)
			if status != test.status || !strings.Contains(out, test.says) {
				t.Errorf("exit status %d, want %d, and %q", status, test.status, test.says)
			}
		})
	}
	if _, status := called(t, t.Context(), nil); status != 2 {
		t.Errorf("nothing to dial: exit status %d", status)
	}
}

func TestAPhoneThatListensAnswersWithATone(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	waiting, stop := context.WithCancel(ctx)
	caller, err := bugletest.New(bugletest.Options{Username: "caller"})
	if err != nil {
		t.Fatal(err)
	}
	defer caller.Close()
	printed, out := io.Pipe()
	done := make(chan error, 1)
	go func() {
		c := callCommand{Answer: true, After: 10 * time.Millisecond, Timeout: 30 * time.Second, Transport: "udp",
			Keys: "expect keys:5, hangup"}
		done <- c.run(waiting, out, func(string) string { return "" })
		out.Close()
	}()
	lines := bufio.NewScanner(printed)
	lines.Scan()
	_, address, _ := strings.Cut(lines.Text(), " on ")
	rest := make(chan string, 1)
	go func() {
		var all strings.Builder
		for lines.Scan() {
			all.WriteString(lines.Text() + "\n")
		}
		rest <- all.String()
	}()
	call, err := caller.Dial(ctx, "sip:phone@"+address)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := call.WaitTone(ctx, 440); err != nil {
		t.Error(err)
	}
	second, err := caller.Dial(ctx, "sip:phone@"+address)
	if err != nil {
		t.Fatal(err)
	}
	if end, err := second.WaitEnd(ctx); err != nil || end.Status != 486 {
		t.Errorf("a second call ended with %v, %v, want 486", end, err)
	}
	if err := call.Press(ctx, "5"); err != nil {
		t.Error(err)
	}
	if end, err := call.WaitEnd(ctx); err != nil || !end.Remote {
		t.Errorf("ended with %v, %v", end, err)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if out := <-rest; !strings.Contains(out, "waiting for calls") || !strings.Contains(out, "the other side pressed 5") {
		t.Errorf("it printed %s", out)
	}
}
