package crossbar

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Pages are the documentation of the API in Markdown by file name, made from the resource table and the schemas: one
// page for each resource, one for the schemas that several share, and an index.
func (a *API) Pages() map[string]string {
	pages := map[string]string{}
	var index strings.Builder
	index.WriteString("# The API\n\nMade from the resource table and the JSON schemas in `internal/crossbar`; " +
		"`go test ./internal/crossbar -run TestDocs -update` writes it anew.\n\n" + apiRules + "\n## Paths\n\n| path | verbs | page |\n|---|---|---|\n")
	for _, route := range a.Routes() {
		noun := a.nounOf(route.Path)
		fmt.Fprintf(&index, "| `%s` | %s | [%s](%s.md) |\n", route.Path, strings.Join(route.Methods, " "), noun, noun)
	}
	pages["README.md"] = index.String()
	for word, r := range a.resources {
		pages[word+".md"] = a.resourcePage(r)
	}
	var shared strings.Builder
	shared.WriteString("# Shared schemas\n\nObjects that several resources hold. `GET /v2/schemas` lists all schemas.\n")
	for _, id := range a.schemas.ids() {
		if strings.HasPrefix(id, "callflows.") && id != "callflows.action" || a.schemaOwner(id) {
			continue
		}
		fmt.Fprintf(&shared, "\n## %s\n\n%s.\n\n", id, stringAt(a.schemas.tree[id], "description"))
		keyTable(&shared, a.schemas.tree[id])
	}
	pages["shared.md"] = shared.String()
	return pages
}

const apiRules = `Everything is under ` + "`/v2`" + `. A body is ` + "`{\"data\": …}`" + `; so is every answer, with ` + "`status`, `request_id`, `revision`" + `
and, for errors, ` + "`error` and `message`" + ` beside it. Get a token with ` + "`PUT /v2/user_auth` or `PUT /v2/api_auth`" + ` and send it as
` + "`X-Auth-Token`, `Authorization: Bearer`, the parameter `auth_token` or the envelope's `auth_token`" + `; it is good for an hour, and ends when
the password or the key changes, or by ` + "`DELETE /v2/token_auth`. `Authorization: Basic`" + ` with the account's id as the name, and as the
password what ` + "`user_auth`" + ` takes as credentials, or the MD5 of the API key, needs no token.

PUT creates, POST replaces every key, PATCH merges (` + "`null`" + ` removes a key), DELETE removes; a document is not
written by a request without a body. A POST with ` + "`verb`" + ` in the envelope or the query
string is taken for that verb. ` + "`If-Match` with a `revision`" + ` or an ETag guards a write, ` + "`If-None-Match`" + ` with an ETag saves reading what is known. Lists come in pages:
` + "`page_size` (50, at most 10000), `start_key` (the `next_start_key` of the page before), `end_key` (likewise: the last page ends there),\n`paginate=false`, `descending=true`, `is_chunked` and `chunk_size`" + `, and can be filtered, each as often as needed:
` + "`filter_{key}`, `filter_not_{key}`, `has_key`, `key_missing`, `has_value`, `value_missing`, `created_from`,\n`created_to`, `modified_from`, `modified_to`" + ` (Gregorian seconds).

Every list is also CSV, by ` + "`Accept: text/csv` or `accept=csv`" + `: all rows unless a page is asked for (then ` + "`X-Next-Start-Key`" + ` tells of the
next), nested keys joined by ` + "`_`, the file's name from `X-File-Name` or `file_name`" + `; a cell that a spreadsheet would run as a formula
begins with an apostrophe. ` + "`pretty_print=true`" + ` indents, ` + "`jsonp=fn`" + ` wraps. A file is read in parts by ` + "`Range`" + `.

A request costs a token of its account's and address's bucket: 2,000 at once, 500 a second for long. Without a token an address has 60
requests a minute, and bodies of at most 64 KiB; with one, 8 MB. ` + "`tokens`" + ` in the envelope tells what is left; 429 tells in ` + "`Retry-After`" + ` when
to come back. The operator sets these numbers. Where several things are wrong with a request, the first of these is told: version,
body (400, 413), token (401), verb (405), account (404), authentication (401), authorisation (403), body's type (415), Accept (406),
document (404) and its validation (400), If-Match (412). What is wrong with the fields of a document is told all at once, as
` + "`{path: {code: {message, …}}}`; what a code of one field says once more, as of a second number that is taken, stands in its `also`" + `.

Types are taken leniently where nothing else is wrong, also in the data of a callflow's nodes: ` + "`\"20\"` is 20, `\"true\"` is true, `20.0`" + ` is 20.

An id that names nothing is accepted, since clients save in any order, and is told in ` + "`_read_only.references` (`path`, `id`)" + ` of the
document. A DELETE removes the membership entries that name what goes (a user's or device's ` + "`directories`" + `, a group's members, a set's rules), in the same
transaction, and tells in ` + "`_read_only.references`" + ` which documents named it (` + "`type`, `id`, `name`, `removed`" + `): those with
` + "`removed` false, such as callflows, are left as they were. `?dry_run=true`" + ` only tells; where a deletion has none
(all of a list's entries, messages, photos, metaflows, registrations) it is refused.

` + "`GET …/{id}/history`" + ` tells an administrator who changed a document, when, from where and how (` + "`by`, `client_ip`, `request_id`" + `, the document
before and after with its secrets masked), newest first, also after it was deleted. What changed and no document shows (a password, an API key,
audio) is named in ` + "`also_changed`" + `; a moved account has ` + "`parents`" + ` before and after. It goes back 90 days. Where ` + "`history`" + ` is one of
calls, as at clicktocall, it is ` + "`changes`" + `.

A key that no schema names is kept and returned untouched; nothing acts on it. A key marked *not yet in force* is
checked and kept, and nothing acts on it yet.
`

func (a *API) nounOf(path string) string {
	parts := strings.Split(strings.TrimPrefix(path, "/v2/"), "/")
	r, _ := a.resolve(slices.Collect(func(yield func(string) bool) {
		for _, p := range parts {
			if strings.HasPrefix(p, "{") {
				p = "x"
			}
			if !yield(p) {
				return
			}
		}
	}))
	if r.resource == nil {
		return "accounts"
	}
	return r.resource.noun
}

// schemaOwner reports whether a resource's own page shows the schema.
func (a *API) schemaOwner(id string) bool {
	if a.resources[id] != nil {
		return true
	}
	for _, r := range a.resources {
		if r.schema == id {
			return true
		}
	}
	return false
}

func (a *API) resourcePage(r *resource) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", r.noun)
	schema := a.schemas.tree[r.noun]
	if r.schema != "" {
		schema = a.schemas.tree[r.schema]
	}
	if schema != nil {
		fmt.Fprintf(&b, "%s.\n\n", stringAt(schema, "description"))
	}
	if r.about != "" {
		fmt.Fprintf(&b, "%s\n\n", r.about)
	}
	b.WriteString("| path | verbs |\n|---|---|\n")
	for _, route := range a.Routes() {
		if a.nounOf(route.Path) == r.noun {
			verbs := strings.Join(route.Methods, " ")
			if route.Open {
				verbs += " (no token needed)"
			}
			fmt.Fprintf(&b, "| `%s` | %s |\n", route.Path, verbs)
		}
	}
	if r.summary != nil {
		keys := slices.Sorted(maps.Keys(r.summary(map[string]any{})))
		always := slices.Concat([]string{"id"}, keys)
		for _, key := range r.summaryKeys {
			if _, plain := schema["properties"].(map[string]any)[key]; plain && !slices.Contains(always, key) && summarises(r, key) {
				always = append(always, key)
			}
		}
		slices.Sort(always)
		fmt.Fprintf(&b, "\nA row of the list has `%s`.\n", strings.Join(always, "`, `"))
	}
	if schema != nil {
		b.WriteString("\n## Keys\n\n")
		keyTable(&b, schema)
	}
	return b.String()
}

// summarises reports whether a key of the document reaches the row of the list.
func summarises(r *resource, key string) bool {
	_, shown := r.summary(map[string]any{key: "x"})[key]
	return shown
}

func keyTable(b *strings.Builder, schema map[string]any) {
	b.WriteString("| key | what it is | type | default |\n|---|---|---|---|\n")
	rows(b, "", schema)
}

func rows(b *strings.Builder, prefix string, schema map[string]any) {
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	for _, key := range slices.Sorted(maps.Keys(properties)) {
		p, _ := properties[key].(map[string]any)
		row(b, prefix+key, p, slices.Contains(required, any(key)))
	}
	for _, members := range [...]string{"patternProperties"} {
		byPattern, _ := schema[members].(map[string]any)
		for _, pattern := range slices.Sorted(maps.Keys(byPattern)) {
			p, _ := byPattern[pattern].(map[string]any)
			row(b, prefix+"<"+pattern+">", p, false)
		}
	}
	if p, ok := schema["additionalProperties"].(map[string]any); ok {
		row(b, prefix+"<any>", p, false)
	}
}

func row(b *strings.Builder, path string, p map[string]any, required bool) {
	about := stringAt(p, "description")
	if required {
		about = "**Required.** " + about
	}
	if !boolAt(p, "x-in-force", true) {
		about += " *(not yet in force)*"
	}
	otherwise := ""
	if v, ok := p["default"]; ok {
		otherwise = "`" + string(appendTree(nil, v)) + "`"
	}
	cell := func(s string) string { return strings.ReplaceAll(s, "|", "\\|") }
	fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", cell(path), cell(about), cell(typeText(p)), cell(otherwise))
	rows(b, path+".", p)
	if items, ok := p["items"].(map[string]any); ok {
		rows(b, path+"[].", items)
	}
}

// typeText is a schema's type with its bounds in a few words.
func typeText(p map[string]any) string {
	if ref := stringAt(p, "$ref"); ref != "" {
		return "[" + ref + "](shared.md)"
	}
	if options, ok := p["oneOf"].([]any); ok {
		var texts []string
		for _, o := range options {
			o, _ := o.(map[string]any)
			texts = append(texts, typeText(o))
		}
		return strings.Join(texts, " or ")
	}
	text := stringAt(p, "type")
	if items, ok := p["items"].(map[string]any); ok {
		text += " of " + typeText(items)
	}
	if values, ok := p["enum"].([]any); ok {
		var texts []string
		for _, v := range values {
			texts = append(texts, "`"+plain(v)+"`")
		}
		text += ": " + strings.Join(texts, " ")
	}
	bound := func(low, high, unit string) {
		from, hasLow := p[low]
		to, hasHigh := p[high]
		switch {
		case hasLow && hasHigh:
			text += ", " + plain(from) + " to " + plain(to) + unit
		case hasLow:
			text += ", at least " + plain(from) + unit
		case hasHigh:
			text += ", at most " + plain(to) + unit
		}
	}
	bound("minimum", "maximum", "")
	bound("minLength", "maxLength", " characters")
	if pattern := stringAt(p, "pattern"); pattern != "" {
		text += ", `" + pattern + "`"
	}
	if boolAt(p, "uniqueItems", false) {
		text += ", no two alike"
	}
	return text
}
