package crossbar

import (
	"maps"
	"slices"
	"strconv"
)

// trunks are the carrier trunks, which KAZOO calls resources.
func trunks() *resource {
	r := trunk(TypeResource)
	r.top = trunk(TypeGlobalResource)
	r.top.ofMaster = true
	return r
}

func trunk(typ string) *resource {
	return &resource{noun: "resources", typ: typ, schema: "resources",
		about: "Carrier trunks. Those of an account serve its own calls; those at `/v2/resources`, which only the master account " +
			"reads and writes, serve all accounts. Calls to the outside are not placed yet. Passwords are kept sealed. A gateway at " +
			"a loopback, private or link-local address needs `--egress-allow`.",
		summary:     picking("name", "enabled", "weight_cost", "emergency"),
		summaryKeys: []string{"name", "enabled", "weight_cost", "emergency", "flags"}, order: byName,
		secrets: []string{"gateways.*.password"},
		check: func(e *edit) error {
			e.checkPattern("rules.*", "cid_rules.*", "flat_rate_blacklist", "flat_rate_whitelist")
			classes, _ := e.doc["classifiers"].(map[string]any)
			for _, name := range slices.Sorted(maps.Keys(classes)) {
				if regex := stringAt(classes[name], "regex"); regex != "" {
					e.checkExpression(fieldPath("classifiers", name, "regex"), regex)
				}
			}
			gateways, _ := e.doc["gateways"].([]any)
			for i, g := range gateways {
				if g, ok := g.(map[string]any); ok && g["port"] != nil {
					if port := intAt(g, "port"); port < 1 || port > 65535 {
						e.errs.add("gateways."+strconv.Itoa(i)+".port", "maximum", map[string]any{
							"message": "Must be a port, 1 to 65535", "target": 65535, "value": shown(g["port"])})
					}
				}
			}
			return nil
		},
	}
}
