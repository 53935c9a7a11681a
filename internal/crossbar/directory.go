package crossbar

import (
	"net/http"
	"slices"
	"strings"

	"bugle"
	"bugle/internal/store"
)

func directories() *resource {
	r := &resource{noun: "directories", typ: TypeDirectory, schema: "directories",
		about: "`GET` of one is also answered as PDF (`Accept: application/pdf` or `?accept=pdf`) and as CSV: the people as a company " +
			"prints them, sorted by `sort_by` under the account's language. `number_format=e164` writes outside numbers as " +
			"+14155550123.\n\nPeople join by their own document: PATCH a user with `{\"directories\": {\"<directory id>\": \"<callflow id>\"}}`, and " +
			"leave by `null`.",
		summary:     picking("name"),
		summaryKeys: []string{"name", "flags"}, order: byName,
		self:     &selfService{list: true, read: true},
		computed: []string{"users"}, // membership is kept by the members
		check: func(e *edit) error {
			if most := intAt(e.doc, "max_dtmf"); most > 0 && most < intAt(e.doc, "min_dtmf") {
				e.errs.add("max_dtmf", "minimum", map[string]any{"message": "Value must be 0 (no limit) or at least min_dtmf",
					"target": intAt(e.doc, "min_dtmf"), "value": most})
			}
			return nil
		},
		compose: composeDirectory,
	}
	r.endpoints = []endpoint{{path: "{id}", ops: map[string]operation{
		http.MethodGet: {produces: []string{typePDF, "application/x-pdf", typeCSV},
			run: func(req *request) (*reply, error) { return req.fetchDirectory(r) }},
		http.MethodPost:   {run: func(req *request) (*reply, error) { return req.change(r, replacing) }},
		http.MethodPatch:  {run: func(req *request) (*reply, error) { return req.change(r, merging) }},
		http.MethodDelete: {run: func(req *request) (*reply, error) { return req.remove(r) }, tries: true}}}}
	return r
}

func intAt(doc map[string]any, path string) int {
	v, _ := lookUp(doc, path)
	return bugle.Fields{"n": appendTree(nil, v)}.Int("n", 0)
}

type member struct{ id, callflow string }

// composeDirectory adds all members, ordered by id; KAZOO stops at fifty.
func composeDirectory(req *request, d *store.Document, doc map[string]any) error {
	var members []member
	for found, err := range req.membersOf(d.ID) {
		if err != nil {
			return err
		}
		body, err := bugle.ParseFields(found.Body)
		if err != nil {
			return err
		}
		members = append(members, member{found.ID, body.StringMap("directories")[d.ID]})
	}
	slices.SortFunc(members, func(a, b member) int { return strings.Compare(a.id, b.id) })
	users := make([]any, len(members))
	for i, m := range members {
		users[i] = map[string]any{"user_id": m.id, "callflow_id": m.callflow}
	}
	doc["users"] = users
	return nil
}
