package callflow

import (
	"context"
	"strings"

	"bugle"
)

// noMatch is the literal number of the callflow that takes what no other does.
const noMatch = "no_match"

// router finds the callflow of a number.
type router struct {
	documents Documents
	patterns  compiled
}

// route finds the callflow for what an endpoint dialled. trusted says that it is an authenticated endpoint of the
// account, which alone may reach the no_match callflow: carriers would call out at the account's cost.
func (r *router) route(ctx context.Context, account *bugle.Account, dialed string, trusted bool) (Route, error) {
	found, err := r.lookup(ctx, account, dialed)
	if bugle.KindOf(err) != bugle.KindNotFound || err == nil {
		return found, err
	}
	if !trusted || !digits(strings.TrimPrefix(found.Number, "+")) {
		return found, err
	}
	flow, err := r.documents.CallflowByNumber(ctx, account.ID, noMatch)
	if err != nil {
		return found, err
	}
	found.Callflow, found.NoMatch = flow, true
	return found, nil
}

// lookup finds the callflow of a number by number, then by pattern. The Route has the normalised number even with an
// error.
func (r *router) lookup(ctx context.Context, account *bugle.Account, dialed string) (Route, error) {
	found := Route{Number: normalise(account, dialed, r.patterns.compile)}
	unknown := &bugle.Error{Op: "callflow.lookup", Kind: bugle.KindNotFound, Message: "no callflow for " + found.Number}
	if found.Number == "" || found.Number == noMatch {
		return found, unknown
	}
	flow, err := r.documents.CallflowByNumber(ctx, account.ID, found.Number)
	if err == nil {
		found.Callflow = flow
		return found, nil
	}
	if bugle.KindOf(err) != bugle.KindNotFound {
		return found, err
	}
	flows, err := r.documents.CallflowsWithPatterns(ctx, account.ID)
	if err != nil {
		return found, err
	}
	if !r.best(&found, flows) {
		return found, unknown
	}
	return found, nil
}

// best finds the pattern with the longest capture; of several the longest pattern, and then the callflow with the
// lowest id.
func (r *router) best(found *Route, flows []bugle.Callflow) bool {
	ok := false
	for i := range flows {
		for _, pattern := range flows[i].Patterns {
			re := r.patterns.compile(pattern)
			if re == nil {
				continue
			}
			capture, named, matched := match(re, found.Number)
			if !matched {
				continue
			}
			if ok && !better(capture, pattern, flows[i].ID, found.Capture, found.Pattern, found.Callflow.ID) {
				continue
			}
			ok = true
			found.Callflow, found.Pattern, found.Capture, found.Captures = flows[i], pattern, capture, named
		}
	}
	return ok
}

func better(capture, pattern, id, bestCapture, bestPattern, bestID string) bool {
	if len(capture) != len(bestCapture) {
		return len(capture) > len(bestCapture)
	}
	if len(pattern) != len(bestPattern) {
		return len(pattern) > len(bestPattern)
	}
	if id != bestID {
		return id < bestID
	}
	return pattern < bestPattern
}

// preflow puts the account's preflow before a flow.
func preflow(account *bugle.Account, flow bugle.Flow) bugle.Flow {
	if account.Preflow == "" {
		return flow
	}
	return bugle.Flow{Module: "callflow", Data: bugle.Fields{"id": []byte(`"` + account.Preflow + `"`)},
		Children: map[string]bugle.Flow{"_": flow}}
}
