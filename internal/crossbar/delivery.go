package crossbar

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"bugle/internal/store"
)

const (
	mostAttempts = 1000 // of one delivery that are shown, the latest
)

// deliveryStates are the states of deliveries as the API writes them.
var deliveryStates = map[string]store.HookState{"waiting": store.HookWaiting, "delivered": store.HookDelivered, "dead": store.HookDead, "dropped": store.HookDropped}

func stateName(s store.HookState) string {
	for name, state := range deliveryStates {
		if state == s {
			return name
		}
	}
	return ""
}

// deliveryEndpoints are the paths of deliveries, of the account or, below "{id}/", of one subscription.
func deliveryEndpoints(prefix string) []endpoint {
	return []endpoint{
		{path: prefix + "deliveries", ops: map[string]operation{http.MethodGet: {run: (*request).listDeliveries}, http.MethodPut: {run: (*request).resendDeliveries}}},
		{path: prefix + "deliveries/{delivery}", ops: map[string]operation{http.MethodGet: {run: (*request).fetchDelivery}, http.MethodPut: {run: (*request).resendDelivery}}},
	}
}

func deliveryShapes(prefix, whose string) map[string]shape {
	resent := objectOf(map[string]any{"resent": typed("integer")}, "resent")
	one := objectOf(map[string]any{"action": map[string]any{"const": "resend"}}, "action")
	return map[string]shape{
		"GET " + prefix + "deliveries": {summary: "List deliveries" + whose + ", the latest first", gives: listOf(refTo("DeliverySummary")), paged: true, plain: true, revised: true},
		"PUT " + prefix + "deliveries": {summary: "Send deliveries" + whose + " again", takes: refTo("deliveries.action"),
			example: map[string]any{"action": "resend", "state": "dead"}, gives: resent},
		"GET " + prefix + "deliveries/{delivery}": {summary: "A delivery with its bytes and its attempts", gives: refTo("Delivery")},
		"PUT " + prefix + "deliveries/{delivery}": {summary: "Send a delivery again", takes: one, example: map[string]any{"action": "resend"}, gives: resent, codes: []int{http.StatusConflict}},
	}
}

func deliveryKeys() map[string]any {
	states := []any{}
	for _, name := range slices.Sorted(maps.Keys(deliveryStates)) {
		states = append(states, name)
	}
	return with(textKeys("id", "subscription_id", "event", "method", "uri", "iso_8601", "due", "finished", "reason"), map[string]any{"state": map[string]any{"enum": states},
		"timestamp": typed("integer"), "tries": typed("integer"), "size": typed("integer"), "resp_status_code": typed("integer")})
}

// deliveryQuery is what the path and the time say.
func (req *request) deliveryQuery() (q store.HookQuery, err error) {
	q.AccountID = req.account.id
	if strings.HasPrefix(req.route.endpoint.path, "{id}/") {
		s, err := req.subscriber()
		if err != nil {
			return q, err
		}
		q.Endpoint = s.id
	}
	if q.From, _, err = req.timeParam("created_from", time.Time{}); err != nil {
		return q, err
	}
	var bounded bool
	if q.Until, bounded, err = req.timeParam("created_to", time.Time{}); err != nil {
		return q, err
	}
	if bounded {
		if q.From.After(q.Until) {
			return q, oneError("created_from", "date_range", "created_from is after created_to", gregorian(q.From))
		}
		q.Until = q.Until.Add(time.Second)
	}
	return q, nil
}

// listDeliveries answers GET on the deliveries of the account or of a subscription.
func (req *request) listDeliveries() (*reply, error) {
	q, err := req.deliveryQuery()
	if err != nil {
		return nil, err
	}
	for _, given := range req.query["state"] {
		for name := range strings.SplitSeq(given, ",") {
			state, known := deliveryStates[name]
			if !known {
				return nil, oneError("state", "enum", "Value not found in enumerated list of values: waiting, delivered, dead, dropped", clip(name, 64))
			}
			q.States = append(q.States, state)
		}
	}
	if len(q.States) > 16 {
		return nil, oneError("state", "maxItems", "At most 16 states", len(q.States))
	}
	p := &page{}
	size, err := req.pageSize(p)
	if err != nil {
		return nil, err
	}
	place := listPlace(store.Query{AccountID: req.account.id, Type: "deliveries/" + q.Endpoint})
	if p.startKey != "" {
		if q.After, err = openStartKey(place, p.startKey); err != nil {
			return nil, err
		}
	}
	rows := []any{}
	kinds := map[string]store.HookEndpoint{}
	for {
		q.Limit = min(size-len(rows), storePage)
		list, next, err := req.api.opts.Store.Deliveries(req.ctx, q)
		if err != nil {
			return nil, err
		}
		if err := req.kindsOf(list, kinds); err != nil {
			return nil, err
		}
		for i := range list {
			rows = append(rows, deliveryRow(&list[i], kinds))
		}
		if q.After = next; next == nil {
			break
		}
		if len(rows) >= size {
			if p.whole {
				return nil, &fault{status: http.StatusRequestedRangeNotSatisfiable, message: "range not satisfiable",
					data: say("the deliveries are too many to be sent in whole, use pages")}
			}
			p.after = sealStartKey(place, next)
			break
		}
	}
	p.size = len(rows)
	return req.listReply(appendTree(nil, rows), p), nil
}

// kindsOf adds the endpoints of deliveries; those of who is gone are not there.
func (req *request) kindsOf(list []store.HookDelivery, known map[string]store.HookEndpoint) error {
	var ids []string
	for i := range list {
		if _, ok := known[list[i].Endpoint]; !ok && !slices.Contains(ids, list[i].Endpoint) {
			ids = append(ids, list[i].Endpoint)
		}
	}
	found, err := req.api.opts.Store.HookEndpoints(req.ctx, req.account.id, ids)
	for _, id := range ids {
		known[id] = found[id]
	}
	return err
}

// deliveryRow is a delivery as lists show it.
func deliveryRow(d *store.HookDelivery, kinds map[string]store.HookEndpoint) map[string]any {
	row := map[string]any{"id": d.ID, "subscription_id": d.Endpoint, "event": d.Event, "state": stateName(d.State), "method": strings.ToLower(d.Method),
		"uri": shownURL(kinds[d.Endpoint].Kind, d.URL), "timestamp": gregorian(d.Created), "tries": d.Attempts, "size": len(d.Body)}
	addTimes(row, map[string]time.Time{"iso_8601": d.Created, "finished": d.Finished})
	if d.State == store.HookWaiting {
		addTimes(row, map[string]time.Time{"due": d.Due})
	}
	if d.Status != 0 {
		row["resp_status_code"] = d.Status
	}
	if d.Reason != "" {
		row["reason"] = d.Reason
	}
	return row
}

// delivery finds the one that the path names.
func (req *request) delivery() (d store.HookDelivery, err error) {
	args := req.route.args
	id := args[len(args)-1]
	if len(args) > 1 {
		if _, err := req.subscriber(); err != nil {
			return d, err
		}
	}
	if d, err = req.api.opts.Store.GetDelivery(req.ctx, req.account.id, id); err != nil {
		return d, req.missing(err, id)
	}
	if len(args) > 1 && d.Endpoint != args[0] {
		return d, badIdentifier(id)
	}
	return d, nil
}

// fetchDelivery answers with all that is kept of a delivery.
func (req *request) fetchDelivery() (*reply, error) {
	d, err := req.delivery()
	if err != nil {
		return nil, err
	}
	kinds := map[string]store.HookEndpoint{}
	if err := req.kindsOf([]store.HookDelivery{d}, kinds); err != nil {
		return nil, err
	}
	row := deliveryRow(&d, kinds)
	headers := map[string]any{}
	for _, h := range d.Header {
		headers[h[0]] = h[1]
	}
	row["req_headers"], row["req_body"] = headers, printable(d.Body)
	attempts := []any{}
	q := store.HookQuery{AccountID: req.account.id, Delivery: d.ID, Limit: mostAttempts}
	list, _, err := req.api.opts.Store.HookAttempts(req.ctx, q)
	if err != nil {
		return nil, err
	}
	for i := range slices.Backward(list) {
		attempts = append(attempts, deliveryAttempt(&list[i], headers["webhook-id"] == nil))
	}
	row["attempts"] = attempts
	return &reply{status: http.StatusOK, data: appendTree(nil, row)}, nil
}

// deliveryAttempt is an attempt. One that was signed had headers of its own, of which the signature and the token are not
// kept.
func deliveryAttempt(a *store.HookAttempt, signed bool) map[string]any {
	row := map[string]any{"try": a.Number, "timestamp": gregorian(a.At), "duration_ms": a.Took.Milliseconds(), "result": "success"}
	addTimes(row, map[string]time.Time{"iso_8601": a.At, "retry_at": a.RetryAt})
	if signed {
		row["req_headers"] = map[string]any{"webhook-id": a.Delivery, "webhook-timestamp": strconv.FormatInt(a.At.Unix(), 10)}
	}
	if a.Status != 0 {
		row["resp_status_code"], row["resp_body"] = a.Status, printable(a.Answer)
	}
	if !a.Success {
		row["result"], row["reason"] = "failure", a.Error
	}
	return row
}

func printable(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}

// resendAction judges the body of PUT.
func (req *request) resendAction() (map[string]any, error) {
	data, err := req.document()
	if err != nil {
		return nil, err
	}
	return data, req.api.schemas.apply("deliveries.action", data).err()
}

// resendDeliveries answers PUT on a list: those of a state, of a time, or both.
func (req *request) resendDeliveries() (*reply, error) {
	data, err := req.resendAction()
	if err != nil {
		return nil, err
	}
	q, err := req.deliveryQuery()
	if err != nil {
		return nil, err
	}
	if name := stringAt(data, "state"); name != "" {
		q.States = []store.HookState{deliveryStates[name]}
	} else if q.From.IsZero() && q.Until.IsZero() {
		return nil, oneError("state", "required", "Say which: \"state\": \"dead\" for all that failed, created_from and created_to for those of a time, or both", nil)
	}
	return req.resend(q)
}

// resendDelivery answers PUT on one.
func (req *request) resendDelivery() (*reply, error) {
	d, err := req.delivery()
	if err != nil {
		return nil, err
	}
	data, err := req.resendAction()
	if err == nil && len(data) > 1 {
		err = oneError("action", "invalid", "Of one delivery only the action is said: state and times are for lists", "resend")
	}
	if err != nil {
		return nil, err
	}
	answer, err := req.resend(store.HookQuery{AccountID: req.account.id, Delivery: d.ID})
	if err == nil && string(answer.data) == `{"resent":0}` {
		return nil, &fault{status: http.StatusConflict, message: "conflict", data: say("its subscription is gone: there is nobody to send it to")}
	}
	return answer, err
}

func (req *request) resend(q store.HookQuery) (*reply, error) {
	n, err := req.api.opts.Store.Resend(req.ctx, q)
	if err != nil {
		return nil, err
	}
	return &reply{status: http.StatusOK, data: appendTree(nil, map[string]any{"resent": n})}, nil
}
