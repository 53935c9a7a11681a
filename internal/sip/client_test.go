package sip

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// RFC 3261 figure 5 and RFC 6026 §7.2, arc by arc.

func TestINVITEClientRepeatsUntilTimerB(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	_, results, _ := r.begin(userRequest(INVITE, "c1"))
	// timer A: T1, 2*T1, 4*T1 ... without an upper bound
	for _, d := range []int{500, 1000, 2000, 4000, 8000, 16000} {
		r.after(ms*time.Duration(d-10), "")
		r.after(10*ms, "INVITE sip:alice@192.0.2.99:5080")
	}
	r.after(490*ms, "")
	r.transactions(1)
	r.after(10*ms, "") // 32 s: timer B
	wantError(t, results, ErrTimeout)
	r.transactions(0)
}

func TestINVITEClientStopsRepeatingAtAProvisionalResponse(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	_, results, sent := r.begin(userRequest(INVITE, "c1"))
	r.in(answer(sent, 100, ""))
	r.in(answer(sent, 180, "x"))
	if a, b := status(t, results), status(t, results); a != 100 || b != 180 {
		t.Errorf("got %d %d", a, b)
	}
	r.after(600*sec, "") // a phone may ring as long as the user lets it
	r.transactions(1)
	r.in(answer(sent, 486, "x"))
	if got := status(t, results); got != 486 {
		t.Errorf("got %d", got)
	}
	ack := r.take()
	if len(ack) != 1 || !strings.HasPrefix(ack[0].text, "ACK sip:alice@192.0.2.99:5080 SIP/2.0\r\n") {
		t.Fatalf("sent %v", ack)
	}
	r.in(answer(sent, 486, "x")) // Completed: acknowledged again, not told again
	r.sent("ACK sip:alice@192.0.2.99:5080")
	r.after(32*sec-10*ms, "")
	r.transactions(1)
	r.after(10*ms, "") // timer D
	r.transactions(0)
	none(r, results, "the final response went up twice")
}

// RFC 3261 §17.1.1.3.
func TestACKToAFailureRepeatsTheRequestsIdentity(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	m := userRequest(INVITE, "c1")
	m.Add("Route", "<sip:p1.example.com;lr>, <sip:p2.example.com;lr>")
	m.Add("Subject", "not for the ACK")
	m.SetBody("application/sdp", []byte("v=0\r\n"))
	_, results, sent := r.begin(m)
	r.in(answer(sent, 404, "theirs"))
	status(t, results)
	invite, err := Parse([]byte(sent))
	check(t, err)
	ack, err := Parse([]byte(r.take()[0].text))
	check(t, err)
	for _, name := range []string{"Via", "From", "Call-ID", "Route"} {
		if ack.Header(name) != invite.Header(name) || ack.Header(name) == "" {
			t.Errorf("%s: %q, want %q", name, ack.Header(name), invite.Header(name))
		}
	}
	n, method := ack.CSeq()
	if n != 1 || method != ACK || ack.ToTag() != "theirs" || ack.RequestURI() != invite.RequestURI() ||
		ack.Body() != nil || ack.Has("Subject") {
		t.Errorf("the ACK is\n%s", ack)
	}
}

func TestINVITEClientHandsUpEvery2xxOfEveryFork(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	_, results, sent := r.begin(userRequest(INVITE, "c1"))
	r.in(answer(sent, 180, "one"))
	r.in(answer(sent, 180, "two"))
	r.in(answer(sent, 200, "one"))
	r.in(answer(sent, 200, "one")) // a retransmission
	r.in(answer(sent, 200, "two")) // another fork
	r.in(answer(sent, 486, "three"))
	var got []string
	for range 5 {
		res := receive(t, results)
		got = append(got, fmt.Sprint(res.Response.StatusCode(), " ", res.Response.ToTag()))
	}
	if want := "[180 one 180 two 200 one 200 one 200 two]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
	r.after(32*sec-10*ms, "") // the stack itself acknowledges no 2xx
	r.transactions(1)
	r.after(10*ms, "") // timer M
	r.transactions(0)
	none(r, r.strays, "a 2xx of the transaction is a stray")
	r.in(answer(sent, 200, "two")) // later ones are strays
	if m := receive(t, r.strays); m.ToTag() != "two" {
		t.Errorf("stray of %q", m.ToTag())
	}
	none(r, results, "a result after the end")
}

func TestINVITEClientTransportError(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	_, results, _ := r.begin(userRequest(INVITE, "c1"))
	r.wire.failWith(errors.New("network is unreachable"))
	r.clock.Advance(500 * ms)
	wantError(t, results, ErrTransport)
	r.transactions(0)
}

// RFC 3261 §9.1.

func TestCancelWaitsForAProvisionalResponse(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	tx, results, sent := r.begin(userRequest(INVITE, "c1"))
	tx.Cancel(`SIP;cause=200;text="Call completed elsewhere"`)
	r.sent("")
	r.in(answer(sent, 180, "x"))
	out := r.take()
	if len(out) != 1 || !strings.HasPrefix(out[0].text, "CANCEL sip:alice@192.0.2.99:5080 SIP/2.0\r\n") {
		t.Fatalf("sent %v", out)
	}
	invite, _ := Parse([]byte(sent))
	cancel, err := Parse([]byte(out[0].text))
	check(t, err)
	for _, name := range []string{"Via", "From", "To", "Call-ID"} {
		if cancel.Header(name) != invite.Header(name) {
			t.Errorf("%s: %q, want %q", name, cancel.Header(name), invite.Header(name))
		}
	}
	if cancel.Header("Reason") != `SIP;cause=200;text="Call completed elsewhere"` {
		t.Errorf("Reason %q", cancel.Header("Reason"))
	}
	tx.Cancel("") // once is enough
	r.after(500*ms, "CANCEL sip:alice@192.0.2.99:5080")
	r.in(answer(out[0].text, 200, "x"))
	r.in(answer(sent, 487, "x"))
	if a, b := status(t, results), status(t, results); a != 180 || b != 487 {
		t.Errorf("got %d %d", a, b)
	}
	r.sent("ACK sip:alice@192.0.2.99:5080")
	r.after(40*sec, "")
	r.transactions(0)
	none(r, results, "the CANCEL's own response went up")
}

func TestCancelAtOnceWhenRinging(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	tx, results, sent := r.begin(userRequest(INVITE, "c1"))
	r.in(answer(sent, 100, ""))
	status(t, results)
	tx.Cancel("")
	r.sent("CANCEL sip:alice@192.0.2.99:5080")
	// Neither the CANCEL nor the INVITE is answered any more.
	r.clock.Advance(32 * sec)
	wantError(t, results, ErrTimeout)
	r.transactions(0)
}

func TestCancelAfterTheAnswerDoesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	tx, results, sent := r.begin(userRequest(INVITE, "c1"))
	r.in(answer(sent, 200, "x"))
	status(t, results)
	tx.Cancel("")
	r.after(10*sec, "")
}

// RFC 3261 figure 6, arc by arc.

func TestOtherClientRepeatsUntilTimerF(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	_, results, _ := r.begin(userRequest(BYE, "c1"))
	// timer E: T1, 2*T1, 4*T1, then T2
	for _, d := range []int{500, 1000, 2000, 4000, 4000, 4000, 4000, 4000, 4000, 4000} {
		r.after(ms*time.Duration(d-10), "")
		r.after(10*ms, "BYE sip:alice@192.0.2.99:5080")
	}
	r.after(490*ms, "")
	r.transactions(1)
	r.after(10*ms, "") // 32 s: timer F
	wantError(t, results, ErrTimeout)
	r.transactions(0)
}

func TestOtherClientProceeding(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	_, results, sent := r.begin(userRequest(BYE, "c1"))
	r.after(500*ms, "BYE sip:alice@192.0.2.99:5080")
	r.in(answer(sent, 100, ""))
	r.after(1*sec, "BYE sip:alice@192.0.2.99:5080") // the timer that was running
	r.after(4*sec-10*ms, "")
	r.after(10*ms, "BYE sip:alice@192.0.2.99:5080") // from then on every T2
	r.in(answer(sent, 200, "x"))
	if a, b := status(t, results), status(t, results); a != 100 || b != 200 {
		t.Errorf("got %d %d", a, b)
	}
	r.in(answer(sent, 200, "x")) // Completed: absorbed
	r.after(5*sec-10*ms, "")
	r.transactions(1)
	r.after(10*ms, "") // timer K
	r.transactions(0)
	none(r, results, "the final response went up twice")
}

func TestOtherClientProceedingTimesOut(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	_, results, sent := r.begin(userRequest(BYE, "c1"))
	r.in(answer(sent, 100, ""))
	status(t, results)
	r.clock.Advance(32 * sec)
	wantError(t, results, ErrTimeout)
}

func TestOtherClientTransportError(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	_, results, _ := r.begin(userRequest(BYE, "c1"))
	r.wire.failWith(errors.New("network is unreachable"))
	r.clock.Advance(500 * ms)
	wantError(t, results, ErrTransport)
	r.transactions(0)
}

// RFC 3261 §17.1.3, §8.1.3.3.
func TestResponsesThatMatchNothingAreDropped(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	_, results, sent := r.begin(userRequest(BYE, "c1"))
	good := answer(sent, 200, "x")
	for _, bad := range []string{
		strings.Replace(good, "branch=z9hG4bK", "branch=z9hG4bKother", 1),
		strings.Replace(good, "1 BYE", "1 INFO", 1),
		strings.Replace(good, "Call-ID: c1", "Call-ID: c2", 1),
		strings.Replace(good, "\r\nFrom", "\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK7\r\nFrom", 1),
		strings.Replace(good, "CSeq: 1 BYE", "CSeq: BYE", 1),
		strings.Replace(good, "Call-ID: c1\r\n", "", 1),
	} {
		r.in(bad)
	}
	none(r, results, "a stray response went up")
	none(r, r.strays, "a stray response that is no 2xx to INVITE went up")
	r.in(good)
	if got := status(t, results); got != 200 {
		t.Errorf("got %d", got)
	}
}

func TestRequestRefusesWhatCannotBeSent(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	good := Destination{Addr: peerAddr}
	noCallID := userRequest(INVITE, "c1")
	noCallID.Remove("Call-ID")
	badURI := userRequest(INVITE, "c1")
	badURI.SetRequestURI("sip:a@b\r\nX: y")
	for name, c := range map[string]struct {
		m   *Message
		dst Destination
	}{
		"ACK":          {userRequest(ACK, "c1"), good},
		"CANCEL":       {userRequest(CANCEL, "c1"), good},
		"no Call-ID":   {noCallID, good},
		"bad URI":      {badURI, good},
		"no address":   {userRequest(INVITE, "c1"), Destination{}},
		"no transport": {userRequest(INVITE, "c1"), Destination{Transport: "tls", Addr: peerAddr}},
	} {
		if tx, err := r.s.Request(c.m, c.dst, nil); err == nil || tx != nil {
			t.Errorf("%s: %v %v", name, tx, err)
		}
	}
	r.sent("")
}

func TestCloseEndsTransactionsWithErrClosed(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	_, results, _ := r.begin(userRequest(INVITE, "c1"))
	r.in(request("INVITE", "z9hG4bK1", "", "c2", 1))
	tx := receive(t, r.requests)
	ended := make(chan error, 1)
	tx.OnEnd(func() { ended <- tx.Err() })
	check(t, r.s.Close(t.Context()))
	wantError(t, results, ErrClosed)
	if err := receive(t, ended); !errors.Is(err, ErrClosed) {
		t.Errorf("ended with %v", err)
	}
	if _, err := r.s.Request(userRequest(INVITE, "c3"), Destination{Addr: peerAddr}, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("Request after Close: %v", err)
	}
}
