package bugle

import (
	"strconv"
	"time"
)

// Mailbox is a voicemail box.
type Mailbox struct {
	ID               string
	Number           string // unique in the account
	Name             string
	OwnerID          string // user, "" for none
	Timezone         string // IANA name, "" for the account's
	Unavailable      string // media id of the greeting, "" for none
	Temporary        string // media id of the greeting that goes before it while it is there (media.temporary_unavailable)
	SealedPIN        string // "" for none
	AnnouncementOnly bool
	CheckIfOwner     bool // the owner who calls the box comes to the messages
	RequirePIN       bool // of the owner's phones too
	IsSetup          bool
	NotConfigurable  bool
	SkipGreeting     bool
	SkipInstructions bool
	SkipEnvelope     bool
	OldestFirst      bool
	Winding          bool          // is_voicemail_ff_rw_enabled
	Seek             time.Duration // of one step of it
	Operator         string        // number that 0 leads to, "" for 0
	Emails           []string      // that are told of messages, beside the owner's
	AttachMessage    bool          // to the mail
	DeleteNotified   bool          // once the mail was sent
	SaveNotified     bool
}

// ParseMailbox reads a vmbox document.
func ParseMailbox(id string, doc []byte) (Mailbox, error) {
	f, err := parse("bugle.ParseMailbox", id, doc)
	if err != nil {
		return Mailbox{}, err
	}
	media := f.Object("media")
	b := Mailbox{ID: id, Number: f.String("mailbox"), Name: f.String("name"), OwnerID: f.String("owner_id"), Timezone: f.String("timezone"),
		Unavailable: media.String("unavailable"), Temporary: media.String("temporary_unavailable"), SealedPIN: f.String("pin"),
		AnnouncementOnly: f.Bool("announcement_only", false), CheckIfOwner: f.Bool("check_if_owner", true),
		RequirePIN: f.Bool("require_pin", false), IsSetup: f.Bool("is_setup", false), NotConfigurable: f.Bool("not_configurable", false),
		SkipGreeting: f.Bool("skip_greeting", false), SkipInstructions: f.Bool("skip_instructions", false),
		SkipEnvelope: f.Bool("skip_envelope", false), OldestFirst: f.Bool("oldest_message_first", false),
		Winding: f.Bool("is_voicemail_ff_rw_enabled", false), Seek: time.Duration(f.Int("seek_duration_ms", 10000)) * time.Millisecond,
		Operator: f.String("operator_number"), Emails: f.Strings("notify_email_addresses"),
		AttachMessage:  f.Bool("include_message_on_notify", true),
		DeleteNotified: f.Bool("delete_after_notify", false), SaveNotified: f.Bool("save_after_notify", false)}
	if n := f.Int("operator_number", -1); b.Operator == "" && n >= 0 {
		b.Operator = strconv.Itoa(n)
	}
	return b, nil
}

// VoicemailMessage is what callers and owners of a mailbox know of a message in it.
type VoicemailMessage struct {
	ID         string // "" for one that is to be deposited
	Folder     string
	Arrived    time.Time
	CallID     string // of the leg that has left it
	FromName   string
	FromNumber string
	From, To   string // SIP addresses
	Length     time.Duration
}

// Folders of VoicemailMessage.
const (
	VoicemailNew     = "new"
	VoicemailSaved   = "saved"
	VoicemailDeleted = "deleted"
)
