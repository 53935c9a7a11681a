package call

import (
	"context"
	"slices"
	"strconv"
	"time"

	"bugle/internal/media"
)

// Strategy says in which order Dial rings endpoints.
type Strategy uint8

// The strategies of Dial.
const (
	Simultaneous Strategy = iota // all at once, each after its delay
	Single                       // one after the other
)

// DefaultRing is how long an endpoint rings when nobody says.
const DefaultRing = 20 * time.Second

// Endpoint is one phone, or one address, to ring: all of its targets at once. One without targets is a phone that is not
// registered.
type Endpoint struct {
	Name    string // for trail and log: "Ann Lee's phone"
	Targets []Target
	Delay   time.Duration // wait before it is rung
	Timeout time.Duration // longest ringing; 0: DialOptions.Timeout
}

// DialOptions say how Dial rings.
type DialOptions struct {
	Strategy Strategy
	Timeout  time.Duration // longest ringing of each endpoint that has no Timeout of its own; 0: DefaultRing
	Ringback []*media.Clip // what the caller hears instead of 180 or the ordinary ring-back tone
	// IgnoreEarlyMedia keeps a ringing phone's own audio from the caller. It is kept from him anyway when more than one
	// phone rings.
	IgnoreEarlyMedia bool
	// FailOnSingleReject ends all ringing when one phone is busy or rejects the call.
	FailOnSingleReject bool
}

// DialResult is what came of Dial.
type DialResult struct {
	Answered bool
	Target   *Target // who answered, nil when nobody did; it is one of the endpoints' targets
	Talk     time.Duration
	// Cause and Status are those of the last leg that failed, for a call that nobody answered. Status is 0 when no SIP
	// response came of it: a phone that is not registered, or rang for too long.
	Cause  Cause
	Status int
}

// Dial rings endpoints. The first that answers is bridged with the caller, who is answered then, and the others are told
// that the call was completed elsewhere; Dial returns when the bridge ends, or when nobody is left to answer. A caller who
// hangs up cancels all of it.
func (c *Call) Dial(ctx context.Context, endpoints []Endpoint, options DialOptions) (DialResult, error) {
	op := &dialling{endpoints: endpoints, options: options}
	err := c.ask(ctx, op)
	return op.result, err
}

type dialling struct {
	outcome
	endpoints []Endpoint
	options   DialOptions
	rings     []*ring // in the order in which they began
	open      int     // endpoints that may still answer
	next      int     // Single: the endpoint after this one
	targets   int
	audible   bool // the caller hears ringing
	tone      int  // token of the ring-back tone, 0 for none
	early     *party
	winner    *party
	bridgedAt time.Time
	result    DialResult
}

// ring is one endpoint being rung, or waiting for its delay.
type ring struct {
	endpoint *Endpoint
	parties  []*party
	alarm    *alarm
	over     bool
}

func (o *dialling) begin(c *Call) {
	o.open = len(o.endpoints)
	o.result = DialResult{Cause: SubscriberAbsent}
	for i := range o.endpoints {
		o.targets += len(o.endpoints[i].Targets)
	}
	c.detect(false)
	if o.open == 0 {
		o.fail(c, failure{cause: SubscriberAbsent})
		c.complete(nil)
		return
	}
	if o.options.Strategy == Single {
		o.nextEndpoint(c)
		return
	}
	for i := range o.endpoints {
		if c.op == o { // a reject may already have ended it
			o.plan(c, &o.endpoints[i])
		}
	}
}

func (o *dialling) nextEndpoint(c *Call) {
	e := &o.endpoints[o.next]
	o.next++
	o.plan(c, e)
}

// plan rings an endpoint after its delay.
func (o *dialling) plan(c *Call, e *Endpoint) {
	r := &ring{endpoint: e}
	o.rings = append(o.rings, r)
	if e.Delay > 0 {
		r.alarm = c.after(e.Delay, func() { o.start(c, r) })
		return
	}
	o.start(c, r)
}

// start rings all targets of an endpoint.
func (o *dialling) start(c *Call, r *ring) {
	e := r.endpoint
	if len(e.Targets) == 0 {
		c.note("not registered", e.Name)
		o.failed(c, r, failure{cause: SubscriberAbsent})
		return
	}
	timeout := e.Timeout
	if timeout <= 0 {
		timeout = o.options.Timeout
	}
	if timeout <= 0 {
		timeout = DefaultRing
	}
	r.alarm = c.after(timeout, func() { o.ringTimeout(c, r) })
	for i := range e.Targets {
		p := c.originate(&e.Targets[i])
		r.parties = append(r.parties, p)
	}
}

// originate starts an outbound leg.
func (c *Call) originate(t *Target) *party {
	c.legsMade++
	id := c.about.ID + "-" + strconv.Itoa(c.legsMade)
	p := &party{target: t, started: c.clock.Now()}
	c.note("dials", c.nameOf(p))
	p.leg = c.settings.Originator.Originate(id, *t, c)
	c.legs = append(c.legs, p)
	c.tell(p, LegCreated, "")
	c.changed()
	return p
}

func (o *dialling) onEvent(c *Call, p *party, e Event) {
	if o.winner != nil {
		o.bridgeEvent(c, p, e)
		return
	}
	r := o.ringOf(p)
	if r == nil {
		return
	}
	switch e := e.(type) {
	case Ringing:
		c.note("rings", c.nameOf(p))
		c.reportReferral(180)
		o.alert(c, p, e.Early)
	case Answered:
		o.won(c, p)
	case Ended:
		c.note("failed", c.nameOf(p)+": "+string(e.Cause)+statusText(e.Status))
		r.parties = slices.DeleteFunc(r.parties, func(q *party) bool { return q == p })
		if o.early == p {
			o.early, o.audible = nil, false
		}
		f := failure{e.Cause, e.Status}
		if o.options.FailOnSingleReject && (e.Cause == UserBusy || e.Cause == CallRejected) {
			o.fail(c, f)
			c.complete(nil)
			return
		}
		if len(r.parties) > 0 {
			o.fail(c, f)
			return
		}
		o.failed(c, r, f)
	}
}

func statusText(status int) string {
	if status == 0 {
		return ""
	}
	return " (" + strconv.Itoa(status) + ")"
}

func (o *dialling) ringOf(p *party) *ring {
	for _, r := range o.rings {
		if slices.Contains(r.parties, p) {
			return r
		}
	}
	return nil
}

// alert lets the caller hear that somebody is being rung: the phone's own early media when it is the only one, else 180,
// else a tone.
func (o *dialling) alert(c *Call, p *party, early bool) {
	switch {
	case early && o.early == nil && o.targets == 1 && !o.options.IgnoreEarlyMedia && len(o.options.Ringback) == 0:
		o.silence(c)
		c.hear()
		c.caller.leg.Join(p.leg)
		o.early = p
	case o.audible:
		return
	case len(o.options.Ringback) > 0:
		o.tone = c.play(o.options.Ringback, true)
	case c.caller.answered || c.caller.progressed:
		if len(c.settings.Ringback) > 0 {
			o.tone = c.play(c.settings.Ringback, true)
		}
	default:
		c.caller.leg.Ring()
	}
	o.audible = true
}

func (o *dialling) silence(c *Call) {
	if o.tone != 0 {
		o.tone = 0
		c.caller.leg.StopPlay()
	}
}

// ringTimeout gives an endpoint up.
func (o *dialling) ringTimeout(c *Call, r *ring) {
	c.note("no answer", r.endpoint.Name)
	for _, p := range r.parties {
		c.drop(p, NoAnswer)
	}
	r.parties = nil
	o.failed(c, r, failure{cause: NoAnswer})
}

// failed ends an endpoint, and the dialling when it was the last.
func (o *dialling) failed(c *Call, r *ring, f failure) {
	r.alarm.stop()
	r.over = true
	o.open--
	o.fail(c, f)
	switch {
	case o.open == 0:
		c.complete(nil)
	case o.options.Strategy == Single:
		o.nextEndpoint(c)
	}
}

func (o *dialling) fail(c *Call, f failure) {
	c.failed = f
	o.result.Cause, o.result.Status = f.cause, f.status
}

// lose releases everybody who still rings.
func (o *dialling) lose(c *Call, cause Cause) {
	for _, r := range o.rings {
		r.alarm.stop()
		for _, p := range r.parties {
			if p != o.winner {
				c.drop(p, cause)
			}
		}
		r.parties = nil
	}
	if !c.ended {
		o.silence(c)
	}
}

// release leaves nobody ringing or talking: the flow goes on without them.
func (o *dialling) release(c *Call) {
	o.lose(c, OriginatorCancel)
	if o.winner != nil && slices.Contains(c.legs, o.winner) {
		c.drop(o.winner, ending(o.winner, c.cause))
	}
}
