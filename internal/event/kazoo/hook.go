package kazoo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"bugle/internal/store"
)

// Kind is the kind of endpoint that webhook documents are; an endpoint's id is its document's.
const Kind = "kazoo"

// The events that a webhook may be for.
const (
	EventAll         = "all"
	EventObject      = "object"
	EventCreate      = "channel_create"
	EventAnswer      = "channel_answer"
	EventBridge      = "channel_bridge"
	EventDestroy     = "channel_destroy"
	EventParking     = "parking"
	EventNotice      = "notifications"
	EventClickToCall = "clicktocall"
)

// Events of EventParking.
const (
	EventParked    = "park_parked"
	EventRetrieved = "park_retrieved"
	EventAbandoned = "park_abandoned" // the caller has hung up, or went on elsewhere
)

// Events of a leg that no webhook is for; KAZOO's WebSocket tells of them.
const (
	EventHold   = "channel_hold"
	EventResume = "channel_unhold"
)

// fields are a JSON object as the wire has it.
type fields = map[string]any

// hook is a webhook document. It is not changed.
type hook struct {
	id, account string
	event       string
	uri, verb   string
	json        bool
	enabled     bool
	tries       int
	below       bool // events of the accounts below count
	internal    bool // legs inside of bugle count
	custom      fields
	modifiers   map[string][]string
}

// parseHook reads a document; keys that are not of their type count as absent, as the API keeps them out.
func parseHook(accountID, id string, body []byte) (*hook, error) {
	doc, err := object(body)
	if err != nil {
		return nil, fmt.Errorf("kazoo.parseHook: webhook %s: %w", id, err)
	}
	text := func(key, otherwise string) string {
		if s, ok := doc[key].(string); ok && s != "" {
			return s
		}
		return otherwise
	}
	flag := func(key string, otherwise bool) bool {
		if b, ok := doc[key].(bool); ok {
			return b
		}
		return otherwise
	}
	h := &hook{id: id, account: accountID, event: text("hook", ""), uri: text("uri", ""), verb: strings.ToUpper(text("http_verb", "post")),
		json: text("format", "form-data") == "json", enabled: flag("enabled", true), tries: 2,
		below: flag("include_subaccounts", false), internal: flag("include_internal_legs", true), modifiers: map[string][]string{}}
	if n, ok := doc["retries"].(json.Number); ok {
		if tries, err := n.Int64(); err == nil {
			h.tries = int(tries)
		}
	}
	h.tries = min(max(h.tries, 1), 5) // as KAZOO counts: tries in all
	h.custom, _ = doc["custom_data"].(fields)
	wanted, _ := doc["modifiers"].(fields)
	for key, value := range wanted {
		h.modifiers[key] = texts(value)
	}
	return h, nil
}

func object(body []byte) (doc fields, err error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	return doc, d.Decode(&doc)
}

// texts are a value or the values of an array, as text.
func texts(value any) []string {
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	out := []string{}
	for _, v := range list {
		out = append(out, scalar(v))
	}
	return out
}

func scalar(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case nil:
		return ""
	}
	return fmt.Sprint(v)
}

// selectorsOf are the keys of custom_data that say which events of a kind a webhook is for.
var selectorsOf = map[string][]string{EventObject: {"type", "action"}, EventNotice: {"type"}}

// wants reports whether a webhook is for an event with what it tells. Selectors and modifiers that are absent let all pass.
func (h *hook) wants(event string, tells fields) bool {
	if !h.enabled || h.event != event && h.event != EventAll {
		return false
	}
	if inside, _ := tells["is_internal_leg"].(bool); inside && !h.internal {
		return false
	}
	if selectors := selectorsOf[event]; len(selectors) > 0 {
		for _, key := range selectors {
			if wanted, given := h.custom[key]; given && !selects(texts(wanted), scalar(tells[key])) {
				return false
			}
		}
	}
	for key, wanted := range h.modifiers {
		if value, told := tells[key]; told && !selects(wanted, scalar(value)) {
			return false
		}
	}
	return true
}

func selects(wanted []string, value string) bool {
	return slices.Contains(wanted, value) || slices.Contains(wanted, "all")
}

// delivery is the request that tells a webhook of an event. id tells repetitions of it.
func (h *hook) delivery(id, event string, tells fields, cluster string) store.HookDelivery {
	all := make(fields, len(tells)+len(h.custom)+1)
	for key, value := range tells {
		all[key] = value
	}
	for key, value := range h.custom {
		if key != "type" && key != "action" { // which select
			all[key] = value
		}
	}
	if cluster != "" {
		all["cluster_id"] = cluster
	}
	d := store.HookDelivery{ID: id, Endpoint: h.id, Kind: Kind, AccountID: h.account, Event: event, Method: h.verb, URL: h.uri,
		Header: [][2]string{{"X-Hook-ID", h.id}, {"X-Account-ID", h.account}, {"User-Agent", "bugle"}, {"webhook-id", id}}, Body: []byte{}}
	switch {
	case h.verb == http.MethodGet:
		d.URL = withQuery(h.uri, form(all))
	case h.json:
		d.Header = append(d.Header, [2]string{"Content-Type", "application/json"})
		d.Body = pretty(all)
	default:
		d.Header = append(d.Header, [2]string{"Content-Type", "application/x-www-form-urlencoded"})
		d.Body = []byte(form(all))
	}
	return d
}

func withQuery(uri, query string) string {
	before, fragment, cut := strings.Cut(uri, "#")
	switch {
	case !strings.Contains(before, "?"):
		before += "?" + query
	case strings.HasSuffix(before, "?"), strings.HasSuffix(before, "&"):
		before += query
	default:
		before += "&" + query
	}
	if cut {
		before += "#" + fragment
	}
	return before
}

// pretty is an object over several lines, its keys in order.
func pretty(all fields) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(all); err != nil {
		return []byte("{}") // what came out of JSON goes in again
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// form is an object as KAZOO writes it into a form: members of objects as key[member], of arrays as key[].
func form(all fields) string {
	var pairs []string
	var add func(key string, value any)
	add = func(key string, value any) {
		switch v := value.(type) {
		case nil:
		case fields:
			for _, name := range sorted(v) {
				add(key+"["+name+"]", v[name])
			}
		case []any:
			for _, item := range v {
				add(key+"[]", item)
			}
		case int64:
			pairs = append(pairs, url.QueryEscape(key)+"="+strconv.FormatInt(v, 10))
		default:
			pairs = append(pairs, url.QueryEscape(key)+"="+url.QueryEscape(scalar(v)))
		}
	}
	for _, name := range sorted(all) {
		add(name, all[name])
	}
	return strings.Join(pairs, "&")
}

func sorted(all fields) []string {
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
