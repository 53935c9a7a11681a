package call

import "context"

// Call is a call: its legs, their bridge, and the flow that leads it.
type Call struct{}

// New returns a call of an unanswered inbound leg, nil when the registry takes no more calls. Its leg's events are to be
// posted to it, and Start follows.
func New(settings *Settings, about About, leg Leg) *Call { return &Call{} }

// Start runs flow on the call's flow goroutine. ctx ends when the call does. When flow returns, the call ends with the
// cause it returns; "" stands for what fits: NORMAL_CLEARING for a caller who was answered, the cause of the last leg
// that failed, or a status of 480.
func (c *Call) Start(flow func(ctx context.Context) Cause) {}

// Post takes an event of one of the call's legs.
func (c *Call) Post(leg Leg, event Event) {}
