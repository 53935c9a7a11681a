package callflow

import (
	"context"

	"bugle"
)

// Judgement is what is known of a number before it is called.
type Judgement struct {
	Number string // the number after normalisation
	Class  string // of the number that would be called, as Classify gives it
	Own    bool   // a callflow of the account has exactly this number; patterns and no_match name nobody
	Routed bool   // a callflow would take it
}

// Judge tells where an endpoint of the account would get with a number. An error means that nobody can tell.
func (e *Engine) Judge(ctx context.Context, account bugle.Account, dialed string) (Judgement, error) {
	route, err := e.router.route(ctx, &account, dialed, true)
	missing := err != nil && bugle.KindOf(err) == bugle.KindNotFound
	if err != nil && !missing {
		return Judgement{}, err
	}
	_, class := e.router.judged(&account, dialed, &route)
	return Judgement{Number: route.Number, Class: class, Routed: !missing,
		Own: !missing && route.Pattern == "" && !route.NoMatch}, nil
}
