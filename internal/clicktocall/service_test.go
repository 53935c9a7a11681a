package clicktocall

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bugle"
	"bugle/internal/call"
	"bugle/internal/callflow"
	"bugle/internal/callflow/callflowtest"
	"bugle/internal/store"
)

// phones is an Originator whose calls a test leads.
type phones struct {
	mu    sync.Mutex
	full  bool
	calls []*phoneCall
	begun chan *phoneCall
}

type phoneCall struct {
	callflow.Origination
	on    func(callflow.OriginationEvent)
	ended chan struct{}
	once  sync.Once
}

func (p *phones) Originate(o callflow.Origination, on func(callflow.OriginationEvent)) (Call, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.full {
		return nil, &bugle.Error{Kind: bugle.KindLimited}
	}
	c := &phoneCall{Origination: o, on: on, ended: make(chan struct{})}
	p.calls = append(p.calls, c)
	p.begun <- c
	return c, nil
}

func (c *phoneCall) Hangup() { c.end(call.OriginatorCancel) }

func (c *phoneCall) tell(states ...callflow.OriginationState) {
	for _, state := range states {
		c.on(callflow.OriginationEvent{State: state, At: time.Now()})
	}
}

func (c *phoneCall) end(cause call.Cause) {
	c.once.Do(func() {
		c.on(callflow.OriginationEvent{State: callflow.OriginationEnded, Cause: cause, At: time.Now()})
		close(c.ended)
	})
}

type world struct {
	*testing.T
	*Service
	store  *store.Store
	path   string
	docs   *documents
	phones *phones
	began  time.Time
	clock  atomic.Int64 // microseconds since then: one passes when it is read, so that attempts have an order, and none otherwise
	mu     sync.Mutex
	events []string
}

// documents are those of the house with endpoints.
type documents struct {
	*callflowtest.Documents
	mu        sync.Mutex
	endpoints map[string]bugle.ClickToCall
}

func (d *documents) ClickToCall(_ context.Context, _, id string) (bugle.ClickToCall, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e, ok := d.endpoints[id]
	if !ok {
		return e, &bugle.Error{Kind: bugle.KindNotFound}
	}
	return e, nil
}

func (d *documents) put(e bugle.ClickToCall) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.endpoints[e.ID] = e
}

var acme = bugle.Account{ID: callflowtest.AccountID, Name: "Acme", Realm: "acme.example.com", Enabled: true}

func open(t *testing.T, path string) *store.Store {
	t.Helper()
	s, err := store.OpenSQLite(context.Background(), path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newWorld(t *testing.T, more ...func(*Options)) *world {
	t.Helper()
	engine, flows := house(t)
	flows.Accounts[acme.ID] = acme
	w := &world{T: t, began: time.Now(), path: filepath.Join(t.TempDir(), "bugle.db"), phones: &phones{begun: make(chan *phoneCall, 10_000)},
		docs: &documents{Documents: flows, endpoints: map[string]bugle.ClickToCall{}}}
	w.store = open(t, w.path)
	o := Options{Store: w.store, Documents: w.docs, DialPlan: engine, Originator: w.phones, Now: func() time.Time {
		return w.began.Add(time.Duration(w.clock.Add(1)) * time.Microsecond)
	}, Notify: func(e Event) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.events = append(w.events, string(e.State))
	}, OnPanic: func(v any) { t.Error(v) }}
	for _, change := range more {
		change(&o)
	}
	w.Service = New(o)
	t.Cleanup(func() {
		w.Service.Close()
		w.store.Close()
	})
	return w
}

func (w *world) advance(d time.Duration) { w.clock.Add(d.Microseconds()) }

func (w *world) told() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.events)
}

// until waits for a condition.
func (w *world) until(what string, ok func() bool) {
	w.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			w.Fatal("never: ", what)
		}
	}
}

// written is the attempt in the database once it is in the state.
func (w *world) written(endpoint, id string, state State) (row store.AttemptRow) {
	w.Helper()
	w.until("written as "+string(state), func() bool {
		var err error
		row, err = w.store.GetAttempt(context.Background(), acme.ID, endpoint, id)
		return err == nil && row.State == string(state)
	})
	return row
}

func (w *world) history(endpoint string) (rows []store.AttemptRow) {
	w.Helper()
	q := store.AttemptQuery{AccountID: acme.ID, EndpointID: endpoint, Limit: 1000}
	for {
		page, next, err := w.store.Attempts(context.Background(), q)
		if err != nil {
			w.Fatal(err)
		}
		rows = append(rows, page...)
		if q.After = next; next == nil {
			return rows
		}
	}
}

func (w *world) request(contact string) Request {
	return Request{Account: acme, Endpoint: bugle.ClickToCall{ID: "button", Name: "Sales", Extension: "1001", AuthRequired: true, IgnoreEarlyMedia: true},
		Contact: contact, Requester: Requester{AccountID: acme.ID, Method: "user_auth", Address: "192.0.2.1"}}
}

func (w *world) anonymous(contact, address string) Request {
	r := w.request(contact)
	r.Endpoint.AuthRequired = false
	r.Requester = Requester{Method: "anonymous", Address: address}
	return r
}

func (w *world) connect(r Request) Attempt {
	w.Helper()
	a, err := w.Connect(context.Background(), r)
	if err != nil {
		w.Fatal(err)
	}
	return a
}

// refused is the refusal of a request.
func (w *world) refused(r Request) *Refusal {
	w.Helper()
	_, err := w.Connect(context.Background(), r)
	var refusal *Refusal
	if !errors.As(err, &refusal) {
		w.Fatalf("%+v was not refused: %v", r, err)
	}
	return refusal
}

func TestAnAttemptIsFollowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.request("4158867900")
	r.Endpoint.Variables = map[string]string{"a": "doc", "b": "doc"}
	r.Variables = map[string]string{"b": "request"}
	r.AutoAnswer = true
	a := w.connect(r)
	c := <-w.phones.begun
	wantOrigination := callflow.Origination{CallID: a.Row.CallID, AccountID: acme.ID, By: callflow.Authorizing{ID: "button", Type: "clicktocall"},
		AutoAnswer: true, Variables: map[string]string{"a": "doc", "b": "request"},
		First:  callflow.Destination{Number: "1001", Caller: call.Party{Name: "Sales", Number: "+14158867900"}, Callee: call.Party{Name: "1001", Number: "1001"}},
		Second: callflow.Destination{Number: "4158867900", Caller: call.Party{Name: "1001", Number: "1001"}, Callee: call.Party{Name: "Sales", Number: "+14158867900"}}}
	if diff := cmp.Diff(wantOrigination, c.Origination); diff != "" {
		t.Error(diff)
	}
	if !strings.HasPrefix(c.CallID, "c2c-button-") || len(c.CallID) != len("c2c-button-")+10 {
		t.Error(c.CallID)
	}
	c.tell(callflow.FirstRinging, callflow.FirstAnswered, callflow.SecondRinging)
	if row, err := w.Attempt(t.Context(), acme.ID, "button", a.Row.ID); err != nil || row.State != "second_ringing" {
		t.Errorf("%+v, %v", row, err)
	}
	for _, other := range [][3]string{{"other", "button", a.Row.ID}, {acme.ID, "other", a.Row.ID}, {acme.ID, "button", "x"}} {
		if _, err := w.Attempt(t.Context(), other[0], other[1], other[2]); bugle.KindOf(err) != bugle.KindNotFound {
			t.Errorf("%v: %v", other, err)
		}
	}
	c.tell(callflow.Bridged)
	if row, err := w.Wait(t.Context(), &r.Endpoint, a.Row.ID); err != nil || row.State != "bridged" || row.Bridged.IsZero() {
		t.Errorf("%+v, %v", row, err)
	}
	c.end(call.NormalClearing)
	row := w.written("button", a.Row.ID, Ended)
	if row.Cause != "NORMAL_CLEARING" || row.Started.IsZero() || row.Answered.IsZero() || row.Bridged.Before(row.Answered) || row.Ended.Before(row.Bridged) ||
		row.Node != "" || !strings.Contains(string(row.Requester), "192.0.2.1") {
		t.Errorf("%+v", row)
	}
	if diff := cmp.Diff([]string{"starting", "ringing", "answered", "second_ringing", "bridged", "ended"}, w.told()); diff != "" {
		t.Error(diff)
	}
	if rows := w.history("button"); len(rows) != 1 {
		t.Errorf("%d attempts", len(rows))
	}
	w.until("nothing is held", func() bool { return w.find(a.Row.ID) == nil })
}

func TestContactFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.anonymous("sip:ann@example.org", "192.0.2.1")
	r.Endpoint = bugle.ClickToCall{ID: "button", Name: "Sales", Extension: "4158867900", ContactFirst: true, CallerIDNumber: "2125550100", CalleeIDName: "Acme",
		Whitelist: []string{"sip:.*@example.org"}, Timeout: 20, Ringback: "tone", MusicOnHold: "moh", PresenceID: "p",
		BypassMedia: "auto", Headers: map[string]string{"X-A": "b"}, Variables: map[string]string{"a": "doc"}}
	r.AutoAnswer, r.Variables = true, map[string]string{"a": "visitor", "page": "/prices"}
	w.connect(r)
	c := <-w.phones.begun
	outside, inside := call.Party{Name: "Sales", Number: "2125550100"}, call.Party{Name: "Acme", Number: "+14158867900"}
	if diff := cmp.Diff(callflow.Origination{CallID: c.CallID, AccountID: acme.ID, By: callflow.Authorizing{ID: "button", Type: "clicktocall"},
		First:   callflow.Destination{URI: "sip:ann@example.org", Caller: inside, Callee: outside},
		Second:  callflow.Destination{Number: "4158867900", Caller: outside, Callee: inside},
		Timeout: 20 * time.Second, Bypass: call.BypassAuto, EarlyMedia: true, Ringback: "tone", HoldMusic: "moh", PresenceID: "p", Headers: map[string]string{"X-A": "b"},
		Variables: map[string]string{"a": "doc", "page": "/prices"}}, c.Origination); diff != "" {
		t.Error(diff) // an anonymous caller has no phone answer by itself, and writes over none of the document's variables
	}
	c.end(call.UserBusy)
}

func TestBlocking(t *testing.T) {
	t.Parallel()
	for cause, states := range map[call.Cause][]callflow.OriginationState{
		call.UserBusy: {callflow.FirstRinging}, call.NoAnswer: {callflow.FirstRinging, callflow.FirstAnswered, callflow.SecondRinging},
		call.CallRejected: {}, call.SubscriberAbsent: {}, call.UnallocatedNumber: {callflow.FirstRinging, callflow.FirstAnswered},
		call.OriginatorCancel: {callflow.FirstRinging, callflow.FirstAnswered, callflow.SecondRinging},
	} {
		t.Run(string(cause), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			r := w.request("1001")
			a := w.connect(r)
			c := <-w.phones.begun
			go func() {
				c.tell(states...)
				c.end(cause)
			}()
			row, err := w.Wait(t.Context(), &r.Endpoint, a.Row.ID)
			if err != nil || row.State != "unanswered" || row.Cause != string(cause) || !row.Bridged.IsZero() {
				t.Errorf("%+v, %v", row, err)
			}
		})
	}
}

// TestBlockingTimesOut: the answer comes in the endpoint's timeout and a second, and nobody is rung after it.
func TestBlockingTimesOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.request("1001")
	r.Endpoint.Timeout = 1
	began := time.Now()
	a := w.connect(r)
	c := <-w.phones.begun
	c.tell(callflow.FirstRinging, callflow.FirstAnswered, callflow.SecondRinging)
	row, err := w.Wait(t.Context(), &r.Endpoint, a.Row.ID)
	if took := time.Since(began); err != nil || row.State != "unanswered" || row.Cause != CauseTimedOut || took < time.Second || took > 2500*time.Millisecond {
		t.Errorf("%s: %+v, %v", took, row, err)
	}
	<-c.ended
	c.tell(callflow.Bridged) // too late
	if row := w.written("button", a.Row.ID, Unanswered); row.Cause != CauseTimedOut || !row.Bridged.IsZero() {
		t.Errorf("%+v", row)
	}
	// Who goes away does not end the call.
	a = w.connect(r)
	c = <-w.phones.begun
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Wait(ctx, &r.Endpoint, a.Row.ID); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	c.tell(callflow.Bridged)
	c.end(call.NormalClearing)
	w.written("button", a.Row.ID, Ended)
}

func TestNobodyIsKeptWaitingForAMinute(t *testing.T) {
	t.Parallel()
	for timeout, want := range map[int]time.Duration{0: 30900 * time.Millisecond, 5: 5900 * time.Millisecond, 58: 58900 * time.Millisecond,
		59: 59 * time.Second, 600: 59 * time.Second} {
		if got := longestWait(&bugle.ClickToCall{Timeout: timeout}); got != want {
			t.Errorf("with a timeout of %d: %s, want %s", timeout, got, want)
		}
	}
}

// TestBypass: what the document says of it is what the call is ordered with.
func TestBypass(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for said, want := range map[string]call.BypassMedia{"": call.BypassNever, "false": call.BypassNever, "auto": call.BypassAuto, "true": call.BypassAlways} {
		r := w.request("1001")
		r.Endpoint.BypassMedia = said
		if a := w.connect(r); a.Origination.Bypass != want {
			t.Errorf("%q: %d, want %d", said, a.Origination.Bypass, want)
		}
	}
}

// TestRefusals: each with its reason in the history, none of them called, and none counted by a limit that comes later.
func TestRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	quiet := func(r *Request) {
		now := w.now()
		r.Endpoint.QuietHours = &bugle.QuietHours{From: now.Add(-time.Hour).Format("15:04"), To: now.Add(time.Hour).Format("15:04")}
	}
	var want []string
	for i, c := range []struct {
		change func(*Request)
		reason Reason
	}{
		{func(r *Request) { r.Contact = "" }, ContactRequired},
		{func(r *Request) { r.Contact = "1\r\nX: y" }, ContactInvalid},
		{func(r *Request) { r.Contact = strings.Repeat("1", 10_000) }, ContactInvalid},
		{func(r *Request) { r.Contact = "1002" }, ReasonExtension},
		{func(r *Request) { r.Contact = "911" }, ReasonEmergency},
		{func(r *Request) { r.Endpoint.Whitelist = []string{"5"} }, ReasonWhitelist},
		{func(r *Request) { r.Refused = &Refusal{Reason: ReasonOrigin, Message: "m"} }, ReasonOrigin},
		{func(r *Request) { r.Account.Enabled = false }, ReasonDisabled},
		{func(r *Request) { r.Token = &Token{ID: "t", Contact: "1002"} }, ReasonToken},
		{func(r *Request) { r.Variables = map[string]string{"a b": ""} }, ReasonVariables},
		{func(r *Request) { r.Variables = map[string]string{"a": "\r\n"} }, ReasonVariables},
		{func(r *Request) { r.Variables = map[string]string{"a": strings.Repeat("x", 1025)} }, ReasonVariables},
		{func(r *Request) { r.Key = "\x00" }, ReasonKey},
		{func(r *Request) { r.Key = strings.Repeat("k", 256) }, ReasonKey},
		{quiet, ReasonQuiet},
		{func(r *Request) { r.At = w.now().Add(-time.Second) }, ReasonSchedule},
		{func(r *Request) { r.At = w.now().Add(31 * 24 * time.Hour) }, ReasonSchedule},
		{func(r *Request) { quiet(r); r.At = w.now().Add(time.Minute) }, ReasonQuiet},
	} {
		r := w.anonymous("1001", "192.0.2.1")
		c.change(&r)
		refusal := w.refused(r)
		if refusal.Reason != c.reason || refusal.Message == "" || (c.reason == ReasonQuiet) != !refusal.Until.IsZero() {
			t.Errorf("%d: %+v, want %s", i, refusal, c.reason)
		}
		want = append([]string{string(c.reason)}, want...)
	}
	w.until("all are in the history", func() bool { return len(w.history("button")) == len(want) })
	var got []string
	for _, row := range w.history("button") {
		got = append(got, row.Reason)
		if row.State != "refused" || row.Cause == "" || row.CallID != "" || !row.Started.IsZero() || len(row.Contact) > 300 {
			t.Errorf("%+v", row)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(w.phones.begun) != 0 || len(w.told()) != 0 {
		t.Errorf("%d calls, %v", len(w.phones.begun), w.told())
	}
	// None of them was counted.
	for range 5 {
		w.connect(w.anonymous("1001", "192.0.2.1"))
	}
	if r := w.refused(w.anonymous("1001", "192.0.2.1")); r.Reason != ReasonRate || r.Retry <= 0 || r.Retry > 12*time.Second {
		t.Errorf("%+v", r)
	}
	// A contact that is refused is refused as such, whatever the limits.
	if r := w.refused(w.anonymous("911", "192.0.2.1")); r.Reason != ReasonEmergency {
		t.Errorf("%+v", r)
	}
	for i := range 25 {
		w.connect(w.anonymous("1001", fmt.Sprint("192.0.2.", 10+i/5)))
	}
	if r := w.refused(w.anonymous("1001", "192.0.2.99")); r.Reason != ReasonRate {
		t.Errorf("the endpoint's limit: %+v", r)
	}
	for range 5 { // which is not counted for the address
		_ = w.refused(w.anonymous("1001", "192.0.2.98"))
	}
	elsewhere := w.anonymous("1001", "192.0.2.98")
	elsewhere.Endpoint.ID = "another"
	w.connect(elsewhere)
	token := w.anonymous("1001", "192.0.2.1")
	token.Token = &Token{ID: "good", Contact: "1001", Expires: w.now().Add(time.Minute)}
	w.connect(token) // a token lifts them
	if r := w.refused(token); r.Reason != ReasonToken {
		t.Errorf("a token was good twice: %+v", r)
	}
	for range 40 { // and so does one of the API
		w.connect(w.request("1001"))
	}
	w.advance(12 * time.Second)
	w.connect(w.anonymous("1001", "192.0.2.1"))
}

func TestThrottleAndCapacity(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.request("1001")
	r.Endpoint.Throttle = 60
	if refusal := w.refused(func() Request { r := r; r.Contact = "911"; return r }()); refusal.Reason != ReasonEmergency {
		t.Error(refusal)
	}
	w.phones.full = true
	refusal := w.refused(r)
	if refusal.Reason != ReasonCapacity || refusal.Retry <= 0 {
		t.Errorf("%+v", refusal)
	}
	w.phones.mu.Lock()
	w.phones.full = false
	w.phones.mu.Unlock()
	w.connect(r) // neither of those was placed
	if refusal = w.refused(r); refusal.Reason != ReasonThrottle || refusal.Retry < 50*time.Second || refusal.Retry > time.Minute {
		t.Errorf("%+v", refusal)
	}
	w.advance(59 * time.Second)
	if refusal = w.refused(r); refusal.Reason != ReasonThrottle || refusal.Retry > 2*time.Second {
		t.Errorf("a refused one counted: %+v", refusal)
	}
	w.advance(time.Second)
	w.connect(r)
	w.until("all are in the history", func() bool { return len(w.history("button")) == 6 })
	if row := w.history("button")[4]; row.State != "refused" || row.Reason != "no_resources" || row.CallID != "" {
		t.Errorf("%+v", row)
	}
}

// TestWhatIsNotPlacedIsNotCounted: who asks too soon is told so, however often, and has used up nothing of the limits.
func TestWhatIsNotPlacedIsNotCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.anonymous("1001", "192.0.2.1")
	r.Endpoint.Throttle = 1
	w.connect(r)
	for i := range 10 {
		if refusal := w.refused(r); refusal.Reason != ReasonThrottle {
			t.Fatalf("%d: %+v", i, refusal)
		}
	}
	w.advance(time.Second)
	w.connect(r)
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.anonymous("1001", "192.0.2.1")
	r.Key = "click"
	var wg sync.WaitGroup
	ids := make([]string, 20)
	for i := range ids {
		wg.Go(func() {
			r := r
			r.Requester.Address = fmt.Sprint("192.0.2.", i)
			a, err := w.Connect(context.Background(), r)
			if err != nil {
				t.Error(err)
			}
			ids[i] = a.Row.ID
		})
	}
	wg.Wait()
	if len(w.phones.begun) != 1 || len(slices.Compact(slices.Sorted(slices.Values(ids)))) != 1 {
		t.Errorf("%d calls, %v", len(w.phones.begun), ids)
	}
	for range 10 { // it is no new attempt, so it costs nothing
		if a := w.connect(r); !a.Repeated || a.Row.ID != ids[0] {
			t.Errorf("%+v", a)
		}
	}
	r.Contact = "sip:bob@acme.example.com"
	if refusal := w.refused(r); refusal.Reason != ReasonKeyReused {
		t.Errorf("%+v", refusal)
	}
	// What was refused keeps no key.
	r = w.request("1001")
	r.Key, r.Endpoint.Throttle = "later", 60
	w.connect(func() Request { r := r; r.Key = ""; return r }())
	if refusal := w.refused(r); refusal.Reason != ReasonThrottle {
		t.Errorf("%+v", refusal)
	}
	w.advance(time.Minute)
	w.connect(r)
}

func TestFollow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.connect(w.request("1001"))
	c := <-w.phones.begun
	follow := func(known State, wait time.Duration) State {
		row, err := w.Follow(context.Background(), acme.ID, "button", a.Row.ID, known, wait)
		if err != nil {
			t.Error(err)
		}
		return State(row.State)
	}
	if got := follow(Starting, 0); got != Starting {
		t.Error(got)
	}
	if got := follow(Ringing, time.Hour); got != Starting { // it is in another one
		t.Error(got)
	}
	if got := follow(Starting, 10*time.Millisecond); got != Starting {
		t.Error(got)
	}
	got := make(chan State)
	go func() { got <- follow(Starting, time.Hour) }()
	w.until("somebody waits", func() bool {
		w.Service.mu.Lock()
		defer w.Service.mu.Unlock()
		return w.waiting == 1
	})
	c.tell(callflow.FirstRinging)
	if state := <-got; state != Ringing {
		t.Error(state)
	}
	go func() { got <- follow(Ringing, time.Hour) }()
	c.end(call.UserBusy)
	if state := <-got; state != Unanswered {
		t.Error(state)
	}
	if state := follow(Unanswered, time.Hour); state != Unanswered { // nothing follows
		t.Error(state)
	}
	if _, err := w.Follow(t.Context(), acme.ID, "button", "x", "", time.Hour); bugle.KindOf(err) != bugle.KindNotFound {
		t.Error(err)
	}
}

func TestHangup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.connect(w.request("1001"))
	if _, err := w.Service.Hangup(t.Context(), acme.ID, "button", a.Row.ID); err != nil {
		t.Error(err)
	}
	if row := w.written("button", a.Row.ID, Unanswered); row.Cause != "ORIGINATOR_CANCEL" {
		t.Errorf("%+v", row)
	}
	if row, err := w.Service.Hangup(t.Context(), acme.ID, "button", a.Row.ID); err != nil || row.State != "unanswered" {
		t.Errorf("%+v, %v", row, err)
	}
	r := w.request("1001")
	r.At = w.now().Add(time.Hour)
	later := w.connect(r)
	if row, err := w.Service.Hangup(t.Context(), acme.ID, "button", later.Row.ID); err != nil || row.State != "canceled" {
		t.Errorf("%+v, %v", row, err)
	}
	if _, err := w.Service.Hangup(t.Context(), "other", "button", later.Row.ID); bugle.KindOf(err) != bugle.KindNotFound {
		t.Error(err)
	}
	w.until("another server has one", func() bool {
		done := make(chan error, 1)
		w.store.SubmitAttempt(store.AttemptRow{ID: "elsewhere", AccountID: acme.ID, EndpointID: "button", State: "ringing", Node: "n", Lease: w.now().Add(time.Hour)},
			func(err error) { done <- err })
		return <-done == nil
	})
	if _, err := w.Service.Hangup(t.Context(), acme.ID, "button", "elsewhere"); bugle.KindOf(err) != bugle.KindConflict {
		t.Error(err)
	}
}

// TestMany: what a hundred callers a second ask for is in the history, made or refused.
func TestMany(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const many = 1500
	var wg sync.WaitGroup
	for i := range many {
		wg.Go(func() {
			r := w.request([]string{"1001", "911", ""}[i%3])
			_, err := w.Connect(context.Background(), r)
			var refusal *Refusal
			if i%3 == 0 && err != nil || i%3 > 0 && !errors.As(err, &refusal) {
				t.Error(err)
			}
		})
	}
	go func() {
		for range many / 3 {
			c := <-w.phones.begun
			c.tell(callflow.FirstRinging, callflow.FirstAnswered, callflow.Bridged)
			c.end(call.NormalClearing)
		}
	}()
	wg.Wait()
	states := map[string]int{}
	w.until("all are in the history", func() bool {
		clear(states)
		for _, row := range w.history("button") {
			states[row.State+" "+row.Reason]++
		}
		return states["ended "] == many/3 && len(states) == 3
	})
	if diff := cmp.Diff(map[string]int{"ended ": many / 3, "refused emergency": many / 3, "refused contact_required": many / 3}, states); diff != "" {
		t.Error(diff)
	}
}

// flaky is a store that takes no writes for a while.
type flaky struct {
	*store.Store
	down atomic.Bool
}

func (f *flaky) SubmitAttempt(row store.AttemptRow, done func(error)) {
	if f.down.Load() {
		done(&bugle.Error{Kind: bugle.KindUnavailable})
		return
	}
	f.Store.SubmitAttempt(row, done)
}

// TestOutage: what happens while the database does not answer is written when it does.
func TestOutage(t *testing.T) {
	t.Parallel()
	var f *flaky
	w := newWorld(t, func(o *Options) {
		f = &flaky{Store: o.Store.(*store.Store)}
		o.Store = f
	})
	a := w.connect(w.request("1001"))
	c := <-w.phones.begun
	f.down.Store(true)
	w.refused(w.request(""))
	c.tell(callflow.FirstAnswered, callflow.Bridged)
	c.end(call.NormalClearing)
	if row, err := w.Attempt(t.Context(), acme.ID, "button", a.Row.ID); err != nil || row.State != "ended" {
		t.Errorf("%+v, %v", row, err)
	}
	if rows := w.history("button"); len(rows) != 1 || rows[0].State != "starting" {
		t.Errorf("%+v", rows)
	}
	f.down.Store(false)
	w.written("button", a.Row.ID, Ended)
	w.until("the refusal too", func() bool { return len(w.history("button")) == 2 })
}

func TestScheduled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.anonymous("1001", "192.0.2.1")
	r.At, r.Variables = w.now().Add(time.Hour), map[string]string{"page": "/p"}
	w.docs.put(r.Endpoint)
	a := w.connect(r)
	if a.Row.State != "scheduled" || len(w.phones.begun) != 0 {
		t.Errorf("%+v", a)
	}
	if refusal := w.refused(r); refusal.Reason != ReasonFull { // one to a contact is enough for strangers
		t.Errorf("%+v", refusal)
	}
	// It survives a restart, and quiet hours that came meanwhile.
	w.Service.Close()
	w.store.Close()
	w.store = open(t, w.path)
	w.o.Store = w.store
	quiet := r.Endpoint
	quiet.QuietHours = &bugle.QuietHours{From: w.now().Add(30 * time.Minute).Format("15:04"), To: w.now().Add(3 * time.Hour).Format("15:04")}
	w.docs.put(quiet)
	w.Service = New(w.o)
	w.advance(time.Hour + time.Second)
	w.until("it is put off", func() bool {
		row, err := w.store.GetAttempt(t.Context(), acme.ID, "button", a.Row.ID)
		return err == nil && row.State == "scheduled" && row.Due.Sub(a.Row.Due) > time.Hour
	})
	if len(w.phones.begun) != 0 {
		t.Error("somebody was called in quiet hours")
	}
	w.advance(2 * time.Hour)
	c := <-w.phones.begun
	if c.Variables["page"] != "/p" || c.Second.Number != "1001" || c.By.ID != "button" {
		t.Errorf("%+v", c.Origination)
	}
	c.tell(callflow.Bridged)
	c.end(call.NormalClearing)
	if row := w.written("button", a.Row.ID, Ended); row.CallID != c.CallID || row.Started.IsZero() {
		t.Errorf("%+v", row)
	}
}

// TestScheduledIsJudgedAgain: by the rules of the moment at which it is due.
func TestScheduledIsJudgedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := w.now().Add(time.Hour)
	schedule := func(id string) (Attempt, bugle.ClickToCall) {
		r := w.request("1001")
		r.Endpoint.ID, r.At = id, at
		w.docs.put(r.Endpoint)
		return w.connect(r), r.Endpoint
	}
	gone, _ := schedule("gone")
	listed, e := schedule("listed")
	e.Whitelist = []string{"5"}
	w.docs.put(e)
	w.docs.mu.Lock()
	delete(w.docs.endpoints, "gone")
	w.docs.mu.Unlock()
	throttled, e := schedule("throttled")
	e.Throttle = 60
	w.docs.put(e)
	w.advance(time.Hour - time.Second)
	now := w.request("1001")
	now.Endpoint = e
	w.connect(now)
	<-w.phones.begun
	w.phones.mu.Lock()
	w.phones.full = true
	w.phones.mu.Unlock()
	full, _ := schedule("full")
	w.advance(2 * time.Second)
	if row := w.written("gone", gone.Row.ID, Unanswered); row.Cause != CauseDeleted {
		t.Errorf("%+v", row)
	}
	if row := w.written("listed", listed.Row.ID, Refused); row.Reason != "whitelist" {
		t.Errorf("%+v", row)
	}
	putOff := func(endpoint, id string) {
		t.Helper()
		w.until("put off", func() bool {
			row, err := w.store.GetAttempt(t.Context(), acme.ID, endpoint, id)
			return err == nil && row.State == "scheduled" && row.Due.After(at) && row.CallID == ""
		})
	}
	putOff("throttled", throttled.Row.ID)
	putOff("full", full.Row.ID)
	w.phones.mu.Lock()
	w.phones.full = false
	w.phones.mu.Unlock()
	w.advance(2 * time.Minute)
	for range 2 {
		(<-w.phones.begun).end(call.UserBusy)
	}
	w.written("throttled", throttled.Row.ID, Unanswered)
	w.written("full", full.Row.ID, Unanswered)
}

// TestScheduledForTooLong: a call that was due while no server was there is not made hours later.
func TestScheduledForTooLong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.request("1001")
	r.At = w.now().Add(time.Minute)
	w.docs.put(r.Endpoint)
	row := w.connect(r).Row
	row.Due = row.Due.Add(-2 * time.Hour)
	done := make(chan error)
	w.store.SubmitAttempt(row, func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if row := w.written("button", row.ID, Unanswered); row.Cause != CauseTooLate || len(w.phones.begun) != 0 {
		t.Errorf("%+v", row)
	}
}

// TestADeadProcess: what it left is ended by the next, and says so.
func TestADeadProcess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rang, talked, here := w.connect(w.request("1001")), w.connect(w.request("1001")), w.connect(w.request("1001"))
	for range 3 {
		if c := <-w.phones.begun; c.CallID == talked.Row.CallID {
			c.tell(callflow.Bridged)
			w.written("button", talked.Row.ID, Bridged)
		}
	}
	// The process forgets two of them, as one that died would.
	w.Service.mu.Lock()
	delete(w.held, rang.Row.ID)
	delete(w.held, talked.Row.ID)
	w.Service.mu.Unlock()
	w.advance(leaseTime / 2)
	w.renew(t.Context(), w.now())
	w.advance(leaseTime/2 + time.Second)
	w.endLost(t.Context(), w.now())
	if row := w.written("button", rang.Row.ID, Unanswered); row.Cause != CauseLost {
		t.Errorf("%+v", row)
	}
	if row := w.written("button", talked.Row.ID, Ended); row.Cause != CauseLost {
		t.Errorf("%+v", row)
	}
	if row, err := w.store.GetAttempt(t.Context(), acme.ID, "button", here.Row.ID); err != nil || row.State != "starting" {
		t.Errorf("one that lives: %+v, %v", row, err)
	}
}

func TestRequesterIsKept(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(Requester{AccountID: "a", UserID: "u", Method: "user_auth", Address: "192.0.2.1", Origin: "https://a.example", RequestID: "r"})
	if want := `{"account_id":"a","user_id":"u","method":"user_auth","client_ip":"192.0.2.1","origin":"https://a.example","request_id":"r"}`; err != nil || string(text) != want {
		t.Errorf("%s, %v", text, err)
	}
}
