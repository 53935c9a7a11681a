package callflow

import (
	"cmp"
	"slices"
	"strings"

	"bugle"
)

// NormaliseNumber returns the form under which a number is stored and looked up in the account: numbers that begin with
// + as they are; others rewritten by the first rule of the account's dial_plan that matches (longest regular expression
// first, since KAZOO's object has no order), and then made international when they have the form of a telephone number.
func NormaliseNumber(account bugle.Account, number string) string {
	return normalise(&account, number, compileOnce)
}

func normalise(account *bugle.Account, number string, compile compiler) string {
	if strings.HasPrefix(number, "+") {
		return number
	}
	return bugle.International(dialPlan(account, number, compile))
}

// dialPlan applies the account's own rules: the last capture is the root, wrapped with prefix and suffix.
func dialPlan(account *bugle.Account, number string, compile compiler) string {
	if len(account.DialPlan) == 0 {
		return number
	}
	rules := make([]string, 0, len(account.DialPlan))
	for rule := range account.DialPlan {
		rules = append(rules, rule)
	}
	slices.SortFunc(rules, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b))
	})
	for _, rule := range rules {
		re := compile(rule)
		if re == nil {
			continue
		}
		if found := re.FindStringSubmatch(number); found != nil {
			plan := account.DialPlan[rule]
			return plan.Prefix + found[len(found)-1] + plan.Suffix
		}
	}
	return number
}

// digits reports whether s is one or more digits.
func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
