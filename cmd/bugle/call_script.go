package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"bugle/internal/bugletest"
	"bugle/internal/media"
)

// scriptHelp is the grammar of --keys as the help shows it.
const scriptHelp = `separated by commas. "7 6 4" presses keys (0-9 * # A-D); "wait 1s"; ` +
	`"expect dir-found" waits until that prompt is heard, "expect tone:440" until a tone of 440 Hz is, ` +
	`"expect keys:12" until the other side pressed 1 2, "expect hangup" until it hangs up, each for 15 s or as ` +
	`"within 5s" behind it says; "say tone:440", "say FILE.wav", "quiet"; "hold", "resume"; "hangup". The steps begin when ` +
	`the call is answered, unless one is "ringing" or "answer", which wait for that. After the last step the phone hangs up.`

// scriptPatience is how long an expectation waits without "within".
const scriptPatience = 15 * time.Second

// scriptStep is one step of --keys.
type scriptStep struct {
	text string        // as it was written
	verb string        // press, wait, expect, say, quiet, hold, resume, ringing, answer, hangup
	what string        // keys, prompt, "hangup", or a file
	kind string        // of an expectation: prompt, tone, keys, hangup; of say: tone, file
	tone float64       // hertz
	time time.Duration // of wait; the limit of expect
	clip *media.Clip   // of say FILE
}

// known tells which prompts can be recognised.
type known interface{ Knows(name string) bool }

// parseScript reads --keys. The error says which step is wrong and what is allowed.
func parseScript(text string, prompts known) ([]scriptStep, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	var steps []scriptStep
	for i, part := range strings.Split(text, ",") {
		step, err := parseStep(strings.TrimSpace(part), prompts)
		if err != nil {
			return nil, fmt.Errorf("--keys: step %d, %q: %w", i+1, strings.TrimSpace(part), err)
		}
		steps = append(steps, step)
	}
	if !slices.ContainsFunc(steps, func(s scriptStep) bool { return s.verb == "answer" || s.verb == "ringing" }) {
		steps = slices.Insert(steps, 0, scriptStep{text: "answer", verb: "answer"})
	}
	return steps, nil
}

func parseStep(text string, prompts known) (scriptStep, error) {
	words := strings.Fields(text)
	step := scriptStep{text: text}
	if len(words) == 0 {
		return step, fmt.Errorf("it is empty")
	}
	step.verb = words[0]
	switch step.verb {
	case "quiet", "hold", "resume", "ringing", "answer", "hangup":
		if len(words) > 1 {
			return step, fmt.Errorf("%s takes nothing behind it", step.verb)
		}
		return step, nil
	case "wait":
		if len(words) != 2 {
			return step, fmt.Errorf("wait takes one duration, such as 500ms or 2s")
		}
		return step, step.duration(words[1])
	case "expect":
		return step, step.expectation(words[1:], prompts)
	case "say":
		if len(words) != 2 {
			return step, fmt.Errorf("say takes tone:HZ or one WAV file")
		}
		return step, step.saying(words[1])
	}
	step.verb, step.what = "press", strings.Join(words, "")
	if strings.Trim(step.what, "0123456789*#ABCD") != "" {
		return step, fmt.Errorf("neither keys (0-9 * # A-D) nor one of wait, expect, say, quiet, hold, resume, ringing, answer, hangup")
	}
	return step, nil
}

func (s *scriptStep) duration(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 || d > time.Hour {
		return fmt.Errorf("%q is not a duration up to 1h, such as 500ms or 2s", text)
	}
	s.time = d
	return nil
}

func (s *scriptStep) hertz(text string) error {
	hertz, err := strconv.ParseFloat(text, 64)
	if err != nil || !(hertz >= 100 && hertz <= 3500) {
		return fmt.Errorf("%q is not a frequency of 100 to 3500 Hz", text)
	}
	s.kind, s.tone = "tone", hertz
	return nil
}

func (s *scriptStep) expectation(words []string, prompts known) error {
	s.time = scriptPatience
	if len(words) != 1 && (len(words) != 3 || words[1] != "within") {
		return fmt.Errorf("expect takes a prompt, tone:HZ, keys:KEYS or hangup, and optionally: within DURATION")
	}
	if len(words) == 3 {
		if err := s.duration(words[2]); err != nil {
			return err
		}
	}
	name, value, _ := strings.Cut(words[0], ":")
	switch {
	case name == "tone":
		return s.hertz(value)
	case name == "keys":
		s.kind, s.what = "keys", value
		if value == "" || strings.Trim(value, "0123456789*#ABCD") != "" {
			return fmt.Errorf("%q are not keys (0-9 * # A-D)", value)
		}
	case words[0] == "hangup":
		s.kind = "hangup"
	case !prompts.Knows(words[0]):
		return fmt.Errorf("no built-in prompt is called %q, whose names are such as dir-found and vm-goodbye", words[0])
	default:
		s.kind, s.what = "prompt", words[0]
	}
	return nil
}

func (s *scriptStep) saying(what string) error {
	if value, ok := strings.CutPrefix(what, "tone:"); ok {
		return s.hertz(value)
	}
	file, err := os.Open(what)
	if err != nil {
		return fmt.Errorf("neither tone:HZ nor a file that can be read: %w", err)
	}
	defer file.Close()
	pcm, err := media.ReadWAV(file, 11<<20)
	if err != nil {
		return err
	}
	s.kind, s.clip = "file", media.NewClip(what, pcm)
	return nil
}

// run does one step of a call.
func (s *scriptStep) run(ctx context.Context, call *bugletest.PhoneCall) error {
	switch s.verb {
	case "press":
		return call.Press(ctx, s.what)
	case "wait":
		return pause(ctx, call, s.time)
	case "say":
		if s.kind == "tone" {
			call.SayTone(s.tone)
		} else {
			call.Say(s.clip, false)
		}
		return nil
	case "quiet":
		call.Quiet()
		return nil
	case "hold":
		return call.Hold(ctx)
	case "resume":
		return call.Resume(ctx)
	case "ringing":
		return call.WaitRinging(ctx)
	case "answer":
		return call.WaitAnswer(ctx)
	case "hangup":
		return call.Hangup(ctx)
	}
	return s.expect(ctx, call)
}

func (s *scriptStep) expect(ctx context.Context, call *bugletest.PhoneCall) error {
	within, cancel := context.WithTimeoutCause(ctx, s.time, fmt.Errorf("not within %v", s.time))
	defer cancel()
	var err error
	switch s.kind {
	case "prompt":
		_, err = call.WaitHear(within, s.what)
	case "tone":
		_, err = call.WaitTone(within, s.tone)
	case "keys":
		err = call.WaitKeys(within, s.what)
	case "hangup":
		_, err = call.WaitEnd(within)
	}
	return err
}

// pause waits for a time, or until the call is over, which is an error.
func pause(ctx context.Context, call *bugletest.PhoneCall, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-call.Done():
		return fmt.Errorf("the call ended meanwhile")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
