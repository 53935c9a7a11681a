package bugle

// ClickToCall is an endpoint of click-to-call: whom a web page or a program connects a contact with, and under which rules.
type ClickToCall struct {
	ID           string
	Name         string
	Extension    string      // number of the account's dial plan
	AuthRequired bool        // false: the endpoint is public, anybody may connect
	AllowGet     bool        // GET connects without a token too (bugle's own key)
	Origins      []string    // of the pages that may connect without a token, "*" for any (bugle's own key)
	ContactFirst bool        // the contact is rung first, not the extension
	Whitelist    []string    // regular expressions of contacts
	Throttle     int         // seconds between two calls, 0 for none
	Timeout      int         // seconds that a party rings, 0 when the document does not say
	QuietHours   *QuietHours // nil for none (bugle's own key)

	CallerIDNumber string // shown of the contact, "" for the contact itself
	CalleeIDName   string // shown of the extension, "" for the extension itself
	CalleeIDNumber string

	BypassMedia      string // whether the phones exchange their audio themselves: "true", "auto" when that is certain to work, "" for no
	IgnoreEarlyMedia bool   // the first party hears ring-back in place of the second one's early media
	Ringback         string
	MusicOnHold      string
	PresenceID       string
	Headers          map[string]string // custom_sip_headers: of every INVITE
	Variables        map[string]string // custom_application_vars
}

// QuietHours are the hours of each day in which nobody is called.
type QuietHours struct {
	From, To string // "22:00" to "07:30"; From after To goes over midnight
	Timezone string // IANA name, "" for the account's
}

// ParseClickToCall reads a click-to-call document.
func ParseClickToCall(id string, doc []byte) (ClickToCall, error) {
	f, err := parse("bugle.ParseClickToCall", id, doc)
	if err != nil {
		return ClickToCall{}, err
	}
	c := ClickToCall{ID: id, Name: f.String("name"), Extension: f.String("extension"), AuthRequired: f.Bool("auth_required", true),
		AllowGet: f.Bool("allow_get", false), Origins: f.Strings("origins"), ContactFirst: f.String("dial_first") == "contact",
		Whitelist: f.Strings("whitelist"), Throttle: f.Int("throttle", 0), Timeout: f.Int("timeout", 0),
		CallerIDNumber: f.String("caller_id_number"), CalleeIDName: f.String("outbound_callee_id_name"),
		CalleeIDNumber: f.String("outbound_callee_id_number"), IgnoreEarlyMedia: f.Object("media").Bool("ignore_early_media", true),
		Ringback: f.String("ringback"), MusicOnHold: parseMusicOnHold(f), PresenceID: f.String("presence_id"),
		Headers: parseHeaders(f), Variables: f.StringMap("custom_application_vars")}
	switch {
	case f.Bool("bypass_media", false) || f.String("bypass_media") == "true":
		c.BypassMedia = "true"
	case f.String("bypass_media") == "auto":
		c.BypassMedia = "auto"
	}
	if quiet := f.Object("quiet_hours"); quiet != nil {
		c.QuietHours = &QuietHours{From: quiet.String("from"), To: quiet.String("to"), Timezone: quiet.String("timezone")}
	}
	return c, nil
}
