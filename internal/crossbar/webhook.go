package crossbar

import (
	"maps"
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
	{"clicktocall", "A call that a click-to-call was asked for rings, is answered, bridged or ended", map[string]any{
		"state": choice("How far it has come", "ringing", "answered", "bridged", "ended")}},
	{"mms", "A multimedia message (nothing sends any yet)", nil},
	{"notifications", "A notice of a voicemail message: `voicemail_saved` once it is kept, `voicemail_new` when its box is told of it", map[string]any{
		"type": choice("Kind of notice", "missed_call", "voicemail_new", "voicemail_saved", "webhook_disabled")}},
	{"object", "A document of the account was written", map[string]any{
		"type": choice("Type of the document", "account", "callflow", "device", "faxbox", "media", "user", "vmbox", "fax",
			"mailbox_message", "call_recording"),
		"action": choice("What was done", "doc_created", "doc_edited", "doc_deleted")}},
	{"parking", "A call was parked, fetched or given up", map[string]any{
		"event_name": choice("What happened", "PARK_PARKED", "PARK_RETRIEVED", "PARK_ABANDONED")}},
	{"sms", "A text message (nothing sends any yet)", nil},
}

func choice(about string, items ...string) map[string]any {
	list := make([]any, len(items))
	for i, item := range items {
		list[i] = item
	}
	return map[string]any{"type": "array", "description": about, "items": list}
}

// privateDisabled is why a webhook was switched off by bugle, in the private part of its document.
const privateDisabled = "disable_reason"

func webhooks() *resource {
	keys := []string{"name", "uri", "http_verb", "hook", "enabled", "retries", "format", "include_subaccounts",
		"include_internal_legs", "custom_data"}
	r := &resource{noun: "webhooks", typ: TypeWebhook, schema: "webhooks", greedy: true, // names of samples are nouns too
		about: "`GET /v2/webhooks` lists the events that `hook` may name, `GET /v2/webhooks/samples` what is sent for them. A `uri` at a " +
			"loopback, private or link-local address needs `--egress-allow`. Six attempts that fail within a minute, or an answer of 410, switch " +
			"a webhook off: `enabled` is false and `disable_reason` says why, until it is enabled again, or all of the account are by PATCH of " +
			"the list with `{\"re-enable\": true}`. `attempts` are the requests that were made and what was answered, the latest first; " +
			"`created_from` and `created_to` are those of [cdrs](cdrs.md). `deliveries` are what the attempts were for, as of [subscriptions](subscriptions.md). docs/webhooks.md says what a " +
			"receiver can rely on.",
		summary: func(doc map[string]any) map[string]any { return pick(doc, keys...) }, summaryKeys: keys, order: byName,
		index:    func(e *edit) []store.Index { return []store.Index{{Name: IndexHook, Value: stringAt(e.doc, "hook")}} },
		computed: []string{privateDisabled},
		complete: func(e *edit) error {
			if boolAt(e.doc, "enabled", true) {
				delete(e.private, privateDisabled)
			}
			return nil
		},
		compose: func(_ *request, d *store.Document, doc map[string]any) error {
			if len(d.Private) == 0 {
				return nil
			}
			private, err := parseObject(d.Private)
			if reason := stringAt(private, privateDisabled); reason != "" {
				doc[privateDisabled] = reason
			}
			return err
		},
		along: func(e *edit) error { // what waits may be paused, so that nobody would find that it is gone
			if e.how != deleting {
				return nil
			}
			return e.tx.DropHook(e.owner.id, e.id)
		},
		top: &resource{noun: "webhooks", endpoints: []endpoint{
			{path: "", ops: map[string]operation{http.MethodGet: {open: true, run: listHookEvents}}},
			{path: "samples", ops: map[string]operation{http.MethodGet: {open: true, run: listHookSamples}}},
			{path: "samples/{name}", ops: map[string]operation{http.MethodGet: {open: true, run: fetchHookSample}}}},
			shapes: map[string]shape{"GET samples": {summary: "What is sent for each event", gives: objectOf(nil)},
				"GET samples/{name}": {summary: "What is sent for an event", gives: objectOf(nil)}}},
		shapes: map[string]shape{"GET attempts": attemptsShape("of the account's webhooks"), "GET {id}/attempts": attemptsShape("of a webhook"),
			"PATCH": {summary: "Enable the webhooks again that bugle has switched off", takes: objectOf(map[string]any{"re-enable": typed("boolean")}, "re-enable"),
				example: map[string]any{"re-enable": true},
				gives:   listOf(typed("string"))}},
	}
	attempts := map[string]operation{http.MethodGet: {run: (*request).listHookAttempts}}
	r.endpoints = []endpoint{
		{path: "", ops: map[string]operation{
			http.MethodGet:   {run: func(req *request) (*reply, error) { return req.list(r) }},
			http.MethodPut:   {run: func(req *request) (*reply, error) { return req.create(r) }},
			http.MethodPatch: {run: func(req *request) (*reply, error) { return req.enableHooks(r) }}}},
		{path: "attempts", ops: attempts},
		{path: "{id}/attempts", ops: attempts},
	}
	r.endpoints = append(r.endpoints, deliveryEndpoints("{id}/")...)
	maps.Copy(r.shapes, deliveryShapes("{id}/", " of a webhook"))
	return r
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
