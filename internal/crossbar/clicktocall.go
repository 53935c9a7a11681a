package crossbar

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"bugle"
	"bugle/internal/clicktocall"
)

func clickToCalls() *resource {
	r := &resource{noun: "clicktocall", typ: TypeClickToCall, schema: "clicktocall",
		about: "GET or POST on `{id}/connect` calls the extension and then the `contact` (`dial_first` contact: the other way round), and is " +
			"answered at once (202) or, with `blocking`, when the second party has answered or never will (200, the item of the history). " +
			"`{id}/connect/{attempt}` follows an attempt and ends it, `{id}/history` has all of them, refused ones with the reason; who changed a document " +
			"is at `{id}/changes`. With `auth_required` false connecting needs no token, see [safe public click-to-call](../click-to-call.md). " +
			"`{id}/token` makes a token for one attempt to one contact.",
		summary:     func(doc map[string]any) map[string]any { return pick(doc, "name", "extension") },
		summaryKeys: []string{"name", "extension"}, order: byName,
		otherHistory: true,
		references:   refersTo("music_on_hold.media_id"),
		check:        checkClickToCall,
	}
	connect := operation{run: (*request).connect, public: (*request).mayConnect, acts: true}
	r.endpoints = []endpoint{
		{path: "{id}/connect", ops: map[string]operation{http.MethodGet: connect, http.MethodPost: connect}},
		{path: "{id}/connect/{attempt}", ops: map[string]operation{
			http.MethodGet:    {run: (*request).followAttempt, public: (*request).mayFollow},
			http.MethodDelete: {run: (*request).endAttempt, public: (*request).mayFollow}}},
		{path: "{id}/history", ops: map[string]operation{http.MethodGet: {run: (*request).listAttempts}}},
		{path: "{id}/token", ops: map[string]operation{http.MethodPost: {run: (*request).createConnectToken}}},
	}
	r.shapes = connectShapes()
	return r
}

func connectShapes() map[string]shape {
	item := objectOf(with(textKeys("id", "contact", "cause", "call_id", "state", "reason", "iso_8601", "started", "answered", "bridged", "ended", "due"),
		map[string]any{"timestamp": typed("integer"), "result": map[string]any{"enum": []any{"success", "error", "pending"}},
			"cdrs": listOf(typed("string")), "by": typed("object")}), "id", "state")
	takes := objectOf(with(textKeys("contact", "token", "at"), map[string]any{"blocking": typed("boolean"), "auto_answer": typed("boolean"),
		"custom_application_vars": typed("object")}), "contact")
	example := map[string]any{"contact": "4158867900"}
	connect := shape{summary: "Connect a contact: the originate request, or with blocking the item of the history; without a token an id and a state",
		status: http.StatusAccepted, gives: typed("object")}
	post := connect
	post.takes, post.example = takes, example
	return map[string]shape{"GET {id}/connect": connect, "POST {id}/connect": post,
		"GET {id}/connect/{attempt}":    {summary: "How far an attempt has come; `state` and `wait` (seconds) wait for another state", gives: item},
		"DELETE {id}/connect/{attempt}": {summary: "Hang up, or cancel what is planned", gives: item},
		"GET {id}/history":              {summary: "All attempts, the latest first", paged: true, plain: true, revised: true, gives: listOf(item)},
		"POST {id}/token": {summary: "Make a token for one attempt to one contact, good for five minutes", status: http.StatusCreated,
			takes: objectOf(textKeys("contact"), "contact"), example: example,
			gives: objectOf(textKeys("token", "contact", "expires"), "token", "contact", "expires")},
	}
}

const (
	maxDialed = 64  // characters of a number
	maxShown  = 128 // of a name
)

var headerName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// checkClickToCall: what is saved has an effect, or the client is told.
func checkClickToCall(e *edit) error {
	e.checkPattern("whitelist.*")
	if extension, ok := e.doc["extension"].(string); ok && strings.TrimSpace(extension) == "" {
		e.errs.add("extension", "minLength", map[string]any{"message": "String must be at least 1 characters", "target": 1, "value": extension})
	}
	for key, most := range map[string]int{"extension": maxDialed, "caller_id_number": maxDialed, "outbound_callee_id_number": maxDialed,
		"outbound_callee_id_name": maxShown, "name": maxShown, "presence_id": maxShown} {
		e.checkShown(key, stringAt(e.doc, key), most)
	}
	if quiet, ok := e.doc["quiet_hours"].(map[string]any); ok && stringAt(quiet, "from") != "" && stringAt(quiet, "to") != "" {
		field, message := clicktocall.CheckQuietHours(bugle.QuietHours{From: stringAt(quiet, "from"), To: stringAt(quiet, "to"), Timezone: stringAt(quiet, "timezone")})
		if field != "" {
			e.errs.add("quiet_hours."+field, "invalid", map[string]any{"message": message, "value": clip(stringAt(quiet, field), 64)})
		}
	}
	for _, path := range expand(e.doc, "origins.*") {
		if text := stringAt(e.doc, path); text != "*" && originOf(text) != text {
			e.errs.add(path, "invalid", map[string]any{"message": "Must be the origin of web pages such as https://www.example.com, or *", "value": clip(text, 256)})
		}
	}
	e.checkHeaders()
	return nil
}

// checkShown refuses what could not stand in a header.
func (e *edit) checkShown(path, text string, most int) {
	if utf8.RuneCountInString(text) > most {
		e.errs.add(path, "maxLength", map[string]any{"message": "String must not be more than " + decimal(int64(most)) + " characters", "target": most})
	}
	if strings.ContainsFunc(text, isControl) {
		e.errs.add(path, "invalid", map[string]any{"message": "Must not have control characters", "value": text})
	}
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// checkHeaders judges custom_sip_headers: names and texts in out, or beside it.
func (e *edit) checkHeaders() {
	headers, _ := e.doc["custom_sip_headers"].(map[string]any)
	judge := func(path, name string, v any) {
		text, ok := v.(string)
		switch {
		case !headerName.MatchString(name):
			e.errs.add(path, "invalid", map[string]any{"message": "The name of a header has 1 to 64 characters a-z, A-Z, 0-9, - and _"})
		case !ok:
			e.errs.add(path, "type", map[string]any{"message": "Value did not match type(s): string", "target": "string", "value": shown(v)})
		default:
			e.checkShown(path, text, 1024)
		}
	}
	for name, v := range headers {
		path := "custom_sip_headers." + strings.ReplaceAll(name, ".", "%2E")
		inner, isObject := v.(map[string]any)
		switch {
		case name == "in" && isObject && len(inner) == 0:
		case name == "in":
			e.errs.add(path, "invalid", map[string]any{"message": "Must be empty: no call comes in from a click to call; headers of its calls are in out"})
		case name == "out" && isObject:
			for name, v := range inner {
				judge(path+"."+strings.ReplaceAll(name, ".", "%2E"), name, v)
			}
		default:
			judge(path, name, v)
		}
	}
}

// originOf is the origin that a browser sends for pages of a URL, "" for what has none.
func originOf(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || !slices.Contains([]string{"http", "https"}, u.Scheme) {
		return ""
	}
	return u.Scheme + "://" + strings.ToLower(u.Host)
}

// pages are the origins of the web pages that may use an endpoint without a token.
type pages struct{ origins []string }

func (p *pages) list(origin string) bool {
	return origin != "" && slices.ContainsFunc(p.origins, func(listed string) bool { return listed == "*" || strings.EqualFold(listed, origin) })
}
