package bugletest

import (
	"slices"
	"strings"

	"bugle/internal/sip"
)

// dialog is the state of RFC 3261 §12 that requests within a call are built from. Strings are copies, not views of a
// message.
type dialog struct {
	callID    string
	local     string // own address with its tag, as it stands in From
	remote    string // the other side's address with its tag, as it stands in To
	remoteTag string
	target    string // Request-URI: the other side's Contact
	routes    []string
	seq       uint32 // of the last request sent
	remoteSeq uint32
	dst       sip.Destination // where the dialog began, for a target that is no address
}

// request builds the next request of the dialog.
func (d *dialog) request(method sip.Method) *sip.Message {
	d.seq++
	return d.requestAt(method, d.seq)
}

// requestAt builds a request with the CSeq of another: an ACK has that of its INVITE (RFC 3261 §13.2.2.4).
func (d *dialog) requestAt(method sip.Method, seq uint32) *sip.Message {
	req := sip.NewRequest(method, d.target)
	for _, route := range d.routes {
		req.Add("Route", route)
	}
	req.Add("From", d.local)
	req.Add("To", d.remote)
	req.Add("Call-ID", d.callID)
	req.AddCSeq(seq, method)
	req.Add("User-Agent", "bugle-phone")
	return req
}

// hop is where the next request goes: to the topmost route or the target (RFC 3261 §12.2.1.1, loose routing).
func (d *dialog) hop() sip.Destination {
	uri, err := sip.ParseURI(d.target)
	if len(d.routes) > 0 {
		var route sip.Address
		route, err = sip.ParseAddress(d.routes[0])
		uri = route.URI
	}
	if err != nil {
		return d.dst
	}
	addr, ok := uri.Address()
	if !ok {
		return d.dst
	}
	return sip.Destination{Transport: transportOf(uri, d.dst.Transport), Addr: addr}
}

func transportOf(uri sip.URI, otherwise string) string {
	if t := strings.ToLower(uri.Params.Value("transport")); t == sip.UDP || t == sip.TCP {
		return t
	}
	return otherwise
}

// learn takes the other side's tag, contact and, reversed, the recorded route from a response (RFC 3261 §12.1.2).
func (d *dialog) learn(resp *sip.Message) {
	d.remote, d.remoteTag = strings.Clone(wholeHeader(resp, "To")), strings.Clone(resp.ToTag())
	d.retarget(resp)
	d.routes = nil
	for route := range resp.Headers("Record-Route") {
		d.routes = append(d.routes, strings.Clone(route))
	}
	slices.Reverse(d.routes)
}

// retarget takes a new Contact (RFC 3261 §12.2).
func (d *dialog) retarget(m *sip.Message) {
	if contact, err := m.Contact(); err == nil {
		d.target = contact.URI.String()
	}
}

func wholeHeader(m *sip.Message, name string) string {
	for n, value := range m.All() {
		if strings.EqualFold(n, name) || len(n) == 1 && strings.EqualFold(n, name[:1]) {
			return value
		}
	}
	return ""
}
