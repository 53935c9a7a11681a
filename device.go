package bugle

// Device is a phone, or an address that calls may come from and go to.
type Device struct {
	ID           string
	Name         string
	OwnerID      string // user it belongs to, "" for none
	Enabled      bool
	SIP          DeviceSIP
	Codecs       []string // media.audio.codecs in order of preference; empty means all
	CallerID     CallerID
	Directories  map[string]string // directory id -> callflow id, as users have
	Language     string
	PresenceID   string
	DoNotDisturb bool
	// CallRestriction is an action by class of dialled number, as an account's.
	CallRestriction map[string]string
	MusicOnHold     string // media reference, as an account's
}

// DeviceSIP is the sip object of a device.
type DeviceSIP struct {
	Method       string // "password" (registers with a digest) or "ip" (known by its packets' source address)
	Username     string
	Password     string            // sealed as it stands in the document; the reader opens it
	Realm        string            // "" means the account's
	IP           string            // method "ip": the address
	InviteFormat string            // "contact" (default), "username", "route", ...
	Route        string            // invite_format "route": the SIP URI that is called instead of a registered contact
	Digest       string            // "md5" (default), "sha-256" or "both" (bugle's own key)
	Expires      int               // seconds of a registration when the phone does not say; default 300
	Headers      map[string]string // custom_sip_headers.out, or the flat legacy map
}

// ParseDevice reads a device document.
func ParseDevice(id string, doc []byte) (Device, error) {
	f, err := parse("bugle.ParseDevice", id, doc)
	if err != nil {
		return Device{}, err
	}
	s := f.Object("sip")
	d := Device{ID: id, Name: f.String("name"), OwnerID: f.String("owner_id"), Enabled: f.Bool("enabled", true),
		Codecs: f.Object("media").Object("audio").Strings("codecs"), CallerID: parseCallerID(f),
		Directories: f.StringMap("directories"), Language: f.String("language"), PresenceID: f.String("presence_id"),
		DoNotDisturb: f.Object("do_not_disturb").Bool("enabled", false), CallRestriction: parseCallRestriction(f),
		MusicOnHold: parseMusicOnHold(f),
		SIP: DeviceSIP{Method: s.String("method"), Username: s.String("username"), Password: s.String("password"),
			Realm: s.String("realm"), IP: s.String("ip"), InviteFormat: s.String("invite_format"),
			Route: s.String("route"), Digest: s.String("digest"), Expires: s.Int("expire_seconds", 300)}}
	if d.SIP.Method == "" {
		d.SIP.Method = "password"
	}
	d.SIP.Headers = parseHeaders(s)
	return d, nil
}

// parseHeaders are the headers of an object's outgoing calls: custom_sip_headers.out, or KAZOO's older form, in which the
// names stand in custom_sip_headers itself.
func parseHeaders(f Fields) map[string]string {
	headers := f.Object("custom_sip_headers")
	if out := headers.Object("out"); out != nil {
		return headers.StringMap("out")
	}
	return f.StringMap("custom_sip_headers")
}
