package callflow

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// The bounds of a flow that can be saved.
const (
	maxDepth  = 100 // nodes one below the other
	maxModule = 64  // characters of a module's name
)

// Problem is one thing that is wrong with a flow.
type Problem struct {
	Path    string // dotted path of the value inside the flow: "children._.data.id", "" for its root
	Code    string // KAZOO's code of the field error: "required", "type", "enum", "minLength", ...
	Message string // what was wrong and what is allowed
	Target  any    // the bound or the allowed values, nil for none
	Value   any    // the offending value, nil for none
}

// Checker judges flows and patterns before they are saved. It is safe for concurrent use.
type Checker struct {
	modules map[string]Module
	schemas map[string]*jsonschema.Schema
}

// NewChecker compiles the schemas of the modules. An error is a defect in one of them.
func NewChecker(modules map[string]Module) (*Checker, error) {
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft4)
	c := &Checker{modules: modules, schemas: map[string]*jsonschema.Schema{}}
	for name, module := range modules {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(module.Schema))
		if err != nil {
			return nil, fmt.Errorf("schema of module %s: %w", name, err)
		}
		url := "bugle:///callflows." + name
		if err := compiler.AddResource(url, doc); err != nil {
			return nil, fmt.Errorf("schema of module %s: %w", name, err)
		}
		if c.schemas[name], err = compiler.Compile(url); err != nil {
			return nil, fmt.Errorf("schema of module %s: %w", name, err)
		}
	}
	return c, nil
}

// CheckFlow returns what is wrong with a flow, in the order of the paths; {} is a valid, empty flow.
func (c *Checker) CheckFlow(flow json.RawMessage) []Problem {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(flow))
	if err != nil {
		return []Problem{{Code: "type", Message: "Value did not match type(s): object", Target: "object"}}
	}
	if node, ok := doc.(map[string]any); ok && len(node) == 0 {
		return nil
	}
	w := walk{checker: c}
	w.node("", doc, 1)
	slices.SortStableFunc(w.problems, func(a, b Problem) int { return strings.Compare(a.Path, b.Path) })
	return w.problems
}

// CheckPattern says why a pattern cannot be used, as a *bugle.Error of KindInvalid; nil when it can. A pattern that can
// be used but takes plain numbers as well gets a warning.
func (c *Checker) CheckPattern(pattern string) (warning string, err error) {
	return checkPattern(pattern)
}

// ModuleSchemas returns the schema of each module's data by schema id: "callflows.directory".
func (c *Checker) ModuleSchemas() map[string]json.RawMessage {
	schemas := make(map[string]json.RawMessage, len(c.modules))
	for name, module := range c.modules {
		schemas["callflows."+name] = module.Schema
	}
	return schemas
}

// walk visits the nodes of one flow.
type walk struct {
	checker  *Checker
	problems []Problem
}

func (w *walk) add(path, code, message string, target, value any) {
	w.problems = append(w.problems, Problem{Path: path, Code: code, Message: message, Target: target, Value: value})
}

func (w *walk) node(path string, doc any, depth int) {
	node, ok := doc.(map[string]any)
	switch {
	case !ok:
		w.add(path, "type", "Value did not match type(s): object", "object", doc)
		return
	case depth > maxDepth:
		w.add(path, "invalid", "A flow may be at most "+strconv.Itoa(maxDepth)+" nodes deep", maxDepth, nil)
		return
	case len(node) == 0:
		return
	}
	data, hasData := node["data"]
	if object, ok := data.(map[string]any); hasData && !ok {
		w.add(join(path, "data"), "type", "Value did not match type(s): object", "object", data)
	} else {
		if object == nil {
			object = map[string]any{}
		}
		w.data(join(path, "data"), w.module(path, node), object)
	}
	children, has := node["children"]
	if !has {
		return
	}
	object, ok := children.(map[string]any)
	if !ok {
		w.add(join(path, "children"), "type", "Value did not match type(s): object", "object", children)
		return
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if key == "" {
			w.add(join(path, "children"), "invalid", "A child needs a key that is not empty", nil, nil)
			continue
		}
		w.node(join(join(path, "children"), key), object[key], depth+1)
	}
}

// module judges the module's name and returns it, "" when no module has it.
func (w *walk) module(path string, node map[string]any) string {
	at := join(path, "module")
	value, has := node["module"]
	name, ok := value.(string)
	switch {
	case !has:
		w.add(at, "required", "Field is required but missing", nil, nil)
	case !ok:
		w.add(at, "type", "Value did not match type(s): string", "string", value)
	case name == "":
		w.add(at, "minLength", "String must be at least 1 characters", 1, value)
	case len(name) > maxModule:
		w.add(at, "maxLength", "String must not be more than "+strconv.Itoa(maxModule)+" characters", maxModule, value)
	case w.checker.schemas[name] == nil:
		known := slices.Sorted(maps.Keys(w.checker.modules))
		w.add(at, "enum", "No module is called "+strconv.Quote(name)+"; there are: "+strings.Join(known, ", "), known, value)
	default:
		return name
	}
	return ""
}

// data judges a node's data by the schema of its module.
func (w *walk) data(path, module string, data map[string]any) {
	schema := w.checker.schemas[module]
	if schema == nil {
		return
	}
	if failed, ok := schema.Validate(data).(*jsonschema.ValidationError); ok {
		w.failed(path, failed, data)
	}
}

// failed turns the leaves of a validation error into problems.
func (w *walk) failed(path string, e *jsonschema.ValidationError, data any) {
	switch e.ErrorKind.(type) {
	case *kind.OneOf, *kind.AnyOf, *kind.Not: // their causes are the alternatives that were not met, not problems
	default:
		if len(e.Causes) > 0 {
			for _, cause := range e.Causes {
				w.failed(path, cause, data)
			}
			return
		}
	}
	at, value := path, data
	for _, step := range e.InstanceLocation {
		at = join(at, step)
		value = into(value, step)
	}
	if missing, ok := e.ErrorKind.(*kind.Required); ok {
		for _, name := range missing.Missing {
			w.add(join(at, name), "required", "Field is required but missing", nil, nil)
		}
		return
	}
	code, message, target := worded(e.ErrorKind)
	w.add(at, code, message, target, value)
}

// worded gives a schema's complaint KAZOO's code and words.
func worded(e jsonschema.ErrorKind) (code, message string, target any) {
	switch e := e.(type) {
	case *kind.Type:
		want := strings.Join(e.Want, ",")
		return "type", "Value did not match type(s): " + want, want
	case *kind.Enum:
		return "enum", "Value not found in enumerated list of values", e.Want
	case *kind.MinLength:
		return "minLength", fmt.Sprintf("String must be at least %d characters", e.Want), e.Want
	case *kind.MaxLength:
		return "maxLength", fmt.Sprintf("String must not be more than %d characters", e.Want), e.Want
	case *kind.Minimum:
		want, _ := e.Want.Float64()
		return "minimum", fmt.Sprintf("Value must be at least %v", want), want
	case *kind.Maximum:
		want, _ := e.Want.Float64()
		return "maximum", fmt.Sprintf("Value must be at most %v", want), want
	case *kind.Pattern:
		return "pattern", "Failed to match pattern '" + e.Want + "'", e.Want
	case *kind.UniqueItems:
		return "uniqueItems", "List of items is not unique", nil
	}
	path := e.KeywordPath()
	return cmp.Or(strings.Join(path, "."), "invalid"), "failed to validate", nil
}

// into returns the value at one step below another.
func into(value any, step string) any {
	switch v := value.(type) {
	case map[string]any:
		return v[step]
	case []any:
		if i, err := strconv.Atoi(step); err == nil && i < len(v) {
			return v[i]
		}
	}
	return nil
}

// join appends a key to a dotted path; a dot in a key is written %2E.
func join(path, key string) string {
	key = strings.ReplaceAll(key, ".", "%2E")
	if path == "" {
		return key
	}
	return path + "." + key
}
