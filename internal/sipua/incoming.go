package sipua

import (
	"context"
	"net/netip"

	"bugle"
	"bugle/internal/call"
)

// Directory looks devices up for authentication. A *bugle.Error of KindNotFound means that there is no such device;
// any other error is answered 503, because then nobody can say. The methods must be quick: they are called for requests of
// anybody.
type Directory interface {
	// DeviceByUsername returns the enabled or disabled device with this sip.username, and its account. realm is lower
	// case: the account's or the device's own. An empty realm, which an address as the host of the phone's URIs leads
	// to, asks for the one device of the whole system with that user name; when there are several it is KindNotFound.
	DeviceByUsername(ctx context.Context, realm, username string) (bugle.Account, bugle.Device, error)
	// Password returns the password of a device that DeviceByUsername returned, in clear, "" when it has none.
	Password(device bugle.Device) (string, error)
	// DeviceByIP returns the device of sip.method "ip" that owns this address.
	DeviceByIP(ctx context.Context, addr netip.Addr) (bugle.Account, bugle.Device, error)
	// AccountByRealm returns the account that owns a realm (lower case).
	AccountByRealm(ctx context.Context, realm string) (bugle.Account, error)
}

// Incoming is a new inbound call of an authenticated, enabled device of an enabled account.
type Incoming struct {
	Leg     call.Leg
	Account bugle.Account
	Device  bugle.Device
	Dialed  string // user part of the Request-URI, unescaped
	Realm   string // the account's realm, whatever the URI's host said
	CallID  string
	// Caller is what the phone claims in From; the caller id that others are shown comes from documents.
	Caller call.Party
	Source netip.AddrPort
}

// InviteHandler takes inbound calls. HandleInvite must not block: it returns the sink to which the leg's events go, or
// nil when no call can be taken, which is answered 503. No event is posted before it returns.
type InviteHandler interface {
	HandleInvite(in Incoming) call.Sink
}

// InviteHandlerFunc makes a function an InviteHandler.
type InviteHandlerFunc func(in Incoming) call.Sink

// HandleInvite calls f.
func (f InviteHandlerFunc) HandleInvite(in Incoming) call.Sink { return f(in) }
