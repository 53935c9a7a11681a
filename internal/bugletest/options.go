package bugletest

import (
	"log/slog"
	"net/http"
	"net/netip"
	"time"
)

// KeyMode is how a phone sends the keys that are pressed on it.
type KeyMode uint8

const (
	KeysByRTP  KeyMode = iota // telephone-event in the audio stream, RFC 4733
	KeysByInfo                // SIP INFO with application/dtmf-relay
)

// Behaviour says what a phone does with an incoming call by itself. The zero value does nothing but 100 Trying: the call
// is handed to Incoming, and its owner rings, answers or rejects.
type Behaviour struct {
	// Answers makes the phone ring and then, After that long, answer.
	Answers bool
	After   time.Duration
	// Status, when not 0, refuses each call with this final status: 486, 480, 603, 503, ...
	Status int
	// Rings makes the phone ring and never answer.
	Rings bool
	// Silent makes the phone deaf: an INVITE gets no response at all.
	Silent bool
	// Tone is what the phone says once it has answered by itself, in hertz; 0 for silence.
	Tone float64
}

// Answering rings, answers after the given time and then says tone (in hertz, 0 for silence).
func Answering(after time.Duration, tone float64) Behaviour {
	return Behaviour{Answers: true, After: after, Tone: tone}
}

// Busy refuses every call with 486.
func Busy() Behaviour { return Behaviour{Status: 486} }

// Rejecting refuses every call with 603, as a user who declines.
func Rejecting() Behaviour { return Behaviour{Status: 603} }

// Unavailable refuses every call with 503, as a phone that is overloaded.
func Unavailable() Behaviour { return Behaviour{Status: http.StatusServiceUnavailable} }

// NeverAnswering rings until the caller gives up.
func NeverAnswering() Behaviour { return Behaviour{Rings: true} }

// Deaf does not respond at all, as a phone that lost its network after it registered.
func Deaf() Behaviour { return Behaviour{Silent: true} }

// Options is what a phone is made of. Only Server (or nothing at all, for a phone that is called by address) is needed.
type Options struct {
	// Server is where requests go. The zero value makes a phone without a server: Dial then takes SIP URIs with addresses.
	Server netip.AddrPort
	// Transport is "udp" (the default) or "tcp".
	Transport string
	// Local is the address the phone listens on; the zero value is the one from which Server is reached, 127.0.0.1
	// without a server, and a free port.
	Local netip.AddrPort
	// Realm is the host of the phone's address of record and of what it dials; "" for Server's address.
	Realm string
	// Username is also the user part of the address of record. Password answers digest challenges and is never logged.
	Username, Password string
	DisplayName        string
	// Expires is the registration's wish, one hour when 0. The phone refreshes at half of what it was granted.
	Expires time.Duration
	// Codecs to offer and take, in order of preference; empty for PCMU, PCMA.
	Codecs []string
	Keys   KeyMode
	// KeyLength is how long each key is held, 100 ms when 0.
	KeyLength time.Duration
	Behaviour Behaviour
	// Recogniser names what is heard; it may be shared by many phones. nil recognises tones only.
	Recogniser *Recogniser
	// FirstPort and LastPort bound the RTP ports; 0 for 40000 to 65534 as free.
	FirstPort, LastPort uint16
	Log                 *slog.Logger
	// OnEvent, when set, is told everything that happens on every call, in order for each call, and must not block.
	OnEvent func(*PhoneCall, Event)
	// OnPanic is told of a recovered panic; without it the phone's Close returns it as an error.
	OnPanic func(any)
}
