package crossbar

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"bugle"
)

//go:embed schemas/*.json
var schemaFiles embed.FS

// schemaBase is what schema ids are relative to: {"$ref": "caller_id"}.
const schemaBase = "bugle:///"

// schemas are all JSON schemas by id, those of the callflow modules included.
type schemas struct {
	tree     map[string]map[string]any
	compiled map[string]*jsonschema.Schema
	patterns map[string]*regexp.Regexp // of patternProperties
}

func newSchemas(modules map[string]json.RawMessage) (*schemas, error) {
	s := &schemas{tree: map[string]map[string]any{}, compiled: map[string]*jsonschema.Schema{},
		patterns: map[string]*regexp.Regexp{}}
	names, err := fs.Glob(schemaFiles, "schemas/*.json")
	if err != nil {
		return nil, err
	}
	texts := maps.Clone(modules)
	if texts == nil {
		texts = map[string]json.RawMessage{}
	}
	for _, name := range names {
		text, err := schemaFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		texts[strings.TrimSuffix(strings.TrimPrefix(name, "schemas/"), ".json")] = text
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft4)
	compiler.AssertFormat()
	compiler.UseLoader(jsonschema.SchemeURLLoader{})
	for id, text := range texts {
		tree, err := parseObject(bytes.TrimSpace(text))
		if err == nil {
			s.tree[id] = tree
			err = compiler.AddResource(schemaBase+id, cloneTree(tree))
		}
		if err != nil {
			return nil, &bugle.Error{Op: "crossbar.New", Message: "schema " + id, Err: err}
		}
		s.learnPatterns(tree)
	}
	for id := range s.tree {
		if s.compiled[id], err = compiler.Compile(schemaBase + id); err != nil {
			return nil, &bugle.Error{Op: "crossbar.New", Message: "schema " + id, Err: err}
		}
	}
	return s, nil
}

func (s *schemas) ids() []string { return slices.Sorted(maps.Keys(s.tree)) }

// learnPatterns compiles the regular expressions of patternProperties; one that does not compile fails in the compiler
// too.
func (s *schemas) learnPatterns(schema any) {
	switch schema := schema.(type) {
	case map[string]any:
		if byPattern, ok := schema["patternProperties"].(map[string]any); ok {
			for p := range byPattern {
				if re, err := regexp.Compile(p); err == nil {
					s.patterns[p] = re
				}
			}
		}
		for _, v := range schema {
			s.learnPatterns(v)
		}
	case []any:
		for _, v := range schema {
			s.learnPatterns(v)
		}
	}
}

// apply writes the schema's defaults into doc, judges it, and turns "12" into 12 where only types were wrong.
func (s *schemas) apply(id string, doc map[string]any) fieldErrors {
	errs := fieldErrors{}
	if s.compiled[id] == nil {
		return errs
	}
	filled, large := s.fill(s.tree[id], doc)
	failed := s.lenient(id, doc)
	if failed != nil {
		for _, d := range filled { // errors show what the client sent
			delete(d.in, d.key)
		}
		explain(failed, doc, errs)
	}
	for _, path := range large {
		errs.add(fieldPath(path...), "maximum", tooLargeNumber(instance(doc, path)))
	}
	return errs
}

// lenient judges doc, and once more when nothing was wrong with it but types that could be mended.
func (s *schemas) lenient(id string, doc map[string]any) *jsonschema.ValidationError {
	failed := validation(s.compiled[id], doc)
	if failed != nil && coerce(failed, doc) {
		failed = validation(s.compiled[id], doc)
	}
	return failed
}

// defaulted is a key that fill wrote.
type defaulted struct {
	in  map[string]any
	key string
}

func validation(compiled *jsonschema.Schema, doc map[string]any) *jsonschema.ValidationError {
	err := compiled.Validate(doc)
	if err == nil {
		return nil
	}
	if failed, ok := err.(*jsonschema.ValidationError); ok {
		return failed
	}
	return &jsonschema.ValidationError{ErrorKind: &kind.InvalidJsonValue{Value: doc}}
}

// fill writes defaults where a key is missing, in every object that is there, also an empty one. Whole numbers are written
// plainly, as by plain.
func (s *schemas) fill(schema map[string]any, doc map[string]any) (filled []defaulted, large [][]string) {
	s.visit(schema, doc, nil, func(schema map[string]any, v any, path []string) {
		switch v := v.(type) {
		case json.Number:
			large = plainAt(doc, path, schema, v, large)
		case map[string]any:
			properties, _ := schema["properties"].(map[string]any)
			for key, p := range properties {
				p, _ := p.(map[string]any)
				otherwise, ok := p["default"]
				if _, there := v[key]; !there && ok {
					v[key] = cloneTree(otherwise)
					filled = append(filled, defaulted{v, key})
				}
			}
		}
	})
	return filled, large
}

// plain writes the whole numbers of doc as everything that reads documents understands them, and returns the paths of those that
// are too large.
func (s *schemas) plain(schema map[string]any, doc map[string]any) (large [][]string) {
	s.visit(schema, doc, nil, func(schema map[string]any, v any, path []string) {
		if n, ok := v.(json.Number); ok {
			large = plainAt(doc, path, schema, n, large)
		}
	})
	return large
}

// visit calls f for v and everything in it that the schema speaks of, with its own part of the schema and its path.
// f does not keep the path.
func (s *schemas) visit(schema map[string]any, v any, path []string, f func(schema map[string]any, v any, path []string)) {
	for {
		f(schema, v, path) // beside a reference too
		ref, ok := schema["$ref"].(string)
		if !ok {
			break
		}
		if schema = s.tree[ref]; schema == nil {
			return
		}
	}
	below := func(schema any, v any, key string) {
		if schema, ok := schema.(map[string]any); ok {
			s.visit(schema, v, append(path, key), f)
		}
	}
	switch v := v.(type) {
	case map[string]any:
		properties, _ := schema["properties"].(map[string]any)
		byPattern, _ := schema["patternProperties"].(map[string]any)
		for key, member := range v {
			p, named := properties[key]
			if below(p, member, key); named {
				continue
			}
			matched := false
			for pattern, p := range byPattern {
				if re := s.patterns[pattern]; re != nil && re.MatchString(key) {
					matched = true
					below(p, member, key)
				}
			}
			if !matched {
				below(schema["additionalProperties"], member, key)
			}
		}
	case []any:
		for i, member := range v {
			below(schema["items"], member, strconv.Itoa(i))
		}
	}
}

// coerce mends values when nothing but types is wrong. It reports whether it changed anything.
func coerce(failed *jsonschema.ValidationError, doc map[string]any) bool {
	type mend struct {
		path []string
		want []string
	}
	var mends []mend
	var only func(e *jsonschema.ValidationError) bool
	only = func(e *jsonschema.ValidationError) bool {
		switch k := e.ErrorKind.(type) {
		case *kind.Schema, *kind.Reference, *kind.Group:
			for _, cause := range e.Causes {
				if !only(cause) {
					return false
				}
			}
			return true
		case *kind.Type:
			mends = append(mends, mend{e.InstanceLocation, k.Want})
			return true
		}
		return false
	}
	if !only(failed) {
		return false
	}
	changed := false
	for _, m := range mends {
		at := instance(doc, m.path)
		text, ok := at.(string)
		if !ok {
			continue
		}
		if v, ok := coerced(text, m.want); ok {
			place(doc, m.path, v)
			changed = true
		}
	}
	return changed
}

func coerced(text string, want []string) (any, bool) {
	for _, w := range want {
		switch w {
		case "boolean":
			switch strings.ToLower(text) {
			case "true":
				return true, true
			case "false":
				return false, true
			}
		case "integer", "number":
			v, err := parseTree([]byte(text))
			n, ok := v.(json.Number)
			if err != nil || !ok {
				break
			}
			if plain, inRange := plainInteger(n); inRange && w == "integer" {
				return plain, true
			} else if w == "number" {
				return n, true
			}
		}
	}
	return nil, false
}

// instance is the value at a location that the validator gave.
func instance(v any, path []string) any {
	for _, step := range path {
		switch at := v.(type) {
		case map[string]any:
			v = at[step]
		case []any:
			i := -1
			if _, err := fmt.Sscanf(step, "%d", &i); err != nil || i < 0 || i >= len(at) {
				return nil
			}
			v = at[i]
		default:
			return nil
		}
	}
	return v
}

func place(doc map[string]any, path []string, v any) {
	if len(path) == 0 {
		return
	}
	last := path[len(path)-1]
	switch at := instance(doc, path[:len(path)-1]).(type) {
	case map[string]any:
		at[last] = v
	case []any:
		i := -1
		if _, err := fmt.Sscanf(last, "%d", &i); err == nil && i >= 0 && i < len(at) {
			at[i] = v
		}
	}
}

// fieldPath is a location as KAZOO writes it.
func fieldPath(steps ...string) string {
	escaped := make([]string, len(steps))
	for i, s := range steps {
		escaped[i] = strings.ReplaceAll(s, ".", "%2E")
	}
	return strings.Join(escaped, ".")
}

// maxFieldErrors is how many fields are complained about at once.
const maxFieldErrors = 200

// explain translates the validator's findings into KAZOO's field errors.
func explain(e *jsonschema.ValidationError, doc map[string]any, errs fieldErrors) {
	value := instance(doc, e.InstanceLocation)
	if len(e.InstanceLocation) == 0 {
		value = doc
	}
	path := fieldPath(e.InstanceLocation...)
	add := func(code, message string, more ...any) {
		detail := map[string]any{"message": message, "value": shown(value)}
		for i := 0; i+1 < len(more); i += 2 {
			detail[more[i].(string)] = more[i+1]
		}
		errs.add(path, code, detail)
	}
	if len(errs) >= maxFieldErrors {
		return
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		for _, key := range k.Missing {
			errs.add(fieldPath(append(slices.Clone(e.InstanceLocation), key)...), "required",
				map[string]any{"message": "Field is required but missing", "value": shown(value)})
		}
	case *kind.Type:
		want := strings.Join(k.Want, ", ")
		add("type", "Value did not match type(s): "+want, "target", want)
	case *kind.Enum:
		add("enum", "Value not found in enumerated list of values", "target", k.Want)
	case *kind.MinLength:
		add("minLength", fmt.Sprintf("String must be at least %d characters", k.Want), "target", k.Want, "cause", shown(value))
	case *kind.MaxLength:
		add("maxLength", fmt.Sprintf("String must not be more than %d characters", k.Want), "target", k.Want, "cause",
			shown(value))
	case *kind.Minimum:
		add("minimum", "Value must be at least "+ratText(k.Want), "target", ratNumber(k.Want))
	case *kind.Maximum:
		add("maximum", "Value must be at most "+ratText(k.Want), "target", ratNumber(k.Want))
	case *kind.ExclusiveMinimum:
		add("exclusiveMinimum", "Value must be more than "+ratText(k.Want), "target", ratNumber(k.Want))
	case *kind.ExclusiveMaximum:
		add("exclusiveMaximum", "Value must be less than "+ratText(k.Want), "target", ratNumber(k.Want))
	case *kind.MultipleOf:
		add("divisibleBy", "Value must be a multiple of "+ratText(k.Want), "target", ratNumber(k.Want))
	case *kind.MinItems:
		add("minItems", fmt.Sprintf("The list must have at least %d items", k.Want), "target", k.Want)
	case *kind.MaxItems:
		add("maxItems", fmt.Sprintf("The list is more than %d items", k.Want), "target", k.Want)
	case *kind.MinProperties:
		add("minProperties", fmt.Sprintf("The object must have at least %d keys", k.Want), "target", k.Want)
	case *kind.MaxProperties:
		add("maxProperties", fmt.Sprintf("The object must have at most %d keys", k.Want), "target", k.Want)
	case *kind.UniqueItems:
		add("uniqueItems", "List of items is not unique")
	case *kind.Pattern:
		add("pattern", "Failed to match pattern '"+k.Want+"'", "target", k.Want)
	case *kind.Format:
		add("wrong_format", "Field is not in the correct format", "format", k.Want)
	case *kind.AdditionalProperties:
		for _, key := range k.Properties {
			errs.add(fieldPath(append(slices.Clone(e.InstanceLocation), key)...), "additionalProperties",
				map[string]any{"message": "Strict checking of data is enabled; key is not allowed"})
		}
	case *kind.AdditionalItems:
		add("additionalItems", "Strict checking of data is enabled; too many items")
	case *kind.Dependency:
		add("dependencies", "Missing what "+k.Prop+" depends on", "target", k.Missing)
	case *kind.AnyOf, *kind.OneOf, *kind.Not:
		add("not_one_schema_valid", "failed to validate")
	case *kind.Schema, *kind.Reference, *kind.Group, *kind.AllOf:
		for _, cause := range e.Causes {
			explain(cause, doc, errs)
		}
	default:
		add("invalid", "failed to validate")
	}
}

// shown is a value as an error repeats it. What is long is left out: errors on many fields would repeat it many times.
func shown(v any) any {
	const most = 4096
	if measure(v, most) <= 0 {
		return "(too long to be repeated)"
	}
	return v
}

// measure returns what is left of a budget of bytes after v; it stops when there is nothing left.
func measure(v any, left int) int {
	switch v := v.(type) {
	case string:
		return left - len(v) - 2
	case json.Number:
		return left - len(v)
	case map[string]any:
		for k, e := range v {
			if left = measure(e, left-len(k)-4); left <= 0 {
				break
			}
		}
	case []any:
		for _, e := range v {
			if left = measure(e, left-1); left <= 0 {
				break
			}
		}
	}
	return left - 4
}

func ratText(r *big.Rat) string {
	return strings.TrimSuffix(strings.TrimRight(r.FloatString(6), "0"), ".")
}

func ratNumber(r *big.Rat) any { return json.Number(ratText(r)) }
