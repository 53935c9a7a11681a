package crossbar

import (
	"slices"
	"strconv"

	"bugle"
)

func temporalRules() *resource {
	return &resource{noun: "temporal_rules", typ: TypeTemporalRule, schema: "temporal_rules",
		about: "`enabled` true makes the rule hold always, false never; without it the calendar decides. A window whose stop is " +
			"before its start ends on the next day.",
		summary: picking("name", "cycle", "enabled"), summaryKeys: []string{"name", "cycle", "enabled", "flags"}, order: byName}
}

func temporalRulesSets() *resource {
	return &resource{noun: "temporal_rules_sets", typ: TypeTemporalRulesSet, schema: "temporal_rules_sets",
		about:   "The rules are judged in the order of the list. A rule that is deleted leaves its sets.",
		summary: picking("name", "temporal_rules"), summaryKeys: []string{"name", "temporal_rules", "flags"}, order: byName,
		check: func(e *edit) error {
			list, _ := e.doc["temporal_rules"].([]any)
			if len(list) > maxMembers {
				e.errs.add("temporal_rules", "maxItems", map[string]any{"message": "The list is more than 1000 items", "target": maxMembers})
			}
			for i, v := range list {
				if id, ok := v.(string); ok && (id == "" || len(id) > 128) {
					e.errs.add("temporal_rules."+strconv.Itoa(i), "invalid", map[string]any{"message": "Must be the id of a temporal rule"})
				}
			}
			return nil
		},
		references: func(doc map[string]any) []reference {
			var out []reference
			list, _ := doc["temporal_rules"].([]any)
			for i, v := range list {
				if id, _ := v.(string); bugle.ValidID(id) {
					out = append(out, reference{"temporal_rules." + strconv.Itoa(i), id})
				}
			}
			return out
		},
		detach: func(doc map[string]any, id string) {
			list, _ := doc["temporal_rules"].([]any)
			list = slices.DeleteFunc(slices.Clone(list), func(v any) bool { return v == any(id) })
			if doc["temporal_rules"] = list; len(list) == 0 {
				delete(doc, "temporal_rules")
			}
		},
	}
}
