package clicktocall

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"bugle"
	"bugle/internal/callflow"
	"bugle/internal/callflow/callflowtest"
)

func TestParseContact(t *testing.T) {
	t.Parallel()
	account := bugle.Account{Realm: "acme.example.com"}
	for text, want := range map[string]Contact{
		"1001":                      {Number: "1001"},
		"+14158867900":              {Number: "+14158867900"},
		" (415) 886-79.00\t":        {Number: "4158867900"},
		"*97":                       {Number: "*97"},
		"tel:+1-415-886-7900":       {Number: "+14158867900"},
		"TEL:1001":                  {Number: "1001"},
		"sip:1001@acme.example.com": {Number: "1001"},
		"SIP:bob@ACME.example.com.": {Number: "bob"},
		"sip:%2b1415@acme.example.com:5070;transport=TCP": {Number: "+1415"},
		"sip:911@Acme.Example.Com":                        {Number: "911"},
		"sip:ann@Example.org":                             {URI: "sip:ann@example.org", host: "example.org"},
		"sips:ann@example.org:5061;transport=tls":         {URI: "sips:ann@example.org:5061;transport=tls", host: "example.org"},
		"sip:ann%40x@example.org":                         {},
		"sip:ann@127.0.0.1":                               {URI: "sip:ann@127.0.0.1", host: "127.0.0.1"},
		"sip:ann@[::1]:5060":                              {URI: "sip:ann@[::1]:5060", host: "::1"},
		"":                                                {}, " \t": {}, "+": {}, "abc": {}, "1001x": {}, "++1": {}, "1+1": {}, "+123456789012345678901": {},
		"%2B14158867900":    {}, // decoded once, not twice
		"1001\r\nX-Evil: 1": {}, "1001\x00": {}, "１００１": {}, "sip:ann@example.org\r\nX: y": {},
		"sip:example.org": {}, "sip:@example.org": {}, "sip:ann@": {}, "sip:ann@exa mple.org": {},
		"sip:ann@example.org?Subject=x": {}, "sip:ann@example.org;lr": {}, "sip:ann@example.org;transport=tls;x": {},
		"sip:ann:pw@example.org": {}, "sip:ann@example.org:0": {}, "sip:ann@example.org:99999": {}, "sip:<ann>@example.org": {},
		"sip:a%0d%0ab@example.org": {}, "sip:a%zz@example.org": {}, "sip:ann@[fe80::1%25eth0]": {}, "sip:ann@-x": {},
		"http://example.org": {}, strings.Repeat("1", 10_000): {}, "sip:" + strings.Repeat("a", 100) + "@example.org": {},
	} {
		got, refusal := ParseContact(&account, text)
		if want == (Contact{}) {
			if refusal == nil || got != want || refusal.Message == "" || (refusal.Reason == ContactRequired) != (strings.TrimSpace(text) == "") {
				t.Errorf("%.80q was taken: %+v, %v", text, got, refusal)
			}
			continue
		}
		if refusal != nil || got != want {
			t.Errorf("%q is %+v, %v; want %+v", text, got, refusal, want)
		}
	}
}

func FuzzParseContact(f *testing.F) {
	f.Add("sip:%2b1@acme.example.com;transport=udp")
	account := bugle.Account{Realm: "acme.example.com"}
	f.Fuzz(func(t *testing.T, text string) {
		c, refusal := ParseContact(&account, text)
		if refusal == nil && (c.Number == "") == (c.URI == "") {
			t.Errorf("%q is %+v", text, c)
		}
		for _, r := range c.Number + c.URI {
			if r <= ' ' || r > '~' || strings.ContainsRune(`<>"?\`, r) {
				t.Errorf("%q lets %q into a request: %+v", text, r, c)
			}
		}
	})
}

// house is a dial plan.
func house(t *testing.T) (*callflow.Engine, *callflowtest.Documents) {
	t.Helper()
	docs := &callflowtest.Documents{Accounts: map[string]bugle.Account{}, Callflows: map[string]bugle.Callflow{
		"main":     {ID: "main", Numbers: []string{"1001", "bob", "*97", "+493012345678", "911"}},
		"outside":  {ID: "outside", Patterns: []string{`^9(\d+)$`, `^2\d\d$`}},
		"no_match": {ID: "no_match", Numbers: []string{"no_match"}}}}
	return callflow.New(callflow.Options{Documents: docs}), docs
}

type guard []string

func (g guard) Check(addr netip.Addr) error {
	for _, inside := range g {
		if netip.MustParsePrefix(inside).Contains(addr) {
			return errors.New("inside")
		}
	}
	return nil
}

func TestPermit(t *testing.T) {
	t.Parallel()
	engine, _ := house(t)
	s := &Service{o: Options{DialPlan: engine, Egress: guard{"127.0.0.0/8", "10.0.0.0/8", "169.254.0.0/16"}}}
	account := bugle.Account{ID: callflowtest.AccountID, Realm: "acme.example.com", DialPlan: map[string]bugle.DialRule{`^8(\d+)$`: {Prefix: "011"}}}
	evil := strings.Repeat("(a+)+", 20) + "$"
	for _, c := range []struct {
		contact   string
		whitelist []string
		private   Reason // "" for permitted, when a token is needed
		public    Reason
	}{
		{"1001", nil, "", ""},
		{"sip:bob@acme.example.com", nil, "", ""},
		{"*97", nil, "", ReasonExtension},
		{"205", nil, "", ReasonExtension}, // of a pattern, which may lead outside
		{"1002", nil, "", ReasonExtension},
		{"4158867900", nil, "", ReasonExtension},
		{"4158867900", []string{`\+1415\d{7}`}, "", ""},
		{"4158867900", []string{`^\+1415`}, "", ReasonWhitelist}, // a public endpoint wants the whole number matched
		{"4158867900", []string{`886`, `x`}, "", ReasonWhitelist},
		{"4158867900", []string{`415`, `\+1415\d*`}, "", ""},
		{"4158867900", []string{`2\d+`}, ReasonWhitelist, ReasonWhitelist},
		{"4158867900", []string{`\+1415|\+1415\d{7}`}, "", ""}, // the longer of two ways to match
		{"4158867900", []string{`\+1415\d{7}|x`, `(`}, "", ""}, // what does not compile matches nothing
		{"4158867900", []string{`(`}, ReasonWhitelist, ReasonWhitelist},
		{"1001", []string{`\+1.*`}, ReasonWhitelist, ReasonWhitelist}, // a list is a list, also for extensions
		{"911", nil, ReasonEmergency, ReasonEmergency},
		{"911", []string{`1`}, ReasonEmergency, ReasonWhitelist},
		{"911", []string{`911`}, "", ""},
		{"+911", nil, ReasonEmergency, ReasonEmergency},
		{"9911", nil, ReasonEmergency, ReasonEmergency}, // through a pattern
		{"sip:911@acme.example.com", nil, ReasonEmergency, ReasonEmergency},
		{"19005551234", nil, ReasonPremium, ReasonPremium},
		{"+442071234567", nil, ReasonAbroad, ReasonAbroad},
		{"+442071234567", []string{`\+44`}, ReasonAbroad, ReasonWhitelist},
		{"+442071234567", []string{`\+44\d+`}, "", ""},
		{"011442071234567", nil, ReasonAbroad, ReasonAbroad},
		{"8442071234567", nil, ReasonAbroad, ReasonAbroad}, // the dial plan makes it so
		{"18765551234", nil, ReasonAbroad, ReasonAbroad},
		{"+493012345678", nil, "", ""}, // abroad, but the account's own
		{"sip:ann@example.org", nil, ReasonWhitelist, ReasonWhitelist},
		{"sip:ann@example.org", []string{`example\.org`}, ReasonWhitelist, ReasonWhitelist},
		{"sip:ann@example.org", []string{`sip:.*@example\.org`}, "", ""},
		{"sip:ann@127.0.0.1", []string{`sip:.*`}, ReasonAddress, ReasonAddress},
		{"sip:ann@127.0.0.1:9", nil, ReasonWhitelist, ReasonWhitelist},
		{"sip:ann@localhost.", []string{`sip:.*`}, ReasonAddress, ReasonAddress},
		{"sip:ann@169.254.169.254", []string{`.*`}, ReasonAddress, ReasonAddress},
		{"1001", []string{evil}, ReasonWhitelist, ReasonWhitelist},
	} {
		for _, required := range []bool{true, false} {
			want := c.private
			if !required {
				want = c.public
			}
			endpoint := bugle.ClickToCall{AuthRequired: required, Whitelist: c.whitelist}
			contact, refusal := ParseContact(&account, c.contact)
			if refusal != nil {
				t.Fatal(refusal)
			}
			_, err := s.permit(t.Context(), &account, &endpoint, &contact, !required)
			var got Reason
			if errors.As(err, &refusal) {
				got = refusal.Reason
			} else if err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("%s, list %.60q, token needed %t: %q, want %q", c.contact, c.whitelist, required, got, want)
			}
		}
	}
}

// TestPermitVouched: with a token a public endpoint without a whitelist connects as published; its whitelist is as strict.
func TestPermitVouched(t *testing.T) {
	t.Parallel()
	engine, _ := house(t)
	s := &Service{o: Options{DialPlan: engine}}
	account, endpoint := bugle.Account{ID: callflowtest.AccountID}, bugle.ClickToCall{}
	if got, err := s.permit(t.Context(), &account, &endpoint, &Contact{Number: "4158867900"}, false); err != nil || got != "+14158867900" {
		t.Error(got, err)
	}
	for _, whitelist := range [][]string{{"415"}, {"+1"}} {
		endpoint.Whitelist = whitelist
		if _, err := s.permit(t.Context(), &account, &endpoint, &Contact{Number: "4158867900"}, false); err == nil {
			t.Errorf("%q lets it pass", whitelist)
		}
	}
}

// TestPermitUnread: when nobody can tell where a number leads, it is not called, and it is not the caller's fault.
func TestPermitUnread(t *testing.T) {
	t.Parallel()
	engine, docs := house(t)
	docs.With(func(d *callflowtest.Documents) { d.Fail = true })
	s := &Service{o: Options{DialPlan: engine}}
	_, err := s.permit(context.Background(), &bugle.Account{ID: callflowtest.AccountID}, &bugle.ClickToCall{}, &Contact{Number: "1001"}, false)
	var refusal *Refusal
	if err == nil || errors.As(err, &refusal) || bugle.KindOf(err) != bugle.KindUnavailable {
		t.Error(err)
	}
}

func TestQuietHours(t *testing.T) {
	t.Parallel()
	night, day := &bugle.QuietHours{From: "22:00", To: "07:30"}, &bugle.QuietHours{From: "12:00", To: "13:00", Timezone: "Europe/Berlin"}
	lapse := &bugle.QuietHours{From: "22:00", To: "02:30", Timezone: "Europe/Berlin"} // 02:30 does not exist on 29 March 2026
	for _, c := range []struct {
		q         *bugle.QuietHours
		zone      string
		now, want string // "" for not quiet
	}{
		{night, "", "2026-11-21T22:00:00Z", "2026-11-22T07:30:00Z"},
		{night, "", "2026-11-21T21:59:59Z", ""},
		{night, "", "2026-11-22T07:29:59Z", "2026-11-22T07:30:00Z"},
		{night, "", "2026-11-22T07:30:00Z", ""},
		{night, "America/New_York", "2026-11-22T03:00:00Z", "2026-11-22T12:30:00Z"},
		{night, "America/New_York", "2026-11-22T02:59:59Z", ""},
		{night, "nowhere", "2026-11-21T23:00:00Z", "2026-11-22T07:30:00Z"},
		{day, "America/New_York", "2026-11-21T11:30:00Z", "2026-11-21T12:00:00Z"},
		{day, "", "2026-11-21T12:00:00Z", ""},
		{day, "", "2026-07-21T10:30:00Z", "2026-07-21T11:00:00Z"},
		{lapse, "", "2026-03-28T23:00:00Z", "2026-03-29T01:30:00Z"},
		{nil, "", "2026-11-21T23:00:00Z", ""},
		{&bugle.QuietHours{From: "x", To: "07:00"}, "", "2026-11-21T23:00:00Z", ""},
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if until := quietUntil(&bugle.Account{Timezone: c.zone}, c.q, now); !until.IsZero() {
			got = until.Format(time.RFC3339)
		}
		if got != c.want {
			t.Errorf("%+v in %q at %s: until %q, want %q", c.q, c.zone, c.now, got, c.want)
		}
	}
	for field, q := range map[string]bugle.QuietHours{
		"":         {From: "22:00", To: "07:00", Timezone: "Europe/Berlin"},
		"from":     {From: "24:00", To: "07:00"},
		"to":       {From: "22:00", To: "7:00"},
		"timezone": {From: "22:00", To: "07:00", Timezone: "Mars/Olympus"},
	} {
		if got, message := CheckQuietHours(q); got != field || (message == "") != (field == "") {
			t.Errorf("%+v: %q, %q", q, got, message)
		}
	}
	for _, q := range []bugle.QuietHours{{}, {From: "07:00", To: "07:00"}, {From: "07:60", To: "08:00"}, {From: "+7:00", To: "08:00"},
		{From: "07:0a", To: "08:00"}, {From: "22:00", To: "07:00", Timezone: "Local"}, {From: "22:00", To: "07:00", Timezone: "../etc/passwd"}} {
		if field, _ := CheckQuietHours(q); field == "" {
			t.Errorf("%+v was taken", q)
		}
	}
}

func TestLimiters(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	l := newLimiters(5)
	for i := range 5 {
		if wait, _ := l.take("a", now); wait != 0 {
			t.Errorf("%d: %s", i, wait)
		}
	}
	if wait, _ := l.take("a", now); wait != 12*time.Second {
		t.Errorf("the sixth: %s", wait)
	}
	_, back := l.take("a", now.Add(12*time.Second))
	back()
	if wait, _ := l.take("a", now.Add(12*time.Second)); wait != 0 {
		t.Errorf("one that was given back: %s", wait)
	}
	for i := range 2*maxLimiters + 1 {
		l.of(string(rune(i)) + "x")
	}
	if n := len(l.young) + len(l.old); n > 2*maxLimiters {
		t.Errorf("%d limiters are kept", n)
	}
	for addr, want := range map[string]string{"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8::1": "2001:db8::/64"} {
		if got := network(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s counts as %s", addr, got)
		}
	}
}
