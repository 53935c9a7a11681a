package crossbar

func clickToCalls() *resource {
	return &resource{noun: "clicktocall", typ: TypeClickToCall, schema: "clicktocall",
		about:       "The documents. `connect` and `history` (of calls) are not offered yet (404); who changed a document is at `{id}/changes`.",
		summary:     func(doc map[string]any) map[string]any { return pick(doc, "name", "extension") },
		summaryKeys: []string{"name", "extension"}, order: byName,
		otherHistory: true,
		references:   refersTo("music_on_hold.media_id"),
		check: func(e *edit) error {
			e.checkPattern("whitelist.*")
			return nil
		},
	}
}
