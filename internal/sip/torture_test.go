package sip

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// torture says what becomes of each message of RFC 4475 and RFC 5118 that comes as a datagram: the status that the stack
// answers by itself, 0 where it says nothing (silent) or hands the message up (accepted). The note says what the RFC leaves to
// the element, or what the user of the stack has to answer.
var torture = []struct {
	file     string
	section  string
	accepted bool
	status   int
	reason   string
	note     string
}{
	{"rfc4475/wsinv", "3.1.1.1", true, 0, "", "short tortuous INVITE"},
	{"rfc4475/intmeth", "3.1.1.2", true, 0, "", "wide range of valid characters; the user answers 501 or 405"},
	{"rfc4475/esc01", "3.1.1.3", true, 0, "", "valid use of % escaping"},
	{"rfc4475/escnull", "3.1.1.4", true, 0, "", "escaped nulls in URIs"},
	{"rfc4475/esc02", "3.1.1.5", true, 0, "", "% where it is no escape; the method is RE%47IST%45R"},
	{"rfc4475/lwsdisp", "3.1.1.6", true, 0, "", "no space between display name and <"},
	{"rfc4475/longreq", "3.1.1.7", true, 0, "", "long values"},
	{"rfc4475/dblreq", "3.1.1.8", true, 0, "", "a second request trails in the datagram and is ignored"},
	{"rfc4475/semiuri", "3.1.1.9", true, 0, "", "semicolon-separated parameters in the user part"},
	{"rfc4475/transports", "3.1.1.10", true, 0, "", "varied and unknown transport types"},
	{"rfc4475/mpart01", "3.1.1.11", true, 0, "", "multipart MIME with binary parts"},
	{"rfc4475/unreason", "3.1.1.12", true, 0, "", "unusual reason phrase"},
	{"rfc4475/noreason", "3.1.1.13", true, 0, "", "empty reason phrase"},

	{"rfc4475/badinv01", "3.1.2.1", false, 400, "Malformed Via", "extraneous header field separators"},
	{"rfc4475/clerr", "3.1.2.2", false, 400, "Body Shorter Than Content-Length", ""},
	{"rfc4475/ncl", "3.1.2.3", false, 400, "Malformed Content-Length", "negative Content-Length"},
	{"rfc4475/scalar02", "3.1.2.4", false, 400, "Malformed CSeq", "request scalar fields with overlarge values"},
	{"rfc4475/scalarlg", "3.1.2.5", false, 0, "Malformed CSeq", "response scalar fields with overlarge values: discarded"},
	{"rfc4475/quotbal", "3.1.2.6", false, 400, "Malformed To", "unterminated quoted string in a display name"},
	{"rfc4475/ltgtruri", "3.1.2.7", false, 400, "Malformed Request-URI", "<> around the Request-URI"},
	{"rfc4475/lwsruri", "3.1.2.8", false, 400, "Malformed Request-Line", "space within the Request-URI"},
	{"rfc4475/lwsstart", "3.1.2.9", false, 400, "Malformed Request-Line", "several spaces in the Request-Line"},
	{"rfc4475/trws", "3.1.2.10", false, 400, "Malformed SIP Version", "spaces at the end of the Request-Line"},
	{"rfc4475/escruri", "3.1.2.11", false, 400, "Request-URI With Headers", "the RFC leaves it to the element"},
	{"rfc4475/baddate", "3.1.2.12", true, 0, "", "time zone in Date: not to be rejected unless Date matters"},
	{"rfc4475/regbadct", "3.1.2.13", false, 400, "Malformed Contact", "Contact with ? and no angle brackets"},
	{"rfc4475/badaspec", "3.1.2.14", false, 400, "Malformed To", "spaces within an addr-spec"},
	{"rfc4475/baddn", "3.1.2.15", false, 400, "Malformed From", "non-token characters in a display name"},
	{"rfc4475/badvers", "3.1.2.16", false, 505, "Version Not Supported", ""},
	{"rfc4475/mismatch01", "3.1.2.17", false, 400, "CSeq Method Does Not Match", ""},
	{"rfc4475/mismatch02", "3.1.2.18", false, 400, "CSeq Method Does Not Match", "501 or 400 for an unknown method"},
	{"rfc4475/bigcode", "3.1.2.19", false, 0, "malformed Status-Line", "status code of 10 digits: discarded"},

	{"rfc4475/badbranch", "3.2.1", true, 0, "", "nothing after the cookie: matched as by RFC 2543"},

	{"rfc4475/insuf", "3.3.1", false, 400, "Missing From", "missing required headers"},
	{"rfc4475/unkscm", "3.3.2", false, 416, "Unsupported URI Scheme", ""},
	{"rfc4475/novelsc", "3.3.3", false, 416, "Unsupported URI Scheme", ""},
	{"rfc4475/unksm2", "3.3.4", false, 400, "To Is Not A SIP Address", "a registrar rejects it; others parse it"},
	{"rfc4475/bext01", "3.3.5", false, 420, "Bad Extension", ""},
	{"rfc4475/invut", "3.3.6", true, 0, "", "unknown body type; the user answers 415"},
	{"rfc4475/regaut01", "3.3.7", true, 0, "", "unknown authorization scheme; the registrar ignores it or answers 401"},
	{"rfc4475/multi01", "3.3.8", false, 400, "Repeated CSeq", "several values in single-value headers"},
	{"rfc4475/mcl01", "3.3.9", false, 400, "Repeated Content-Length", ""},
	{"rfc4475/bcast", "3.3.10", false, 0, "More Than One Via", "response with a broadcast Via: discarded"},
	{"rfc4475/zeromf", "3.3.11", true, 0, "", "Max-Forwards 0 on OPTIONS: the end point answers"},
	{"rfc4475/cparam01", "3.3.12", true, 0, "", "unknown Contact parameter"},
	{"rfc4475/cparam02", "3.3.13", true, 0, "", "unknown URI parameter in Contact"},
	{"rfc4475/regescrt", "3.3.14", true, 0, "", "escaped Route header in a Contact URI"},
	{"rfc4475/sdp01", "3.3.15", true, 0, "", "unacceptable Accept; the user answers 406"},
	{"rfc4475/inv2543", "3.4.1", true, 0, "", "INVITE by RFC 2543 rules"},

	{"rfc5118/ipv6-good", "4.1", true, 0, "", ""},
	{"rfc5118/ipv6-bad", "4.2", false, 400, "Malformed Request-URI", "IPv6 address without brackets"},
	{"rfc5118/port-ambiguous", "4.3", true, 0, "", "5070 is the end of the address"},
	{"rfc5118/port-unambiguous", "4.4", true, 0, "", ""},
	{"rfc5118/via-received-param-with-delim", "4.5", true, 0, "", ""},
	{"rfc5118/via-received-param-no-delim", "4.5", true, 0, "", ""},
	{"rfc5118/ipv6-in-sdp", "4.6", true, 0, "", ""},
	{"rfc5118/mult-ip-in-header", "4.7", true, 0, "", ""},
	{"rfc5118/mult-ip-in-sdp", "4.8", true, 0, "", ""},
	{"rfc5118/ipv4-mapped-ipv6", "4.9", true, 0, "", ""},
	{"rfc5118/ipv6-bug-abnf-3-colons", "4.10", true, 0, "", "both forms must be tolerated"},
	{"rfc5118/ipv6-correct-abnf-2-colons", "4.10", true, 0, "", ""},
}

func readTorture(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", filepath.FromSlash(name)+".dat"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// judge is what the stack does with a datagram before any transaction sees it.
func judge(data []byte) (m *Message, status int, reason string) {
	m, err := Parse(data)
	if err != nil {
		e := err.(*ParseError)
		return m, e.Status, e.Reason
	}
	if r := Validate(m); r != nil {
		return m, r.Status, r.Reason
	}
	return m, 0, ""
}

func TestEveryTortureMessageHasItsStatedOutcome(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range torture {
		seen[c.file+".dat"] = true
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			m, status, reason := judge(readTorture(t, c.file))
			if accepted := reason == ""; accepted != c.accepted || status != c.status || reason != c.reason {
				t.Errorf("§%s: got accepted=%v %d %q, want accepted=%v %d %q", c.section, accepted, status, reason,
					c.accepted, c.status, c.reason)
			}
			if c.accepted {
				again, status, reason := judge(m.Bytes())
				if reason != "" || again.CallID() != m.CallID() || string(again.Body()) != string(m.Body()) {
					t.Errorf("written out and read again: %d %q\n%s", status, reason, m)
				}
			}
			if c.status != 0 {
				response := NewResponse(m, c.status, c.reason)
				if _, err := Parse(response.Bytes()); err != nil {
					t.Errorf("the response does not parse: %v\n%s", err, response)
				}
			}
		})
	}
	files, err := filepath.Glob("testdata/rfc*/*.dat")
	if err != nil || len(files) != len(torture) {
		t.Errorf("%d files, %d outcomes, %v", len(files), len(torture), err)
	}
	for _, f := range files {
		if !seen[strings.TrimPrefix(filepath.ToSlash(f), "testdata/")] {
			t.Errorf("%s has no stated outcome", f)
		}
	}
}

// What the accepted messages mean, where the RFC says so.
func TestTortureMessagesAreReadAsTheRFCReadsThem(t *testing.T) {
	t.Parallel()
	m := parseTorture(t, "rfc4475/wsinv")
	if m.ToTag() != "1918181833n" || m.Header("s") != "" || !m.Has("Subject") {
		t.Errorf("wsinv: To-tag %q, Subject %q", m.ToTag(), m.Header("s"))
	}
	if n, method := m.CSeq(); n != 9 || method != INVITE {
		t.Errorf("wsinv CSeq: %d %s", n, method)
	}
	vias := 0
	for v := range m.Headers("v") {
		via, err := ParseVia(v)
		if err != nil || via.Branch() == "" {
			t.Errorf("wsinv Via %q: %+v %v", v, via, err)
		}
		vias++
	}
	if vias != 3 {
		t.Errorf("wsinv has %d Vias", vias)
	}
	contact, err := m.Contact()
	if err != nil || contact.Display != `Quoted string ""` || contact.Params.Value("newparam") != "newvalue" ||
		contact.Params.Value("q") != "0.33" {
		t.Errorf("wsinv Contact: %+v %v", contact, err)
	}

	m = parseTorture(t, "rfc4475/intmeth")
	if m.Method() != "!interesting-Method0123456789_*+`.%indeed'~" {
		t.Errorf("intmeth method: %s", m.Method())
	}
	to, err := m.To()
	if err != nil || to.Display != "BEL:\a NUL:\x00 DEL:\x7f" {
		t.Errorf("intmeth To: %q %v", to.Display, err)
	}
	u, err := m.URI()
	if err != nil || u.User != "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*" || u.Host != "example.com" {
		t.Errorf("intmeth URI: %+v %v", u, err)
	}

}

// parseTorture parses a message that must be accepted.
func parseTorture(t *testing.T, name string) *Message {
	t.Helper()
	m, err := Parse(readTorture(t, name))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return m
}

func TestTortureURIsAreReadAsTheRFCReadsThem(t *testing.T) {
	t.Parallel()
	read := func(name string) *Message { return parseTorture(t, name) }
	m := read("rfc4475/esc01")
	u, err := m.URI()
	if err != nil || u.User != "sips:user@example.com" || u.Host != "example.net" {
		t.Errorf("esc01 URI: %+v %v", u, err)
	}
	m = read("rfc4475/escnull")
	to, err := m.To()
	if err != nil || to.URI.User != "null-\x00-null" {
		t.Errorf("escnull To: %+v %v", to, err)
	}
	if got := read("rfc4475/esc02").Method(); got != "RE%47IST%45R" {
		t.Errorf("esc02 method: %s", got)
	}
	m = read("rfc4475/semiuri")
	if u, err = m.URI(); err != nil || u.User != "user;par=u@example.net" || u.Params != "" {
		t.Errorf("semiuri URI: %+v %v", u, err)
	}
	m = read("rfc4475/cparam01")
	contact, err := m.Contact()
	if err != nil || !contact.Params.Has("unknownparam") || contact.URI.Params != "" {
		t.Errorf("cparam01 Contact: %+v %v", contact, err)
	}
	m = read("rfc4475/cparam02")
	if contact, err = m.Contact(); err != nil || contact.Params != "" || !contact.URI.Params.Has("unknownparam") {
		t.Errorf("cparam02 Contact: %+v %v", contact, err)
	}
	m = read("rfc4475/dblreq")
	if m.Method() != REGISTER || m.Body() != nil {
		t.Errorf("dblreq: %s", m)
	}
	for _, name := range []string{"rfc5118/ipv6-bug-abnf-3-colons", "rfc5118/ipv6-correct-abnf-2-colons"} {
		if u, err = read(name).URI(); err != nil || u.Host != "2001:db8::192.0.2.1" {
			t.Errorf("%s: %+v %v", name, u, err)
		}
	}
	if u, err = read("rfc5118/port-ambiguous").URI(); err != nil || u.Host != "2001:db8::10:5070" || u.Port != 0 {
		t.Errorf("port-ambiguous: %+v %v", u, err)
	}
	if u, err = read("rfc5118/port-unambiguous").URI(); err != nil || u.Host != "2001:db8::10" || u.Port != 5070 {
		t.Errorf("port-unambiguous: %+v %v", u, err)
	}
	for _, name := range []string{"rfc5118/via-received-param-with-delim", "rfc5118/via-received-param-no-delim"} {
		via, err := read(name).TopVia()
		if err != nil || via.Received().String() != "2001:db8::9:255" {
			t.Errorf("%s: %+v %v", name, via, err)
		}
	}
}
