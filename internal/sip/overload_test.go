package sip

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestOverloadAbove2000OpenINVITEs(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) {
		o.MaxInvites = 3
		o.RetryAfter = 7 * time.Second
	})
	var open []*ServerTransaction
	for i := range 3 {
		r.in(request("INVITE", fmt.Sprint("z9hG4bK", i), "", fmt.Sprint("c", i), 1))
		open = append(open, receive(t, r.requests))
	}
	r.in(request("INVITE", "z9hG4bKx", "", "cx", 1))
	refused := r.take()
	if len(refused) != 1 || !strings.HasPrefix(refused[0].text, "SIP/2.0 503 ") ||
		!strings.Contains(refused[0].text, "\r\nRetry-After: 7\r\n") {
		t.Fatalf("sent %v", refused)
	}
	r.in(request("ACK", "z9hG4bKx", "y", "cx", 1)) // nobody waits for it; the user sees that it knows no such dialog
	receive(t, r.acks)
	r.in(request("OPTIONS", "z9hG4bKo", "", "co", 1)) // only INVITE is counted
	check(t, receive(t, r.requests).Reply(200, ""))
	r.in(request("INVITE", "z9hG4bKre", "inside", "c0", 2)) // in a dialog
	check(t, receive(t, r.requests).Reply(200, ""))
	r.sent("200 OK; 200 OK")
	for _, code := range []int{200, 486} { // a final response frees a place
		check(t, open[0].Reply(code, ""))
		open = open[1:]
		r.in(request("INVITE", fmt.Sprint("z9hG4bKn", code), "", fmt.Sprint("n", code), 1))
		open = append(open, receive(t, r.requests))
	}
	if got := r.s.Stats(); got.Invites != 3 || got.Refused != 1 {
		t.Errorf("stats %+v", got)
	}
	if (&Options{}).defaulted().MaxInvites != 2000 {
		t.Error("the default is not 2000")
	}
}

func (o Options) defaulted() Options {
	o.setDefaults()
	return o
}

func TestDrainRefusesOnlyNewCalls(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.s.Drain()
	r.in(request("INVITE", "z9hG4bK1", "", "c1", 1))
	r.sent("503 Service Unavailable")
	r.in(request("INVITE", "z9hG4bK2", "in-a-dialog", "c2", 1))
	check(t, receive(t, r.requests).Reply(200, ""))
	r.in(request("BYE", "z9hG4bK3", "in-a-dialog", "c2", 2))
	check(t, receive(t, r.requests).Reply(200, ""))
	r.sent("200 OK; 200 OK")
}

func TestRequestThatWaitedTooLongIsRefused(t *testing.T) {
	t.Parallel()
	started := make(chan string, 10)
	release := make(chan bool)
	r := newRig(t, func(o *Options) {
		o.Workers = 1
		o.OnRequest = func(tx *ServerTransaction, m *Message) {
			started <- m.CallID()
			<-release
			_ = tx.Reply(200, "")
		}
	})
	r.in(request("OPTIONS", "z9hG4bK1", "", "slow", 1))
	receive(t, started)
	r.in(request("OPTIONS", "z9hG4bK2", "", "late", 1))
	r.in(request("INFO", "z9hG4bK3", "in-a-dialog", "inside", 1))
	r.clock.Advance(501 * ms)
	close(release)
	r.idle()
	r.sent("200 OK; 503 Service Unavailable; 200 OK")
	if first, second := receive(t, started), len(started); first != "inside" || second != 0 {
		t.Errorf("handled %q and %d more", first, second)
	}
}

func TestAtMost32MessagesWaitForOneCall(t *testing.T) {
	t.Parallel()
	started := make(chan bool, 100)
	release := make(chan bool)
	r := newRig(t, func(o *Options) {
		o.OnRequest = func(tx *ServerTransaction, m *Message) {
			started <- true
			<-release
			_ = tx.Reply(200, "")
		}
	})
	r.in(request("INFO", "z9hG4bKfirst", "x", "c1", 1))
	receive(t, started)
	for i := range 40 {
		r.in(request("INFO", fmt.Sprint("z9hG4bK", i), "x", "c1", i+2))
	}
	if got := r.s.Stats(); got.Dropped != 8 || got.Transactions != 33 {
		t.Errorf("stats %+v", got)
	}
	r.in(request("INFO", "z9hG4bKother", "x", "c2", 1)) // another call is not held up
	receive(t, started)
	close(release)
	r.idle()
	if n := len(started); n != 32 {
		t.Errorf("%d more handled, want 32", n)
	}
}

func TestManyWaitingCallsAreRefused(t *testing.T) {
	t.Parallel()
	started := make(chan bool, 100)
	release := make(chan bool)
	r := newRig(t, func(o *Options) {
		o.Workers, o.QueueTotal = 1, 2
		o.OnRequest = func(tx *ServerTransaction, m *Message) {
			started <- true
			<-release
			_ = tx.Reply(200, "")
		}
	})
	for i := range 4 {
		r.in(request("REGISTER", fmt.Sprint("z9hG4bK", i), "", fmt.Sprint("c", i), 1))
		if i == 0 {
			receive(t, started)
		}
	}
	r.sent("503 Service Unavailable")
	r.in(request("BYE", "z9hG4bKbye", "in-a-dialog", "cb", 1)) // ends work, so it passes
	close(release)
	r.idle()
	r.sent("200 OK; 200 OK; 200 OK; 200 OK")
}

func TestTransactionsAreLimitedInAllAndPerCall(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.MaxPerCall, o.MaxTransactions = 2, 3 })
	r.in(request("INFO", "z9hG4bK1", "x", "c1", 1))
	r.in(request("INFO", "z9hG4bK2", "x", "c1", 2))
	r.in(request("INFO", "z9hG4bK3", "x", "c1", 3))
	r.sent("503 Service Unavailable")
	r.in(request("INFO", "z9hG4bK4", "x", "c2", 1))
	r.in(request("INFO", "z9hG4bK5", "x", "c3", 1))
	r.sent("503 Service Unavailable")
	r.transactions(3)
}

func TestBytesAreLimited(t *testing.T) {
	t.Parallel()
	started := make(chan bool, 10)
	release := make(chan bool)
	r := newRig(t, func(o *Options) {
		o.MaxQueuedBytes, o.MaxTransactionBytes = 1000, 3000
		o.OnRequest = func(tx *ServerTransaction, m *Message) {
			started <- true
			<-release
		}
	})
	large := func(i int) string {
		return strings.Replace(request("INFO", fmt.Sprint("z9hG4bK", i), "x", "c", i), "Contact:",
			"X: "+strings.Repeat("x", 1000)+"\nContact:", 1)
	}
	r.in(large(1))
	receive(t, started)
	r.in(large(2)) // waits
	r.in(large(3)) // dropped: more than 1000 bytes wait already
	if got := r.s.Stats(); got.Dropped != 1 || got.Transactions != 2 {
		t.Errorf("stats %+v", got)
	}
	close(release)
	r.idle()
	r.in(large(4))
	r.sent("")
	r.idle()
	r.in(large(5)) // the transactions hold more than 3000 bytes already
	r.sent("503 Service Unavailable")
	r.idle()
	r.clock.Advance(32 * time.Second)
	r.in(large(6))
	r.sent("")
	r.idle()
	if n := r.s.queued.Load(); n != 0 {
		t.Errorf("%d bytes wait", n)
	}
}

func TestMessagesOfOneCallAreHandledInOrder(t *testing.T) {
	t.Parallel()
	const calls, each = 20, 30
	got := make(chan string, calls*each)
	r := newRig(t, func(o *Options) {
		o.OnRequest = func(tx *ServerTransaction, m *Message) {
			n, _ := m.CSeq()
			got <- fmt.Sprint(m.CallID(), " ", n)
			_ = tx.Reply(200, "")
		}
	})
	for i := range each {
		for c := range calls {
			r.in(request("INFO", fmt.Sprint("z9hG4bK", i), "x", fmt.Sprint("c", c), i+1))
		}
	}
	last := map[string]int{}
	for range calls * each {
		var call string
		var n int
		fmt.Sscan(receive(t, got), &call, &n)
		if n != last[call]+1 {
			t.Errorf("%s: %d after %d", call, n, last[call])
		}
		last[call] = n
	}
}

func TestPanicOfAHandlerEndsOneMessage(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) {
		o.OnRequest = func(tx *ServerTransaction, m *Message) {
			if m.Method() == INFO {
				panic("a defect")
			}
			tx.OnCancel(func() { panic("another defect") })
			_ = tx.Reply(180, "")
		}
		o.OnACK = func(*Message, Source) { panic("a third") }
	})
	r.in(request("INFO", "z9hG4bK1", "x", "c1", 1))
	if v := receive(t, r.panics); v != "a defect" {
		t.Errorf("panic %v", v)
	}
	r.idle()
	r.sent("500 Server Internal Error")
	r.in(request("INVITE", "z9hG4bK2", "", "c1", 2))
	r.idle()
	r.sent("180 Ringing")
	r.in(request("CANCEL", "z9hG4bK2", "", "c1", 2))
	receive(t, r.panics)
	r.idle()
	r.sent("200 OK; 500 Server Internal Error")
	r.in(request("ACK", "z9hG4bK3", "", "c1", 2))
	receive(t, r.panics)
	if n := r.s.Stats().Panics; n != 3 {
		t.Errorf("%d panics counted", n)
	}
}

func TestBrokenRequestsAreAnsweredWithoutATransaction(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	good := request("INVITE", "z9hG4bK1", "", "c1", 1)
	for _, c := range []struct{ name, from, to, want string }{
		{"no From", "From: <sip:alice@example.com>;tag=a\n", "", "400 Missing From"},
		{"no To", "To: <sip:bob@example.com>\n", "", "400 Missing To"},
		{"no Call-ID", "Call-ID: c1\n", "", "400 Missing Call-ID"},
		{"no CSeq", "CSeq: 1 INVITE\n", "", "400 Missing CSeq"},
		{"no Via", "Via: SIP/2.0/UDP 192.0.2.99:5080;branch=z9hG4bK1;rport\n", "", ""},
		{"CSeq of another method", "1 INVITE", "1 BYE", "400 CSeq Method Does Not Match"},
		{"CSeq too large", "CSeq: 1 ", "CSeq: 2147483648 ", "400 Malformed CSeq"},
		{"no header end", "Content-Length: 0\n\n", "", "400 Header Without End"},
		{"version", "SIP/2.0\nVia", "SIP/3.0\nVia", "505 Version Not Supported"},
		{"scheme", "INVITE sip:", "INVITE gopher:", "416 Unsupported URI Scheme"},
		{"no hops left", "Max-Forwards: 70", "Max-Forwards: 0", "483 Too Many Hops"},
		{"hops", "Max-Forwards: 70", "Max-Forwards: 256", "400 Malformed Max-Forwards"},
		{"extension", "Content-Length", "Require: fly, swim\nContent-Length", "420 Bad Extension"},
		{"two To", "To:", "To: <sip:x@example.com>\nTo:", "400 Repeated To"},
		{"Contact", "Contact: <sip:alice@192.0.2.99:5080>", "Contact: *", "400 Malformed Contact"},
		{"no colon", "Content-Length: 0", "Content-Length 0", "400 Header Line Without Colon"},
		{"bare CR", "Call-ID: c1", "Call-ID: c\r1", "400 Control Character In Header"},
		{"folding to nothing", "Call-ID: c1\n", "Call-ID: c1\n \n", "400 Folded Line Is Empty"},
		{"NUL", "Call-ID: c1", "Call-ID: c\x001", "400 Control Character In Header"},
		{"not SIP", "INVITE sip:bob@192.0.2.1 SIP/2.0", "GET / HTTP/1.1", ""},
	} {
		broken := strings.Replace(good, c.from, c.to, 1)
		if broken == good {
			t.Fatalf("%s: nothing replaced", c.name)
		}
		r.in(broken)
		sent := r.take()
		got := ""
		if len(sent) > 0 {
			line, _, _ := strings.Cut(sent[0].text, "\r\n")
			got = strings.TrimPrefix(line, "SIP/2.0 ")
			if c.name == "extension" && !strings.Contains(sent[0].text, "\r\nUnsupported: fly, swim\r\n") {
				t.Errorf("no Unsupported in\n%s", sent[0].text)
			}
		}
		if got != c.want || len(sent) > 1 {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		// RFC 3261 §17.1.1.3: an ACK is never answered.
		r.in(strings.ReplaceAll(broken, "INVITE", "ACK"))
		r.sent("")
	}
	r.transactions(0)
	none(r, r.requests, "a broken request went up")
}

// A callback that blocks must not keep the socket's reader from reading, whoever runs it.
func TestHandlerThatBlocksHoldsUpOnlyItsOwnCall(t *testing.T) {
	t.Parallel()
	release := make(chan bool)
	blocked := make(chan bool, 1)
	l := newLive(t, func(o *Options) {
		o.OnRequest = func(tx *ServerTransaction, m *Message) {
			if m.CallID() == "slow" && m.Method() == OPTIONS {
				blocked <- true
				<-release
			}
			_ = tx.Reply(200, "")
		}
	})
	conn, _ := listenUDP(t)
	send := func(method, branch, callID string, cseq int) {
		_, err := conn.WriteToUDPAddrPort(wire(request(method, branch, "", callID, cseq)), l.udp)
		check(t, err)
	}
	send("OPTIONS", "z9hG4bK1", "slow", 1)
	receive(t, blocked)
	send("INFO", "z9hG4bK2", "slow", 2)
	for i := range 50 {
		send("INFO", fmt.Sprint("z9hG4bKq", i), fmt.Sprint("quick", i), 1)
		if m, _ := readUDP(t, conn); m.CallID() != fmt.Sprint("quick", i) {
			t.Errorf("got the answer to %s", m.CallID())
		}
	}
	close(release)
	for n := 1; n <= 2; n++ {
		m, _ := readUDP(t, conn)
		if cseq, _ := m.CSeq(); m.CallID() != "slow" || cseq != uint32(n) {
			t.Errorf("got\n%s", m)
		}
	}
}

// Nothing is kept for a source, a Call-ID or a branch once its transactions are over.
func TestNothingIsKeptForEver(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) {
		o.OnRequest = func(tx *ServerTransaction, _ *Message) { _ = tx.Reply(404, "") }
		o.OnACK = func(*Message, Source) {}
		o.OnStray2xx = func(*Message, Source) {}
	})
	for i := range 3000 {
		source := Source{Transport: UDP, Local: rigAddr,
			Remote: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 5060)}
		id := fmt.Sprint(i)
		r.inFrom(request("INVITE", "z9hG4bK"+id, "", "i"+id, 1), source)
		r.inFrom(request("REGISTER", "z9hG4bK"+id, "", "r"+id, 1), source)
		r.inFrom(request("ACK", "z9hG4bK"+id, "", "a"+id, 1), source)
		r.inFrom(request("CANCEL", "z9hG4bK"+id, "", "c"+id, 1), source)
		r.inFrom("noise "+id, source)
		r.inFrom(answer(string(wire(request("INVITE", "z9hG4bK"+id, "", "s"+id, 1))), 200, "x"), source)
		_ = r.s.LocalAddr(source.Destination())
		if i%64 == 0 {
			r.idle()
		}
	}
	r.idle()
	r.clock.Advance(65 * time.Second)
	r.idle()
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if n := len(r.s.allLanes()); n != 0 {
		t.Errorf("%d lanes", n)
	}
	if n := len(r.s.alarms.heap); n != 0 {
		t.Errorf("%d alarms", n)
	}
	if n := len(r.s.routes.routes); n > routeCacheSize {
		t.Errorf("%d routes", n)
	}
	if n := r.s.transactions.Load(); n != 0 {
		t.Errorf("%d transactions", n)
	}
}
