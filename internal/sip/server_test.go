package sip

import (
	"errors"
	"strings"
	"testing"
	"time"
)

const (
	ms  = time.Millisecond
	sec = time.Second
)

// RFC 3261 figure 7 and RFC 6026 §7.1, arc by arc.

func TestINVITEServerSends100WhenTheUserIsSlow(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.in(request("INVITE", "z9hG4bK1", "", "c1", 1))
	tx := receive(t, r.requests)
	r.after(190*ms, "")
	r.after(10*ms, "100 Trying")
	r.in(request("INVITE", "z9hG4bK1", "", "c1", 1)) // again: the last provisional again
	r.sent("100 Trying")
	check(t, tx.Reply(180, ""))
	r.sent("180 Ringing")
	r.in(request("INVITE", "z9hG4bK1", "", "c1", 1))
	r.sent("180 Ringing")
	r.after(300*sec, "")
	none(r, r.requests, "a retransmission went up")
	check(t, tx.Reply(603, ""))
}

func TestINVITEServerRepeatsAFailureUntilTheACK(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.in(request("INVITE", "z9hG4bK1", "", "c1", 1))
	tx := receive(t, r.requests)
	check(t, tx.Reply(486, ""))
	r.sent("486 Busy Here")
	if err := tx.Reply(200, ""); !errors.Is(err, ErrEnded) {
		t.Errorf("a second final response: %v", err)
	}
	// timer G: T1, 2*T1, 4*T1, then T2
	r.after(490*ms, "")
	r.after(10*ms, "486 Busy Here")
	r.after(990*ms, "")
	r.after(10*ms, "486 Busy Here")
	r.after(2*sec, "486 Busy Here")
	r.after(4*sec, "486 Busy Here")
	r.after(4*sec, "486 Busy Here")
	r.in(request("INVITE", "z9hG4bK1", "", "c1", 1))
	r.sent("486 Busy Here")
	r.in(request("ACK", "z9hG4bK1", "x", "c1", 1))
	r.after(4990*ms, "") // timer I: T4
	r.in(request("ACK", "z9hG4bK1", "x", "c1", 1))
	r.in(request("INVITE", "z9hG4bK1", "", "c1", 1))
	r.sent("")
	r.transactions(1)
	r.after(10*ms, "")
	r.transactions(0)
	if err := tx.Err(); err != nil {
		t.Errorf("ended with %v", err)
	}
	none(r, r.acks, "the ACK to a failure went up")
}

func TestINVITEServerGivesUpWithoutAnACK(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.in(request("INVITE", "z9hG4bK1", "", "c1", 1))
	tx := receive(t, r.requests)
	ended := make(chan error, 1)
	tx.OnEnd(func() { ended <- tx.Err() })
	check(t, tx.Reply(500, ""))
	r.clock.Advance(32*sec - 10*ms)
	if n := strings.Count(r.out(), "500"); n != 11 { // now, 0.5, 1.5, 3.5, 7.5, 11.5, ... 31.5
		t.Errorf("sent %d times", n)
	}
	r.transactions(1)
	r.after(10*ms, "") // timer H
	if err := receive(t, ended); !errors.Is(err, ErrTimeout) {
		t.Errorf("ended with %v", err)
	}
	r.transactions(0)
}

func TestINVITEServerOnAStreamDoesNotRepeat(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	conn := r.s.newConn(connKey{TCP, peerAddr}, rigAddr, true)
	source := Source{Transport: TCP, Remote: peerAddr, Local: rigAddr, conn: conn}
	r.inFrom(request("INVITE", "z9hG4bK1", "", "c1", 1), source)
	tx := receive(t, r.requests)
	check(t, tx.Reply(486, ""))
	if len(conn.queue) != 1 {
		t.Fatalf("%d responses on the connection", len(conn.queue))
	}
	r.clock.Advance(31 * sec)
	if len(conn.queue) != 1 {
		t.Errorf("%d responses on the connection after 31 s", len(conn.queue))
	}
	r.transactions(1)
	r.inFrom(request("ACK", "z9hG4bK1", "x", "c1", 1), source)
	r.transactions(0) // timer I is 0
}

func TestINVITEServerLeaves2xxToTheUser(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.in(request("INVITE", "z9hG4bK1", "", "c1", 1))
	tx := receive(t, r.requests)
	check(t, tx.Reply(200, ""))
	r.sent("200 OK")
	r.in(request("INVITE", "z9hG4bK1", "", "c1", 1)) // absorbed
	r.after(10*sec, "")
	check(t, tx.Reply(200, "")) // the user's own retransmission
	r.sent("200 OK")
	for _, late := range []int{180, 486} {
		if err := tx.Respond(NewResponse(tx.Request(), late, "")); !errors.Is(err, ErrEnded) {
			t.Errorf("%d after 200: %v", late, err)
		}
	}
	r.in(request("ACK", "z9hG4bKother", "x", "c1", 1))
	receive(t, r.acks)
	r.in(request("ACK", "z9hG4bK1", "x", "c1", 1)) // some peers reuse the branch
	receive(t, r.acks)
	r.after(22*sec-10*ms, "")
	r.transactions(1)
	r.after(10*ms, "") // timer L
	r.transactions(0)
	if err := tx.Reply(200, ""); !errors.Is(err, ErrEnded) {
		t.Errorf("200 after the end: %v", err)
	}
}

func TestServerEndsWhenTheTransportFails(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"INVITE", "OPTIONS"} {
		for _, code := range []int{180, 200, 486} {
			r := newRig(t, nil)
			r.in(request(method, "z9hG4bK1", "", "c1", 1))
			tx := receive(t, r.requests)
			ended := make(chan error, 1)
			tx.OnEnd(func() { ended <- tx.Err() })
			r.wire.failWith(errors.New("network is unreachable"))
			if err := tx.Reply(code, ""); !errors.Is(err, ErrTransport) {
				t.Errorf("%s %d: %v", method, code, err)
			}
			if err := receive(t, ended); !errors.Is(err, ErrTransport) {
				t.Errorf("%s %d: ended with %v", method, code, err)
			}
			r.transactions(0)
		}
	}
}

// RFC 3261 figure 8, arc by arc.

func TestOtherServer(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.in(request("OPTIONS", "z9hG4bK1", "", "c1", 1))
	tx := receive(t, r.requests)
	r.in(request("OPTIONS", "z9hG4bK1", "", "c1", 1)) // Trying: discarded
	r.after(10*sec, "")
	check(t, tx.Reply(183, ""))
	r.sent("183 Session Progress")
	r.in(request("OPTIONS", "z9hG4bK1", "", "c1", 1)) // Proceeding: the provisional again
	r.sent("183 Session Progress")
	check(t, tx.Reply(200, ""))
	r.sent("200 OK")
	r.in(request("OPTIONS", "z9hG4bK1", "", "c1", 1)) // Completed: the final again
	r.sent("200 OK")
	if err := tx.Reply(486, ""); !errors.Is(err, ErrEnded) {
		t.Errorf("a second final response: %v", err)
	}
	r.after(32*sec-10*ms, "")
	r.transactions(1)
	r.after(10*ms, "") // timer J
	r.transactions(0)
	none(r, r.requests, "a retransmission went up")
	r.in(request("OPTIONS", "z9hG4bK1", "", "c1", 1)) // by now it is a new one
	check(t, receive(t, r.requests).Reply(200, ""))
}

func TestOtherServerThatIsNeverAnsweredEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.in(request("OPTIONS", "z9hG4bK1", "", "c1", 1))
	tx := receive(t, r.requests)
	r.after(32*sec, "")
	r.transactions(0)
	if !errors.Is(tx.Err(), ErrTimeout) {
		t.Errorf("ended with %v", tx.Err())
	}
}

// RFC 3261 §9.2.

func TestCANCELReachesTheUserOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.in(request("INVITE", "z9hG4bK1", "", "c1", 1))
	tx := receive(t, r.requests)
	canceled := make(chan bool, 10)
	tx.OnCancel(func() { canceled <- true })
	check(t, tx.Reply(180, ""))
	ringing := r.take()[0].text
	r.in(request("CANCEL", "z9hG4bK1", "", "c1", 1))
	receive(t, canceled)
	ok := r.take()
	if len(ok) != 1 || !strings.HasPrefix(ok[0].text, "SIP/2.0 200") || !strings.Contains(ok[0].text, "1 CANCEL") {
		t.Fatalf("sent %v", ok)
	}
	tag := func(text string) string {
		m, err := Parse([]byte(text))
		check(t, err)
		return m.ToTag()
	}
	if a, b := tag(ringing), tag(ok[0].text); a != b || a == "" {
		t.Errorf("To-tags %q and %q", a, b)
	}
	r.in(request("CANCEL", "z9hG4bK1", "", "c1", 1)) // again
	r.sent("200 OK")
	none(r, canceled, "told twice")
	check(t, tx.Reply(487, ""))
	r.sent("487 Request Terminated")
	r.in(request("ACK", "z9hG4bK1", tag(ringing), "c1", 1))
	r.after(500*ms, "")
}

func TestCANCELWithoutAFunctionIsAnswered487(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.in(request("INVITE", "z9hG4bK1", "", "c1", 1))
	tx := receive(t, r.requests)
	r.idle()
	r.in(request("CANCEL", "z9hG4bK1", "", "c1", 1))
	r.idle()
	r.sent("200 OK; 487 Request Terminated")
	late := make(chan bool, 1)
	tx.OnCancel(func() { late <- true })
	receive(t, late)
}

// RFC 3261 §18.2.2.
func TestResponseGoesToTheSentByPortWithoutRport(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for sentBy, want := range map[string]string{"192.0.2.99:7070": "192.0.2.99:7070", "phone.example.com": "192.0.2.99:5060"} {
		r.in(strings.Replace(request("OPTIONS", "z9hG4bK1", "", sentBy, 1), "192.0.2.99:5080;branch=z9hG4bK1;rport",
			sentBy+";branch=z9hG4bK1;maddr=203.0.113.1", 1))
		check(t, receive(t, r.requests).Reply(200, ""))
		if sent := r.take(); len(sent) != 1 || sent[0].to.String() != want {
			t.Errorf("%s: sent %v, want %s", sentBy, sent, want)
		}
		r.in(strings.Replace(request("OPTIONS", "z9hG4bK1", "", sentBy+"bad", 1), "192.0.2.99:5080;branch=z9hG4bK1;rport\n",
			sentBy+";branch=z9hG4bK1\nRequire: x\n", 1))
		if sent := r.take(); len(sent) != 1 || sent[0].to.String() != want {
			t.Errorf("%s: sent statelessly %v, want %s", sentBy, sent, want)
		}
	}
}

func TestCANCELThatMatchesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.in(request("CANCEL", "z9hG4bK1", "", "c1", 1))
	r.sent("481 Call/Transaction Does Not Exist")
	r.in(request("INVITE", "z9hG4bK2", "", "c1", 1))
	tx := receive(t, r.requests)
	check(t, tx.Reply(200, ""))
	r.sent("200 OK")
	canceled := make(chan bool, 1)
	tx.OnCancel(func() { canceled <- true })
	r.in(request("CANCEL", "z9hG4bK2", "", "c1", 1)) // too late: answered, without effect
	r.sent("200 OK")
	none(r, canceled, "cancelled after the 200")
}

func TestCANCELBeforeTheFunctionIsSet(t *testing.T) {
	t.Parallel()
	hold := make(chan bool)
	canceled := make(chan bool, 1)
	r := newRig(t, func(o *Options) {
		o.OnRequest = func(tx *ServerTransaction, _ *Message) {
			<-hold
			tx.OnCancel(func() {
				canceled <- true
				_ = tx.Reply(487, "")
			})
		}
	})
	r.in(request("INVITE", "z9hG4bK1", "", "c1", 1))
	r.in(request("CANCEL", "z9hG4bK1", "", "c1", 1))
	close(hold)
	receive(t, canceled)
	r.idle()
	r.sent("200 OK; 487 Request Terminated")
	none(r, canceled, "told twice")
}

// RFC 3261 §17.2.3: requests of RFC 2543 elements, whose branch means nothing.
func TestRequestsWithoutACookieAreMatchedByTheirHeaders(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for _, branch := range []string{"1", "z9hG4bK"} {
		r.in(request("INVITE", branch, "", "c"+branch, 1))
		tx := receive(t, r.requests)
		check(t, tx.Reply(486, ""))
		r.in(request("INVITE", branch, "", "c"+branch, 1))
		r.sent("486 Busy Here; 486 Busy Here")
		r.in(request("ACK", branch, "whatever", "c"+branch, 1))
		r.after(10*sec, "")
		r.transactions(0)
	}
	none(r, r.requests, "a retransmission went up")
}

// RFC 3261 §8.2.2.2.
func TestMergedRequestIsAnswered482(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.in(request("INVITE", "z9hG4bK1", "", "c1", 1))
	tx := receive(t, r.requests)
	r.in(request("INVITE", "z9hG4bK2", "", "c1", 1))
	r.sent("482 Loop Detected")
	none(r, r.requests, "the merged request went up")
	check(t, tx.Reply(480, ""))
}
