package crossbar

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// OpenAPI describes the API in OpenAPI 3.1, made from the resource table and the schemas. It depends on nothing else, so
// that what a server shows and docs/api/openapi.json are the same bytes.
func (a *API) OpenAPI() []byte {
	var b bytes.Buffer
	text := appendTree(nil, a.openAPITree())
	if err := json.Indent(&b, text, "", " "); err != nil {
		return text
	}
	b.WriteByte('\n')
	return b.Bytes()
}

func (a *API) openAPITree() map[string]any {
	paths := map[string]any{}
	var tags []any
	for _, word := range slices.Sorted(maps.Keys(a.resources)) {
		r := a.resources[word]
		about := r.about
		if schema := a.schemas.tree[r.schema]; schema != nil {
			about = strings.TrimSpace(stringAt(schema, "description") + ". " + about)
		}
		tags = append(tags, map[string]any{"name": word, "description": about})
		for _, p := range r.mounts() {
			p.each(func(path string, e *endpoint, verbs []string) {
				item := map[string]any{}
				paths[path] = item
				if params := pathParameters(path); len(params) > 0 {
					item["parameters"] = params
				}
				for _, verb := range verbs {
					item[strings.ToLower(verb)] = a.describeOperation(p, e, verb, path)
				}
			})
		}
	}
	return map[string]any{
		"openapi":           "3.1.0",
		"jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
		"info": map[string]any{"title": "bugle", "version": "2", "description": apiRules,
			"license": map[string]any{"name": "Apache-2.0", "identifier": "Apache-2.0"}},
		"servers": []any{map[string]any{"url": "/"}},
		"tags":    tags,
		"paths":   paths,
		"security": []any{map[string]any{"token": []any{}}, map[string]any{"bearer": []any{}},
			map[string]any{"query": []any{}}},
		"components": map[string]any{
			"schemas": a.openAPISchemas(), "responses": errorResponses(), "parameters": sharedParameters(),
			"securitySchemes": map[string]any{
				"token": map[string]any{"type": "apiKey", "in": "header", "name": "X-Auth-Token",
					"description": "auth_token of the answer to PUT /v2/user_auth or PUT /v2/api_auth"},
				"bearer": map[string]any{"type": "http", "scheme": "bearer"},
				"query": map[string]any{"type": "apiKey", "in": "query", "name": "auth_token",
					"description": "For what cannot set a header; it ends up in logs"},
			}},
	}
}

// singular is the noun of one document: the type's name, where it has one.
func (r *resource) singular() string {
	if r.typ != "" {
		return r.typ
	}
	return r.noun
}

// operationID names an operation for generated clients. It follows from the path alone, so that it stays.
func operationID(r mount, e *endpoint, verb string) string {
	words := strings.Split(e.path, "/")
	if e.path == "" {
		words = nil
	}
	document := r.typ != "" || len(words) > 0 && words[0] == "{id}"
	one := len(words) > 0 && words[0] == "{id}"
	does := strings.ToLower(verb)
	noun := r.noun
	switch {
	case verb == http.MethodGet && len(words) == 0 && document:
		does = "list"
	case verb == http.MethodPut && len(words) == 0 && document:
		does, noun = "create", r.singular()
	case r.typ == TypeAccount && verb == http.MethodPut && e.path == "{id}":
		return "createAccountBelow"
	case one && r.typ != "":
		noun = r.singular()
		if verb == http.MethodPost && len(words) == 1 {
			does = "replace"
		}
	}
	id := does + camel(noun)
	for i, word := range words {
		name, held := strings.CutPrefix(word, "{")
		switch {
		case i == 0 && one && r.typ != "":
		case held:
			id += "By" + camel(strings.TrimSuffix(name, "}"))
		default:
			id += camel(word)
		}
	}
	switch {
	case r.parent != "":
		id += "Of" + camel(strings.TrimSuffix(r.parent, "s"))
	case r.top:
		id += "OfSystem"
	}
	return id
}

func camel(words string) string {
	var b strings.Builder
	for _, word := range strings.FieldsFunc(words, func(r rune) bool { return r == '_' || r == '-' }) {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

func (a *API) describeOperation(r mount, e *endpoint, verb, path string) map[string]any {
	op, shape := e.ops[verb], a.shapeOf(r.resource, e, verb)
	out := map[string]any{"operationId": operationID(r, e, verb), "tags": []any{r.noun}, "summary": shape.summary}
	switch {
	case r.parent != "":
		out["summary"] = shape.summary + " of one " + strings.TrimSuffix(r.parent, "s")
	case r.top:
		out["summary"] = shape.summary + " of the system"
	}
	if op.open {
		out["security"] = []any{}
	} else if op.public != nil {
		out["security"] = []any{map[string]any{"token": []any{}}, map[string]any{"bearer": []any{}}, map[string]any{"query": []any{}}, map[string]any{}}
	}
	var params []any
	add := func(names ...string) {
		for _, name := range names {
			params = append(params, map[string]any{"$ref": "#/components/parameters/" + name})
		}
	}
	switch {
	case shape.plain:
		add("page_size", "start_key", "paginate", "If-None-Match")
	case shape.paged:
		add("page_size", "start_key", "paginate", "descending", "filters", "has_key", "key_missing", "has_value", "value_missing",
			"created_from", "created_to", "modified_from", "modified_to", "If-None-Match")
	case verb == http.MethodGet:
		add("If-None-Match")
	case r.typ != "" && strings.HasPrefix(e.path, "{id}") && verb != http.MethodPut:
		add("If-Match")
	}
	if verb == http.MethodDelete && r.typ != "" {
		add("should_soft_delete")
	}
	if op.tries {
		add("dry_run")
	}
	add("pretty_print")
	out["parameters"] = params
	if body := shape.requestBody(op); body != nil {
		out["requestBody"] = body
	}
	out["responses"] = shape.responses(op, verb, path)
	return out
}

// requestBody is what an operation reads, nil for nothing.
func (s shape) requestBody(op operation) map[string]any {
	content := map[string]any{}
	if s.takes != nil {
		media := map[string]any{"schema": map[string]any{"type": "object", "required": []any{"data"},
			"properties": map[string]any{"data": s.takes}}}
		if s.example != nil {
			media["example"] = map[string]any{"data": s.example}
		}
		content["application/json"] = media
	}
	if op.upload {
		kinds := op.uploads
		if kinds == nil {
			kinds = wavTypes
		}
		for _, kind := range kinds {
			content[kind] = map[string]any{}
		}
		content["application/octet-stream"] = map[string]any{}
	}
	if len(content) == 0 {
		return nil
	}
	return map[string]any{"required": true, "content": content}
}

func (s shape) responses(op operation, verb, path string) map[string]any {
	envelope := "Envelope"
	if s.paged {
		envelope = "ListEnvelope"
	}
	content := map[string]any{"application/json": map[string]any{"schema": map[string]any{"allOf": []any{
		map[string]any{"$ref": components + envelope},
		map[string]any{"type": "object", "required": []any{"data"}, "properties": map[string]any{"data": s.gives}}}}}}
	for _, kind := range op.produces {
		content[kind] = map[string]any{}
	}
	success := map[string]any{"description": s.summary, "content": content}
	headers := map[string]any{"X-Request-Id": headerText("What the request is called in the server's log")}
	if s.revised {
		headers["ETag"] = headerText("The revision, in quotes")
	}
	if s.status == http.StatusCreated && s.document {
		headers["Location"] = headerText("Where the new document is")
	}
	success["headers"] = headers
	out := map[string]any{strconv.Itoa(s.status): success}
	codes := []int{400, 401, 403, 404, 429, 500, 503}
	if op.open && !strings.Contains(path, "_auth") {
		codes = []int{400, 404, 429, 500, 503}
	}
	switch {
	case verb == http.MethodGet:
		codes = append(codes, 406)
		out["304"] = map[string]any{"description": "If-None-Match holds the current revision"}
		if s.paged {
			codes = append(codes, 416)
		}
	default:
		codes = append(codes, 409, 412, 413, 415)
	}
	for _, code := range append(codes, s.codes...) {
		out[strconv.Itoa(code)] = map[string]any{"$ref": "#/components/responses/" + strconv.Itoa(code)}
	}
	return out
}

func headerText(about string) map[string]any {
	return map[string]any{"description": about, "schema": map[string]any{"type": "string"}}
}

var placeholder = strings.NewReplacer("{", "", "}", "")

func pathParameters(path string) []any {
	var out []any
	for _, word := range strings.Split(path, "/") {
		if !strings.HasPrefix(word, "{") {
			continue
		}
		name := placeholder.Replace(word)
		schema := map[string]any{"type": "string", "minLength": 1}
		about := "The " + strings.ReplaceAll(name, "_", " ")
		if name == "account" || name == "user" || name == "device" {
			about += "'s id"
			schema["pattern"] = "^[0-9a-f]{32}$"
		}
		out = append(out, map[string]any{"name": name, "in": "path", "required": true, "description": about, "schema": schema})
	}
	return out
}
