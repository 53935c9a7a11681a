package contact

import (
	"encoding/json"
	"errors"
	"time"
)

// ErrGone is in the chain of the error of a reader of events that asked for some which are no longer kept.
var ErrGone = errors.New("changes after this cursor are not kept; ask for changes without a cursor for the present one, then read the whole directory, then go on from that cursor")

// Kind is what happened to a contact, by RingCentral's names.
type Kind string

// A contact that is hidden, or loses the extension that it was listed for, is deleted; and created when it comes back.
const (
	Create Kind = "Create"
	Update Kind = "Update"
	Delete Kind = "Delete"
)

// Event is one change of one contact. An account's events have cursors 1, 2, 3, ... without a gap, in the order of the change
// log. A change of a document makes at most one event for each contact.
type Event struct {
	AccountID string
	Cursor    int64
	Position  int64     // of the Change in the log of all accounts
	At        time.Time // of the Change
	Kind      Kind
	Contact   Contact  // after the change; of a deleted one as it was last
	Changed   []string // of an Update: which fields, by RingCentral's names
	// Previous are the values before of what changed, in the JSON of Contact's fields; the whole contact's keys are there,
	// so that it reads as a Contact. nil for Create.
	Previous *Contact
}

// Query selects contacts of one account for a list.
type Query struct {
	AccountID string
	Types     []Type // none: all
	SiteID    string // the document's id, its numeric id, or MainSite; "" for all
	// Search finds contacts of which one of Fields (none: all) has this text in it, whatever its case; telephone numbers by
	// their digits. "" for all.
	Search string
	Fields []string // firstName, lastName, extensionNumber, phoneNumber, email, jobTitle, department; name beside these
	After  []byte   // next of the page before; nil for the beginning
	Skip   int      // contacts left out before the first of the page, for those who page by number
	Limit  int      // 1 to MaxPage; 0: MaxPage
}

// MaxPage is the most contacts of one page.
const MaxPage = 2000

// Page is part of a list.
type Page struct {
	Contacts []Contact
	Total    int    // that the query finds in all
	Next     []byte // After of the next page, nil on the last
	// Revision is another one after any contact of the account was altered, also in what no event tells: with the query it
	// makes the ETag of a list. Cursor is the last event that the list has in it: events after it lead on from the list.
	Revision int64
	Cursor   int64
}

// Decode reads what Encode wrote.
func Decode(text []byte) (c Contact, err error) {
	err = json.Unmarshal(text, &c)
	return c, err
}

// Encode is a snapshot as it is kept.
func (c *Contact) Encode() []byte {
	text, err := json.Marshal(c)
	if err != nil { // strings and nothing else
		panic(err)
	}
	return text
}
