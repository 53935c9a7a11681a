package sipua

import (
	"net/netip"
	"strings"

	"bugle"
	"bugle/internal/call"
	"bugle/internal/registrar"
	"bugle/internal/sip"
)

// Notify sends a NOTIFY outside of any dialog to where a phone is registered: an event that phones act on without having
// subscribed to it, such as "check-sync;reboot=false". done is called once with the final status, 408 or 503 when there was
// none. An error means that nothing was sent and done is never called.
func (a *Agent) Notify(b *registrar.Binding, event string, done func(status int)) error {
	uri, transport, err := requestURI(call.Target{URI: b.Contact, Hop: b.Source, Transport: b.Transport})
	if err != nil {
		return err
	}
	if strings.ContainsAny(event, "\r\n\x00") || event == "" {
		return &bugle.Error{Op: "sipua.Notify", Kind: bugle.KindInvalid, Message: "an event is one line"}
	}
	a.mu.Lock()
	closed := a.closed
	a.mu.Unlock()
	if closed {
		return &bugle.Error{Op: "sipua.Notify", Kind: bugle.KindUnavailable, Message: "the server is stopping"}
	}
	// As with calls: where the authenticated REGISTER came from, over TCP on that connection alone.
	dst := sip.Destination{Transport: transport, Addr: b.Source, FlowOnly: transport == sip.TCP}
	callID := randomToken()
	from := sip.Address{URI: sip.URI{Scheme: "sip", Host: realmOr(b.Realm, a.stack.LocalAddr(dst))}, Params: sip.Params(";tag=" + a.tags.make(callID))}
	to := sip.Address{URI: sip.URI{Scheme: "sip", User: b.Username, Host: from.URI.Host}}
	d := dialog{callID: callID, local: from.String(), remote: to.String(), target: uri.String(), routes: b.Path}
	m := d.request(sip.NOTIFY)
	m.Add("Contact", a.contactFor(dst, "bugle"))
	m.Add("Event", event)
	m.Add("Subscription-State", "terminated") // RFC 6665 §4.1.3 wants one; there is nothing to subscribe to
	m.Add("User-Agent", a.opts.UserAgent)
	_, err = a.stack.Request(m, dst, func(r sip.Result) {
		defer a.recovered()
		if r.Response == nil || r.Response.StatusCode() >= 200 {
			done(statusOf(r))
		}
	})
	return err
}

// realmOr is the host of an account's addresses: its realm, or our own address when that is no host name.
func realmOr(realm string, local netip.AddrPort) string {
	if realm == "" || !validHost(realm) {
		return local.Addr().Unmap().String()
	}
	return realm
}
