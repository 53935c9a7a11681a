package crossbar

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"bugle/internal/store"
)

// serve answers a request. Where documents are not kept in memory, the accounts and users that the API has read before are
// only premises, which the query that the request needs anyway proves: when one of them has changed, it begins again and
// reads them.
func (a *API) serve(req *request) (*reply, error) {
	if c := a.opts.Cache; c == nil || !c.Healthy() {
		req.premises = &store.Premises{}
		req.ctx = store.WithPremises(req.ctx, req.premises)
	}
	answer, err := a.attempt(req)
	if req.premises == nil {
		return answer, err
	}
	stale := a.opts.Store.Prove(req.ctx)
	if stale == nil {
		return answer, err
	}
	if answer != nil && answer.file != nil {
		_ = answer.file.content.Close()
	}
	if !errors.Is(stale, store.ErrOutdated) {
		return nil, stale
	}
	req.again()
	return a.attempt(req)
}

// attempt takes a request through the stations in KAZOO's order, so that the same error wins. Only a client that is known
// before its body may send a large one.
func (a *API) attempt(req *request) (*reply, error) {
	parts, badVersion := versioned(req.http.URL)
	if req.http.Method == http.MethodOptions {
		return req.preflight(parts, badVersion)
	}
	tokenFault, err := req.authenticate(req.outside())
	if err != nil {
		return nil, err
	}
	if req.identity != nil {
		if err := req.charge(); err != nil {
			return nil, err
		}
	}
	found := false
	if badVersion == nil {
		req.route, found = a.resolve(req.ownAccount(parts))
	}
	badBody := req.receive(req.bodyLimit())
	if req.identity == nil && req.envelope != nil {
		if token := req.inside(); token != "" {
			if tokenFault, err = req.authenticate(token); err != nil {
				return nil, err
			}
			if badVersion == nil {
				req.route, found = a.resolve(req.ownAccount(parts))
			}
		}
	}
	if err := req.charge(); err != nil {
		return nil, err
	}
	switch large := (*fault)(nil); {
	case badVersion != nil:
		return nil, badVersion
	case errors.As(badBody, &large) && large.status == http.StatusRequestEntityTooLarge && tokenFault != nil:
		return nil, tokenFault // with a good token the body might have been taken
	case badBody != nil:
		return nil, badBody
	case len(parts) > 0 && parts[0] == "account" && req.identity == nil && tokenFault == nil:
		return nil, invalidCredentials()
	case !found && tokenFault != nil:
		return nil, tokenFault
	case !found:
		return nil, notFound()
	}
	return req.operate(tokenFault)
}

// preflight answers OPTIONS, which needs no token, costs none and says what the path offers.
func (req *request) preflight(parts []string, badVersion error) (*reply, error) {
	if badVersion != nil {
		return nil, badVersion
	}
	if len(parts) > 0 && parts[0] == "account" {
		parts = append([]string{"accounts", "x"}, parts[1:]...)
	}
	found := false
	if req.route, found = req.api.resolve(parts); !found {
		return nil, notFound()
	}
	return &reply{status: http.StatusOK}, req.preflightOrigins()
}

// ownAccount puts the account of the token in place of the word account.
func (req *request) ownAccount(parts []string) []string {
	if len(parts) == 0 || parts[0] != "account" || req.identity == nil {
		return parts
	}
	return append([]string{"accounts", req.identity.account.id}, parts[1:]...)
}

// bodyLimit is how many bytes the body may have: little from who is not known, and the size of a file where one is
// taken.
func (req *request) bodyLimit() int64 {
	switch {
	case req.identity == nil:
		return maxAnonymous
	case req.route.endpoint != nil && req.route.endpoint.ops[req.http.Method].upload:
		return maxUpload
	}
	return maxBody
}

// operate finds the operation and runs it, when this client may.
func (req *request) operate(tokenFault *fault) (*reply, error) {
	op, err := req.operation()
	if tokenFault != nil && !op.open {
		return nil, tokenFault
	}
	if err != nil {
		return nil, err
	}
	if req.route.scoped {
		req.account, err = req.api.account(req.ctx, req.route.account)
		if err != nil && op.ofGone && faultOf(err).status == http.StatusNotFound {
			req.account, err = req.api.goneAccount(req.ctx, req.route.account, err)
		}
		if err != nil {
			return nil, err
		}
	}
	open := op.open
	if op.public != nil && req.identity == nil {
		if open, err = op.public(req); err != nil {
			return nil, err
		}
	}
	if !open {
		if req.identity == nil {
			return nil, invalidCredentials()
		}
		if !req.allowed() {
			return nil, forbidden()
		}
		if req.route.resource.ofMaster {
			if req.account = req.identity.account; !req.account.master {
				return nil, forbidden()
			}
		}
		if !req.identity.admin {
			if err := req.serveSelf(); err != nil {
				return nil, err
			}
		}
	}
	if req.identity != nil {
		req.signed()
	}
	if req.body != nil && !op.upload {
		return nil, unsupported("the body must be application/json")
	}
	if err := req.negotiate(op); err != nil {
		return nil, err
	}
	if req.verb == http.MethodDelete && !op.tries && req.dryRun() {
		return nil, oneError("dry_run", "invalid", "This deletion cannot be tried: without dry_run it is carried out", true)
	}
	if err := req.unalias(); err != nil {
		return nil, err
	}
	if err := req.proven(op); err != nil {
		return nil, err
	}
	answer, err := op.run(req)
	if err == nil && answer.list == nil && answer.file == nil && req.onlyCSV(op) {
		return nil, notAcceptable(op.produces)
	}
	if err == nil && req.verb == http.MethodGet && answer.revision != "" {
		if err := req.precondition(answer.revision); err != nil {
			if answer.file != nil {
				_ = answer.file.content.Close()
			}
			return nil, err
		}
	}
	return answer, err
}

// proven has what authorisation assumed proven before an operation whose effects are not all in one transaction.
func (req *request) proven(op operation) error {
	if req.premises == nil {
		return nil
	}
	req.premises.Close()
	if op.proves || req.verb == http.MethodGet && !op.acts {
		return nil
	}
	return req.api.opts.Store.Prove(req.ctx)
}

// unalias puts a document's id in place of another name for it.
func (req *request) unalias() error {
	r := &req.route
	if r.resource.alias == nil || !strings.HasPrefix(r.endpoint.path, "{id}") {
		return nil
	}
	id, err := r.resource.alias(req, r.arg())
	if err == nil && id != "" {
		r.args[0] = id
	}
	return err
}

// otherVersion is a version that there is not.
var otherVersion = regexp.MustCompile(`^v[0-9]+$`)

// versioned splits a path into its words after the version.
func versioned(u *url.URL) ([]string, error) {
	words := strings.Split(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	if words[len(words)-1] == "" {
		words = words[:len(words)-1]
	}
	if len(words) == 0 {
		return nil, notFound()
	}
	switch words[0] {
	case "v2":
	case "v1":
		return nil, &fault{status: http.StatusGone, message: "gone", data: say("API version 1 is gone, use v2")}
	default: // KAZOO takes a word that is no version for v2
		if words[0] == "" || otherVersion.MatchString(words[0]) {
			return nil, notFound()
		}
	}
	words = words[1:]
	for i, word := range words {
		plain, err := url.PathUnescape(word)
		if err != nil {
			return nil, notFound()
		}
		words[i] = plain
	}
	return words, nil
}

// operation finds what answers the verb, the HTTP method's or one tunnelled through POST.
func (req *request) operation() (operation, error) {
	req.verb = req.http.Method
	if req.verb == http.MethodHead {
		req.verb = http.MethodGet
	}
	if tunnelled, ok := req.outerParam("verb"); ok && req.verb == http.MethodPost {
		req.verb = strings.ToUpper(tunnelled)
	}
	op, ok := req.route.endpoint.ops[req.verb]
	if !ok || req.route.narrowed() && req.verb != http.MethodGet {
		return operation{}, &fault{status: http.StatusMethodNotAllowed, message: "invalid_method",
			data: say("method not allowed"), allow: req.route.methods()}
	}
	return op, nil
}

// allowed: the token's account is the path's or above it, or the master.
func (req *request) allowed() bool {
	if req.account == nil || req.identity.account.master {
		return true
	}
	who := req.identity.account.id
	return who == req.account.id || slices.Contains(req.account.tree, who)
}

func (req *request) log() *slog.Logger { return req.api.opts.Log.With("request", req.id) }
