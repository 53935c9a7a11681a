package socket

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"bugle"
)

const (
	maxRequestID = 128
	maxName      = 128
	maxMetadata  = 2048
)

// object reads a JSON object by its exact keys.
func object(text []byte) (map[string]json.RawMessage, bool) {
	var m map[string]json.RawMessage
	err := json.Unmarshal(text, &m)
	return m, err == nil && m != nil
}

// text is a string; false for anything else.
func text(raw json.RawMessage) (string, bool) {
	var s *string
	err := json.Unmarshal(raw, &s)
	if err != nil || s == nil {
		return "", false
	}
	return *s, true
}

// requestOf is the request_id that an answer repeats: the client's, when it is short text or a number, or one that is made.
func requestOf(message []byte) string {
	m, _ := object(message)
	raw := bytes.TrimSpace(m["request_id"])
	if id, ok := text(raw); ok && id != "" && len(id) <= maxRequestID {
		return id
	}
	if n := json.Number(raw); len(raw) > 0 && len(raw) <= maxRequestID && raw[0] != '"' {
		if _, err := n.Float64(); err == nil {
			return n.String()
		}
	}
	return bugle.NewID()
}

// answer replies to a request.
func (k *session) answer(request, status string, data map[string]any) {
	k.enqueue(encode(struct {
		Action    string         `json:"action"`
		RequestID string         `json:"request_id"`
		Status    string         `json:"status"`
		Data      map[string]any `json:"data"`
	}{"reply", request, status, data}))
}

func (k *session) refuse(request string, problems ...string) {
	k.answer(request, "error", map[string]any{"errors": problems})
}

// take does what a message asks for.
func (k *session) take(ctx context.Context, message []byte) {
	request := requestOf(message)
	m, ok := object(message)
	if !ok {
		k.refuse(request, "a message is a JSON object with action, auth_token, request_id and data")
		return
	}
	data := map[string]json.RawMessage{}
	if raw := m["data"]; raw != nil && string(raw) != "null" {
		if data, ok = object(raw); !ok {
			k.refuse(request, "data must be an object")
			return
		}
	}
	ctx, cancel := context.WithTimeout(ctx, ask)
	defer cancel()
	switch action, _ := text(m["action"]); action {
	case "ping":
		k.answer(request, "success", map[string]any{"response": "pong"})
	case "subscribe":
		token, ok := text(m["auth_token"])
		if !ok || token == "" {
			k.refuse(request, "failed to authenticate token: auth_token is missing")
			return
		}
		k.subscribe(ctx, request, token, data)
	case "unsubscribe":
		k.unsubscribe(request, data)
	default:
		k.refuse(request, "unknown action: one of subscribe, unsubscribe, ping")
	}
}

// bindings are those that data names: binding goes before bindings, as in KAZOO.
func bindings(data map[string]json.RawMessage) (texts []string, problem string) {
	if raw := data["binding"]; raw != nil {
		one, ok := text(raw)
		if !ok || one == "" {
			return nil, "binding must be text"
		}
		return []string{one}, ""
	}
	raw := data["bindings"]
	if raw == nil {
		return nil, ""
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil || list == nil {
		return nil, "bindings must be an array of texts"
	}
	for _, raw := range list {
		one, ok := text(raw)
		if !ok || one == "" {
			return nil, "bindings must be an array of texts"
		}
		texts = append(texts, one)
	}
	return distinct(texts), ""
}

// account is whose events data asks for, "" when it does not say.
func account(data map[string]json.RawMessage) (id, problem string) {
	raw := data["account_id"]
	if raw == nil {
		return "", ""
	}
	if id, ok := text(raw); ok && (id == anything || bugle.ValidID(id)) {
		return id, ""
	}
	return "", "account_id must be the id of an account, 32 hexadecimal digits, or *"
}

// wanted is what a subscription asks for, checked.
type wanted struct {
	account  string
	bindings []binding
	name     string
	metadata []byte
}

func (k *session) wanted(data map[string]json.RawMessage) (w wanted, problems []string) {
	var problem string
	if w.account, problem = account(data); problem != "" {
		problems = append(problems, problem)
	}
	texts, problem := bindings(data)
	if problem != "" {
		problems = append(problems, problem)
	}
	var missing []string
	if data["account_id"] == nil {
		missing = append(missing, "account_id")
	}
	if len(texts) == 0 && problem == "" {
		missing = append(missing, "binding or bindings")
	}
	if len(missing) > 0 {
		problems = append(problems, "missing required keys in data: "+strings.Join(missing, ", "))
	}
	for i, one := range texts {
		b, err := parseBinding(one, k.server.opts.Types)
		if err != nil {
			problems = append(problems, err.Error())
		}
		if w.bindings = append(w.bindings, b); len(problems) >= 10 && i+1 < len(texts) {
			problems = append(problems, "and more")
			break
		}
	}
	if raw := data["name"]; raw != nil && string(raw) != "null" {
		ok := false
		if w.name, ok = text(raw); !ok || len(w.name) > maxName {
			problems = append(problems, fmt.Sprintf("name must be text of at most %d bytes", maxName))
		}
	}
	if raw := data["metadata"]; raw != nil && string(raw) != "null" {
		if _, ok := object(raw); !ok || len(raw) > maxMetadata {
			problems = append(problems, fmt.Sprintf("metadata must be an object of at most %d bytes", maxMetadata))
		}
		w.metadata = slices.Clone(raw)
	}
	return w, problems
}

// subscribe begins to tell the session of bindings: of all that a message names, or of none.
func (k *session) subscribe(ctx context.Context, request, token string, data map[string]json.RawMessage) {
	w, problems := k.wanted(data)
	if len(problems) > 0 {
		k.refuse(request, problems...)
		return
	}
	h, err := k.server.opts.People.Holder(ctx, token)
	if err == nil {
		err = k.server.subscribe(ctx, k, h, &w)
	}
	switch {
	case err == nil:
	case unauthorized(err):
		k.refuse(request, "failed to authenticate token: it is no token, or it has ended")
		return
	case forbidden(err) && w.account == anything:
		k.refuse(request, "unauthorized wildcard account id: all accounts are for administrators of the master account")
		return
	case forbidden(err):
		k.refuse(request, "unauthorized account id: it is neither the token's account nor, for an administrator, one below it")
		return
	case unavailable(err):
		k.refuse(request, "the database does not answer, try again later")
		return
	default:
		if limited := (*bugle.Error)(nil); errors.As(err, &limited) && limited.Kind == bugle.KindLimited {
			k.refuse(request, limited.Message)
			return
		}
		k.server.opts.Log.Error("a WebSocket could not subscribe", "session", k.id, "error", err)
		k.refuse(request, "internal error")
		return
	}
	subscribed := []string{}
	for _, b := range w.bindings {
		subscribed = append(subscribed, b.text)
	}
	k.answer(request, "success", map[string]any{"subscribed": subscribed, "subscriptions": k.server.texts(k)})
}

// subscribe judges the holder after the subscriptions can be found, so that whatever ends the token from then on finds them too.
func (s *Server) subscribe(ctx context.Context, k *session, h Holder, w *wanted) error {
	if err := s.opts.People.Follows(ctx, h, w.account); err != nil {
		return err
	}
	if err := s.follow(ctx, func() error { return s.add(k, h, w.account, w.bindings) }); err != nil {
		return err
	}
	if err := s.opts.People.Follows(ctx, h, w.account); err != nil {
		s.remove(k, func(key topicKey, sub *subscription) bool { return sub.holder == h || !sub.live })
		s.rest()
		return err
	}
	s.mu.Lock()
	if w.name != "" {
		k.name = w.name
	}
	if w.metadata != nil {
		k.metadata = w.metadata
	}
	s.mu.Unlock()
	s.enliven(k, w.account, w.bindings)
	return nil
}

// unsubscribe needs no token: whoever has the session may be told less.
func (k *session) unsubscribe(request string, data map[string]json.RawMessage) {
	account, problem := account(data)
	texts, other := bindings(data)
	if problem += other; problem != "" {
		k.refuse(request, problem)
		return
	}
	dropped := k.server.remove(k, func(key topicKey, _ *subscription) bool {
		return (account == "" || key.account == account) && (len(texts) == 0 || slices.Contains(texts, key.text))
	})
	k.server.rest()
	k.answer(request, "success", map[string]any{"unsubscribed": dropped, "subscribed": k.server.texts(k)})
}

// distinct are texts without repetitions, in order.
func distinct(texts []string) []string {
	out := slices.Clone(texts)
	slices.Sort(out)
	return slices.Compact(out)
}

// gregorian is a time as KAZOO writes it, in seconds of the calendar.
func gregorian(t time.Time) int64 { return t.Unix() + 62167219200 }
