package crossbar

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"bugle"
	"bugle/internal/clicktocall"
)

// clickToCall is the endpoint of the path.
func (req *request) clickToCall() (bugle.ClickToCall, error) {
	id := req.route.arg()
	d, err := req.api.get(req.ctx, req.account.id, TypeClickToCall, id)
	if err != nil {
		return bugle.ClickToCall{}, req.missing(err, id)
	}
	return bugle.ParseClickToCall(d.ID, d.Body)
}

// mayConnect: who has no token of the API may use a public endpoint, and any with a token for one attempt.
func (req *request) mayConnect() (bool, error) {
	endpoint, err := req.clickToCall()
	if err != nil {
		if f := (*fault)(nil); errors.As(err, &f) && f.status == http.StatusNotFound {
			return false, nil // whether it exists is not told
		}
		return false, err
	}
	if !endpoint.AuthRequired {
		req.pages = &pages{endpoint.Origins}
		return true, nil
	}
	_, given := req.param("token")
	return given, nil
}

// preflightOrigins has a preflight of a public endpoint answered for its own pages only. One that announces a token of the API
// is answered for all.
func (req *request) preflightOrigins() error {
	in := req.http.Header
	op, ok := req.route.endpoint.ops[in.Get("Access-Control-Request-Method")]
	announced := strings.ToLower(in.Get("Access-Control-Request-Headers"))
	if !ok || op.public == nil || strings.Contains(announced, "x-auth-token") || strings.Contains(announced, "authorization") {
		return nil
	}
	var err error
	if req.account, err = req.api.account(req.ctx, req.route.account); err != nil {
		return unlessMissing(err)
	}
	endpoint, err := req.clickToCall()
	if err == nil && !endpoint.AuthRequired {
		req.pages = &pages{endpoint.Origins}
	}
	return unlessMissing(err)
}

// unlessMissing is nil for what is not there.
func unlessMissing(err error) error {
	if f := (*fault)(nil); errors.As(err, &f) && f.status == http.StatusNotFound {
		return nil
	}
	return err
}

// ownPage reports whether an origin is this server's.
func (a *API) ownPage(r *http.Request, origin string) bool {
	_, host, _ := strings.Cut(origin, "://")
	return host != "" && strings.EqualFold(host, r.Host) || origin == originOf(a.opts.PublicURL) && origin != ""
}

// anonymousConnect is what is wrong with a connect without a token of the API, beside its contact.
func (req *request) anonymousConnect(endpoint *bugle.ClickToCall) (*clicktocall.Token, *clicktocall.Refusal) {
	var token *clicktocall.Token
	if text, given := req.param("token"); given {
		if token = req.connectToken(endpoint.ID, text); token == nil {
			return nil, &clicktocall.Refusal{Reason: clicktocall.ReasonToken, Message: "the token is not, or no longer, good"}
		}
	}
	origin := req.http.Header.Get("Origin")
	switch {
	case req.verb == http.MethodGet && !endpoint.AllowGet:
		return token, &clicktocall.Refusal{Reason: clicktocall.ReasonMethod, Message: "method not allowed: previews of links would call people, use POST"}
	case token == nil && origin != "" && !req.api.ownPage(req.http, origin) && !(&pages{endpoint.Origins}).list(origin):
		return token, &clicktocall.Refusal{Reason: clicktocall.ReasonOrigin, Message: "pages of this origin may not connect here: it is not among the origins"}
	}
	return token, nil
}

// connect answers GET and POST on connect.
func (req *request) connect() (*reply, error) {
	service := req.api.opts.ClickToCall
	if service == nil {
		return nil, &fault{status: http.StatusNotImplemented, message: "not_implemented", data: say("this server starts no calls")}
	}
	if req.http.Method == http.MethodHead {
		return nil, notAllowed("a HEAD calls nobody", http.MethodGet, http.MethodPost)
	}
	endpoint, err := req.clickToCall()
	if err != nil {
		return nil, err
	}
	r := clicktocall.Request{Account: req.account.view, Endpoint: endpoint, Contact: req.contact(), Key: req.http.Header.Get("Idempotency-Key"),
		Requester: req.requester()}
	if req.identity == nil {
		token, refusal := req.anonymousConnect(&endpoint)
		if refusal != nil && endpoint.AuthRequired && token == nil { // nobody we know of: this fills no history
			return nil, req.refusedConnect(refusal, &r)
		}
		r.Token, r.Refused = token, refusal
	}
	blocking, err := req.connectParameters(&r)
	if err != nil {
		return nil, err
	}
	ctx := req.ctx
	attempt, err := service.Connect(ctx, r)
	if err != nil {
		return nil, req.refusedConnect(err, &r)
	}
	row := attempt.Row
	if blocking && row.Due.IsZero() && !attempt.Repeated {
		if row, err = service.Wait(ctx, &endpoint, row.ID); err != nil {
			return nil, err
		}
		return req.attemptReply(http.StatusOK, &row)
	}
	if req.identity == nil || attempt.Origination.CallID == "" {
		return req.attemptReply(http.StatusAccepted, &row)
	}
	asked, answering := attempt.Origination.First.Caller, attempt.Origination.First.Callee
	if endpoint.ContactFirst {
		asked, answering = answering, asked
	}
	data := req.originateRequest(&attempt.Origination, asked.Number, answering.Number)
	data["id"], data["state"] = row.ID, row.State
	return &reply{status: http.StatusAccepted, data: appendTree(nil, data)}, nil
}

// contact is the parameter; a + that stands in a query unescaped was read as a blank.
func (req *request) contact() string {
	text, _ := req.param("contact")
	data, _ := req.data.(map[string]any)
	if _, inData := scalar(data["contact"]); inData || !strings.HasPrefix(text, " ") || len(text) < 2 || text[1] < '0' || text[1] > '9' {
		return text
	}
	if _, inQuery := req.query["contact"]; inQuery {
		return "+" + text[1:]
	}
	return text
}

func (req *request) requester() clicktocall.Requester {
	r := clicktocall.Requester{Method: "anonymous", Origin: string(clip(req.http.Header.Get("Origin"), 256)), RequestID: req.id}
	if req.client.IsValid() {
		r.Address = req.client.String()
	}
	if _, given := req.param("token"); given {
		r.Method = "token"
	}
	if who := req.identity; who != nil {
		r.AccountID, r.UserID, r.Method = who.account.id, who.userID, who.method
	}
	return r
}

// connectParameters reads what else a connect may say.
func (req *request) connectParameters(r *clicktocall.Request) (blocking bool, err error) {
	errs := fieldErrors{}
	blocking = req.truth("blocking", false, errs)
	r.AutoAnswer = req.truth("auto_answer", true, errs)
	r.Variables = req.variables(errs)
	if text, given := req.param("at"); given && text != "" {
		if r.At, err = time.Parse(time.RFC3339, text); err != nil {
			errs.add("at", "invalid", map[string]any{"message": "Must be a time such as 2026-11-21T16:30:00Z", "value": clip(text, 64)})
		}
	}
	if err := errs.err(); err != nil {
		if r.Refused == nil {
			r.Refused = &clicktocall.Refusal{Reason: clicktocall.ReasonParameters, Message: "a parameter is not what it may be"}
			_, _ = req.api.opts.ClickToCall.Connect(req.ctx, *r) // for the history
		}
		return false, err
	}
	return blocking, nil
}

// truth is a boolean parameter in every spelling; the bare name is true.
func (req *request) truth(name string, otherwise bool, errs fieldErrors) bool {
	text, given := req.param(name)
	if !given {
		if data, _ := req.data.(map[string]any); data[name] != nil {
			errs.add(name, "type", map[string]any{"message": "Value did not match type(s): boolean", "target": "boolean"})
		}
		return otherwise
	}
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "true", "1", "yes", "on", "":
		return true
	case "false", "0", "no", "off":
		return false
	}
	errs.add(name, "type", map[string]any{"message": "Value did not match type(s): boolean", "target": "boolean", "value": clip(text, 64)})
	return otherwise
}

// ownParameters are those of the query string that are no variables of a call.
var ownParameters = []string{"accept", "at", "auth_token", "authorization", "auto_answer", "blocking", "custom_application_vars", "file_name", "jsonp",
	"pretty_print", "token", "verb", "cid-name", "cid-number", "timeout"}

// variables are custom_application_vars of the request: those of data, and every parameter of the query string that is not
// the API's own.
func (req *request) variables(errs fieldErrors) map[string]string {
	out := map[string]string{}
	for name, values := range req.query {
		if !slices.Contains(ownParameters, name) && headerName.MatchString(name) {
			out[name] = values[0]
		}
	}
	data, _ := req.data.(map[string]any)
	given, ok := data["custom_application_vars"].(map[string]any)
	if !ok && data["custom_application_vars"] != nil {
		errs.add("custom_application_vars", "type", map[string]any{"message": "Value did not match type(s): object", "target": "object"})
	}
	for name, v := range given {
		text, ok := scalar(v)
		if !ok {
			errs.add("custom_application_vars."+strings.ReplaceAll(name, ".", "%2E"), "type", map[string]any{
				"message": "Value did not match type(s): string", "target": "string"})
		}
		out[name] = text
	}
	return out
}

func notAllowed(message string, allow ...string) *fault {
	return &fault{status: http.StatusMethodNotAllowed, message: "invalid_method", data: say(message), allow: append(allow, http.MethodOptions)}
}

// refusedConnect is a refusal as KAZOO's clients read it.
func (req *request) refusedConnect(err error, r *clicktocall.Request) error {
	var refusal *clicktocall.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	field := func(path, code string, value any) error {
		errs := fieldErrors{}
		detail := map[string]any{"message": refusal.Message, "cause": string(refusal.Reason)}
		if value != nil {
			detail["value"] = value
		}
		errs.add(path, code, detail)
		return errs.fault()
	}
	told := map[string]any{"message": refusal.Message, "cause": string(refusal.Reason)}
	switch refusal.Reason {
	case clicktocall.ContactRequired:
		return oneRequired(refusal.Message)
	case clicktocall.ContactInvalid:
		return field("contact", "invalid", clip(r.Contact, 64))
	case clicktocall.ReasonWhitelist:
		return &fault{status: http.StatusBadRequest, message: refusal.Message, data: refusal.Contact}
	case clicktocall.ReasonExtension, clicktocall.ReasonEmergency, clicktocall.ReasonPremium, clicktocall.ReasonAbroad, clicktocall.ReasonAddress:
		return field("contact", "forbidden", clip(r.Contact, 64))
	case clicktocall.ReasonVariables:
		return field("custom_application_vars", "invalid", nil)
	case clicktocall.ReasonSchedule:
		return field("at", "invalid", nil)
	case clicktocall.ReasonKey:
		return field("idempotency_key", "invalid", nil)
	case clicktocall.ReasonKeyReused:
		return &fault{status: http.StatusConflict, message: "idempotency_key", data: told}
	case clicktocall.ReasonMethod:
		f := notAllowed(refusal.Message, http.MethodPost)
		told["link"] = req.api.opts.PublicURL + "/c2c/" + r.Endpoint.ID
		f.data = told
		return f
	case clicktocall.ReasonToken:
		return &fault{status: http.StatusUnauthorized, message: "invalid_credentials", data: told}
	case clicktocall.ReasonQuiet:
		told["until"] = refusal.Until.Format(time.RFC3339)
		return &fault{status: http.StatusForbidden, message: "forbidden", data: told, retry: refusal.Retry}
	case clicktocall.ReasonThrottle, clicktocall.ReasonRate:
		return &fault{status: http.StatusTooManyRequests, message: "too_many_requests", data: told, retry: refusal.Retry}
	case clicktocall.ReasonFull:
		return &fault{status: http.StatusTooManyRequests, message: "too_many_requests", data: told, retry: time.Minute}
	case clicktocall.ReasonCapacity:
		return &fault{status: http.StatusServiceUnavailable, message: "no_resources", data: told, retry: refusal.Retry, err: err}
	}
	return &fault{status: http.StatusForbidden, message: "forbidden", data: told}
}

func oneRequired(message string) error {
	errs := fieldErrors{}
	errs.add("contact", "required", map[string]any{"message": message})
	return errs.fault()
}
