package crossbar

import (
	"net/http"

	"bugle/internal/store"
)

// hookEvents are the events that a webhook may name, with what narrows them.
var hookEvents = []struct {
	id, about string
	modifiers map[string]any
}{
	{"all", "Every event of this list", nil},
	{"channel_answer", "A leg of a call was answered", nil},
	{"channel_bridge", "Two legs of a call were connected", nil},
	{"channel_create", "A leg of a call began", nil},
	{"channel_destroy", "A leg of a call ended", nil},
	{"mms", "A multimedia message", nil},
	{"notifications", "A notice, such as of a voicemail message", map[string]any{
		"type": choice("Kind of notice", "missed_call", "voicemail_new", "voicemail_saved", "webhook_disabled")}},
	{"object", "A document of the account was written", map[string]any{
		"type": choice("Type of the document", "account", "callflow", "device", "faxbox", "media", "user", "vmbox", "fax",
			"mailbox_message", "call_recording"),
		"action": choice("What was done", "doc_created", "doc_edited", "doc_deleted")}},
	{"parking", "A call was parked, fetched or given up", nil},
	{"sms", "A text message", nil},
}

func choice(about string, items ...string) map[string]any {
	list := make([]any, len(items))
	for i, item := range items {
		list[i] = item
	}
	return map[string]any{"type": "array", "description": about, "items": list}
}

func webhooks() *resource {
	keys := []string{"name", "uri", "http_verb", "hook", "enabled", "retries", "format", "include_subaccounts",
		"include_internal_legs", "custom_data"}
	return &resource{noun: "webhooks", typ: TypeWebhook, schema: "webhooks",
		about: "`GET /v2/webhooks` lists the events that `hook` may name. Nothing is delivered yet: the documents are kept and " +
			"checked. A `uri` at a loopback, private or link-local address needs `--egress-allow`.",
		summary: func(doc map[string]any) map[string]any { return pick(doc, keys...) }, summaryKeys: keys, order: byName,
		index: func(e *edit) []store.Index { return []store.Index{{Name: IndexHook, Value: stringAt(e.doc, "hook")}} },
		top: &resource{noun: "webhooks", endpoints: []endpoint{
			{path: "", ops: map[string]operation{http.MethodGet: {open: true, run: listHookEvents}}}}},
	}
}

func listHookEvents(req *request) (*reply, error) {
	rows := []any{}
	for _, event := range hookEvents {
		row := map[string]any{"id": event.id, "name": event.id, "description": event.about}
		if event.modifiers != nil {
			row["modifiers"] = event.modifiers
		}
		rows = append(rows, row)
	}
	return req.listReply(appendTree(nil, rows), &page{size: len(rows)}), nil
}

// socketBindings are what a WebSocket may subscribe to, as KAZOO lists it.
var socketBindings = map[string]any{
	"call": []string{"call.CHANNEL_ANSWER.*", "call.CHANNEL_BRIDGE.*", "call.CHANNEL_CREATE.*", "call.CHANNEL_DESTROY.*",
		"call.CHANNEL_HOLD.*", "call.CHANNEL_UNHOLD.*"},
	"object": []string{"object.doc_created.*", "object.doc_deleted.*", "object.doc_edited.*"},
}

// websockets shows which sockets listen to an account's events.
func websockets() *resource {
	return &resource{noun: "websockets",
		about: "`GET /v2/websockets` lists what can be subscribed to, without a token. An account's list has the sockets that are " +
			"open; it is empty until events are served over WebSocket.",
		endpoints: []endpoint{{path: "", ops: map[string]operation{http.MethodGet: {run: func(req *request) (*reply, error) {
			return req.listReply([]byte("[]"), &page{whole: true}), nil
		}}}}, {path: "{id}", ops: map[string]operation{http.MethodGet: {run: func(req *request) (*reply, error) {
			return nil, badIdentifier(req.route.arg())
		}}}}},
		top: &resource{noun: "websockets", endpoints: []endpoint{
			{path: "", ops: map[string]operation{http.MethodGet: {open: true, run: func(*request) (*reply, error) {
				return &reply{status: http.StatusOK, data: appendTree(nil, socketBindings)}, nil
			}}}}}},
	}
}

// parkedCalls shows who waits in which slot.
func parkedCalls() *resource {
	return &resource{noun: "parked_calls",
		about: "The calls that are parked, by slot: `{\"slots\": {}}`. Calls cannot be parked yet, so there are none.",
		endpoints: []endpoint{{path: "", ops: map[string]operation{http.MethodGet: {run: func(*request) (*reply, error) {
			return &reply{status: http.StatusOK, data: []byte(`{"slots":{}}`)}, nil
		}}}}}}
}
