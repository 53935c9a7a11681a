package sipua

import (
	"cmp"
	"context"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"bugle/internal/call"
	"bugle/internal/media"
	"bugle/internal/registrar"
	"bugle/internal/sip"
)

const (
	allowed        = "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, INFO, PRACK, UPDATE, REFER"
	supported      = "100rel, timer, path, replaces"
	acceptedBodies = "application/sdp, application/dtmf-relay, application/dtmf, message/sipfrag"
	lookupTimeout  = 3 * time.Second
	retryAfter     = 5 // seconds, in a 503 that is not the stack's own
	maxForks       = 20
	maxDelayed     = 500 // digest answers held back at a time
	maxLookups     = 200 // names resolved at a time for outbound legs
)

// Extensions are the option tags that a Require header may hold, for the stack's Options.Supported.
func Extensions() []string { return []string{"100rel", "timer", "path", "replaces"} }

// Egress judges and finds the addresses of those that are not registered; *egress.Guard is one.
type Egress interface {
	Check(netip.Addr) error
	Resolve(ctx context.Context, host string, port int, transport string) ([]netip.AddrPort, error)
}

// Options configure an Agent. Media, Registrar, Directory, Invites and Egress are required.
type Options struct {
	Media     *media.Engine
	Registrar *registrar.Registrar
	Directory Directory
	Invites   InviteHandler
	Egress    Egress
	Clock     sip.Clock // nil: the machine's
	Log       *slog.Logger
	OnPanic   func(any)

	// Digest is what is offered where a device says nothing: DigestMD5 (default), DigestSHA256 or DigestBoth.
	Digest string
	// MaxCalls is how many inbound calls there may be at a time; one more is answered 503. 0 is no limit.
	MaxCalls int
	// SessionExpires is the session interval that outbound calls ask for and inbound ones are held to at most; 0 is 1800 s.
	SessionExpires time.Duration
	// UserAgent is the value of User-Agent and Server, "bugle" by default.
	UserAgent string
	// T1 and T2 are RFC 3261's estimates for what the agent itself repeats (2xx, reliable provisionals); 0 for 500 ms and 4 s.
	T1, T2 time.Duration
}

// Agent answers requests that the stack hands it and starts outbound legs.
type Agent struct {
	opts      Options
	stack     *sip.Stack
	nonces    *nonces
	penalties *penalties
	dummy     string // password of those who do not exist
	tags      tagMaker

	mu       sync.Mutex
	dialogs  map[dialogID]*leg
	inbound  int
	draining bool
	closed   bool
	idle     chan struct{} // closed when draining and no leg is left
	delayed  int
	lookups  int
	resolve  sync.WaitGroup // look-ups that run
}

// dialogID finds a leg: the Call-ID and our tag. The other side's tag is checked by the leg, which may have several of them
// while its INVITE is being forked.
type dialogID struct{ callID, tag string }

// New returns an agent. Attach must be called with the stack before the first request.
func New(opts Options) *Agent {
	if opts.Clock == nil {
		opts.Clock = sip.SystemClock{}
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.OnPanic == nil {
		opts.OnPanic = func(any) {}
	}
	opts.Digest = cmp.Or(opts.Digest, DigestMD5)
	opts.SessionExpires = cmp.Or(opts.SessionExpires, usualSessionExpires*time.Second)
	opts.UserAgent = cmp.Or(opts.UserAgent, "bugle")
	opts.T1 = cmp.Or(opts.T1, 500*time.Millisecond)
	opts.T2 = cmp.Or(opts.T2, 4*time.Second)
	return &Agent{opts: opts, nonces: newNonces(opts.Clock.Now), penalties: newPenalties(opts.Clock.Now),
		dummy: randomToken(), tags: newTagMaker(), dialogs: map[dialogID]*leg{}, idle: make(chan struct{})}
}

// Attach gives the agent the stack that it sends with, whose OnRequest and OnACK are the agent's HandleRequest and
// HandleACK.
func (a *Agent) Attach(stack *sip.Stack) { a.stack = stack }

// HandleRequest answers every request but ACK and CANCEL.
func (a *Agent) HandleRequest(tx *sip.ServerTransaction, req *sip.Message) {
	defer func() {
		if v := recover(); v != nil {
			a.panicked(v)
			a.reply(tx, req, 500, "")
		}
	}()
	if req.ToTag() != "" {
		a.inDialog(tx, req)
		return
	}
	switch req.Method() {
	case sip.INVITE:
		a.invite(tx, req)
	case sip.REGISTER:
		a.register(tx, req)
	case sip.OPTIONS:
		a.options(tx, req)
	case sip.BYE, sip.INFO, sip.PRACK, sip.UPDATE, sip.NOTIFY, sip.CANCEL:
		a.reply(tx, req, 481, "") // they belong to a dialog, and there is none without a To tag
	default:
		a.refuseMethod(tx, req)
	}
}

// refuseMethod answers 405 for a method that exists and 501 for one that does not (RFC 3261 §8.2.1).
func (a *Agent) refuseMethod(tx *sip.ServerTransaction, req *sip.Message) {
	status := 405
	if !req.Method().Known() {
		status = 501
	}
	a.reply(tx, req, status, "", header{"Allow", allowed})
}

// options answers a question for our abilities (RFC 3261 §11.2), and a keep-alive. Draining it says 503, so that a proxy
// in front sends new calls elsewhere.
func (a *Agent) options(tx *sip.ServerTransaction, req *sip.Message) {
	if a.isDraining() {
		a.unavailable(tx, req)
		return
	}
	a.reply(tx, req, 200, "", header{"Allow", allowed}, header{"Accept", acceptedBodies}, header{"Supported", supported},
		header{"Accept-Language", "en"})
}

func (a *Agent) inDialog(tx *sip.ServerTransaction, req *sip.Message) {
	if l := a.find(req.CallID(), req.ToTag()); l != nil {
		l.request(tx, req)
		return
	}
	if m := req.Method(); m == sip.OPTIONS {
		a.options(tx, req)
	} else if m == sip.SUBSCRIBE || m == sip.MESSAGE || m == sip.PUBLISH || !m.Known() {
		a.refuseMethod(tx, req)
	} else {
		a.reply(tx, req, 481, "")
	}
}

// HandleACK takes the ACK to a 2xx, which is a request of its own (RFC 3261 §13.3.1.4).
func (a *Agent) HandleACK(req *sip.Message, _ sip.Source) {
	defer a.recovered()
	if l := a.find(req.CallID(), req.ToTag()); l != nil {
		l.acknowledged(req)
	}
}

// Drain refuses new calls with 503 from now on; live ones go on. The channel is closed when the last has ended.
func (a *Agent) Drain() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.draining {
		a.draining = true
		if len(a.dialogs) == 0 {
			close(a.idle)
		}
	}
	return a.idle
}

// Legs returns how many legs there are, those included that only wait for the end of their signalling.
func (a *Agent) Legs() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.dialogs)
}

// Close ends every leg as a hang-up does, and waits for look-ups that run. The stack must be closed after it.
func (a *Agent) Close() {
	a.Drain()
	a.mu.Lock()
	a.closed = true
	legs := make([]*leg, 0, len(a.dialogs))
	for _, l := range a.dialogs {
		legs = append(legs, l)
	}
	a.mu.Unlock()
	for _, l := range legs {
		l.Hangup(call.NormalClearing)
		l.abandon()
	}
	a.resolve.Wait()
}

func (a *Agent) isDraining() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.draining
}

func (a *Agent) find(callID, tag string) *leg {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.dialogs[dialogID{callID, tag}]
}

// admit takes a leg into the table; it is false when no call may begin.
func (a *Agent) admit(l *leg) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || l.inbound && (a.draining || a.opts.MaxCalls > 0 && a.inbound >= a.opts.MaxCalls) {
		return false
	}
	a.dialogs[l.dialogID()] = l
	if l.inbound {
		a.inbound++
	}
	return true
}

// full says whether an inbound call would be refused now, before anything is done for it.
func (a *Agent) full() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.draining || a.closed || a.opts.MaxCalls > 0 && a.inbound >= a.opts.MaxCalls
}

func (a *Agent) remove(l *leg) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.dialogs[l.dialogID()] != l {
		return
	}
	delete(a.dialogs, l.dialogID())
	if l.inbound {
		a.inbound--
	}
	if a.draining && len(a.dialogs) == 0 {
		close(a.idle)
	}
}

// header is one header field of a response.
type header struct{ name, value string }

// reply sends a final response outside of any leg.
func (a *Agent) reply(tx *sip.ServerTransaction, req *sip.Message, status int, reason string, headers ...header) {
	res := sip.NewResponse(req, status, reason)
	for _, h := range headers {
		res.Add(h.name, h.value)
	}
	a.send(tx, res)
}

func (a *Agent) send(tx *sip.ServerTransaction, res *sip.Message) {
	res.Add("Server", a.opts.UserAgent)
	if err := tx.Respond(res); err != nil {
		a.opts.Log.Debug("a response could not be sent", "status", res.StatusCode(), "call", res.CallID(), "error", err)
	}
	res.Release()
}

func (a *Agent) unavailable(tx *sip.ServerTransaction, req *sip.Message) {
	a.reply(tx, req, 503, "", header{"Retry-After", itoa(retryAfter)})
}

// recovered ends a panic that the input of one peer led to.
func (a *Agent) recovered() {
	if v := recover(); v != nil {
		a.panicked(v)
	}
}

func (a *Agent) panicked(v any) {
	a.opts.Log.Error("panic in signalling", "panic", v, "stack", string(debug.Stack()))
	a.opts.OnPanic(v)
}
