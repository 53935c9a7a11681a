package sipua

import (
	"cmp"
	"net/url"
	"strings"

	"bugle/internal/call"
	"bugle/internal/sip"
)

// replaces is the value of a Replaces header (RFC 3891 §6.1), as the side writes it that is not to be replaced: its own
// tag is "from", and ours is "to".
type replaces struct {
	callID, toTag, fromTag string
	early                  bool // early-only
}

func parseReplaces(value string) (r replaces, ok bool) {
	id, params, _ := strings.Cut(value, ";")
	p := sip.Params(";" + params)
	r = replaces{callID: strings.TrimSpace(id), toTag: p.Value("to-tag"), fromTag: p.Value("from-tag"), early: p.Has("early-only")}
	return r, r.callID != "" && r.toTag != "" && r.fromTag != ""
}

// named finds the dialog that Replaces names among those of an account; another account's is as unknown as one that there
// never was. It must not be called with the lock of any leg held. answered tells whether it is more than an early dialog.
func (a *Agent) named(r replaces, account string) (d call.Dialog, answered bool) {
	l := a.find(r.callID, r.toTag)
	if l == nil || l.account != account || account == "" {
		return d, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == over || l.ended || l.sink == nil || !l.knows(r.fromTag) {
		return d, false
	}
	return call.Dialog{Leg: l, Call: l.sink}, l.state == accepted || l.state == confirmed
}

// attended reads the Replaces of a REFER, nil for none; one that names no dialog of the account is the zero Dialog.
func (a *Agent) attended(req *sip.Message, account string) *call.Dialog {
	address, err := referTo(req.Header("Refer-To"))
	if err != nil {
		return nil
	}
	for field := range strings.SplitSeq(address.URI.Headers, "&") {
		name, value, _ := strings.Cut(field, "=")
		if !strings.EqualFold(name, "Replaces") {
			continue
		}
		d := call.Dialog{}
		if plain, err := url.PathUnescape(value); err == nil {
			if r, ok := parseReplaces(plain); ok {
				d, _ = a.named(r, account)
			}
		}
		return &d
	}
	return nil
}

// replacedBy finds the leg whose place an INVITE with Replaces is to take (RFC 3891 §3), the zero Dialog for an INVITE
// without; when it is false the INVITE has been answered.
func (a *Agent) replacedBy(tx *sip.ServerTransaction, req *sip.Message, id identity) (d call.Dialog, ok bool) {
	if !req.Has("Replaces") { // the stack has seen to it that there is one at most
		return d, true
	}
	r, ok := parseReplaces(req.Header("Replaces"))
	if !ok {
		a.reply(tx, req, 400, "Malformed Replaces")
		return d, false
	}
	d, answered := a.named(r, id.account.ID)
	switch _, is := d.Call.(replacer); {
	case d.Leg == nil || !is:
		a.reply(tx, req, 481, "")
	case r.early && answered:
		a.reply(tx, req, 486, "")
	default:
		return d, true
	}
	return d, false
}

// replacer is a call whose legs can be replaced; a *call.Call is.
type replacer interface {
	Replace(old, by call.Leg, as call.Target, done func(status int))
}

// replace lets the leg of an INVITE take the place of another one. A panic there ends this leg only.
func (a *Agent) replace(l *leg, tx *sip.ServerTransaction, replaced call.Dialog, id identity) {
	defer l.crashed()
	device := &id.device
	as := call.Target{AccountID: id.account.ID, DeviceID: device.ID, UserID: device.OwnerID, Name: device.Name,
		Realm: id.account.Realm, Callee: call.Party{Name: cmp.Or(device.CallerID.InternalName, device.Name),
			Number: cmp.Or(device.CallerID.InternalNumber, device.SIP.Username)}}
	tx.OnCancel(l.cancelled)
	replaced.Call.(replacer).Replace(replaced.Leg, l, as, func(status int) {
		if status >= 300 {
			l.Reject(status, "")
		}
	})
}
