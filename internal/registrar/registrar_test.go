package registrar

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"bugle"
	"bugle/internal/bugletest/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testClock is a clock.Clock as a Registrar wants one.
type testClock struct{ *clock.Clock }

func newClock() testClock { return testClock{clock.New(time.Unix(1_800_000_000, 0))} }

func (c testClock) AfterFunc(d time.Duration, f func()) func() bool {
	return c.Clock.AfterFunc(d, f).Stop
}

// memoryLog keeps bindings as a database would, and fails or waits when told to.
type memoryLog struct {
	mu    sync.Mutex
	rows  map[Key]Binding
	fail  error
	gate  chan struct{} // when set, Save waits for it
	saves int
}

func (l *memoryLog) Load(context.Context) ([]Binding, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []Binding
	for _, b := range l.rows {
		out = append(out, b)
	}
	return out, nil
}

func (l *memoryLog) Save(_ context.Context, save []Binding, remove []Key) error {
	if l.gate != nil {
		<-l.gate
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.saves++
	if l.fail != nil {
		return l.fail
	}
	if l.rows == nil {
		l.rows = map[Key]Binding{}
	}
	seen := map[Key]bool{}
	for _, k := range remove {
		seen[k] = true
		delete(l.rows, k)
	}
	for _, b := range save {
		if seen[b.Key()] {
			panic("a key is both saved and removed")
		}
		seen[b.Key()] = true
		l.rows[b.Key()] = b
	}
	return nil
}

func (l *memoryLog) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.rows)
}

// register waits for the answer.
func register(r *Registrar, req Request) ([]Binding, error) {
	type answer struct {
		bindings []Binding
		err      error
	}
	got := make(chan answer, 1)
	r.Register(req, func(b []Binding, err error) { got <- answer{b, err} })
	a := <-got
	return a.bindings, a.err
}

func request(callID string, cseq uint32, contacts ...Contact) Request {
	return Request{AccountID: "acme", DeviceID: "phone", Username: "ann", Realm: "acme.test", CallID: callID, CSeq: cseq,
		Contacts: contacts, Expires: -1, DefaultExpires: 300, Transport: "udp",
		Source: netip.MustParseAddrPort("192.0.2.9:40000")}
}

func contact(uri string, expires int) Contact { return Contact{URI: uri, Q: 1000, Expires: expires} }

func TestExpiryIsGrantedWithinTheLimits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		header, param, byDefault, want int
		tooBrief                       bool
	}{
		{-1, -1, 300, 300, false},
		{-1, -1, 10, 60, false},
		{-1, -1, 86400, 3600, false},
		{120, -1, 300, 120, false},
		{120, 90, 300, 90, false},
		{7200, -1, 300, 3600, false},
		{59, -1, 300, 0, true},
		{3600, 1, 300, 0, true},
		{60, -1, 300, 60, false},
	} {
		clock := newClock()
		r := New(Options{Clock: clock})
		req := request("a", 1, contact("sip:ann@10.0.0.1", tt.param))
		req.Expires, req.DefaultExpires = tt.header, tt.byDefault
		bindings, err := register(r, req)
		var brief *IntervalTooBrief
		if tt.tooBrief {
			if !errors.As(err, &brief) || brief.Min != 60 || len(bindings) != 0 {
				t.Errorf("%+v: %v %v", tt, bindings, err)
			}
		} else if err != nil || len(bindings) != 1 || bindings[0].Expires.Sub(clock.Now()) != time.Duration(tt.want)*time.Second {
			t.Errorf("%+v: %v %v", tt, bindings, err)
		}
		r.Close()
	}
}

func TestOlderRequestsOfACallIDChangeNothing(t *testing.T) {
	t.Parallel()
	r := New(Options{Clock: newClock()})
	defer r.Close()
	must := func(req Request) {
		t.Helper()
		if _, err := register(r, req); err != nil {
			t.Fatal(err)
		}
	}
	var stale *OutOfOrder
	must(request("a", 5, contact("sip:1", -1)))
	for _, cseq := range []uint32{4, 5} {
		if _, err := register(r, request("a", cseq, contact("sip:2", -1), contact("sip:1", 0))); !errors.As(err, &stale) {
			t.Errorf("CSeq %d: %v", cseq, err)
		}
	}
	if got := r.Locate("phone"); len(got) != 1 || got[0].Contact != "sip:1" {
		t.Errorf("a refused request left %v", got)
	}
	if _, err := register(r, Request{DeviceID: "phone", CallID: "a", CSeq: 5, RemoveAll: true}); !errors.As(err, &stale) {
		t.Errorf("* with an old CSeq: %v", err)
	}
	must(request("a", 6, contact("sip:1", -1)))
	must(request("b", 1, contact("sip:1", 0))) // another Call-ID: the phone has started anew
	if n := r.Count("acme"); n != 0 {
		t.Errorf("%d bindings left", n)
	}
}

func TestStarRemovesAllAndStandsAlone(t *testing.T) {
	t.Parallel()
	r := New(Options{Clock: newClock()})
	defer r.Close()
	if _, err := register(r, request("a", 1, contact("sip:1", -1), contact("sip:2", -1))); err != nil {
		t.Fatal(err)
	}
	bad := request("a", 2)
	bad.RemoveAll = true // Expires is absent
	if _, err := register(r, bad); bugle.KindOf(err) != bugle.KindInvalid {
		t.Errorf("* without Expires: 0: %v", err)
	}
	bad = request("a", 2, contact("sip:1", 0))
	bad.RemoveAll, bad.Expires = true, 0
	if _, err := register(r, bad); bugle.KindOf(err) != bugle.KindInvalid {
		t.Errorf("* beside a contact: %v", err)
	}
	good := request("a", 2)
	good.RemoveAll, good.Expires = true, 0
	if left, err := register(r, good); err != nil || len(left) != 0 {
		t.Errorf("%v %v", left, err)
	}
}

func TestAContactTooLongForTheLogIsRefused(t *testing.T) {
	t.Parallel()
	r := New(Options{Clock: newClock()})
	defer r.Close()
	longest := "sip:" + strings.Repeat("x", maxContactSize-4)
	if _, err := register(r, request("a", 1, contact("sip:1", -1), contact(longest+"x", -1))); bugle.KindOf(err) != bugle.KindInvalid {
		t.Errorf("one byte too long: %v", err)
	}
	if now, err := register(r, request("a", 2, contact(longest, -1))); err != nil || len(now) != 1 {
		t.Errorf("the longest: %d contacts, %v", len(now), err)
	}
}

func TestTenContactsAndNoMore(t *testing.T) {
	t.Parallel()
	clock := newClock()
	r := New(Options{Clock: clock})
	defer r.Close()
	for i := range 10 {
		if _, err := register(r, request("a", uint32(i+1), contact(fmt.Sprint("sip:", i), 60+i))); err != nil {
			t.Fatal(err)
		}
	}
	var many *TooManyContacts
	if _, err := register(r, request("a", 20, contact("sip:x", -1))); !errors.As(err, &many) || many.Max != 10 {
		t.Fatalf("eleventh: %v", err)
	}
	if _, err := register(r, request("a", 21, contact("sip:9", 0), contact("sip:x", -1))); err != nil {
		t.Errorf("one out, one in: %v", err)
	}
	clock.Advance(61 * time.Second)
	if _, err := register(r, request("a", 22, contact("sip:y", -1))); err != nil {
		t.Errorf("after one ended: %v", err)
	}
}

func TestAPhoneThatStartsAnewTakesItsOwnPlace(t *testing.T) {
	t.Parallel()
	r := New(Options{Clock: newClock()})
	defer r.Close()
	for i := range 30 {
		c := contact(fmt.Sprintf("sip:ann@10.0.0.1:%d", 1000+i), -1)
		c.Instance = "urn:uuid:1"
		if got, err := register(r, request(fmt.Sprint("call", i), 1, c)); err != nil || len(got) != 1 || got[0].Contact != c.URI {
			t.Fatalf("%d: %v %v", i, got, err)
		}
	}
}

func TestLocatePrefersByQThenByTime(t *testing.T) {
	t.Parallel()
	clock := newClock()
	r := New(Options{Clock: clock})
	defer r.Close()
	for i, c := range []Contact{{"sip:low", "", 100, -1}, {"sip:old", "", 1000, -1}, {"sip:new", "", 1000, -1}} {
		clock.Advance(time.Second)
		if _, err := register(r, request("a", uint32(i+1), c)); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, b := range r.Locate("phone") {
		got = append(got, b.Contact)
	}
	if want := []string{"sip:new", "sip:old", "sip:low"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestOneTimerServesAllBindings(t *testing.T) {
	t.Parallel()
	clock, log := newClock(), &memoryLog{}
	var mu sync.Mutex
	kinds := map[ChangeKind]int{}
	done := make(chan struct{}, 1000)
	r := New(Options{Clock: clock, Log: log, OnChange: func(c Change) {
		mu.Lock()
		kinds[c.Kind]++
		mu.Unlock()
		if c.Kind == Expired {
			done <- struct{}{}
		}
	}})
	defer r.Close()
	for i := range 100 {
		req := request("a", 1, contact("sip:1", 60+i))
		req.DeviceID = fmt.Sprint("phone", i)
		if _, err := register(r, req); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(clock.Pending()); n != 1 {
		t.Errorf("%d timers", n)
	}
	clock.Advance(60 * time.Second)
	<-done
	if n := r.Count(""); n != 99 {
		t.Errorf("%d left after the first ended", n)
	}
	for range 99 {
		clock.Advance(time.Second)
		<-done
	}
	if n := log.len(); n != 0 || len(r.devices) != 0 || len(r.expiring) != 0 {
		t.Errorf("left: %d rows, %d devices, %d planned", n, len(r.devices), len(r.expiring))
	}
	mu.Lock()
	defer mu.Unlock()
	if kinds[Added] != 100 || kinds[Expired] != 100 {
		t.Errorf("changes: %v", kinds)
	}
}

func TestNothingIsTrueBeforeTheLogSaysSo(t *testing.T) {
	t.Parallel()
	log := &memoryLog{gate: make(chan struct{})}
	r := New(Options{Clock: newClock(), Log: log})
	defer r.Close()
	answered := make(chan error, 2)
	r.Register(request("a", 1, contact("sip:1", -1)), func(_ []Binding, err error) { answered <- err })
	r.Register(request("a", 2, contact("sip:1", 0)), func(_ []Binding, err error) { answered <- err })
	select {
	case <-answered:
		t.Fatal("answered before the log did")
	default:
	}
	if len(r.Locate("phone")) != 0 {
		t.Error("a binding that is not saved is found")
	}
	log.gate <- struct{}{}
	if err := <-answered; err != nil || len(r.Locate("phone")) != 1 {
		t.Errorf("first: %v, %v", err, r.Locate("phone"))
	}
	log.gate <- struct{}{}
	if err := <-answered; err != nil || len(r.Locate("phone")) != 0 {
		t.Errorf("second: %v, %v", err, r.Locate("phone"))
	}
	close(log.gate)
	log.mu.Lock()
	log.fail = errors.New("disk full")
	log.mu.Unlock()
	if _, err := register(r, request("a", 3, contact("sip:1", -1))); bugle.KindOf(err) != bugle.KindUnavailable {
		t.Errorf("with a full disk: %v", err)
	}
	if len(r.Locate("phone")) != 0 {
		t.Error("a refused binding is found")
	}
}

func TestBindingsSurviveARestart(t *testing.T) {
	t.Parallel()
	clock, log := newClock(), &memoryLog{}
	first := New(Options{Clock: clock, Log: log})
	for i := range 20 {
		req := request("a", 1, contact("sip:1", 60+60*(i%2)))
		req.DeviceID = fmt.Sprint("phone", i)
		if _, err := register(first, req); err != nil {
			t.Fatal(err)
		}
	}
	first.Close()
	clock.Advance(90 * time.Second)
	swept := make(chan Change, 20)
	second := New(Options{Clock: clock, Log: log, OnChange: func(c Change) { swept <- c }})
	defer second.Close()
	if err := second.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := second.Count("acme"); n != 10 {
		t.Errorf("%d bindings came back, want 10", n)
	}
	clock.Advance(time.Second)
	for range 10 {
		if c := <-swept; c.Kind != Expired {
			t.Errorf("%v", c)
		}
	}
	if n := log.len(); n != 10 {
		t.Errorf("%d rows left", n)
	}
}

func TestAPanicOfTheLogIsAFailure(t *testing.T) {
	t.Parallel()
	caught := make(chan any, 1)
	r := New(Options{Log: panicking{}, OnPanic: func(v any) { caught <- v }})
	defer r.Close()
	if _, err := register(r, request("a", 1, contact("sip:1", -1))); bugle.KindOf(err) != bugle.KindUnavailable {
		t.Errorf("%v", err)
	}
	<-caught
}

type panicking struct{}

func (panicking) Load(context.Context) ([]Binding, error)      { return nil, nil }
func (panicking) Save(context.Context, []Binding, []Key) error { panic("no") }

func TestFlush(t *testing.T) {
	t.Parallel()
	log := &memoryLog{}
	r := New(Options{Log: log})
	defer r.Close()
	for i := range 6 {
		req := request("a", 1, contact("sip:1", -1), contact("sip:2", -1))
		req.DeviceID, req.Username = fmt.Sprint("phone", i), fmt.Sprint("user", i)
		req.AccountID = []string{"acme", "other"}[i%2]
		if _, err := register(r, req); err != nil {
			t.Fatal(err)
		}
	}
	flush := func(f func(done func(int, error))) int {
		got := make(chan int, 1)
		f(func(n int, err error) {
			if err != nil {
				t.Error(err)
			}
			got <- n
		})
		return <-got
	}
	if n := flush(func(d func(int, error)) { r.Flush("acme", "user1", d) }); n != 0 {
		t.Errorf("another account's user: %d", n)
	}
	if n := flush(func(d func(int, error)) { r.Flush("acme", "user2", d) }); n != 2 {
		t.Errorf("one user: %d", n)
	}
	if n := flush(func(d func(int, error)) { r.FlushDevice("phone1", d) }); n != 2 {
		t.Errorf("one device: %d", n)
	}
	if n := flush(func(d func(int, error)) { r.Flush("acme", "", d) }); n != 4 {
		t.Errorf("account: %d", n)
	}
	if a, b := r.Count("acme"), r.Count("other"); a != 0 || b != 4 || log.len() != 4 {
		t.Errorf("left: %d and %d, %d rows", a, b, log.len())
	}
}
