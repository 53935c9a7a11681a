package crossbar_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"bugle/internal/crossbar"
)

// describe reads a description with a library that nobody here wrote, and has it judged.
func describe(text []byte) (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, err
	}
	return doc, doc.Validate(context.Background(), openapi3.EnableExamplesValidation(), openapi3.EnableSchemaPatternValidation(),
		openapi3.EnableSchemaDefaultsValidation())
}

// judged are the descriptions that were found good, by their text: reading one takes seconds under the race detector, and
// all worlds show the same. They are only read.
var judged struct {
	sync.Mutex
	docs map[string]*openapi3.T
}

func described(t testing.TB, w *world) *openapi3.T {
	t.Helper()
	text := w.raw("GET", "/openapi.json", "").text
	judged.Lock()
	defer judged.Unlock()
	if doc := judged.docs[string(text)]; doc != nil {
		return doc
	}
	doc, err := describe(text)
	if err != nil {
		t.Fatal(err)
	}
	judged.docs = map[string]*openapi3.T{string(text): doc}
	return doc
}

// TestOpenAPI: the description is valid OpenAPI 3.1, is the committed one, and has each path with its verbs.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.raw("GET", "/openapi.json", "")
	if a.code != 200 || a.header.Get("Content-Type") != "application/json" || a.body["openapi"] != "3.1.0" {
		t.Fatalf("%d %s %.200s", a.code, a.header, a.text)
	}
	committed, err := os.ReadFile(docsDirectory + "/openapi.json")
	if err != nil || !bytes.Equal(committed, a.text) {
		t.Errorf("docs/api/openapi.json is not what the server shows; write it anew with: go test ./internal/crossbar -run TestDocs -update (%v)", err)
	}
	doc := described(t, w)
	if !doc.IsOpenAPI31OrLater() {
		t.Error("not judged as 3.1")
	}
	var want, got []string
	for _, r := range w.api.Routes() {
		for _, verb := range r.Methods {
			want = append(want, verb+" "+r.Path)
		}
	}
	names := map[string]string{}
	for path, item := range doc.Paths.Map() {
		for verb, op := range item.Operations() {
			at := verb + " " + path
			got = append(got, at)
			if twin := names[op.OperationID]; twin != "" || op.OperationID == "" {
				t.Errorf("%s and %s are both called %q", at, twin, op.OperationID)
			}
			names[op.OperationID] = at
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		t.Errorf("the table has\n%s\nthe description has\n%s", strings.Join(want, "\n"), strings.Join(got, "\n"))
	}
	for name, at := range map[string]string{"listUsers": "GET /v2/accounts/{account}/users", "createUser": "PUT /v2/accounts/{account}/users",
		"getUser": "GET /v2/accounts/{account}/users/{id}", "replaceUser": "POST /v2/accounts/{account}/users/{id}",
		"patchUser": "PATCH /v2/accounts/{account}/users/{id}", "deleteUser": "DELETE /v2/accounts/{account}/users/{id}",
		"listDevicesOfUser": "GET /v2/accounts/{account}/users/{user}/devices", "putUserAuth": "PUT /v2/user_auth"} {
		if names[name] != at {
			t.Errorf("%s is %q", name, names[name])
		}
	}
}

// someOfIt is a description with a few of its paths and what they need, which is quicker to judge.
func someOfIt(t *testing.T, text []byte) []byte {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	for path := range in(doc, "paths") {
		if !strings.HasPrefix(path, "/v2/schemas") && path != "/v2/accounts/{account}/menus" && path != "/v2/accounts/{account}/directories" {
			delete(in(doc, "paths"), path)
		}
	}
	schemas := in(doc, "components", "schemas")
	for before := -1; before != len(schemas); {
		before = len(schemas)
		rest, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		for name := range schemas {
			if !bytes.Contains(rest, []byte(`"#/components/schemas/`+name+`"`)) {
				delete(schemas, name)
			}
		}
	}
	rest, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return rest
}

// TestOpenAPIIsJudged: the library that judges the description does refuse what 3.1 does not allow.
func TestOpenAPIIsJudged(t *testing.T) {
	t.Parallel()
	text := someOfIt(t, newWorld(t).api.OpenAPI())
	if _, err := describe(text); err != nil {
		t.Fatal("unspoiled:", err)
	}
	for name, spoil := range map[string]func(doc map[string]any){
		"exclusiveMinimum of draft 4": func(doc map[string]any) { in(doc, "components", "schemas", "Id")["exclusiveMinimum"] = true },
		"unknown type":                func(doc map[string]any) { in(doc, "components", "schemas", "Id")["type"] = "text" },
		"broken pattern":              func(doc map[string]any) { in(doc, "components", "schemas", "Id")["pattern"] = "(" },
		"dangling reference":          func(doc map[string]any) { delete(in(doc, "components", "schemas"), "Id") },
		"response without a description": func(doc map[string]any) {
			delete(in(doc, "components", "responses", "400"), "description")
		},
		"no title": func(doc map[string]any) { delete(in(doc, "info"), "title") },
		"undeclared path parameter": func(doc map[string]any) {
			delete(in(doc, "paths", "/v2/accounts/{account}/directories"), "parameters")
		},
		"operation id twice": func(doc map[string]any) {
			in(doc, "paths", "/v2/schemas", "get")["operationId"] = "listMenus"
		},
		"example that the schema refuses": func(doc map[string]any) {
			in(doc, "paths", "/v2/accounts/{account}/menus", "put", "requestBody", "content", "application/json")["example"] =
				map[string]any{"data": map[string]any{"name": 7}}
		},
		"default that the schema refuses": func(doc map[string]any) {
			in(doc, "components", "schemas", "directories", "properties", "min_dtmf")["default"] = "three"
		},
	} {
		var doc map[string]any
		if err := json.Unmarshal(text, &doc); err != nil {
			t.Fatal(err)
		}
		spoil(doc)
		spoiled, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := describe(spoiled); err == nil {
			t.Errorf("%s was not found", name)
		}
	}
}

func in(v map[string]any, path ...string) map[string]any {
	for _, key := range path {
		v, _ = v[key].(map[string]any)
	}
	return v
}

// TestAnswersAreAsDescribed walks through every path of the description, and has each request that succeeds and each
// answer judged by it.
func TestAnswersAreAsDescribed(t *testing.T) {
	t.Parallel()
	w, d := callingDirectoryWorld(t)
	j := &judge{t: t, w: w, doc: described(t, w), seen: map[string]bool{}}
	w.phones.list[w.account] = []crossbar.Registration{{DeviceID: "d", OwnerID: "u", Username: "1001", Realm: "acme.example.com",
		Contact: "sip:1001@192.0.2.9:5060", Source: "192.0.2.9:5060", Transport: "udp", Registered: w.clock.now(), ExpiresAt: w.clock.now()}}
	w.calls.list[w.account] = []crossbar.Channel{{ID: "call1", Direction: "inbound", OwnerID: "u", Started: w.clock.now()}}
	w.spoke(w.account, "a", time.Hour, "", "")
	paths := j.doc.Paths.InMatchingOrder()
	slices.SortFunc(paths, func(a, b string) int { return strings.Count(a, "/") - strings.Count(b, "/") })
	ids := map[string]string{"account": w.account}
	for _, path := range paths { // documents first, for the others to be about them
		if put := j.doc.Paths.Value(path).Put; put != nil && put.Responses.Value("201") != nil && !strings.HasSuffix(path, "_auth") {
			example := exampleOf(put)
			if example == "" {
				t.Errorf("PUT %s has no example", path)
			}
			noun, below := strings.CutPrefix(path, "/v2/accounts/{account}/")
			noun, _, _ = strings.Cut(noun, "/")
			above, _, _ := strings.Cut(path, "/{id}")
			ids["id"] = cmp.Or(chosenIDs[noun], ids[above])
			a := j.ask("PUT", path, ids, example, 201)
			if !below && path != "/v2/resources" {
				w.must("DELETE", "/v2/accounts/"+a.str("id"), "")
				continue
			}
			path = strings.TrimSuffix(path, "/{id}")
			ids[path] = cmp.Or(a.str("id"), a.str("media_id"))
			if one := strings.TrimSuffix(path[strings.LastIndexByte(path, '/')+1:], "s"); path != "/v2/resources" {
				ids[one] = ids[path]
			}
		}
	}
	d.settle()
	hook := ids["webhook"]
	w.told(w.account, hook, 1)
	ids["delivery"] = hook + "-0"
	for _, path := range paths {
		item := j.doc.Paths.Value(path)
		noun := strings.Split(strings.TrimPrefix(path, "/v2/accounts/{account}/"), "/")[0]
		own := ownIDs(path, ids)
		switch noun {
		case "cdrs":
			own["id"], own["interaction"] = "202611-a", "202611-a"
		case "channels":
			own["id"] = "call1"
		case "directory":
			own["contact"], own["vendor"] = ids["user"], "yealink"
		case "subscriptions":
			own["id"] = hook
		}
		if strings.HasPrefix(path, "/v2/schemas") {
			own["id"] = "menus"
		}
		if item.Get != nil {
			j.ask("GET", path, own, "", 0)
			j.ask("GET", path, map[string]string{"account": w.account, "id": strings.Repeat("0", 32), "user": strings.Repeat("0", 32),
				"device": strings.Repeat("0", 32), "list": strings.Repeat("0", 32)}, "", 0)
		}
		if item.Post != nil {
			if example := exampleOf(item.Post); example != "" {
				j.ask("POST", path, own, example, 0)
			}
			j.ask("POST", path, own, `{"name":7}`, 0)
		}
		if item.Patch != nil {
			merged := `{"ui_metadata":{"origin":"test"},"flags":null}`
			if example := exampleOf(item.Patch); example != "" {
				merged = example
			}
			j.ask("PATCH", path, own, merged, 200)
			if w.flagged(path) || strings.HasSuffix(path, "/collection") {
				j.ask("PATCH", path, own, `{"flags":7,"numbers":7}`, 400)
			}
		}
	}
	for _, path := range slices.Backward(paths) {
		if item := j.doc.Paths.Value(path); item.Delete != nil && (strings.Contains(path, "{account}/") || strings.HasPrefix(path, "/v2/resources")) {
			j.ask("DELETE", path, ownIDs(path, ids), "", 0)
		}
	}
	for _, r := range w.api.Routes() { // nothing was left out, unless it cannot be driven by its description
		for _, verb := range r.Methods {
			if at := verb + " " + r.Path; !j.seen[at] && verb == "GET" {
				t.Errorf("%s was not asked", at)
			}
		}
	}
}

// chosenIDs are the ids of documents whose ids their creator chooses.
var chosenIDs = map[string]string{"phone_numbers": "+14155550100"}

// ownIDs are what stands for the placeholders of a path: the last {id} is that of the document made above it.
func ownIDs(path string, ids map[string]string) map[string]string {
	own := maps.Clone(ids)
	own["username"], own["number"] = "1001", "4155550100"
	above, _, _ := strings.Cut(path, "/{id}")
	own["id"] = ids[above]
	return own
}

// flagged reports whether the documents of a path have flags.
func (w *world) flagged(path string) bool {
	for _, r := range w.api.Routes() {
		if r.Path == path {
			return w.raw("GET", "/v2/schemas/"+r.Schema, "").at("properties", "flags") != nil
		}
	}
	return false
}

func exampleOf(op *openapi3.Operation) string {
	if op.RequestBody == nil {
		return ""
	}
	content := op.RequestBody.Value.Content["application/json"]
	if content == nil || content.Example == nil {
		return ""
	}
	text, _ := json.Marshal(content.Example.(map[string]any)["data"])
	return string(text)
}

// judge asks the API and holds request and answer against the description.
type judge struct {
	t    *testing.T
	w    *world
	doc  *openapi3.T
	seen map[string]bool
}

func (j *judge) ask(verb, path string, values map[string]string, data string, want int) answer {
	j.t.Helper()
	j.seen[verb+" "+path] = true
	target := path
	for name, value := range values {
		target = strings.ReplaceAll(target, "{"+name+"}", value)
	}
	a := j.w.call(verb, target, data)
	if want != 0 && a.code != want || a.code >= 500 && a.code != 501 {
		j.t.Errorf("%s %s %s: %d %s", verb, path, data, a.code, a.text)
	}
	item := j.doc.Paths.Value(path)
	body := ""
	if data != "" {
		body = `{"data":` + data + `}`
	}
	r := httptest.NewRequest(verb, target, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: values,
		Route:   &routers.Route{Spec: j.doc, Path: path, PathItem: item, Method: verb, Operation: item.GetOperation(verb)},
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, SkipSettingDefaults: true}}
	if a.code < 300 && data != "" {
		if err := openapi3filter.ValidateRequest(context.Background(), in); err != nil {
			j.t.Errorf("%s %s %s was taken, but: %v", verb, path, data, err)
		}
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: a.code, Header: http.Header(a.header),
		Body: io.NopCloser(bytes.NewReader(a.text)), Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true}}
	if err := openapi3filter.ValidateResponse(context.Background(), out); err != nil {
		j.t.Errorf("%s %s: %d %s\n%v", verb, path, a.code, a.text, err)
	}
	return a
}
