package crossbar

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A JSON value inside this package is a tree of map[string]any, []any, string, json.Number, bool and nil. Numbers keep
// the digits that the client wrote.

const (
	maxDepth    = 1000    // nesting of a body; a callflow node takes two levels
	maxValues   = 100_000 // members and elements of a body; each costs memory many times its two bytes
	maxNumber   = 1000    // characters of a number
	maxExponent = 400     // a number beyond it is no number of a phone system, and costs gigabytes to compare
)

// refusal says to the client why a body is no JSON that is taken.
type refusal string

func (r refusal) Error() string { return string(r) }

const (
	errNotJSON   refusal = "All JSON must be valid"
	errDuplicate refusal = "An object must not hold a key twice"
	errTooDeep   refusal = "JSON must not be nested deeper than 1000 levels"
	errTooMany   refusal = "JSON must not hold more than 100000 values"
	errNumber    refusal = "Numbers must have at most 1000 digits and an exponent of at most 400"
	errUTF8      refusal = "JSON must be valid UTF-8"
	errSurrogate refusal = "JSON must not escape half of a surrogate pair"
)

// parseTree reads one JSON value. Unlike encoding/json it refuses what could be read in two ways: a key twice in one
// object, and invalid UTF-8.
func parseTree(text []byte) (any, error) { return parseUpTo(text, maxValues) }

func parseUpTo(text []byte, most int) (any, error) {
	if !utf8.Valid(text) {
		return nil, errUTF8
	}
	p := treeParser{text: text, left: most}
	p.space()
	v, err := p.value(0)
	if err != nil {
		return nil, err
	}
	p.space()
	if p.at != len(text) {
		return nil, errNotJSON
	}
	return v, nil
}

// parseObject reads a document that the store returned: many PATCHes may have made it larger than one body may be.
func parseObject(text []byte) (map[string]any, error) {
	v, err := parseUpTo(text, len(text))
	if err != nil {
		return nil, err
	}
	o, ok := v.(map[string]any)
	if !ok {
		return nil, errNotJSON
	}
	return o, nil
}

type treeParser struct {
	text []byte
	at   int
	left int            // values that may still come
	only []string       // when not nil, the top-level keys that are wanted
	root map[string]any // when not nil, takes the top-level keys

	copied []string // of the others, those whose text is kept in cells
	cells  []cell
}

// pass passes over a member whose key is not wanted, and reports whether it did. A key with escapes is none of ours.
func (p *treeParser) pass() bool {
	end := p.at + 1
	for end < len(p.text) && p.text[end] != '"' {
		if p.text[end] == '\\' {
			end++
		}
		end++
	}
	key := p.text[p.at+1 : max(p.at+1, min(end, len(p.text)))]
	for _, wanted := range p.only {
		if string(key) == wanted {
			return false
		}
	}
	p.at = min(end+1, len(p.text))
	from := p.at
	p.skip()
	for _, wanted := range p.copied {
		if string(key) == wanted {
			p.cells = append(p.cells, cell{key: wanted, text: bytes.Trim(p.text[from:p.at], ": \t\r\n")})
			break
		}
	}
	return true
}

// skip passes over a value of a document that is known to be valid.
func (p *treeParser) skip() {
	depth := 0
	for ; p.at < len(p.text); p.at++ {
		switch p.text[p.at] {
		case '"':
			for p.at++; p.at < len(p.text) && p.text[p.at] != '"'; p.at++ {
				if p.text[p.at] == '\\' {
					p.at++
				}
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth < 0 {
				return
			}
		case ',':
			if depth == 0 {
				return
			}
		}
	}
}

func (p *treeParser) space() {
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

func (p *treeParser) peek() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

func (p *treeParser) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, errTooDeep
	}
	if p.left--; p.left < 0 {
		return nil, errTooMany
	}
	switch c := p.peek(); {
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.array(depth)
	case c == '"':
		return p.str()
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	}
	rest := p.text[p.at:]
	switch {
	case bytes.HasPrefix(rest, []byte("true")):
		p.at += 4
		return true, nil
	case bytes.HasPrefix(rest, []byte("false")):
		p.at += 5
		return false, nil
	case bytes.HasPrefix(rest, []byte("null")):
		p.at += 4
		return nil, nil
	}
	return nil, errNotJSON
}

func (p *treeParser) object(depth int) (any, error) {
	o := p.root
	if depth > 0 || o == nil {
		o = map[string]any{}
	}
	p.at++
	p.space()
	if p.peek() == '}' {
		p.at++
		return o, nil
	}
	for {
		p.space()
		if p.peek() != '"' {
			return nil, errNotJSON
		}
		if depth == 0 && p.only != nil && p.pass() {
			if p.peek() == ',' {
				p.at++
				continue
			}
			return o, nil
		}
		key, err := p.str()
		if err != nil {
			return nil, err
		}
		p.space()
		if p.peek() != ':' {
			return nil, errNotJSON
		}
		p.at++
		p.space()
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if _, twice := o[key]; twice {
			return nil, errDuplicate
		}
		o[key] = v
		p.space()
		switch p.peek() {
		case ',':
			p.at++
		case '}':
			p.at++
			return o, nil
		default:
			return nil, errNotJSON
		}
	}
}

func (p *treeParser) array(depth int) (any, error) {
	a := []any{}
	p.at++
	p.space()
	if p.peek() == ']' {
		p.at++
		return a, nil
	}
	for {
		p.space()
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		a = append(a, v)
		p.space()
		switch p.peek() {
		case ',':
			p.at++
		case ']':
			p.at++
			return a, nil
		default:
			return nil, errNotJSON
		}
	}
}

func (p *treeParser) str() (string, error) {
	start := p.at
	p.at++
	escaped := false
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == '"':
			p.at++
			if !escaped {
				return string(p.text[start+1 : p.at-1]), nil
			}
			var s string
			if json.Unmarshal(p.text[start:p.at], &s) != nil {
				return "", errNotJSON
			}
			if strings.ContainsRune(s, utf8.RuneError) && halfSurrogate(p.text[start:p.at]) {
				return "", errSurrogate
			}
			return s, nil
		case c == '\\':
			escaped = true
			p.at += 2
		case c < ' ':
			return "", errNotJSON
		default:
			p.at++
		}
	}
	return "", errNotJSON
}

// cloneTree copies a value so that neither side sees the other's edits.
func cloneTree(v any) any {
	switch v := v.(type) {
	case map[string]any:
		o := make(map[string]any, len(v))
		for k, e := range v {
			o[k] = cloneTree(e)
		}
		return o
	case []any:
		a := make([]any, len(v))
		for i, e := range v {
			a[i] = cloneTree(e)
		}
		return a
	}
	return v
}

// mergeTree lays patch over doc as PATCH does: objects key by key, arrays and scalars whole, null removes the key.
func mergeTree(doc, patch map[string]any) {
	for k, v := range patch {
		if v == nil {
			delete(doc, k)
			continue
		}
		over, ok := v.(map[string]any)
		if !ok {
			doc[k] = v
			continue
		}
		under, ok := doc[k].(map[string]any)
		if !ok {
			under = map[string]any{}
			doc[k] = under
		}
		mergeTree(under, over)
	}
}

// lookUp finds the value at a dotted path; array members are found by their index.
func lookUp(v any, path string) (any, bool) {
	for path != "" {
		var key string
		key, path, _ = strings.Cut(path, ".")
		switch at := v.(type) {
		case map[string]any:
			next, ok := at[key]
			if !ok {
				return nil, false
			}
			v = next
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || i >= len(at) {
				return nil, false
			}
			v = at[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// stringAt is the string at a dotted path, "" when there is none.
func stringAt(v any, path string) string {
	found, _ := lookUp(v, path)
	s, _ := found.(string)
	return s
}

// boolAt is the boolean at a dotted path, otherwise when there is none.
func boolAt(v any, path string, otherwise bool) bool {
	found, _ := lookUp(v, path)
	if b, ok := found.(bool); ok {
		return b
	}
	return otherwise
}

// setAt writes a value at a dotted path, making the objects on the way. A member that an array does not have is not made.
func setAt(at any, path string, v any) {
	key, rest, nested := strings.Cut(path, ".")
	switch at := at.(type) {
	case map[string]any:
		if !nested {
			at[key] = v
			return
		}
		switch at[key].(type) {
		case map[string]any, []any:
		default:
			at[key] = map[string]any{}
		}
		setAt(at[key], rest, v)
	case []any:
		i, err := strconv.Atoi(key)
		switch {
		case err != nil || i < 0 || i >= len(at):
		case nested:
			setAt(at[i], rest, v)
		default:
			at[i] = v
		}
	}
}

// removeAt removes the key at a dotted path; "*" stands for every member of an array.
func removeAt(at any, path string) {
	key, rest, nested := strings.Cut(path, ".")
	switch at := at.(type) {
	case map[string]any:
		if !nested || rest == "*" {
			delete(at, key)
		} else {
			removeAt(at[key], rest)
		}
	case []any:
		for i, member := range at {
			if nested && (key == "*" || key == strconv.Itoa(i)) {
				removeAt(member, rest)
			}
		}
	}
}

// expand returns the paths that a path with "*" for members of arrays has in a document.
func expand(doc any, path string) []string {
	before, after, found := strings.Cut(path, "*")
	if !found {
		return []string{path}
	}
	at, _ := lookUp(doc, strings.TrimSuffix(before, "."))
	list, _ := at.([]any)
	var out []string
	for i := range list {
		out = append(out, expand(doc, before+strconv.Itoa(i)+after)...)
	}
	return out
}

// setKeys replaces what patch names at the top of doc; null removes.
func setKeys(doc, patch map[string]any) {
	for k, v := range patch {
		if doc[k] = v; v == nil {
			delete(doc, k)
		}
	}
}

// dropPrivate removes what a client may not set, at the top of a document: pvt_*, keys of the storage (_id, _rev, ...),
// and the computed block _read_only.
func dropPrivate(doc map[string]any) {
	for k := range doc {
		if strings.HasPrefix(k, "_") || strings.HasPrefix(k, "pvt_") {
			delete(doc, k)
		}
	}
}
