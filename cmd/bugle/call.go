package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"bugle/internal/bugletest"
	"bugle/internal/media"
	"bugle/internal/speech"
)

// Exit statuses of bugle call beside 0, 1 (the phone itself failed) and 2 (wrong usage).
const (
	exitRefused     = 3 // the call was refused, not answered or cut off
	exitExpectation = 4 // an expectation of --keys did not come true
	exitRegister    = 5 // the registration was refused
	exitTimeout     = 6 // --timeout passed before the steps were done
)

// callCommand is a phone on the command line.
type callCommand struct {
	Number       string        `arg:"" optional:"" help:"What to dial: a number, user@host, or a SIP URI. With an address in it, sip:USER@ADDRESS:PORT, no server is needed."`
	Server       string        `placeholder:"HOST[:PORT]" help:"SIP server that requests go to; 127.0.0.1:5060 with --user."`
	Transport    string        `enum:"udp,tcp" default:"udp" help:"udp or tcp."`
	User         string        `help:"SIP user name."`
	Realm        string        `help:"SIP realm of the account; the server's address without it."`
	Name         string        `help:"Display name."`
	PasswordFile string        `type:"existingfile" placeholder:"FILE" help:"File whose first line is the SIP password. Without it the environment's BUGLE_PASSWORD is used, so that no secret is an argument."`
	Register     bool          `help:"Register before dialling. With --answer a phone with a user always registers."`
	Keys         string        `placeholder:"STEPS" help:"What to do in the call, steps separated by commas, such as \"wait 1s, 7 6 4, expect dir-found, 1\"; described below."`
	Info         bool          `help:"Send keys by SIP INFO instead of RFC 4733."`
	Codecs       []string      `placeholder:"PCMU,PCMA" help:"Codecs to offer and take, in order of preference."`
	Say          float64       `placeholder:"HZ" help:"Tone to say once the call is up; 440 Hz with --answer, otherwise silence."`
	Record       string        `placeholder:"FILE" help:"Write what is heard to this WAV file, with --answer that of the newest call."`
	Timeout      time.Duration `default:"60s" help:"Hang up after this long, counted from the start. With --answer: of each call."`
	Answer       bool          `help:"Wait for calls, answer each and say a tone, until interrupted."`
	After        time.Duration `default:"1s" help:"With --answer: ring this long before answering."`
	Local        string        `placeholder:"ADDR[:PORT]" help:"Address to listen on; the one that reaches the server, or 127.0.0.1."`
	Verbose      bool          `short:"v" help:"Log the SIP and RTP layers to standard error."`
}

// Help is the long help of bugle call.
func (c *callCommand) Help() string {
	return `Examples:

  bugle call 411 --user 1001 --realm demo.example --password-file pw --keys "expect dir-enter_person_name, 7 6 4, expect dir-found, 1, expect tone:440" --record heard.wav
  bugle call --answer --user 1002 --realm demo.example --password-file pw
  bugle call sip:1002@127.0.0.1:5062 --say 700

Steps of --keys: ` + scriptHelp + `

Exit status: 0 all went as expected; 1 the phone failed; 2 wrong usage; 3 the call was refused, not answered or cut off;
4 an expectation did not come true; 5 the registration was refused; 6 --timeout passed before the steps were done.`
}

// Run is the command.
func (c *callCommand) Run(ctx context.Context) error {
	return c.run(ctx, os.Stdout, os.Getenv)
}

func (c *callCommand) run(ctx context.Context, out io.Writer, getenv func(string) string) error {
	if c.Answer == (c.Number != "") {
		return usage("give either a number to dial or --answer")
	}
	recogniser := promptRecogniser()
	script, err := parseScript(c.Keys, recogniser)
	if err != nil {
		return usage("%v", err)
	}
	t := &transcript{out: out, began: time.Now()}
	options, err := c.options(getenv)
	if err != nil {
		return err
	}
	options.Recogniser = recogniser
	options.OnEvent = func(_ *bugletest.PhoneCall, event bugletest.Event) { t.line("%s", event) }
	phone, err := bugletest.New(options)
	if err != nil {
		return err
	}
	err = c.use(ctx, phone, options, script, t)
	return errors.Join(err, phone.Close())
}

// use registers the phone if that is wanted, and calls or waits.
func (c *callCommand) use(ctx context.Context, phone *bugletest.Phone, options bugletest.Options, script []scriptStep, t *transcript) error {
	t.line("phone %s on %s", phone.URI(), phone.Addr())
	if options.Server.IsValid() && (c.Register || c.Answer && c.User != "") {
		registering, cancel := context.WithTimeout(ctx, 35*time.Second)
		defer cancel()
		if err := phone.Register(registering); err != nil {
			t.line("not registered: %v", err)
			return &exitError{status: exitRegister, err: err}
		}
		t.line("registered with %s for %v", options.Server, phone.Granted())
		defer func() {
			leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			_ = phone.Unregister(leaving)
		}()
	}
	if c.Answer {
		return c.listen(ctx, phone, script, t)
	}
	limited, cancel := context.WithTimeoutCause(ctx, c.Timeout, errTimeout)
	defer cancel()
	call, err := phone.Dial(limited, c.Number)
	if err != nil {
		return err
	}
	return c.follow(limited, call, script, t)
}

var errTimeout = errors.New("--timeout passed")

// listen answers calls, one at a time, until it is interrupted. Who calls meanwhile hears that it is busy.
func (c *callCommand) listen(ctx context.Context, phone *bugletest.Phone, script []scriptStep, t *transcript) error {
	t.line("waiting for calls")
	var done chan struct{} // closed when the current call is over; nil without one
	for {
		select {
		case <-ctx.Done():
			if done != nil {
				<-done
			}
			return nil
		case <-done:
			done = nil
		case call := <-phone.Incoming():
			if done != nil {
				_ = call.Reject(486)
				continue
			}
			done = make(chan struct{})
			go func() {
				defer close(done)
				limited, cancel := context.WithTimeoutCause(ctx, c.Timeout, errTimeout)
				defer cancel()
				if err := c.follow(limited, call, script, t); err != nil && ctx.Err() == nil {
					t.line("%v", err)
				}
			}()
		}
	}
}

// follow does the steps of a call, hangs up, records and sums up.
func (c *callCommand) follow(ctx context.Context, call *bugletest.PhoneCall, script []scriptStep, t *transcript) error {
	err := c.steps(ctx, call, script, t)
	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if hangup := call.Hangup(leaving); hangup != nil && err == nil {
		err = hangup
	}
	if c.Record != "" {
		if recorded := record(call, c.Record); recorded != nil {
			err = errors.Join(err, recorded)
		} else {
			t.line("%v of audio in %s", call.HeardLength().Round(10*time.Millisecond), c.Record)
		}
	}
	t.summary(call, err)
	return err
}

func (c *callCommand) steps(ctx context.Context, call *bugletest.PhoneCall, script []scriptStep, t *transcript) error {
	if call.Incoming() {
		if err := errors.Join(call.Ring(), pause(ctx, call, c.After), call.Answer(ctx)); err != nil {
			return &exitError{status: exitRefused, err: err}
		}
	}
	tone := c.Say
	if tone == 0 && c.Answer {
		tone = 440
	}
	if tone > 0 {
		call.SayTone(tone)
	}
	if len(script) == 0 {
		return c.stay(ctx, call)
	}
	for _, step := range script {
		if err := step.run(ctx, call); err != nil {
			return c.failed(ctx, step, err)
		}
		if step.verb == "expect" {
			t.line("as expected: %s", step.text)
		}
	}
	return nil
}

// stay waits until the other side hangs up, or for --timeout, which is a good end once the call is up.
func (c *callCommand) stay(ctx context.Context, call *bugletest.PhoneCall) error {
	if err := call.WaitAnswer(ctx); err != nil {
		return c.failed(ctx, scriptStep{text: "answer", verb: "answer"}, err)
	}
	if _, err := call.WaitEnd(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// failed gives the error of a step its exit status.
func (c *callCommand) failed(ctx context.Context, step scriptStep, err error) error {
	status := exitRefused
	var refused *bugletest.StatusError
	switch {
	case errors.As(err, &refused):
	case errors.Is(context.Cause(ctx), errTimeout):
		status = exitTimeout
	case ctx.Err() != nil:
		status = 1
	case step.verb == "expect":
		status = exitExpectation
	}
	return &exitError{status: status, err: fmt.Errorf("%s: %w", step.text, err)}
}

func record(call *bugletest.PhoneCall, path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(file)
	return errors.Join(call.WriteWAV(w), w.Flush(), file.Close())
}

// promptRecogniser knows the built-in prompts.
var promptRecogniser = sync.OnceValue(func() *bugletest.Recogniser {
	catalogue := speech.NewCatalogue(speech.Options{})
	var clips []*media.Clip
	for _, id := range speech.BuiltinPrompts() {
		clips = append(clips, catalogue.Prompt(context.Background(), "", "en-us", id))
	}
	return bugletest.NewRecogniser(clips)
})

func usage(format string, values ...any) error {
	return &exitError{status: 2, err: fmt.Errorf(format, values...)}
}

func (c *callCommand) options(getenv func(string) string) (bugletest.Options, error) {
	o := bugletest.Options{Transport: c.Transport, Realm: c.Realm, Username: c.User, DisplayName: c.Name, Codecs: c.Codecs}
	if c.Info {
		o.Keys = bugletest.KeysByInfo
	}
	if c.Verbose {
		o.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	server := c.Server
	if server == "" && c.User != "" && !strings.HasPrefix(c.Number, "sip:") {
		server = "127.0.0.1:5060"
	}
	var err error
	if server != "" {
		if o.Server, err = resolve(server, "5060"); err != nil {
			return o, usage("--server: %v", err)
		}
	}
	if c.Local != "" {
		if o.Local, err = resolve(c.Local, "0"); err != nil {
			return o, usage("--local: %v", err)
		}
	}
	o.Password = getenv("BUGLE_PASSWORD")
	if c.PasswordFile != "" {
		text, err := os.ReadFile(c.PasswordFile)
		if err != nil {
			return o, usage("--password-file: %v", err)
		}
		line, _, _ := strings.Cut(string(text), "\n")
		if o.Password = strings.TrimRight(line, "\r"); o.Password == "" {
			return o, usage("--password-file: the first line of %s is empty", c.PasswordFile)
		}
	}
	return o, nil
}

// resolve reads HOST or HOST:PORT.
func resolve(text, port string) (netip.AddrPort, error) {
	if _, _, err := net.SplitHostPort(text); err != nil {
		text = net.JoinHostPort(strings.Trim(text, "[]"), port)
	}
	addr, err := net.ResolveUDPAddr("udp", text)
	if err != nil {
		return netip.AddrPort{}, err
	}
	ap := addr.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), nil
}

// transcript prints a line a step, with the seconds since the start.
type transcript struct {
	out   io.Writer
	began time.Time
	mu    sync.Mutex
}

func (t *transcript) line(format string, values ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, "%8.3f  %s\n", time.Since(t.began).Seconds(), fmt.Sprintf(format, values...))
}

// summary tells what was heard, how the call ended and what became of it.
func (t *transcript) summary(call *bugletest.PhoneCall, err error) {
	var heard []string
	answered, end := "not answered", "still up"
	for _, event := range call.Events() {
		switch event.Kind {
		case bugletest.EventHeard:
			heard = append(heard, event.Heard.String())
		case bugletest.EventAnswered:
			answered = "answered"
		case bugletest.EventEnded:
			end = event.String()
		}
	}
	if len(heard) == 0 {
		heard = append(heard, "nothing that is known")
	}
	outcome := "all as expected"
	if err != nil {
		outcome = "failed"
	}
	t.line("heard: %s", strings.Join(heard, ", "))
	t.line("outcome: %s; %s, %s", outcome, answered, end)
}
