package callflow

import (
	"context"
	"log/slog"

	"bugle"
	"bugle/internal/call"
)

// Documents are the configuration that a call needs, as it stands now. What does not exist, is deleted or belongs to
// another account is a *bugle.Error of KindNotFound; any other error means that nobody can say. What is returned is
// shared: nobody writes to it.
type Documents interface {
	Account(ctx context.Context, accountID string) (bugle.Account, error)
	Callflow(ctx context.Context, accountID, id string) (bugle.Callflow, error)
	// CallflowByNumber returns the callflow whose numbers contain number, which is normalised already (or "no_match").
	CallflowByNumber(ctx context.Context, accountID, number string) (bugle.Callflow, error)
	// CallflowsWithPatterns returns all callflows of the account that have patterns, in any order.
	CallflowsWithPatterns(ctx context.Context, accountID string) ([]bugle.Callflow, error)
	// NumberBegins reports whether a callflow's number begins with prefix and goes on after it.
	NumberBegins(ctx context.Context, accountID, prefix string) (bool, error)
	User(ctx context.Context, accountID, id string) (bugle.User, error)
	Device(ctx context.Context, accountID, id string) (bugle.Device, error)
	// DevicesOf returns the devices that a user owns, in the order in which they are to be rung one by one.
	DevicesOf(ctx context.Context, accountID, userID string) ([]bugle.Device, error)
	Menu(ctx context.Context, accountID, id string) (bugle.Menu, error)
	Directory(ctx context.Context, accountID, id string) (bugle.Directory, error)
}

// Options are what an Engine works with.
type Options struct {
	Calls     *call.Settings    // shared by all calls; its Registry's limit is where calls are refused
	Modules   map[string]Module // module.All(...)
	Documents Documents
	Log       *slog.Logger // nil: nothing is logged
	OnPanic   func(any)    // counts panics of modules; nil: Calls.OnPanic
}

// Inbound is a new inbound call of an authenticated device.
type Inbound struct {
	Leg       call.Leg
	AccountID string
	DeviceID  string
	UserID    string // owner of the device, "" for none
	Realm     string // the account's
	Dialed    string // user part of the Request-URI, unescaped
	CallID    string
	// Caller is who is calling, when something better than the device's documents knows: a trunk. The zero value asks
	// the documents.
	Caller call.Party
}

// Engine leads calls through callflows. It is safe for concurrent use.
type Engine struct {
	calls     *call.Settings
	modules   map[string]Module
	documents Documents
	router    *router
	log       *slog.Logger
	onPanic   func(any)
}

// Route is where a number leads.
type Route struct {
	Callflow bugle.Callflow
	Number   string            // the number after normalisation
	Capture  string            // capture group: the longest capture, or the whole match of a pattern without groups
	Captures map[string]string // named captures that are not empty
	NoMatch  bool              // found by no_match
}
