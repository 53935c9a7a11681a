package crossbar_test

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"bugle"
)

// readers are the documents that calls read, by schema: what makes no difference to what is read of one is read by nobody
// but the API.
var readers = map[string]func(doc []byte) (any, error){
	"accounts":    func(doc []byte) (any, error) { return bugle.ParseAccount("", doc) },
	"callflows":   func(doc []byte) (any, error) { return bugle.ParseCallflow("", doc) },
	"clicktocall": func(doc []byte) (any, error) { return bugle.ParseClickToCall("", doc) },
	"devices":     func(doc []byte) (any, error) { return bugle.ParseDevice("", doc) },
	"directories": func(doc []byte) (any, error) { return bugle.ParseDirectory("", doc) },
	"groups":      func(doc []byte) (any, error) { return bugle.ParseGroup("", doc) },
	"media":       func(doc []byte) (any, error) { return bugle.ParseMedia("", doc, "") },
	"menus":       func(doc []byte) (any, error) { return bugle.ParseMenu("", doc) },
	"sites":       func(doc []byte) (any, error) { return bugle.ParseSite("", doc) },
	"users":       func(doc []byte) (any, error) { return bugle.ParseUser("", doc) },
	"vmboxes":     func(doc []byte) (any, error) { return bugle.ParseMailbox("", doc) },
}

// leaf is a key of a schema that has no keys of its own there, with the schemas on the way to it.
type leaf struct {
	path   []string
	schema map[string]any
	force  bool // neither it nor what it is in is marked as not in force
}

// leaves are the keys of a schema.
func (b book) leaves(v any, path []string, force bool, seen []string) []leaf {
	schema, _ := v.(map[string]any)
	force = force && schema["x-in-force"] != any(false)
	for ref, ok := schema["$ref"].(string); ok; ref, ok = schema["$ref"].(string) {
		if slices.Contains(seen, ref) {
			return nil
		}
		seen = append(slices.Clone(seen), ref)
		schema = b[ref]
		force = force && schema["x-in-force"] != any(false)
	}
	var out []leaf
	for _, key := range slices.Sorted(maps.Keys(mapOf(schema["properties"]))) {
		out = append(out, b.leaves(mapOf(schema["properties"])[key], append(slices.Clone(path), key), force, seen)...)
	}
	for _, pattern := range slices.Sorted(maps.Keys(mapOf(schema["patternProperties"]))) {
		out = append(out, b.leaves(mapOf(schema["patternProperties"])[pattern], append(slices.Clone(path), "1"), force, seen)...)
	}
	if items := mapOf(schema["items"]); b.resolved(items)["properties"] != nil {
		out = append(out, b.leaves(items, append(slices.Clone(path), "*"), force, seen)...)
	}
	if out == nil && len(path) > 0 {
		return []leaf{{path, schema, force}}
	}
	return out
}

// with is a document that has value at a path.
func with(path []string, value any) any {
	if len(path) == 0 {
		return value
	}
	if path[0] == "*" {
		return []any{with(path[1:], value)}
	}
	return map[string]any{path[0]: with(path[1:], value)}
}

// matters reports whether some value of a key makes a difference to what is read of a document.
func (b book) matters(t *testing.T, read func(doc []byte) (any, error), l leaf) bool {
	t.Helper()
	without, err := read([]byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	for seed := range 12 {
		value := drawn(seed, func(t *rapid.T) any {
			rapid.Bool().Draw(t, "any")
			v := b.valid(t, "value", l.schema, 0)
			if o, ok := v.(map[string]any); ok && len(o) == 0 {
				v = map[string]any{"1": map[string]any{"id": "x", "action": "deny", "module": "x"}, "y": "z"}
			}
			if a, ok := v.([]any); ok && len(a) == 0 {
				v = []any{"x"}
			}
			return v
		})
		if got, err := read([]byte(text(with(l.path, value)))); err != nil || !reflect.DeepEqual(got, without) {
			return true
		}
	}
	return false
}

// acts are the keys that the API itself acts on, and the labels that a client keeps for itself, by schema. What is not among
// them and makes no difference to what calls read is not in force, and its schema has to say so.
var acts = map[string]string{
	"accounts":    "flags org ui_urls",
	"blacklists":  "flags name",
	"callflows":   "featurecode.name featurecode.number flags metadata",
	"conferences": "conference_numbers flags member.numbers moderator.numbers name owner_id",
	"devices":     "device_type flags mac_address",
	"directories": "flags users",
	"faxboxes":    "flags name owner_id", // internal/contact
	"groups":      "flags",
	"list_entries": "displayname firstname lastname list_id profile.addresses.*.address profile.birthday " +
		"profile.nicknames profile.note profile.role profile.title type",
	"jwt_credentials":     "apps expires name owner_id",
	"lists":               "description name org",
	"media":               "content_length content_type description flags media_source tts.text tts.voice",
	"menus":               "flags",
	"oauth_apps":          "enabled flags name permissions public redirect_uris",
	"phone_numbers":       "assigned_to create_with_state created features flags state updated used_by",
	"resources":           "flags name",
	"sites":               "flags",
	"temporal_rules":      "flags name",
	"temporal_rules_sets": "flags name",
	"users": "flags password profile.addresses.*.address profile.birthday profile.nicknames profile.note " +
		"profile.role require_password_update vm_to_email_enabled",
	"vmboxes":  "flags",
	"webhooks": "custom_data enabled format hook http_verb include_internal_legs include_subaccounts modifiers name retries uri", // internal/event/kazoo
}

// TestKeysInForce holds the schemas to what is done with their keys: x-in-force is false on those that nothing acts on, and
// only on those.
func TestKeysInForce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	schemas := schemasOf(w)
	seen := map[string]bool{}
	for _, r := range w.api.Routes() {
		if seen[r.Schema] || r.Schema == "" {
			continue
		}
		seen[r.Schema] = true
		acted := strings.Fields(acts[r.Schema])
		for _, l := range schemas.leaves(schemas[r.Schema], nil, true, nil) {
			path := strings.Join(l.path, ".")
			read := readers[r.Schema] != nil && schemas.matters(t, readers[r.Schema], l)
			listed := slices.Contains(acted, path)
			acted = slices.DeleteFunc(acted, func(s string) bool { return s == path })
			switch {
			case l.force && !read && !listed:
				t.Errorf("%s: nothing acts on %s: mark it with x-in-force false, or list what the API does with it", r.Schema, path)
			case !l.force && (read || listed):
				t.Errorf("%s: %s is acted on, and marked as not in force", r.Schema, path)
			}
		}
		if len(acted) > 0 {
			t.Errorf("%s has no keys %q", r.Schema, acted)
		}
	}
	if len(seen) < 15 {
		t.Errorf("only %d schemas", len(seen))
	}
}
