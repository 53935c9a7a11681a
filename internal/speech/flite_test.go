package speech

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bugle"
	"bugle/internal/media"
)

// program writes an executable shell script that stands in for flite.
func program(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "flite")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func newTestFlite(t *testing.T, script string, timeout time.Duration) *Flite {
	t.Helper()
	f, err := NewFlite(FliteOptions{Path: program(t, script), Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// wavFile is a WAV of one second of 440 Hz.
func wavFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tone.wav")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := media.WriteWAV(file, media.Tone(time.Second, 440)); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFliteIsGivenItsTextAsItIs(t *testing.T) {
	t.Parallel()
	arguments := filepath.Join(t.TempDir(), "arguments")
	f := newTestFlite(t, fmt.Sprintf(`for a in "$@"; do echo "$a"; done > %s; cat %s`, arguments, wavFile(t)), time.Minute)
	for text, want := range map[string]string{
		"Ann Lee":                   "Ann Lee",
		"$(touch /tmp/x) `id` ; \"": "$(touch /tmp/x) `id` ; \"",
		"-voice kal":                "-voice kal",
		"O’Brien":                   "O'Brien",
		"two\nlines\x00\x1b[0m":     "two lines [0m",
		"Łukasz Żółć":               "Lukasz Zolc",
		"山田":                        "Shan Tian",
		strings.Repeat("a", 100000): strings.Repeat("a", maxText),
	} {
		pcm, err := f.Synthesise(t.Context(), Request{Text: text, Voice: "male/en-US"})
		if err != nil {
			t.Fatalf("%.20q: %v", text, err)
		}
		if len(pcm) != media.SampleRate || strength(pcm, 440) < 1000 {
			t.Errorf("%.20q: %d samples, 440 Hz at %.0f", text, len(pcm), strength(pcm, 440))
		}
		got, err := os.ReadFile(arguments)
		if err != nil {
			t.Fatal(err)
		}
		if want := "-voice\nrms\n-t\n" + want + "\n-o\n/dev/stdout\n"; string(got) != want {
			t.Errorf("%.20q: arguments %.200q, want %.200q", text, got, want)
		}
	}
}

func TestAFliteThatMisbehavesFailsItsTextOnly(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"garbage":      "head -c 100000 /dev/urandom",
		"nothing":      "exit 0",
		"failure":      "echo no voice >&2; exit 3",
		"cut off":      "printf 'RIFF\\044\\000\\000\\000WAVEfmt '",
		"endless":      "cat /dev/zero",
		"killed":       "kill -9 $$",
		"empty header": "printf 'RIFF\\044\\000\\000\\000WAVEfmt \\020\\000\\000\\000\\001\\000\\001\\000\\100\\037\\000\\000\\200\\076\\000\\000\\002\\000\\020\\000data\\000\\000\\000\\000'",
	} {
		pcm, err := newTestFlite(t, script, time.Minute).Synthesise(t.Context(), Request{Text: "Ann"})
		if bugle.KindOf(err) != bugle.KindUnavailable || pcm != nil {
			t.Errorf("%s: %d samples, %v", name, len(pcm), err)
		}
	}
	if _, err := newTestFlite(t, "exit 0", time.Minute).Synthesise(t.Context(), Request{Text: "😀 \n"}); bugle.KindOf(err) != bugle.KindInvalid {
		t.Errorf("nothing to say: %v", err)
	}
}

func TestAFliteThatIsNotThereIsSaidSo(t *testing.T) {
	t.Parallel()
	notExecutable := filepath.Join(t.TempDir(), "flite")
	if err := os.WriteFile(notExecutable, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/nonexistent/flite", notExecutable, t.TempDir()} {
		if _, err := NewFlite(FliteOptions{Path: path}); bugle.KindOf(err) != bugle.KindUnavailable {
			t.Errorf("%s: %v", path, err)
		}
	}
	gone := newTestFlite(t, "exit 0", time.Minute)
	if err := os.Remove(gone.path); err != nil {
		t.Fatal(err)
	}
	if _, err := gone.Synthesise(t.Context(), Request{Text: "Ann"}); bugle.KindOf(err) != bugle.KindUnavailable {
		t.Errorf("removed after the start: %v", err)
	}
}

// A program that hangs is ended with all that it started, and its turn is free again.
func TestAFliteThatHangsIsEnded(t *testing.T) {
	t.Parallel()
	pids := filepath.Join(t.TempDir(), "pids")
	f := newTestFlite(t, fmt.Sprintf("sleep 1000 & echo $! > %s; echo $$ >> %s; wait", pids, pids), 300*time.Millisecond)
	if _, err := f.Synthesise(t.Context(), Request{Text: "Ann"}); bugle.KindOf(err) != bugle.KindUnavailable {
		t.Fatal(err)
	}
	list, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range strings.Fields(string(list)) {
		var pid int
		fmt.Sscan(field, &pid)
		if pid < 2 {
			t.Fatalf("pids %q", list)
		}
		for syscall.Kill(pid, 0) == nil && !zombie(pid) { // the kernel takes its moment; a test that waits for ever fails by go test's limit
			time.Sleep(time.Millisecond)
		}
	}
	if len(f.turns) != 0 {
		t.Error("the turn was not given back")
	}
}

// zombie reports a process that is over and only waits to be collected by whoever adopted it.
func zombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(stat), ") Z ")
}

func TestOnlySoManyFlitesRunAtATime(t *testing.T) {
	t.Parallel()
	f, err := NewFlite(FliteOptions{Path: program(t, "exit 1"), Concurrency: 1, Timeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	f.turns <- struct{}{} // somebody else's
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Synthesise(ctx, Request{Text: "Ann"}); bugle.KindOf(err) != bugle.KindLimited {
		t.Errorf("a second text at once: %v", err)
	}
}

func TestFliteSpeaks(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("flite"); err != nil {
		t.Skip("flite is not installed")
	}
	f, err := NewFlite(FliteOptions{Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	for _, voice := range []string{"", "male/en-US", "kal16", "nonsense"} {
		pcm, err := f.Synthesise(t.Context(), Request{Text: "Sarah O'Connor", Voice: voice})
		if err != nil {
			t.Fatal(err)
		}
		if length := time.Duration(len(pcm)) * time.Second / media.SampleRate; length < 600*time.Millisecond || length > 3*time.Second {
			t.Errorf("voice %q takes %v for a name", voice, length)
		}
	}
}

func BenchmarkFlite(b *testing.B) {
	f, err := NewFlite(FliteOptions{Timeout: time.Minute})
	if err != nil {
		b.Skip(err)
	}
	for b.Loop() {
		if _, err := f.Synthesise(b.Context(), Request{Text: "Sarah Connor"}); err != nil {
			b.Fatal(err)
		}
	}
}
