package sipua

import (
	"strconv"
	"strings"

	"bugle/internal/call"
	"bugle/internal/sip"
)

// referral is the implicit subscription that a REFER makes (RFC 3515 §2.4.4). One NOTIFY is under way at a time, and the
// newest news wait for it, so that they arrive in order.
type referral struct {
	event   string
	news    int // status to be told next, 0 for none
	busy    bool
	done    bool // a final status has been told or is about to be
	failing bool
}

// referred is REFER: the party wants the one it talks to, to talk to another (RFC 5589 §6), or, with Replaces, to the one
// that it talks to in another call of this server (§7). Methods other than INVITE are refused.
func (l *leg) referred(tx *sip.ServerTransaction, req *sip.Message, attended *call.Dialog) {
	if l.state != confirmed || l.ended {
		l.agent.reply(tx, req, 481, "")
		return
	}
	var to string
	n := 0
	for value := range req.Headers("Refer-To") {
		to = value
		n++
	}
	address, err := referTo(to)
	if n != 1 || err != nil { // RFC 3515 §2.4.2
		l.agent.reply(tx, req, 400, "One Refer-To")
		return
	}
	uri := address.URI
	if method := uri.Params.Value("method"); method != "" && !strings.EqualFold(method, "INVITE") {
		l.agent.reply(tx, req, 501, "Only INVITE")
		return
	}
	target := l.transferTarget(uri)
	if attended != nil {
		target = "the other call of " + strings.Clone(uri.User)
	}
	if target == "" {
		l.agent.reply(tx, req, 400, "Nobody To Transfer To")
		return
	}
	if l.refer != nil {
		l.agent.reply(tx, req, 491, "")
		return
	}
	seq, _ := req.CSeq()
	r := &referral{event: "refer"}
	if l.refers++; l.refers > 1 { // RFC 3515 §2.4.6
		r.event += ";id=" + strconv.FormatUint(uint64(seq), 10)
	}
	silent := strings.EqualFold(req.Header("Refer-Sub"), "false") // RFC 4488
	res := sip.NewResponse(req, 202, "")
	res.Add("Contact", l.contact)
	if silent {
		res.Add("Refer-Sub", "false")
	} else {
		l.refer = r
	}
	l.agent.send(tx, res)
	if !silent {
		l.notify(r, 100)
	}
	l.post(call.Transfer{Target: target, Attended: attended, Progress: func(status int) { l.progress(r, status) }})
}

// referTo reads a Refer-To. Phones send a URI with headers without its angle brackets; those headers are still the URI's,
// though RFC 3261 §20 forbids that form.
func referTo(value string) (sip.Address, error) {
	if strings.Contains(value, "?") && !strings.Contains(value, "<") {
		value = "<" + strings.TrimSpace(value) + ">"
	}
	return sip.ParseAddress(value)
}

// transferTarget is what the call layer dials: the user part of a URI of the party's own realm or of an address, the
// whole URI of any other host.
func (l *leg) transferTarget(uri sip.URI) string {
	if uri.Scheme == "tel" || uri.User != "" && (isAddress(uri.Host) || strings.EqualFold(uri.Host, l.realm)) {
		return strings.Clone(uri.User)
	}
	if uri.Scheme != "sip" || uri.User == "" {
		return ""
	}
	uri.Headers = ""
	uri.Params = uri.Params.Without("method")
	return strings.Clone(uri.String())
}

func (l *leg) progress(r *referral, status int) {
	defer l.crashed()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refer == r && l.state == confirmed && status >= 100 && status < 700 {
		l.notify(r, status)
	}
}

// notify tells the party how its transfer goes. It must be called with l.mu held.
func (l *leg) notify(r *referral, status int) {
	if r.done || r.failing {
		return
	}
	if r.busy {
		r.news = max(r.news, status)
		return
	}
	r.busy = true
	m := l.dialog.request(sip.NOTIFY)
	m.Add("Contact", l.contact)
	m.Add("Event", r.event)
	if status >= 200 {
		r.done = true
		m.Add("Subscription-State", "terminated;reason=noresource")
	} else {
		m.Add("Subscription-State", "active;expires=60")
	}
	m.SetBody("message/sipfrag;version=2.0", []byte("SIP/2.0 "+itoa(status)+" "+sip.ReasonPhrase(status)+"\r\n"))
	l.send(m, l.dialog.dst, func(answer int, _ *sip.Message) { l.notified(r, answer) })
}

func (l *leg) notified(r *referral, answer int) {
	r.busy = false
	if answer >= 300 { // the party does not want to know
		r.failing = true
	}
	if r.done || r.failing {
		if l.refer == r {
			l.refer = nil
		}
	} else if news := r.news; news != 0 {
		r.news = 0
		l.notify(r, news)
	}
	if (r.done || r.failing) && l.byeDue != "" && l.accept == nil {
		l.bye(l.byeDue)
	}
}
