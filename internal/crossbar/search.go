package crossbar

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"bugle/internal/store"
)

// searchables are the nouns that may be searched, by the type that a client names, and what of a document each view
// compares.
var searchables = map[string]struct {
	noun  string
	views map[string]func(doc map[string]any) []string
}{
	"account":  {"accounts", map[string]func(map[string]any) []string{"name": texts("name"), "realm": texts("realm"), "id": texts("id")}},
	"user":     {"users", searchViews(userNames, texts("caller_id.internal.number", "caller_id.external.number", "presence_id"))},
	"callflow": {"callflows", searchViews(texts("name", "featurecode.name"), texts("numbers", "patterns"))},
	"device": {"devices", searchViews(texts("name"),
		texts("sip.username", "mac_address", "caller_id.internal.number", "caller_id.external.number"))},
	"directory":  {"directories", searchViews(texts("name"), texts())},
	"group":      {"groups", searchViews(texts("name"), texts())},
	"menu":       {"menus", searchViews(texts("name"), texts())},
	"media":      {"media", searchViews(texts("name"), texts())},
	"vmbox":      {"vmboxes", searchViews(texts("name"), texts("mailbox"))},
	"conference": {"conferences", searchViews(texts("name"), texts(conferenceNumbers[:]...))},
}

// searchViews are the views of what is inside an account.
func searchViews(names, numbers func(map[string]any) []string) map[string]func(map[string]any) []string {
	return map[string]func(map[string]any) []string{"name": names, "number": numbers, "id": texts("id"),
		"name_and_number": func(doc map[string]any) []string { return append(names(doc), numbers(doc)...) }}
}

// texts reads the strings at dotted paths, and in lists there.
func texts(paths ...string) func(map[string]any) []string {
	return func(doc map[string]any) []string {
		var out []string
		for _, path := range paths {
			switch v := treeAt(doc, path).(type) {
			case string:
				out = append(out, v)
			case []any:
				for _, member := range v {
					if text, ok := member.(string); ok {
						out = append(out, text)
					}
				}
			}
		}
		return out
	}
}

func userNames(doc map[string]any) []string {
	first, last := stringAt(doc, "first_name"), stringAt(doc, "last_name")
	return []string{strings.TrimSpace(first + " " + last), strings.TrimSpace(last + " " + first), stringAt(doc, "username"),
		stringAt(doc, "email"), stringAt(doc, "nickname")}
}

func searches() *resource {
	endpoints := []endpoint{
		{path: "", ops: map[string]operation{http.MethodGet: {run: (*request).search}}},
		{path: "multi", ops: map[string]operation{http.MethodGet: {run: (*request).searchMulti}}},
	}
	return &resource{noun: "search", endpoints: endpoints,
		about: "Finds documents whose field begins with a value, in any case and without accents: `?t=user&q=name&v=ann`. `t` is " +
			"the type: `" + strings.Join(slices.Sorted(maps.Keys(searchables)), "`, `") + "`. `q` is `name`, `number`, " +
			"`name_and_number` or `id`, of accounts (those below the token's own) `name`, `realm` or `id`. A row is that of the " +
			"type's list. `multi` searches several fields at once: `?t=user&by_name=ann&by_number=10`, and answers `{\"name\": " +
			"[…], \"number\": […]}`.",
		top: &resource{noun: "search", endpoints: endpoints}}
}

// searched is what a search looks through.
func (req *request) searched() (*resource, store.Query, map[string]func(map[string]any) []string, error) {
	typ, ok := req.param("t")
	if !ok || typ == "" {
		errs := fieldErrors{}
		errs.add("t", "required", map[string]any{"message": "Search needs a document type to search on"})
		return nil, store.Query{}, nil, errs.fault()
	}
	known, ok := searchables[typ]
	if !ok {
		known, ok = searchables[strings.TrimSuffix(typ, "s")]
	}
	if !ok || req.account == nil && known.noun != "accounts" {
		target := []string{"account"}
		if req.account != nil {
			target = slices.Sorted(maps.Keys(searchables))
		}
		errs := fieldErrors{}
		errs.add("t", "enum", map[string]any{"message": "Value not found in enumerated list of values", "target": target,
			"cause": clip(typ, 64)})
		return nil, store.Query{}, nil, errs.fault()
	}
	res := req.api.resources[known.noun]
	if res.typ != TypeAccount {
		return res, store.Query{AccountID: req.account.id, Type: res.typ}, known.views, nil
	}
	top := req.identity.account.id
	if req.account != nil {
		top = req.account.id
	}
	return res, store.Query{Type: TypeAccount, Index: &store.Index{Name: IndexAncestor, Value: top}}, known.views, nil
}

func (req *request) search() (*reply, error) {
	res, q, views, err := req.searched()
	if err != nil {
		return nil, err
	}
	errs := fieldErrors{}
	name, ok := req.param("q")
	view := views[name]
	switch {
	case !ok:
		errs.add("q", "required", map[string]any{"message": "Search needs a view to search in", "target": slices.Sorted(maps.Keys(views))})
	case view == nil:
		errs.add("q", "enum", unknownView(name, views))
	}
	value, ok := req.param("v")
	if !ok {
		errs.add("v", "required", map[string]any{"message": "Search needs a value to search with"})
	}
	if err := errs.err(); err != nil {
		return nil, err
	}
	return req.listWhere(res, q, req.beginsWith(view, value))
}

func unknownView(name string, views map[string]func(map[string]any) []string) map[string]any {
	return map[string]any{"message": "Value not found in enumerated list of values", "target": slices.Sorted(maps.Keys(views)),
		"cause": clip(name, 64)}
}

// searchMulti answers several searches at once, with one page of each.
func (req *request) searchMulti() (*reply, error) {
	res, q, views, err := req.searched()
	if err != nil {
		return nil, err
	}
	size, err := req.pageSize(&page{})
	if err != nil {
		return nil, err
	}
	errs, found := fieldErrors{}, map[string]any{}
	for _, param := range slices.Sorted(maps.Keys(req.query)) {
		name, ok := strings.CutPrefix(param, "by_")
		if !ok {
			continue
		}
		view := views[name]
		if view == nil {
			errs.add("q", "enum", unknownView(name, views))
			continue
		}
		docs, _, err := req.rows(q, size, nil, req.beginsWith(view, req.query.Get(param)))
		if err != nil {
			return nil, err
		}
		rows, err := req.summaries(res, docs)
		if err != nil {
			return nil, err
		}
		list := make([]any, len(rows))
		for i, row := range rows {
			list[i] = row
		}
		found[name] = list
	}
	if len(found) == 0 && len(errs) == 0 {
		errs.add("multi", "enum", map[string]any{"message": "Multi Search needs something to search: by_{view}",
			"target": slices.Sorted(maps.Keys(views))})
	}
	if err := errs.err(); err != nil {
		return nil, err
	}
	return &reply{status: http.StatusOK, data: appendTree(nil, found)}, nil
}

// beginsWith passes documents with a text that begins with value. A number is found in the form in which it is stored
// and as people of the account write it.
func (req *request) beginsWith(view func(map[string]any) []string, value string) filter {
	wanted := folded(value)
	normal := ""
	if req.account != nil && value != "" && len(value) <= 64 {
		normal = folded(req.api.opts.Flows.NormaliseNumber(req.account.view, value))
	}
	return func(d *store.Document) bool {
		doc, err := parseObject(d.Body)
		if err != nil {
			return false
		}
		doc["id"] = d.ID
		return slices.ContainsFunc(view(doc), func(text string) bool {
			if text == "" {
				return false
			}
			text = folded(text)
			return strings.HasPrefix(text, wanted) || strings.HasPrefix(strings.TrimPrefix(text, "+"), wanted) || text == normal
		})
	}
}

// folded is text without case and accents.
func folded(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFKD.String(text))
}
