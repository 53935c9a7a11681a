package bugletest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// Program is a running `bugle serve` on loopback, with ports that the system chose.
type Program struct {
	SIP   netip.AddrPort // UDP and TCP
	HTTP  string         // address and port of the API
	Admin string         // of /metrics and /readyz
	PID   int

	cmd    *exec.Cmd
	log    Output
	output sync.WaitGroup
}

// ProgramOptions are what a Program is started with.
type ProgramOptions struct {
	Path        string // of the binary
	DataDir     string
	Environment []string  // all of it; nothing is inherited
	Arguments   []string  // more flags of serve; where one is given twice the later counts
	Egress      string    // --egress-allow; "": 127.0.0.0/8
	Stderr      io.Writer // gets the log too; may be nil
}

// BuildProgram builds bugle into the file at path, as its user would. flags are those of go build.
func BuildProgram(ctx context.Context, path string, flags ...string) error {
	arguments := append(append([]string{"build"}, flags...), "-o", path, "bugle/cmd/bugle")
	if out, err := exec.CommandContext(ctx, "go", arguments...).CombinedOutput(); err != nil {
		return fmt.Errorf("building bugle: %w\n%s", err, out)
	}
	return nil
}

// StartProgram starts the program and returns when it serves. The end of ctx kills it. The error of a program that ended
// before holds what it wrote to its standard error, which is its log.
func StartProgram(ctx context.Context, o ProgramOptions) (*Program, error) {
	p := &Program{}
	if o.Egress == "" {
		o.Egress = "127.0.0.0/8"
	}
	p.cmd = exec.CommandContext(ctx, o.Path, append([]string{"serve", "--data-dir", o.DataDir, "--sip", "127.0.0.1:0",
		"--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--egress-allow", o.Egress}, o.Arguments...)...)
	p.cmd.Env = append([]string{}, o.Environment...)
	p.cmd.Stderr = &p.log
	if o.Stderr != nil {
		p.cmd.Stderr = io.MultiWriter(&p.log, o.Stderr)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.PID = p.cmd.Process.Pid
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("serve ended before it was ready: %w\n%s", errors.Join(err, p.cmd.Wait()), &p.log)
	}
	var sip string
	_, err = fmt.Sscanf(line, "bugle ready sip=%s http=%s admin=%s data=", &sip, &p.HTTP, &p.Admin)
	if err == nil {
		p.SIP, err = netip.ParseAddrPort(sip)
	}
	p.output.Go(func() { _, _ = io.Copy(io.Discard, lines) })
	if err != nil {
		_, _ = p.End(os.Kill)
		return nil, fmt.Errorf("the ready line is %q: %w", line, err)
	}
	return p, nil
}

// Log returns what the program has written to its standard error so far.
func (p *Program) Log() string { return p.log.String() }

// Signal sends a signal and does not wait.
func (p *Program) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Ended reports whether End has seen the program's end.
func (p *Program) Ended() bool { return p.cmd.ProcessState != nil }

// End sends a signal, waits for the exit and returns it. A program that is still there after a minute is killed, which
// the exit tells. The error is that of sending.
func (p *Program) End(s os.Signal) (*os.ProcessState, error) {
	if p.Ended() {
		return p.cmd.ProcessState, nil
	}
	if err := p.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return nil, err
	}
	killed := time.AfterFunc(time.Minute, func() { _ = p.cmd.Process.Kill() })
	defer killed.Stop()
	p.output.Wait()
	_ = p.cmd.Wait() // the state says it better
	return p.cmd.ProcessState, nil
}

// Panics is an error when the program has contained a panic, or cannot be asked.
func (p *Program) Panics(ctx context.Context) error {
	client := &http.Client{Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Admin+"/metrics", nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	lines, counted := bufio.NewScanner(answer.Body), false
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), "bugle_panics_total{") {
			continue
		}
		if counted = true; !strings.HasSuffix(lines.Text(), " 0") {
			return fmt.Errorf("the server recovered from a panic: %s", lines.Text())
		}
	}
	if err := lines.Err(); err != nil || counted {
		return err
	}
	return errors.New("the server does not count its panics in bugle_panics_total")
}

// Output keeps what a process writes, for a test to read meanwhile. The zero value is empty.
type Output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write is part of io.Writer.
func (b *Output) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String returns all that was written so far.
func (b *Output) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
