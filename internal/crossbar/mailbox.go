package crossbar

import (
	"strings"

	"bugle/internal/store"
)

func mailboxes() *resource {
	r := &resource{noun: "vmboxes", typ: TypeMailbox, schema: "vmboxes",
		about:       "The PIN is kept sealed; only administrators read it, and its owner may set it. No call reaches a box yet.",
		within:      map[string]string{"users": IndexOwner},
		summary:     picking("name", "mailbox", "owner_id"),
		summaryKeys: []string{"name", "mailbox", "owner_id", "flags"}, order: byName,
		secrets: []string{"pin"},
		check: func(e *edit) error {
			if pin := stringAt(e.doc, "pin"); strings.Trim(pin, "0123456789") != "" {
				e.errs.add("pin", "pattern", map[string]any{"message": "A PIN has digits only, since it is dialled", "target": "^[0-9]+$"})
			}
			return nil
		},
		keys: func(e *edit) []store.Key {
			mailbox := stringAt(e.doc, "mailbox")
			if mailbox == "" {
				return nil
			}
			return []store.Key{{Space: KeyMailbox, Scope: e.owner.id, Value: mailbox}}
		},
		taken: func(key store.Key, _ *store.Document) (string, map[string]any) {
			return "mailbox", map[string]any{"message": "Invalid mailbox number or already exists", "cause": key.Value}
		},
		index:      ownerIndex,
		references: refersTo("owner_id", "media.unavailable"),
		self: &selfService{list: true, ownedIndex: IndexOwner, owned: ownedByIndex,
			fixed: []string{"mailbox", "owner_id", "not_configurable"}},
	}
	return r
}
