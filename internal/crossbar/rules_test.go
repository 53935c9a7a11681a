package crossbar_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// book are the schemas as the server shows them, by id.
type book map[string]map[string]any

func schemasOf(w *world) book {
	b := book{}
	for _, id := range w.must("GET", "/v2/schemas", "").data().([]any) {
		b[id.(string)] = w.must("GET", "/v2/schemas/"+id.(string), "").data().(map[string]any)
	}
	return b
}

func (b book) resolved(v any) map[string]any {
	schema, _ := v.(map[string]any)
	for ref, ok := schema["$ref"].(string); ok; ref, ok = schema["$ref"].(string) {
		schema = b[ref]
	}
	return schema
}

func typesOf(schema map[string]any) []string {
	switch typ := schema["type"].(type) {
	case string:
		return []string{typ}
	case []any:
		var out []string
		for _, t := range typ {
			out = append(out, t.(string))
		}
		return out
	}
	return nil
}

func bound(schema map[string]any, key string, otherwise int) int {
	if n, ok := schema[key].(json.Number); ok {
		if v, err := n.Int64(); err == nil {
			return int(v)
		}
	}
	return otherwise
}

// valid draws a value that the schema takes.
func (b book) valid(t *rapid.T, label string, v any, depth int) any {
	schema := b.resolved(v)
	if values, ok := schema["enum"].([]any); ok {
		return rapid.SampledFrom(values).Draw(t, label)
	}
	for _, key := range []string{"oneOf", "anyOf"} {
		if options, ok := schema[key].([]any); ok {
			return b.valid(t, label, rapid.SampledFrom(options).Draw(t, label+"?"), depth)
		}
	}
	types := typesOf(schema)
	if len(types) == 0 {
		if schema["properties"] == nil {
			return "anything"
		}
		types = []string{"object"}
	}
	switch rapid.SampledFrom(types).Draw(t, label+" type") {
	case "string":
		return validText(t, label, schema)
	case "boolean":
		return rapid.Bool().Draw(t, label)
	case "integer", "number":
		low := bound(schema, "minimum", 0)
		high := bound(schema, "maximum", max(low, 0)+100)
		if truth(schema["exclusiveMinimum"]) {
			low++
		}
		if truth(schema["exclusiveMaximum"]) {
			high--
		}
		return json.Number(fmt.Sprint(rapid.IntRange(low, high).Draw(t, label)))
	case "array":
		least := bound(schema, "minItems", 0)
		list := []any{}
		for i := range rapid.IntRange(least, max(least, min(2, bound(schema, "maxItems", 2)))).Draw(t, label+" length") {
			item := b.valid(t, fmt.Sprintf("%s.%d", label, i), schema["items"], depth+1)
			if !truth(schema["uniqueItems"]) || !slices.ContainsFunc(list, func(v any) bool { return same(v, item) }) {
				list = append(list, item)
			}
		}
		return list
	case "null":
		return nil
	}
	out := map[string]any{}
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	for _, key := range slices.Sorted(maps.Keys(properties)) {
		must := slices.Contains(required, any(key))
		if must || depth < 5 && rapid.IntRange(0, 3+depth).Draw(t, label+"."+key+"?") == 0 {
			out[key] = b.valid(t, label+"."+key, properties[key], depth+1)
		}
	}
	return out
}

func truth(v any) bool {
	yes, _ := v.(bool)
	return yes
}

func same(x, y any) bool {
	a, _ := json.Marshal(x)
	b, _ := json.Marshal(y)
	return string(a) == string(b)
}

func validText(t *rapid.T, label string, schema map[string]any) string {
	least, most := bound(schema, "minLength", 0), bound(schema, "maxLength", 40)
	switch schema["format"] {
	case "uri":
		return "https://hooks.example.com/" + rapid.StringMatching(`[a-z]{1,8}`).Draw(t, label)
	case "email":
		return rapid.StringMatching(`[a-z]{1,8}`).Draw(t, label) + "@example.com"
	}
	if pattern, ok := schema["pattern"].(string); ok {
		return rapid.StringMatching(pattern).Filter(func(s string) bool {
			n := len([]rune(s))
			return n >= least && n <= most
		}).Draw(t, label)
	}
	most = min(most, least+20)
	return rapid.StringOfN(rapid.RuneFrom([]rune("abz019 .-_Łéא山'\"\\😀/")), least, most, -1).Draw(t, label)
}

// breach is one rule of a schema broken at one place.
type breach struct {
	path  []string
	code  string
	value any
	drop  bool // the key is left out
}

func (b breach) field() string {
	steps := make([]string, len(b.path))
	for i, s := range b.path {
		steps[i] = strings.ReplaceAll(s, ".", "%2E")
	}
	return strings.Join(steps, ".")
}

// breaches are all rules of a schema, each broken once wherever it applies.
func (b book) breaches(v any, path []string, seen map[string]bool) []breach {
	if schema, ok := v.(map[string]any); ok {
		if ref, ok := schema["$ref"].(string); ok {
			if seen[ref] || len(path) > 12 {
				return nil // a tree: its nodes are all alike
			}
			more := map[string]bool{ref: true}
			maps.Copy(more, seen)
			seen = more
		}
	}
	schema := b.resolved(v)
	var out []breach
	add := func(code string, value any) { out = append(out, breach{path: path, code: code, value: value}) }
	if len(path) > 0 {
		b.ownBreaches(schema, add)
	}
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	below := func(key string) []string { return append(slices.Clone(path), key) }
	for _, key := range slices.Sorted(maps.Keys(properties)) {
		if _, filled := b.resolved(properties[key])["default"]; slices.Contains(required, any(key)) && !filled {
			out = append(out, breach{path: below(key), code: "required", drop: true})
		}
		out = append(out, b.breaches(properties[key], below(key), seen)...)
	}
	if more, ok := schema["additionalProperties"].(map[string]any); ok {
		out = append(out, b.breaches(more, below("1"), seen)...)
	} else if more, ok := schema["additionalProperties"].(bool); ok && !more {
		out = append(out, breach{path: below("unheard of"), code: "additionalProperties", value: "x"})
	}
	for pattern, p := range mapOf(schema["patternProperties"]) {
		for _, key := range []string{"1", strings.Repeat("a", 32)} {
			if regexp.MustCompile(pattern).MatchString(key) {
				out = append(out, b.breaches(p, below(key), seen)...)
				break
			}
		}
	}
	if items, ok := schema["items"].(map[string]any); ok {
		out = append(out, b.breaches(items, below("0"), seen)...)
	}
	return out
}

func mapOf(v any) map[string]any {
	o, _ := v.(map[string]any)
	return o
}

// ownBreaches breaks the rules that a schema has for the value itself.
func (b book) ownBreaches(schema map[string]any, add func(code string, value any)) {
	types := typesOf(schema)
	wrong := map[string]any{"string": json.Number("7"), "boolean": json.Number("7"), "integer": json.Number("1.5"), "number": "many",
		"array": map[string]any{}, "object": []any{}}
	if len(types) == 1 && wrong[types[0]] != nil && schema["enum"] == nil {
		add("type", wrong[types[0]])
	}
	if schema["enum"] != nil && len(types) == 1 && types[0] == "string" {
		add("enum", "no such value")
	}
	if options, ok := schema["oneOf"].([]any); ok {
		arrays := slices.ContainsFunc(options, func(o any) bool {
			return len(typesOf(b.resolved(o))) == 0 || slices.Contains(typesOf(b.resolved(o)), "array")
		})
		if !arrays {
			add("not_one_schema_valid", []any{[]any{}})
		}
	}
	limit := func(key string, step int64, exclusive string) {
		n, ok := schema[key].(json.Number)
		if !ok {
			return
		}
		r, _ := new(big.Rat).SetString(n.String())
		if truth(schema[exclusive]) {
			add(exclusive, n)
			return
		}
		add(key, json.Number(new(big.Rat).Add(r, big.NewRat(step, 1)).FloatString(0)))
	}
	limit("minimum", -1, "exclusiveMinimum")
	limit("maximum", 1, "exclusiveMaximum")
	if n := bound(schema, "minLength", 0); n > 0 && schema["enum"] == nil && schema["format"] == nil {
		add("minLength", strings.Repeat("x", n-1))
	}
	// An email has its own limit, and a value of another form than the schema's is refused for that alone.
	if n := bound(schema, "maxLength", -1); n >= 0 && n < 100_000 && schema["format"] != "email" {
		long := strings.Repeat("x", n+1)
		if schema["format"] == "uri" {
			long = "https://example.com/" + long
		}
		add("maxLength", long)
	}
	if pattern, ok := schema["pattern"].(string); ok {
		for _, value := range []string{"\t \t", strings.Repeat("\t", max(1, bound(schema, "minLength", 1)))} {
			if !regexp.MustCompile(pattern).MatchString(value) {
				add("pattern", value)
				break
			}
		}
	}
	switch schema["format"] {
	case "email":
		add("wrong_format", "nobody")
	case "uri":
		add("wrong_format", "://")
	}
	if n := bound(schema, "minItems", 0); n > 0 {
		add("minItems", []any{})
	}
	if n := bound(schema, "maxItems", -1); n >= 0 && n < 1000 {
		list := []any{}
		for i := range n + 1 {
			list = append(list, fmt.Sprint(i))
		}
		add("maxItems", list)
	}
	if truth(schema["uniqueItems"]) {
		add("uniqueItems", []any{"1", "1"})
	}
}

// spoil puts a breach into a document, making what is missing on the way valid.
func (b book) spoil(t *rapid.T, schema any, doc map[string]any, broken breach) map[string]any {
	return b.spoiled(t, schema, doc, broken, 0).(map[string]any)
}

func (b book) spoiled(t *rapid.T, v, at any, broken breach, i int) any {
	if i == len(broken.path) {
		return broken.value
	}
	schema, step := b.resolved(v), broken.path[i]
	if slices.Contains(typesOf(schema), "array") {
		return []any{b.spoiled(t, schema["items"], nil, broken, i+1)}
	}
	doc, ok := at.(map[string]any)
	if !ok {
		doc, _ = b.valid(t, "filling", map[string]any{"type": "object", "properties": schema["properties"],
			"required": schema["required"]}, 5).(map[string]any)
	}
	doc = maps.Clone(doc)
	if broken.drop && i == len(broken.path)-1 {
		delete(doc, step)
		return doc
	}
	below, known := mapOf(schema["properties"])[step]
	if !known {
		for pattern, p := range mapOf(schema["patternProperties"]) {
			if regexp.MustCompile(pattern).MatchString(step) {
				below = p
			}
		}
		if below == nil {
			below = schema["additionalProperties"]
		}
	}
	doc[step] = b.spoiled(t, below, doc[step], broken, i+1)
	return doc
}

// drawn is a value of a rapid generator, always the same one for a seed.
func drawn[T any](seed int, draw func(t *rapid.T) T) T { return rapid.Custom(draw).Example(seed) }

// documented are the resources with a schema that can be created: path of the list, schema, and an example that is
// taken.
type documented struct {
	path, schema string
	example      map[string]any
}

func documentedResources(t testing.TB, w *world) []documented {
	t.Helper()
	var all map[string]any
	decoder := json.NewDecoder(strings.NewReader(string(w.api.OpenAPI())))
	decoder.UseNumber()
	if err := decoder.Decode(&all); err != nil {
		t.Fatal(err)
	}
	var out []documented
	parents := strings.NewReplacer("/v2/accounts/{account}", w.own(""), "{list}", w.must("PUT", w.own("/lists"), `{"name":"L"}`).str("id"),
		"{user}", w.must("PUT", w.own("/users"), `{"first_name":"U"}`).str("id"))
	for _, r := range w.api.Routes() {
		put := in(all, "paths", r.Path, "put")
		if r.Schema == "" || in(put, "responses", "201") == nil || r.Path == "/v2/accounts" ||
			strings.Contains(r.Path, "{id}") || !slices.Contains(r.Methods, "GET") { // ids that the client chooses, many at once
			continue
		}
		example := in(put, "requestBody", "content", "application/json", "example", "data")
		if example == nil {
			t.Errorf("PUT %s has no example", r.Path)
			continue
		}
		if r.Schema == "users" { // hashing takes long
			delete(example, "username")
			delete(example, "password")
		}
		out = append(out, documented{parents.Replace(r.Path), r.Schema, example})
	}
	if len(out) < 7 {
		t.Fatalf("only %d resources", len(out))
	}
	return out
}
