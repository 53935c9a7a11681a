// Command bugle is a hosted phone system in one program: serve runs it, demo shows it in a minute, call is a phone on
// the command line.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"bugle"
)

type commands struct {
	Serve   serveCommand      `cmd:"" help:"Run the phone system."`
	Demo    demoCommand       `cmd:"" help:"Run a demonstration on loopback: a company, its phones, and a first call, in a temporary directory."`
	Call    callCommand       `cmd:"" help:"Be a phone: register, dial, press keys, record, or wait for a call."`
	Admin   administerCommand `cmd:"" help:"Manage accounts, users and API keys."`
	Events  eventsCommand     `cmd:"" help:"Follow changes, list and resend deliveries, pause, or be a receiver of events."`
	Backup  backupCommand     `cmd:"" help:"Write all that a server keeps into one file, while it serves."`
	Restore restoreCommand    `cmd:"" help:"Fill an empty server with a backup."`
	Version versionCommand    `cmd:"" help:"Print the version."`
}

type versionCommand struct{}

func (versionCommand) Run() error {
	fmt.Println("bugle", version())
	return nil
}

// version is what the module or the commit it was built from says, as the log and /v2 envelopes show it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return s.Value[:12]
		}
	}
	return info.Main.Version
}

// exitError is an error that carries the process's exit status; main prints it like any other.
type exitError struct {
	status int
	err    error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func main() {
	os.Exit(run(os.Args[1:]))
}

func run(arguments []string) int {
	var c commands
	config := &configFile{}
	parser, err := kong.New(&c, kong.Name("bugle"), kong.UsageOnError(), kong.Resolvers(config),
		kong.Description("A hosted phone system: phones register over SIP, callers reach people by spelling their names.\n\n"+
			"Each flag of serve can also be set in the environment (BUGLE_DATA_DIR) and in the file of --config (data-dir)."))
	if err != nil {
		fmt.Fprintln(os.Stderr, "bugle:", err)
		return 2
	}
	parsed, err := parser.Parse(arguments)
	if err = cmp.Or(config.err, err); err != nil {
		fmt.Fprintln(os.Stderr, "bugle:", plain(err))
		return 2
	}
	if err := unknownEnvironment(parser.Model, os.Environ()); err != nil {
		fmt.Fprintln(os.Stderr, "bugle:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	parsed.BindTo(ctx, (*context.Context)(nil))
	if err := parsed.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "bugle:", plain(err))
		if exit, ok := errors.AsType[*exitError](err); ok {
			return exit.status
		}
		return 1
	}
	return 0
}

// plain is what an error says to the person at the terminal, without the names of functions and kinds that logs have.
func plain(err error) string {
	if e, ok := errors.AsType[*bugle.Error](err); ok && e.Op != "" && e.Message != "" {
		return strings.Replace(err.Error(), e.Op+": "+e.Kind.String()+": ", "", 1)
	}
	return err.Error()
}
