package store

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"bugle"
)

// Limits of a document. What exceeds them is refused with KindTooLarge or KindInvalid.
const (
	MaxBody  = 4 << 20 // bytes of Body, and of Private
	MaxLinks = 10000   // unique keys plus indexes of one document
	MaxValue = 1024    // bytes of a key's, an index's or a sort key's value

	maxName = 128 // bytes of ids, types, spaces, scopes and index names
)

// AnyRev as a guard means: whatever is there now, or nothing.
const AnyRev = "*"

// Document is one configuration document. Reading returns slices that may be shared with other readers (the cache
// hands out one copy to all): do not write into Body, Private, SortKey, Keys or Index, replace them.
type Document struct {
	AccountID string
	Type      string // "user", "device", "callflow", ...
	ID        string // unique in the whole system, not only in the account
	Rev       string // "N-hex": N counts the writes; set by Put
	Created   time.Time
	Modified  time.Time
	Deleted   bool // soft-deleted; only GetAny and Query.Deleted return such
	// Body is the public document, byte for byte as it was given: a JSON object with its secrets sealed.
	Body json.RawMessage
	// Private is what no API returns (password hashes, blob references), nil or a JSON object.
	Private json.RawMessage
	// Told are keys of Private whose values the change log may keep. It goes with one Put and is not stored.
	Told    []string
	SortKey []byte // lists are in the order of (SortKey, ID), bytewise
	// Keys and Index come back as they were written, so a reader that changes Body and puts the document again keeps
	// them unless it computes new ones.
	Keys  []Key
	Index []Index
}

// Key is a value that one document at most may hold within its space and scope.
type Key struct {
	Space string // what it is: "callflow.number"; an error names it in its Field
	Scope string // within what it is unique: an account id, or "" for the whole system
	Value string
}

func (k Key) compare(other Key) int {
	return cmp.Or(strings.Compare(k.Space, other.Space), strings.Compare(k.Scope, other.Scope), strings.Compare(k.Value, other.Value))
}

// Index is a look-up value that many documents of one account and type may share.
type Index struct{ Name, Value string }

// Query selects documents for List and Count.
type Query struct {
	AccountID  string // "" means the documents of all accounts
	Type       string
	Index      *Index // nil means all of the type
	After      []byte // what the page before returned as next; nil starts at the beginning
	Limit      int    // documents of one page, 1 to 1000; 0 means 50
	Descending bool
	Deleted    bool // the soft-deleted documents instead of the living; not together with Index

	// Contains narrows the list to documents whose Body has all of these texts in it, at most three, in upper or lower case. The
	// database looks, so that the others cost little; PostgreSQL minds the case, SQLite does not.
	Contains []string
	Times    *Times // likewise by times; nil means any

	// Plain leaves out what a list mostly has no use for: Private, Keys and Index, and over all accounts AccountID too.
	Plain bool
}

// Times are the first and the last times that documents may have.
type Times struct{ CreatedFrom, CreatedTo, ModifiedFrom, ModifiedTo time.Time }

const maxContains = 3 // each number of them is a statement of its own

const (
	defaultLimit = 50
	maxLimit     = 1000
)

func (q Query) limit() int {
	switch {
	case q.Limit <= 0:
		return defaultLimit
	case q.Limit > maxLimit:
		return maxLimit
	}
	return q.Limit
}

// check judges what the database would otherwise have to.
func (d *Document) check() error {
	invalid := func(message string) error {
		return &bugle.Error{Op: "store.Put", Kind: bugle.KindInvalid, Message: message}
	}
	if !named(d.AccountID) || !named(d.Type) || !named(d.ID) {
		return invalid("a document needs an account, a type and an id of 1 to " + strconv.Itoa(maxName) + " bytes")
	}
	if len(d.Body) > MaxBody || len(d.Private) > MaxBody {
		return &bugle.Error{Op: "store.Put", Kind: bugle.KindTooLarge,
			Message: "a document may have up to " + strconv.Itoa(MaxBody) + " bytes"}
	}
	if !object(d.Body) || d.Private != nil && !object(d.Private) {
		return invalid("a document is a JSON object in UTF-8")
	}
	if len(d.SortKey) > MaxValue || len(d.Keys)+len(d.Index) > MaxLinks {
		return invalid("a document may have " + strconv.Itoa(MaxLinks) + " keys and indexes and a sort key of " +
			strconv.Itoa(MaxValue) + " bytes")
	}
	for _, k := range d.Keys {
		if !named(k.Space) || len(k.Scope) > maxName || !text(k.Scope) || !valued(k.Value) {
			return invalid("key " + k.Space + " is not 1 to " + strconv.Itoa(MaxValue) + " bytes of UTF-8")
		}
	}
	for _, x := range d.Index {
		if !named(x.Name) || !valued(x.Value) {
			return invalid("index " + x.Name + " is not 1 to " + strconv.Itoa(MaxValue) + " bytes of UTF-8")
		}
	}
	return nil
}

func named(s string) bool { return s != "" && len(s) <= maxName && text(s) }

func valued(s string) bool { return s != "" && len(s) <= MaxValue && text(s) }

// text reports whether every database can keep s in a text column: PostgreSQL refuses NUL and broken UTF-8.
func text(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// texts: what is not text stands in no column, so who asks for it finds nothing.
func texts(values ...string) bool {
	return !slices.ContainsFunc(values, func(s string) bool { return !text(s) })
}

func object(doc []byte) bool {
	if !json.Valid(doc) || !utf8.Valid(doc) {
		return false
	}
	for _, c := range doc {
		switch c {
		case ' ', '\t', '\r', '\n':
		default:
			return c == '{'
		}
	}
	return false
}

// nextRev returns the revision that follows prev. It depends on what is written, so that two writes of different bytes
// never share a revision, even when one of them was lost with a restored backup.
func nextRev(prev string, d *Document) string {
	n := revNumber(prev) + 1
	h := sha256.New()
	for _, part := range [][]byte{[]byte(prev), strconv.AppendInt(nil, d.Modified.UnixMicro(), 10), d.Body, d.Private,
		strconv.AppendBool(nil, d.Deleted)} {
		h.Write(strconv.AppendInt(nil, int64(len(part)), 10))
		h.Write([]byte{':'})
		h.Write(part)
	}
	return strconv.FormatUint(n, 10) + "-" + hex.EncodeToString(h.Sum(nil)[:16])
}

func revNumber(rev string) uint64 {
	head, _, _ := strings.Cut(rev, "-")
	n, _ := strconv.ParseUint(head, 10, 63)
	return n
}
