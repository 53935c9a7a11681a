package sip

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"bugle"
)

func parse(t *testing.T, text string) *Message {
	t.Helper()
	m, err := Parse(wire(text))
	check(t, err)
	return m
}

func TestHeadersAreFoundByAnyName(t *testing.T) {
	t.Parallel()
	m := parse(t, `INVITE sip:a@b SIP/2.0
v: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1, SIP/2.0/TCP 192.0.2.2
VIA: SIP/2.0/TLS 192.0.2.3
f: "a, b" <sip:x@y;p=1,2>;tag=1
t: sip:x@y;tag=2
i: abc
cseq: 7 INVITE
m: <sip:a@b?x=1,2>, "c, d" <sip:e@f>;q=0.5,sip:g@h
k: 100rel, timer ,replaces
X-Own: a, b
x-own: c
s: one, two
Empty:
Folded: one
	two
   three
c: application/sdp ; charset=x
l: 0

`)
	all := func(name string) string { return fmt.Sprintf("%q", slices.Collect(m.Headers(name))) }
	for name, want := range map[string]string{
		"Via":       `["SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1" "SIP/2.0/TCP 192.0.2.2" "SIP/2.0/TLS 192.0.2.3"]`,
		"contact":   `["<sip:a@b?x=1,2>" "\"c, d\" <sip:e@f>;q=0.5" "sip:g@h"]`,
		"Supported": `["100rel" "timer" "replaces"]`,
		"X-OWN":     `["a, b" "c"]`,
		"Subject":   `["one, two"]`,
		"Folded":    `["one   two     three"]`,
		"Empty":     `[""]`,
		"Nothing":   `[]`,
		"From":      `["\"a, b\" <sip:x@y;p=1,2>;tag=1"]`,
	} {
		if got := all(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if m.FromTag() != "1" || m.ToTag() != "2" || m.CallID() != "abc" || m.ContentType() != "application/sdp" ||
		!m.ListHas("k", "TIMER") || m.ListHas("k", "path") || !m.Has("empty") || m.Has("nothing") {
		t.Errorf("read wrongly: %s", m)
	}
	if list, err := m.Addresses("m"); err != nil || len(list) != 3 || list[1].Display != "c, d" {
		t.Errorf("Addresses: %+v %v", list, err)
	}
	if _, err := m.Addresses("Route"); err != nil {
		t.Error(err)
	}
	m.Remove("Contact")
	if _, err := m.Contact(); bugle.KindOf(err) != bugle.KindNotFound {
		t.Errorf("no Contact: %v", err)
	}
}

func TestBuilding(t *testing.T) {
	t.Parallel()
	m := NewRequest(INVITE, "sip:a@b")
	m.Add("X-One", "1")
	m.Add("To", "<sip:a@b>")
	m.Add("Route", "<sip:p2;lr>")
	m.Add("Route", "<sip:p3;lr>")
	m.Prepend("Route", "<sip:p1;lr>")
	m.Set("to", "<sip:c@d>")
	m.Set("X-Two", "2")
	m.Set("Route", "<sip:only;lr>")
	m.Add("x-one", "again")
	m.Set("X-ONE", "once")
	m.Add("Evil", "a\r\nInjected: yes\nMore: \x00")
	m.AddInt("Max-Forwards", 70)
	m.SetBody("text/plain", []byte("hi"))
	m.SetBody("application/sdp", []byte("v=0\r\n"))
	m.AddCSeq(4, INVITE)
	const want = "INVITE sip:a@b SIP/2.0\r\nRoute: <sip:only;lr>\r\nX-ONE: once\r\nto: <sip:c@d>\r\nX-Two: 2\r\n" +
		"Evil: a  Injected: yes More: \x00\r\nMax-Forwards: 70\r\nContent-Type: application/sdp\r\nCSeq: 4 INVITE\r\n" +
		"Content-Length: 5\r\n\r\nv=0\r\n"
	if got := m.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	c := m.Clone()
	c.Set("To", "<sip:e@f>")
	if m.String() != want || c.Header("To") != "<sip:e@f>" {
		t.Error("the clone shares something")
	}
	m.SetBody("", nil)
	if strings.Contains(m.String(), "Content-Type") || !strings.HasSuffix(m.String(), "Content-Length: 0\r\n\r\n") {
		t.Errorf("body not taken away:\n%s", m)
	}
}

func TestResponseCopiesWhatItMust(t *testing.T) {
	t.Parallel()
	req := parse(t, `INVITE sip:a@b SIP/2.0
Via: SIP/2.0/UDP p.example.com;branch=z9hG4bK1 , SIP/2.0/UDP q.example.com;branch=z9hG4bK2
Via: SIP/2.0/UDP r.example.com;branch=z9hG4bK3
Record-Route: <sip:p1;lr>, <sip:p2;lr>
Record-Route: <sip:p3;lr>
From: <sip:x@y>;tag=1
To: <sip:a@b>
Call-ID: abc
CSeq: 7 INVITE
Timestamp: 54
Subject: no
Content-Length: 0

`)
	req.source = Source{Transport: UDP, Remote: peerAddr, Local: rigAddr}
	const vias = "Via: SIP/2.0/UDP p.example.com;branch=z9hG4bK1;received=192.0.2.99, SIP/2.0/UDP q.example.com;branch=z9hG4bK2\r\n" +
		"Via: SIP/2.0/UDP r.example.com;branch=z9hG4bK3\r\n"
	const rr = "Record-Route: <sip:p1;lr>, <sip:p2;lr>\r\nRecord-Route: <sip:p3;lr>\r\n"
	tag := NewResponse(req, 180, "").ToTag()
	rest := func(to string) string {
		return "From: <sip:x@y>;tag=1\r\nTo: <sip:a@b>" + to + "\r\nCall-ID: abc\r\nCSeq: 7 INVITE\r\n"
	}
	const end = "Content-Length: 0\r\n\r\n"
	for status, want := range map[int]string{
		100: "SIP/2.0 100 Trying\r\n" + vias + rest("") + "Timestamp: 54\r\n" + end,
		180: "SIP/2.0 180 Ringing\r\n" + vias + rr + rest(";tag="+tag) + end,
		200: "SIP/2.0 200 OK\r\n" + vias + rr + rest(";tag="+tag) + end,
		486: "SIP/2.0 486 Busy Here\r\n" + vias + rest(";tag="+tag) + end,
	} {
		if got := NewResponse(req, status, "").String(); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
	if len(tag) < 8 {
		t.Errorf("tag %q", tag)
	}
	other := req.Clone()
	other.Set("CSeq", "8 INVITE")
	if NewResponse(other, 180, "").ToTag() == tag {
		t.Error("another request got the same tag")
	}
	other.Set("To", "<sip:a@b>;tag=theirs")
	if got := NewResponse(other, 200, "Fine"); got.ToTag() != "theirs" || got.Reason() != "Fine" {
		t.Errorf("got %s", got)
	}
}

func TestURIs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]URI{
		"sip:1001@pbx.example.com":            {Scheme: "sip", User: "1001", Host: "pbx.example.com"},
		"SIPS:Ann:pw@192.0.2.1:5061;lr":       {Scheme: "sips", User: "Ann", Password: "pw", Host: "192.0.2.1", Port: 5061, Params: ";lr"},
		"sip:[2001:db8::1]:5070;a=b?To=x%3A":  {Scheme: "sip", Host: "2001:db8::1", Port: 5070, Params: ";a=b", Headers: "To=x%3A"},
		"sip:%2a411;x=y@h":                    {Scheme: "sip", User: "*411;x=y", Host: "h"},
		"sip:a%40b%00@h":                      {Scheme: "sip", User: "a@b\x00", Host: "h"},
		"tel:+1-201-555-0123;phone-context=x": {Scheme: "tel", User: "+1-201-555-0123", Params: ";phone-context=x"},
	} {
		got, err := ParseURI(text)
		if err != nil || got != want {
			t.Errorf("%s: %+v %v, want %+v", text, got, err, want)
		}
		if again, err := ParseURI(got.String()); err != nil || again != want {
			t.Errorf("%s written as %s: %+v %v", text, got, again, err)
		}
	}
	for _, text := range []string{"", "sip", "sip:", ":a@b", "sip:@h", "sip:a@", "sip:a b@h", "sip:a@h:x", "sip:a@h:70000",
		"sip:a@h:", "sip:a@[::1", "sip:a@[1.2.3.4]", "sip:a@[fe80::1%eth0]", "sip:a@[::1]x", "sip:a%zz@h", "sip:a%4@h",
		"sip:a:b:c@h", "sip:a@b@c", "1sip:a@h", "<sip:a@h>", "tel:", "sip:a@h\r\n", "sip:2001:db8::1", "sip:a@h/x"} {
		if got, err := ParseURI(text); err == nil {
			t.Errorf("%q became %+v", text, got)
		}
	}
	if u, err := ParseURI("urn:service:sos"); !errors.Is(err, ErrScheme) || u.String() != "urn:service:sos" {
		t.Errorf("%+v %v", u, err)
	}
}

// RFC 3261 §19.1.4 has these.
func TestURIsAreEqual(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp", true},
		{"sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", true},
		{"sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5", true},
		{"sip:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", false},
		{"sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", false},
		{"sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", false},
		{"sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off", false},
		{"sip:a@b", "sips:a@b", false},
	} {
		a, _ := ParseURI(c.a)
		b, _ := ParseURI(c.b)
		if a.Equal(b) != c.want || b.Equal(a) != c.want {
			t.Errorf("%s and %s: %v, want %v", c.a, c.b, a.Equal(b), c.want)
		}
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`sip:a@b;tag=1`:                           `<sip:a@b>;tag=1`,
		`<sip:a@b;lr>;tag=1`:                      `<sip:a@b;lr>;tag=1`,
		`"A \"B\" \\C" <sip:a@b>`:                 `"A \"B\" \\C" <sip:a@b>`,
		`Ann Lee <sip:a@b>`:                       `"Ann Lee" <sip:a@b>`,
		`Łukasz<sip:a@b>`:                         `"Łukasz" <sip:a@b>`,
		`"a <b>; c" <sip:a@b>;x="y;z";expires=60`: `"a <b>; c" <sip:a@b>;x="y;z";expires=60`,
	} {
		a, err := ParseAddress(text)
		if err != nil || a.String() != want {
			t.Errorf("%s: %s %v, want %s", text, a, err, want)
		}
	}
	for _, text := range []string{"", `"a <sip:a@b>`, `a, b <sip:a@b>`, `<sip:a@b`, `<sip:a@b> x`, `"a" sip:a@b`, `sip:a@b?x=y`,
		`<sip:a@b>;`, `<sip:a@b>;=1`, `<sip:a@b>;x=`, `<sip:a@b>;x="y`} {
		if a, err := ParseAddress(text); err == nil {
			t.Errorf("%q became %+v", text, a)
		}
	}
	evil := Address{Display: "a\"\r\nX: \\", URI: URI{Scheme: "sip", User: "a>\r\nX: @b", Host: "h"}}
	if got := evil.String(); got != `"a\"  X: \\" <sip:a%3E%0D%0AX%3A%20%40b@h>` {
		t.Errorf("got %s", got)
	}
}

func TestParams(t *testing.T) {
	t.Parallel()
	p := Params(`;lr ; transport = tcp;q="a;\"b";LR2=`)
	if v, ok := p.Get("LR"); v != "" || !ok || p.Value("Transport") != "tcp" || p.Value("q") != `a;"b` || p.Has("tag") {
		t.Errorf("read wrongly: %q %v", v, ok)
	}
	if got := p.Without("q").With("Transport", "udp").With("ob", ""); got != ";lr;LR2=;Transport=udp;ob" {
		t.Errorf("got %s", got)
	}
}

func TestAuth(t *testing.T) {
	t.Parallel()
	a, err := ParseAuth(`Digest username="a \"b\", c", realm="r", nonce="n,=;", nc=00000001, qop=auth , uri="sip:x@y"`)
	if err != nil || !a.IsDigest() || a.Get("USERNAME") != `a "b", c` || a.Get("nonce") != "n,=;" || a.Get("nc") != "00000001" ||
		a.Get("qop") != "auth" || a.Get("cnonce") != "" {
		t.Errorf("%+v %v", a, err)
	}
	for _, text := range []string{"", `Di gest`, `Digest nonce`, `Digest nonce="a`, `Digest a=1, A=2`, `Digest a="b"c`, `"Digest" a=b`} {
		if a, err := ParseAuth(text); err == nil {
			t.Errorf("%q became %+v", text, a)
		}
	}
	b := NewAuth("Digest").Quoted("realm", `a "b"`).Token("algorithm", "MD5").Quoted("nonce", "n")
	if got := b.String(); got != `Digest realm="a \"b\"", algorithm=MD5, nonce="n"` {
		t.Errorf("got %s", got)
	}
	if a, err = ParseAuth(b.String()); err != nil || a.Get("realm") != `a "b"` {
		t.Errorf("%+v %v", a, err)
	}
}

func TestLimitsOfAMessage(t *testing.T) {
	t.Parallel()
	head := strings.TrimSuffix(string(wire(request("OPTIONS", "z9hG4bK1", "", "c1", 1))), "\r\n")
	for _, c := range []struct {
		name, extra string
		want        string
	}{
		{"128 fields", strings.Repeat("X: y\r\n", MaxHeaderFields-8), ""},
		{"129 fields", strings.Repeat("X: y\r\n", MaxHeaderFields-7), "sip: 400 Too Many Header Fields"},
		{"a line of 8 KiB", "X: " + strings.Repeat("y", MaxHeaderLine-3) + "\r\n", ""},
		{"a longer one", "X: " + strings.Repeat("y", MaxHeaderLine-2) + "\r\n", "sip: 400 Header Field Too Long"},
		{"a folded one", "X: " + strings.Repeat("y\r\n ", MaxHeaderLine/4) + "y\r\n", "sip: 400 Header Field Too Long"},
	} {
		_, err := Parse([]byte(head + c.extra + "\r\n"))
		if got := fmt.Sprint(err); got != c.want && !(err == nil && c.want == "") {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestReleasedMessagesAreUsedAgainOnlyWhenNobodyHoldsThem(t *testing.T) {
	t.Parallel()
	held := make(chan *Message, 100)
	r := newRig(t, func(o *Options) {
		o.OnRequest = func(tx *ServerTransaction, m *Message) {
			_ = tx.Reply(200, "")
			if m.Method() == INFO {
				m.Release()
				return
			}
			held <- m
		}
	})
	for i := range 50 {
		r.in(request("OPTIONS", fmt.Sprint("z9hG4bKo", i), "", fmt.Sprint("kept", i), 1))
		r.in(request("INFO", fmt.Sprint("z9hG4bKi", i), "x", fmt.Sprint("released", i), 1))
		r.idle()
		// the stack still answers retransmissions of both
		r.take()
		r.in(request("INFO", fmt.Sprint("z9hG4bKi", i), "x", fmt.Sprint("released", i), 1))
		r.in(request("OPTIONS", fmt.Sprint("z9hG4bKo", i), "", fmt.Sprint("kept", i), 1))
		sent := r.take()
		if len(sent) != 2 || !strings.Contains(sent[0].text, fmt.Sprint("Call-ID: released", i, "\r\n")) ||
			!strings.Contains(sent[1].text, fmt.Sprint("Call-ID: kept", i, "\r\n")) {
			t.Fatalf("sent %v", sent)
		}
	}
	for i := range 50 {
		if m := receive(t, held); m.CallID() != fmt.Sprint("kept", i) || m.FromTag() != "a" {
			t.Errorf("message %d became %s", i, m)
		}
	}
}
