package socket

import (
	"slices"
	"strings"

	"github.com/coder/websocket"

	"bugle/internal/event/kazoo"
)

// Listens reports whether anybody is told of calls of an account. It costs nothing while nobody is told of any.
func (s *Server) Listens(accountID string) bool {
	if s.listeners.Load() == 0 {
		return false
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.listening[accountID] > 0 || s.listening[anything] > 0
}

// Call tells of a leg of a call: of what its Event says, "channel_hold" or "park_parked". It is where every event of a call enters, and
// never blocks: when more wait than can be kept, those who have subscribed to calls are told that they have missed something.
func (s *Server) Call(c kazoo.Channel) {
	event := strings.ToUpper(c.Event)
	if !slices.Contains(callEvents, event) || !s.Listens(c.AccountID) {
		return
	}
	e := &occurrence{account: c.AccountID, family: familyCall, event: event, id: c.CallID, owners: func() [2]string { return [2]string{c.OwnerID} }}
	e.tells = func() map[string]any {
		data := c.Fields()
		delete(data, "hook_event")
		data["event_category"], data["event_name"] = "call_event", event
		return s.common(data)
	}
	select {
	case s.calls <- e:
	default:
		s.counts.lost.Add(1)
		s.lost.Store(true)
	}
}

// tellCalls tells of calls in the order in which their events came.
func (s *Server) tellCalls() {
	for {
		select {
		case <-s.ended:
			return
		case e := <-s.calls:
			s.tellCall(e)
		}
	}
}

func (s *Server) tellCall(e *occurrence) {
	defer func() {
		if v := recover(); v != nil {
			s.opts.OnPanic(v)
		}
	}()
	if s.lost.Swap(false) {
		s.loseCalls()
	}
	s.publish(e)
}

// loseCalls ends the sessions that have missed an event of a call.
func (s *Server) loseCalls() {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, topics := range s.topics {
		for _, t := range topics {
			if t.binding.family != familyCall {
				continue
			}
			for sub := range t.subscribers {
				sub.session.end(websocket.StatusTryAgainLater, "events of calls were lost: connect again, and read what you need", true)
			}
		}
	}
}
