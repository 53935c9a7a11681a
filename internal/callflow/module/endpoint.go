package module

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"bugle"
	"bugle/internal/call"
	"bugle/internal/callflow"
	"bugle/internal/media"
	"bugle/internal/registrar"
)

// wish is how a node, or a member of a ring group, wants phones to be rung.
type wish struct {
	timeout, delay time.Duration
	callSelf       bool
	staticInvite   string
	anonymous      bool
	headers        map[string]string
}

func wishOf(data bugle.Fields) wish {
	w := wish{timeout: seconds(data, "timeout", 20), delay: seconds(data, "delay", 0),
		callSelf: data.Bool("can_call_self", false), staticInvite: data.String("static_invite"),
		anonymous: data.Bool("suppress_clid", false)}
	headers := data.Object("custom_sip_headers")
	if _, ok := headers["out"]; ok {
		w.headers = headers.StringMap("out")
	} else {
		w.headers = data.StringMap("custom_sip_headers")
	}
	return w
}

const longestRing = 6 * 60 * 60 // seconds

func seconds(data bugle.Fields, key string, otherwise int) time.Duration {
	return time.Duration(min(max(data.Int(key, otherwise), 0), longestRing)) * time.Second
}

// deviceEndpoint is the endpoint of a device by id, false when it may not be rung; the trail says why.
func (m *modules) deviceEndpoint(ctx context.Context, step *callflow.Step, id string, w wish) (call.Endpoint, bool) {
	device, err := m.Documents.Device(ctx, step.Account.ID, id)
	if err != nil {
		step.Call.Note("not rung", "device "+id+": no such device")
		return call.Endpoint{}, false
	}
	var owner bugle.User
	if device.OwnerID != "" {
		owner, err = m.Documents.User(ctx, step.Account.ID, device.OwnerID)
		if err != nil {
			owner = bugle.User{Enabled: true} // an owner who does not exist has no say
		}
	} else {
		owner.Enabled = true
	}
	return m.endpoint(step, &device, &owner, w)
}

// userEndpoints are the endpoints of a user's devices that may be rung.
func (m *modules) userEndpoints(ctx context.Context, step *callflow.Step, id string, w wish) []call.Endpoint {
	user, err := m.Documents.User(ctx, step.Account.ID, id)
	switch {
	case err != nil:
		step.Call.Note("not rung", "user "+id+": no such user")
		return nil
	case id == step.UserID && !w.callSelf:
		step.Call.Note("not rung", user.DisplayName()+": calls himself")
		return nil
	}
	devices, err := m.Documents.DevicesOf(ctx, step.Account.ID, id)
	if err != nil || len(devices) == 0 {
		step.Call.Note("not rung", user.DisplayName()+": has no device")
		return nil
	}
	var endpoints []call.Endpoint
	for i := range devices {
		if e, ok := m.endpoint(step, &devices[i], &user, w); ok {
			endpoints = append(endpoints, e)
		}
	}
	return endpoints
}

// endpoint is the endpoint of a device, false when it may not be rung. A device that is not registered has no targets.
func (m *modules) endpoint(step *callflow.Step, d *bugle.Device, owner *bugle.User, w wish) (call.Endpoint, bool) {
	if why := refusal(step, d, owner, w); why != "" {
		step.Call.Note("not rung", d.Name+": "+why)
		return call.Endpoint{}, false
	}
	e := call.Endpoint{Name: d.Name, Delay: w.delay, Timeout: w.timeout}
	t := call.Target{AccountID: step.Account.ID, DeviceID: d.ID, UserID: d.OwnerID, Name: d.Name, Codecs: d.Codecs,
		Realm: cmp.Or(d.SIP.Realm, step.Account.Realm, step.Realm), Caller: step.Caller,
		Callee: cmp.Or(step.Callee, callflow.InternalParty(&step.Account, d, owner))}
	t.Headers = headers(step, d, w, t.Realm)
	if w.anonymous {
		t.Caller = call.Party{Name: "Anonymous", Number: "anonymous"} // RFC 3323 §4.1.1
	}
	switch {
	case d.SIP.InviteFormat == "route" && d.SIP.Route != "":
		t.URI = sipURI(d.SIP.Route)
		e.Targets = []call.Target{t}
	case d.SIP.Method == "ip" && d.SIP.IP != "":
		t.URI = "sip:" + escapeUser(inviteUser(step, d, w)) + "@" + hostOf(d.SIP.IP)
		e.Targets = []call.Target{t}
	default:
		for _, b := range m.Locator.Locate(d.ID) {
			e.Targets = append(e.Targets, registered(step, t, d, &b, w))
		}
	}
	return e, true
}

// refusal says why a device may not be rung, "" when it may.
func refusal(step *callflow.Step, d *bugle.Device, owner *bugle.User, w wish) string {
	switch {
	case !d.Enabled:
		return "disabled"
	case !owner.Enabled:
		return "its owner is disabled"
	case d.DoNotDisturb, owner.DoNotDisturb:
		return "do not disturb"
	case d.ID == step.DeviceID && !w.callSelf:
		return "calls itself"
	}
	return ""
}

// registered sends t to where the device's authenticated REGISTER came from.
func registered(step *callflow.Step, t call.Target, d *bugle.Device, b *registrar.Binding, w wish) call.Target {
	t.URI, t.Hop, t.Transport, t.Route = b.Contact, b.Source, b.Transport, b.Path
	if user := inviteUser(step, d, w); d.SIP.InviteFormat != "contact" && d.SIP.InviteFormat != "" || w.staticInvite != "" {
		t.URI = "sip:" + escapeUser(user) + "@" + t.Realm
		if strings.HasPrefix(w.staticInvite, "sip:") {
			t.URI = w.staticInvite
		}
	}
	return t
}

// inviteUser is the user part of a Request-URI by the device's invite_format.
func inviteUser(step *callflow.Step, d *bugle.Device, w wish) string {
	number := strings.TrimPrefix(step.Number, "+")
	switch {
	case w.staticInvite != "":
		return w.staticInvite
	case d.SIP.InviteFormat == "e164":
		return step.Number
	case d.SIP.InviteFormat == "strip_plus":
		return number
	case d.SIP.InviteFormat == "npan" && len(number) == 11 && number[0] == '1':
		return number[1:]
	case d.SIP.InviteFormat == "npan", d.SIP.InviteFormat == "1npan":
		return number
	}
	return cmp.Or(d.SIP.Username, number)
}

// headers are the custom header fields of an INVITE: the device's, over them the node's, and over those what a call that
// bugle starts itself brings along.
func headers(step *callflow.Step, d *bugle.Device, w wish, realm string) map[string]string {
	auto := step.AutoAnswer && d.SIP.InviteFormat != "route" // which leads away from the account's phones
	if len(d.SIP.Headers)+len(w.headers)+len(step.Headers) == 0 && !auto {
		return nil
	}
	all := make(map[string]string, len(d.SIP.Headers)+len(w.headers)+len(step.Headers)+2)
	if auto {
		// What phones obey: Snom, Grandstream, Cisco and AudioCodes the first, Yealink, Mitel, Unify and Gigaset the second,
		// Polycom the second once it is told to.
		all["Call-Info"] = "<sip:" + realm + ">;answer-after=0"
		all["Alert-Info"] = "<http://" + realm + ">;info=alert-autoanswer;delay=0"
	}
	maps.Copy(all, d.SIP.Headers)
	maps.Copy(all, w.headers)
	maps.Copy(all, step.Headers)
	return all
}

func sipURI(route string) string {
	if strings.HasPrefix(route, "sip:") || strings.HasPrefix(route, "sips:") {
		return route
	}
	return "sip:" + route
}

// hostOf writes an address as the host of a URI: brackets around IPv6.
func hostOf(ip string) string {
	if addr, err := netip.ParseAddr(ip); err == nil && addr.Is6() {
		return "[" + ip + "]"
	}
	return ip
}

// escapeUser escapes what RFC 3261 §25.1 does not allow in the user part of a URI.
func escapeUser(user string) string {
	const allowed = "-_.!~*'()&=+$,;?/"
	plain := true
	for i := range len(user) {
		plain = plain && (alphanumeric(user[i]) || strings.IndexByte(allowed, user[i]) >= 0)
	}
	if plain {
		return user
	}
	var b strings.Builder
	for i := range len(user) {
		c := user[i]
		if alphanumeric(c) || strings.IndexByte(allowed, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteString(strings.ToUpper(strconv.FormatUint(uint64(c)+0x100, 16)[1:]))
	}
	return b.String()
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// ring dials endpoints and says what follows: nothing once somebody has answered; else the child named by the cause of
// the last leg that failed, else the one named by its SIP status ("sip:486"), else "_".
func (m *modules) ring(ctx context.Context, step *callflow.Step, endpoints []call.Endpoint, o call.DialOptions) callflow.Next {
	if o.Ringback == nil {
		o.Ringback = m.ringback(ctx, step)
	}
	o.IgnoreEarlyMedia = o.IgnoreEarlyMedia || step.IgnoreEarlyMedia
	result, err := step.Call.Dial(ctx, endpoints, o)
	if err != nil || result.Answered {
		return callflow.Stop{}
	}
	return unanswered(step, result)
}

// ringback is what the callflow lets the caller hear while somebody is rung, nil for the ordinary ringing.
func (m *modules) ringback(ctx context.Context, step *callflow.Step) []*media.Clip {
	reference := step.Ringback.Early
	if step.Ringback.Transfer != reference && step.Call.Answered(ctx) {
		reference = step.Ringback.Transfer
	}
	if reference == "" {
		return nil
	}
	return m.resolve(ctx, step, reference)
}

func unanswered(step *callflow.Step, result call.DialResult) callflow.Next {
	if _, ok := step.Node.Children[string(result.Cause)]; ok {
		return callflow.Continue(string(result.Cause))
	}
	if key := "sip:" + strconv.Itoa(result.Status); result.Status != 0 {
		if _, ok := step.Node.Children[key]; ok {
			return callflow.Continue(key)
		}
	}
	return callflow.Continue("_")
}
