package bugle

import (
	"encoding/json"
	"time"
)

// ChangeKind is what happened to a document.
type ChangeKind string

const (
	Created ChangeKind = "created"
	Edited  ChangeKind = "edited"
	Deleted ChangeKind = "deleted" // soft or hard; After is nil
)

// Change is one entry of the change log. Every committed write of a document has exactly one, written in the same
// transaction, so a reader that follows the log misses nothing.
type Change struct {
	Position   int64 // place in the log of all accounts, ascending in commit order; gaps are possible
	AccountID  string
	Sequence   int64 // place in the account's own log: 1, 2, 3, ... without a gap
	Kind       ChangeKind
	Type       string // document type: "user", "device", "callflow", ...
	ID         string // document id
	Rev        string // revision after the change
	At         time.Time
	Before     json.RawMessage // public body before, nil when created; secrets stay sealed
	After      json.RawMessage // public body after, nil when deleted
	BeforeDead bool            // the document existed but was soft-deleted before (an undelete or re-creation)
	By         *Actor          // nil when nobody asked for it over the API
	// Hidden has the keys of the private part that an edit changed (a password, an API key, audio), with their values before and
	// after, {"before": …, "after": …}, only where the writer allows that; null otherwise. nil when nothing changed there.
	Hidden map[string]json.RawMessage
}

// Actor is who asked for a change, and from where.
type Actor struct {
	AccountID      string `json:"account_id"`                // of the token, not of the document
	UserID         string `json:"user_id,omitempty"`         // "" for an API key
	ImpersonatedBy string `json:"impersonated_by,omitempty"` // the user, or the account, that took this user's place
	Method         string `json:"method"`                    // how the token was got: "user_auth", "api_auth"
	Address        string `json:"address,omitempty"`
	RequestID      string `json:"request_id"`
}
