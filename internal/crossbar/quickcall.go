package crossbar

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"bugle"
	"bugle/internal/call"
	"bugle/internal/callflow"
	"bugle/internal/clicktocall"
)

const mostQuickcall = 600 // seconds that a party of a quickcall may ring

// quickcalls is the endpoint of quickcalls of a user or a device.
func quickcalls(typ string) endpoint {
	op := operation{run: func(req *request) (*reply, error) { return req.quickcall(typ) }, acts: true}
	return endpoint{path: "{id}/quickcall/{number}", ops: map[string]operation{http.MethodGet: op, http.MethodPost: op}}
}

func quickcallShape(verb string) shape {
	s := shape{summary: "Ring the phone, then call the number for it: the originate request", status: http.StatusAccepted, gives: typed("object")}
	if verb == http.MethodPost {
		s.takes = objectOf(map[string]any{"custom_application_vars": typed("object"), "auto_answer": typed("boolean"), "cid-name": typed("string"),
			"cid-number": typed("string"), "timeout": typed("integer"), "media": objectOf(map[string]any{"ignore_early_media": typed("boolean")})})
		s.example = map[string]any{"auto_answer": false}
	}
	return s
}

// quickcall rings a user's or a device's phones and, when one has answered, calls the number as if it had been dialled there.
func (req *request) quickcall(typ string) (*reply, error) {
	if req.api.opts.Quickcall == nil {
		return nil, &fault{status: http.StatusNotImplemented, message: "not_implemented", data: say("this server starts no calls")}
	}
	if req.http.Method == http.MethodHead {
		return nil, notAllowed("a HEAD calls nobody", http.MethodGet, http.MethodPost)
	}
	id, number := req.route.args[0], req.route.args[1]
	if _, err := req.api.get(req.ctx, req.account.id, typ, id); err != nil {
		return nil, req.missing(err, id)
	}
	if !req.account.view.Enabled {
		return nil, &fault{status: http.StatusForbidden, message: "forbidden", data: say("the account is disabled")}
	}
	contact, refusal := clicktocall.ParseContact(&req.account.view, number)
	if refusal == nil && contact.URI != "" {
		refusal = &clicktocall.Refusal{Message: "a phone calls numbers of its account's dial plan"}
	}
	if refusal != nil {
		return nil, oneError("number", "invalid", refusal.Message, clip(number, 64))
	}
	o, err := req.quickcallOrder(typ, id, contact.Number)
	if err != nil {
		return nil, err
	}
	if _, err := req.api.opts.Quickcall.Originate(*o, func(callflow.OriginationEvent) {}); err != nil {
		if bugle.KindOf(err) == bugle.KindLimited {
			err = &fault{status: http.StatusServiceUnavailable, message: "no_resources", data: say("no call can be made now"), retry: 5 * time.Second, err: err}
		}
		return nil, err
	}
	return &reply{status: http.StatusAccepted, data: appendTree(nil, req.originateRequest(o, o.First.Caller.Number, o.First.Callee.Number))}, nil
}

// quickcallOrder reads the parameters of a quickcall.
func (req *request) quickcallOrder(typ, id, number string) (*callflow.Origination, error) {
	errs := fieldErrors{}
	text := func(name, otherwise string, most int) string {
		s, given := req.param(name)
		if !given || s == "" {
			return otherwise
		}
		if len(s) > most || strings.ContainsFunc(s, isControl) {
			errs.add(name, "invalid", map[string]any{"message": "Must have at most " + strconv.Itoa(most) + " characters and no control characters"})
		}
		return s
	}
	timeout := 0
	if s, given := req.param("timeout"); given {
		var err error
		if timeout, err = strconv.Atoi(s); err != nil || timeout < 1 || timeout > mostQuickcall {
			errs.add("timeout", "invalid", map[string]any{"message": "Must be 1 to " + strconv.Itoa(mostQuickcall) + " seconds", "value": clip(s, 64)})
		}
	}
	data, _ := req.data.(map[string]any)
	early := false
	if ignore, given := lookUp(data, "media.ignore_early_media"); given {
		asked, ok := ignore.(bool)
		if early = !asked; !ok {
			errs.add("media.ignore_early_media", "type", map[string]any{"message": "Value did not match type(s): boolean", "target": "boolean"})
		}
	}
	caller := call.Party{Name: text("cid-name", "Device QuickCall", maxShown), Number: text("cid-number", number, maxDialed)}
	o := &callflow.Origination{CallID: "quickcall-" + bugle.NewID(), AccountID: req.account.id, By: callflow.Authorizing{ID: id, Type: typ},
		Timeout: time.Duration(timeout) * time.Second, AutoAnswer: req.truth("auto_answer", true, errs), EarlyMedia: early,
		Variables: req.variables(errs), First: callflow.Destination{Caller: caller}, Second: callflow.Destination{Number: number}}
	if typ == TypeUser {
		o.First.UserID = id
	} else {
		o.First.DeviceID = id
	}
	if refused := clicktocall.CheckVariables(o.Variables); refused != nil {
		errs.add("custom_application_vars", "invalid", map[string]any{"message": refused.Message})
	}
	return o, errs.err()
}
