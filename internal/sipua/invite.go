package sipua

import (
	"errors"
	"strings"

	"bugle"
	"bugle/internal/call"
	"bugle/internal/media"
	"bugle/internal/sip"
)

// invite takes an INVITE that begins a call. What can be refused is refused before the call layer hears of it.
func (a *Agent) invite(tx *sip.ServerTransaction, req *sip.Message) {
	if a.full() {
		a.unavailable(tx, req)
		return
	}
	ctx := &lookup{}
	defer ctx.end()
	id, ok := a.authenticate(ctx, tx, req)
	if !ok {
		return
	}
	uri, err := req.URI()
	if err != nil {
		a.reply(tx, req, 400, "Malformed Request-URI")
		return
	}
	if !a.ownRealm(ctx, tx, req, id, uri) {
		return
	}
	if contact, err := req.Contact(); err != nil || !isSIP(contact.URI) {
		a.reply(tx, req, 400, "Missing or Malformed Contact")
		return
	}
	replaced, ok := a.replacedBy(tx, req, id)
	if !ok {
		return
	}
	timer, least := a.inboundTimer(req)
	if least > 0 {
		a.reply(tx, req, 422, "", header{"Min-SE", itoa(least)})
		return
	}
	if !a.readableBody(tx, req) {
		return
	}
	if !takesSDP(req) {
		a.reply(tx, req, 406, "", header{"Warning", `399 bugle "An INVITE is answered with application/sdp, which Accept leaves out"`})
		return
	}
	l := a.newInbound(tx, req)
	l.uas.timer, l.realm, l.account = timer, strings.ToLower(id.account.Realm), id.account.ID
	if !l.offer(tx, req, id.device.Codecs) {
		return
	}
	if !a.admit(l) {
		l.stopMedia()
		a.unavailable(tx, req)
		return
	}
	l.log.Info("inbound call", "device", id.device.ID, "account", id.account.ID, "dialed", uri.User, "from", tx.Source().Remote)
	if replaced.Leg != nil {
		a.replace(l, tx, replaced, id)
		return
	}
	a.hand(l, tx, req, id, uri)
}

// hand gives the leg to the call layer. A panic there ends this leg only.
func (a *Agent) hand(l *leg, tx *sip.ServerTransaction, req *sip.Message, id identity, uri sip.URI) {
	defer l.crashed()
	caller := call.Party{}
	if from, err := req.From(); err == nil {
		caller = call.Party{Name: strings.Clone(from.Display), Number: strings.Clone(from.URI.User)}
	}
	sink := a.opts.Invites.HandleInvite(Incoming{Leg: l, Account: id.account, Device: id.device,
		Dialed: strings.Clone(uri.User), Realm: id.account.Realm, CallID: l.id, Caller: caller, Source: tx.Source().Remote})
	if sink == nil {
		l.Reject(503, "")
		return
	}
	l.Attach(sink)
	tx.OnCancel(l.cancelled)
}

// readableBody says whether a request's body is one that is understood here; when it is not the request has been answered
// 415 (RFC 3261 §8.2.3).
func (a *Agent) readableBody(tx *sip.ServerTransaction, req *sip.Message) bool {
	if len(req.Body()) == 0 {
		return true
	}
	encoding := req.Header("Content-Encoding")
	if encoding != "" && !strings.EqualFold(encoding, "identity") {
		a.reply(tx, req, 415, "", header{"Accept-Encoding", "identity"})
		return false
	}
	if kind := req.ContentType(); kind != "" && !strings.EqualFold(kind, "application/sdp") {
		a.reply(tx, req, 415, "", header{"Accept", "application/sdp"})
		return false
	}
	return true
}

// takesSDP says whether the Accept of an INVITE leaves room for our answer (RFC 3261 §20.1). Without one it does, and so
// does an empty one, which phones mean no harm with.
func takesSDP(req *sip.Message) bool {
	all := true
	for value := range req.Headers("Accept") {
		kind, _, _ := strings.Cut(value, ";")
		switch strings.ToLower(strings.TrimSpace(kind)) {
		case "application/sdp", "application/*", "*/*":
			return true
		case "":
		default:
			all = false
		}
	}
	return all
}

// newInbound makes the leg of an INVITE, not yet in the table.
func (a *Agent) newInbound(tx *sip.ServerTransaction, req *sip.Message) *leg {
	probe := sip.NewResponse(req, 180, "") // every response to one request has the same tag
	tag := strings.Clone(probe.ToTag())
	probe.Release()
	l := &leg{agent: a, id: strings.Clone(req.CallID()), tag: tag, inbound: true, state: incoming}
	l.log = a.opts.Log.With("call", l.id)
	l.dialog = dialogOfRequest(req, tag, tx.Source())
	l.contact = a.contactFor(tx.Source().Destination(), "")
	l.allows = allowOf(req)
	l.uas.tx, l.uas.req = tx, req
	l.uas.wants = req.ListHas("Require", "100rel")
	l.uas.can100rel = l.uas.wants || req.ListHas("Supported", "100rel")
	return l
}

// offer opens the party's media and judges the offer of its INVITE; when it is false the INVITE has been answered.
func (l *leg) offer(tx *sip.ServerTransaction, req *sip.Message, codecs []string) bool {
	a := l.agent
	source := tx.Source()
	session, err := a.opts.Media.NewSession(media.SessionOptions{Codecs: codecs,
		Signalling: source.Remote.Addr().Unmap(), Local: source.Local.Addr().Unmap(), Events: l, Label: l.id})
	if err != nil {
		l.log.Error("no media session", "error", err)
		a.unavailable(tx, req)
		return false
	}
	l.session = session
	if len(req.Body()) == 0 {
		return true
	}
	answer, err := session.Accept(req.Body())
	if err != nil {
		session.Close()
		a.refuseOffer(tx, req, err)
		return false
	}
	l.uas.answer = answer
	return true
}

// refuseOffer answers an offer that cannot be taken.
func (a *Agent) refuseOffer(tx *sip.ServerTransaction, req *sip.Message, err error) {
	status, reason := 488, ""
	switch bugle.KindOf(err) {
	case bugle.KindInvalid:
		status, reason = 400, "Malformed Session Description"
	case bugle.KindUnsupported:
	default:
		status = 500
	}
	var e *bugle.Error
	var warning []header
	if errors.As(err, &e) && e.Message != "" {
		warning = []header{{"Warning", `399 bugle "` + quotable(e.Message) + `"`}}
	}
	a.reply(tx, req, status, reason, warning...)
}

// contactFor is our Contact towards dst.
func (a *Agent) contactFor(dst sip.Destination, user string) string {
	local := a.stack.LocalAddr(dst)
	uri := sip.URI{Scheme: "sip", User: user, Host: local.Addr().Unmap().String(), Port: local.Port()}
	if strings.EqualFold(dst.Transport, sip.TCP) {
		uri.Params = ";transport=tcp"
	}
	return "<" + uri.String() + ">"
}

func allowOf(m *sip.Message) string {
	var all strings.Builder
	for method := range m.Headers("Allow") {
		all.WriteString(strings.ToUpper(method))
		all.WriteByte(' ')
	}
	return all.String()
}
