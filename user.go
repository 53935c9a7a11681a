package bugle

import "strings"

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
		MusicOnHold: parseMusicOnHold(f)}, nil
}

// DisplayName is the name as it is said and shown: given name, then family name.
func (u User) DisplayName() string { return strings.TrimSpace(u.FirstName + " " + u.LastName) }
