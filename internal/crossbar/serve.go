package crossbar

import (
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// serve takes a request through the stations in KAZOO's order, so that the same error wins.
func (a *API) serve(req *request) (*reply, error) {
	parts, err := versioned(req.http.URL)
	if err != nil {
		return nil, err
	}
	if len(parts) > 0 && parts[0] == "account" { // the account of the token
		if _, err := req.authenticate(); err != nil {
			return nil, err
		}
		if req.identity == nil {
			return nil, invalidCredentials()
		}
		parts = append([]string{"accounts", req.identity.account.id}, parts[1:]...)
	}
	var found bool
	req.route, found = a.resolve(parts)
	limit := int64(maxBody)
	if found && req.route.endpoint.ops[req.http.Method].upload {
		limit = maxUpload
	}
	if err := req.readBody(limit); err != nil {
		return nil, err
	}
	tokenFault, err := req.authenticate()
	if err != nil {
		return nil, err
	}
	if !found {
		if tokenFault != nil {
			return nil, tokenFault
		}
		return nil, notFound()
	}
	if req.http.Method == http.MethodOptions {
		return &reply{status: http.StatusOK}, nil
	}
	op, err := req.operation()
	if tokenFault != nil && !op.open {
		return nil, tokenFault
	}
	if err != nil {
		return nil, err
	}
	if req.route.scoped {
		if req.account, err = a.account(req.ctx, req.route.account); err != nil {
			return nil, err
		}
	}
	if !op.open {
		if req.identity == nil {
			return nil, invalidCredentials()
		}
		if !req.allowed() {
			return nil, forbidden()
		}
		if !req.identity.admin {
			if err := req.serveSelf(); err != nil {
				return nil, err
			}
		}
	}
	if len(req.body) > 0 && !op.upload {
		return nil, unsupported("the body must be application/json")
	}
	if (req.verb == http.MethodGet) && !acceptable(req.http.Header.Values("Accept"), op.produces) {
		return nil, &fault{status: http.StatusNotAcceptable, message: "not_acceptable",
			data: say("this path answers with " + strings.Join(append([]string{"application/json"}, op.produces...), ", "))}
	}
	return op.run(req)
}

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
	default:
		return nil, notFound()
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
	if !ok || req.route.parent != "" && req.verb != http.MethodGet {
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

// acceptable reports whether a client takes JSON or one of the other types. RFC 9110 §12.5.1
func acceptable(headers, produces []string) bool {
	ranges := strings.Split(strings.Join(headers, ","), ",")
	if len(ranges) == 1 && strings.TrimSpace(ranges[0]) == "" {
		return true
	}
	offered := append([]string{"application/json", "text/json", "application/javascript", "text/plain"}, produces...)
	for _, r := range ranges {
		name, params, _ := strings.Cut(r, ";")
		name = strings.ToLower(strings.TrimSpace(name))
		if q := strings.ReplaceAll(params, " ", ""); strings.HasPrefix(q, "q=0") && strings.Trim(q[3:], ".0") == "" {
			continue
		}
		for _, o := range offered {
			major, _, _ := strings.Cut(o, "/")
			if name == "*/*" || name == "*" || name == o || name == major+"/*" {
				return true
			}
		}
	}
	return false
}

func (req *request) log() *slog.Logger { return req.api.opts.Log.With("request", req.id) }
