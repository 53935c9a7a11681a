package crossbar

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"bugle/internal/store"
)

// filter decides whether a document is listed.
type filter func(d *store.Document) bool

const (
	maxFilters  = 50
	maxFiltered = 128 // bytes of a value that an index is asked for
)

// filters reads the query string, and nothing else; nil when it has none. Every one must pass, a repeated one too.
func (req *request) filters(res *resource) (filter, error) {
	type test func(d *store.Document, doc map[string]any) bool
	var tests []test
	keys := []string{} // top-level ones that the tests look at
	for name, values := range req.query {
		for _, value := range values {
			var t test
			switch {
			case strings.HasPrefix(name, "filter_not_"):
				keys = append(keys, topKey(name[len("filter_not_"):]))
				equal := equals(name[len("filter_not_"):], value)
				t = func(_ *store.Document, doc map[string]any) bool { return !equal(doc) }
			case strings.HasPrefix(name, "filter_"):
				keys = append(keys, topKey(name[len("filter_"):]))
				equal := equals(name[len("filter_"):], value)
				t = func(_ *store.Document, doc map[string]any) bool { return equal(doc) }
			case name == "has_key", name == "key_missing":
				keys = append(keys, topKey(value))
				t = func(_ *store.Document, doc map[string]any) bool {
					_, has := lookUp(doc, value)
					return has == (name == "has_key")
				}
			case name == "has_value", name == "value_missing":
				keys = append(keys, topKey(value))
				t = func(_ *store.Document, doc map[string]any) bool {
					v, has := lookUp(doc, value)
					return (has && !empty(v)) == (name == "has_value")
				}
			case name == "created_from", name == "created_to", name == "modified_from", name == "modified_to":
				bound, err := strconv.ParseInt(value, 10, 64)
				if err != nil {
					return nil, oneError(name, "invalid", "A time is a number of Gregorian seconds", value)
				}
				t = func(d *store.Document, _ map[string]any) bool {
					at := gregorian(d.Created)
					if strings.HasPrefix(name, "modified") {
						at = gregorian(d.Modified)
					}
					if strings.HasSuffix(name, "_from") {
						return at >= bound
					}
					return at <= bound
				}
			default:
				continue
			}
			if tests = append(tests, t); len(tests) > maxFilters {
				return nil, faultyRequest("at most " + strconv.Itoa(maxFilters) + " filters")
			}
		}
	}
	if len(tests) == 0 {
		return nil, nil
	}
	var shown []string // what a plain user is not shown is not guessed by filters either
	if self := res.self; self != nil && req.identity != nil && !req.identity.admin {
		shown = self.summary
	}
	read := readerOf(keys)
	return func(d *store.Document) bool {
		doc, err := read(d.Body)
		if err != nil {
			return false
		}
		for _, path := range res.secretsIn(doc) {
			removeAt(doc, path)
		}
		if shown != nil {
			doc = pick(doc, shown...)
		}
		doc["id"] = d.ID
		for _, t := range tests {
			if !t(d, doc) {
				return false
			}
		}
		return true
	}, nil
}

// byIndex is q by an index that answers one of the request's filters. The filters still judge each document.
func (req *request) byIndex(res *resource, q store.Query) store.Query {
	for key, index := range res.filtered {
		values := req.query["filter_"+key]
		if q.Index == nil && len(values) == 1 && values[0] != "" && len(values[0]) <= maxFiltered && values[0][0] != '[' {
			q.Index = &store.Index{Name: index, Value: values[0]}
		}
	}
	return q
}

func topKey(path string) string {
	key, _, _ := strings.Cut(path, ".")
	return key
}

// readerOf reads some top-level keys of a document, or all where parseKeys would miss one.
func readerOf(keys []string) func(body []byte) (map[string]any, error) {
	if slices.ContainsFunc(keys, writtenWithEscapes) {
		return parseObject
	}
	return func(body []byte) (map[string]any, error) { return parseKeys(body, keys) }
}

// writtenWithEscapes reports whether a key is written with escapes in a document, where parseKeys would not find it.
func writtenWithEscapes(key string) bool { return len(appendString(nil, key)) != len(key)+2 }

// equals compares the value at a dotted path, as text, with value or with one of the members of a JSON array.
func equals(path, value string) func(doc map[string]any) bool {
	wanted := []string{value}
	if strings.HasPrefix(value, "[") {
		if list, err := parseTree([]byte(value)); err == nil {
			if list, ok := list.([]any); ok {
				wanted = wanted[:0]
				for _, v := range list {
					wanted = append(wanted, plain(v))
				}
			}
		}
	}
	return func(doc map[string]any) bool {
		v, _ := lookUp(doc, path)
		text := plain(v)
		for _, w := range wanted {
			if w == text {
				return true
			}
		}
		return false
	}
}

func plain(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return string(v)
	}
	return string(appendTree(nil, v))
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}
