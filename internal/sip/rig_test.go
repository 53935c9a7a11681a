package sip

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"bugle/internal/bugletest/clock"
)

// testClock is a clock.Clock as the stack wants one.
type testClock struct{ *clock.Clock }

func newTestClock() testClock {
	return testClock{clock.New(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))}
}

func (c testClock) AfterFunc(d time.Duration, f func()) Timer { return c.Clock.AfterFunc(d, f) }

// rig is a stack on a test clock whose one UDP socket keeps what is sent. Packets are handed in on the test's goroutine, so
// that everything but the callbacks has happened when in and advance return.
type rig struct {
	t        *testing.T
	s        *Stack
	clock    testClock
	wire     *recorder
	requests chan *ServerTransaction
	acks     chan *Message
	strays   chan *Message
	panics   chan any
}

type recorder struct {
	mu   sync.Mutex
	sent []sentPacket
	fail error
}

type sentPacket struct {
	text string
	to   netip.AddrPort
}

func (r *recorder) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return 0, r.fail
	}
	r.sent = append(r.sent, sentPacket{string(b), to})
	return len(b), nil
}

func (r *recorder) Close() error { return nil }

func (r *recorder) failWith(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = err
}

var (
	rigAddr  = netip.MustParseAddrPort("192.0.2.1:5060")
	peerAddr = netip.MustParseAddrPort("192.0.2.99:5080")
)

func newRig(t *testing.T, change func(*Options)) *rig {
	r := &rig{t: t, clock: newTestClock(), wire: &recorder{}, requests: make(chan *ServerTransaction, 100),
		acks: make(chan *Message, 100), strays: make(chan *Message, 100), panics: make(chan any, 100)}
	o := Options{
		Clock: r.clock, Workers: 4,
		OnRequest:  func(tx *ServerTransaction, _ *Message) { r.requests <- tx },
		OnACK:      func(m *Message, _ Source) { r.acks <- m },
		OnStray2xx: func(m *Message, _ Source) { r.strays <- m },
		OnPanic:    func(v any) { r.panics <- v },
	}
	if change != nil {
		change(&o)
	}
	r.s = New(o)
	r.s.udp = []*udpSocket{{conn: r.wire, local: rigAddr}}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := r.s.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
		if n := r.s.Stats().Transactions; n != 0 {
			t.Errorf("%d transactions after Close", n)
		}
		if n := len(r.s.allLanes()); n != 0 {
			t.Errorf("%d lanes after Close", n)
		}
		if n := r.s.held.Load(); n != 0 {
			t.Errorf("%d bytes held after Close", n)
		}
		if n := r.s.invites.Load(); n != 0 {
			t.Errorf("%d open INVITEs after Close", n)
		}
	})
	return r
}

func (r *rig) in(text string) {
	r.inFrom(text, Source{Transport: UDP, Remote: peerAddr, Local: rigAddr})
}

func (r *rig) inFrom(text string, source Source) {
	m := newMessage()
	m.buf = append(m.buf, strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n")...)
	r.s.receive(m, source, false)
}

// out takes the start lines of what has been sent since the last call.
func (r *rig) out() string {
	var lines []string
	for _, p := range r.take() {
		line, _, _ := strings.Cut(p.text, "\r\n")
		lines = append(lines, strings.TrimPrefix(strings.TrimSuffix(line, " SIP/2.0"), "SIP/2.0 "))
	}
	return strings.Join(lines, "; ")
}

func (r *rig) take() []sentPacket {
	r.wire.mu.Lock()
	defer r.wire.mu.Unlock()
	sent := r.wire.sent
	r.wire.sent = nil
	return sent
}

// sent checks the start lines of what has been sent since the last look.
func (r *rig) sent(want string) {
	r.t.Helper()
	if got := r.out(); got != want {
		r.t.Errorf("sent %q, want %q", got, want)
	}
}

// after advances the clock and checks what that sent.
func (r *rig) after(d time.Duration, want string) {
	r.t.Helper()
	r.clock.Advance(d)
	if got := r.out(); got != want {
		r.t.Errorf("%v later sent %q, want %q", d, got, want)
	}
}

func (r *rig) transactions(want int) {
	r.t.Helper()
	if got := r.s.Stats().Transactions; got != want {
		r.t.Errorf("%d transactions, want %d", got, want)
	}
}

// receive waits for what a callback hands over.
func receive[T any](t *testing.T, from chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// idle waits until no callback is queued or running, so that what has not come will not come.
func (r *rig) idle() {
	for _, l := range r.s.allLanes() {
		for {
			l.mu.Lock()
			running := l.running
			l.mu.Unlock()
			if !running {
				break
			}
			time.Sleep(50 * time.Microsecond) // polling for a condition; no outcome depends on how long
		}
	}
}

func none[T any](r *rig, from chan T, what string) {
	r.t.Helper()
	r.idle()
	select {
	case v := <-from:
		r.t.Errorf("%s: %v", what, v)
	default:
	}
}

// request writes a request of the peer.
func request(method, branch, toTag, callID string, cseq int) string {
	if toTag != "" {
		toTag = ";tag=" + toTag
	}
	return method + " sip:bob@192.0.2.1 SIP/2.0\n" +
		"Via: SIP/2.0/UDP 192.0.2.99:5080;branch=" + branch + ";rport\n" +
		"Max-Forwards: 70\n" +
		"From: <sip:alice@example.com>;tag=a\n" +
		"To: <sip:bob@example.com>" + toTag + "\n" +
		"Call-ID: " + callID + "\n" +
		"CSeq: " + strconv.Itoa(cseq) + " " + method + "\n" +
		"Contact: <sip:alice@192.0.2.99:5080>\n" +
		"Content-Length: 0\n\n"
}

// answer writes a response of the peer to the request that it was sent.
func answer(request string, status int, toTag string) string {
	m, err := Parse([]byte(request))
	if err != nil {
		panic(err)
	}
	response := NewResponse(m, status, "")
	if toTag != "" {
		to, _ := m.To()
		to.Params = to.Params.With("tag", toTag)
		response.Set("To", to.String())
	}
	return response.String()
}

// userRequest builds a request of the TU.
func userRequest(method Method, callID string) *Message {
	m := NewRequest(method, "sip:alice@192.0.2.99:5080")
	m.Add("From", "<sip:bob@example.com>;tag=b")
	m.Add("To", "<sip:alice@example.com>")
	m.Add("Call-ID", callID)
	m.AddCSeq(1, method)
	m.Add("Contact", "<sip:bob@192.0.2.1:5060>")
	return m
}

// begin sends a request of the TU and returns what it looks like on the wire.
func (r *rig) begin(m *Message) (*ClientTransaction, chan Result, string) {
	r.t.Helper()
	results := make(chan Result, 100)
	tx, err := r.s.Request(m, Destination{Transport: UDP, Addr: peerAddr}, func(res Result) { results <- res })
	if err != nil {
		r.t.Fatal(err)
	}
	sent := r.take()
	if len(sent) != 1 || sent[0].to != peerAddr {
		r.t.Fatalf("sent %v", sent)
	}
	return tx, results, sent[0].text
}

func status(t *testing.T, results chan Result) int {
	t.Helper()
	res := receive(t, results)
	if res.Err != nil {
		t.Fatalf("error %v", res.Err)
	}
	return res.Response.StatusCode()
}

func wantError(t *testing.T, results chan Result, want error) {
	t.Helper()
	if res := receive(t, results); !errors.Is(res.Err, want) {
		t.Errorf("got %v %v, want %v", res.Response, res.Err, want)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
