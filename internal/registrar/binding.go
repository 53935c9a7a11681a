package registrar

import (
	"context"
	"net/netip"
	"time"
)

// Binding is one contact of one device: the place where the device's authenticated REGISTER came from.
type Binding struct {
	AccountID string
	DeviceID  string
	OwnerID   string // user the device belongs to, "" for none
	Username  string
	Realm     string
	Contact   string   // the URI that the phone gave, without angle brackets and header parameters
	Instance  string   // +sip.instance of the contact (RFC 5626), "" when it has none
	Q         int      // preference in thousandths, 0 to 1000
	Path      []string // Path header values (RFC 3327) in the order of the request, "" brackets kept
	Transport string   // "udp" or "tcp"
	Source    netip.AddrPort
	Local     netip.AddrPort // our address that the REGISTER reached
	CallID    string
	CSeq      uint32
	UserAgent string
	Created   time.Time // first REGISTER of this contact
	Refreshed time.Time // last one
	Expires   time.Time
}

// Key names a binding: at most one exists for a device and a contact.
type Key struct{ DeviceID, Contact string }

// Key returns the binding's name.
func (b *Binding) Key() Key { return Key{b.DeviceID, b.Contact} }

// Contact is one Contact of a REGISTER.
type Contact struct {
	URI      string
	Instance string
	Q        int // thousandths; 1000 when the phone gives none
	Expires  int // seconds of its expires parameter, -1 when it has none
}

// Request is an authenticated REGISTER.
type Request struct {
	AccountID, DeviceID, OwnerID, Username, Realm string

	CallID   string
	CSeq     uint32
	Contacts []Contact // none: a query
	// RemoveAll is "Contact: *", which RFC 3261 §10.2.2 allows only alone and with Expires: 0.
	RemoveAll bool
	Expires   int // seconds of the Expires header, -1 when there is none
	// DefaultExpires is the device's sip.expire_seconds, for a phone that asks for nothing.
	DefaultExpires int

	Path      []string
	Transport string
	Source    netip.AddrPort
	Local     netip.AddrPort
	UserAgent string
}

// Log keeps bindings over a restart.
type Log interface {
	// Load returns all bindings that were saved; expired ones may be among them.
	Load(ctx context.Context) ([]Binding, error)
	// Save writes and removes bindings in one step. When it returns nil they are safe; when it fails nothing is
	// changed. It is called from one goroutine at a time with up to a few hundred bindings; a Key is in one of the two
	// lists only.
	Save(ctx context.Context, save []Binding, remove []Key) error
}

// ChangeKind says what happened to a binding.
type ChangeKind uint8

// The changes of a binding.
const (
	Added ChangeKind = iota
	Refreshed
	Removed // by the phone or by Flush
	Expired
)

// Change is told to Options.OnChange after it has become true.
type Change struct {
	Kind    ChangeKind
	Binding Binding
}

// IntervalTooBrief is the cause of the error for an expiry below the minimum: 423 with Min-Expires.
type IntervalTooBrief struct{ Min int }

// Error names the minimum.
func (e *IntervalTooBrief) Error() string { return "expiry is below the minimum" }

// OutOfOrder is the cause of the error for a request older than the one that the binding holds.
type OutOfOrder struct{}

// Error says so.
func (*OutOfOrder) Error() string { return "an older CSeq of the same Call-ID" }

// TooManyContacts is the cause of the error for one contact too many.
type TooManyContacts struct{ Max int }

// Error says so.
func (*TooManyContacts) Error() string { return "too many contacts" }
