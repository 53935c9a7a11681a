package crossbar_test

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// madeByServer are the keys of documents that do not come back as they were sent, by schema; that is each resource's
// business.
var madeByServer = map[string][]string{
	"users":       {"password", "username"},
	"devices":     {"mac_address"},
	"accounts":    {"realm"},
	"callflows":   {"numbers", "metadata"},
	"directories": {"users"},
	"media":       {"content_length", "content_type", "language"},

	"blacklists":   {"numbers"},
	"list_entries": {"list_id"}, "jwt_credentials": {"owner_id"},
}

// ownBusiness are keys whose rules the schema does not get to judge, because they are computed, or dropped before.
var ownBusiness = map[string][]string{
	"directories": {"users"},
	"callflows":   {"metadata"},
	"media":       {"content_length", "content_type"},

	"list_entries": {"list_id"}, "jwt_credentials": {"owner_id"}, // the path says it
}

// TestValidDocumentsComeBack: what a schema takes is taken and comes back as it was, keys that nobody knows included. Where a
// resource's own check refuses a value, it says which, and takes the document without it.
func TestValidDocumentsComeBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	schemas := schemasOf(w)
	for _, res := range documentedResources(t, w) {
		t.Run(strings.TrimPrefix(res.path, w.own("/")), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				doc, _ := schemas.valid(rt, "", schemas[res.schema], 0).(map[string]any)
				for key, v := range res.example {
					if _, drawn := doc[key]; !drawn || rapid.Bool().Draw(rt, "keep "+key) {
						doc[key] = v
					}
				}
				doc["x_unknown"] = unknown().Draw(rt, "unknown")
				a, doc := taken(rt, w, res, doc)
				id := a.str("id")
				path := res.path + "/" + id
				if res.schema == "accounts" {
					path = "/v2/accounts/" + id
				}
				got, _ := w.must("GET", path, "").data().(map[string]any)
				for key, sent := range doc {
					if !slices.Contains(madeByServer[res.schema], key) && !holds(got[key], sent) {
						rt.Errorf("%s was %s, comes back as %s", key, text(sent), text(got[key]))
					}
				}
				if again := w.call("POST", path, text(got)); again.code != 200 {
					rt.Errorf("what was read is not taken back: %d %s", again.code, again.text)
				} else if diff := again.data(); !holds(diff, withoutReadOnly(got)) {
					rt.Errorf("replaced by itself, %s became %s", text(got), text(diff))
				}
				w.must("DELETE", path+"?should_soft_delete=false", "")
			})
		})
	}
}

func withoutReadOnly(doc map[string]any) map[string]any {
	doc = maps.Clone(doc)
	delete(doc, "_read_only")
	return doc
}

// taken creates doc, if need be without what a check of the resource's own refuses.
func taken(t *rapid.T, w *world, res documented, doc map[string]any) (answer, map[string]any) {
	for range 40 {
		a := w.call("PUT", res.path, text(doc))
		if a.code == 201 {
			return a, doc
		}
		fields, _ := a.data().(map[string]any)
		if a.code != 400 || len(fields) == 0 {
			t.Fatalf("PUT %s %s: %d %s", res.path, text(doc), a.code, a.text)
		}
		if v := w.call("PUT", "/v2/schemas/"+res.schema+"/validation", text(doc)); v.code != 200 {
			t.Fatalf("the schema %s does not take %s: %s", res.schema, text(doc), v.text)
		}
		doc = maps.Clone(doc)
		for field := range fields {
			key, _, _ := strings.Cut(field, ".")
			key = strings.ReplaceAll(key, "%2E", ".")
			if was, given := res.example[key]; given {
				doc[key] = was
			} else if _, there := doc[key]; there {
				delete(doc, key)
			} else { // one key asks for another
				doc = maps.Clone(res.example)
			}
		}
	}
	t.Fatalf("PUT %s: %s is never taken", res.path, text(doc))
	return answer{}, nil
}

// holds reports whether got is sent, with defaults added to its objects.
func holds(got, sent any) bool {
	want, ok := sent.(map[string]any)
	if !ok {
		list, ok := sent.([]any)
		if !ok {
			return same(got, sent)
		}
		other, ok := got.([]any)
		if !ok || len(other) != len(list) {
			return false
		}
		for i := range list {
			if !holds(other[i], list[i]) {
				return false
			}
		}
		return true
	}
	have, ok := got.(map[string]any)
	for key, v := range want {
		if inner, there := have[key]; !there || !holds(inner, v) {
			return false
		}
	}
	return ok
}

func text(v any) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(err)
	}
	return strings.TrimSpace(b.String())
}

// unknown draws a value of a key that no schema names.
func unknown() *rapid.Generator[any] {
	leaf := rapid.OneOf(rapid.Just[any](true), rapid.Just[any](json.Number("1.500")), rapid.Just[any](json.Number("12345678901234567890123")),
		rapid.Just[any](json.Number("-1e300")), rapid.Map(rapid.String(), func(s string) any { return s }))
	list := rapid.Map(rapid.SliceOfN(leaf, 0, 3), func(l []any) any { return l })
	return rapid.OneOf(leaf, list, rapid.Map(rapid.MapOfN(rapid.String(), rapid.OneOf(leaf, list), 0, 3), func(m map[string]any) any { return m }))
}

// TestEveryBreachIsRefused breaks each rule of each schema, one at a time, in an otherwise valid document, by each verb
// that writes: the answer names field and code, and nothing is written.
func TestEveryBreachIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	schemas := schemasOf(w)
	for _, res := range documentedResources(t, w) {
		existing := w.must("PUT", res.path, text(res.example)).str("id")
		path := res.path + "/" + existing
		if res.schema == "accounts" {
			path = "/v2/accounts/" + existing
		}
		before, err := w.store.Position(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		broken := schemas.breaches(schemas[res.schema], nil, nil)
		if len(broken) < 3 {
			t.Errorf("%s has %d rules", res.schema, len(broken))
		}
		for i, b := range broken {
			if slices.Contains(ownBusiness[res.schema], b.path[0]) {
				continue
			}
			doc := drawn(i, func(t *rapid.T) map[string]any {
				rapid.Bool().Draw(t, "any") // a generator has to draw something
				doc := mapOf(schemas.valid(t, "", schemas[res.schema], 3))
				maps.Copy(doc, res.example)
				return schemas.spoil(t, schemas[res.schema], doc, b)
			})
			verb, at := [...]string{"PUT", "POST", "PATCH"}[i%3], path
			switch {
			case verb == "PUT":
				at = res.path
			case verb == "PATCH" && b.drop:
				verb = "POST"
			}
			a := w.call(verb, at, text(doc))
			fields, _ := a.data().(map[string]any)
			if codes := mapOf(fields[b.field()]); a.code != 400 || codes[b.code] == nil {
				t.Errorf("%s %s with %s of %s broken: %d %s\n%s", verb, res.schema, b.code, b.field(), a.code, a.text, text(doc))
			} else if said, _ := mapOf(codes[b.code])["message"].(string); said == "" {
				t.Errorf("%s of %s is refused without a word", b.code, b.field())
			}
		}
		if after, err := w.store.Position(context.Background()); err != nil || after != before {
			t.Errorf("%s: something was written (%v)", res.schema, err)
		}
	}
}

// FuzzSchemas: whatever the document, a schema takes it or says what is wrong with it; and what it made of a document
// that it took, it takes again and leaves alone.
func FuzzSchemas(f *testing.F) {
	w := newWorld(f)
	ids := slices.Sorted(maps.Keys(schemasOf(w)))
	for i, seed := range []string{`{}`, `{"name":"x"}`, `{"name":7,"flags":{}}`, `{"sip":{"method":"ip","expire_seconds":"300"}}`,
		`{"flow":{"module":"user","data":{"id":"x"},"children":{"_":{"module":7}}},"numbers":["1","1"]}`, `{"metaflows":{"numbers":{"1":{"module":""}},"patterns":{"(":{}}}}`,
		`{"dial_plan":{"^x$":{"prefix":1}},"caller_id":{"internal":{"number":"` + strings.Repeat("9", 50) + `"}}}`, `{"min_dtmf":"1e3","max_dtmf":-0.0}`,
		`{"media":{"exit_media":[[]],"greeting":""}}`, `{"a.b":{"":null}}`} {
		for j := range 4 {
			f.Add(seed, uint8(i*7+j*5))
		}
	}
	f.Fuzz(func(t *testing.T, doc string, choice uint8) {
		w.t = t
		path := "/v2/schemas/" + ids[int(choice)%len(ids)] + "/validation"
		a := w.raw("PUT", path, `{"data":`+doc+`}`)
		switch a.code {
		case 200:
			first := text(a.data())
			if again := w.raw("PUT", path, `{"data":`+first+`}`); again.code != 200 || text(again.data()) != first {
				t.Errorf("%s made %s of %s, and then: %d %s", path, first, doc, again.code, again.text)
			}
		case 400:
			if fields, _ := a.data().(map[string]any); len(fields) == 0 {
				t.Errorf("%s %s: nothing is said to be wrong: %s", path, doc, a.text)
			}
		default:
			if a.code >= 500 {
				t.Errorf("%s %s: %d %s", path, doc, a.code, a.text)
			}
		}
	})
}
