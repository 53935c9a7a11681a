package call

import (
	"context"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"bugle/internal/media"
)

// Call is a call: its legs, their bridge, and the flow that leads it. Its loop (inbox.go) handles one thing at a time
// and owns everything below the line; the flow goroutine only asks it.
type Call struct {
	settings *Settings
	about    About
	clock    Clock
	activity Activity
	ctx      context.Context
	cancel   context.CancelFunc
	in       inbox
	wake     chan struct{} // the flow's current request is completed
	asking   atomic.Bool
	info     atomic.Pointer[Info]
	moved    atomic.Pointer[Transferred] // a transfer that the flow has not taken yet
	reserved bool                        // its place in the registry was reserved

	// ----

	caller    *party
	peer      *party   // who the caller talks to
	talked    LegInfo  // who that is, or was last
	legs      []*party // outbound legs that are rung or talked to
	op        operation
	typed     []byte // keys that nobody has asked for yet
	detecting bool
	token     int // of the last Play
	longest   *alarm
	legsMade  int
	referral  *referral
	music     []*media.Clip // on hold, in place of what documents say
	slot      *slot         // in which the caller is parked, nil for none
	bypass    BypassMedia
	bypasses  int // of this bridge so far

	number, flow      string
	started, answered time.Time
	bridged, over     time.Time
	failed            failure // last leg that failed
	ended             bool
	remote, gone      bool // a party ended it; the caller's leg is over
	cause             Cause
	fault             Fault
	status            int
	rejectStatus      int
	rejectReason      string
	trail             []Step
	dirty             bool
}

// failure is how a leg failed.
type failure struct {
	cause  Cause
	status int
}

// party is one leg of the call.
type party struct {
	leg        Leg
	target     *Target // nil for the inbound leg
	started    time.Time
	answered   bool
	progressed bool // early media is open
	held       bool // it has put the call on hold
	music      int  // token of the music on hold that it hears, 0 for none
	inbound    bool // it has called in to take another party's place
	lent       bool // another call is asked to take it over (attended.go)

	created, destroyed bool // it was told
	answeredAt         time.Time
}

// New returns a call of an unanswered inbound leg, nil when the registry takes no more calls. Its leg's events are to be
// posted to it, and Start follows.
func New(settings *Settings, about About, leg Leg) *Call { return newCall(settings, about, leg, false) }

// NewReserved is New of a call whose place the registry has reserved, which it uses up. It is never nil.
func NewReserved(settings *Settings, about About, leg Leg) *Call {
	return newCall(settings, about, leg, true)
}

func newCall(settings *Settings, about About, leg Leg, reserved bool) *Call {
	c := &Call{settings: settings, reserved: reserved, about: about, clock: settings.clock(), activity: settings.Activity,
		wake: make(chan struct{}, 1)}
	if c.activity == nil {
		c.activity = noActivity{}
	}
	c.in.limit = settings.Inbox
	if c.in.limit <= 0 {
		c.in.limit = DefaultInbox
	}
	c.started = c.clock.Now()
	c.caller = &party{leg: leg, started: c.started}
	c.trail = make([]Step, 0, 12)
	c.ctx, c.cancel = context.WithCancel(context.Background())
	if !settings.Registry.add(c) {
		c.cancel()
		return nil
	}
	return c
}

// Start runs flow on the call's flow goroutine. ctx ends when the call does. When flow returns, the call ends with the
// cause it returns; "" stands for what fits: NORMAL_CLEARING for a caller who was answered, the cause of the last leg
// that failed, or a status of 480.
func (c *Call) Start(flow func(ctx context.Context) Cause) {
	c.do(func() {
		c.note("call", c.about.Dialed)
		limit := c.settings.Limit
		if limit <= 0 {
			limit = DefaultLimit
		}
		c.longest = c.after(limit, func() {
			c.note("limit", limit.String())
			c.end(AllottedTimeout, NoFault)
		})
	})
	c.activity.Begin()
	go c.runFlow(flow)
}

func (c *Call) runFlow(flow func(ctx context.Context) Cause) {
	last := flowEnded{cause: TemporaryFailure, fault: OurFault}
	defer c.activity.End()
	defer func() {
		if v := recover(); v != nil {
			c.counted(v)
		}
		c.post(item{event: last})
	}()
	cause := flow(c.ctx)
	last = flowEnded{cause: cause}
}

// flowEnded ends the call, when it has not ended already, and lets go of it: nothing happens on it afterwards.
func (c *Call) flowEnded(e flowEnded) {
	cause, fault := e.cause, e.fault
	switch cause {
	case "":
		cause, fault = c.natural()
	case UnallocatedNumber, InvalidNumberFormat:
		fault = CallerFault
	case BearerNotAvailable:
		fault = ConfigurationFault
	}
	c.end(cause, fault)
	c.finish()
}

// natural is the cause of a flow that ended by itself.
func (c *Call) natural() (Cause, Fault) {
	if c.caller.answered {
		return NormalClearing, NoFault
	}
	return c.unanswered()
}

// unanswered is why a flow that ended by itself reached nobody.
func (c *Call) unanswered() (Cause, Fault) {
	if c.failed.cause != "" {
		return c.failed.cause, PeerFault
	}
	return NoAnswer, ConfigurationFault
}

// end ends the call: whoever waits for it is woken and every leg is hung up. It does nothing the second time.
func (c *Call) end(cause Cause, fault Fault) {
	if c.ended {
		return
	}
	c.ended, c.cause, c.fault, c.over = true, cause, fault, c.clock.Now()
	c.note("ended", string(cause))
	c.cancel()
	c.longest.stop()
	c.guard(func() { c.leaveSlot(LegAbandoned) })
	c.guard(func() { c.complete(ErrEnded) })
	for _, p := range slices.Clone(c.legs) {
		c.guard(func() { c.drop(p, ending(p, cause)) })
	}
	c.guard(func() { c.endReferral(OriginatorCancel.Status()) })
	if !c.gone {
		c.guard(c.endCaller)
	}
	c.changed()
}

// ending is the cause that a party is told when the call ends with cause.
func ending(p *party, cause Cause) Cause {
	switch {
	case cause == AllottedTimeout:
		return cause
	case p.answered:
		return NormalClearing
	}
	return OriginatorCancel
}

func (c *Call) endCaller() {
	p := c.caller
	if p.lent {
		return
	}
	c.tell(p, LegDestroyed, c.cause)
	if p.answered {
		p.leg.Hangup(c.cause)
		return
	}
	c.status = c.cause.Status()
	if c.rejectStatus != 0 {
		c.status = c.rejectStatus
		if r, ok := p.leg.(Rejecter); ok {
			r.Reject(c.rejectStatus, c.rejectReason)
			return
		}
	}
	p.leg.Hangup(c.cause)
}

// guard keeps a panic of one leg from the others.
func (c *Call) guard(f func()) {
	defer func() {
		if v := recover(); v != nil {
			c.counted(v)
		}
	}()
	f()
}

func (c *Call) finish() {
	for _, it := range c.in.close() {
		c.guard(it.drop)
		c.activity.End()
	}
	c.publish()
	if c.settings.OnEnd != nil { // first, so that a server that drains does not stop before the call's record is on its way
		c.guard(func() { c.settings.OnEnd(c.report()) })
	}
	c.settings.Registry.remove(c)
}

func (c *Call) report() Report {
	return Report{Info: *c.picture(), Ended: c.over, Cause: c.cause, Status: c.status, Remote: c.remote,
		Fault: c.fault, Peer: c.talked, Trail: c.trail}
}

// drop hangs a leg up and forgets it: what it still says is not heard.
func (c *Call) drop(p *party, cause Cause) {
	c.tell(p, LegDestroyed, cause)
	c.forget(p)
	if !p.lent { // otherwise whoever has it in the end sees to it
		p.leg.Hangup(cause)
	}
}

func (c *Call) forget(p *party) {
	if i := slices.Index(c.legs, p); i >= 0 {
		c.legs = slices.Delete(c.legs, i, i+1)
	}
	if c.peer == p {
		c.peer = nil
		c.tendHold()
	}
	c.changed()
}

// note adds a step to the trail and logs it.
func (c *Call) note(name, detail string) {
	switch {
	case len(c.trail) < maxTrail:
		c.trail = append(c.trail, Step{At: c.clock.Now(), Name: name, Detail: detail})
	case len(c.trail) == maxTrail:
		c.trail = append(c.trail, Step{At: c.clock.Now(), Name: "...", Detail: "the trail is full"})
	}
	if c.settings.OnStep != nil {
		c.settings.OnStep(c.about.ID, Step{At: c.clock.Now(), Name: name, Detail: detail})
	}
	if log := c.settings.Log; log != nil && log.Enabled(c.ctx, slog.LevelInfo) {
		log.LogAttrs(c.ctx, slog.LevelInfo, name, slog.String("call", c.about.ID), slog.String("detail", detail))
	}
}

// counted logs what was recovered from a panic, with its stack, and has it counted.
func (c *Call) counted(v any) {
	if log := c.settings.Log; log != nil {
		log.LogAttrs(c.ctx, slog.LevelError, "panic", slog.String("call", c.about.ID), slog.Any("panic", v),
			slog.String("stack", string(debug.Stack())))
	}
	if c.settings.OnPanic != nil {
		c.settings.OnPanic(v)
	}
}
