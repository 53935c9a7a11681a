package bugle

import (
	"errors"
	"strings"
)

// Kind says what sort of failure an Error is. One place per protocol maps kinds to its own codes: crossbar to HTTP.
type Kind uint8

const (
	KindInternal     Kind = iota // ours: a defect or an unexpected state; details are logged, not shown
	KindInvalid                  // the request is malformed or fails validation
	KindUnauthorized             // no credentials, or wrong ones
	KindForbidden                // known caller, not allowed
	KindNotFound                 // no such thing, or not visible to this caller
	KindConflict                 // lost a race for a revision
	KindUnique                   // a value that must be unique is taken; Error.Holder says by what
	KindTooLarge                 // over a size limit
	KindUnsupported              // a media type or feature that is not offered
	KindLimited                  // over a rate or a count; try again later
	KindUnavailable              // the database, the disk or a peer does not answer; try again later
)

var kindNames = [...]string{"internal", "invalid", "unauthorized", "forbidden", "not found", "conflict", "unique",
	"too large", "unsupported", "limited", "unavailable"}

// String returns the kind's name as it stands in logs.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// Error is the one error type that crosses rooms. It reads as an operation: "store.Put: unique: numbers 1001".
type Error struct {
	Op      string // where it happened, package.Function
	Kind    Kind
	Field   string // dotted path of the offending field, when there is one
	Message string // for the person who asked: what was wrong and what is allowed; holds no secret
	Holder  string // KindUnique: the id of the document that holds the value
	Err     error  // the cause, for the log only
}

// Error formats the error for a log.
func (e *Error) Error() string {
	parts := make([]string, 0, 5)
	if e.Op != "" {
		parts = append(parts, e.Op)
	}
	parts = append(parts, e.Kind.String())
	if e.Field != "" {
		parts = append(parts, e.Field)
	}
	if e.Message != "" {
		parts = append(parts, e.Message)
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the first Error in err's chain, KindInternal for any other error.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return KindInternal
}
