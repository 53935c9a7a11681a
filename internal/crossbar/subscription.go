package crossbar

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"bugle"
	"bugle/internal/store"
)

// The kinds of endpoints of deliveries, as their owners name them.
const (
	hookKazoo       = "kazoo"
	hookRingCentral = "ringcentral"
)

// The states of a subscription.
const (
	subActive      = "active"
	subPaused      = "paused"
	subBlacklisted = "blacklisted"
	subDisabled    = "disabled"
	subExpired     = "expired"
)

// subscriptions are all that are told of events: the account's webhooks and the subscriptions of the RingCentral API.
func subscriptions() *resource {
	r := &resource{noun: "subscriptions",
		about: "Who is told of events, and what reached them: the account's [webhooks](webhooks.md) and the subscriptions that people have made over the " +
			"RingCentral API, alike. `status` is `active`, `paused`, `blacklisted` (it failed for ten minutes and is asked every fifteen whether it is " +
			"well), `disabled` (the webhook is, or the user or the app) or `expired`. `waiting` is how much waits, since `oldest`; `dead` how much was given up. " +
			"Of an address at the RingCentral API, whose owner alone knows it, the values of the query are not shown.\n\nPUT on a subscription with " +
			"`{\"action\": \"pause\"}` stops it: nothing is sent, all is kept, in order, through restarts, until `{\"action\": \"resume\"}`. The time until " +
			"a delivery is given up stands still meanwhile; 35 days after it was enqueued it is given up nevertheless. A subscription of the RingCentral " +
			"API is `Suspended` to its owner, and its lifetime goes on.\n\n`deliveries` are listed the latest first; `state` (`waiting`, `delivered`, `dead`, " +
			"`dropped`, more than one with commas), `created_from` and `created_to` narrow them. One has its bytes, and all attempts with what was " +
			"answered. PUT with `{\"action\": \"resend\"}` sends one again, and on the list those of a `state`, of a time, or both: `{\"action\": \"resend\", " +
			"\"state\": \"dead\"}` is all that failed. They have the same id and bytes as before, so that receivers know what they have seen. " +
			"They are kept for 35 days after they ended. What was `dropped`, since its subscription is gone, is not sent again.",
		endpoints: []endpoint{
			{path: "", ops: map[string]operation{http.MethodGet: {run: (*request).listSubscribers}}},
			{path: "{id}", ops: map[string]operation{http.MethodGet: {run: (*request).fetchSubscriber}, http.MethodPut: {run: (*request).commandSubscriber}}},
		},
		shapes: map[string]shape{
			"GET":      {summary: "List who is told of events", gives: listOf(refTo("Subscription")), paged: true, plain: true, revised: true},
			"GET {id}": {summary: "Who is told of events", gives: refTo("Subscription")},
			"PUT {id}": {summary: "Pause or resume", takes: refTo("subscriptions.action"), example: map[string]any{"action": "pause"}, gives: refTo("Subscription")},
		}}
	for _, prefix := range []string{"", "{id}/"} {
		r.endpoints = append(r.endpoints, deliveryEndpoints(prefix)...)
		for path, s := range deliveryShapes(prefix, map[string]string{"": " of the account", "{id}/": " of a subscription"}[prefix]) {
			r.shapes[path] = s
		}
	}
	return r
}

func subscriptionSchemas() map[string]any {
	enum := func(values ...any) map[string]any { return map[string]any{"enum": values} }
	return map[string]any{
		"Subscription": objectOf(with(textKeys("id", "name", "address", "user_id", "user_name", "app_id", "app_name", "created", "expires", "reason", "paused_since",
			"blacklisted_since", "failing_since", "oldest"), map[string]any{"kind": enum("webhook", "ringcentral"), "transport": enum("webhook", "websocket"),
			"status": enum(subActive, subPaused, subBlacklisted, subDisabled, subExpired), "filters": listOf(typed("string")), "disabled_filters": listOf(typed("string")),
			"include_changes": typed("boolean"), "waiting": typed("integer"), "dead": typed("integer")}),
			"id", "kind", "transport", "status", "filters", "waiting", "dead"),
		"DeliverySummary": objectOf(deliveryKeys(), "id", "subscription_id", "event", "state", "method", "uri", "timestamp", "iso_8601", "tries", "size"),
		"Delivery": objectOf(with(deliveryKeys(), map[string]any{"req_headers": objectOf(nil), "req_body": typed("string"), "attempts": listOf(refTo("DeliveryAttempt"))}),
			"id", "subscription_id", "event", "state", "method", "uri", "timestamp", "iso_8601", "tries", "size", "req_headers", "req_body", "attempts"),
		"DeliveryAttempt": objectOf(with(textKeys("iso_8601", "reason", "resp_body", "retry_at"), map[string]any{"try": typed("integer"), "timestamp": typed("integer"),
			"duration_ms": typed("integer"), "result": enum("success", "failure"), "resp_status_code": typed("integer"), "req_headers": objectOf(nil)}),
			"try", "timestamp", "iso_8601", "duration_ms", "result"),
	}
}

// subscriber is one of them: a webhook's document or a subscription.
type subscriber struct {
	id, kind string
	webhook  map[string]any
	private  map[string]any // of the webhook
	sub      store.Subscription
}

func webhookSubscriber(d *store.Document) (s subscriber, err error) {
	s = subscriber{id: d.ID, kind: hookKazoo, private: map[string]any{}}
	if s.webhook, err = parseObject(d.Body); err == nil && len(d.Private) > 0 {
		s.private, err = parseObject(d.Private)
	}
	return s, err
}

// subscriber finds the one that the path names.
func (req *request) subscriber() (s subscriber, err error) {
	id := req.route.arg()
	d, err := req.api.get(req.ctx, req.account.id, TypeWebhook, id)
	if err == nil {
		return webhookSubscriber(&d)
	}
	if !isMissing(err) {
		return s, err
	}
	u, err := req.api.opts.Store.Subscription(req.ctx, id)
	if err != nil || u.AccountID != req.account.id || req.route.resource.typ == TypeWebhook {
		if err == nil || isMissing(err) {
			err = badIdentifier(id)
		}
		return s, err
	}
	return subscriber{id: u.ID, kind: hookRingCentral, sub: u}, nil
}

// listSubscribers answers with the webhooks, then the subscriptions.
func (req *request) listSubscribers() (*reply, error) {
	p := &page{}
	size, err := req.pageSize(p)
	if err != nil {
		return nil, err
	}
	place := listPlace(store.Query{AccountID: req.account.id, Type: "subscriptions"})
	var after []byte
	if p.startKey != "" {
		if after, err = openStartKey(place, p.startKey); err != nil {
			return nil, err
		}
	}
	found, next, err := req.subscribers(after, size)
	if err != nil {
		return nil, err
	}
	if next != nil {
		if p.whole {
			return nil, &fault{status: http.StatusRequestedRangeNotSatisfiable, message: "range not satisfiable",
				data: say("the list is too long to be sent in whole, use pages")}
		}
		p.after = sealStartKey(place, next)
	}
	rows, err := req.subscriberRows(found)
	if err != nil {
		return nil, err
	}
	p.size = len(rows)
	return req.listReply(appendTree(nil, rows), p), nil
}

// A place in the list is of the webhooks or, with this before an id, of the subscriptions.
const placeSubscription = 's'

func (req *request) subscribers(after []byte, size int) (found []subscriber, next []byte, err error) {
	if len(after) == 0 || after[0] != placeSubscription {
		q := store.Query{AccountID: req.account.id, Type: TypeWebhook}
		if len(after) > 0 {
			q.After = after[1:]
		}
		for {
			q.Limit = min(size-len(found), storePage)
			docs, more, err := req.api.opts.Store.List(req.ctx, q)
			if err != nil {
				return nil, nil, err
			}
			for i := range docs {
				s, err := webhookSubscriber(&docs[i])
				if err != nil {
					return nil, nil, err
				}
				found = append(found, s)
			}
			if q.After = more; more == nil {
				break
			}
			if len(found) >= size {
				return found, append([]byte{'w'}, more...), nil
			}
		}
		after = []byte{placeSubscription}
	}
	for last := string(after[1:]); ; {
		list, err := req.api.opts.Store.SubscriptionsOfAccount(req.ctx, req.account.id, last, min(size-len(found), storePage)+1)
		if err != nil {
			return nil, nil, err
		}
		for i := range list {
			if len(found) == size {
				return found, append([]byte{placeSubscription}, last...), nil
			}
			last = list[i].ID
			found = append(found, subscriber{id: last, kind: hookRingCentral, sub: list[i]})
		}
		if len(list) <= storePage {
			return found, nil, nil
		}
	}
}

func (req *request) fetchSubscriber() (*reply, error) {
	s, err := req.subscriber()
	if err != nil {
		return nil, err
	}
	return req.subscriberReply(s)
}

func (req *request) subscriberReply(s subscriber) (*reply, error) {
	rows, err := req.subscriberRows([]subscriber{s})
	if err != nil {
		return nil, err
	}
	return &reply{status: http.StatusOK, data: appendTree(nil, rows[0])}, nil
}

// commandSubscriber answers PUT on one: pause or resume.
func (req *request) commandSubscriber() (*reply, error) {
	s, err := req.subscriber()
	if err != nil {
		return nil, err
	}
	data, err := req.document()
	if err != nil {
		return nil, err
	}
	if err := req.api.schemas.apply("subscriptions.action", data).err(); err != nil {
		return nil, err
	}
	if s.kind == hookRingCentral && s.sub.Transport != "WebHook" {
		return nil, oneError("action", "invalid", "It is told over its own WebSocket, of which nothing waits: only what is delivered to an address can be paused", data["action"])
	}
	pause := data["action"] == any("pause")
	if err := req.api.opts.Store.Write(req.ctx, func(tx *store.Tx) error { return tx.PauseHook(req.account.id, s.id, s.kind, pause) }); err != nil {
		return nil, err
	}
	return req.subscriberReply(s)
}

// subscriberRows are the rows of a list, with how each does.
func (req *request) subscriberRows(list []subscriber) ([]any, error) {
	ids := make([]string, len(list))
	for i := range list {
		ids[i] = list[i].id
	}
	states, err := req.api.opts.Store.HookEndpoints(req.ctx, req.account.id, ids)
	if err != nil {
		return nil, err
	}
	backlogs, err := req.api.opts.Store.HookBacklogs(req.ctx, req.account.id, ids)
	if err != nil {
		return nil, err
	}
	rows, owners := make([]any, len(list)), owners{}
	for i := range list {
		s := &list[i]
		row, status, err := req.subscriberRow(s, owners)
		if err != nil {
			return nil, err
		}
		state, backlog := states[s.id], backlogs[s.id]
		switch {
		case status != subActive:
		case !state.Paused.IsZero():
			status = subPaused
		case !state.Blacklisted.IsZero():
			status = subBlacklisted
		}
		row["status"], row["waiting"], row["dead"] = status, backlog.Waiting, backlog.Dead
		if state.Reason != "" && row["reason"] == nil {
			row["reason"] = state.Reason
		}
		addTimes(row, map[string]time.Time{"paused_since": state.Paused, "blacklisted_since": state.Blacklisted, "failing_since": state.Failing, "oldest": backlog.Oldest})
		rows[i] = row
	}
	return rows, nil
}

func addTimes(row map[string]any, times map[string]time.Time) {
	for key, at := range times {
		if !at.IsZero() {
			row[key] = at.UTC().Format(time.RFC3339Nano)
		}
	}
}

// owner is who has a subscription, and by which app.
type owner struct {
	userName, appName string
	disabled          bool
}

type owners map[[2]string]owner

// subscriberRow is what a subscription itself says.
func (req *request) subscriberRow(s *subscriber, known owners) (row map[string]any, status string, err error) {
	row = map[string]any{"id": s.id, "transport": "webhook"}
	status = subActive
	if s.kind == hookKazoo {
		row["kind"], row["name"], row["address"] = "webhook", stringAt(s.webhook, "name"), shownURL(s.kind, stringAt(s.webhook, "uri"))
		filters := []any{stringAt(s.webhook, "hook")}
		custom, _ := s.webhook["custom_data"].(map[string]any)
		for _, key := range []string{"type", "action"} {
			if value, given := custom[key]; given {
				filters = append(filters, key+"="+textOf(value))
			}
		}
		if !boolAt(s.webhook, "enabled", true) {
			status = subDisabled
			if reason := stringAt(s.private, privateDisabled); reason != "" {
				row["reason"] = reason
			}
		}
		row["filters"] = filters
		return row, status, nil
	}
	row["kind"], row["transport"] = "ringcentral", strings.ToLower(s.sub.Transport)
	var terms SubscriptionTerms
	if f := req.api.opts.SubscriptionTerms; f != nil {
		if terms, err = f(&s.sub); err != nil {
			return nil, "", err
		}
	}
	row["filters"] = anyTexts(terms.Filters)
	if len(terms.Disabled) > 0 {
		row["disabled_filters"] = anyTexts(terms.Disabled)
	}
	if terms.IncludeChanges {
		row["include_changes"] = true
	}
	if terms.Address != "" {
		row["address"] = shownURL(s.kind, terms.Address)
	}
	addTimes(row, map[string]time.Time{"created": terms.Created, "expires": s.sub.Expires})
	who, err := req.ownerOf(&s.sub, known)
	if err != nil {
		return nil, "", err
	}
	for key, text := range map[string]string{"user_id": s.sub.UserID, "user_name": who.userName, "app_id": s.sub.AppID, "app_name": who.appName} {
		if text != "" {
			row[key] = text
		}
	}
	switch {
	case !s.sub.Expires.After(req.api.opts.Now()) && s.sub.Transport == "WebHook":
		status = subExpired
	case who.disabled:
		status = subDisabled
	}
	return row, status, nil
}

func (req *request) ownerOf(u *store.Subscription, known owners) (o owner, err error) {
	key := [2]string{u.UserID, u.AppID}
	if o, ok := known[key]; ok {
		return o, nil
	}
	if u.UserID != "" {
		d, err := req.api.get(req.ctx, u.AccountID, TypeUser, u.UserID)
		if err != nil && !isMissing(err) {
			return o, err
		}
		if err == nil {
			doc, err := parseKeys(d.Body, []string{"first_name", "last_name"})
			if err != nil {
				return o, err
			}
			o.userName = strings.TrimSpace(stringAt(doc, "first_name") + " " + stringAt(doc, "last_name"))
		}
	}
	_, gone := req.api.Person(req.ctx, u.AccountID, u.UserID)
	if u.AppID != "" {
		var app App
		var missing error
		app, missing = req.api.OAuthApp(req.ctx, u.AppID)
		o.appName, gone = app.Name, cmp.Or(gone, missing)
	}
	if gone != nil {
		if !errors.Is(gone, errUnknown) && bugle.KindOf(gone) != bugle.KindUnauthorized {
			return o, gone
		}
		o.disabled = true
	}
	known[key] = o
	return o, nil
}

// shownURL is an address without its secrets. That of a webhook is in its document, which who sees this may read.
func shownURL(kind, address string) string {
	if kind == hookKazoo {
		return address
	}
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	u.User, u.Fragment = nil, ""
	if u.RawQuery != "" {
		names := []string{}
		for name := range u.Query() {
			names = append(names, url.QueryEscape(name)+"=***")
		}
		slices.Sort(names)
		u.RawQuery = strings.Join(names, "&")
	}
	return u.String()
}

func anyTexts(list []string) []any {
	out := make([]any, len(list))
	for i, text := range list {
		out[i] = text
	}
	return out
}

// textOf is a value or the values of an array as text.
func textOf(v any) string {
	if list, ok := v.([]any); ok {
		texts := make([]string, len(list))
		for i := range list {
			texts[i] = textOf(list[i])
		}
		return strings.Join(texts, ",")
	}
	text, _ := scalar(v)
	return text
}
