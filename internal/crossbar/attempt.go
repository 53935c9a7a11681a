package crossbar

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"bugle"
	"bugle/internal/call"
	"bugle/internal/callflow"
	"bugle/internal/clicktocall"
	"bugle/internal/store"
)

// attemptReply answers with an attempt: who has no token of the API is told an id and a state.
func (req *request) attemptReply(status int, row *store.AttemptRow) (*reply, error) {
	if req.identity == nil {
		return &reply{status: status, data: appendTree(nil, map[string]any{"id": row.ID, "state": row.State})}, nil
	}
	items, err := req.attemptItems([]store.AttemptRow{*row})
	if err != nil {
		return nil, err
	}
	return &reply{status: status, data: appendTree(nil, items[0])}, nil
}

// attemptItems are attempts as KAZOO's history has them, with more keys.
func (req *request) attemptItems(rows []store.AttemptRow) ([]any, error) {
	var callIDs []string
	for i := range rows {
		if id := rows[i].CallID; id != "" {
			callIDs = append(callIDs, id, id+"-b")
		}
	}
	calls, err := req.api.opts.Store.CallsOfAttempts(req.ctx, req.account.id, callIDs)
	if err != nil {
		return nil, err
	}
	items := make([]any, len(rows))
	for i := range rows {
		items[i] = attemptItem(&rows[i], calls)
	}
	return items, nil
}

func attemptItem(row *store.AttemptRow, calls map[string]store.CallOfAttempt) map[string]any {
	item := map[string]any{"id": row.ID, "timestamp": gregorian(row.Created), "iso_8601": row.Created.UTC().Format(time.RFC3339Nano), "contact": row.Contact,
		"state": row.State, "result": "pending"}
	switch {
	case !row.Bridged.IsZero():
		item["result"] = "success"
	case clicktocall.State(row.State).Final():
		item["result"] = "error"
	}
	for key, text := range map[string]string{"cause": row.Cause, "reason": row.Reason, "call_id": row.CallID} {
		if text != "" {
			item[key] = text
		}
	}
	for key, at := range map[string]time.Time{"started": row.Started, "answered": row.Answered, "bridged": row.Bridged, "ended": row.Ended, "due": row.Due} {
		if !at.IsZero() {
			item[key] = at.UTC().Format(time.RFC3339Nano)
		}
	}
	cdrs := []any{}
	for _, id := range [...]string{row.CallID, row.CallID + "-b"} {
		if c, ok := calls[id]; ok {
			cdrs = append(cdrs, cdrID(&store.CallRow{ID: c.ID, Started: c.Started}))
		}
	}
	item["cdrs"] = cdrs
	if len(row.Requester) > 0 {
		item["by"] = json.RawMessage(row.Requester)
	}
	return item
}

// listAttempts answers GET on history.
func (req *request) listAttempts() (*reply, error) {
	id := req.route.arg()
	if _, err := req.clickToCall(); err != nil {
		return nil, err
	}
	p := &page{}
	size, err := req.pageSize(p)
	if err != nil {
		return nil, err
	}
	from, until, err := req.timeRange()
	if err != nil {
		return nil, err
	}
	q := store.AttemptQuery{AccountID: req.account.id, EndpointID: id, From: from, Until: until.Add(time.Second)}
	place := listPlace(store.Query{AccountID: req.account.id, Type: "clicktocall/" + id})
	if p.startKey != "" {
		if q.After, err = openStartKey(place, p.startKey); err != nil {
			return nil, err
		}
	}
	rows := []any{}
	for {
		q.Limit = min(size-len(rows), storePage)
		attempts, next, err := req.api.opts.Store.Attempts(req.ctx, q)
		if err != nil {
			return nil, err
		}
		if service := req.api.opts.ClickToCall; service != nil {
			service.Refresh(attempts)
		}
		items, err := req.attemptItems(attempts)
		if err != nil {
			return nil, err
		}
		rows = append(rows, items...)
		if q.After = next; next == nil {
			break
		}
		if len(rows) == size {
			if p.whole {
				return nil, &fault{status: http.StatusRequestedRangeNotSatisfiable, message: "range not satisfiable",
					data: say("the history is too long to be sent in whole, use pages")}
			}
			p.after = sealStartKey(place, next)
			break
		}
	}
	p.size = len(rows)
	return req.listReply(appendTree(nil, rows), p), nil
}

// mayFollow: who has no token of the API may follow and end attempts that were made without one. The id, which only who made
// it knows, is the key.
func (req *request) mayFollow() (bool, error) {
	if req.api.opts.ClickToCall == nil {
		return false, nil
	}
	endpoint, err := req.clickToCall()
	if err != nil {
		return false, unlessMissing(err)
	}
	if !endpoint.AuthRequired {
		req.pages = &pages{endpoint.Origins}
	}
	row, err := req.api.opts.ClickToCall.Attempt(req.ctx, req.account.id, endpoint.ID, req.route.args[1])
	if err != nil {
		if isMissing(err) {
			return !endpoint.AuthRequired, nil
		}
		return false, err
	}
	var by clicktocall.Requester
	return json.Unmarshal(row.Requester, &by) == nil && by.AccountID == "", nil
}

// mostFollowing is how many seconds a client may wait for another state.
const mostFollowing = 25

// followAttempt answers GET on an attempt.
func (req *request) followAttempt() (*reply, error) {
	return req.onAttempt(func(s *clicktocall.Service, id string) (store.AttemptRow, error) {
		wait := 0
		if text, given := req.param("wait"); given {
			var err error
			if wait, err = strconv.Atoi(text); err != nil || wait < 0 || wait > mostFollowing {
				return store.AttemptRow{}, oneError("wait", "invalid", "Must be 0 to "+strconv.Itoa(mostFollowing)+" seconds", clip(text, 64))
			}
		}
		known, _ := req.param("state")
		return s.Follow(req.ctx, req.account.id, req.route.arg(), id, clicktocall.State(known), time.Duration(wait)*time.Second)
	})
}

// endAttempt answers DELETE on an attempt.
func (req *request) endAttempt() (*reply, error) {
	return req.onAttempt(func(s *clicktocall.Service, id string) (store.AttemptRow, error) {
		row, err := s.Hangup(req.ctx, req.account.id, req.route.arg(), id)
		if err != nil && bugle.KindOf(err) == bugle.KindConflict {
			err = &fault{status: http.StatusConflict, message: "conflict", data: say(errorText(err))}
		}
		return row, err
	})
}

func (req *request) onAttempt(do func(s *clicktocall.Service, id string) (store.AttemptRow, error)) (*reply, error) {
	if _, err := req.clickToCall(); err != nil {
		return nil, err
	}
	id := req.route.args[1]
	if req.api.opts.ClickToCall == nil {
		return nil, badIdentifier(id)
	}
	row, err := do(req.api.opts.ClickToCall, id)
	if err != nil {
		return nil, req.missing(err, id)
	}
	return req.attemptReply(http.StatusOK, &row)
}

// originateRequest is a call in the words of KAZOO's originate request. asked is the number of who is asked for, answering
// that of who is called for them.
func (req *request) originateRequest(o *callflow.Origination, asked, answering string) map[string]any {
	realm := req.account.view.Realm
	at := func(number string) string {
		if strings.Contains(number, "@") {
			return number
		}
		return number + "@" + realm
	}
	route := func(d *callflow.Destination) string {
		for _, text := range [...]string{d.Number, d.URI, d.DeviceID, d.UserID} {
			if text != "" {
				return text
			}
		}
		return ""
	}
	first := &o.First
	endpoint := map[string]any{"invite_format": "loopback", "route": route(first), "to_did": route(first), "to_realm": realm}
	if first.DeviceID != "" || first.UserID != "" {
		endpoint = map[string]any{"invite_format": "endpoint", "endpoint_id": route(first), "endpoint_type": o.By.Type}
	}
	timeout := o.Timeout
	if timeout <= 0 {
		timeout = callflow.DefaultOriginateTimeout
	}
	variables := map[string]any{}
	for name, value := range o.Variables {
		variables[name] = value
	}
	data := map[string]any{"application_name": "transfer", "application_data": map[string]any{"route": route(&o.Second)}, "continue_on_fail": true,
		"custom_application_vars": variables,
		"custom_channel_vars": map[string]any{"account_id": o.AccountID, "authorizing_id": o.By.ID, "authorizing_type": o.By.Type,
			"auto_answer_loopback": o.AutoAnswer, "from_uri": at(answering), "inherit_codec": false,
			"loopback_request_uri": at(asked), "request_uri": at(asked), "retain_cid": true},
		"dial_endpoint_method": "single", "endpoints": []any{endpoint},
		"export_custom_channel_vars": []any{"Account-ID", "Authorizing-ID", "Authorizing-Type", "Loopback-Request-URI", "From-URI", "Request-URI"},
		"ignore_early_media":         !o.EarlyMedia, "loopback_bowout": "false", "outbound_call_id": o.CallID,
		"outbound_callee_id_name": first.Callee.Name, "outbound_callee_id_number": first.Callee.Number,
		"outbound_caller_id_name": first.Caller.Name, "outbound_caller_id_number": first.Caller.Number,
		"simplify_loopback": "false", "start_control_process": "false", "timeout": int64(timeout / time.Second)}
	for key, text := range map[string]string{"hold_media": o.HoldMusic, "presence_id": o.PresenceID, "ringback": o.Ringback} {
		if text != "" {
			data[key] = text
		}
	}
	switch o.Bypass {
	case call.BypassAlways:
		data["bypass_media"] = true
	case call.BypassAuto:
		data["bypass_media"] = "auto"
	}
	if len(o.Headers) > 0 {
		headers := map[string]any{}
		for name, value := range o.Headers {
			headers[name] = value
		}
		data["custom_sip_headers"] = headers
	}
	return data
}
