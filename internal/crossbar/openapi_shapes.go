package crossbar

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// shape is what an operation takes and gives beside the envelope, as schemas of OpenAPI 3.1.
type shape struct {
	summary  string
	takes    map[string]any // data of the request, nil for none
	example  any
	gives    map[string]any // data of the answer
	status   int            // of success
	paged    bool           // a list in pages
	plain    bool           // which cannot be filtered
	revised  bool           // the answer has a revision
	document bool           // the answer is a document
	codes    []int          // of errors beside the usual ones
}

func refTo(name string) map[string]any { return map[string]any{"$ref": components + name} }

func listOf(items map[string]any) map[string]any {
	return map[string]any{"type": "array", "items": items}
}

func objectOf(properties map[string]any, required ...any) map[string]any {
	out := map[string]any{"type": "object", "properties": properties}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

func typed(typ string) map[string]any { return map[string]any{"type": typ} }

func textKeys(names ...string) map[string]any {
	out := make(map[string]any, len(names))
	for _, name := range names {
		out[name] = typed("string")
	}
	return out
}

// shapeOf follows from the table for what documents have; describedShapes knows the rest.
func (a *API) shapeOf(r *resource, e *endpoint, verb string) shape {
	s, ok := r.shapes[strings.TrimSpace(verb+" "+e.path)]
	if !ok {
		at := strings.TrimSuffix(r.noun+"/"+e.path, "/")
		for parent, below := range r.under {
			if below == e {
				at = parent + "/{id}/" + at
			}
		}
		s, ok = describedShapes()[verb+" "+at]
	}
	if ok {
		if s.status == 0 {
			s.status = http.StatusOK
		}
		return s
	}
	name := strings.ReplaceAll(r.singular(), "_", " ")
	s = shape{status: http.StatusOK, gives: map[string]any{}, summary: verb + " " + strings.TrimSuffix(r.noun+"/"+e.path, "/")}
	if r.typ == "" || r.schema == "" {
		if verb != http.MethodGet && verb != http.MethodDelete {
			s.takes = typed("object")
		}
		return s
	}
	s.gives, s.revised, s.document = refTo(r.schema+".document"), true, true
	switch {
	case verb == http.MethodGet && e.path == "":
		s.summary, s.paged, s.document = "List "+strings.ReplaceAll(r.noun, "_", " "), true, false
		s.gives = listOf(refTo(r.schema + ".summary"))
	case verb == http.MethodPut && (e.path == "" || r.typ == TypeAccount && e.path == "{id}"):
		s.summary, s.status, s.takes = "Create: "+name, http.StatusCreated, refTo(r.schema)
		s.example = a.exampleOf(r)
	case verb == http.MethodGet && e.path == r.changesPath():
		s.summary, s.gives = "Who changed it, when and how, newest first: "+name, listOf(refTo("HistoryEntry"))
		s.paged, s.plain, s.document = true, true, false
	case e.path != "{id}":
		s.gives, s.revised, s.document = map[string]any{}, false, false
		if verb != http.MethodGet && verb != http.MethodDelete {
			s.takes = typed("object")
		}
	case verb == http.MethodGet:
		s.summary = "Read: " + name
	case verb == http.MethodPost:
		s.summary, s.takes, s.example = "Replace: "+name, refTo(r.schema), a.exampleOf(r)
	case verb == http.MethodPatch:
		s.summary, s.takes = "Merge into: "+name, refTo(r.schema+patchSuffix)
	case verb == http.MethodDelete:
		s.summary = "Delete: " + name
	}
	return s
}

// describedShapes are those of operations that are not a document's own, by verb, noun and path.
func describedShapes() map[string]shape {
	accountRows := shape{summary: "List accounts", paged: true, revised: true, gives: listOf(refTo("accounts.summary"))}
	above := shape{summary: "List the accounts above, from the top",
		gives: listOf(objectOf(textKeys("id", "name"), "id", "name"))}
	key := shape{summary: "The API key", gives: objectOf(textKeys("api_key"), "api_key")}
	token := shape{summary: "Whose the token is", gives: refTo("TokenDetails")}
	children, descendants, renewed := accountRows, accountRows, key
	children.summary, descendants.summary = "List the accounts right below", "List all accounts below"
	renewed.summary = "Make a new API key, and end the old one with all tokens got by it"
	siblings := accountRows
	siblings.summary = "List the accounts below the same parent, the account itself among them"
	moved := shape{summary: "Put the account below another", takes: objectOf(map[string]any{"to": refTo("Id")}, "to"),
		gives: refTo("accounts.document"), revised: true}
	done := shape{summary: "Forget registrations", gives: typed("string")}
	audio := shape{summary: "Upload audio", gives: map[string]any{}, revised: true}
	return map[string]shape{
		"GET accounts/{id}/children": children, "GET accounts/{id}/descendants": descendants,
		"GET accounts/{id}/siblings": siblings, "POST accounts/{id}/move": moved,
		"GET accounts/{id}/parents": above, "GET accounts/{id}/tree": above,
		"GET accounts/{id}/api_key": key, "PUT accounts/{id}/api_key": renewed,
		"GET user_auth": token, "GET token_auth": token, "GET user_auth/{token}": token,
		"DELETE token_auth": {summary: "End the token", gives: objectOf(textKeys("auth_token"))},
		"PUT user_auth/recovery": {summary: "Have a link to set a new password mailed", takes: refTo("user_auth_recovery"), gives: typed("string"),
			example: map[string]any{"username": "grace", "account_name": "Example", "ui_url": "https://ui.example.com/login"}},
		"POST user_auth/recovery": {summary: "Get a token by what the mailed link holds", takes: objectOf(textKeys("reset_id"), "reset_id"),
			gives: refTo("TokenDetails"), example: map[string]any{"reset_id": strings.Repeat("0f", 32)}},
		"PUT users/{id}/user_auth": {summary: "Take a user's place: a token", status: http.StatusCreated, gives: refTo("TokenDetails"),
			takes:   objectOf(map[string]any{"action": map[string]any{"const": "impersonate_user"}}, "action"),
			example: map[string]any{"action": "impersonate_user"}},
		"PUT user_auth": {summary: "Get a token by user name and password", status: http.StatusCreated,
			takes: refTo("user_auth"), gives: refTo("TokenDetails"),
			example: map[string]any{"credentials": "0cc175b9c0f1b6a831c399e269772661", "account_name": "Example"}},
		"PUT api_auth": {summary: "Get a token by API key", status: http.StatusCreated, takes: refTo("api_auth"),
			gives: refTo("TokenDetails"), example: map[string]any{"api_key": strings.Repeat("0f", 32)}},
		"GET registrations":               {summary: "List the phones that are registered", gives: listOf(refTo("Registration"))},
		"GET registrations/count":         {summary: "How many phones are registered", gives: objectOf(map[string]any{"count": typed("integer")}, "count")},
		"DELETE registrations":            done,
		"DELETE registrations/{username}": done,
		"GET channels":                    {summary: "List the legs of the calls that are up", gives: listOf(refTo("Channel"))},
		"GET channels/{id}":               {summary: "One leg of a call", gives: refTo("Channel")},
		"POST channels/{id}": {summary: "End, transfer or redirect one leg of a call", status: http.StatusAccepted, gives: typed("string"),
			takes: objectOf(with(textKeys("target", "id"), map[string]any{"action": map[string]any{"enum": channelActions},
				"leg": map[string]any{"enum": []any{"self", "bleg"}}}), "action"),
			example: map[string]any{"action": "hangup"}},
		"PUT channels/{id}": {summary: "Run a node of a metaflow on one leg of a call", status: http.StatusAccepted, gives: typed("string"),
			takes:   objectOf(map[string]any{"action": map[string]any{"const": "metaflow"}, "data": typed("object")}, "action", "data"),
			example: map[string]any{"action": "metaflow", "data": map[string]any{"module": "hangup", "data": map[string]any{}}}},
		"GET devices/status": {summary: "Which devices are registered",
			gives: listOf(objectOf(map[string]any{"device_id": typed("string"), "registered": typed("boolean")}, "device_id", "registered"))},
		"GET schemas":      {summary: "The ids of all JSON schemas", gives: listOf(typed("string"))},
		"GET schemas/{id}": {summary: "One JSON schema, of draft 4", gives: typed("object")},
		"PUT schemas/{id}/validation": {summary: "Validate without storing", takes: typed("object"), gives: typed("object"),
			example: map[string]any{"name": "Example"}},
		"GET media/{id}/raw": {summary: "Download the audio", gives: map[string]any{}}, "POST media/{id}/raw": audio, "PUT media/{id}/raw": audio,
	}
}

// computedShapes are the keys that only answers have, by schema and key.
func computedShapes() map[string]map[string]any {
	return map[string]map[string]any{
		"users.profile_image": objectOf(textKeys("etag", "content_type"), "etag", "content_type"),
		"directories.users":   listOf(objectOf(textKeys("user_id", "callflow_id"), "user_id", "callflow_id")),
	}
}

// openAPISchemas are the components: of each document what is written, patched, read and listed; what these refer to;
// and the envelope.
func (a *API) openAPISchemas() map[string]any {
	found := map[string]bool{"user_auth": true, "user_auth_recovery": true, "api_auth": true, "mailbox_message": true, "subscriptions.action": true, "deliveries.action": true}
	out := envelopeSchemas()
	maps.Copy(out, contactSchemas())
	maps.Copy(out, subscriptionSchemas())
	for _, r := range a.resources {
		if r.schema == "" || a.schemas.tree[r.schema] == nil {
			continue
		}
		found[r.schema] = true
		a.refs(a.schemas.tree[r.schema], found)
		out[r.schema+".document"] = a.documentSchema(r)
		if r.summary != nil {
			out[r.schema+".summary"] = a.summarySchema(r)
		}
	}
	for id := range found {
		schema := modern(id, a.schemas.tree[id])
		for _, r := range a.resources {
			if r.schema != id {
				continue
			}
			properties, _ := schema["properties"].(map[string]any)
			for _, key := range r.computed {
				delete(properties, key)
			}
			if required, ok := schema["required"].([]any); ok && r.parentKey != "" { // the path says it
				schema["required"] = slices.DeleteFunc(slices.Clone(required), func(v any) bool { return v == any(r.parentKey) })
			}
		}
		out[id] = schema
		out[id+patchSuffix] = patchOf(schema)
	}
	return out
}

func (a *API) documentSchema(r *resource) map[string]any {
	more := map[string]any{"id": r.idSchema(),
		"_read_only": map[string]any{"type": "object", "description": "What the server tells beside the document; ignored on input"}}
	for _, key := range r.computed {
		more[key] = map[string]any{"description": "Computed; ignored on input"}
		if known := computedShapes()[r.schema+"."+key]; known != nil {
			more[key] = known
		}
	}
	return map[string]any{"allOf": []any{refTo(r.schema), objectOf(more, "id")}}
}

func (r *resource) idSchema() map[string]any {
	if r.idForm == "" {
		return refTo("Id")
	}
	return map[string]any{"type": "string", "pattern": r.idForm}
}

func (a *API) summarySchema(r *resource) map[string]any {
	schema := a.schemas.tree[r.schema]
	known, _ := schema["properties"].(map[string]any)
	properties := map[string]any{"id": r.idSchema()}
	bare := r.summary(map[string]any{})
	keys := slices.Collect(maps.Keys(bare))
	for _, key := range slices.Concat(keys, r.summaryKeys) {
		p, named := known[key].(map[string]any)
		switch {
		case named:
			properties[key] = modern(r.schema, p)
			if no, ok := bare[key].(bool); ok && stringAt(p, "type") != "boolean" {
				properties[key] = map[string]any{"anyOf": []any{properties[key], map[string]any{"const": no}}}
			}
			if _, ok := bare[key].(int); ok {
				properties[key] = typed("integer") // how many
			}
		case summarises(r, key) || slices.Contains(keys, key):
			properties[key] = map[string]any{}
		}
	}
	return objectOf(properties, "id")
}

func envelopeSchemas() map[string]any {
	about := func(text string) map[string]any { return map[string]any{"type": "string", "description": text} }
	envelope := objectOf(map[string]any{
		"auth_token": about("The token that was presented, or a new one"),
		"node":       about("The server's name"),
		"request_id": about("X-Request-Id of the request, or one made up"),
		"revision":   about("Of the document or list, for If-Match and If-None-Match"),
		"status":     map[string]any{"const": "success"},
		"timestamp":  map[string]any{"type": "string", "format": "date-time"},
		"tokens": objectOf(map[string]any{"consumed": typed("integer"), "remaining": map[string]any{"type": "integer",
			"description": "Requests that may follow at once"}}, "consumed", "remaining"),
		"version": about("Of the server; only with a token"),
	}, "data", "request_id", "status", "timestamp", "node")
	return map[string]any{
		"Id":       map[string]any{"type": "string", "pattern": "^[0-9a-f]{32}$"},
		"Envelope": envelope,
		"ListEnvelope": map[string]any{"allOf": []any{refTo("Envelope"), objectOf(map[string]any{
			"page_size":      map[string]any{"type": "integer", "minimum": 0, "description": "Rows of this page"},
			"start_key":      about("Where this page begins"),
			"next_start_key": about("start_key of the next page; absent on the last one"),
		})}},
		"Error": objectOf(map[string]any{
			"data": map[string]any{"description": "What is wrong"}, "error": about("The HTTP status"),
			"message": about("A short text for programs"), "status": map[string]any{"enum": []any{"error", "fatal"}},
			"request_id": typed("string"), "timestamp": map[string]any{"type": "string", "format": "date-time"},
			"node": typed("string"), "auth_token": typed("string"), "version": typed("string"), "tokens": typed("object"),
		}, "data", "error", "message", "request_id", "status"),
		"FieldErrors": map[string]any{"type": "object", "description": "By the dotted path of the field, then by the code of what is wrong",
			"additionalProperties": map[string]any{"type": "object", "additionalProperties": refTo("FieldError")}},
		"FieldError": objectOf(map[string]any{"message": typed("string"),
			"target": map[string]any{"description": "The bound, or what is allowed"},
			"value":  map[string]any{"description": "What was sent"}, "cause": map[string]any{}}, "message"),
		"TokenDetails": objectOf(map[string]any{"account_id": refTo("Id"), "owner_id": refTo("Id"), "account_name": typed("string"),
			"is_master_account": typed("boolean"), "is_reseller": typed("boolean"), "reseller_id": refTo("Id"), "method": typed("string"),
			"language": typed("string"), "apps": typed("array"),
			"cluster_id": typed("string"), "impersonated_by": refTo("Id"), "capabilities": typed("object"), "ui_config": typed("object")}, "account_id"),
		"Registration": objectOf(with(textKeys("account_name", "account_realm", "authorizing_id", "authorizing_type", "call_id", "contact",
			"contact_ip", "from_host", "from_user", "original_contact", "owner_id", "proxy_path", "realm", "to_host", "to_user",
			"transport", "user_agent", "username"), map[string]any{"contact_port": typed("integer"), "event_timestamp": typed("integer"),
			"expires": typed("integer"), "suppress_unregister_notify": typed("boolean")}), "username", "realm", "contact"),
		"HistoryEntry": objectOf(map[string]any{
			"action":   map[string]any{"enum": []any{"created", "edited", "deleted", "restored"}},
			"sequence": map[string]any{"type": "integer", "description": "Place in the account's log of changes"},
			"revision": about("The document's revision after the change"), "timestamp": typed("integer"),
			"iso_8601": map[string]any{"type": "string", "format": "date-time"},
			"by": objectOf(map[string]any{"account_id": refTo("Id"), "user_id": refTo("Id"), "impersonated_by": typed("string"),
				"method": about("How the token was got; server for what was done from the shell")}, "method"),
			"client_ip": typed("string"), "request_id": typed("string"),
			"before": map[string]any{"type": []any{"object", "null"}, "description": "Secrets are masked"},
			"after":  map[string]any{"type": []any{"object", "null"}, "description": "Secrets are masked"}},
			"action", "sequence", "revision", "timestamp", "iso_8601", "by", "before", "after"),
		"Channel": objectOf(with(textKeys("uuid", "authorizing_id", "authorizing_type", "destination", "direction", "other_leg", "owner_id",
			"presence_id", "username"), map[string]any{"answered": typed("boolean"), "timestamp": typed("integer"),
			"elapsed_s": typed("integer"), "custom_application_vars": typed("object")}), "uuid", "direction", "answered"),
	}
}

func with(base, more map[string]any) map[string]any {
	maps.Copy(base, more)
	return base
}

// errorResponses are the components of all errors, by their code.
func errorResponses() map[string]any {
	out := map[string]any{}
	for code, about := range map[string]string{
		"400": "Something is wrong with the request: message is validation error, and data says what by field and code, or invalid data",
		"401": "No token, or one that is not (or no longer) good", "403": "The token may not do this",
		"404": "There is no such path (not_found), document (bad_identifier) or page (faulty_request)",
		"406": "The path has nothing of the media types in Accept", "409": "Someone else changed the document meanwhile",
		"412": "If-Match holds another revision", "413": "The body is too large", "415": "The body's media type is not taken",
		"410": "What is asked for is no longer kept",
		"416": "The list is too long to be sent in whole", "429": "Too many requests; Retry-After says when to come back",
		"501": "Nothing that this server is connected to can do this",
		"500": "The server failed; its log tells more under the request's id", "503": "The database does not answer",
	} {
		schema := refTo("Error")
		if code == "400" || code == "413" {
			schema = map[string]any{"allOf": []any{schema, objectOf(map[string]any{"data": map[string]any{
				"anyOf": []any{refTo("FieldErrors"), typed("object")}}})}}
		}
		response := map[string]any{"description": about, "content": map[string]any{"application/json": map[string]any{"schema": schema}}}
		if code == "429" || code == "503" {
			response["headers"] = map[string]any{"Retry-After": headerText("Seconds")}
		}
		out[code] = response
	}
	out["400"].(map[string]any)["content"].(map[string]any)["application/json"].(map[string]any)["example"] = map[string]any{
		"data":  map[string]any{"name": map[string]any{"required": map[string]any{"message": "Field is required but missing"}}},
		"error": "400", "message": "validation error", "request_id": strings.Repeat("0f", 16), "status": "error"}
	return out
}

func sharedParameters() map[string]any {
	out := map[string]any{}
	add := func(name, in, about string, schema map[string]any) map[string]any {
		p := map[string]any{"name": name, "in": in, "description": about, "schema": schema}
		out[name] = p
		return p
	}
	add("page_size", "query", "Rows of a page", map[string]any{"type": "integer", "minimum": 1, "maximum": maxPage, "default": defaultPage})
	add("start_key", "query", "next_start_key of the page before", typed("string"))
	add("paginate", "query", "false: the list in whole", map[string]any{"type": "boolean", "default": true})
	add("descending", "query", "true: the other way round", map[string]any{"type": "boolean", "default": false})
	filters := add("filters", "query", "filter_{key}=value and filter_not_{key}=value, as often as needed: the value at the dotted path is, or "+
		"is not, value, or one of a JSON array's", map[string]any{"type": "object", "additionalProperties": typed("string")})
	filters["style"], filters["explode"] = "form", true
	for name, about := range map[string]string{"has_key": "The key is there", "key_missing": "The key is not there",
		"has_value": "The key is there and not empty", "value_missing": "The key is not there, or empty"} {
		add(name, "query", about+"; a dotted path, as often as needed", listOf(typed("string")))
	}
	for _, name := range [...]string{"created_from", "created_to", "modified_from", "modified_to"} {
		add(name, "query", "Gregorian seconds: those since 1970 plus 62167219200", typed("integer"))
	}
	add("pretty_print", "query", "true: indented JSON", typed("boolean"))
	add("should_soft_delete", "query", "false: the document is gone for good", map[string]any{"type": "boolean", "default": true})
	add("dry_run", "query", "true: only tell what the deletion would do", map[string]any{"type": "boolean", "default": false})
	add("If-Match", "header", "Quoted revision; another one is answered 412", typed("string"))
	add("If-None-Match", "header", "Quoted revision; the same one is answered 304", typed("string"))
	return out
}

// exampleOf is a document that can be created as it stands.
func (a *API) exampleOf(r *resource) any {
	switch r.schema {
	case "accounts":
		return map[string]any{"name": "Example", "realm": "example.com", "timezone": "Europe/Warsaw"}
	case "users":
		return map[string]any{"first_name": "Grace", "last_name": "Hopper", "username": "grace", "password": "choose-a-long-one",
			"email": "grace@example.com"}
	case "devices":
		return map[string]any{"name": "Desk phone", "sip": map[string]any{"username": "1001", "password": "choose-a-long-one"}}
	case "callflows":
		return map[string]any{"name": "Nobody", "numbers": []any{"1001"}, "flow": map[string]any{"module": "hangup", "data": map[string]any{}}}
	case "directories":
		return map[string]any{"name": "Everybody", "sort_by": "last_name", "min_dtmf": 3}
	case "list_entries":
		return map[string]any{"displayname": "Grace Hopper", "number": "+14155550100"}
	case "media":
		return map[string]any{"name": "Greeting", "media_source": "upload"}
	}
	return a.sample(a.schemas.tree[r.schema])
}
