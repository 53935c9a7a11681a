package speech

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"bugle"
	"bugle/internal/media"
)

// FliteOptions says how the flite program is run. Every field may be its zero value.
type FliteOptions struct {
	Path        string        // "" looks for flite in PATH
	Timeout     time.Duration // for one text, waiting for its turn included; default 5 s
	Concurrency int           // programs at a time; default the number of processors
}

// maxSpeech bounds, in bytes, what an engine may answer: four minutes of 16-bit audio at 16 kHz.
const maxSpeech = 8 << 20

// Flite is the synthesiser of CMU Flite as a program beside this one. It speaks English and is given its text as an
// argument, never through a shell.
type Flite struct {
	path    string
	version string
	timeout time.Duration
	turns   chan struct{}
}

// NewFlite finds the program. The error is of KindUnavailable when it is not installed.
func NewFlite(options FliteOptions) (*Flite, error) {
	name := options.Path
	if name == "" {
		name = "flite"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return nil, &bugle.Error{Op: "speech.NewFlite", Kind: bugle.KindUnavailable, Message: "flite is not installed", Err: err}
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, &bugle.Error{Op: "speech.NewFlite", Kind: bugle.KindUnavailable, Message: "flite cannot be read", Err: err}
	}
	if options.Timeout <= 0 {
		options.Timeout = 5 * time.Second
	}
	if options.Concurrency <= 0 {
		options.Concurrency = runtime.GOMAXPROCS(0)
	}
	return &Flite{path: path, version: fmt.Sprintf("%d-%d", info.Size(), info.ModTime().Unix()),
		timeout: options.Timeout, turns: make(chan struct{}, options.Concurrency)}, nil
}

// Name tells one installed program from another.
func (f *Flite) Name() string { return "flite " + f.version }

// Synthesise runs the program once.
func (f *Flite) Synthesise(ctx context.Context, request Request) ([]int16, error) {
	text := strings.TrimSpace(ascii(sanitise(request.Text)))
	if text == "" {
		return nil, &bugle.Error{Op: "speech.Flite", Kind: bugle.KindInvalid, Message: "the text has nothing that can be said"}
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	select {
	case f.turns <- struct{}{}:
		defer func() { <-f.turns }()
	case <-ctx.Done():
		return nil, &bugle.Error{Op: "speech.Flite", Kind: bugle.KindLimited, Message: "too many texts are being said", Err: ctx.Err()}
	}
	wav, err := f.run(ctx, fliteVoice(request.Voice), text)
	if err != nil {
		return nil, &bugle.Error{Op: "speech.Flite", Kind: bugle.KindUnavailable, Message: "flite failed", Err: err}
	}
	pcm, err := media.ReadWAV(bytes.NewReader(wav), maxSpeech)
	if err == nil && len(pcm) == 0 {
		err = errors.New("no audio")
	}
	if err != nil {
		return nil, &bugle.Error{Op: "speech.Flite", Kind: bugle.KindUnavailable, Message: "flite gave no usable audio", Err: err}
	}
	return pcm, nil
}

func (f *Flite) run(ctx context.Context, voice, text string) ([]byte, error) {
	command := exec.CommandContext(ctx, f.path, "-voice", voice, "-t", text, "-o", "/dev/stdout")
	command.Env = []string{"LC_ALL=C", "PATH=/usr/local/bin:/usr/bin:/bin"}
	command.Dir = "/"
	// A group of its own, so that whatever the program started ends with it.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	command.WaitDelay = 500 * time.Millisecond
	out := &boundedBuffer{limit: maxSpeech}
	command.Stdout = out
	if err := command.Run(); err != nil {
		return nil, errors.Join(err, ctx.Err())
	}
	return out.bytes, nil
}

// boundedBuffer refuses to grow beyond its limit, which ends the program that writes to it. It has no other method of a
// buffer, by which a copy could pass the limit.
type boundedBuffer struct {
	bytes []byte
	limit int
}

func (b *boundedBuffer) Write(p []byte) (int, error) {
	if len(b.bytes)+len(p) > b.limit {
		return 0, errors.New("more audio than allowed")
	}
	b.bytes = append(b.bytes, p...)
	return len(p), nil
}

// fliteVoice picks one of flite's voices for its own name or KAZOO's.
func fliteVoice(voice string) string {
	switch voice = strings.ToLower(voice); voice {
	case "slt", "rms", "awb", "kal", "kal16":
		return voice
	}
	if strings.HasPrefix(voice, "male") {
		return "rms"
	}
	return "slt"
}
