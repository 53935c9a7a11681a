package callflow

import (
	"context"

	"bugle"
)

type router struct{ documents Documents }

func (r *router) lookup(ctx context.Context, account *bugle.Account, number string) (Route, error) {
	return Route{}, &bugle.Error{Op: "callflow.lookup", Kind: bugle.KindNotFound}
}
