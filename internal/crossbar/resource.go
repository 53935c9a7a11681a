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
	// nested: under the nouns of within every path and verb is offered, not only the narrowed list.
	nested bool
	// parentKey is the document's key that names what it is in, list_id of /lists/{id}/entries. The path writes it; the
	// noun is offered nowhere else.
	parentKey string
	// top answers paths that begin with the noun and name no account.
	top *resource
	// otherHistory: the path {id}/history is for what KAZOO has there; the document's own past is at {id}/changes.
	otherHistory bool
	// ofMaster: only for the master account, in which the documents are kept.
	ofMaster bool
	// endpoints beside those that every document has; a path given here replaces the document's own.
	endpoints []endpoint

	// summary is a row of the list, without its id, made of the document's keys that are named here.
	summary     func(doc map[string]any) map[string]any
	summaryKeys []string
	// copied are those of summaryKeys that the row only repeats: summary is not given them when a list is made.
	copied []string
	// derive appends what summary makes of the other keys, given as text: for the longest lists, which parse nothing.
	derive func(rest, cells []cell) []cell
	// order is the sort key of lists; without it they are in the order of ids.
	order func(e *edit) []byte

	// alias finds the id that a name in the place of {id} stands for; "" when it is no such name.
	alias func(req *request, name string) (string, error)
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
	// filtered are the indexes that answer filter_<key>, by key: they hold every document by the text that it has there.
	filtered map[string]string
	// secrets are the dotted paths of strings that are sealed in the store; "*" stands for every member of an array.
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
	// annotate adds to the rows of a list what is not in the documents.
	annotate func(req *request, rows []map[string]any) error
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
	// office: the many devices of an office ask from one address, and are counted as its pages are.
	office bool
	// public tells whether this request needs no token; nil: it does.
	public func(req *request) (bool, error)
	// acts: it has effects also by GET.
	acts bool
	// proves: all effects of a write are in one transaction of the store, which proves what authorisation assumed.
	proves bool
	// ofGone: it is answered for an account that was deleted too.
	ofGone bool
	// tries: a deletion that dry_run only tells of.
	tries bool
	// upload: the body may be of any type and up to maxUpload bytes.
	upload bool
	// uploads are the media types of an upload that the documentation names; nil for those of audio.
	uploads []string
	// produces are media types beside JSON.
	produces []string
}

type mode int

const (
	creating mode = iota
	replacing
	merging
	deleting
	setting // replaces the keys that are given and leaves the others; null removes one
)

// finish gives a document its endpoints.
func (r *resource) finish(a *API) error {
	if r.top != nil {
		if err := r.top.finish(a); err != nil {
			return err
		}
	}
	if r.typ == "" {
		return nil
	}
	own := []endpoint{
		{path: "", ops: map[string]operation{
			http.MethodGet: {run: func(req *request) (*reply, error) { return req.list(r) }},
			http.MethodPut: {run: func(req *request) (*reply, error) { return req.create(r) }, proves: true}}},
		{path: "{id}", ops: map[string]operation{
			http.MethodGet:    {run: func(req *request) (*reply, error) { return req.fetch(r) }},
			http.MethodPost:   {run: func(req *request) (*reply, error) { return req.change(r, replacing) }, proves: true},
			http.MethodPatch:  {run: func(req *request) (*reply, error) { return req.change(r, merging) }, proves: true},
			http.MethodDelete: {run: func(req *request) (*reply, error) { return req.remove(r) }, proves: true, tries: true}}},
		{path: r.changesPath(), ops: map[string]operation{
			http.MethodGet: {run: func(req *request) (*reply, error) { return req.history(r) }, ofGone: true}}},
	}
	for _, e := range own {
		if !slices.ContainsFunc(r.endpoints, func(given endpoint) bool { return given.path == e.path }) {
			r.endpoints = append(r.endpoints, e)
		}
	}
	return nil
}

// changesPath is where a document's own past is told.
func (r *resource) changesPath() string {
	if r.otherHistory {
		return "{id}/changes"
	}
	return "{id}/history"
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

// narrowed: the path is a resource's list below a noun that narrows it, where there is nothing to write.
func (r route) narrowed() bool { return r.parent != "" && !r.own && !r.resource.nested }

// methods are the verbs that the path offers.
func (r route) methods() []string {
	if r.endpoint == nil {
		return []string{http.MethodOptions}
	}
	if r.narrowed() {
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
	case len(nouns) == 1 && r.resource.top != nil:
		r.resource = r.resource.top
	case nouns[0].word != "accounts" || len(nouns[0].args) > 1 || len(nouns) < 2 || len(nouns) > 3,
		len(nouns) == 2 && r.resource.parentKey != "":
		return route{}, false
	case len(nouns) == 3:
		if _, ok := r.resource.within[nouns[1].word]; !ok || len(nouns[1].args) != 1 {
			return route{}, false
		}
		if len(final.args) > 0 && !r.resource.nested { // only the list is narrowed; a document is reached at its own path
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

// mount is a path at which resources are reached.
type mount struct {
	*resource           // what answers there
	base      string    // "/v2/accounts/{account}/users/{user}/devices"
	parent    string    // noun before the last, "" for none
	narrowed  bool      // only the list is offered, and only to be read
	only      *endpoint // what is offered, when it is not the resource's endpoints
	top       bool      // no account is named, though others of the noun are in one
}

// mounts are all paths that lead to a resource.
func (r *resource) mounts() []mount {
	const account = "/v2/accounts/{account}/"
	below := func(parent string) string { return parent + "/{" + strings.TrimSuffix(parent, "s") + "}/" }
	var out []mount
	switch {
	case r.leading:
		out = append(out, mount{resource: r, base: "/v2/" + r.noun})
	case r.parentKey == "":
		out = append(out, mount{resource: r, base: account + r.noun})
	}
	if r.top != nil {
		out = append(out, mount{resource: r.top, base: "/v2/" + r.noun, top: true})
	}
	for _, parent := range slices.Sorted(maps.Keys(r.within)) {
		out = append(out, mount{resource: r, parent: parent, narrowed: !r.nested,
			base: account + below(parent) + r.noun})
	}
	for _, parent := range slices.Sorted(maps.Keys(r.under)) {
		out = append(out, mount{resource: r, parent: parent, base: account + below(parent) + r.noun, only: r.under[parent]})
	}
	return out
}

// each calls f with the path of every endpoint below a mount, and with the verbs that it takes there.
func (p mount) each(f func(path string, e *endpoint, verbs []string)) {
	if p.only != nil {
		f(p.base, p.only, slices.Sorted(maps.Keys(p.only.ops)))
		return
	}
	for i := range p.endpoints {
		e := &p.endpoints[i]
		path := strings.TrimSuffix(p.base+"/"+e.path, "/")
		if p.typ == TypeAccount {
			path = strings.Replace(path, "{id}", "{account}", 1)
		}
		verbs := slices.Sorted(maps.Keys(e.ops))
		if p.narrowed {
			if verbs = []string{http.MethodGet}; e.path != "" {
				continue
			}
		}
		f(path, e, verbs)
	}
}

// Routes lists every path, in order.
func (a *API) Routes() []Route {
	var out []Route
	for _, r := range a.resources {
		for _, p := range r.mounts() {
			p.each(func(path string, e *endpoint, verbs []string) {
				route := Route{Path: path, Open: true, Schema: r.schema, Methods: verbs}
				for _, op := range e.ops {
					route.Open = route.Open && op.open
				}
				out = append(out, route)
			})
		}
	}
	slices.SortFunc(out, func(x, y Route) int { return strings.Compare(x.Path, y.Path) })
	return out
}
