package crossbar

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"bugle/internal/store"
)

// cdrs are the records of calls that have ended, the latest first. bugle keeps one record of a call, so an interaction
// has one leg.
func cdrs() *resource {
	row := objectOf(with(textKeys(cdrTexts...), map[string]any{"billing_seconds": typed("integer"), "duration_seconds": typed("integer"),
		"timestamp": typed("integer"), "id": typed("string")}), "id", "call_id", "timestamp")
	list := shape{summary: "List records of calls, the latest first", paged: true, revised: true, gives: listOf(row)}
	interactions := list
	interactions.summary = "List interactions, the latest first"
	all := map[string]operation{http.MethodGet: {run: (*request).listCDRs}}
	return &resource{noun: "cdrs", within: map[string]string{"users": IndexOwner},
		about: "The records of calls that have ended, the latest first, also as CSV. `created_from` and `created_to` (Gregorian seconds) are " +
			"when a call began: the last 31 days when left out, and no more than 31 days and an hour at once (400, `date_range`). An id is " +
			"`YYYYMM-` and the call's own; a call that bugle has started itself (click-to-call) leaves two records, `outbound` both, whose own " +
			"ids are their Call-IDs. A record's `owner_id` is who owned the caller's device then. " +
			"A user's records are those with that `owner_id`, those of calls that a device took which the user owns now, and those of quickcalls " +
			"for the user or such a device. " +
			"Columns that bugle knows nothing of, such as rates, are empty. Records are kept for `--call-record-days`.",
		endpoints: []endpoint{
			{path: "", ops: all},
			{path: "{id}", ops: map[string]operation{http.MethodGet: {run: (*request).fetchCDR}}},
			{path: "interaction", ops: all},
			{path: "legs/{interaction}", ops: map[string]operation{http.MethodGet: {run: (*request).legsOfInteraction}}},
		},
		shapes: map[string]shape{"GET": list, "GET interaction": interactions,
			"GET {id}":               {summary: "One record of a call", gives: row},
			"GET legs/{interaction}": {summary: "The legs of an interaction", gives: listOf(row)}},
	}
}

// cdrTexts are the columns that hold text.
var cdrTexts = []string{"authorizing_id", "bridge_id", "call_id", "call_priority", "call_type", "callee_id_name", "callee_id_number",
	"caller_id_name", "caller_id_number", "calling_from", "cost", "datetime", "dialed_number", "direction", "from", "hangup_cause",
	"interaction_id", "iso_8601", "iso_8601_combined", "media_recordings", "media_server", "other_leg_call_id", "owner_id", "rate",
	"rate_name", "recording_url", "request", "reseller_call_type", "reseller_cost", "rfc_1036", "to", "unix_timestamp",
	"unix_timestamp_micro"}

// cdrID is the name of a record: the month in which the call began, for KAZOO's clients, and the call's id.
func cdrID(c *store.CallRow) string { return c.Started.UTC().Format("200601") + "-" + c.ID }

// seconds are whole ones, begun ones not counted.
func seconds(from, until time.Time) int64 {
	if from.IsZero() || until.Before(from) {
		return 0
	}
	return int64(until.Sub(from) / time.Second)
}

// cdrRow is a record as a row.
func (req *request) cdrRow(c *store.CallRow) map[string]any {
	row := make(map[string]any, len(cdrTexts)+4)
	for _, key := range cdrTexts {
		row[key] = ""
	}
	realm, began := req.account.view.Realm, c.Started.UTC()
	row["id"], row["call_id"], row["interaction_id"], row["bridge_id"] = cdrID(c), c.SIPCallID, cdrID(c), c.SIPCallID
	row["caller_id_name"], row["caller_id_number"], row["calling_from"] = c.FromName, c.FromNumber, c.FromNumber
	row["callee_id_number"], row["dialed_number"] = c.Dialed, c.Dialed
	row["from"], row["to"], row["request"] = c.FromNumber+"@"+realm, c.Dialed+"@"+realm, c.Dialed+"@"+realm
	row["direction"], row["hangup_cause"], row["authorizing_id"] = c.Direction, c.Cause, c.DeviceID
	if c.AuthorizingID != "" {
		row["authorizing_id"] = c.AuthorizingID
	}
	row["media_server"] = req.api.opts.Node
	row["owner_id"], row["other_leg_call_id"] = c.OwnerID, c.OtherLeg
	row["duration_seconds"], row["billing_seconds"] = seconds(c.Started, c.Ended), seconds(c.Answered, c.Ended)
	row["timestamp"] = gregorian(began)
	row["unix_timestamp"], row["unix_timestamp_micro"] = decimal(began.Unix()), decimal(began.UnixMicro())
	row["datetime"], row["rfc_1036"] = began.Format("2006-01-02 15:04:05"), began.Format("Mon, 02 Jan 2006 15:04:05 GMT")
	row["iso_8601"], row["iso_8601_combined"] = began.Format("2006-01-02"), began.Format("2006-01-02T15:04:05Z")
	return row
}

func decimal(n int64) string { return string(appendTree(nil, n)) }

// devicesOf are the devices that a user owns.
func (req *request) devicesOf(userID string) (map[string]bool, error) {
	owned := map[string]bool{}
	q := store.Query{AccountID: req.account.id, Type: TypeDevice, Index: &store.Index{Name: IndexOwner, Value: userID}, Limit: storePage}
	for {
		docs, next, err := req.api.opts.Store.List(req.ctx, q)
		if err != nil {
			return nil, err
		}
		for i := range docs {
			owned[docs[i].ID] = true
		}
		if q.After = next; next == nil {
			return owned, nil
		}
	}
}

// listCDRs answers GET on the records and on interactions.
func (req *request) listCDRs() (*reply, error) {
	p := &page{}
	size, err := req.pageSize(p)
	if err != nil {
		return nil, err
	}
	from, until, err := req.timeRange()
	if err != nil {
		return nil, err
	}
	keep, err := req.filters(req.route.resource)
	if err != nil {
		return nil, err
	}
	q := store.CallQuery{AccountID: req.account.id, From: from, Until: until.Add(time.Second), Limit: storePage}
	place := listPlace(store.Query{AccountID: req.account.id, Type: "cdrs/" + req.route.parentID})
	if p.startKey != "" {
		if q.After, err = openStartKey(place, p.startKey); err != nil {
			return nil, err
		}
	}
	wanted := func(*store.CallRow) bool { return true }
	if req.route.parent == "users" {
		if err := req.parentExists(); err != nil {
			return nil, err
		}
		owned, err := req.devicesOf(req.route.parentID)
		if err != nil {
			return nil, err
		}
		wanted = func(c *store.CallRow) bool {
			return c.OwnerID == req.route.parentID || owned[c.ToID] || c.ToID == req.route.parentID ||
				c.AuthorizingID == req.route.parentID || c.AuthorizingType == TypeDevice && owned[c.AuthorizingID] // quickcalls
		}
	}
	rows, after, err := req.cdrPage(q, size, wanted, keep)
	if err != nil {
		return nil, err
	}
	if after != nil {
		if p.whole {
			return nil, &fault{status: http.StatusRequestedRangeNotSatisfiable, message: "range not satisfiable",
				data: say("the list is too long to be sent in whole, use pages")}
		}
		p.after = sealStartKey(place, after)
	}
	p.size = len(rows)
	return req.listReply(appendTree(nil, rows), p), nil
}

// cdrPage reads up to size rows that pass, and where the next page begins: nil when no row that passes is left.
func (req *request) cdrPage(q store.CallQuery, size int, wanted func(*store.CallRow) bool, keep filter) ([]any, []byte, error) {
	rows := []any{}
	var after []byte // behind the last row that was taken
	for {
		calls, next, err := req.api.opts.Store.Calls(req.ctx, q)
		if err != nil {
			return nil, nil, err
		}
		for i := range calls {
			c := &calls[i]
			if !wanted(c) {
				continue
			}
			row := req.cdrRow(c)
			if keep != nil && !keep(&store.Document{ID: cdrID(c), Body: appendTree(nil, row), Created: c.Started, Modified: c.Ended}) {
				continue
			}
			if len(rows) == size {
				return rows, after, nil
			}
			rows, after = append(rows, row), c.Place()
		}
		if q.After = next; next == nil {
			return rows, nil, nil
		}
	}
}

// call finds the record of an id.
func (req *request) call(id string) (store.CallRow, error) {
	_, own, ok := strings.Cut(id, "-")
	if !ok {
		return store.CallRow{}, badIdentifier(id)
	}
	c, err := req.api.opts.Store.GetCall(req.ctx, req.account.id, own)
	if err == nil && cdrID(&c) != id {
		err = badIdentifier(id)
	}
	return c, req.missing(err, id)
}

// fetchCDR shows a record with what its row has no column for, the steps that the call took among it.
func (req *request) fetchCDR() (*reply, error) {
	c, err := req.call(req.route.arg())
	if err != nil {
		return nil, err
	}
	row := req.cdrRow(&c)
	row["call_direction"], row["callflow_id"], row["answered_by"] = c.Direction, c.CallflowID, c.ToID
	row["ringing_seconds"] = seconds(c.Started, c.Ended) - seconds(c.Answered, c.Ended)
	vars := map[string]any{"account_id": c.AccountID, "realm": req.account.view.Realm, "bridge_id": c.SIPCallID}
	switch {
	case c.AuthorizingID != "":
		vars["authorizing_id"], vars["authorizing_type"] = c.AuthorizingID, c.AuthorizingType
	case c.DeviceID != "":
		vars["authorizing_id"], vars["authorizing_type"] = c.DeviceID, "device"
	}
	if c.PresenceID != "" {
		vars["presence_id"] = c.PresenceID
	}
	row["custom_channel_vars"], row["custom_application_vars"] = vars, map[string]any{}
	if json.Valid(c.Variables) {
		row["custom_application_vars"] = c.Variables
	}
	row["trail"] = []any{}
	if json.Valid(c.Trail) {
		row["trail"] = json.RawMessage(c.Trail)
	}
	return &reply{status: http.StatusOK, data: appendTree(nil, row)}, nil
}

func (req *request) legsOfInteraction() (*reply, error) {
	c, err := req.call(req.route.arg())
	if err != nil {
		return nil, err
	}
	return req.listReply(appendTree(nil, []any{req.cdrRow(&c)}), &page{whole: true}), nil
}
