package crossbar

import "bugle"

func groups() *resource {
	return &resource{noun: "groups", typ: TypeGroup, schema: "groups",
		about: "`endpoints` names the members: `{\"<id>\": {\"type\": \"user\"}}`, with type `user`, `device` or `group`. A member that " +
			"does not exist (yet) is accepted; one that is deleted leaves the group. Below a user there are the groups that it is a member of.",
		within: map[string]string{"users": IndexRefers},
		summary: func(doc map[string]any) map[string]any {
			row := picking("name")(doc)
			members, _ := doc["endpoints"].(map[string]any)
			row["endpoints"] = len(members)
			return row
		},
		summaryKeys: []string{"name", "endpoints", "flags"}, order: byName,
		check: func(e *edit) error {
			members, _ := e.doc["endpoints"].(map[string]any)
			if len(members) > maxMembers {
				e.errs.add("endpoints", "maxProperties", map[string]any{"target": maxMembers,
					"message": "The object must have at most 1000 keys"})
			}
			for id := range members {
				if !bugle.ValidID(id) {
					e.errs.add(fieldPath("endpoints", clip(id, 128)), "invalid", map[string]any{
						"message": "The key must be the id of a user, device or group"})
				}
				if id == e.id {
					e.errs.add(fieldPath("endpoints", id), "invalid", map[string]any{"message": "A group cannot be in itself"})
				}
			}
			return nil
		},
		references: func(doc map[string]any) []reference {
			out := refersTo("music_on_hold.media_id")(doc)
			members, _ := doc["endpoints"].(map[string]any)
			for id := range members {
				out = append(out, reference{fieldPath("endpoints", id), id})
			}
			return out
		},
		detach: func(doc map[string]any, id string) {
			if members, ok := doc["endpoints"].(map[string]any); ok {
				delete(members, id)
			}
		},
	}
}

const maxMembers = 1000 // of a group or of a rule set
