package kazoo

import (
	"time"
)

// Voicemail is a notice of a voicemail message. Text that is "" is not told.
type Voicemail struct {
	Type                         string // "voicemail_saved" once it is kept, "voicemail_new" when its box is told of it
	AccountID, BoxID, MessageID  string
	CallID, FromName, FromNumber string
	FromUser, FromRealm          string
	ToUser, ToRealm              string
	At                           time.Time
	Length                       time.Duration
}

// Voicemail tells the webhooks of hook "notifications".
func (h *Hooks) Voicemail(v Voicemail) {
	f := fields{"hook_event": EventNotice, "event_category": "notification", "event_name": v.Type, "type": v.Type, "account_id": v.AccountID,
		"voicemail_box": v.BoxID, "voicemail_id": v.MessageID, "voicemail_timestamp": gregorian(v.At),
		"voicemail_length": v.Length.Milliseconds(), "timestamp": gregorian(v.At)}
	for key, value := range map[string]string{"call_id": v.CallID, "caller_id_name": v.FromName, "caller_id_number": v.FromNumber,
		"from_user": v.FromUser, "from_realm": v.FromRealm, "to_user": v.ToUser, "to_realm": v.ToRealm} {
		if value != "" {
			f[key] = value
		}
	}
	h.occur(occurrence{account: v.AccountID, name: EventNotice, id: v.MessageID + "/" + v.Type, tells: f})
}
