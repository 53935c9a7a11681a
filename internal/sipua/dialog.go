package sipua

import (
	"strings"

	"bugle/internal/sip"
)

// dialog is the state of RFC 3261 §12 that requests of ours are made from. Its leg owns it and numbers its requests.
type dialog struct {
	callID        string
	local, remote string // values of From and To in our requests, with their tags
	localTag      string
	remoteTag     string
	target        string // the other side's Contact
	routes        []string
	localSeq      uint32
	remoteSeq     uint32
	dst           sip.Destination // where the packets go
}

// dialogOfRequest is the dialog that our response with localTag makes of an INVITE (RFC 3261 §12.1.1). Packets go back
// to where the request came from, which is the caller, behind whatever NAT, or the proxy that stays in the path.
func dialogOfRequest(req *sip.Message, localTag string, source sip.Source) dialog {
	seq, _ := req.CSeq()
	d := dialog{callID: strings.Clone(req.CallID()), remote: strings.Clone(req.Header("From")), localTag: localTag,
		local: req.Header("To") + ";tag=" + localTag, remoteTag: strings.Clone(req.FromTag()), remoteSeq: seq,
		dst: back(source)}
	d.retarget(req)
	for route := range req.Headers("Record-Route") {
		d.routes = append(d.routes, strings.Clone(route))
	}
	return d
}

// back is the way to where a message came from. Over TCP it is that connection and no other: the port at its other end is
// nobody's to be dialled.
func back(source sip.Source) sip.Destination {
	dst := source.Destination()
	dst.FlowOnly = strings.EqualFold(dst.Transport, sip.TCP)
	return dst
}

// moved follows a party whose packets come from another place now, as after a NAT has forgotten it. The dialog's tags,
// which nobody else knows, vouch for the request.
func (d *dialog) moved(source sip.Source) {
	if len(d.routes) == 0 && source.Remote.IsValid() {
		d.dst = back(source)
	}
}

// fork makes the dialog that a response to our INVITE forms (RFC 3261 §12.1.2).
func (d *dialog) fork(res *sip.Message) dialog {
	f := *d
	f.remote, f.remoteTag = strings.Clone(res.Header("To")), strings.Clone(res.ToTag())
	f.retarget(res)
	f.reroute(res)
	return f
}

// reroute takes the route set from a response, in reverse order. RFC 3261 §13.2.2.4: the one of the 2xx counts, whatever
// an earlier response of the same dialog said.
func (d *dialog) reroute(res *sip.Message) {
	d.routes = nil
	for route := range res.Headers("Record-Route") {
		d.routes = append([]string{strings.Clone(route)}, d.routes...)
	}
}

// retarget takes the remote target from a Contact (RFC 3261 §12.2.1.2).
func (d *dialog) retarget(m *sip.Message) {
	if contact, err := m.Contact(); err == nil && isSIP(contact.URI) {
		contact.URI.Headers = ""
		d.target = contact.URI.String()
	}
}

// request starts a request within the dialog, with the next number.
func (d *dialog) request(method sip.Method) *sip.Message {
	d.localSeq++
	return d.numbered(method, d.localSeq)
}

// numbered starts a request with a number of its own: the ACK, which has that of its INVITE.
func (d *dialog) numbered(method sip.Method, seq uint32) *sip.Message {
	uri, routes := d.target, d.routes
	if len(routes) > 0 {
		// RFC 3261 §12.2.1.1: a first hop without lr is a strict router, which wants itself in the Request-URI.
		first, err := sip.ParseAddress(routes[0])
		if err == nil && !first.URI.Params.Has("lr") {
			routes = append(append([]string(nil), routes[1:]...), "<"+uri+">")
			uri = first.URI.String()
		}
	}
	m := sip.NewRequest(method, uri)
	for _, route := range routes {
		m.Add("Route", route)
	}
	m.AddInt("Max-Forwards", 70)
	m.Add("From", d.local)
	m.Add("To", d.remote)
	m.Add("Call-ID", d.callID)
	m.AddCSeq(seq, method)
	return m
}
