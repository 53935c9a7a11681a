package sipua

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"strings"

	"bugle"
	"bugle/internal/call"
	"bugle/internal/media"
	"bugle/internal/sip"
)

func isTimeout(err error) bool { return errors.Is(err, sip.ErrTimeout) }

// Originate is part of call.Originator.
func (a *Agent) Originate(callID string, target call.Target, sink call.Sink) call.Leg {
	l := &leg{agent: a, id: callID, tag: a.tags.make(callID), state: calling, sink: sink}
	l.log = a.opts.Log.With("call", callID)
	l.uac.target, l.realm, l.account = target, strings.ToLower(target.Realm), target.AccountID
	l.uac.sessionExpires = int(a.opts.SessionExpires.Seconds())
	l.mu.Lock()
	defer l.mu.Unlock()
	if !a.admit(l) {
		l.fail(503, call.NetworkOutOfOrder, nil)
		return l
	}
	uri, transport, err := requestURI(target)
	if err != nil {
		l.fail(484, call.InvalidNumberFormat, err)
		return l
	}
	l.uac.uri = uri
	signalling := towards(target, transport)
	session, err := a.opts.Media.NewSession(media.SessionOptions{Codecs: target.Codecs,
		Signalling: signalling.Addr.Addr().Unmap(), Local: a.stack.LocalAddr(signalling).Addr().Unmap(), Events: l, Label: callID})
	if err != nil {
		l.fail(503, call.NetworkOutOfOrder, err)
		return l
	}
	l.session = session
	if target.Hop.IsValid() {
		// A phone is reached where its authenticated REGISTER came from, over TCP on that connection alone.
		l.uac.hops = []sip.Destination{{Transport: transport, Addr: target.Hop, FlowOnly: transport == sip.TCP}}
		l.call()
		return l
	}
	l.seek(transport)
	return l
}

// towards is where the packets of a target go, as far as that is known before names are looked up.
func towards(target call.Target, transport string) sip.Destination {
	dst := sip.Destination{Transport: transport, Addr: target.Hop}
	if dst.Addr.IsValid() {
		return dst
	}
	hop, _ := sip.ParseURI(target.URI)
	if len(target.Route) > 0 {
		route, _ := sip.ParseAddress(target.Route[0])
		hop = route.URI
	}
	dst.Addr, _ = hop.Address()
	return dst
}

// requestURI judges the URI of a target and says how to get there.
func requestURI(target call.Target) (uri sip.URI, transport string, err error) {
	uri, err = sip.ParseURI(target.URI)
	if err != nil {
		return uri, "", err
	}
	if uri.Scheme != "sip" && (uri.Scheme != "sips" || !target.Hop.IsValid()) {
		return uri, "", &bugle.Error{Op: "sipua.Originate", Kind: bugle.KindUnsupported, Message: "only sip URIs can be called"}
	}
	uri.Headers = ""
	uri.Params = uri.Params.Without("method")
	transport = strings.ToLower(cmp.Or(target.Transport, uri.Params.Value("transport"), sip.UDP))
	if transport != sip.UDP && transport != sip.TCP {
		return uri, "", &bugle.Error{Op: "sipua.Originate", Kind: bugle.KindUnsupported,
			Message: "the transports are udp and tcp"}
	}
	return uri, transport, nil
}

// seek finds the addresses of a target that is no registered phone, through egress. A name is looked up in a goroutine,
// since that takes time. It must be called with l.mu held.
func (l *leg) seek(transport string) {
	a := l.agent
	hop := l.uac.uri
	if len(l.uac.target.Route) > 0 {
		route, err := sip.ParseAddress(l.uac.target.Route[0])
		if err != nil {
			l.fail(484, call.InvalidNumberFormat, err)
			return
		}
		hop = route.URI
		transport = strings.ToLower(cmp.Or(route.URI.Params.Value("transport"), transport))
	}
	if addr, ok := hop.Address(); ok {
		if err := a.opts.Egress.Check(addr.Addr()); err != nil {
			l.fail(403, call.CallRejected, err)
			return
		}
		l.uac.hops = []sip.Destination{{Transport: transport, Addr: addr}}
		l.call()
		return
	}
	a.mu.Lock()
	busy := a.lookups >= maxLookups || a.closed
	if !busy {
		a.lookups++
		a.resolve.Add(1)
	}
	a.mu.Unlock()
	if busy {
		l.fail(503, call.NetworkOutOfOrder, nil)
		return
	}
	go l.lookUp(hop, transport)
}

func (l *leg) lookUp(hop sip.URI, transport string) {
	a := l.agent
	defer l.crashed()
	defer func() {
		a.mu.Lock()
		a.lookups--
		a.mu.Unlock()
		a.resolve.Done()
	}()
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	addrs, err := a.opts.Egress.Resolve(ctx, hop.Host, int(hop.Port), transport)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state != calling {
		return
	}
	if l.ended { // hung up in the meantime, and nothing was sent
		l.close()
		return
	}
	if err != nil {
		status, cause := 503, call.NetworkOutOfOrder
		if bugle.KindOf(err) == bugle.KindForbidden {
			status, cause = 403, call.CallRejected
		}
		l.fail(status, cause, err)
		return
	}
	for _, addr := range addrs {
		l.uac.hops = append(l.uac.hops, sip.Destination{Transport: transport, Addr: addr})
	}
	l.call()
}

// call sends the INVITE to the next place. It must be called with l.mu held.
func (l *leg) call() {
	if l.uac.hop >= len(l.uac.hops) {
		l.fail(503, call.NetworkOutOfOrder, nil)
		return
	}
	dst := l.uac.hops[l.uac.hop]
	l.uac.hop++
	if l.uac.offer == nil {
		offer, err := l.session.Offer()
		if err != nil {
			l.fail(500, call.TemporaryFailure, err)
			return
		}
		l.uac.offer = offer
	}
	l.invite(dst)
}

// invite sends one INVITE. It must be called with l.mu held.
func (l *leg) invite(dst sip.Destination) {
	a, t := l.agent, &l.uac.target
	local := a.stack.LocalAddr(dst)
	from := callerAddress(t, local)
	from.Params = sip.Params(";tag=" + l.tag)
	to := sip.Address{Display: t.Callee.Name, URI: l.uac.uri}
	to.URI.Params = ""
	d := &l.dialog
	seq := d.localSeq
	*d = dialog{callID: l.id, localTag: l.tag, local: from.String(), remote: to.String(), target: l.uac.uri.String(),
		routes: t.Route, localSeq: seq, dst: dst}
	l.contact = a.contactFor(dst, contactUser(t.Caller.Number))
	req := d.request(sip.INVITE)
	l.uac.seq = d.localSeq
	req.Add("Contact", l.contact)
	req.Add("Allow", allowed)
	req.Add("Supported", supported)
	req.AddInt("Session-Expires", l.uac.sessionExpires)
	req.AddInt("Min-SE", max(leastSessionExpires, l.uac.minSE))
	req.Add("User-Agent", a.opts.UserAgent)
	if withheld(t.Caller) {
		req.Add("Privacy", "id")
	}
	for name, value := range t.Headers {
		addCustom(req, name, value)
	}
	req.SetBody("application/sdp", l.uac.offer)
	l.uac.forks = map[string]*fork{}
	l.uac.try++
	try := l.uac.try
	client, err := a.stack.Request(req, dst, func(r sip.Result) { l.outcome(try, r) })
	if err != nil {
		l.after(0, func() { l.unreached(try, 503) })
		return
	}
	l.uac.client = client
}

// callerAddress is From: the caller as this phone is to show it, in the realm of its account.
func callerAddress(t *call.Target, local netip.AddrPort) sip.Address {
	if withheld(t.Caller) { // RFC 3323 §4.1.1.3
		return sip.Address{Display: "Anonymous", URI: sip.URI{Scheme: "sip", User: "anonymous", Host: "anonymous.invalid"}}
	}
	uri := sip.URI{Scheme: "sip", User: cmp.Or(t.Caller.Number, "unknown"), Host: realmOr(t.Realm, local)}
	return sip.Address{Display: t.Caller.Name, URI: uri}
}

func withheld(p call.Party) bool { return strings.EqualFold(p.Number, "anonymous") }

func validHost(host string) bool {
	_, err := sip.ParseURI("sip:" + host)
	return err == nil && !strings.ContainsAny(host, ";?:@")
}

// contactUser is the user part of our Contact: the caller's number when that needs no escape.
func contactUser(number string) string {
	for i := range len(number) {
		if c := number[i]; (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') && c != '+' && c != '.' && c != '-' {
			return "bugle"
		}
	}
	return cmp.Or(limited(number, 64), "bugle")
}

// own are the header fields that the dialog needs as it has made them; a document cannot replace them.
var own = map[string]bool{"via": true, "v": true, "from": true, "f": true, "to": true, "t": true, "call-id": true, "i": true,
	"cseq": true, "contact": true, "m": true, "max-forwards": true, "content-length": true, "l": true, "content-type": true,
	"c": true, "route": true, "record-route": true, "require": true, "proxy-require": true, "supported": true, "k": true,
	"authorization": true, "proxy-authorization": true, "session-expires": true, "x": true, "min-se": true, "rseq": true,
	"rack": true, "content-encoding": true, "e": true, "allow": true, "replaces": true, "reason": true, "user-agent": true,
	"privacy": true}

// addCustom adds a header field of a document, unless its name is no token or is one of ours. Line ends in its value
// become spaces.
func addCustom(req *sip.Message, name, value string) {
	if name == "" || len(name) > 128 || len(value) > 2048 || own[strings.ToLower(name)] {
		return
	}
	for i := range len(name) {
		if c := name[i]; (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') && c != '-' && c != '_' && c != '.' {
			return
		}
	}
	req.Add(name, strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, value))
}
