package ringcentral

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"bugle"
	"bugle/internal/store"
)

// Options say what a Server stands on. All but those with a default are required.
type Options struct {
	Store    *store.Store
	Sealer   Sealer
	People   People
	Contacts Contacts
	Post     Post // of handshakes
	Rates    Rates
	// PerUser is how many subscriptions a user may have by one app; 0: 20.
	PerUser int
	// PublicURL begins absolute links ("https://pbx.example.com"). Empty: what the client called the server.
	PublicURL string
	Sockets   SocketTimes
	Now       func() time.Time // nil: time.Now
	Log       *slog.Logger     // nil: nothing is logged
	OnPanic   func(any)        // called once for each request that panicked
}

// Server serves /restapi and /ws and /ws. It is safe for concurrent use.
type Server struct {
	opts     Options
	routes   []route
	counters *counters
	sockets  sockets
	numbers  numbers
	ctx      context.Context // of what goes on beside requests
	cancel   context.CancelFunc
	wg       sync.WaitGroup
}

// New returns a server; Close ends what it does beside answering.
func New(opts Options) *Server {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.OnPanic == nil {
		opts.OnPanic = func(any) {}
	}
	if opts.PerUser <= 0 {
		opts.PerUser = 20
	}
	opts.Sockets = opts.Sockets.orDefault()
	opts.PublicURL = strings.TrimRight(opts.PublicURL, "/")
	s := &Server{opts: opts, counters: newCounters(opts.Now, opts.Rates)}
	s.routes = routes()
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.wg.Go(s.sweep)
	s.wg.Go(s.drive)
	return s
}

// Close ends open sockets and what goes on beside requests.
func (s *Server) Close() {
	s.cancel()
	s.sockets.drain()
	s.wg.Wait()
}

// sweep removes what has expired long ago.
func (s *Server) sweep() {
	ticker := time.NewTicker(time.Hour)
	defer ticker.Stop()
	for {
		if err := s.opts.Store.SweepOAuth(s.ctx, s.opts.Now().Add(-24*time.Hour)); err != nil && s.ctx.Err() == nil {
			s.opts.Log.Warn("ringcentral: expired tokens stay for now", "error", err)
		}
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Serves reports whether a path is this edge's.
func Serves(path string) bool {
	return path == "/ws" || path == "/restapi" || strings.HasPrefix(path, "/restapi/")
}

const maxBody = 64 << 10 // bytes of a request

// call is one request on its way through the server.
type call struct {
	server *Server
	http   *http.Request
	header http.Header // of the answer
	ctx    context.Context
	id     string
	args   []string // what stands for the * of the route's path
	who    *login   // nil where no token is needed
	body   []byte
	socket *socket // that the call came by, nil for HTTP
}

// answer is what a handler gives.
type answer struct {
	status int
	body   any // marshalled as JSON; nil for none
	page   []byte
}

func ok(body any) (*answer, error) { return &answer{status: http.StatusOK, body: body}, nil }

// route is one path of the API.
type route struct {
	method, path string // "*" stands for one word
	group        group
	open         bool // no token is needed
	run          func(c *call) (*answer, error)
}

func routes() []route {
	const account, subscription = "/restapi/v1.0/account/*", "/restapi/v1.0/subscription"
	list := []route{
		{method: "POST", path: "/restapi/oauth/token", open: true, run: (*call).token},
		{method: "POST", path: "/restapi/oauth/revoke", open: true, run: (*call).revoke},
		{method: "GET", path: "/restapi/oauth/authorize", open: true, run: (*call).signIn},
		{method: "POST", path: "/restapi/oauth/authorize", open: true, run: (*call).signedIn},
		{method: "POST", path: "/restapi/oauth/wstoken", group: light, run: (*call).socketToken},
		{method: "GET", path: account, group: light, run: (*call).account},
		{method: "GET", path: account + "/extension/*", group: light, run: (*call).extension},
		{method: "GET", path: account + "/extension/*/profile-image", group: light, run: (*call).profileImage},
		{method: "GET", path: account + "/directory/entries", group: medium, run: (*call).entries},
		{method: "GET", path: account + "/directory/entries/*", group: medium, run: (*call).entry},
		{method: "POST", path: account + "/directory/entries/search", group: heavy, run: (*call).search},
		{method: "GET", path: account + "/directory/federation", group: light, run: (*call).federation},
		{method: "POST", path: subscription, group: medium, run: (*call).createSubscription},
		{method: "GET", path: subscription, group: light, run: (*call).listSubscriptions},
		{method: "GET", path: subscription + "/*", group: light, run: (*call).getSubscription},
		{method: "PUT", path: subscription + "/*", group: medium, run: (*call).updateSubscription},
		{method: "DELETE", path: subscription + "/*", group: medium, run: (*call).deleteSubscription},
		{method: "POST", path: subscription + "/*/renew", group: light, run: (*call).renewSubscription},
		{method: "POST", path: subscription + "/*/secret", group: medium, run: (*call).rotateSecret},
	}
	return list
}

// find returns the route of a method and path with the words for its stars, or the methods that the path takes.
func (s *Server) find(method, path string) (r *route, args []string, allow string) {
	path = strings.TrimSuffix(path, "/")
	if len(path) > 1024 {
		return nil, nil, ""
	}
	words := strings.Split(path, "/")
	for i := range s.routes {
		pattern := strings.Split(s.routes[i].path, "/")
		held, fits := []string(nil), len(pattern) == len(words)
		for j := 0; fits && j < len(words); j++ {
			if pattern[j] == "*" && words[j] != "" {
				held = append(held, words[j])
			} else {
				fits = pattern[j] == words[j]
			}
		}
		if !fits {
			continue
		}
		if s.routes[i].method == method || method == http.MethodHead && s.routes[i].method == http.MethodGet {
			return &s.routes[i], held, ""
		}
		if allow != "" {
			allow += ", "
		}
		allow += s.routes[i].method
	}
	return nil, nil, allow
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/ws" {
		s.serveSocket(w, r)
		return
	}
	c := &call{server: s, http: r, header: w.Header(), ctx: r.Context(), id: bugle.NewID()}
	status, body := c.answer()
	if len(body) > 0 {
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead && status != http.StatusNoContent && status != http.StatusNotModified {
		_, _ = w.Write(body)
	}
}

// answer runs the call and returns its status and body; the headers are set.
func (c *call) answer() (status int, body []byte) {
	h := c.header
	h.Set("RCRequestId", c.id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	// A token has to be sent by the page itself, so that a page of another origin gains nothing by being let in.
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "RCRequestId, ETag, Retry-After, X-Rate-Limit-Group, X-Rate-Limit-Limit, X-Rate-Limit-Remaining, X-Rate-Limit-Window")
	if c.http.Method == http.MethodOptions {
		h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, OPTIONS")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Client-Id, If-None-Match, RC-User-Agent, X-User-Agent")
		h.Set("Access-Control-Max-Age", "86400")
		return http.StatusNoContent, nil
	}
	out, err := c.guarded()
	if err != nil {
		return c.refused(faultOf(err))
	}
	switch {
	case out.page != nil:
		return out.status, out.page
	case out.body == nil:
		return out.status, nil
	}
	if body, err = json.Marshal(out.body); err != nil {
		return c.refused(faultOf(err))
	}
	h.Set("Content-Type", "application/json; charset=utf-8")
	return out.status, body
}

func (c *call) refused(f *fault) (int, []byte) {
	if strings.Contains(c.http.URL.Path, "/directory/") {
		f = f.inDirectory()
	}
	level := slog.LevelDebug
	if f.status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	c.server.opts.Log.Log(c.ctx, level, "request refused", "request", c.id, "method", c.http.Method, "path", c.http.URL.Path, "status", f.status,
		"code", f.code, "error", f.err)
	if f.retry > 0 {
		c.header.Set("Retry-After", seconds(f.retry))
	}
	if f.allow != "" {
		c.header.Set("Allow", f.allow)
	}
	if f.status == http.StatusUnauthorized {
		scheme := "Bearer"
		if f.oauth != "" {
			scheme = "Basic"
		}
		c.header.Set("WWW-Authenticate", scheme+` realm="RestApi"`)
	}
	c.header.Set("Content-Type", "application/json; charset=utf-8")
	return f.status, f.body()
}

// guarded runs the call and turns a panic into an error of this call alone.
func (c *call) guarded() (out *answer, err error) {
	defer func() {
		if v := recover(); v != nil {
			c.server.opts.OnPanic(v)
			c.server.opts.Log.Error("request panicked", "request", c.id, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			out, err = nil, refuse(http.StatusInternalServerError, "CMN-203", "Internal error")
		}
	}()
	return c.run()
}

func (c *call) run() (*answer, error) {
	r, args, allow := c.server.find(c.http.Method, c.http.URL.Path)
	switch {
	case r == nil && allow != "":
		return nil, &fault{status: http.StatusMethodNotAllowed, code: "CMN-102", message: "The method is not supported here, only " + allow, allow: allow}
	case r == nil && strings.Contains(c.http.URL.Path, "/directory/"):
		return nil, refuse(http.StatusNotFound, "ADG-200", "There is no such URI")
	case r == nil:
		return nil, refuse(http.StatusNotFound, "CMN-120", "There is no such URI")
	case c.socket != nil && strings.HasPrefix(r.path, "/restapi/oauth/"):
		return nil, refuse(http.StatusNotImplemented, "CMN-202", "OAuth is not spoken over a socket")
	}
	c.args = args
	if !r.open {
		if err := c.authenticate(); err != nil {
			return nil, err
		}
		if err := c.server.counters.take(c.header, c.who.counted(), r.group); err != nil {
			return nil, err
		}
	}
	if c.socket == nil {
		var err error
		if c.body, err = io.ReadAll(io.LimitReader(c.http.Body, maxBody+1)); err != nil {
			return nil, refuse(http.StatusBadRequest, "CMN-104", "The body could not be read")
		}
	}
	if len(c.body) > maxBody {
		return nil, refuse(http.StatusRequestEntityTooLarge, "CMN-104", "The body is larger than 65536 bytes")
	}
	return r.run(c)
}

// object reads the body as a JSON object into v; what has another type than it must is told by its name.
func (c *call) object(v any, emptyAllowed bool) error {
	text := strings.TrimSpace(string(c.body))
	if text == "" && emptyAllowed {
		return nil
	}
	media, _, _ := strings.Cut(c.http.Header.Get("Content-Type"), ";")
	switch {
	case c.socket != nil: // whose messages are JSON as they are
	case media == "" && text != "":
		return &fault{status: http.StatusBadRequest, code: "CMN-110", message: "Header Content-Type should be specified: application/json",
			extra: map[string]any{"headerName": "Content-Type"}}
	case media != "" && !strings.EqualFold(strings.TrimSpace(media), "application/json"):
		return refuse(http.StatusUnsupportedMediaType, "CMN-103", "The body must be application/json")
	}
	if !strings.HasPrefix(text, "{") {
		return refuse(http.StatusBadRequest, "CMN-103", "The body must be a JSON object")
	}
	err := json.Unmarshal([]byte(text), v)
	if wrong, is := err.(*json.UnmarshalTypeError); is {
		return badParameter(wrong.Field, nil, "it must not be a JSON "+wrong.Value)
	}
	if err != nil {
		return refuse(http.StatusBadRequest, "CMN-103", "The body is not valid JSON")
	}
	return nil
}

// base begins absolute links.
func (c *call) base() string {
	if c.server.opts.PublicURL != "" {
		return c.server.opts.PublicURL
	}
	scheme := "http"
	if c.http.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + c.http.Host
}
