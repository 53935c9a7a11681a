package registrar

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"bugle"
)

const (
	testSaveWithin    = 100 * time.Millisecond
	testRefreshWithin = 500 * time.Millisecond
)

// patient is a registrar that lets changes wait for each other, with one phone registered.
func patient(t *testing.T) (*Registrar, testClock, *memoryLog) {
	t.Helper()
	clock, log := newClock(), &memoryLog{}
	r := New(Options{Clock: clock, Log: log, SaveWithin: testSaveWithin, RefreshWithin: testRefreshWithin})
	t.Cleanup(r.Close)
	answer := begin(r, request("a", 1, contact("sip:1", 300)))
	r.await(t, clock, testSaveWithin)
	clock.Advance(testSaveWithin)
	if err := <-answer; err != nil {
		t.Fatal(err)
	}
	return r, clock, log
}

// begin registers and returns where the answer comes.
func begin(r *Registrar, req Request) <-chan error {
	answer := make(chan error, 1)
	r.Register(req, func(_ []Binding, err error) { answer <- err })
	return answer
}

// await waits until the writer has a timer that ends in d.
func (r *Registrar) await(t *testing.T, clock testClock, d time.Duration) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if slices.Contains(clock.Pending(), d) {
			return
		}
	}
	t.Fatalf("nothing waits %v", d)
}

func waits(t *testing.T, answer <-chan error) {
	t.Helper()
	select {
	case err := <-answer:
		t.Fatalf("answered (%v) before the log was", err)
	default:
	}
}

func (l *memoryLog) awaitCSeq(t *testing.T, want uint32) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		b, _ := l.row("sip:1")
		if b.CSeq == want {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the log has %+v, want CSeq %d", b, want)
		}
	}
}

func TestARefreshIsAnsweredAtOnceAndSavedLater(t *testing.T) {
	t.Parallel()
	r, clock, log := patient(t)
	before := clock.Now()
	clock.Advance(10 * time.Second)
	for cseq := uint32(2); cseq < 5; cseq++ {
		bindings, err := register(r, request("a", cseq, contact("sip:1", 300)))
		if err != nil || len(bindings) != 1 || !bindings[0].Expires.Equal(clock.Now().Add(300*time.Second)) {
			t.Fatalf("%+v, %v", bindings, err)
		}
	}
	if _, err := register(r, request("a", 4, contact("sip:1", 300))); !errors.As(err, new(*OutOfOrder)) {
		t.Errorf("the same CSeq again: %v", err)
	}
	r.await(t, clock, testRefreshWithin)
	if b, _ := log.row("sip:1"); b.CSeq != 1 || b.Expires.After(before.Add(300*time.Second)) {
		t.Errorf("the log already has %+v", b)
	}
	clock.Advance(testRefreshWithin)
	log.awaitCSeq(t, 4)
	if log.saves != 2 {
		t.Errorf("%d commits", log.saves)
	}
}

// TestOnlyAPureRefreshIsAnsweredBeforeItIsSaved: a phone that is somewhere else, or something else, is not.
func TestOnlyAPureRefreshIsAnsweredBeforeItIsSaved(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Request){
		"another address": func(r *Request) { r.Source = netip.MustParseAddrPort("192.0.2.9:40001") },
		"another path":    func(r *Request) { r.Path = []string{"<sip:proxy;lr>"} },
		"another contact": func(r *Request) { r.Contacts[0].URI = "sip:2" },
		"one more":        func(r *Request) { r.Contacts = append(r.Contacts, contact("sip:2", 300)) },
		"a shorter time":  func(r *Request) { r.Contacts[0].Expires = 60 },
		"an end":          func(r *Request) { r.Contacts[0].Expires = 0 },
		"another program": func(r *Request) { r.UserAgent = "x" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, clock, _ := patient(t)
			req := request("a", 2, contact("sip:1", 300))
			change(&req)
			answer := begin(r, req)
			r.await(t, clock, testSaveWithin)
			waits(t, answer)
			clock.Advance(testSaveWithin)
			if err := <-answer; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestWhatIsWaitedForDoesNotWaitAsLongAsARefresh: and takes the refresh along.
func TestWhatIsWaitedForDoesNotWaitAsLongAsARefresh(t *testing.T) {
	t.Parallel()
	r, clock, log := patient(t)
	if _, err := register(r, request("a", 2, contact("sip:1", 300))); err != nil {
		t.Fatal(err)
	}
	r.await(t, clock, testRefreshWithin)
	answer := begin(r, request("b", 1, contact("sip:2", 300)))
	r.await(t, clock, testSaveWithin)
	waits(t, answer)
	clock.Advance(testSaveWithin)
	if err := <-answer; err != nil {
		t.Fatal(err)
	}
	if log.awaitCSeq(t, 2); log.saves != 2 {
		t.Errorf("%d commits", log.saves)
	}
}

func TestAFullGroupAndTheEndWaitForNobody(t *testing.T) {
	t.Parallel()
	r, _, log := patient(t)
	answers := make(chan error, maxBatch+1)
	for i := range maxBatch + 1 {
		req := request("a", 1, contact("sip:1", 300))
		req.DeviceID += string(rune('A' + i))
		r.Register(req, func(_ []Binding, err error) { answers <- err })
	}
	for range maxBatch {
		if err := <-answers; err != nil {
			t.Fatal(err)
		}
	}
	if _, err := register(r, request("a", 2, contact("sip:1", 300))); err != nil {
		t.Fatal(err)
	}
	r.Close()
	if err := <-answers; err != nil || log.len() != maxBatch+2 {
		t.Errorf("%v, %d rows", err, log.len())
	}
	log.awaitCSeq(t, 2)
}

// TestARefreshAfterAFlushWaitsForIt: what the flush removes is not what the phone is told it has.
func TestARefreshAfterAFlushWaitsForIt(t *testing.T) {
	t.Parallel()
	r, clock, log := patient(t)
	flushed := make(chan int, 1)
	r.FlushDevice("phone", func(n int, _ error) { flushed <- n })
	answer := begin(r, request("a", 2, contact("sip:1", 300)))
	r.await(t, clock, testSaveWithin)
	waits(t, answer)
	clock.Advance(testSaveWithin)
	if n, err := <-flushed, <-answer; n != 1 || err != nil {
		t.Errorf("flushed %d, %v", n, err)
	}
	log.awaitCSeq(t, 2)
	if got := r.Locate("phone"); len(got) != 1 || got[0].CSeq != 2 {
		t.Errorf("found are %+v", got)
	}
}

// TestARefreshOfAnOutage: the one that the outage overtakes keeps what it was promised, those after it are granted little.
func TestARefreshOfAnOutage(t *testing.T) {
	t.Parallel()
	r, clock, log := patient(t)
	log.setFailure(&bugle.Error{Op: "test", Kind: bugle.KindUnavailable})
	promised, err := register(r, request("a", 2, contact("sip:1", 3600)))
	if err != nil {
		t.Fatal(err)
	}
	r.await(t, clock, testRefreshWithin)
	clock.Advance(testRefreshWithin)
	for !r.failing.Load() {
		time.Sleep(time.Millisecond)
	}
	clock.Advance(59 * time.Minute)
	answer := begin(r, request("a", 3, contact("sip:1", 3600)))
	r.await(t, clock, testSaveWithin)
	waits(t, answer)
	clock.Advance(testSaveWithin)
	if err := <-answer; err != nil {
		t.Fatal(err)
	}
	got := r.Locate("phone")
	if len(got) != 1 || !got[0].Expires.After(promised[0].Expires) || got[0].Expires.After(clock.Now().Add(outageExpires)) {
		t.Errorf("promised %+v, then %+v", promised, got)
	}
	log.setFailure(nil)
	answer = begin(r, request("a", 4, contact("sip:1", 3600)))
	r.await(t, clock, testSaveWithin)
	clock.Advance(testSaveWithin)
	if err := <-answer; err != nil {
		t.Fatal(err)
	}
	log.awaitCSeq(t, 4)
	if r.failing.Load() {
		t.Error("the outage has not ended")
	}
}
