package crossbar

import "maps"

const maxListed = 9000 // numbers of a blacklist

func blacklists() *resource {
	return &resource{noun: "blacklists", typ: TypeBlacklist, schema: "blacklists",
		about: "`numbers` is an object: `{\"+12125550100\": {\"name\": \"Sales calls\"}}`. Numbers are stored as calls are compared " +
			"with them. A list is used when its id is in the account's `blacklists`.",
		summary: picking("name"), summaryKeys: []string{"name", "flags"}, order: byName,
		complete: func(e *edit) error {
			numbers, ok := e.doc["numbers"].(map[string]any)
			if !ok || len(numbers) > maxListed {
				return nil
			}
			normal := make(map[string]any, len(numbers))
			for number, about := range numbers {
				if len(number) <= 256 {
					number = e.req.api.opts.Flows.NormaliseNumber(e.owner.view, number)
				}
				if twice, ok := normal[number].(map[string]any); ok { // two spellings of one number
					if about, ok := about.(map[string]any); ok {
						about = maps.Clone(about)
						mergeTree(about, twice)
						normal[number] = about
						continue
					}
				}
				normal[number] = about
			}
			e.doc["numbers"] = normal
			return nil
		},
		check: func(e *edit) error {
			numbers, _ := e.doc["numbers"].(map[string]any)
			if len(numbers) > maxListed {
				e.errs.add("numbers", "maxProperties", map[string]any{"message": "The object must have at most 9000 keys", "target": maxListed})
			}
			for number := range numbers {
				if number == "" || len(number) > 256 {
					e.errs.add(fieldPath("numbers", clip(number, 64)), "invalid", map[string]any{
						"message": "The key must be a number of at most 256 characters"})
				}
			}
			return nil
		},
	}
}
