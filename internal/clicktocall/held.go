package clicktocall

import (
	"context"
	"sync"
	"time"

	"bugle"
	"bugle/internal/callflow"
	"bugle/internal/store"
)

// held is an attempt whose call is in this process, or one that is not written yet.
type held struct {
	mu      sync.Mutex
	row     store.AttemptRow
	version int // of row
	owed    bool
	call    Call // nil before it was begun, and for attempts without one
	hangup  bool // was asked for before

	decided chan struct{} // closed when the second party has answered, or never will
	changed chan struct{} // closed with each state, then another one
}

func hold(row store.AttemptRow) *held {
	return &held{row: row, decided: make(chan struct{}), changed: make(chan struct{})}
}

func (h *held) over() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return State(h.row.State).Final()
}

func (h *held) look() (row store.AttemptRow, changed <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.row, h.changed
}

// keep holds an attempt until it is over and written. It reports false when as many wait to be written as may.
func (s *Service) keep(h *held) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.held) >= maxOwed {
		return false
	}
	s.held[h.row.ID] = h
	return true
}

// keepAlways is keep of an attempt that the store has.
func (s *Service) keepAlways(h *held) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[h.row.ID] = h
}

func (s *Service) find(id string) *held {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held[id]
}

// change brings an attempt into another state, unless it is over, and has it written and told. more writes what else
// changes.
func (s *Service) change(h *held, state State, at time.Time, more func(row *store.AttemptRow)) {
	h.mu.Lock()
	defer h.mu.Unlock() // also while it is told: in order
	s.changeLocked(h, state, at, more)
}

func (s *Service) changeLocked(h *held, state State, at time.Time, more func(row *store.AttemptRow)) {
	if State(h.row.State).Final() {
		return
	}
	h.row.State = string(state)
	if more != nil {
		more(&h.row)
	}
	if state.Final() || state == Scheduled {
		h.row.Node, h.row.Lease = "", time.Time{}
	} else {
		h.row.Lease = s.now().Add(leaseTime)
	}
	if state.Final() && state != Refused {
		h.row.Ended = at
	}
	h.version++
	close(h.changed)
	h.changed = make(chan struct{})
	if state.Final() || state == Bridged {
		select {
		case <-h.decided:
		default:
			close(h.decided)
		}
	}
	s.submit(h)
	s.o.Notify(eventOf(&h.row, at))
}

// submit has the row written; h is locked. What the database does not take is owed.
func (s *Service) submit(h *held) {
	row, version := h.row, h.version
	h.owed = false
	s.o.Store.SubmitAttempt(row, func(err error) {
		// Not in the goroutine that submitted: the writer's, or that of a store which is closed.
		go s.submitted(h, row, version, err)
	})
}

func (s *Service) submitted(h *held, row store.AttemptRow, version int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.version != version {
		return
	}
	switch {
	case err != nil && bugle.KindOf(err) == bugle.KindUnavailable:
		h.owed = true
		return
	case err != nil:
		s.o.Log.Error("an attempt was not kept", "attempt", row.ID, "error", err)
	}
	if State(row.State).Final() || State(row.State) == Scheduled {
		s.mu.Lock()
		delete(s.held, row.ID)
		s.mu.Unlock()
	}
}

// repay writes what is owed.
func (s *Service) repay() {
	s.mu.Lock()
	var owed []*held
	for _, h := range s.held {
		owed = append(owed, h)
	}
	s.mu.Unlock()
	for _, h := range owed {
		h.mu.Lock()
		if h.owed {
			s.submit(h)
		}
		h.mu.Unlock()
	}
}

// begin has the call made. An error leaves the attempt as it is.
func (s *Service) begin(h *held, o callflow.Origination) error {
	begun, err := s.o.Originator.Originate(o, func(e callflow.OriginationEvent) { s.heard(h, e) })
	if err != nil {
		return err
	}
	h.mu.Lock()
	h.call = begun
	over := h.hangup || State(h.row.State).Final()
	h.mu.Unlock()
	if over { // meanwhile
		begun.Hangup()
	}
	return nil
}

// heard follows the call.
func (s *Service) heard(h *held, e callflow.OriginationEvent) {
	at := e.At.UTC().Truncate(time.Microsecond)
	switch e.State {
	case callflow.FirstRinging:
		s.change(h, Ringing, at, nil)
	case callflow.FirstAnswered:
		s.change(h, Answered, at, func(row *store.AttemptRow) { row.Answered = at })
	case callflow.SecondRinging:
		s.change(h, SecondRinging, at, nil)
	case callflow.Bridged:
		s.change(h, Bridged, at, func(row *store.AttemptRow) { row.Bridged = at })
	case callflow.OriginationEnded:
		s.end(h, at, string(e.Cause))
	}
}

// end ends an attempt, well when its parties talked.
func (s *Service) end(h *held, at time.Time, cause string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	state := Unanswered
	if !h.row.Bridged.IsZero() {
		state = Ended
	}
	s.changeLocked(h, state, at, func(row *store.AttemptRow) { row.Cause = cause })
}

const (
	defaultTimeout = callflow.DefaultOriginateTimeout
	mostBlocking   = 59 * time.Second // an HTTP server gives a request a minute
	maxWaiting     = 2000             // who wait for a state at once
)

// Wait returns when the second party has answered or never will, and the attempt as it is then. One that is undecided
// when the endpoint's timeout and most of a second are over, at most a minute, is ended: who was told that nobody answered is
// not called. When ctx ends first the call goes on.
func (s *Service) Wait(ctx context.Context, endpoint *bugle.ClickToCall, id string) (store.AttemptRow, error) {
	h := s.find(id)
	if h == nil {
		return store.AttemptRow{}, &bugle.Error{Op: "clicktocall.Wait", Kind: bugle.KindNotFound, Message: "no such attempt"}
	}
	timer := time.NewTimer(longestWait(endpoint))
	defer timer.Stop()
	select {
	case <-h.decided:
	case <-ctx.Done():
		return store.AttemptRow{}, ctx.Err()
	case <-timer.C:
		s.cut(h)
	}
	row, _ := h.look()
	return row, nil
}

// longestWait is how long a blocking connect waits.
func longestWait(endpoint *bugle.ClickToCall) time.Duration {
	timeout := defaultTimeout
	if endpoint.Timeout > 0 {
		timeout = time.Duration(endpoint.Timeout) * time.Second
	}
	return min(timeout+900*time.Millisecond, mostBlocking)
}

// cut ends an attempt that is undecided.
func (s *Service) cut(h *held) {
	h.mu.Lock()
	if !h.row.Bridged.IsZero() {
		h.mu.Unlock()
		return
	}
	begun := h.call
	s.changeLocked(h, Unanswered, s.now(), func(row *store.AttemptRow) { row.Cause = CauseTimedOut })
	h.mu.Unlock()
	if begun != nil {
		begun.Hangup()
	}
}

// Attempt returns an attempt as it is now; KindNotFound when there is none through this endpoint.
func (s *Service) Attempt(ctx context.Context, accountID, endpointID, id string) (store.AttemptRow, error) {
	if h := s.find(id); h != nil {
		if row, _ := h.look(); row.AccountID == accountID && row.EndpointID == endpointID {
			return row, nil
		}
	}
	return s.o.Store.GetAttempt(ctx, accountID, endpointID, id)
}

// Refresh brings rows that were read from the store to what they are now: a state is written with those of the next moment.
func (s *Service) Refresh(rows []store.AttemptRow) {
	for i := range rows {
		if h := s.find(rows[i].ID); h != nil {
			rows[i], _ = h.look()
		}
	}
}

// Follow is Attempt that returns when the attempt is in another state than known, or after wait. Of too many who wait, it
// returns at once.
func (s *Service) Follow(ctx context.Context, accountID, endpointID, id string, known State, wait time.Duration) (store.AttemptRow, error) {
	row, err := s.Attempt(ctx, accountID, endpointID, id)
	if err != nil || wait <= 0 || State(row.State) != known || known.Final() || !s.enter() {
		return row, err
	}
	defer s.leave()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for State(row.State) == known {
		var changed <-chan struct{}
		var look <-chan time.Time // at one that another server holds, or that is not due
		if h := s.find(id); h != nil {
			if row, changed = h.look(); State(row.State) != known {
				break
			}
		} else {
			look = time.After(tickEvery)
		}
		select {
		case <-changed:
		case <-look:
		case <-timer.C:
			return row, nil
		case <-ctx.Done():
			return row, ctx.Err()
		case <-s.ctx.Done():
			return row, nil
		}
		if row, err = s.Attempt(ctx, accountID, endpointID, id); err != nil {
			return row, err
		}
	}
	return row, nil
}

func (s *Service) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting >= maxWaiting {
		return false
	}
	s.waiting++
	return true
}

func (s *Service) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting--
}

// Hangup ends the call of an attempt, or cancels one that is scheduled. KindConflict when the call is on another server.
func (s *Service) Hangup(ctx context.Context, accountID, endpointID, id string) (store.AttemptRow, error) {
	for {
		row, err := s.Attempt(ctx, accountID, endpointID, id)
		if err != nil || State(row.State).Final() {
			return row, err
		}
		if State(row.State) == Scheduled {
			done, err := s.o.Store.CancelScheduled(ctx, id, string(Canceled), CauseCanceled, s.now())
			if err != nil {
				return row, err
			}
			if !done { // it became due
				continue
			}
			row, err = s.o.Store.GetAttempt(ctx, accountID, endpointID, id)
			if err == nil {
				s.o.Notify(eventOf(&row, s.now()))
			}
			return row, err
		}
		h := s.find(id)
		if h == nil {
			return row, &bugle.Error{Op: "clicktocall.Hangup", Kind: bugle.KindConflict, Message: "another server holds the call"}
		}
		h.mu.Lock()
		begun := h.call
		h.hangup = true
		h.mu.Unlock()
		if begun != nil {
			begun.Hangup()
		}
		row, _ = h.look()
		return row, nil
	}
}
