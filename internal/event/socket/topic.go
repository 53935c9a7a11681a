package socket

import (
	"encoding/json"
	"fmt"

	"bugle"
)

// topic is a binding in one account, or all, with everybody who has subscribed to it: they are all sent the same bytes.
type topic struct {
	account     string
	binding     binding
	subscribers map[*subscription]bool
}

// subscription is one session's to a topic. Server.mu guards it.
type subscription struct {
	session *session
	topic   *topic
	holder  Holder
	live    bool // it is told: who subscribes was judged after the subscription could be found
}

type topicKey struct{ account, text string }

// add subscribes a session to bindings, all or none. Nothing is told of those that are new before enliven. Those that the session has
// are the new holder's from then on.
func (s *Server) add(k *session, h Holder, account string, bindings []binding) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh := 0
	for _, b := range bindings {
		if k.subs[topicKey{account, b.text}] == nil {
			fresh++
		}
	}
	limits, t := &s.opts.Limits, s.accounts[h.AccountID]
	switch {
	case len(k.subs)+fresh > limits.Subscriptions:
		return tooMany("a session has at most %d subscriptions", limits.Subscriptions)
	case t != nil && t.bindings+fresh > limits.AccountBindings:
		return tooMany("the tokens of an account have at most %d subscriptions", limits.AccountBindings)
	case t != nil && k.held[h.AccountID] == 0 && t.sessions >= limits.PerAccount:
		return tooMany("the tokens of an account have at most %d sessions", limits.PerAccount)
	}
	for _, b := range bindings {
		key := topicKey{account, b.text}
		sub := k.subs[key]
		if sub != nil {
			s.count(sub, -1)
			sub.holder = h
			s.count(sub, 1)
			continue
		}
		of := s.topics[account]
		if of == nil {
			of = map[string]*topic{}
			s.topics[account] = of
		}
		t := of[b.text]
		if t == nil {
			t = &topic{account: account, binding: b, subscribers: map[*subscription]bool{}}
			of[b.text] = t
		}
		sub = &subscription{session: k, topic: t, holder: h}
		t.subscribers[sub], k.subs[key] = true, sub
		s.count(sub, 1)
	}
	return nil
}

func tooMany(format string, most int) error {
	return &bugle.Error{Op: "socket.subscribe", Kind: bugle.KindLimited, Message: fmt.Sprintf(format, most)}
}

// count notes that a subscription came (1) or went (-1). Server.mu is held.
func (s *Server) count(sub *subscription, by int) {
	k, h := sub.session, &sub.holder
	t := s.accounts[h.AccountID]
	if t == nil {
		t = &tally{}
		s.accounts[h.AccountID] = t
	}
	before := k.held[h.AccountID]
	if k.held[h.AccountID] += by; before == 0 {
		t.sessions++
	} else if before+by == 0 {
		t.sessions--
		delete(k.held, h.AccountID)
	}
	if t.bindings += by; t.bindings == 0 {
		delete(s.accounts, h.AccountID)
	}
	for _, id := range [...]string{h.AccountID, h.UserID, sub.topic.account} {
		if id == "" || id == anything {
			continue
		}
		if s.concerned[id] == nil {
			s.concerned[id] = map[*session]int{}
		}
		if s.concerned[id][k] += by; s.concerned[id][k] == 0 {
			if delete(s.concerned[id], k); len(s.concerned[id]) == 0 {
				delete(s.concerned, id)
			}
		}
	}
	s.subscribed += by
	if sub.topic.binding.family == familyCall {
		s.listeners.Add(int64(by))
		if s.listening[sub.topic.account] += by; s.listening[sub.topic.account] == 0 {
			delete(s.listening, sub.topic.account)
		}
	}
}

// drop ends a subscription. Server.mu is held.
func (s *Server) drop(sub *subscription) {
	t := sub.topic
	s.count(sub, -1)
	delete(sub.session.subs, topicKey{t.account, t.binding.text})
	if delete(t.subscribers, sub); len(t.subscribers) > 0 {
		return
	}
	if delete(s.topics[t.account], t.binding.text); len(s.topics[t.account]) == 0 {
		delete(s.topics, t.account)
	}
}

// enliven has a session told of bindings from now on.
func (s *Server) enliven(k *session, account string, bindings []binding) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range bindings {
		if sub := k.subs[topicKey{account, b.text}]; sub != nil {
			sub.live = true
		}
	}
}

// remove drops those of a session's subscriptions that are chosen, and returns their bindings.
func (s *Server) remove(k *session, chosen func(key topicKey, sub *subscription) bool) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []string{}
	for key, sub := range k.subs {
		if chosen(key, sub) {
			s.drop(sub)
			out = append(out, key.text)
		}
	}
	return distinct(out)
}

// texts are a session's bindings.
func (s *Server) texts(k *session) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := []string{}
	for key := range k.subs {
		out = append(out, key.text)
	}
	return distinct(out)
}

// occurrence is an event as it happened.
type occurrence struct {
	account, family, event, kind, id string
	owners                           func() [2]string // users who are told though they are no administrators; nil: none
	tells                            func() map[string]any
	data                             []byte     // of tells, once somebody wanted it
	owned                            *[2]string // of owners, likewise
}

func (e *occurrence) isOf(user string) bool {
	if user == "" || e.owners == nil {
		return false
	}
	if e.owned == nil {
		owned := e.owners()
		e.owned = &owned
	}
	return e.owned[0] == user || e.owned[1] == user
}

// routingKey is the key under which KAZOO publishes the event.
func (e *occurrence) routingKey() string {
	if e.family == familyCall {
		return "call." + e.account + "." + e.event + "." + encodeKey(e.id)
	}
	return e.event + "." + database(e.account) + "." + e.kind + "." + encodeKey(e.id)
}

// publish hands an event to everybody who is to be told, and waits for nobody.
func (s *Server) publish(e *occurrence) {
	told := int64(0)
	s.mu.RLock()
	defer s.mu.RUnlock()
	defer func() { s.counts.told.Add(told) }()
	for _, account := range [...]string{e.account, anything} {
		for _, t := range s.topics[account] {
			if !t.binding.fits(e) {
				continue
			}
			var text []byte
			for sub := range t.subscribers {
				if !sub.live || !sub.holder.Admin && !e.isOf(sub.holder.UserID) {
					continue
				}
				if text == nil {
					text = t.message(e)
				}
				sub.session.enqueue(text)
				told++
			}
		}
	}
}

// message is what the subscribers of a topic are sent.
func (t *topic) message(e *occurrence) []byte {
	if e.data == nil {
		e.data = encode(e.tells())
	}
	out := append(make([]byte, 0, len(e.data)+512), `{"action":"event","subscribed_key":`...)
	out = append(out, encode(t.binding.text)...)
	out = append(out, `,"subscription_key":`...)
	out = append(out, encode(t.binding.subscriptionKey(t.account, e))...)
	out = append(out, `,"name":`...)
	out = append(out, encode(e.event)...)
	out = append(out, `,"routing_key":`...)
	out = append(out, encode(e.routingKey())...)
	out = append(out, `,"data":`...)
	return append(append(out, e.data...), '}')
}

// encode is JSON of what always is.
func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		return []byte("null")
	}
	return text
}

func forbidden(err error) bool { return err != nil && bugle.KindOf(err) == bugle.KindForbidden }

func unauthorized(err error) bool { return err != nil && bugle.KindOf(err) == bugle.KindUnauthorized }
