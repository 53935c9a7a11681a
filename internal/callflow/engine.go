package callflow

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"net/url"
	"strings"

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
	// Groups returns all groups of the account, in any order.
	Groups(ctx context.Context, accountID string) ([]bugle.Group, error)
	Menu(ctx context.Context, accountID, id string) (bugle.Menu, error)
	Directory(ctx context.Context, accountID, id string) (bugle.Directory, error)
}

// Options are what an Engine works with.
type Options struct {
	Calls     *call.Settings    // shared by all calls; its Registry's limit is where calls are refused
	Modules   map[string]Module // module.All(...)
	Documents Documents
	Audio     Audio        // of HoldMusic; nil: it finds none
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
	audio     Audio
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
	Pattern  string            // pattern that matched, "" when a number did
	NoMatch  bool              // found by no_match
}

// New returns an engine.
func New(options Options) *Engine {
	return &Engine{calls: options.Calls, modules: options.Modules, documents: options.Documents,
		audio: options.Audio, router: &router{documents: options.Documents}, log: options.Log, onPanic: options.OnPanic}
}

// Handle takes a new inbound call and returns at once: the sink for its leg's events, or nil when no call can be taken
// (too many, or the server is about to stop), which the leg's owner answers with 503.
func (e *Engine) Handle(in Inbound) call.Sink {
	c := call.New(e.calls, call.About{ID: in.CallID, AccountID: in.AccountID, DeviceID: in.DeviceID, UserID: in.UserID,
		Realm: in.Realm, Dialed: in.Dialed, Caller: in.Caller}, in.Leg)
	if c == nil {
		return nil
	}
	s := &Session{Call: c, Realm: in.Realm, DeviceID: in.DeviceID, UserID: in.UserID, Dialed: in.Dialed,
		Caller: in.Caller, engine: e}
	c.Start(func(ctx context.Context) call.Cause { return e.lead(ctx, s, in.AccountID, nil) })
	return c
}

// lead leads a call from its number, or to a party that bugle calls itself, to its end, transfers included. What it and run
// keep on the stack they keep for as long as the parties talk, so documents are read in functions of their own.
func (e *Engine) lead(ctx context.Context, s *Session, accountID string, to *half) call.Cause {
	if cause := e.identify(ctx, s, accountID); cause != "" {
		return cause
	}
	var cause call.Cause
	if to != nil {
		cause = e.reach(ctx, s, to)
	} else {
		cause = e.dialed(ctx, s, s.Dialed, false)
	}
	for t := s.Call.TakeTransfer(); t != nil; t = s.Call.TakeTransfer() {
		cause = e.transferred(ctx, s, t)
		if ctx.Err() != nil || s.Call.Moved() {
			continue
		}
		if back, err := s.Call.Return(ctx, cause); err == nil && back {
			cause = ""
		}
	}
	return cause
}

// dialed routes a number and runs its flow.
func (e *Engine) dialed(ctx context.Context, s *Session, number string, transfer bool) call.Cause {
	flow, cause := e.find(ctx, s, number, transfer)
	if cause != "" {
		return cause
	}
	return e.run(ctx, s, flow)
}

// find routes a number: it returns the flow to run, or the cause for a number without one. A number that the endpoint may
// not call has the flow that says so; a transfer to it fails instead, since the party that would hear it did not ask, and so
// does a call that bugle makes itself.
func (e *Engine) find(ctx context.Context, s *Session, number string, transfer bool) (bugle.Flow, call.Cause) {
	route, err := e.router.route(ctx, &s.Account, number, s.DeviceID != "" || s.Origin != nil)
	s.Dialed, s.Number = number, route.Number
	if err != nil {
		s.Call.Describe(route.Number, "", s.Caller)
		return bugle.Flow{}, e.unroutable(ctx, s, err)
	}
	s.CallflowID, s.CaptureGroup, s.CaptureGroups = route.Callflow.ID, route.Capture, route.Captures
	if !s.ownRingback {
		s.Ringback = route.Callflow.Ringback
	}
	s.Call.Describe(route.Number, route.Callflow.ID, s.Caller)
	name := route.Callflow.ID
	if route.Callflow.Name != "" {
		name += " (" + route.Callflow.Name + ")"
	}
	s.Call.Note("callflow", name+" for "+route.Number)
	switch denied, cause := e.restricted(ctx, s, &route); {
	case cause != "":
		return bugle.Flow{}, cause
	case denied && (transfer || s.Origin != nil):
		return bugle.Flow{}, call.CallRejected
	case denied:
		return refusal(), ""
	}
	return preflow(&s.Account, route.Callflow.Flow), ""
}

// unroutable is the cause for a number without a callflow: RFC 3261 §21.4.5 404, or §21.4.22 484 when more digits could
// make it one.
func (e *Engine) unroutable(ctx context.Context, s *Session, err error) call.Cause {
	if bugle.KindOf(err) != bugle.KindNotFound {
		return e.failed(s, "callflow", err)
	}
	s.Call.Note("no callflow", s.Number)
	if s.Number == "" {
		return call.InvalidNumberFormat
	}
	if more, err := e.documents.NumberBegins(ctx, s.Account.ID, s.Number); err == nil && more && s.Number != noMatch {
		return call.InvalidNumberFormat
	}
	return call.UnallocatedNumber
}

// failed is the cause for documents that could not be read.
func (e *Engine) failed(s *Session, what string, err error) call.Cause {
	if bugle.KindOf(err) == bugle.KindNotFound {
		s.Call.Note("not found", what)
		return call.UnallocatedNumber
	}
	s.Call.Note("unavailable", what)
	if e.log != nil {
		e.log.Error("documents cannot be read", slog.String("call", s.Call.ID()), slog.String("what", what),
			slog.Any("error", err))
	}
	return call.TemporaryFailure
}

// transferred carries a transfer out: the target is a number of the account, dialled by the device that asked for it, and
// the party that is left is the caller. The host of a URI says nothing: nobody leaves the account this way.
func (e *Engine) transferred(ctx context.Context, s *Session, t *call.Transferred) call.Cause {
	s.DeviceID, s.UserID, s.Caller = t.DeviceID, t.UserID, t.Caller
	s.nodes, s.hops = 0, 0
	s.Callee, s.AutoAnswer, s.ownRingback = call.Party{}, false, false // they were for whom bugle has called
	switch {
	case t.To.Callflow != "":
		return e.chosen(ctx, s, t.To.Callflow)
	case !t.To.Flow.IsZero():
		return e.run(ctx, s, orAnew(s, t))
	case t.To.Number != "":
		return e.dialed(ctx, s, t.To.Number, true)
	}
	return e.dialed(ctx, s, userPart(t.Target), true)
}

// orAnew is the flow that a call is moved to. A caller who was taken out of a callflow before he talked to anybody begins
// that one anew when nobody answers him here either; nobody else would have him back.
func orAnew(s *Session, t *call.Transferred) bugle.Flow {
	flow := t.To.Flow
	if t.Alone && s.CallflowID != "" {
		id, _ := json.Marshal(s.CallflowID)
		flow.Children = map[string]bugle.Flow{"_": {Module: "callflow", Data: bugle.Fields{"id": id}}}
	}
	return flow
}

// chosen runs a callflow that was asked for by its id and not by a number. Nothing was dialled, so nothing is restricted.
func (e *Engine) chosen(ctx context.Context, s *Session, id string) call.Cause {
	flow, err := e.documents.Callflow(ctx, s.Account.ID, id)
	if err != nil {
		return e.failed(s, "callflow "+id, err)
	}
	s.CallflowID, s.CaptureGroup, s.CaptureGroups = flow.ID, "", nil
	s.Call.Describe(s.Number, flow.ID, s.Caller)
	s.Call.Note("callflow", flow.ID+" "+flow.Name)
	return e.run(ctx, s, preflow(&s.Account, flow.Flow))
}

func userPart(target string) string {
	target = strings.Trim(strings.TrimSpace(target), "<>")
	for _, scheme := range []string{"sip:", "sips:", "tel:"} {
		if len(target) > len(scheme) && strings.EqualFold(target[:len(scheme)], scheme) {
			target = target[len(scheme):]
			break
		}
	}
	target, _, _ = strings.Cut(target, "@")
	target, _, _ = strings.Cut(target, ";")
	if plain, err := url.PathUnescape(target); err == nil {
		return plain
	}
	return target
}

// identify fills in what the documents of the account, the caller's device and its owner say: who others see, and the
// language. It returns the cause to end the call with when there is no account.
func (e *Engine) identify(ctx context.Context, s *Session, accountID string) call.Cause {
	account, err := e.documents.Account(ctx, accountID)
	if err != nil {
		return e.failed(s, "account", err)
	}
	s.Account = account
	var device bugle.Device
	var user bugle.User
	if s.DeviceID != "" {
		device, _ = e.documents.Device(ctx, s.Account.ID, s.DeviceID) // without it the account's own settings hold
		s.UserID = cmp.Or(s.UserID, device.OwnerID)
	}
	if s.UserID != "" {
		user, _ = e.documents.User(ctx, s.Account.ID, s.UserID)
	}
	s.Language = cmp.Or(device.Language, user.Language, s.Account.Language)
	if s.Caller == (call.Party{}) {
		s.Caller = InternalParty(&s.Account, &device, &user)
	}
	return ""
}

// InternalParty is how a device and its owner (or the zero values) are shown to phones of the same account.
func InternalParty(account *bugle.Account, device *bugle.Device, user *bugle.User) call.Party {
	return call.Party{
		Name: cmp.Or(device.CallerID.InternalName, user.CallerID.InternalName, user.DisplayName(), device.Name,
			account.CallerID.InternalName, account.Name),
		Number: cmp.Or(device.CallerID.InternalNumber, user.CallerID.InternalNumber, device.PresenceID, user.PresenceID,
			account.CallerID.InternalNumber, device.SIP.Username),
	}
}
