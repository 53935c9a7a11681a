package bugletest

import (
	"context"
	"net/netip"
)

// Phone is a telephone: it registers, calls, is called, speaks, listens and presses keys.
type Phone struct{}

// New makes a phone and binds its sockets. Close releases them.
func New(o Options) (*Phone, error) { return &Phone{}, nil }

// Addr is the address of the phone's SIP socket.
func (p *Phone) Addr() netip.AddrPort { return netip.AddrPort{} }

// URI is the SIP URI under which the phone can be called without a server.
func (p *Phone) URI() string { return "" }

// Register registers with the server and keeps the registration alive until Unregister or Close. The error of a refusal
// is a *StatusError.
func (p *Phone) Register(ctx context.Context) error { return nil }

// Unregister removes the registration.
func (p *Phone) Unregister(ctx context.Context) error { return nil }

// Dial calls a number, a user@host or a SIP URI. It returns when the INVITE is on its way; WaitAnswer waits for more.
func (p *Phone) Dial(ctx context.Context, number string) (*PhoneCall, error) { return nil, nil }

// Incoming delivers the calls that come in, whatever the phone's Behaviour does with them.
func (p *Phone) Incoming() <-chan *PhoneCall { return nil }

// SetBehaviour changes what is done with the calls that come in from now on.
func (p *Phone) SetBehaviour(b Behaviour) {}

// Close hangs up what is up, forgets the registration without a word to the server, and releases the sockets.
func (p *Phone) Close() error { return nil }
