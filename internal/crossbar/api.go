package crossbar

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"bugle"
	"bugle/internal/clicktocall"
	"bugle/internal/store"
)

// Options say what an API stands on. Store and Sealer are required.
type Options struct {
	Store  *store.Store
	Sealer Sealer
	Cache  *store.Cache // of Store; when set, documents are read by id from it while the database answers
	Blobs  Blobs        // nil: uploads are refused with 503
	// ReadAudio decodes an upload to 8 kHz mono, as media.ReadWAV does: what it does not read is refused with 415.
	// nil: uploads are refused with 503.
	ReadAudio func(r io.Reader, limit int64) ([]int16, error)
	// Say says a text, 8 kHz mono. Its errors' messages are shown to clients. nil: there is no synthesiser.
	Say           func(ctx context.Context, language, voice, text string) ([]int16, error)
	Flows         FlowChecker   // nil: any module is accepted, numbers are kept as they are
	Classifiers   []Classifier  // the classes of telephone numbers, the first that fits goes
	Channels      Channels      // nil: there are no calls
	Registrations Registrations // nil: no phone is registered
	Sockets       Sockets       // nil: there are no WebSockets
	Contacts      Contacts      // nil: company directories are refused with 503
	// SubscriptionTerms reads what a subscription of the RingCentral API asks for. nil: only who has it is shown.
	SubscriptionTerms func(u *store.Subscription) (SubscriptionTerms, error)
	// ClickToCall decides about calls that are asked for, Quickcall makes those of users and devices. nil: they are
	// refused with 501.
	ClickToCall *clicktocall.Service
	Quickcall   clicktocall.Originator
	Egress      Egress // judges addresses in documents when they are saved; nil: any passes
	Now         func() time.Time
	Log         *slog.Logger
	// PublicURL is where clients reach the API ("https://pbx.example.com"); it begins absolute links such as Location.
	// Empty means relative links.
	PublicURL string
	// TrustedProxies are the peers whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	Limits         Limits
	HashCost       HashCost    // of credentials; the zero value but in tests
	Mail           Mailer      // nil: recoveries are refused with 501
	UIURLs         []string    // under which recovery mails may link for every account
	Version        string      // shown in the envelope of authenticated requests
	Node           string      // shown in the envelope; "" for a random one
	OnPanic        func(v any) // called once for each request that panicked
}

// API serves /v2, /healthz, /openapi.json, /docs and /c2c. It is safe for concurrent use.
type API struct {
	opts       Options
	table      []*resource // in the order in which they are shown
	resources  map[string]*resource
	schemas    *schemas
	hasher     *hasher
	failures   *failures
	buckets    *buckets // of accounts
	anonymous  *buckets // of addresses
	pages      *buckets // of addresses, for buttons and their pages
	known      knownLogins
	recoveries *recoveries
	collators  collators
	parsed     parsed
	tokens     tokens
	printer    *printer
	darkroom   *darkroom
	watchers   *watchers
	openAPI    func() []byte // made when it is first asked for
}

// New prepares an API. It fails when a schema does not compile, the modules' schemas included.
func New(opts Options) (*API, error) {
	if opts.Store == nil || opts.Sealer == nil {
		return nil, &bugle.Error{Op: "crossbar.New", Message: "Options.Store and Options.Sealer are required"}
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.OnPanic == nil {
		opts.OnPanic = func(any) {}
	}
	if opts.Node == "" {
		opts.Node = bugle.NewID()
	}
	opts.PublicURL = strings.TrimRight(opts.PublicURL, "/")
	limits := opts.Limits.orDefault()
	a := &API{opts: opts, resources: map[string]*resource{}, hasher: newHasher(opts.HashCost), recoveries: newRecoveries(), printer: newPrinter(), darkroom: newDarkroom(), watchers: newWatchers(),
		failures:  newFailures(opts.Now, limits.LoginFailures),
		buckets:   newBuckets(rate.Limit(limits.TokensPerSecond), limits.Tokens),
		anonymous: newBuckets(rate.Limit(float64(limits.Anonymous)/anonymousWindow.Seconds()), limits.Anonymous),
		pages:     newBuckets(rate.Limit(float64(limits.Anonymous*pagesFaster)/anonymousWindow.Seconds()), limits.Anonymous*pagesFaster)}
	if opts.Flows == nil {
		a.opts.Flows = anyFlow{}
	}
	var err error
	if a.schemas, err = newSchemas(a.opts.Flows.ModuleSchemas()); err != nil {
		return nil, err
	}
	a.table = resources()
	for _, r := range a.table {
		if err := r.finish(a); err != nil {
			return nil, err
		}
		a.resources[r.noun] = r
	}
	a.openAPI = sync.OnceValue(a.OpenAPI)
	return a, nil
}

// Close ends what the API still does after it answered: mails that are being sent are given up.
func (a *API) Close() {
	a.EndStreams()
	a.recoveries.close()
}

// EndStreams ends the event streams that are open, and those that are opened later at once: an HTTP server that shuts down
// waits for them.
func (a *API) EndStreams() { a.watchers.end() }

// ServeHTTP answers one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.site(w, r) {
		return
	}
	if strings.HasPrefix(r.URL.Path, "/c2c/") {
		if r = a.button(w, r); r == nil {
			return
		}
	}
	req := a.newRequest(w, r)
	w.Header().Set("X-Request-Id", req.id)
	w.Header().Set("Cache-Control", "private, no-cache")
	w.Header().Set("Expires", "Fri, 01 Jan 2021 00:00:00 GMT")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	answer, err := a.guarded(req)
	if err != nil {
		answer = req.refuse(err)
	}
	a.respond(w, req, answer)
	a.opts.Log.LogAttrs(r.Context(), slog.LevelDebug, "request", slog.String("request", req.id),
		slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", answer.status),
		slog.Duration("took", a.opts.Now().Sub(req.started)))
}

// guarded answers the request and turns a panic into a 500 of this request alone.
func (a *API) guarded(req *request) (answer *reply, err error) {
	defer func() {
		if v := recover(); v != nil {
			a.opts.OnPanic(v)
			a.opts.Log.Error("request panicked", "request", req.id, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			answer, err = nil, &fault{status: http.StatusInternalServerError, message: "unspecified_fault",
				data: map[string]any{"message": "internal error"}}
		}
	}()
	return a.serve(req)
}
