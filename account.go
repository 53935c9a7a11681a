package bugle

// Account is a tenant: a realm of phones, people and numbers that no other tenant can see.
type Account struct {
	ID       string
	Name     string
	Realm    string // SIP realm, lower case, unique in the system
	Language string // prompts' language, such as "en-us"; "" means the system's
	Timezone string // IANA name
	Enabled  bool
	Preflow  string // callflow run before every other (preflow.always)
	CallerID CallerID
	// SIPDigest is what the account's phones are offered, for devices that do not say (sip.digest, bugle's own key).
	SIPDigest string
	// DialPlan rewrites dialled numbers (dial_plan), in no particular order as KAZOO's is an object.
	DialPlan map[string]DialRule
	// CallRestriction says by class of dialled number what the account's phones may call: "deny", "inherit" or "allow".
	// Users and devices have their own, which go before; nil for none.
	CallRestriction map[string]string
	MusicOnHold     string // music_on_hold.media_id: media reference; users and devices have their own, which go before
}

// DialRule is one entry of an account's dial_plan: the last capture of its regular expression, wrapped.
type DialRule struct{ Prefix, Suffix string }

// CallerID is the caller_id object of accounts, users and devices.
type CallerID struct {
	InternalName, InternalNumber string // shown to phones of the same account
	ExternalName, ExternalNumber string // shown to the outside
}

// ParseAccount reads an account document.
func ParseAccount(id string, doc []byte) (Account, error) {
	f, err := parse("bugle.ParseAccount", id, doc)
	if err != nil {
		return Account{}, err
	}
	a := Account{ID: id, Name: f.String("name"), Realm: f.String("realm"), Language: f.String("language"),
		Timezone: f.String("timezone"), Enabled: f.Bool("enabled", true), Preflow: f.Object("preflow").String("always"),
		CallerID: parseCallerID(f), SIPDigest: f.Object("sip").String("digest"), DialPlan: map[string]DialRule{},
		CallRestriction: parseCallRestriction(f), MusicOnHold: parseMusicOnHold(f)}
	plan := f.Object("dial_plan")
	for pattern := range plan {
		if pattern == "system" {
			continue
		}
		rule := plan.Object(pattern)
		a.DialPlan[pattern] = DialRule{Prefix: rule.String("prefix"), Suffix: rule.String("suffix")}
	}
	return a, nil
}

func parseCallerID(f Fields) CallerID {
	in, out := f.Object("caller_id").Object("internal"), f.Object("caller_id").Object("external")
	return CallerID{InternalName: in.String("name"), InternalNumber: in.String("number"),
		ExternalName: out.String("name"), ExternalNumber: out.String("number")}
}

func parseMusicOnHold(f Fields) string { return f.Object("music_on_hold").String("media_id") }

// parseCallRestriction reads {CLASS: {"action": ACTION}}: actions by class, nil when there are none.
func parseCallRestriction(f Fields) map[string]string {
	var actions map[string]string
	classes := f.Object("call_restriction")
	for class := range classes {
		action := classes.Object(class).String("action")
		if action == "" {
			continue
		}
		if actions == nil {
			actions = make(map[string]string, len(classes))
		}
		actions[class] = action
	}
	return actions
}
