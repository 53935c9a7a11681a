package clicktocall

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"bugle"
	"bugle/internal/call"
	"bugle/internal/callflow"
	"bugle/internal/store"
)

// Originator makes calls; *callflow.Engine is one, behind an adapter for what it returns.
type Originator interface {
	// Originate begins a call and returns at once. KindLimited when no call is taken now; then nothing is told.
	Originate(o callflow.Origination, on func(callflow.OriginationEvent)) (Call, error)
}

// Call is a call that was begun.
type Call interface {
	Hangup() // ends both parties, whatever state it is in
}

// Documents are what is read for attempts that were scheduled. What does not exist is KindNotFound.
type Documents interface {
	Account(ctx context.Context, accountID string) (bugle.Account, error)
	ClickToCall(ctx context.Context, accountID, id string) (bugle.ClickToCall, error)
}

// Store keeps attempts; *store.Store is one.
type Store interface {
	PlaceAttempt(ctx context.Context, row store.AttemptRow, p store.Placing) (store.Placed, error)
	UnplaceAttempt(ctx context.Context, endpointID, token string, at time.Time) error
	SubmitAttempt(row store.AttemptRow, done func(error))
	GetAttempt(ctx context.Context, accountID, endpointID, id string) (store.AttemptRow, error)
	AttemptByKey(ctx context.Context, endpointID, key string) (store.AttemptRow, error)
	CancelScheduled(ctx context.Context, id, state, cause string, now time.Time) (bool, error)
	TakeThrottle(ctx context.Context, endpointID string, now time.Time, throttle time.Duration) (time.Duration, error)
	ClaimAttempts(ctx context.Context, node, state string, now, lease time.Time, limit int) ([]store.AttemptRow, error)
	RenewAttempts(ctx context.Context, node string, ids []string, lease time.Time) error
	EndLostAttempts(ctx context.Context, now time.Time, talked, otherwise, cause string) ([]store.AttemptRow, error)
}

// Options are what a Service works with. Store, Documents, DialPlan and Originator are required.
type Options struct {
	Store      Store
	Documents  Documents
	DialPlan   DialPlan
	Originator Originator
	Egress     Egress // judges the hosts of SIP URIs; nil: any passes, until it is dialled
	Limits     Limits
	Now        func() time.Time // nil: time.Now
	Log        *slog.Logger     // nil: silent
	// Notify is told each new state of each attempt, in order for one attempt, but not of attempts that were refused when they
	// were asked for. It must not block, nor ask the service. nil: nobody is told.
	Notify  func(Event)
	OnPanic func(any) // told of a panic of a goroutine; may be nil
}

// Event is a new state of an attempt.
type Event struct {
	AttemptID, AccountID, EndpointID string
	Contact, CallID                  string
	State                            State
	Cause                            string // of the last state
	At                               time.Time
}

// State is how far an attempt has come.
type State string

// The states of an attempt. The last four are final.
const (
	Scheduled     State = store.AttemptScheduled
	Starting      State = "starting"
	Ringing       State = "ringing"  // the first party
	Answered      State = "answered" // by the first party
	SecondRinging State = "second_ringing"
	Bridged       State = "bridged"    // the second party has answered, and they talk
	Ended         State = "ended"      // they have talked
	Unanswered    State = "unanswered" // it is over and they have not
	Refused       State = "refused"
	Canceled      State = "canceled" // before it was due
)

// Final reports whether no other state follows.
func (s State) Final() bool { return s == Ended || s == Unanswered || s == Refused || s == Canceled }

// Causes that no call has.
const (
	CauseTimedOut = "timed out"            // a blocking connect that was not decided in its time
	CauseLost     = "the server stopped"   // while it held the call
	CauseDeleted  = "endpoint was deleted" // or its account, before a scheduled attempt was due
	CauseTooLate  = "no server was there when it was due"
	CauseCanceled = "canceled"
)

const (
	leaseTime   = time.Minute // how long after the end of a process its attempts are ended
	renewEvery  = leaseTime / 4
	tickEvery   = time.Second
	lostEvery   = 10 * time.Second
	claimAtOnce = 50
	maxOwed     = 20_000 // attempts that wait to be written
	storeWait   = 20 * time.Second
)

// Service decides about attempts and follows them. It is safe for concurrent use.
type Service struct {
	o           Options
	node        string
	perAddress  *limiters
	perEndpoint *limiters

	mu      sync.Mutex
	held    map[string]*held // attempts whose call is here, and those that are not written yet
	waiting int              // who wait for a state

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// New starts a service. Close ends it.
func New(o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Notify == nil {
		o.Notify = func(Event) {}
	}
	if o.OnPanic == nil {
		o.OnPanic = func(any) {}
	}
	if o.Limits.PerAddress <= 0 {
		o.Limits.PerAddress = 5
	}
	if o.Limits.PerEndpoint <= 0 {
		o.Limits.PerEndpoint = 30
	}
	s := &Service{o: o, node: bugle.NewID(), perAddress: newLimiters(o.Limits.PerAddress),
		perEndpoint: newLimiters(o.Limits.PerEndpoint), held: map[string]*held{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.wg.Go(s.run)
	return s
}

// Close ends what the service does on its own. Calls that are up are not ended; what becomes of them is still written as
// long as the store takes it.
func (s *Service) Close() {
	s.cancel()
	s.wg.Wait()
	s.repay()
}

// run writes what could not be written, keeps the leases of calls, makes scheduled calls and ends attempts of the dead.
func (s *Service) run() {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	var renewed, looked time.Time
	for {
		s.guarded(func() {
			s.repay()
			now := s.now()
			if now.Sub(renewed) >= renewEvery {
				renewed = now
				s.renew(s.ctx, now)
			}
			if now.Sub(looked) >= lostEvery {
				looked = now
				s.endLost(s.ctx, now)
			}
			s.due(s.ctx, now)
		})
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (s *Service) guarded(f func()) {
	defer func() {
		if v := recover(); v != nil {
			s.o.Log.Error("click-to-call panicked", "panic", v)
			s.o.OnPanic(v)
		}
	}()
	f()
}

// now is the time as the database keeps it.
func (s *Service) now() time.Time { return s.o.Now().UTC().Truncate(time.Microsecond) }

func (s *Service) renew(ctx context.Context, now time.Time) {
	s.mu.Lock()
	ids := make([]string, 0, len(s.held))
	for id, h := range s.held {
		if !h.over() {
			ids = append(ids, id)
		}
	}
	s.mu.Unlock()
	if err := s.o.Store.RenewAttempts(ctx, s.node, ids, now.Add(leaseTime)); err != nil && ctx.Err() == nil {
		s.o.Log.Warn("the leases of attempts were not renewed", "error", err)
	}
}

// endLost ends the attempts of processes that are gone.
func (s *Service) endLost(ctx context.Context, now time.Time) {
	rows, err := s.o.Store.EndLostAttempts(ctx, now, string(Ended), string(Unanswered), CauseLost)
	if err != nil {
		if ctx.Err() == nil {
			s.o.Log.Warn("attempts of a process that is gone were not ended", "error", err)
		}
		return
	}
	for i := range rows {
		s.o.Log.Warn("an attempt was left by a process that is gone", "attempt", rows[i].ID, "call", rows[i].CallID)
		s.o.Notify(eventOf(&rows[i], now))
	}
}

func eventOf(row *store.AttemptRow, at time.Time) Event {
	return Event{AttemptID: row.ID, AccountID: row.AccountID, EndpointID: row.EndpointID, Contact: row.Contact, CallID: row.CallID,
		State: State(row.State), Cause: row.Cause, At: at}
}

// asked is what an attempt is made of again when it is due.
type asked struct {
	Contact    string            `json:"contact"` // as it was sent
	AutoAnswer bool              `json:"auto_answer,omitempty"`
	Variables  map[string]string `json:"variables,omitempty"`
	At         time.Time         `json:"at,omitzero"`        // when it was to be made
	Stranger   bool              `json:"stranger,omitempty"` // nobody vouches for who asked
}

func (a asked) encode() json.RawMessage {
	text, _ := json.Marshal(a) // strings and booleans
	return text
}

// origination is the call of an attempt.
func origination(account *bugle.Account, e *bugle.ClickToCall, c *Contact, contact, callID string, a *asked) callflow.Origination {
	first := func(values ...string) string {
		for _, v := range values {
			if v != "" {
				return v
			}
		}
		return ""
	}
	outside := call.Party{Name: e.Name, Number: first(e.CallerIDNumber, contact)}
	inside := call.Party{Name: first(e.CalleeIDName, e.Extension), Number: first(e.CalleeIDNumber, e.Extension)}
	inside.Number = callflow.NormaliseNumber(*account, inside.Number)
	o := callflow.Origination{CallID: callID, AccountID: account.ID, By: callflow.Authorizing{ID: e.ID, Type: "clicktocall"},
		Timeout: time.Duration(e.Timeout) * time.Second, AutoAnswer: a.AutoAnswer, EarlyMedia: !e.IgnoreEarlyMedia, Ringback: e.Ringback,
		HoldMusic: e.MusicOnHold, Headers: e.Headers, Variables: a.Variables, PresenceID: e.PresenceID}
	extension := callflow.Destination{Number: e.Extension, Caller: outside, Callee: inside}
	person := callflow.Destination{Number: c.Number, URI: c.URI, Caller: inside, Callee: outside}
	switch e.BypassMedia {
	case "true":
		o.Bypass = call.BypassAlways
	case "auto":
		o.Bypass = call.BypassAuto
	}
	if o.First, o.Second = extension, person; e.ContactFirst {
		o.First, o.Second = person, extension
	}
	return o
}
