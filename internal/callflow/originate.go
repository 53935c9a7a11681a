package callflow

import (
	"cmp"
	"context"
	"encoding/json"
	"sync"
	"time"

	"bugle"
	"bugle/internal/call"
	"bugle/internal/media"
)

// Origination is a call that bugle starts itself: the first party is called, and when it has answered, the second one is
// called for it.
type Origination struct {
	CallID        string // of the first half, unique; the second half's is CallID + "-b"
	AccountID     string
	By            Authorizing // who lets it happen; it may reach the no_match callflow
	First, Second Destination
	Timeout       time.Duration     // longest ringing of the first party, and again of the second; 0: DefaultOriginateTimeout
	AutoAnswer    bool              // the first party's phones are asked to answer by themselves; only devices of the account are
	EarlyMedia    bool              // the first party hears the second's early media in place of ring-back
	Ringback      string            // media reference that the first party hears while the second rings, "" for the ordinary tone
	HoldMusic     string            // media reference of music on hold, "" for what the documents say
	Headers       map[string]string // of every INVITE; those that the program writes itself are left out
	Variables     map[string]string // custom application variables: in the records of both halves, and shown with their channels
	Bypass        call.BypassMedia  // whether the phones may exchange their audio themselves
	PresenceID    string            // whose presence the call is, in the records; "" for none
}

// DefaultOriginateTimeout is how long each party of an Origination rings when nobody says.
const DefaultOriginateTimeout = 30 * time.Second

// Authorizing is who lets a call happen that no phone of the account makes.
type Authorizing struct {
	ID   string // of the document
	Type string // "clicktocall", "user", "device"
}

// Destination is a party of an Origination: exactly one of Number, URI, DeviceID and UserID is set.
type Destination struct {
	Number   string     // dialled in the account's dial plan: extension, directory, feature code, outside number
	URI      string     // SIP URI outside the account, reached through egress
	DeviceID string     // rings this device
	UserID   string     // rings this user's devices
	Caller   call.Party // who is calling, as this party sees it
	Callee   call.Party // how this party is shown to the other one
}

// OriginationState is how far an Origination has come.
type OriginationState uint8

// The states of an Origination. Those before OriginationEnded come at most once each, in this order; some may be left out.
const (
	FirstRinging OriginationState = iota + 1
	FirstAnswered
	SecondRinging
	Bridged // the second party has answered, and both talk
	OriginationEnded
)

// String is the state in a word: "first_ringing", "first_answered", "second_ringing", "bridged", "ended".
func (s OriginationState) String() string {
	if s < FirstRinging || s > OriginationEnded {
		return "unknown"
	}
	return [...]string{"first_ringing", "first_answered", "second_ringing", "bridged", "ended"}[s-1]
}

// OriginationEvent is what becomes of an Origination. Events are told in order, and never two of one origination at once.
type OriginationEvent struct {
	State OriginationState
	Cause call.Cause // of OriginationEnded, which is always the last and comes once: the true cause
	At    time.Time
}

// Originated is an Origination under way.
type Originated struct {
	engine *Engine
	order  Origination
	origin *call.Origin
	pair   *call.Loopback

	mu       sync.Mutex
	answered bool // the first party has
	over     bool
	on       func(OriginationEvent)
	waiting  []OriginationEvent
	telling  bool
}

// half is the party that one of the two calls is to reach.
type half struct {
	*Originated
	to     *Destination
	second bool
}

// Originate starts a call and returns at once; what becomes of it is told to on, which may block. The first party is called
// by a call of its own, as if a trusted endpoint of the account had dialled it, and so is the second when the first has
// answered. An order that names no party, or two for one, is KindInvalid; KindLimited says that no call is taken now. After
// an error nothing is told.
func (e *Engine) Originate(o Origination, on func(OriginationEvent)) (*Originated, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if e.calls.Loopbacks == nil {
		return nil, &bugle.Error{Op: "callflow.Originate", Kind: bugle.KindUnsupported, Message: "this server starts no calls itself"}
	}
	if !e.calls.Registry.Reserve(2) {
		return nil, &bugle.Error{Op: "callflow.Originate", Kind: bugle.KindLimited,
			Message: "there are too many calls, or the server is about to stop"}
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultOriginateTimeout
	}
	t := &Originated{engine: e, order: o, on: on,
		origin: &call.Origin{ID: o.By.ID, Type: o.By.Type, Variables: o.Variables, PresenceID: o.PresenceID}}
	var err error
	t.pair, err = call.NewLoopback(call.LoopbackOptions{FirstID: o.CallID, SecondID: o.CallID + "-b", Audio: e.calls.Loopbacks,
		Clock: e.calls.Clock, Timeout: o.Timeout, Ringback: e.calls.Ringback, Busy: e.calls.Busy, On: t.happened})
	if err != nil {
		e.calls.Registry.Release(2)
		return nil, err
	}
	t.start(&half{t, &t.order.First, false}, t.pair.First)
	return t, nil
}

// check says what is wrong with an order.
func (o *Origination) check() error {
	fail := func(field, message string) error {
		return &bugle.Error{Op: "callflow.Originate", Kind: bugle.KindInvalid, Field: field, Message: message}
	}
	if o.CallID == "" || o.AccountID == "" {
		return fail("call_id", "a call that the server starts needs a Call-ID and an account")
	}
	for _, party := range []struct {
		field string
		*Destination
	}{{"first", &o.First}, {"second", &o.Second}} {
		named := 0
		for _, name := range []string{party.Number, party.URI, party.DeviceID, party.UserID} {
			if name != "" {
				named++
			}
		}
		if named != 1 {
			return fail(party.field, "a party is exactly one of a number, a SIP URI, a device and a user")
		}
	}
	return nil
}

// Hangup ends both parties, whatever state the call is in.
func (t *Originated) Hangup() { t.pair.Cancel() }

// start begins one of the two calls.
func (t *Originated) start(h *half, leg *call.LoopbackLeg) {
	o, e := &t.order, t.engine
	about := call.About{ID: leg.ID(), AccountID: o.AccountID, Origin: t.origin,
		Dialed: cmp.Or(h.to.Number, h.to.URI, h.to.DeviceID, h.to.UserID), Caller: h.caller()}
	if h.to.Number != "" { // dialled by the endpoint that the call is made for, if it is one
		switch o.By.Type {
		case "device":
			about.DeviceID = o.By.ID
		case "user":
			about.UserID = o.By.ID
		}
	}
	c := call.NewReserved(e.calls, about, leg)
	c.SetBypass(o.Bypass)
	s := &Session{Call: c, DeviceID: about.DeviceID, UserID: about.UserID, Dialed: h.to.Number, Caller: about.Caller,
		Origin: t.origin, Callee: h.to.Callee, Headers: o.Headers, AutoAnswer: o.AutoAnswer && !h.second,
		IgnoreEarlyMedia: h.second && !o.EarlyMedia, ownRingback: h.second && o.Ringback != "", engine: e}
	c.Start(func(ctx context.Context) call.Cause { return e.lead(ctx, s, o.AccountID, h) })
	leg.Attach(c)
}

// caller is who calls, as the party sees it: what the order says, or how the other party is shown.
func (h *half) caller() call.Party {
	other := &h.order.First
	if !h.second {
		other = &h.order.Second
	}
	return cmp.Or(h.to.Caller, other.Callee, call.Party{Number: other.Number})
}

// reach calls a party of an Origination.
func (e *Engine) reach(ctx context.Context, s *Session, h *half) call.Cause {
	s.Realm = s.Account.Realm
	s.Call.Note("originated", s.Origin.Type+" "+s.Origin.ID)
	if !s.Account.Enabled {
		s.Call.Note("disabled", "account")
		return call.CallRejected
	}
	h.find(ctx, s)
	switch {
	case h.to.DeviceID != "":
		return e.run(ctx, s, h.rings("device", h.to.DeviceID))
	case h.to.UserID != "":
		return e.run(ctx, s, h.rings("user", h.to.UserID))
	case h.to.URI != "":
		return e.outside(ctx, s, h)
	}
	return e.dialed(ctx, s, h.to.Number, false)
}

// find looks for what the order has been given to be heard, while phones ring: it may take time.
func (h *half) find(ctx context.Context, s *Session) {
	look := func(what, reference string, use func([]*media.Clip)) {
		if reference == "" || h.engine.audio == nil {
			return
		}
		c, language := s.Call, s.Language
		h.work(func() {
			clips, err := h.engine.audio.Resolve(ctx, h.order.AccountID, language, reference)
			if err != nil {
				c.Note("no "+what, err.Error())
				return
			}
			use(clips)
		})
	}
	look("music on hold", h.order.HoldMusic, s.Call.SetHoldMusic)
	if !h.second {
		look("ringback", h.order.Ringback, h.pair.SetRingback)
	}
}

// rings is the flow that rings a device or the devices of a user.
func (h *half) rings(module, id string) bugle.Flow {
	name, _ := json.Marshal(id) // a string always can
	timeout, _ := json.Marshal(int((h.order.Timeout + time.Second - 1) / time.Second))
	return bugle.Flow{Module: module, Data: bugle.Fields{"id": name, "timeout": timeout, "can_call_self": []byte("true")}}
}

// outside calls a SIP URI.
func (e *Engine) outside(ctx context.Context, s *Session, h *half) call.Cause {
	target := call.Target{AccountID: s.Account.ID, Name: h.to.URI, URI: h.to.URI, Realm: s.Realm, Caller: s.Caller,
		Callee: h.to.Callee, Headers: h.order.Headers}
	_, _ = s.Call.Dial(ctx, []call.Endpoint{{Name: h.to.URI, Targets: []call.Target{target}}}, // how it failed the call knows
		call.DialOptions{Timeout: h.order.Timeout, IgnoreEarlyMedia: s.IgnoreEarlyMedia})
	return ""
}

// happened is told of what the two legs do. It is called with their lock held.
func (t *Originated) happened(event call.LoopbackEvent) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch event.State {
	case call.FirstAnswers:
		t.answered = true
		t.work(t.second)
	case call.LoopbackEnded:
		t.over = true
		if !t.answered { // there will be no second call
			t.engine.calls.Registry.Release(1)
		}
	}
	if t.on == nil {
		return
	}
	t.waiting = append(t.waiting, OriginationEvent{State: OriginationState(event.State), Cause: event.Cause, At: t.now()})
	if !t.telling {
		t.telling = true
		t.work(t.tell)
	}
}

// second begins the call to the second party.
func (t *Originated) second() {
	t.mu.Lock()
	over := t.over
	t.mu.Unlock()
	if over {
		t.engine.calls.Registry.Release(1)
		return
	}
	t.start(&half{t, &t.order.Second, true}, t.pair.Second)
}

func (t *Originated) now() time.Time {
	if clock := t.engine.calls.Clock; clock != nil {
		return clock.Now()
	}
	return time.Now()
}

// work runs f on a goroutine of its own that a virtual clock waits for. A panic of it is counted.
func (t *Originated) work(f func()) {
	activity := t.engine.calls.Activity
	if activity != nil {
		activity.Begin()
	}
	go func() {
		if activity != nil {
			defer activity.End()
		}
		defer t.recovered()
		f()
	}()
}

func (t *Originated) recovered() {
	if v := recover(); v != nil && t.engine.calls.OnPanic != nil {
		t.engine.calls.OnPanic(v)
	}
}

// tell tells what waits to be told.
func (t *Originated) tell() {
	for {
		t.mu.Lock()
		if len(t.waiting) == 0 {
			t.telling, t.waiting = false, nil
			t.mu.Unlock()
			return
		}
		event := t.waiting[0]
		t.waiting = t.waiting[1:]
		t.mu.Unlock()
		t.told(event)
	}
}

func (t *Originated) told(event OriginationEvent) {
	defer t.recovered() // who listens is told of what follows all the same
	t.on(event)
}
