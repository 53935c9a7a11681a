package contact

import (
	"slices"
	"strings"
)

// Changed are the fields, by the names that they have in RingCentral's contacts, in which two states of one contact differ for
// whoever hears of changes; none when they are the same to them.
func Changed(before, after *Contact) []string {
	var out []string
	differ := func(name string, differs bool) {
		if differs {
			out = append(out, name)
		}
	}
	differ("type", before.Type != after.Type)
	differ("status", before.Status != after.Status)
	differ("firstName", before.FirstName != after.FirstName)
	differ("lastName", before.LastName != after.LastName)
	differ("name", before.Name != after.Name)
	differ("department", before.Department != after.Department)
	differ("email", before.Email != after.Email)
	differ("extensionNumber", before.Extension != after.Extension)
	differ("phoneNumbers", !sameNumbers(before.PhoneNumbers, after.PhoneNumbers))
	differ("site", before.Site.NumericID != after.Site.NumericID || before.Site.Name != after.Site.Name)
	differ("profileImage", before.ImageETag != after.ImageETag)
	return out
}

// Same reports whether two snapshots are of one contact that looks the same to whoever hears of changes.
func Same(x, y *Contact) bool {
	return x.ID == y.ID && x.NumericID == y.NumericID && x.AccountID == y.AccountID && len(Changed(x, y)) == 0
}

// sameNumbers compares as sets: an order is not a change.
func sameNumbers(x, y []PhoneNumber) bool {
	return slices.Equal(sorted(x), sorted(y))
}

func sorted(numbers []PhoneNumber) []PhoneNumber {
	out := slices.Clone(numbers)
	slices.SortFunc(out, func(x, y PhoneNumber) int {
		return strings.Compare(x.Usage+"\x00"+x.Type+"\x00"+x.Number, y.Usage+"\x00"+y.Type+"\x00"+y.Number)
	})
	return slices.Compact(out)
}
