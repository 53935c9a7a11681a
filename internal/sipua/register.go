package sipua

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"bugle"
	"bugle/internal/registrar"
	"bugle/internal/sip"
)

// register carries out a REGISTER (RFC 3261 §10.3). The 200 goes out when the registrar's log has the change.
func (a *Agent) register(tx *sip.ServerTransaction, req *sip.Message) {
	ctx := &lookup{}
	defer ctx.end()
	for option := range req.Headers("Require") {
		if !strings.EqualFold(option, "path") {
			a.reply(tx, req, 420, "", header{"Unsupported", option})
			return
		}
	}
	id, ok := a.authenticate(ctx, tx, req)
	if !ok {
		return
	}
	to, err := req.To()
	uri, uriErr := req.URI()
	if err != nil || uriErr != nil {
		a.reply(tx, req, 400, "")
		return
	}
	if !a.ownRealm(ctx, tx, req, id, to.URI) || !a.ownRealm(ctx, tx, req, id, uri) {
		return
	}
	r, problem := registration(req, id)
	if problem != "" {
		a.reply(tx, req, 400, problem)
		return
	}
	source := tx.Source()
	r.Transport, r.Source, r.Local = strings.ToLower(source.Transport), source.Remote, source.Local
	a.opts.Registrar.Register(r, func(bindings []registrar.Binding, err error) {
		a.registered(tx, req, bindings, err)
	})
}

// registration reads a REGISTER; the problem is the reason phrase of a 400. What is kept longer than the message is copied.
func registration(req *sip.Message, id identity) (registrar.Request, string) {
	seq, _ := req.CSeq()
	r := registrar.Request{AccountID: id.account.ID, DeviceID: id.device.ID, OwnerID: id.device.OwnerID,
		Username: id.device.SIP.Username, Realm: id.account.Realm, CallID: strings.Clone(req.CallID()), CSeq: seq,
		Expires: -1, DefaultExpires: id.device.SIP.Expires, UserAgent: strings.Clone(limited(req.Header("User-Agent"), 200))}
	if id.device.SIP.Realm != "" {
		r.Realm = id.device.SIP.Realm
	}
	// RFC 3261 §20.19: a malformed value counts as 3600.
	if seconds, ok := req.Expires(); ok {
		r.Expires = int(min(seconds, math.MaxInt32))
	} else if req.Has("Expires") {
		r.Expires = 3600
	}
	for path := range req.Headers("Path") {
		if address, err := sip.ParseAddress(path); err != nil || !isSIP(address.URI) {
			return r, "Malformed Path"
		}
		r.Path = append(r.Path, strings.Clone(path))
	}
	for value := range req.Headers("Contact") {
		if value == "*" {
			r.RemoveAll = true
			continue
		}
		address, err := sip.ParseAddress(value)
		if err != nil || !isSIP(address.URI) {
			return r, "Malformed Contact"
		}
		r.Contacts = append(r.Contacts, contactOf(address))
	}
	return r, ""
}

func contactOf(address sip.Address) registrar.Contact {
	address.URI.Headers = "" // RFC 3261 §19.1.1: not allowed in a Contact of a REGISTER's binding
	c := registrar.Contact{URI: address.URI.String(), Instance: strings.Clone(limited(address.Params.Value("+sip.instance"), 200)),
		Q: 1000, Expires: -1}
	if text, ok := address.Params.Get("expires"); ok {
		if seconds, ok := sip.Seconds(text); ok {
			c.Expires = int(min(seconds, math.MaxInt32))
		} else {
			c.Expires = 3600
		}
	}
	if q, err := strconv.ParseFloat(address.Params.Value("q"), 64); err == nil && q >= 0 && q <= 1 {
		c.Q = int(math.Round(q * 1000))
	}
	return c
}

// registered answers a REGISTER when the registrar has done with it.
func (a *Agent) registered(tx *sip.ServerTransaction, req *sip.Message, bindings []registrar.Binding, err error) {
	var brief *registrar.IntervalTooBrief
	var old *registrar.OutOfOrder
	switch {
	case err == nil:
	case errors.As(err, &brief):
		a.reply(tx, req, 423, "", header{"Min-Expires", itoa(brief.Min)})
		return
	case errors.As(err, &old):
		a.reply(tx, req, 500, "CSeq Out Of Order")
		return
	case bugle.KindOf(err) == bugle.KindLimited:
		a.reply(tx, req, 403, "Too Many Contacts")
		return
	case bugle.KindOf(err) == bugle.KindInvalid:
		a.reply(tx, req, 400, "Malformed Contact")
		return
	default:
		a.unavailable(tx, req)
		return
	}
	now := a.opts.Clock.Now()
	headers := make([]header, 0, len(bindings)+3)
	for i := range bindings {
		b := &bindings[i]
		left := max(1, int(math.Ceil(b.Expires.Sub(now).Seconds())))
		value := "<" + b.Contact + ">;expires=" + itoa(left)
		if b.Q < 1000 {
			value += ";q=" + strconv.FormatFloat(float64(b.Q)/1000, 'f', -1, 64)
		}
		if b.Instance != "" {
			value += `;+sip.instance="` + quotable(b.Instance) + `"`
		}
		headers = append(headers, header{"Contact", value})
	}
	for path := range req.Headers("Path") { // RFC 3327 §5.3
		headers = append(headers, header{"Path", path})
	}
	headers = append(headers, header{"Date", now.UTC().Format(time.RFC1123[:len(time.RFC1123)-3] + "GMT")},
		header{"Supported", "path"})
	a.reply(tx, req, 200, "", headers...)
}

func isSIP(u sip.URI) bool { return u.Scheme == "sip" || u.Scheme == "sips" }

func limited(s string, most int) string { return s[:min(len(s), most)] }
