package crossbar

import (
	"slices"

	"bugle/internal/store"
)

// conferenceNumbers are the lists of numbers that enter a conference.
var conferenceNumbers = [...]string{"conference_numbers", "member.numbers", "moderator.numbers"}

func conferences() *resource {
	return &resource{noun: "conferences", typ: TypeConference, schema: "conferences",
		about: "A number enters one conference of the account. What goes on now is read at `_read_only`: `is_locked`, `members`, " +
			"`moderators`, `duration` in seconds and `participants`; conferences cannot be held yet, so it says " +
			"that nobody is there, and there are no actions on them: PUT on a conference (`lock`, `play`, `record`, `dial`) is 405, `participants` 404. " +
			"PINs and the bridge's password are kept sealed.",
		within:      map[string]string{"users": IndexOwner},
		filtered:    map[string]string{"owner_id": IndexOwner},
		summary:     picking("name", "owner_id", "conference_numbers"),
		summaryKeys: []string{"name", "owner_id", "conference_numbers", "flags"}, order: byName,
		secrets: []string{"bridge_password", "member.pins.*", "moderator.pins.*"},
		check: func(e *edit) error {
			for _, path := range conferenceNumbers {
				list, _ := treeAt(e.doc, path).([]any)
				for _, v := range list {
					if text, ok := v.(string); ok && len(text) > 64 || len(list) > maxMembers {
						e.errs.add(path, "maxLength", map[string]any{"message": "At most 1000 numbers of at most 64 digits"})
					}
				}
			}
			return nil
		},
		keys: func(e *edit) []store.Key {
			var keys []store.Key
			for _, path := range conferenceNumbers {
				list, _ := treeAt(e.doc, path).([]any)
				for _, v := range list {
					if text, ok := v.(string); ok {
						keys = append(keys, store.Key{Space: KeyConferenceNumber, Scope: e.owner.id, Value: text})
					}
				}
			}
			return keys
		},
		taken: func(key store.Key, _ *store.Document) (string, map[string]any) {
			return "conference_numbers", map[string]any{"message": "Numbers already in use", "cause": key.Value}
		},
		index:      ownerIndex,
		references: refersTo("owner_id"),
		compose: func(_ *request, _ *store.Document, doc map[string]any) error {
			block := readOnly(doc)
			block["is_locked"], block["members"], block["moderators"], block["duration"] = false, 0, 0, 0
			block["participants"] = []any{}
			return nil
		},
	}
}

// ownerIndex finds a document by the user whose it is.
func ownerIndex(e *edit) []store.Index {
	owner := stringAt(e.doc, "owner_id")
	if owner == "" || len(owner) > 128 {
		return nil
	}
	return []store.Index{{Name: IndexOwner, Value: owner}}
}

// ownedByIndex reports whether the user is the document's owner.
func ownedByIndex(d *store.Document, userID string) bool {
	return slices.Contains(d.Index, store.Index{Name: IndexOwner, Value: userID})
}
