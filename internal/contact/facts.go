package contact

import (
	"encoding/json"
	"slices"
	"strings"

	"bugle"
)

// Facts are what contacts need to know of one document, and nothing else.
type Facts struct {
	Type string `json:"type"` // of the document: "user", "callflow", ...
	Name string `json:"name,omitempty"`

	// Of a user.
	First      string   `json:"first,omitempty"`
	Last       string   `json:"last,omitempty"`
	Department string   `json:"department,omitempty"`
	Email      string   `json:"email,omitempty"`
	Title      string   `json:"title,omitempty"`
	Status     Status   `json:"status,omitempty"`
	Hidden     bool     `json:"hidden,omitempty"` // not in the directory
	Site       string   `json:"site,omitempty"`
	Forwarded  string   `json:"forwarded,omitempty"`
	Mobile     string   `json:"mobile,omitempty"`
	Contact    []string `json:"contact,omitempty"`
	Image      string   `json:"image,omitempty"`
	Callflows  []string `json:"callflows,omitempty"` // that the memberships of directories name

	// Of a callflow.
	Extension string   `json:"extension,omitempty"`
	Direct    []string `json:"direct,omitempty"` // its numbers in E.164
	Target    string   `json:"target,omitempty"` // id of whom it leads to, "" for nobody in particular
	Fax       bool     `json:"fax,omitempty"`    // faxes only
	Slot      string   `json:"slot,omitempty"`   // that it parks in

	Owner    string `json:"owner,omitempty"`    // of a mailbox or fax box
	Code     string `json:"code,omitempty"`     // of a site
	Reserved bool   `json:"reserved,omitempty"` // a telephone number that is not in service yet
}

// Document types that contacts are made of, beside those of callflows and users.
const (
	typeUser     = "user"
	typeCallflow = "callflow"
	typeGroup    = "group"
	typeMenu     = "menu"
	typeMailbox  = "vmbox"
	typeFaxbox   = "faxbox"
	typeSite     = "site"
	typeNumber   = "phone_number"
)

// Sources are the types of the documents that contacts are made of, in the order in which they may be read.
var Sources = []string{typeSite, typeNumber, typeGroup, typeMenu, typeMailbox, typeFaxbox, typeCallflow, typeUser}

// Relevant reports whether documents of a type can alter a contact.
func Relevant(documentType string) bool { return slices.Contains(Sources, documentType) }

// Read reduces a document to its facts; nil when it has none that matter: no body (it is deleted), another type. A
// document that cannot be read is an error.
func Read(documentType, id string, body []byte) (*Facts, error) {
	if body == nil || !Relevant(documentType) {
		return nil, nil
	}
	f := &Facts{Type: documentType}
	switch documentType {
	case typeUser:
		return f, f.readUser(id, body)
	case typeCallflow:
		return f, f.readCallflow(id, body)
	}
	doc, err := bugle.ParseFields(body)
	if err != nil {
		return nil, err
	}
	f.Name = doc.String("name")
	switch documentType {
	case typeMailbox, typeFaxbox:
		f.Owner = doc.String("owner_id")
	case typeSite:
		f.Code = doc.String("code")
	case typeNumber:
		if f.Name, f.Reserved = "", doc.String("state") == "reserved"; !f.Reserved {
			return nil, nil
		}
	}
	return f, nil
}

func (f *Facts) readUser(id string, body []byte) error {
	u, err := bugle.ParseUser(id, body)
	if err != nil {
		return err
	}
	f.First, f.Last, f.Department, f.Email, f.Title = u.FirstName, u.LastName, u.Department, u.Email, u.Title
	f.Hidden, f.Site, f.Image = u.Hidden, u.SiteID, u.ImageETag
	f.Forwarded, f.Mobile = telephone(u.ForwardTo), telephone(u.MobileNumber)
	switch {
	case u.Pending:
		f.Status = NotActivated
	case !u.Enabled:
		f.Status = Disabled
	default:
		f.Status = Enabled
	}
	for _, number := range u.ContactNumbers {
		if number = telephone(number); number != "" && !slices.Contains(f.Contact, number) {
			f.Contact = append(f.Contact, number)
		}
	}
	for _, callflow := range u.Directories {
		if !slices.Contains(f.Callflows, callflow) {
			f.Callflows = append(f.Callflows, callflow)
		}
	}
	slices.Sort(f.Callflows)
	return nil
}

// telephone is a number as people write it, in E.164 where it has that form.
func telephone(number string) string {
	number = strings.TrimSpace(number)
	if bare := strings.NewReplacer(" ", "", "-", "", ".", "", "(", "", ")", "", "/", "").Replace(number); bugle.IsE164(bugle.International(bare)) {
		return bugle.International(bare)
	}
	return number
}

func (f *Facts) readCallflow(id string, body []byte) error {
	c, err := bugle.ParseCallflow(id, body)
	if err != nil {
		return err
	}
	f.Name, f.Extension = c.Name, c.Extension()
	for _, number := range c.Numbers {
		if bugle.IsE164(number) && !slices.Contains(f.Direct, number) {
			f.Direct = append(f.Direct, number)
		}
	}
	slices.Sort(f.Direct)
	f.lead(c.Flow)
	if f.Target == "" && f.Slot == "" { // it branches by time, by caller, ...: whose it is was written down
		if f.Target = c.OwnerID; f.Target == "" {
			f.Target = c.GroupID
		}
	}
	return nil
}

// passed are modules that let a call go on to their child _ without having reached anybody.
var passed = []string{"answer", "dead_air", "language", "missed_call_alert", "noop", "play", "prepend_cid", "record_call", "set_alert_info",
	"set_cid", "set_variable", "set_variables", "sleep", "start_recording", "tts"}

// lead follows a flow to the first module that reaches somebody.
func (f *Facts) lead(flow bugle.Flow) {
	for range 100 { // deeper than any flow that is taken
		if !slices.Contains(passed, flow.Module) {
			break
		}
		flow = flow.Children["_"]
	}
	switch flow.Module {
	case "user", "menu", "group":
		f.Target = flow.Data.String("id")
	case "voicemail":
		if flow.Data.String("action") != "check" {
			f.Target = flow.Data.String("id")
		}
	case "ring_group", "page_group":
		f.Target = onlyGroup(flow.Data)
	case "faxbox":
		if f.Target, f.Fax = flow.Data.String("id"), true; f.Target == "" {
			f.Target = flow.Data.String("faxbox_id")
		}
	case "receive_fax":
		f.Target, f.Fax = flow.Data.String("owner_id"), true
	case "park":
		f.Slot = flow.Data.String("slot")
	}
}

// onlyGroup is the group that a node rings, "" when it rings anybody else.
func onlyGroup(data bugle.Fields) string {
	var members []json.RawMessage
	if json.Unmarshal(data["endpoints"], &members) != nil || len(members) != 1 {
		return ""
	}
	member := bugle.Fields{"": members[0]}.Object("")
	if member.String("endpoint_type") != "group" {
		return ""
	}
	return member.String("id")
}

// Refs are the ids that the facts name: whoever composes a contact of one of them must ask this document too.
func (f *Facts) Refs() []string {
	if f == nil {
		return nil
	}
	refs := slices.Concat([]string{f.Site, f.Target, f.Owner}, f.Callflows, f.Direct)
	slices.Sort(refs)
	refs = slices.Compact(refs)
	return slices.DeleteFunc(refs, func(ref string) bool { return ref == "" || len(ref) > 128 })
}

// Named reports whether other documents may be asked for contacts because of a change of one of this type: all who name
// its id, or that of the callflow which has the number: that can be the whole company.
func Named(documentType string) bool {
	return documentType == typeSite || documentType == typeCallflow || documentType == typeNumber
}

// Bears reports whether a document of these facts can have a contact of its own.
func (f *Facts) Bears() bool {
	if f == nil {
		return false
	}
	switch f.Type {
	case typeUser, typeGroup, typeMenu, typeMailbox:
		return true
	case typeCallflow:
		return f.Slot != ""
	}
	return false
}
