package registrar

import (
	"fmt"
	"testing"
	"time"

	"bugle"
)

func (l *memoryLog) setFailure(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail = err
}

func (l *memoryLog) row(contact string) (Binding, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.rows[Key{"phone", contact}]
	return b, ok
}

// TestPhonesStayRegisteredWhileTheLogDoesNotAnswer: they come, refresh and go in memory, for short times, and the log
// hears of it when it is back.
func TestPhonesStayRegisteredWhileTheLogDoesNotAnswer(t *testing.T) {
	t.Parallel()
	clock, log := newClock(), &memoryLog{}
	r := New(Options{Clock: clock, Log: log})
	defer r.Close()
	for _, uri := range []string{"sip:desk", "sip:leaves"} {
		if _, err := register(r, request(uri, 1, contact(uri, 300))); err != nil {
			t.Fatal(err)
		}
	}
	log.setFailure(&bugle.Error{Op: "test", Kind: bugle.KindUnavailable})
	granted := func(uri string, cseq uint32, want time.Duration) {
		t.Helper()
		bindings, err := register(r, request(uri, cseq, contact(uri, 3600)))
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range bindings {
			if b.Contact == uri && b.Expires.Sub(clock.Now()) == want {
				return
			}
		}
		t.Errorf("%s: %+v, want %v", uri, bindings, want)
	}
	granted("sip:desk", 2, 5*time.Minute) // what it had is not taken from it
	clock.Advance(200 * time.Second)
	granted("sip:desk", 3, 2*time.Minute)
	granted("sip:new", 1, 2*time.Minute)
	if _, err := register(r, request("sip:leaves", 2, contact("sip:leaves", 0))); err != nil {
		t.Fatal(err)
	}
	clock.Advance(110 * time.Second)
	granted("sip:desk", 4, 2*time.Minute) // the outage lasts longer than the registration
	if got := r.Locate("phone"); len(got) != 2 || got[0].Contact != "sip:desk" || got[1].Contact != "sip:new" {
		t.Errorf("found are %+v", got)
	}
	if log.len() != 2 {
		t.Error("the log has changed")
	}
	log.setFailure(nil)
	granted("sip:desk", 5, time.Hour)
	if desk, ok := log.row("sip:desk"); !ok || desk.CSeq != 5 {
		t.Errorf("the log has %+v", desk)
	}
	if fresh, ok := log.row("sip:new"); !ok || !fresh.Expires.Equal(clock.Now().Add(10*time.Second)) {
		t.Errorf("the log has %+v, %v", fresh, ok)
	}
	if _, ok := log.row("sip:leaves"); ok {
		t.Error("the log has the one that left")
	}
}

// TestWhatIsOwedIsSavedAtTheEnd: more than one step of the log takes, by a server that stops when the log is back.
func TestWhatIsOwedIsSavedAtTheEnd(t *testing.T) {
	t.Parallel()
	log := &memoryLog{fail: &bugle.Error{Op: "test", Kind: bugle.KindUnavailable}}
	r := New(Options{Clock: newClock(), Log: log})
	for i := range 2*maxBatch + 1 {
		req := request("a", 1, contact("sip:1", 300))
		req.DeviceID = fmt.Sprint("phone", i)
		if _, err := register(r, req); err != nil {
			t.Fatal(err)
		}
	}
	log.setFailure(nil)
	r.Close()
	if log.len() != 2*maxBatch+1 || log.saves < 3 {
		t.Errorf("%d were saved in %d steps", log.len(), log.saves)
	}
}
