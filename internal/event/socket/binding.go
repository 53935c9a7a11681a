package socket

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"bugle"
)

// The families of bindings that are offered.
const (
	familyCall   = "call"
	familyObject = "object"
)

// anything stands for every event, type or id.
const anything = "*"

// callEvents are what can happen to a leg, in KAZOO's words.
var callEvents = []string{"CHANNEL_ANSWER", "CHANNEL_BRIDGE", "CHANNEL_CREATE", "CHANNEL_DESTROY", "CHANNEL_HOLD", "CHANNEL_UNHOLD",
	"PARK_ABANDONED", "PARK_PARKED", "PARK_RETRIEVED"}

// actions are what can happen to a document, in KAZOO's words.
var actions = map[bugle.ChangeKind]string{bugle.Created: "doc_created", bugle.Edited: "doc_edited", bugle.Deleted: "doc_deleted"}

var actionNames = []string{"doc_created", "doc_deleted", "doc_edited"}

// binding is what a client subscribes to, in one account or all.
type binding struct {
	text   string // as the client wrote it: events repeat it
	family string
	event  string // of callEvents or actionNames, or anything
	kind   string // document type, or anything; "" of a call
	id     string // of a leg or a document, or anything
	// written is a Call-ID as the client wrote it: it may have percent signs of its own.
	written string
}

// maxBinding is the longest text of a binding; Call-IDs are the longest part of one.
const maxBinding = 512

// parseBinding reads what a client wrote: call.EVENT.CALL-ID, object.ACTION.TYPE, or the older ACTION.*.TYPE.ID. Call-IDs with dots or
// stars are taken as they are, or percent-encoded. The error tells the client what is offered.
func parseBinding(text string, types []string) (binding, error) {
	b := binding{text: text}
	if len(text) > maxBinding {
		return b, fmt.Errorf("a binding has at most %d characters", maxBinding)
	}
	family, rest, _ := strings.Cut(text, ".")
	switch {
	case family == familyCall:
		var ok bool
		if b.event, b.id, ok = strings.Cut(rest, "."); !ok || b.event == "" || b.id == "" {
			return b, fmt.Errorf("invalid format for call subscription: %q; it is call.EVENT.CALL-ID, with * for any", text)
		}
		if b.event != anything && !slices.Contains(callEvents, b.event) {
			return b, fmt.Errorf("event %q not supported; one of %s or *", b.event, strings.Join(callEvents, ", "))
		}
		b.written = b.id
		if plain, err := url.PathUnescape(b.id); err == nil {
			b.id = plain
		}
		b.family = familyCall
		return b, nil
	case family == familyObject:
		var ok bool
		if b.event, b.kind, ok = strings.Cut(rest, "."); !ok || strings.Contains(b.kind, ".") {
			return b, fmt.Errorf("invalid format for object subscription: %q; it is object.ACTION.TYPE, with * for any", text)
		}
		b.id = anything
	case slices.Contains(actionNames, family): // as clients did before there was object
		parts := strings.Split(rest, ".")
		if len(parts) != 3 || parts[0] != anything || parts[2] == "" {
			return b, fmt.Errorf("invalid format for %s subscription: %q; it is %s.*.TYPE.ID, with * for any", family, text, family)
		}
		b.event, b.kind, b.id = family, parts[1], parts[2]
	default:
		return b, fmt.Errorf("%q is of no family that is offered; call.EVENT.CALL-ID and object.ACTION.TYPE are", text)
	}
	b.family = familyObject
	if b.event != anything && !slices.Contains(actionNames, b.event) {
		return b, fmt.Errorf("event %q not supported; one of %s or *", b.event, strings.Join(actionNames, ", "))
	}
	if b.kind != anything && !slices.Contains(types, b.kind) {
		return b, fmt.Errorf("type %q not supported; one of %s or *", b.kind, strings.Join(types, ", "))
	}
	return b, nil
}

// fits reports whether the binding is for an event.
func (b *binding) fits(e *occurrence) bool {
	return b.family == e.family && (b.event == anything || b.event == e.event) && (b.kind == anything || b.kind == e.kind) && (b.id == anything || b.id == e.id || b.written == e.id)
}

// subscriptionKey is the key by which KAZOO subscribes inside.
func (b *binding) subscriptionKey(account string, e *occurrence) string {
	if b.family == familyCall {
		id := e.id
		if b.id == anything {
			id = anything
		}
		return "call." + account + "." + e.event + "." + encodeKey(id)
	}
	return b.event + "." + database(account) + "." + b.kind + "." + encodeKey(b.id)
}

// database is the name of an account's database in KAZOO's keys.
func database(account string) string {
	if len(account) != 32 {
		return account
	}
	return "account%2F" + account[:2] + "%2F" + account[2:4] + "%2F" + account[4:]
}

// encodeKey is a word of a key, whose words are divided by dots.
func encodeKey(word string) string {
	if word == anything {
		return word
	}
	return strings.ReplaceAll(url.QueryEscape(word), ".", "%2E")
}

// Bindings are what can be subscribed to, by family.
func (s *Server) Bindings() map[string][]string {
	out := map[string][]string{}
	for _, event := range callEvents {
		out[familyCall] = append(out[familyCall], "call."+event+".*")
	}
	for _, action := range actionNames {
		for _, kind := range s.opts.Types {
			out[familyObject] = append(out[familyObject], "object."+action+"."+kind)
		}
		out[familyObject] = append(out[familyObject], "object."+action+".*")
	}
	return out
}
