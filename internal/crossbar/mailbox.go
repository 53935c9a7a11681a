package crossbar

import (
	"strings"

	"bugle/internal/store"
)

func mailboxes() *resource {
	return &resource{noun: "vmboxes", typ: TypeMailbox, schema: "vmboxes",
		about: "The PIN is kept sealed; only administrators read it, and its owner may set it, by telephone too. Calls reach a box by the callflow module `voicemail`; docs/voicemail.md tells more. " +
			"A row of the list also has how many messages are in the box: `new`, `saved` (also as `old`) and both as `messages`. " +
			"PUT on `messages` deposits one: `data` says what is known of it, the audio is a part beside it, the body itself, or " +
			"PUT to the message's `raw` later. POST on a message, or on `messages` with a list of ids as `messages`, sets " +
			"`folder` (`new`, `saved`, `deleted`), moves into the box `source_id`, or copies into each box of a list there. " +
			"DELETE puts messages into the folder `deleted`, from where they go for good after 30 days; with " +
			"`should_soft_delete=false` they go at once. Lists show deleted messages when `folder=deleted` asks for them. " +
			"A message's `history` tells an administrator who did what to it over the API, also when it is gone.",
		within:      map[string]string{"users": IndexOwner},
		filtered:    map[string]string{"owner_id": IndexOwner},
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
		endpoints:  messageEndpoints(),
		shapes:     messageShapes(),
		annotate:   countMessages,
		along: func(e *edit) error {
			if e.how != deleting {
				return nil
			}
			return e.tx.RemoveMessages(e.owner.id, e.id)
		},
		self: &selfService{list: true, paths: []string{"{id}/messages", "{id}/messages/{message}", "{id}/messages/{message}/raw"},
			ownedIndex: IndexOwner, owned: ownedByIndex,
			fixed: []string{"mailbox", "owner_id", "not_configurable"}},
	}
}
