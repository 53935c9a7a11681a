package main

import (
	"context"
	"net/netip"
	"time"
)

// callCommand is a phone on the command line.
type callCommand struct {
	Number       string         `arg:"" optional:"" help:"What to dial: a number, user@host, or a SIP URI with an address."`
	Server       netip.AddrPort `help:"Where to send requests, address:port." placeholder:"ADDR:PORT"`
	Transport    string         `enum:"udp,tcp" default:"udp" help:"udp or tcp."`
	User         string         `help:"SIP user name."`
	Realm        string         `help:"SIP realm; the server's address without it."`
	PasswordFile string         `type:"existingfile" help:"File that holds the SIP password in its first line. Without it BUGLE_PASSWORD is read."`
	Keys         string         `help:"What to do once the call is answered."`
	Record       string         `help:"Write what is heard to this WAV file."`
	Timeout      time.Duration  `default:"60s" help:"Give up after this long."`
	Answer       bool           `help:"Wait for calls and answer them with a tone."`
}

// Run makes the call.
func (c *callCommand) Run(ctx context.Context) error { return nil }
