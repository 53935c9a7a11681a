package crossbar

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// This file has the resources that are no documents: what is registered and what is being said now.

func (req *request) registered() []Registration {
	if req.api.opts.Registrations == nil {
		return nil
	}
	return req.api.opts.Registrations.Registrations(req.account.id)
}

func registrations() *resource {
	flush := func(req *request) (*reply, error) {
		if req.api.opts.Registrations != nil {
			if _, err := req.api.opts.Registrations.FlushRegistrations(req.ctx, req.account.id, req.route.arg()); err != nil {
				return nil, err
			}
		}
		return &reply{status: http.StatusOK, data: []byte(`"ok"`)}, nil
	}
	return &resource{noun: "registrations",
		about: "The phones that are registered now. DELETE forgets one user name's registrations, or all.",
		endpoints: []endpoint{
			{path: "", ops: map[string]operation{
				http.MethodGet: {run: func(req *request) (*reply, error) {
					rows := []any{}
					for _, r := range req.registered() {
						rows = append(rows, req.registrationRow(r))
					}
					return req.listReply(appendTree(nil, rows), &page{whole: true}), nil
				}},
				http.MethodDelete: {run: flush}}},
			{path: "count", ops: map[string]operation{http.MethodGet: {run: func(req *request) (*reply, error) {
				return &reply{status: http.StatusOK, data: appendTree(nil, map[string]any{"count": len(req.registered())})}, nil
			}}}},
			{path: "{username}", ops: map[string]operation{http.MethodDelete: {run: flush}}},
		}}
}

func (req *request) registrationRow(r Registration) map[string]any {
	now := req.api.opts.Now()
	row := map[string]any{"account_name": req.account.view.Name, "account_realm": req.account.view.Realm,
		"authorizing_id": r.DeviceID, "authorizing_type": "device", "call_id": r.CallID, "contact": r.Contact,
		"original_contact": r.Contact, "event_timestamp": gregorian(r.Registered), "realm": r.Realm,
		"expires":   max(0, int64(r.ExpiresAt.Sub(now)/time.Second)),
		"from_host": r.Realm, "from_user": r.Username, "to_host": r.Realm, "to_user": r.Username, "username": r.Username,
		"user_agent": r.UserAgent, "suppress_unregister_notify": r.SuppressLog, "transport": r.Transport}
	if source, err := netip.ParseAddrPort(r.Source); err == nil {
		row["contact_ip"], row["contact_port"] = source.Addr().String(), int(source.Port())
	}
	if r.OwnerID != "" {
		row["owner_id"] = r.OwnerID
	}
	if r.ProxyPath != "" {
		row["proxy_path"] = r.ProxyPath
	}
	return row
}

func channels() *resource {
	return &resource{noun: "channels",
		about: "The legs of the calls that are up. POST with an `action` (202): `hangup`; `break` cuts short what a callflow plays to the leg; " +
			"`transfer` connects the leg to `target`, a number of " +
			"the account, and hangs the other leg up when it is connected (`\"leg\": \"bleg\"`: the other way round; blind only, `moh` and " +
			"`takeback_dtmf` are not yet in force); `callflow` connects it to the callflow `id`; `intercept` has the phones of `target_id`, by " +
			"`target_type` a `user` or a `device`, take it. A leg that talks to nobody, or that one of the phones rings for, is taken out of its " +
			"callflow and the phones stop ringing; when nobody takes an intercepted one, its callflow begins anew. PUT with " +
			"`{\"action\": \"metaflow\", \"data\": " +
			"{\"module\": …, \"data\": {…}}}` does the same with modules of these names.",
		within: map[string]string{"users": "owner_id", "devices": "authorizing_id"},
		endpoints: []endpoint{
			{path: "", ops: map[string]operation{http.MethodGet: {run: (*request).listChannels}}},
			{path: "{id}", ops: map[string]operation{
				http.MethodGet:  {run: (*request).fetchChannel},
				http.MethodPost: {run: (*request).commandChannel},
				http.MethodPut:  {run: (*request).metaflowChannel}}},
		}}
}

func (req *request) channelRow(c Channel) map[string]any {
	row := map[string]any{"uuid": c.ID, "answered": c.Answered, "authorizing_id": c.AuthorizingID,
		"authorizing_type": c.AuthorizingType, "destination": c.Destination, "direction": c.Direction,
		"timestamp": gregorian(c.Started), "username": c.Username,
		"elapsed_s": max(0, int64(req.api.opts.Now().Sub(c.Started)/time.Second))}
	for key, value := range map[string]string{"other_leg": c.OtherLeg, "owner_id": c.OwnerID, "presence_id": c.PresenceID} {
		if value != "" {
			row[key] = value
		}
	}
	if len(c.Variables) > 0 {
		variables := make(map[string]any, len(c.Variables))
		for name, value := range c.Variables {
			variables[name] = value
		}
		row["custom_application_vars"] = variables
	}
	return row
}

// live are the channels of the account, or of the user or device that the path names.
func (req *request) live() ([]Channel, error) {
	if req.api.opts.Channels == nil {
		return nil, nil
	}
	all := req.api.opts.Channels.Channels(req.account.id)
	if req.route.parent == "" {
		return all, nil
	}
	if err := req.parentExists(); err != nil {
		return nil, err
	}
	var some []Channel
	for _, c := range all {
		if req.route.parent == "users" && c.OwnerID == req.route.parentID ||
			req.route.parent == "devices" && c.AuthorizingID == req.route.parentID {
			some = append(some, c)
		}
	}
	return some, nil
}

func (req *request) listChannels() (*reply, error) {
	live, err := req.live()
	if err != nil {
		return nil, err
	}
	rows := []any{}
	for _, c := range live {
		rows = append(rows, req.channelRow(c))
	}
	return req.listReply(appendTree(nil, rows), &page{whole: true}), nil
}

func (req *request) channel() (Channel, error) {
	live, err := req.live()
	if err != nil {
		return Channel{}, err
	}
	id := req.route.arg()
	if plain, err := url.PathUnescape(id); err == nil && strings.Contains(id, "%") {
		id = plain // a Call-ID that a client escaped twice
	}
	for _, c := range live {
		if c.ID == id || c.ID == req.route.arg() {
			return c, nil
		}
	}
	return Channel{}, badIdentifier(req.route.arg())
}

func (req *request) fetchChannel() (*reply, error) {
	c, err := req.channel()
	if err != nil {
		return nil, err
	}
	return &reply{status: http.StatusOK, data: appendTree(nil, req.channelRow(c))}, nil
}
