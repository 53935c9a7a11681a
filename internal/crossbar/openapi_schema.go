package crossbar

import (
	"encoding/json"
	"maps"
	"strings"
)

const components = "#/components/schemas/"

// modern turns a schema of draft 4, as KAZOO publishes them, into one of draft 2020-12, which OpenAPI 3.1 uses. What
// the drafts say alike is kept as it is. self is the component that the schema becomes: its own definitions are found
// there.
func modern(self string, schema map[string]any) map[string]any {
	out := make(map[string]any, len(schema))
	if ref, ok := schema["$ref"].(string); ok {
		out["$ref"] = modernRef(self, ref)
		// Draft 4 ignores what stands beside $ref, 2020-12 obeys it.
		for _, key := range [...]string{"title", "description", "default", "x-in-force"} {
			if v, there := schema[key]; there {
				out[key] = v
			}
		}
		return notedForce(out)
	}
	for key, v := range schema {
		switch key {
		case "$schema", "id", "_id":
		case "definitions":
			out["$defs"] = modernEach(self, v)
		case "properties", "patternProperties":
			out[key] = modernEach(self, v)
		case "items":
			if list, ok := v.([]any); ok {
				out["prefixItems"] = modernList(self, list)
				if more, there := schema["additionalItems"]; there {
					out["items"] = modernAny(self, more)
				}
				continue
			}
			out[key] = modernAny(self, v)
		case "additionalItems": // without a list of items it says nothing
		case "additionalProperties", "not":
			out[key] = modernAny(self, v)
		case "oneOf", "anyOf", "allOf":
			list, _ := v.([]any)
			out[key] = modernList(self, list)
		case "dependencies":
			modernDependencies(self, v, out)
		case "minimum", "maximum":
			exclusive := "exclusive" + strings.ToUpper(key[:1]) + key[1:]
			if boolAt(schema, exclusive, false) {
				out[exclusive] = v
			} else {
				out[key] = v
			}
		case "exclusiveMinimum", "exclusiveMaximum":
			if _, draft4 := v.(bool); !draft4 {
				out[key] = v
			}
		default:
			out[key] = cloneTree(v)
		}
	}
	return notedForce(out)
}

// notedForce says in words what x-in-force says to programs.
func notedForce(schema map[string]any) map[string]any {
	if !boolAt(schema, "x-in-force", true) {
		schema["description"] = strings.TrimSpace(stringAt(schema, "description") + " (not yet in force)")
	}
	return schema
}

func modernRef(self, ref string) string {
	if rest, own := strings.CutPrefix(ref, "#"); own {
		return components + self + strings.Replace(rest, "/definitions/", "/$defs/", 1)
	}
	return components + ref
}

func modernAny(self string, v any) any {
	if schema, ok := v.(map[string]any); ok {
		return modern(self, schema)
	}
	return v // true or false
}

func modernEach(self string, v any) map[string]any {
	schemas, _ := v.(map[string]any)
	out := make(map[string]any, len(schemas))
	for key, schema := range schemas {
		out[key] = modernAny(self, schema)
	}
	return out
}

func modernList(self string, list []any) []any {
	out := make([]any, len(list))
	for i, schema := range list {
		out[i] = modernAny(self, schema)
	}
	return out
}

// modernDependencies splits what draft 4 keeps in one keyword.
func modernDependencies(self string, v any, out map[string]any) {
	byKey, _ := v.(map[string]any)
	required, schemas := map[string]any{}, map[string]any{}
	for key, dependency := range byKey {
		if _, keys := dependency.([]any); keys {
			required[key] = dependency
		} else {
			schemas[key] = modernAny(self, dependency)
		}
	}
	if len(required) > 0 {
		out["dependentRequired"] = required
	}
	if len(schemas) > 0 {
		out["dependentSchemas"] = schemas
	}
}

// patchOf is a modern schema as PATCH takes it: nothing is required, and null removes a key.
func patchOf(schema map[string]any) map[string]any {
	if ref, ok := schema["$ref"].(string); ok {
		out := maps.Clone(schema)
		out["$ref"] = ref + patchSuffix
		return out
	}
	out := maps.Clone(schema)
	delete(out, "required")
	delete(out, "minProperties")
	delete(out, "default")
	for _, key := range [...]string{"properties", "patternProperties"} {
		byKey, ok := schema[key].(map[string]any)
		if !ok {
			continue
		}
		each := make(map[string]any, len(byKey))
		for name, p := range byKey {
			each[name] = orNull(p)
		}
		out[key] = each
	}
	if more, ok := schema["additionalProperties"].(map[string]any); ok {
		out["additionalProperties"] = orNull(more)
	}
	return out
}

const patchSuffix = ".patch"

func orNull(v any) any {
	schema, ok := v.(map[string]any)
	if !ok {
		return v
	}
	schema = patchOf(schema)
	about := schema["description"]
	if typ, plain := schema["type"].(string); plain && schema["enum"] == nil {
		schema["type"] = []any{typ, "null"}
		return schema
	}
	delete(schema, "description")
	out := map[string]any{"anyOf": []any{schema, map[string]any{"type": "null"}}}
	if about != nil {
		out["description"] = about
	}
	return out
}

// refs adds the components that a schema refers to, and what those refer to, to found.
func (a *API) refs(v any, found map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok && a.schemas.tree[ref] != nil && !found[ref] {
			found[ref] = true
			a.refs(a.schemas.tree[ref], found)
		}
		for _, each := range v {
			a.refs(each, found)
		}
	case []any:
		for _, each := range v {
			a.refs(each, found)
		}
	}
}

// sample is a small value that a schema takes: what is required, and nothing else.
func (a *API) sample(schema map[string]any) any {
	for ref, ok := schema["$ref"].(string); ok; ref, ok = schema["$ref"].(string) {
		if schema = a.schemas.tree[ref]; schema == nil {
			return map[string]any{}
		}
	}
	if v, ok := schema["example"]; ok {
		return cloneTree(v)
	}
	if values, ok := schema["enum"].([]any); ok && len(values) > 0 {
		return values[0]
	}
	for _, key := range [...]string{"oneOf", "anyOf"} {
		if options, ok := schema[key].([]any); ok && len(options) > 0 {
			option, _ := options[0].(map[string]any)
			return a.sample(option)
		}
	}
	typ := stringAt(schema, "type")
	if types, ok := schema["type"].([]any); ok && len(types) > 0 {
		typ, _ = types[0].(string)
	}
	switch typ {
	case "string":
		return sampleText(schema)
	case "integer", "number":
		if n, ok := schema["minimum"].(json.Number); ok {
			return n
		}
		return json.Number("1")
	case "boolean":
		return true
	case "array":
		items, _ := schema["items"].(map[string]any)
		list := []any{}
		for range intAt(schema, "minItems") {
			list = append(list, a.sample(items))
		}
		return list
	}
	out := map[string]any{}
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	for _, key := range required {
		key, _ := key.(string)
		p, _ := properties[key].(map[string]any)
		out[key] = a.sample(p)
	}
	return out
}

func sampleText(schema map[string]any) string {
	switch stringAt(schema, "format") {
	case "uri":
		return "https://hooks.example.com/calls"
	case "email":
		return "grace@example.com"
	}
	text := "Example"
	if most := intAt(schema, "maxLength"); most > 0 && most < len(text) {
		text = text[:most]
	}
	if least := intAt(schema, "minLength"); least > len(text) {
		text += strings.Repeat("x", least-len(text))
	}
	return text
}
