package crossbar

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"bugle/internal/store"
)

// resource is one row of the table: a noun of paths, and for documents all that makes their type special. Every function
// may be nil.
type resource struct {
	noun   string // as it stands in paths
	typ    string // document type, "" when it is not a document
	schema string // id of its schema, "" for none
	about  string // what its documentation says beside paths and keys

	// leading: the noun begins a path and takes no account before it.
	leading bool
	// greedy: the rest of the path belongs to it, even words that are nouns.
	greedy bool
	// within maps a noun that may stand between account and resource to the index that narrows its lists:
	// /users/{id}/devices.
	within map[string]string
	// under maps a noun that may stand between account and resource to what is offered there, in place of a list:
	// /users/{id}/user_auth.
	under map[string]*endpoint
	// endpoints beside those that every document has; a path given here replaces the document's own.
	endpoints []endpoint

	// summary is a row of the list, without its id, made of the document's keys that are named here.
	summary     func(doc map[string]any) map[string]any
	summaryKeys []string
	// order is the sort key of lists; without it they are in the order of ids.
	order func(e *edit) []byte

	// prepare does before the transaction what takes long; its result is at e.prepared.
	prepare func(req *request, id string, how mode, data map[string]any) (any, error)
	// complete fills in what the client left to bugle, before the schema judges.
	complete func(e *edit) error
	// check adds what the schema cannot say to e.errs. It runs also when the schema found something.
	check func(e *edit) error
	// keys are the values that must be unique, taken explains that one is not: field and detail of code "unique".
	keys  func(e *edit) []store.Key
	taken func(key store.Key, holder *store.Document) (path string, detail map[string]any)
	// index are the look-up values.
	index func(e *edit) []store.Index
	// secrets are the dotted paths of strings that are sealed in the store.
	secrets []string
	// computed are the top-level keys that only compose writes; clients send them back and they are dropped.
	computed []string
	// compose adds computed keys to a document that is about to be returned.
	compose func(req *request, d *store.Document, doc map[string]any) error
	// references are the ids of other documents that a document names. Those that do not exist are told in
	// _read_only.references; when one is deleted, the deletion tells who names it.
	references func(doc map[string]any) []reference
	// detach removes from doc the membership entries that name an id whose document is being deleted; nil: they stay.
	detach func(doc map[string]any, id string)
	// along writes what follows from a write or a deletion (e.doc is nil) in the same transaction.
	along func(e *edit) error
	// final: a deletion leaves nothing behind, so that the id may be used again by anybody.
	final bool
	// self is what a user without priv_level admin may do here; nil: nothing.
	self *selfService
	// shapes are what operations that are not a document's own take and give, by verb and path: "GET {id}/raw".
	shapes map[string]shape
	// idForm is the regular expression of its documents' ids, "" for what NewID gives.
	idForm string
	// written runs after a write or a deletion (after is nil) was committed.
	written func(req *request, before, after map[string]any)
}

// endpoint is one path of a resource with its verbs.
type endpoint struct {
	path string // "", "{id}", "{id}/raw", "count"
	ops  map[string]operation
}

// operation answers one verb.
type operation struct {
	run func(req *request) (*reply, error)
	// open: no token is needed.
	open bool
	// upload: the body may be of any type and up to maxUpload bytes.
	upload bool
	// produces are media types beside JSON.
	produces []string
}

type mode int

const (
	creating mode = iota
	replacing
	merging
	deleting
)

// finish gives a document its endpoints.
func (r *resource) finish(*API) error {
	if r.typ == "" {
		return nil
	}
	own := []endpoint{
		{path: "", ops: map[string]operation{
			http.MethodGet: {run: func(req *request) (*reply, error) { return req.list(r) }},
			http.MethodPut: {run: func(req *request) (*reply, error) { return req.create(r) }}}},
		{path: "{id}", ops: map[string]operation{
			http.MethodGet:    {run: func(req *request) (*reply, error) { return req.fetch(r) }},
			http.MethodPost:   {run: func(req *request) (*reply, error) { return req.change(r, replacing) }},
			http.MethodPatch:  {run: func(req *request) (*reply, error) { return req.change(r, merging) }},
			http.MethodDelete: {run: func(req *request) (*reply, error) { return req.remove(r) }}}},
	}
	for _, e := range own {
		if !slices.ContainsFunc(r.endpoints, func(given endpoint) bool { return given.path == e.path }) {
			r.endpoints = append(r.endpoints, e)
		}
	}
	return nil
}

// route is where a path leads.
type route struct {
	resource *resource
	endpoint *endpoint
	args     []string // what stands for the {…} of the endpoint's path
	account  string   // id in the path
	scoped   bool     // the path names an account
	parent   string   // noun between account and resource, "" for none
	parentID string
	own      bool // the path below the parent is of resource.under
}

// arg is the first argument: the id.
func (r route) arg() string {
	if len(r.args) == 0 {
		return ""
	}
	return r.args[0]
}

// methods are the verbs that the path offers.
func (r route) methods() []string {
	if r.endpoint == nil {
		return []string{http.MethodOptions}
	}
	if r.parent != "" && !r.own {
		return []string{http.MethodGet, http.MethodHead, http.MethodOptions}
	}
	out := append(slices.Collect(maps.Keys(r.endpoint.ops)), http.MethodOptions)
	if _, ok := r.endpoint.ops[http.MethodGet]; ok {
		out = append(out, http.MethodHead)
	}
	slices.Sort(out)
	return out
}

type noun struct {
	word string
	args []string
}

// resolve finds the route of the path after the version: nouns and their arguments take turns, a word that names a
// resource begins a new noun.
func (a *API) resolve(parts []string) (route, bool) {
	var nouns []noun
	for i, part := range parts {
		last := len(nouns) - 1
		if last >= 0 && a.resources[nouns[last].word].greedy {
			nouns[last].args = append(nouns[last].args, parts[i:]...)
			break
		}
		if _, known := a.resources[part]; known {
			nouns = append(nouns, noun{word: part})
			continue
		}
		if last < 0 {
			return route{}, false
		}
		nouns[last].args = append(nouns[last].args, part)
	}
	if len(nouns) == 0 {
		return route{}, false
	}
	final := nouns[len(nouns)-1]
	r := route{resource: a.resources[final.word]}
	if len(nouns) == 3 && nouns[0].word == "accounts" && len(nouns[0].args) == 1 && len(nouns[1].args) == 1 && len(final.args) == 0 {
		if e := r.resource.under[nouns[1].word]; e != nil {
			return route{resource: r.resource, endpoint: e, account: nouns[0].args[0], scoped: true, parent: nouns[1].word,
				parentID: nouns[1].args[0], own: true}, true
		}
	}
	switch {
	case r.resource.leading:
		if len(nouns) > 1 && nouns[0].word != "accounts" || len(nouns) > 2 {
			return route{}, false
		}
	case nouns[0].word != "accounts" || len(nouns[0].args) > 1 || len(nouns) < 2 || len(nouns) > 3:
		return route{}, false
	case len(nouns) == 3:
		if _, ok := r.resource.within[nouns[1].word]; !ok || len(nouns[1].args) != 1 {
			return route{}, false
		}
		if len(final.args) > 0 { // only the list is narrowed; a document is reached at its own path
			return route{}, false
		}
		r.parent, r.parentID = nouns[1].word, nouns[1].args[0]
	}
	if nouns[0].word == "accounts" && (len(nouns) > 1 || len(final.args) > 0) {
		r.scoped = true
		if len(nouns[0].args) > 0 {
			r.account = nouns[0].args[0]
		}
	}
	r.endpoint, r.args = r.resource.endpoint(final.args)
	return r, r.endpoint != nil
}

// endpoint finds the path that fits, a literal word before a place holder.
func (r *resource) endpoint(args []string) (*endpoint, []string) {
	var found *endpoint
	var values []string
	literals := -1
	for i := range r.endpoints {
		e := &r.endpoints[i]
		var pattern []string
		if e.path != "" {
			pattern = strings.Split(e.path, "/")
		}
		if len(pattern) != len(args) {
			continue
		}
		fits, same := true, 0
		var held []string
		for j, word := range pattern {
			switch {
			case strings.HasPrefix(word, "{"):
				held = append(held, args[j])
			case word == args[j]:
				same++
			default:
				fits = false
			}
		}
		if fits && same > literals {
			found, values, literals = e, held, same
		}
	}
	return found, values
}

// Route is one path of the API as documentation shows it, with the verbs that it takes.
type Route struct {
	Path    string // "/v2/accounts/{account}/users/{id}"
	Methods []string
	Open    bool   // every verb works without a token
	Schema  string // of what is written, "" for none
}

// Routes lists every path, in order.
func (a *API) Routes() []Route {
	var out []Route
	for _, word := range slices.Sorted(maps.Keys(a.resources)) {
		r := a.resources[word]
		bases := []string{"/v2/accounts/{account}/" + r.noun}
		if r.leading {
			bases = []string{"/v2/" + r.noun}
		}
		for parent := range r.within {
			bases = append(bases, "/v2/accounts/{account}/"+parent+"/{"+strings.TrimSuffix(parent, "s")+"}/"+r.noun)
		}
		slices.Sort(bases)
		for _, base := range bases {
			for _, e := range r.endpoints {
				narrowed := !r.leading && strings.Count(base, "/") > 4
				if narrowed && e.path != "" {
					continue
				}
				route := Route{Path: strings.TrimSuffix(base+"/"+e.path, "/"), Open: true, Schema: r.schema,
					Methods: slices.Sorted(maps.Keys(e.ops))}
				if r.typ == TypeAccount {
					route.Path = strings.Replace(route.Path, "{id}", "{account}", 1)
				}
				if narrowed {
					route.Methods = []string{http.MethodGet}
				}
				for _, op := range e.ops {
					route.Open = route.Open && op.open
				}
				out = append(out, route)
			}
		}
	}
	for _, r := range a.resources {
		for parent, e := range r.under {
			out = append(out, Route{Path: "/v2/accounts/{account}/" + parent + "/{" + strings.TrimSuffix(parent, "s") + "}/" + r.noun,
				Methods: slices.Sorted(maps.Keys(e.ops))})
		}
	}
	slices.SortFunc(out, func(x, y Route) int { return strings.Compare(x.Path, y.Path) })
	return out
}
