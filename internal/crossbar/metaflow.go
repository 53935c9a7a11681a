package crossbar

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// metaflows edits one key of an account, a user or a device as if it were a document of its own.
func metaflows() *resource {
	change := func(how mode) func(*request) (*reply, error) {
		return func(req *request) (*reply, error) {
			data, err := req.document()
			if err != nil {
				return nil, err
			}
			return req.writeMetaflows(how, data)
		}
	}
	return &resource{noun: "metaflows", schema: "metaflows",
		about: "What keys pressed during a call do, of the account, a user or a device: the key `metaflows` of its document, which " +
			"is read and written here alone. `revision` is the document's.",
		within: map[string]string{"users": "", "devices": ""}, nested: true,
		self: &selfService{byParent: true},
		endpoints: []endpoint{{path: "", ops: map[string]operation{
			http.MethodGet:   {run: (*request).readMetaflows},
			http.MethodPost:  {run: change(setting)},
			http.MethodPatch: {run: change(merging)},
			http.MethodDelete: {run: func(req *request) (*reply, error) {
				return req.writeMetaflows(setting, nil)
			}}}}},
	}
}

// metaflowTypes are the documents that hold metaflows.
var metaflowTypes = [...]string{TypeAccount, TypeUser, TypeDevice, TypeCallflow}

// metaflowOwner is the document that the path leads to.
func (req *request) metaflowOwner() (*resource, string) {
	if req.route.parent == "" {
		return req.api.resources["accounts"], req.account.id
	}
	return req.api.resources[req.route.parent], req.route.parentID
}

func (req *request) readMetaflows() (*reply, error) {
	owner, id := req.metaflowOwner()
	d, err := req.api.get(req.ctx, req.account.id, owner.typ, id)
	if err != nil {
		return nil, req.missing(err, id)
	}
	doc, err := parseObject(d.Body)
	if err != nil {
		return nil, err
	}
	return metaflowReply(doc, d.Rev), nil
}

func metaflowReply(doc map[string]any, rev string) *reply {
	flows, ok := doc["metaflows"].(map[string]any)
	if !ok {
		flows = map[string]any{}
	}
	return &reply{status: http.StatusOK, data: appendTree(nil, flows), revision: rev}
}

func (req *request) writeMetaflows(how mode, data map[string]any) (*reply, error) {
	patch := map[string]any{"metaflows": nil}
	if data != nil {
		patch["metaflows"] = data
	}
	owner, id := req.metaflowOwner()
	e, err := req.write(owner, id, how, patch)
	var f *fault
	if errors.As(err, &f) && f.status == http.StatusBadRequest { // paths begin at what the client sent
		if fields, ok := f.data.(map[string]any); ok {
			for _, path := range slices.Collect(maps.Keys(fields)) {
				if rest, ok := strings.CutPrefix(path, "metaflows."); ok {
					fields[rest] = fields[path]
					delete(fields, path)
				}
			}
		}
	}
	if err != nil {
		return nil, err
	}
	return metaflowReply(e.doc, e.result.Rev), nil
}

// checkMetaflows refuses patterns that are no regular expressions, in every document that has metaflows.
func (e *edit) checkMetaflows() {
	for _, key := range [...]string{"metaflows", "metaflow"} {
		patterns, _ := treeAt(e.doc, key+".patterns").(map[string]any)
		for _, pattern := range slices.Sorted(maps.Keys(patterns)) {
			e.checkExpression(fieldPath(key, "patterns", pattern), pattern)
		}
	}
}
