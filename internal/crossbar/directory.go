package crossbar

import (
	"slices"
	"strings"

	"bugle"
	"bugle/internal/store"
)

func directories() *resource {
	return &resource{noun: "directories", typ: TypeDirectory, schema: "directories",
		about: "People join by their own document: PATCH a user with `{\"directories\": {\"<directory id>\": \"<callflow id>\"}}`, and " +
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
}

func intAt(doc map[string]any, path string) int {
	v, _ := lookUp(doc, path)
	return bugle.Fields{"n": appendTree(nil, v)}.Int("n", 0)
}

type member struct{ id, callflow string }

// composeDirectory adds all members, ordered by id; KAZOO stops at fifty.
func composeDirectory(req *request, d *store.Document, doc map[string]any) error {
	var members []member
	for _, typ := range [...]string{TypeUser, TypeDevice} {
		q := store.Query{AccountID: d.AccountID, Type: typ, Index: &store.Index{Name: IndexDirectory, Value: d.ID}, Limit: storePage}
		for {
			docs, next, err := req.api.opts.Store.List(req.ctx, q)
			if err != nil {
				return err
			}
			for i := range docs {
				body, err := bugle.ParseFields(docs[i].Body)
				if err != nil {
					return err
				}
				members = append(members, member{docs[i].ID, body.StringMap("directories")[d.ID]})
			}
			if q.After = next; next == nil {
				break
			}
		}
	}
	slices.SortFunc(members, func(a, b member) int { return strings.Compare(a.id, b.id) })
	users := make([]any, len(members))
	for i, m := range members {
		users[i] = map[string]any{"user_id": m.id, "callflow_id": m.callflow}
	}
	doc["users"] = users
	return nil
}
