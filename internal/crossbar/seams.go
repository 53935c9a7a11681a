package crossbar

import (
	"context"
	"encoding/json"
	"io"
	"net/netip"
	"os"
	"time"

	"bugle"
	"bugle/internal/store"
)

// Sealer keeps recoverable secrets (sip.password, API keys, token secrets) unreadable in the database.
type Sealer interface {
	// Seal returns plain in a sealed, printable form that opens only with the same bound strings. Here these are the id
	// of the document and the dotted path of the secret: ("…", "sip.password").
	Seal(plain string, bound ...string) (string, error)
	// Open returns what was sealed.
	Open(sealed string, bound ...string) (string, error)
}

// Blobs keeps audio outside the database, addressed by its content, as *store.Blobs does.
type Blobs interface {
	// Put stores what r gives for the account. It returns after the data is on disk.
	Put(ctx context.Context, accountID string, r io.Reader, limit int64) (store.Blob, error)
	// Open returns the blob for reading; KindNotFound when there is none.
	Open(ctx context.Context, accountID, sum string) (*os.File, error)
}

// Mailer sends mail to people.
type Mailer interface {
	// SendMail returns when the mail server has taken the message. to is a bare address, text is plain.
	SendMail(ctx context.Context, to, subject, text string) error
}

// Egress says which addresses bugle may connect to, as *egress.Guard does.
type Egress interface {
	// Check returns nil when a connection to addr may be opened, else an error whose message says why not.
	Check(addr netip.Addr) error
}

// FlowChecker judges callflow trees by the modules that this server runs.
type FlowChecker interface {
	// CheckFlow returns what is wrong with a flow ({} is a valid, empty flow). Paths are dotted and begin at the flow
	// itself: "children.1.data.id". The shape of nodes has been checked before.
	CheckFlow(flow json.RawMessage) []FlowProblem
	// CheckPattern says why a pattern cannot be used; nil when it can. A warning is for the log.
	CheckPattern(pattern string) (warning string, err error)
	// NormaliseNumber gives the form under which a number is stored and looked up in the account.
	NormaliseNumber(account bugle.Account, number string) string
	// ModuleSchemas returns the JSON schema of each module's data by schema id: "callflows.directory".
	ModuleSchemas() map[string]json.RawMessage
}

// FlowProblem is one thing that is wrong with a flow.
type FlowProblem struct {
	Path    string // dotted path inside the flow, "" for its root
	Code    string // error code as in KAZOO's field errors: "enum", "required", "type"
	Message string // what was wrong and what is allowed
	Target  any    // the bound or the allowed values, nil for none
	Value   any    // the offending value, nil for none
}

// Channels are the calls that are up.
type Channels interface {
	// Channels returns the legs of an account's calls, oldest first.
	Channels(accountID string) []Channel
	// HangupChannel ends one leg of an account's call; KindNotFound when it is gone.
	HangupChannel(accountID, id string) error
	// MoveChannel takes one leg out of its call with the other, or out of the callflow that leads it, connects it elsewhere
	// and returns when that is under way. KindNotFound when the leg is gone, KindInvalid when it may not be moved; the
	// message says why.
	MoveChannel(ctx context.Context, accountID, id string, to Destination) error
	// BreakChannel cuts short what a callflow plays to one leg. KindNotFound when the leg is gone, KindInvalid when nothing
	// is played to it.
	BreakChannel(ctx context.Context, accountID, id string) error
	// Parked returns the callers who wait in slots of an account, in the slots' order.
	Parked(accountID string) []ParkedCall
}

// Destination is what a leg is connected to: one of these.
type Destination struct {
	Number     string // of the account
	CallflowID string
	UserID     string // whose phones ring
	DeviceID   string
}

// Channel is one leg of a call as the API shows it.
type Channel struct {
	ID              string // Call-ID of the leg
	Answered        bool
	AuthorizingID   string // device, or what else lets the call happen
	AuthorizingType string // "device", "clicktocall", "user"
	Destination     string
	Direction       string // "inbound": from the device to bugle
	OtherLeg        string
	OwnerID         string // user
	PresenceID      string
	Username        string // of the device
	Started         time.Time
	Variables       map[string]string // custom application variables of a call that bugle has started itself
}

// Sockets are the WebSockets over which clients are told of events.
type Sockets interface {
	// Bindings are what can be subscribed to, by family.
	Bindings() map[string][]string
	// Sockets returns those that a token of the account has subscribed with, in a stable order.
	Sockets(accountID string) []Socket
}

// Socket is one WebSocket as the API shows it: with what tokens of one account have subscribed to.
type Socket struct {
	ID       string
	Name     string          // as the client calls it, "" for nothing
	Metadata json.RawMessage // an object of the client, nil for none
	Client   netip.Addr
	Opened   time.Time
	Bindings []SocketBinding
}

// SocketBinding is what a socket has subscribed to.
type SocketBinding struct {
	AccountID string // whose events, "*" for everybody's
	Binding   string // as the client wrote it
}

// Registrations are the phones that are registered now.
type Registrations interface {
	// Registrations returns an account's current registrations, in a stable order.
	Registrations(accountID string) []Registration
	// FlushRegistrations forgets the account's registrations of one SIP username, of all for "", and returns how many.
	FlushRegistrations(ctx context.Context, accountID, username string) (int, error)
	// SyncDevice asks the phones of a device to read their configuration again, with a restart or as they see fit, and
	// returns how many were asked: the contacts that it has registered. An error tells why none could be.
	SyncDevice(accountID, deviceID string, reboot bool) (int, error)
}

// Registration is one registered contact as the API shows it.
type Registration struct {
	DeviceID    string
	OwnerID     string // user
	Username    string
	Realm       string
	Contact     string // URI the phone registered
	Source      string // address and port its REGISTER came from
	ProxyPath   string // first Path URI, "" for none
	Transport   string
	CallID      string
	UserAgent   string
	Registered  time.Time
	ExpiresAt   time.Time
	SuppressLog bool // suppress_unregister_notifications of the device
}

// SubscriptionTerms are what a subscription of the RingCentral API asks for, without its secrets.
type SubscriptionTerms struct {
	Address           string // "" over WebSocket
	Filters, Disabled []string
	Created           time.Time
	IncludeChanges    bool
}
