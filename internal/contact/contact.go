package contact

// Type is what a contact is, by RingCentral's names.
type Type string

// The types that are made of documents here.
const (
	User         Type = "User"
	Department   Type = "Department"   // a group
	IvrMenu      Type = "IvrMenu"      // a menu
	Voicemail    Type = "Voicemail"    // a mailbox that nobody owns
	ParkLocation Type = "ParkLocation" // a parking slot
)

// Types are all of them.
var Types = []Type{User, Department, IvrMenu, Voicemail, ParkLocation}

// Status of a contact.
type Status string

// What is no person is always Enabled.
const (
	Enabled      Status = "Enabled"
	Disabled     Status = "Disabled"
	NotActivated Status = "NotActivated"
)

// Usages and types of phone numbers.
const (
	DirectNumber    = "DirectNumber"
	ForwardedNumber = "ForwardedNumber"
	MobileNumber    = "MobileNumber"
	ContactNumber   = "ContactNumber"

	VoiceFax = "VoiceFax"
	FaxOnly  = "FaxOnly"
)

// MainSite is the id of the site of whoever has none, and MainSiteName how it is called.
const (
	MainSite     = "main-site"
	MainSiteName = "Main Site"
)

// Contact is one entry of a company's directory: a snapshot that does not change. Its JSON is what is kept in contact rows
// and events.
type Contact struct {
	ID        string `json:"id"`         // of the document; a parking slot has the id of its callflow
	NumericID string `json:"numeric_id"` // RingCentral's form of the id: decimal digits, below 2^53, for ever the same
	Type      Type   `json:"type"`
	Status    Status `json:"status"`

	FirstName  string `json:"first_name,omitempty"` // of users only
	LastName   string `json:"last_name,omitempty"`
	Name       string `json:"name,omitempty"` // of users both, "First Last"
	Department string `json:"department,omitempty"`
	Email      string `json:"email,omitempty"`
	Extension  string `json:"extension,omitempty"`

	PhoneNumbers []PhoneNumber `json:"phone_numbers,omitempty"`
	Site         Site          `json:"site"`
	ImageETag    string        `json:"image_etag,omitempty"` // of the profile image, "" for none

	AccountID        string `json:"account_id"`
	AccountNumericID string `json:"account_numeric_id"`

	// What no event tells: a change of it alone is none.
	JobTitle string `json:"job_title,omitempty"`
}

// PhoneNumber is a number of a contact.
type PhoneNumber struct {
	Number string `json:"number"`         // E.164 where it has that form, else as it was written
	Usage  string `json:"usage"`          // DirectNumber, ForwardedNumber, ...
	Type   string `json:"type,omitempty"` // VoiceFax or FaxOnly, of direct numbers only
}

// Site is where a contact is.
type Site struct {
	ID        string `json:"id,omitempty"` // of the document, "" for the main site
	NumericID string `json:"numeric_id"`   // MainSite for that
	Name      string `json:"name"`
	Code      string `json:"code,omitempty"` // not in events
}

// IsPerson reports whether the contact is in the group of types that RingCentral calls User.
func (c *Contact) IsPerson() bool { return c.Type == User }
