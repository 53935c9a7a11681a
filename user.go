package bugle

import (
	"encoding/json"
	"strings"
)

// User is a person of an account.
type User struct {
	ID           string
	FirstName    string
	LastName     string
	Phonetic     string // how the name is spelled on a keypad when its own script does not say (bugle's own key)
	Nickname     string // another name callers may key (bugle's own key)
	Username     string // lower case
	Privilege    string // priv_level: "admin" or "user"
	Enabled      bool
	Language     string
	Timezone     string
	PresenceID   string
	CallerID     CallerID
	Directories  map[string]string // directory id -> callflow id
	NameMedia    string            // media.name: the recorded name
	Pronounced   string            // pronounced_name.media_id: the same by its other key
	DoNotDisturb bool
	Hidden       bool // contact_list.exclude
	// CallRestriction is an action by class of dialled number, as an account's.
	CallRestriction map[string]string
	MusicOnHold     string // media reference, as an account's
	Email           string
	Department      string
	Title           string   // profile.title
	SiteID          string   // "" for the main site
	Pending         bool     // activation is "pending": the person has not taken the account into use
	ForwardTo       string   // call_forward.number while it is on, as it was written
	MobileNumber    string   // as it was written
	ContactNumbers  []string // contact_numbers, as they were written
	ImageETag       string   // of the profile image, "" for none
}

// ParseUser reads a user document.
func ParseUser(id string, doc []byte) (User, error) {
	f, err := parse("bugle.ParseUser", id, doc)
	if err != nil {
		return User{}, err
	}
	return User{ID: id, FirstName: f.String("first_name"), LastName: f.String("last_name"),
		Phonetic: f.String("phonetic"), Nickname: f.String("nickname"), Username: f.String("username"),
		Privilege: f.String("priv_level"), Enabled: f.Bool("enabled", true), Language: f.String("language"),
		Timezone: f.String("timezone"), PresenceID: f.String("presence_id"), CallerID: parseCallerID(f),
		Directories: f.StringMap("directories"), NameMedia: f.Object("media").String("name"),
		Pronounced:   f.Object("pronounced_name").String("media_id"),
		DoNotDisturb: f.Object("do_not_disturb").Bool("enabled", false),
		Hidden:       f.Object("contact_list").Bool("exclude", false), CallRestriction: parseCallRestriction(f),
		MusicOnHold: parseMusicOnHold(f), Email: f.String("email"), Department: f.String("department"),
		Title: f.Object("profile").String("title"), SiteID: f.String("site_id"), Pending: f.String("activation") == "pending",
		ForwardTo: forwardTo(f), MobileNumber: f.String("mobile_number"), ContactNumbers: contactNumbers(f),
		ImageETag: f.Object("profile_image").String("etag")}, nil
}

func forwardTo(f Fields) string {
	if forward := f.Object("call_forward"); forward.Bool("enabled", false) {
		return forward.String("number")
	}
	return ""
}

// contactNumbers reads contact_numbers: a number each, or an object with a number and a label.
func contactNumbers(f Fields) []string {
	var list []json.RawMessage
	if raw := f["contact_numbers"]; len(raw) == 0 || raw[0] != '[' || json.Unmarshal(raw, &list) != nil {
		return nil
	}
	var out []string
	for _, raw := range list {
		number := Fields{"number": raw}.String("number")
		if number == "" {
			number = Fields{"": raw}.Object("").String("number")
		}
		if number != "" {
			out = append(out, number)
		}
	}
	return out
}

// DisplayName is the name as it is said and shown: given name, then family name.
func (u User) DisplayName() string { return strings.TrimSpace(u.FirstName + " " + u.LastName) }
