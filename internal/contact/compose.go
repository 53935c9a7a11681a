package contact

import (
	"cmp"
	"slices"
	"strings"
)

// Around is what a contact takes from documents beside its own.
type Around struct {
	AccountID, AccountNumericID, NumericID string
	Site                                   *Facts // of the user; nil when there is none: then it is the main one
	SiteNumericID                          string
	// Callflows are those that lead to the contact, the user's fax boxes' with Fax set, and those that the user's memberships
	// name; a parking slot's is its own.
	Callflows []Facts
	// Reserved are the numbers among the callflows' that are not in service yet.
	Reserved map[string]bool
}

// Compose makes the contact of a document; false when it has none now.
func Compose(id string, own *Facts, a Around) (Contact, bool) {
	if !own.Bears() {
		return Contact{}, false
	}
	c := Contact{ID: id, NumericID: a.NumericID, Type: typeOf[own.Type], Status: Enabled, Name: own.Name, AccountID: a.AccountID,
		AccountNumericID: a.AccountNumericID, Site: Site{NumericID: MainSite, Name: MainSiteName}}
	flows := a.Callflows
	if own.Type == typeCallflow {
		flows = []Facts{*own}
	}
	c.Extension = extension(flows)
	if own.Type != typeUser {
		if own.Owner != "" || c.Extension == "" {
			return Contact{}, false
		}
		if c.Name == "" && own.Slot != "" {
			c.Name = "Park " + own.Slot
		}
		c.PhoneNumbers = direct(flows, a.Reserved)
		return c, true
	}
	if own.Hidden {
		return Contact{}, false
	}
	c.FirstName, c.LastName, c.Name = own.First, own.Last, strings.TrimSpace(own.First+" "+own.Last)
	c.Status, c.Department, c.Email, c.JobTitle, c.ImageETag = own.Status, own.Department, own.Email, own.Title, own.Image
	if a.Site != nil {
		c.Site = Site{ID: own.Site, NumericID: a.SiteNumericID, Name: a.Site.Name, Code: a.Site.Code}
	}
	c.PhoneNumbers = direct(flows, a.Reserved)
	add := func(usage string, numbers ...string) {
		for _, number := range numbers {
			if number != "" {
				c.PhoneNumbers = append(c.PhoneNumbers, PhoneNumber{Number: number, Usage: usage})
			}
		}
	}
	add(ForwardedNumber, own.Forwarded)
	add(MobileNumber, own.Mobile)
	add(ContactNumber, own.Contact...)
	return c, true
}

var typeOf = map[string]Type{typeUser: User, typeGroup: Department, typeMenu: IvrMenu, typeMailbox: Voicemail, typeCallflow: ParkLocation}

func extension(flows []Facts) string {
	best := ""
	for _, f := range flows {
		if n := f.Extension; n != "" && !f.Fax && (best == "" || cmp.Or(cmp.Compare(len(n), len(best)), strings.Compare(n, best)) < 0) {
			best = n
		}
	}
	return best
}

// direct are the callflows' telephone numbers in a fixed order, those of faxes last.
func direct(flows []Facts, reserved map[string]bool) []PhoneNumber {
	var out []PhoneNumber
	for _, f := range flows {
		kind := VoiceFax
		if f.Fax {
			kind = FaxOnly
		}
		for _, number := range f.Direct {
			if !reserved[number] {
				out = append(out, PhoneNumber{number, DirectNumber, kind})
			}
		}
	}
	slices.SortFunc(out, func(x, y PhoneNumber) int {
		return cmp.Or(-strings.Compare(x.Type, y.Type), strings.Compare(x.Number, y.Number))
	})
	return slices.Compact(out)
}
