package store

import (
	"context"
	"database/sql"
	"errors"

	"bugle"
)

// fail gives an error of the database its kind. An Error of this program passes through.
func (s *Store) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	var known *bugle.Error
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &bugle.Error{Op: op, Kind: bugle.KindUnavailable, Message: "the request ended before the database answered",
			Err: err}
	case errors.Is(err, errAgain):
		return &bugle.Error{Op: op, Kind: bugle.KindConflict, Message: "others change the same at this moment, try again", Err: err}
	case s.closed.Load(), errors.Is(err, sql.ErrConnDone), errors.Is(err, errGone), s.engine.unavailable(err):
		return &bugle.Error{Op: op, Kind: bugle.KindUnavailable, Message: "the database is not available, try again later",
			Err: err}
	}
	return &bugle.Error{Op: op, Kind: bugle.KindInternal, Err: err}
}

// lost reports whether err says that the database does not answer, as opposed to the request having been given up.
func lost(err error) bool {
	return bugle.KindOf(err) == bugle.KindUnavailable && !errors.Is(err, context.Canceled) &&
		!errors.Is(err, context.DeadlineExceeded)
}

func notFound(op, what string) error {
	return &bugle.Error{Op: op, Kind: bugle.KindNotFound, Message: "no such " + what}
}
