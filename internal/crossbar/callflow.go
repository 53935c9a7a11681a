package crossbar

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"bugle"
	"bugle/internal/store"
)

func callflows() *resource {
	return &resource{noun: "callflows", typ: TypeCallflow, schema: "callflows",
		about: "A callflow needs a number or a pattern. Numbers are stored as they are looked up; a number or pattern of another " +
			"callflow of the account is refused, and so are modules that do not exist, data that their schemas " +
			"(`callflows.<module>`) refuse, and patterns that do not compile.",
		within:      map[string]string{"users": IndexOwner},
		filtered:    map[string]string{"owner_id": IndexOwner},
		computed:    []string{"metadata"},
		summary:     summariseCallflow,
		summaryKeys: []string{"name", "type", "numbers", "patterns", "owner_id", "group_id", "flags", "featurecode", "flow"},
		copied:      []string{"name", "type", "numbers", "patterns", "owner_id", "group_id"},
		complete:    completeCallflow, check: checkFlowAndNumbers, keys: callflowKeys,
		index: func(e *edit) []store.Index {
			var out []store.Index
			if owner := stringAt(e.doc, "owner_id"); owner != "" && len(owner) <= 128 {
				out = append(out, store.Index{Name: IndexOwner, Value: owner})
			}
			if patterns, _ := e.doc["patterns"].([]any); len(patterns) > 0 {
				out = append(out, store.Index{Name: IndexPatterned, Value: "1"})
			}
			numbers, _ := e.doc["numbers"].([]any)
			for _, number := range numbers {
				if number, _ := number.(string); strings.HasPrefix(number, "+") {
					out = append(out, store.Index{Name: IndexE164, Value: number})
				}
			}
			return out
		},
		taken: func(key store.Key, holder *store.Document) (string, map[string]any) {
			body, _ := bugle.ParseFields(holder.Body)
			where := " exists in callflow " + holder.ID + " " + body.String("name")
			if key.Space == KeyPattern {
				return "patterns", map[string]any{"message": "Pattern " + key.Value + where, "cause": key.Value}
			}
			return "numbers", map[string]any{"message": "Number " + key.Value + where, "cause": key.Value}
		},
		compose: composeCallflow, references: flowReferences, along: markNumbers,
	}
}

func summariseCallflow(doc map[string]any) map[string]any {
	row := picking("name", "type", "numbers", "patterns", "owner_id", "group_id")(doc)
	row["featurecode"] = false
	if code, ok := doc["featurecode"].(map[string]any); ok {
		row["featurecode"] = code
	}
	for _, key := range [...]string{"numbers", "patterns"} {
		if _, ok := row[key]; !ok {
			row[key] = []any{}
		}
	}
	modules := map[string]bool{}
	walkFlow(doc["flow"], func(node map[string]any, _ []string) {
		if m := stringAt(node, "module"); m != "" && !boolAt(node, "data.skip_module", false) {
			modules[m] = true
		}
	})
	row["modules"] = slices.Sorted(maps.Keys(modules))
	return row
}

// The store takes 10,000 values of a document to find it by; every call may try every pattern.
const (
	maxNumbers  = 5000
	maxPatterns = 1000
)

// walkFlow visits each node of a tree with its path.
func walkFlow(flow any, visit func(node map[string]any, path []string)) {
	var walk func(v any, path []string)
	walk = func(v any, path []string) {
		node, ok := v.(map[string]any)
		if !ok {
			return
		}
		visit(node, path)
		children, _ := node["children"].(map[string]any)
		for key, child := range children {
			walk(child, append(slices.Clip(path), "children", key))
		}
	}
	walk(flow, nil)
}

// completeCallflow writes numbers in the form in which calls look for them.
func completeCallflow(e *edit) error {
	numbers, _ := e.doc["numbers"].([]any)
	if len(numbers) == 0 || len(numbers) > maxNumbers {
		return nil
	}
	normal := make([]any, len(numbers))
	for i, n := range numbers {
		normal[i] = n
		if text, ok := n.(string); ok && len(text) <= 256 {
			normal[i] = e.req.api.opts.Flows.NormaliseNumber(e.owner.view, text)
		}
	}
	e.doc["numbers"] = normal
	return nil
}

// checkFlowAndNumbers looks at whose the numbers are last, as KAZOO does.
func checkFlowAndNumbers(e *edit) error {
	if err := checkCallflow(e); err != nil || len(e.errs) > 0 {
		return err
	}
	return e.checkNumbersFree()
}

func checkCallflow(e *edit) error {
	numbers, _ := e.doc["numbers"].([]any)
	patterns, _ := e.doc["patterns"].([]any)
	if _, typed := e.errs["numbers"]["type"]; !typed && len(numbers) == 0 && len(patterns) == 0 {
		e.errs.add("numbers", "required", map[string]any{"message": "Callflows must be assigned at least one number or pattern"})
	}
	if len(patterns) > maxPatterns || len(numbers) > maxNumbers {
		e.errs.add("patterns", "maxItems", map[string]any{"target": maxPatterns,
			"message": "A callflow has at most 1000 patterns and 5000 numbers"})
		return nil
	}
	for _, p := range patterns {
		text, ok := p.(string)
		if !ok || text == "" {
			continue
		}
		if len(text) > store.MaxValue {
			e.errs.add("patterns", "maxLength", map[string]any{"message": "String must not be more than 1024 bytes", "target": store.MaxValue})
			continue
		}
		warning, err := e.req.api.opts.Flows.CheckPattern(text)
		if err != nil {
			e.errs.add("patterns", "pattern", map[string]any{"message": errorText(err), "value": text})
		} else if warning != "" {
			e.req.log().Warn("callflow pattern", "callflow", e.id, "warning", warning)
		}
	}
	for _, list := range [...][]any{numbers, patterns} {
		for _, v := range list {
			if text, ok := v.(string); ok && strings.ContainsRune(text, 0) {
				e.errs.add("numbers", "invalid", map[string]any{"message": "Numbers and patterns must not hold NUL"})
			}
		}
	}
	flow, ok := e.doc["flow"].(map[string]any)
	if !ok {
		return nil
	}
	for path := range e.errs {
		if path == "flow" || strings.HasPrefix(path, "flow.") {
			return nil // its shape is wrong, there is no tree to judge
		}
	}
	e.checkFlow(flow)
	return nil
}

func errorText(err error) string {
	if e, ok := err.(*bugle.Error); ok && e.Message != "" {
		return e.Message
	}
	return err.Error()
}

func (e *edit) checkFlow(flow map[string]any) {
	if stringAt(flow, "module") == "" && empty(flow["children"]) && empty(flow["data"]) {
		return // {}: a flow that does nothing
	}
	walkFlow(flow, func(node map[string]any, path []string) {
		if _, ok := node["module"]; !ok {
			e.errs.add(fieldPath(append(append([]string{"flow"}, path...), "module")...), "required",
				map[string]any{"message": "Field is required but missing", "value": shown(node)})
		}
	})
	e.plainNodes(flow)
	problems := e.req.api.opts.Flows.CheckFlow(appendTree(nil, flow))
	if len(problems) > 0 && e.lenientNodes(flow) {
		problems = e.req.api.opts.Flows.CheckFlow(appendTree(nil, flow))
	}
	for _, p := range problems {
		path := "flow"
		if p.Path != "" {
			path += "." + p.Path
		}
		detail := map[string]any{"message": p.Message}
		if p.Target != nil {
			detail["target"] = p.Target
		}
		if p.Value != nil {
			detail["value"] = shown(p.Value)
		}
		e.errs.add(path, p.Code, detail)
	}
}

// lenientNodes mends types in the data of a flow's nodes, where nothing else is wrong with it: UIs send "20" for the seconds of a
// timeout. It reports whether it changed anything.
func (e *edit) lenientNodes(flow map[string]any) (changed bool) {
	all := e.req.api.schemas
	walkFlow(flow, func(node map[string]any, _ []string) {
		data, ok := node["data"].(map[string]any)
		if schema := all.compiled["callflows."+stringAt(node, "module")]; ok && schema != nil {
			if failed := validation(schema, data); failed != nil && coerce(failed, data) {
				changed = true
			}
		}
	})
	return changed
}

// plainNodes writes the whole numbers in the data of a flow's nodes as the modules read them, and refuses those that are too large.
func (e *edit) plainNodes(flow map[string]any) {
	all := e.req.api.schemas
	walkFlow(flow, func(node map[string]any, path []string) {
		data, _ := node["data"].(map[string]any)
		if data == nil || !oddNumber(data) {
			return
		}
		at := append(append([]string{"flow"}, path...), "data")
		for _, large := range all.plain(all.tree["callflows."+stringAt(node, "module")], data) {
			e.errs.add(fieldPath(append(at, large...)...), "maximum", tooLargeNumber(instance(data, large)))
		}
	})
}

func callflowKeys(e *edit) []store.Key {
	var keys []store.Key
	for field, space := range map[string]string{"numbers": KeyNumber, "patterns": KeyPattern} {
		list, _ := e.doc[field].([]any)
		for _, v := range list {
			if text, ok := v.(string); ok && text != "" {
				keys = append(keys, store.Key{Space: space, Scope: e.owner.id, Value: text})
			}
		}
	}
	return keys
}

// flowReferences are the ids in a callflow's tree, those of children's keys included, and its owner's.
func flowReferences(doc map[string]any) []reference {
	out := refersTo("owner_id", "group_id")(doc)
	walkFlow(doc["flow"], func(node map[string]any, path []string) {
		at := append([]string{"flow"}, path...)
		if n := len(path); n > 0 && bugle.ValidID(path[n-1]) {
			out = append(out, reference{path: fieldPath(at...), id: path[n-1]})
		}
		collectIDs(node["data"], "", append(at, "data"), func(id string, path []string) {
			out = append(out, reference{path: fieldPath(path...), id: id})
		})
	})
	return out
}

// composeCallflow adds metadata: the names of what the flow's ids stand for.
func composeCallflow(req *request, d *store.Document, doc map[string]any) error {
	var ids []string
	for _, r := range flowReferences(doc) {
		if strings.HasPrefix(r.path, "flow.") {
			ids = append(ids, r.id)
		}
	}
	targets, err := req.named(d.AccountID, ids)
	if err != nil {
		return err
	}
	metadata := map[string]any{}
	for id, target := range targets {
		metadata[id] = describeTarget(&target)
	}
	doc["metadata"] = metadata
	return nil
}

var describedKeys = []string{"name", "first_name", "last_name", "numbers"}

func describeTarget(d *store.Document) map[string]any {
	body, _ := parseKeys(d.Body, describedKeys)
	out := map[string]any{"name": stringAt(body, "name"), "pvt_type": d.Type}
	if d.Type == TypeUser {
		out["name"] = strings.TrimSpace(stringAt(body, "first_name") + " " + stringAt(body, "last_name"))
	}
	if numbers, _ := body["numbers"].([]any); len(numbers) > 0 {
		out["numbers"] = numbers
	}
	return out
}

// collectIDs finds the ids in a node's data: strings under id, or under a key that contains _id.
func collectIDs(v any, key string, path []string, found func(id string, path []string)) {
	switch v := v.(type) {
	case string:
		if (key == "id" || strings.Contains(key, "_id")) && bugle.ValidID(v) {
			found(v, path)
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			collectIDs(v[k], k, append(slices.Clip(path), k), found)
		}
	case []any:
		for i, member := range v {
			collectIDs(member, key, append(slices.Clip(path), strconv.Itoa(i)), found)
		}
	}
}
