package sipua

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"bugle"
	"bugle/internal/sip"
)

// register registers with right credentials and returns the final response.
func (p *peer) register(status int, headers ...string) *sip.Message {
	p.t.Helper()
	uri := "sip:" + p.realm
	p.request("REGISTER", uri, headers, "")
	res := p.expect(401)
	p.request("REGISTER", uri, append([]string{authorization(p.t, res, "REGISTER", uri, p.user, "secret", 1)}, headers...), "")
	return p.expect(status)
}

func TestAPhoneRegistersAndIsFoundWhereItCameFrom(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("ann")
	res := p.register(200, "Contact: <sip:ann@10.9.9.9:5070;ob>;q=0.5;+sip.instance=\"<urn:uuid:1>\"", "Expires: 120",
		"User-Agent: test phone", "Path: <sip:edge.test;lr>", "Supported: path")
	contact := res.Header("Contact")
	if !strings.Contains(contact, "<sip:ann@10.9.9.9:5070;ob>") || !strings.Contains(contact, "expires=120") {
		t.Errorf("Contact of the 200: %s", contact)
	}
	if res.Header("Path") != "<sip:edge.test;lr>" || res.Header("Date") == "" {
		t.Errorf("Path or Date is missing:\n%s", res)
	}
	bindings := s.registrar.Locate("ann")
	if len(bindings) != 1 {
		t.Fatalf("bindings: %+v", bindings)
	}
	b := bindings[0]
	if b.Source != p.addr || b.AccountID != "acme" || b.Username != "ann" || b.Realm != "acme.test" || b.Transport != sip.UDP ||
		b.UserAgent != "test phone" || b.Q != 500 || len(b.Path) != 1 || b.CallID != p.callID || b.Instance != "<urn:uuid:1>" {
		t.Errorf("binding %+v", b)
	}
	p.register(200, "Contact: *", "Expires: 0")
	if n := s.registrar.Count(""); n != 0 {
		t.Errorf("%d bindings after *", n)
	}
}

func TestRegisterStatuses(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	for _, tt := range []struct {
		name    string
		user    string
		headers []string
		status  int
		has     string
	}{
		{"too brief", "ann", []string{"Expires: 30"}, 423, "Min-Expires: 60"},
		{"star with expires", "ann", []string{"Contact: *", "Expires: 60"}, 400, ""},
		{"malformed contact", "ann", []string{"Contact: <tel:1>"}, 400, ""},
		{"unknown extension", "ann", []string{"Require: foo"}, 0, "Unsupported: foo"},
		{"disabled", "off", nil, 403, ""},
		{"query", "bob", []string{"Contact: <sip:bob@127.0.0.1>"}, 200, "Supported: path"},
	} {
		p := s.peer(tt.user)
		var res *sip.Message
		if tt.status == 0 {
			p.request("REGISTER", "sip:acme.test", tt.headers, "")
			res = p.expect(420)
		} else {
			res = p.register(tt.status, tt.headers...)
		}
		if !strings.Contains(res.String(), tt.has) {
			t.Errorf("%s: no %q in\n%s", tt.name, tt.has, res)
		}
	}
}

func TestNoPhoneOfADisabledAccountIsServed(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p, gateway := s.peer("ann"), s.peer("whoever")
	p.register(200)
	s.devices.mu.Lock()
	s.devices.accounts[0].Enabled = false
	s.devices.devices = append(s.devices.devices, testDevice{"acme", bugle.Device{ID: "gateway", Enabled: true,
		SIP: bugle.DeviceSIP{Method: "ip", IP: "127.0.0.1", Username: "gateway"}}, ""})
	s.devices.mu.Unlock()
	p.register(403)
	gateway.request("INVITE", "sip:100@acme.test", nil, offerSDP)
	gateway.ack(gateway.expect(403), "sip:100@acme.test")
	select {
	case in := <-s.calls:
		t.Errorf("a call reached the call layer: %+v", in)
	default:
	}
}

func TestAnotherAccountsRealmIsRefused(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	s.devices.mu.Lock()
	s.devices.devices[0].device.SIP.Realm = "rival.test" // which was the account's once
	s.devices.mu.Unlock()
	p := s.peer("ann")
	p.request("REGISTER", "sip:acme.test", nil, "")
	res := p.expect(401)
	auth := authorization(t, res, "REGISTER", "sip:rival.test", "ann", "secret", 1)
	p.request("REGISTER", "sip:rival.test", []string{auth}, "")
	p.expect(403)

	p.fresh()
	p.request("INVITE", "sip:100@rival.test", nil, offerSDP)
	res = p.expect(401)
	p.ack(res, "sip:100@rival.test")
	p.request("INVITE", "sip:100@rival.test", []string{authorization(t, res, "INVITE", "sip:100@rival.test", "ann", "secret", 1)}, offerSDP)
	p.ack(p.expect(403), "sip:100@rival.test")
	select {
	case in := <-s.calls:
		t.Errorf("a call reached the call layer: %+v", in)
	default:
	}
	s.settled()
}

func TestAnAddressAsHostMeansTheDevicesAccount(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("ann")
	p.realm = "127.0.0.1"
	p.register(200)
	if b := s.registrar.Locate("ann"); len(b) != 1 || b[0].Realm != "acme.test" {
		t.Errorf("bindings %+v", b)
	}
	p.fresh()
	p.invite("411", nil, offerSDP)
	in, _ := s.incoming()
	if in.Account.ID != "acme" || in.Realm != "acme.test" || in.Dialed != "411" {
		t.Errorf("%+v", in)
	}
	in.Leg.Hangup("USER_BUSY")
	p.ack(p.expect(486), p.target)
}

func TestUnknownUsersGetTheSameAnswers(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	shape := func(m *sip.Message) string {
		var names []string
		for name, value := range m.All() {
			if name == "WWW-Authenticate" {
				value = value[strings.Index(value, "algorithm"):]
			} else {
				value = ""
			}
			names = append(names, name+value)
		}
		return fmt.Sprint(m.StatusCode(), m.Reason(), names)
	}
	for _, policy := range []string{"", DigestBoth} { // of the account
		s.devices.mu.Lock()
		s.devices.accounts[0].SIPDigest = policy
		s.devices.mu.Unlock()
		var shapes []string
		for _, user := range []string{"bob", "nobody"} {
			p := s.peer(user)
			p.request("REGISTER", "sip:acme.test", nil, "")
			first := p.expect(401)
			p.request("REGISTER", "sip:acme.test", []string{authorization(t, first, "REGISTER", "sip:acme.test", user, "wrong", 1)}, "")
			shapes = append(shapes, shape(first)+shape(p.expect(401)))
		}
		if shapes[0] != shapes[1] {
			t.Errorf("%q: they differ:\n%s\n%s", policy, shapes[0], shapes[1])
		}
	}
}

func TestTenWrongPasswordsCloseThePairAndNobodyElse(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("ann")
	p.request("REGISTER", "sip:acme.test", nil, "")
	res := p.expect(401)
	for i := range 10 {
		p.request("REGISTER", "sip:acme.test", []string{authorization(t, res, "REGISTER", "sip:acme.test", "ann", "wrong", 1)}, "")
		if i >= penaltyDelayed { // the answer is held back; nothing else is planned on this clock
			wait(t, "no answer is held back", func() bool { return len(s.clock.Pending()) == 1 })
			s.clock.Advance(penaltyDelay)
		}
		res = p.expect(401)
	}
	p.request("REGISTER", "sip:acme.test", []string{authorization(t, res, "REGISTER", "sip:acme.test", "ann", "secret", 1)}, "")
	p.expect(403)
	s.peer("bob").register(200) // the same address
	s.clock.Advance(penaltyRefused)
	s.peer("ann").register(200)
}

func TestChallengesAloneCloseNothing(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("ann")
	for range 30 {
		p.request("REGISTER", "sip:acme.test", nil, "")
		p.expect(401)
	}
	// Neither do responses to nonces that were not given to this address: they may be another's doing.
	for i := range 30 {
		p.request("REGISTER", "sip:acme.test", []string{fmt.Sprintf(`Authorization: Digest username="ann", realm="acme.test", nonce="%d",`+
			` uri="sip:acme.test", response="00000000000000000000000000000000"`, i)}, "")
		if res := p.expect(401); !strings.Contains(res.Header("WWW-Authenticate"), "stale=true") {
			t.Fatalf("a foreign nonce is not stale:\n%s", res)
		}
	}
	p.register(200)
}

func TestANonceServesManyRequestsAndNoReplay(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("ann")
	p.request("REGISTER", "sip:acme.test", nil, "")
	res := p.expect(401)
	first := authorization(t, res, "REGISTER", "sip:acme.test", "ann", "secret", 1)
	p.request("REGISTER", "sip:acme.test", []string{first}, "")
	p.expect(200)
	p.request("REGISTER", "sip:acme.test", []string{authorization(t, res, "REGISTER", "sip:acme.test", "ann", "secret", 2)}, "")
	p.expect(200)
	p.request("REGISTER", "sip:acme.test", []string{first}, "")
	if res := p.expect(401); !strings.Contains(res.Header("WWW-Authenticate"), "stale=true") {
		t.Errorf("a replay is answered\n%s", res)
	}
	s.clock.Advance(nonceLife)
	p.request("REGISTER", "sip:acme.test", []string{authorization(t, res, "REGISTER", "sip:acme.test", "ann", "secret", 3)}, "")
	if res := p.expect(401); !strings.Contains(res.Header("WWW-Authenticate"), "stale=true") {
		t.Errorf("an old nonce is answered\n%s", res)
	}
}

func TestCredentialsForOthersArePassedOver(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("ann")
	p.request("REGISTER", "sip:acme.test", nil, "")
	auth := authorization(t, p.expect(401), "REGISTER", "sip:acme.test", "ann", "secret", 1)
	p.request("REGISTER", "sip:acme.test", []string{"Authorization: Basic YTpi",
		`Authorization: Digest username="x", realm="proxy", nonce="n", uri="sip:acme.test", response="r"`, auth}, "")
	p.expect(200)
}

func TestDigestPolicies(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		server, account, user string
		want                  []string
	}{
		{"", "", "ann", []string{"MD5"}},
		{DigestBoth, "", "ann", []string{"SHA-256", "MD5"}},
		{DigestSHA256, "", "ann", []string{"SHA-256"}},
		{"", "", "sha", []string{"SHA-256"}},
		{"", DigestSHA256, "ann", []string{"SHA-256"}},
		{DigestSHA256, DigestBoth, "ann", []string{"SHA-256", "MD5"}},
		{DigestMD5, DigestBoth, "sha", []string{"SHA-256"}},
	} {
		s := startServer(t, func(o *Options) { o.Digest = tt.server })
		s.devices.mu.Lock()
		s.devices.accounts[0].SIPDigest = tt.account
		s.devices.mu.Unlock()
		p := s.peer(tt.user)
		p.request("REGISTER", "sip:acme.test", nil, "")
		res := p.expect(401)
		var got []string
		for value := range res.Headers("WWW-Authenticate") {
			_, rest, _ := strings.Cut(value, "algorithm=")
			algorithm, _, _ := strings.Cut(rest, ",")
			got = append(got, algorithm)
		}
		if fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%+v: offered %v", tt, got)
		}
		p.register(200)
		if tt.want[0] == "SHA-256" && len(tt.want) == 1 { // MD5 was not offered
			weak := challenge("acme.test", s.agent.nonces.issue("acme.test", p.addr.Addr()), "MD5", false)
			res.Set("WWW-Authenticate", weak)
			p.request("REGISTER", "sip:acme.test", []string{authorization(t, res, "REGISTER", "sip:acme.test", tt.user, "secret", 1)}, "")
			p.expect(401)
		}
	}
}

func TestALostDatabaseIs503(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("ann")
	p.request("REGISTER", "sip:acme.test", nil, "")
	res := p.expect(401)
	s.devices.mu.Lock()
	s.devices.fail = errors.New("no database")
	s.devices.mu.Unlock()
	p.request("REGISTER", "sip:acme.test", []string{authorization(t, res, "REGISTER", "sip:acme.test", "ann", "secret", 1)}, "")
	if res := p.expect(503); res.Header("Retry-After") == "" {
		t.Errorf("no Retry-After:\n%s", res)
	}
}

func TestMethodsThatAreNotServed(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("ann")
	for _, tt := range []struct {
		method string
		status int
	}{{"OPTIONS", 200}, {"SUBSCRIBE", 405}, {"PUBLISH", 405}, {"MESSAGE", 405}, {"REFER", 405}, {"BYE", 481}, {"INFO", 481},
		{"UPDATE", 481}, {"PRACK", 481}, {"NOTIFY", 481}, {"JUMP", 501}} {
		p.fresh()
		p.request(tt.method, "sip:100@acme.test", nil, "")
		res := p.expect(tt.status)
		if (tt.status == 200 || tt.status == 405 || tt.status == 501) && !strings.Contains(res.String(), "Allow: INVITE") {
			t.Errorf("%s: no Allow in\n%s", tt.method, res)
		}
	}
	p.fresh()
	p.to = "<sip:100@acme.test>;tag=none"
	for _, method := range []string{"INVITE", "BYE", "INFO", "UPDATE", "REFER"} {
		p.request(method, "sip:100@acme.test", nil, "")
		res := p.expect(481)
		if method == "INVITE" {
			p.ack(res, "sip:100@acme.test")
		}
	}
}
