package crossbar

import (
	"context"
	"net/http"
	"strings"
	"time"

	"bugle"
	"bugle/internal/store"
)

func attemptsShape(whose string) shape {
	row := objectOf(with(textKeys("client_error", "event_id", "hook_event", "hook_id", "id", "method", "reason", "req_body", "resp_body",
		"result", "uri"), map[string]any{"resp_status_code": typed("integer"), "retries_left": typed("integer"), "try": typed("integer"),
		"timestamp": typed("integer"), "req_headers": objectOf(nil), "custom_data": objectOf(nil), "duration_ms": typed("integer"),
		"retry_at": typed("integer")}), "id", "hook_id", "event_id", "result", "timestamp", "try")
	return shape{summary: "List attempts at deliveries " + whose + ", the latest first", paged: true, revised: true, gives: listOf(row)}
}

// listHookAttempts answers GET on the attempts of a webhook, or of all of the account.
func (req *request) listHookAttempts() (*reply, error) {
	p := &page{}
	size, err := req.pageSize(p)
	if err != nil {
		return nil, err
	}
	from, until, err := req.timeRange()
	if err != nil {
		return nil, err
	}
	q := store.HookQuery{AccountID: req.account.id, Endpoint: req.route.arg(), From: from, Until: until.Add(time.Second), Limit: min(size, storePage)}
	if q.Endpoint != "" {
		if _, err := req.api.get(req.ctx, req.account.id, TypeWebhook, q.Endpoint); err != nil {
			return nil, req.missing(err, q.Endpoint)
		}
	}
	place := listPlace(store.Query{AccountID: req.account.id, Type: "attempts/" + q.Endpoint})
	if p.startKey != "" {
		if q.After, err = openStartKey(place, p.startKey); err != nil {
			return nil, err
		}
	}
	rows := []any{}
	known := hookKnowledge{deliveries: map[string]store.HookDelivery{}, webhooks: map[string]map[string]any{}}
	for {
		attempts, next, err := req.api.opts.Store.HookAttempts(req.ctx, q)
		if err != nil {
			return nil, err
		}
		for i := range attempts {
			row, err := req.hookAttemptRow(&attempts[i], known)
			if err != nil {
				return nil, err
			}
			rows = append(rows, row)
		}
		if next == nil {
			break
		}
		if len(rows) >= size {
			p.after = sealStartKey(place, next)
			break
		}
		q.After, q.Limit = next, min(size-len(rows), storePage)
	}
	p.size = len(rows)
	return req.listReply(appendTree(nil, rows), p), nil
}

// hookKnowledge is what the rows of one list share.
type hookKnowledge struct {
	deliveries map[string]store.HookDelivery
	webhooks   map[string]map[string]any
}

// hookAttemptRow is an attempt as KAZOO's log has it.
func (req *request) hookAttemptRow(a *store.HookAttempt, known hookKnowledge) (map[string]any, error) {
	d, ok := known.deliveries[a.Delivery]
	if !ok {
		var err error
		if d, err = req.api.opts.Store.GetDelivery(req.ctx, a.AccountID, a.Delivery); err != nil && bugle.KindOf(err) != bugle.KindNotFound {
			return nil, err
		}
		known.deliveries[a.Delivery] = d
	}
	doc, ok := known.webhooks[a.Endpoint]
	if !ok {
		w, err := req.api.get(req.ctx, a.AccountID, TypeWebhook, a.Endpoint)
		if err != nil && bugle.KindOf(err) != bugle.KindNotFound {
			return nil, err
		}
		if err == nil {
			if doc, err = parseObject(w.Body); err != nil {
				return nil, err
			}
		}
		known.webhooks[a.Endpoint] = doc
	}
	row := map[string]any{"id": a.Delivery + "/" + decimal(int64(a.Number)), "hook_id": a.Endpoint, "hook_event": d.Event, "uri": d.URL,
		"method": strings.ToLower(d.Method), "event_id": a.Delivery, "req_body": string(d.Body), "resp_body": string(a.Answer), "try": a.Number,
		"timestamp": gregorian(a.At), "duration_ms": a.Took.Milliseconds(), "result": "success"}
	headers := map[string]any{}
	for _, h := range d.Header {
		headers[h[0]] = h[1]
	}
	row["req_headers"] = headers
	if custom, ok := doc["custom_data"]; ok {
		row["custom_data"] = custom
	}
	if a.Status != 0 {
		row["resp_status_code"] = a.Status
	}
	if !a.Success {
		row["result"], row["reason"] = "failure", a.Error
		if a.Status == 0 {
			row["client_error"] = a.Error
		}
		row["retries_left"] = 0
		if !a.RetryAt.IsZero() {
			row["retry_at"] = gregorian(a.RetryAt)
			tries := intAt(doc, "retries")
			row["retries_left"] = max(1, tries-a.Number)
		}
	}
	return row, nil
}

// enableHooks answers PATCH on the list: what bugle has switched off is switched on again.
func (req *request) enableHooks(res *resource) (*reply, error) {
	data, err := req.document()
	if err != nil {
		return nil, err
	}
	if on, _ := data["re-enable"].(bool); !on {
		errs := fieldErrors{}
		errs.add("re-enable", "required", map[string]any{"message": "Field is required but missing: the list takes {\"re-enable\": true}"})
		if !req.bodied {
			errs.add("data", "required", map[string]any{"message": "Field is required but missing: the request has no body"})
		}
		return nil, errs.fault()
	}
	ids := []any{}
	for q := (store.Query{AccountID: req.account.id, Type: TypeWebhook, Limit: storePage}); ; {
		docs, next, err := req.api.opts.Store.List(req.ctx, q)
		if err != nil {
			return nil, err
		}
		for i := range docs {
			private := map[string]any{}
			if len(docs[i].Private) > 0 {
				if private, err = parseObject(docs[i].Private); err != nil {
					return nil, err
				}
			}
			if stringAt(private, privateDisabled) == "" {
				continue
			}
			if _, err := req.write(res, docs[i].ID, setting, map[string]any{"enabled": true}); err != nil {
				return nil, err
			}
			ids = append(ids, docs[i].ID)
		}
		if q.After = next; next == nil {
			return &reply{status: http.StatusOK, data: appendTree(nil, ids)}, nil
		}
	}
}

// DisableWebhook switches a webhook off, for a reason that its owner reads as disable_reason. One that is gone, or off
// already, is left as it is.
func (a *API) DisableWebhook(ctx context.Context, accountID, id, reason string) error {
	err := a.opts.Store.Write(ctx, func(tx *store.Tx) error {
		d, err := tx.Get(accountID, TypeWebhook, id)
		if err != nil {
			return err
		}
		doc, err := parseObject(d.Body)
		if err != nil || !boolAt(doc, "enabled", true) {
			return err
		}
		private := map[string]any{}
		if len(d.Private) > 0 {
			if private, err = parseObject(d.Private); err != nil {
				return err
			}
		}
		doc["enabled"], private[privateDisabled] = false, reason
		d.Body, d.Private = appendTree(nil, doc), appendTree(nil, private)
		return tx.Put(&d, d.Rev)
	})
	if bugle.KindOf(err) == bugle.KindNotFound && err != nil {
		return nil
	}
	return err
}

// hookSamples are what is sent for each event, with the values of one call and one document.
var hookSamples = func() map[string]any {
	const account, device, user = "5f3c2e9a8b7d41e09c6a1f2d3b4e5a60", "7b1e0c9d2a3f4b5c8d6e7f8091a2b3c4", "9d8c7b6a5f4e3d2c1b0a99887766554a"
	channel := func(event string, more map[string]any) map[string]any {
		sample := map[string]any{"hook_event": event, "account_id": account, "authorizing_id": device, "authorizing_type": "device",
			"call_direction": "inbound", "call_forwarded": false, "call_id": "a84b4c76e66710@phone.example", "callee_id_number": "1002",
			"caller_id_name": "Ann Lee", "caller_id_number": "1001", "custom_application_vars": map[string]any{},
			"custom_channel_vars":     map[string]any{"account_id": account, "authorizing_id": device, "authorizing_type": "device", "owner_id": user},
			"emergency_resource_used": false, "from": "1001@acme.example", "inception": "63900000000", "is_internal_leg": false,
			"local_resource_used": false, "owner_id": user, "request": "1002@acme.example", "timestamp": 63900000000, "to": "1002@acme.example"}
		for key, value := range more {
			sample[key] = value
		}
		return sample
	}
	other := map[string]any{"other_leg_call_id": "a84b4c76e66710@phone.example-1"}
	return map[string]any{
		"object":         map[string]any{"id": user, "account_id": account, "action": "doc_edited", "type": "user"},
		"channel_create": channel("channel_create", nil),
		"channel_answer": channel("channel_answer", other),
		"channel_bridge": channel("channel_bridge", map[string]any{"other_leg_call_id": other["other_leg_call_id"],
			"original_number": "1002", "other_leg_destination_number": "1002"}),
		"channel_destroy": channel("channel_destroy", map[string]any{"hangup_cause": "NORMAL_CLEARING", "hangup_code": "sip:200",
			"duration_seconds": 65, "ringing_seconds": 5, "billing_seconds": 60}),
		"parking": channel("parking", map[string]any{"event_category": "call", "event_name": "PARK_PARKED", "parking_slot": "101"}),
		"notifications": map[string]any{"hook_event": "notifications", "event_category": "notification", "event_name": "voicemail_new",
			"type": "voicemail_new", "account_id": account, "voicemail_box": "e0f1a2b3c4d5968778695a4b3c2d1e0f",
			"voicemail_id": "202611-1a2b3c4d5e6f708192a3b4c5d6e7f809", "voicemail_length": 12500, "voicemail_timestamp": 63900000000,
			"timestamp": 63900000000, "call_id": "a84b4c76e66710@phone.example", "caller_id_name": "Ann Lee", "caller_id_number": "1001",
			"from_user": "1001", "from_realm": "acme.example", "to_user": "1002", "to_realm": "acme.example"},
		"clicktocall": map[string]any{"hook_event": "clicktocall", "account_id": account, "attempt_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
			"clicktocall_id": "c1d2e3f4a5b60718293a4b5c6d7e8f90", "contact": "1002", "call_id": "c2c-0f1e2d3c4b5a69788796a5b4c3d2e1f0",
			"state": "bridged", "timestamp": 63900000000},
	}
}()

func listHookSamples(*request) (*reply, error) {
	return &reply{status: http.StatusOK, data: appendTree(nil, hookSamples)}, nil
}

func fetchHookSample(req *request) (*reply, error) {
	sample, known := hookSamples[req.route.arg()]
	if !known {
		return nil, badIdentifier(req.route.arg())
	}
	return &reply{status: http.StatusOK, data: appendTree(nil, sample)}, nil
}
