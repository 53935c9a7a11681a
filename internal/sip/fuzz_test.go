package sip

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	sipgo "github.com/emiago/sipgo/sip"
)

// seedFuzz adds the torture messages and a few usual ones.
func seedFuzz(f *testing.F) {
	files, err := filepath.Glob("testdata/rfc*/*.dat")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add(inviteText)
	for _, method := range []string{"INVITE", "ACK", "BYE", "CANCEL", "REGISTER", "OPTIONS"} {
		f.Add(wire(request(method, "z9hG4bK1", "", "c1", 1)))
	}
	f.Add([]byte(answer(string(wire(request("INVITE", "z9hG4bK1", "", "c1", 1))), 180, "x")))
}

// What is accepted can be written out, read again and answered, and means the same.
func FuzzParse(f *testing.F) {
	seedFuzz(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse(bytes.Clone(data))
		if err != nil {
			if e := err.(*ParseError); e.Status != 0 && m.IsRequest() {
				mustParse(t, NewResponse(m, e.Status, e.Reason).Bytes())
			}
			return
		}
		touch(m)
		if r := Validate(m); r != nil {
			if r.Status != 0 {
				mustParse(t, NewResponse(m, r.Status, r.Reason).Bytes())
			}
			return
		}
		again := mustParse(t, m.Bytes())
		if r := Validate(again); r != nil {
			t.Fatalf("written out it is refused: %+v\n%q", r, m.Bytes())
		}
		same(t, m, again)
		if m.IsRequest() {
			m.source = Source{Transport: UDP, Remote: netip.MustParseAddrPort("192.0.2.1:5060")}
			response := mustParse(t, NewResponse(m, 200, "").Bytes())
			if r := Validate(response); r != nil && r.Reason != "More Than One Via" {
				t.Fatalf("the response is refused: %+v\n%s", r, response)
			}
			if response.CallID() != m.CallID() || response.Header("CSeq") != m.Header("CSeq") ||
				response.FromTag() != m.FromTag() || response.ToTag() == "" {
				t.Fatalf("the response does not match\n%s\n%s", m, response)
			}
			a, _ := m.TopVia()
			if b, err := response.TopVia(); err != nil || a.Branch() != b.Branch() || a.Host != b.Host || a.Port != b.Port {
				t.Fatalf("Via %+v became %+v, %v", a, b, err)
			}
		}
	})
}

func mustParse(t *testing.T, data []byte) *Message {
	t.Helper()
	m, err := Parse(bytes.Clone(data))
	if err != nil {
		t.Fatalf("%v in\n%q", err, data)
	}
	return m
}

// touch asks for everything that can be asked of a message.
func touch(m *Message) {
	for name := range m.All() {
		for v := range m.Headers(name) {
			if a, err := ParseAddress(v); err == nil {
				_ = a.String()
			}
			if u, err := ParseURI(v); err == nil {
				_ = u.String()
			}
			if a, err := ParseAuth(v); err == nil {
				_ = a.Get("nonce")
			}
			for range Params(v).All() {
			}
			_ = Params(v).With("a", "b").Without("a")
			_, _ = ParseVia(v)
			_, _ = Seconds(v)
		}
	}
	_, _ = m.Contact()
	_, _ = m.Addresses("Route")
	_, _ = m.MaxForwards()
	_, _ = m.Expires()
	_ = m.ContentType()
	c := m.Clone()
	c.Set("To", "<sip:x@example.com>")
	c.Remove("Via")
	c.Prepend("Via", "SIP/2.0/UDP 192.0.2.1")
}

func same(t *testing.T, a, b *Message) {
	t.Helper()
	if a.Method() != b.Method() || a.RequestURI() != b.RequestURI() || a.StatusCode() != b.StatusCode() ||
		a.CallID() != b.CallID() || a.FromTag() != b.FromTag() || a.ToTag() != b.ToTag() || !bytes.Equal(a.Body(), b.Body()) {
		t.Fatalf("not the same:\n%q\n%q", a, b)
	}
	au, aErr := a.URI()
	bu, bErr := ParseURI(au.String())
	if a.IsRequest() && aErr == nil && (bErr != nil || au != bu) {
		t.Fatalf("URI %+v became %+v, %v", au, bu, bErr)
	}
	for _, name := range []string{"From", "To"} {
		x, err := ParseAddress(a.Header(name))
		if err != nil {
			continue // an unknown scheme
		}
		y, err := ParseAddress(x.String())
		if err != nil || x.URI != y.URI || x.Tag() != y.Tag() {
			t.Fatalf("%s %+v became %+v, %v", name, x, y, err)
		}
	}
}

// A second opinion: where both parsers accept a message, they read the same in it. Known defects of sipgo v1.7.2 are left
// out: it writes methods in capitals, and it does not find a parameter with space around its name or value.
func FuzzAgainstSipgo(f *testing.F) {
	seedFuzz(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		ours, err := Parse(bytes.Clone(data))
		if err != nil || Validate(ours) != nil {
			return
		}
		parsed, err := sipgo.NewParser().ParseSIP(bytes.Clone(data))
		if err != nil {
			return
		}
		differ := func(what string, a, b any) {
			t.Helper()
			if a != b {
				t.Errorf("%s: %q here, %q there, in\n%q", what, a, b, data)
			}
		}
		if theirs, ok := parsed.(*sipgo.Request); ok {
			differ("method", strings.ToUpper(string(ours.Method())), strings.ToUpper(string(theirs.Method)))
			compareURI(differ, ours, theirs.Recipient)
		} else {
			differ("status", ours.StatusCode(), parsed.(*sipgo.Response).StatusCode)
		}
		if h := parsed.CallID(); h != nil {
			differ("Call-ID", ours.CallID(), h.Value())
		}
		if h := parsed.CSeq(); h != nil {
			n, method := ours.CSeq()
			differ("CSeq", n, h.SeqNo)
			differ("CSeq method", strings.ToUpper(string(method)), strings.ToUpper(string(h.MethodName)))
		}
		if h := parsed.From(); h != nil && plainParams(ours.Header("From")) {
			tag, _ := h.Params.Get("tag")
			differ("From tag", ours.FromTag(), tag)
		}
		if h := parsed.To(); h != nil && plainParams(ours.Header("To")) {
			tag, _ := h.Params.Get("tag")
			differ("To tag", ours.ToTag(), tag)
		}
		differ("body", string(ours.Body()), string(parsed.Body()))
	})
}

// plainParams says whether the parameters of an address hold neither space nor quotes.
func plainParams(value string) bool {
	a, err := ParseAddress(value)
	return err == nil && !strings.ContainsAny(string(a.Params), " \t\"")
}

func compareURI(differ func(string, any, any), ours *Message, theirs sipgo.Uri) {
	u, err := ours.URI()
	if err != nil || u.Scheme == "tel" {
		return
	}
	differ("URI scheme", u.Scheme, theirs.Scheme)
	user, _ := unescape(theirs.User)
	differ("URI user", u.User, user)
	differ("URI host", u.Host, strings.Replace(strings.Trim(theirs.Host, "[]"), ":::", "::", 1))
	differ("URI port", int(u.Port), theirs.Port)
}

// However a stream is cut into reads, the same messages come out of it.
func FuzzFramer(f *testing.F) {
	one := wire(request("OPTIONS", "z9hG4bK1", "", "c1", 1))
	f.Add(bytes.Repeat(one, 3), uint8(7))
	f.Add(append([]byte("\r\n\r\n"), inviteText...), uint8(100))
	f.Add(wire("A\nl:2\n\nxyB\nl: 0\n\n"), uint8(1))
	f.Add([]byte("A\nl:1\n\r\nxA\r\nl:1\r\n\r\nx\n\n"), uint8(2))
	f.Fuzz(func(t *testing.T, data []byte, step uint8) {
		run := func(step int) (got []string, pings int, failed bool) {
			var fr framer
			for at := 0; at < len(data); at += step {
				fr.take(data[at:min(at+step, len(data))])
				for {
					m, ping, err := fr.next()
					if ping {
						pings++
					}
					if err != nil {
						return got, pings, true
					}
					if m == nil {
						break
					}
					got = append(got, string(m))
				}
				if len(fr.buf) > 2*MaxStreamMessage+step {
					t.Fatalf("%d bytes kept", len(fr.buf))
				}
			}
			return got, pings, false
		}
		a, _, aFailed := run(max(1, int(step)))
		b, _, bFailed := run(len(data) + 1)
		if aFailed != bFailed || strings.Join(a, "|") != strings.Join(b, "|") {
			t.Fatalf("in steps of %d: %q %v\nat once: %q %v", step, a, aFailed, b, bFailed)
		}
	})
}

// Whatever comes in, in whatever state, no transaction and no lane outlives its timers, and nothing panics.
func FuzzStack(f *testing.F) {
	invite := wire(request("INVITE", "z9hG4bK1", "", "c1", 1))
	for status := range 6 {
		f.Add(invite, wire(request("CANCEL", "z9hG4bK1", "", "c1", 1)), wire(request("ACK", "z9hG4bK1", "x", "c1", 1)), uint8(status))
		f.Add(invite, invite, wire(request("BYE", "z9hG4bK2", "x", "c1", 2)), uint8(status))
	}
	f.Add([]byte("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1\r\nFrom: <sip:a@b>\r\nTo: <sip:a@b>\r\nCall-ID: own\r\nCSeq: 1 INVITE\r\n\r\n"),
		invite, invite, uint8(0))
	f.Fuzz(func(t *testing.T, a, b, c []byte, status uint8) {
		r := newRig(t, func(o *Options) {
			o.OnRequest = func(tx *ServerTransaction, m *Message) {
				tx.OnCancel(func() { _ = tx.Reply(487, "") })
				switch status % 6 {
				case 0:
					_ = tx.Reply(200, "")
				case 1:
					_ = tx.Reply(180, "")
					_ = tx.Reply(486, "")
				case 2:
					_ = tx.Reply(183, "")
				case 3:
					_ = tx.Reply(100+int(status), "")
				}
			}
		})
		tx, _, sent := r.begin(userRequest(INVITE, "own"))
		branch, _ := mustParse(t, []byte(sent)).TopVia()
		for i, data := range [][]byte{a, b, c} {
			m := newMessage()
			// Let the fuzzer speak of the client transaction, whose branch it cannot guess.
			m.buf = append(m.buf, bytes.ReplaceAll(data, []byte("Via: SIP/2.0/UDP 192.0.2.1\r\n"),
				[]byte("Via: SIP/2.0/UDP 192.0.2.1;branch="+branch.Branch()+"\r\n"))...)
			r.s.receive(m, Source{Transport: UDP, Remote: peerAddr, Local: rigAddr}, i == 2)
			if i == 1 {
				tx.Cancel("")
			}
			r.clock.Advance(300 * ms)
		}
		r.idle()
		for len(r.requests) > 0 {
			<-r.requests
		}
		select {
		case v := <-r.panics:
			t.Fatalf("panic: %v", v)
		default:
		}
	})
}
